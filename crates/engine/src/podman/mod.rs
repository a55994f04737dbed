//! `containers-storage:`: podman, on this machine or another.
//!
//! A podman of this machine pulls from a registry that lives as long as the command (`local`). It
//! skips the layers that it has in any image, because a tar layer is called by its diff ID. One on
//! another machine, or in a virtual one, cannot reach that, and loads an archive (`remote`).

mod local;
mod remote;

use std::process::Command;

use super::process;
use strata_copy::{CopyName, blobs};
use strata_error::{Error, Result};
use strata_image::Image;
use strata_oci::{Digest, Platform};
use strata_progress::{Context, Outcome};
use strata_serve::was_lent_as;

/// Copies `image` there; gives the digest of the manifest that podman has then, which is another one
/// than the image's if podman has the image already and got it elsewhere. It worked if podman answers
/// to the name with the config's digest.
///
/// Podman itself reads `CONTAINER_HOST`, `CONTAINERS_STORAGE_CONF` and its other variables and files.
pub fn copy(image: &Image, name: &CopyName, context: Context<'_>) -> Result<Digest> {
    let podman = Podman { context };
    let id = image.manifest.config.digest.hex();
    let mut has_name = false;
    if podman.has(&id)? {
        for blob in blobs(image).into_values() {
            context.progress.begin(blob.descriptor());
            context.progress.finish(blob.descriptor(), Outcome::Present);
        }
        podman.remove_lent_names(image)?;
    } else if podman.is_remote()? {
        remote::load(&podman, image, name)?;
    } else {
        local::pull(&podman, image, name.full.as_deref())?;
        has_name = true;
    }
    let Some(full) = &name.full else {
        return podman.digest(&id, &id);
    };
    if !has_name {
        podman.tag(&id, full)?;
    }
    podman.digest(full, &id)
}

/// What podman's containers run on.
pub fn platform(context: Context<'_>) -> Result<Platform> {
    let podman = Podman { context };
    let answer = podman.ask(&["info", "--format", "{{.Host.OS}}/{{.Host.Arch}}"])?;
    answer.parse().map_err(|message| Error::Command {
        command: "podman info".to_owned(),
        message,
        hint: "choose an image with --platform".to_owned(),
    })
}

/// podman's commands.
struct Podman<'a> {
    context: Context<'a>,
}

impl Podman<'_> {
    /// Asks a question.
    fn ask(&self, arguments: &[&str]) -> Result<String> {
        let answer = process::ask(command(arguments), "", self.context)?;
        Ok(String::from_utf8_lossy(&answer).trim().to_owned())
    }

    /// Whether there is an image with this ID.
    fn has(&self, id: &str) -> Result<bool> {
        match self.digest(id, id) {
            Ok(_) => Ok(true),
            // If podman fails for another reason, it will tell that next.
            Err(Error::Command { .. } | Error::Mismatch { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether the images are on another machine. podman knows: it can be told by a flag in its
    /// configuration, by variables, and by what it is built for.
    fn is_remote(&self) -> Result<bool> {
        let answer = self.ask(&["info", "--format", "{{.Host.ServiceIsRemote}}"])?;
        Ok(answer == "true")
    }

    fn tag(&self, id: &str, name: &str) -> Result<()> {
        self.ask(&["tag", id, name]).map(|_| ())
    }

    /// Takes away the names under which a copy that was killed lent the image.
    fn remove_lent_names(&self, image: &Image) -> Result<()> {
        let id = image.manifest.config.digest.hex();
        let names = self.inspect(&id, "{{range .RepoTags}}{{.}} {{end}}")?;
        for name in names.split_whitespace() {
            if was_lent_as(image, name) {
                self.untag(&id, name);
            }
        }
        Ok(())
    }

    /// Takes a name away. Another copy may have done so already, and what is left the next one takes.
    fn untag(&self, id: &str, name: &str) {
        let _ = self.ask(&["untag", id, name]);
    }

    fn inspect(&self, name: &str, format: &str) -> Result<String> {
        self.ask(&["image", "inspect", "--format", format, name])
    }

    /// The digest of the manifest of podman's image of this name, if that has the ID.
    fn digest(&self, name: &str, id: &str) -> Result<Digest> {
        let answer = self.inspect(name, "{{.Id}} {{.Digest}}")?;
        let (found, digest) = answer.split_once(' ').unwrap_or((&answer, ""));
        if found != id {
            return Err(Error::Mismatch {
                what: format!("image {name} in podman"),
                expected: id.to_owned(),
                found: found.to_owned(),
                hint: "something else took the name meanwhile; copy again".to_owned(),
            });
        }
        digest.parse().map_err(|message| Error::Command {
            command: "podman image inspect".to_owned(),
            message,
            hint: "is this podman?".to_owned(),
        })
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new("podman");
    command.args(arguments);
    command
}
