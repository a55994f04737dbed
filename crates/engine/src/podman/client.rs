//! Commands of podman.

use std::process::Command;

use crate::process;
use strata_error::{Error, Result};
use strata_image::Image;
use strata_oci::Digest;
use strata_progress::Context;
use strata_serve::is_loopback_name;

/// podman, as long as a copy lasts.
pub(super) struct Podman<'a> {
    /// Who watches.
    pub(super) context: Context<'a>,
}

impl Podman<'_> {
    /// Asks a question.
    pub(super) fn query(&self, arguments: &[&str]) -> Result<String> {
        let output = process::query(command(arguments), "", self.context)?;
        Ok(String::from_utf8_lossy(&output).trim().to_owned())
    }

    /// Whether there is an image with this ID.
    pub(super) fn has(&self, id: &str) -> Result<bool> {
        match self.digest(id, id) {
            Ok(_) => Ok(true),
            // If podman fails for another reason, it will tell that next.
            Err(Error::Command { .. } | Error::Mismatch { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether the images are on another machine. podman knows: it can be told by a flag in its
    /// configuration, by variables, and by what it is built for. Its version is told in a tenth of the time that
    /// `podman info` takes, which starts the runtimes to ask for theirs.
    pub(super) fn is_remote(&self) -> Result<bool> {
        let output = self.version("{{if .Server}}remote{{end}}")?;
        Ok(output == "remote")
    }

    /// What containers run on, as `OS/ARCHITECTURE`.
    pub(super) fn platform(&self) -> Result<String> {
        self.version("{{if .Server}}{{.Server.OsArch}}{{else}}{{.Client.OsArch}}{{end}}")
    }

    fn version(&self, format: &str) -> Result<String> {
        self.query(&["version", "--format", format])
    }

    /// Gives a name to the image with this ID.
    pub(super) fn tag(&self, id: &str, name: &str) -> Result<()> {
        self.query(&["tag", id, name]).map(|_| ())
    }

    /// Takes away the names under which a copy that was killed served the image.
    pub(super) fn remove_loopback_names(&self, image: &Image) -> Result<()> {
        let id = image.manifest.config.digest.hex();
        let names = self.inspect(&id, "{{range .RepoTags}}{{.}} {{end}}")?;
        for name in names.split_whitespace() {
            if is_loopback_name(image, name) {
                self.untag(&id, name);
            }
        }
        Ok(())
    }

    /// Takes a name away. Another copy may have done so already, and what is left the next one takes.
    pub(super) fn untag(&self, id: &str, name: &str) {
        let _ = self.query(&["untag", id, name]);
    }

    fn inspect(&self, name: &str, format: &str) -> Result<String> {
        self.query(&["image", "inspect", "--format", format, name])
    }

    /// The digest of the manifest of podman's image of this name, if that has the ID.
    pub(super) fn digest(&self, name: &str, id: &str) -> Result<Digest> {
        let output = self.inspect(name, "{{.Id}} {{.Digest}}")?;
        let (found, digest) = output.split_once(' ').unwrap_or((&output, ""));
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

/// podman with these arguments.
pub(super) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new("podman");
    command.args(arguments);
    command
}
