//! `containers-storage:`: podman, on this machine or another.
//!
//! A podman of this machine pulls from a registry that lives as long as the command (`local`). It
//! skips the layers that it has in any image, because a tar layer is called by its diff ID. One on
//! another machine, or in a virtual one, cannot reach that, and loads an archive (`remote`).

mod local;
mod remote;

use std::io::Write;
use std::process::Command;

use super::blob::blobs;
use super::destination::CopyName;
use super::program::{self, Ended};
use super::{Outcome, Progress, Silent};
use crate::image::Image;
use crate::{Error, Result};

/// The way out when podman is not there.
const INSTALL: &str =
    "install podman, or copy to an archive: strata copy IMAGE docker-archive:image.tar";

/// How to reach it. Podman itself reads `CONTAINER_HOST`, `CONTAINERS_STORAGE_CONF` and its other
/// variables and files.
#[derive(Clone, Debug, Default)]
pub struct Options {}

/// Copies `image` there. It worked if podman answers to the name with the config's digest.
pub fn copy(
    image: &Image,
    name: &CopyName,
    _options: &Options,
    progress: &dyn Progress,
) -> Result<()> {
    let podman = Podman { progress };
    let id = image.manifest.config.digest.hex();
    let mut has_name = false;
    if podman.has(&id)? {
        for blob in blobs(image).into_values() {
            progress.begin(blob.descriptor());
            progress.finish(blob.descriptor(), Outcome::Present);
        }
    } else if podman.is_remote()? {
        remote::load(&podman, image, name)?;
    } else {
        local::pull(&podman, image, name.full.as_deref())?;
        has_name = true;
    }
    let Some(full) = &name.full else {
        return podman.verify(&id, &id);
    };
    if !has_name {
        podman.tag(&id, full)?;
    }
    podman.verify(full, &id)
}

/// podman's commands.
struct Podman<'a> {
    progress: &'a dyn Progress,
}

impl Podman<'_> {
    fn command(arguments: &[&str]) -> (Command, String) {
        let mut command = Command::new("podman");
        command.args(arguments);
        let verbs = arguments
            .iter()
            .take_while(|argument| !argument.starts_with('-'));
        let verbs: Vec<&str> = verbs.take(2).copied().collect();
        (command, format!("podman {}", verbs.join(" ")))
    }

    fn run(&self, arguments: &[&str]) -> Result<Ended> {
        let (mut command, name) = Self::command(arguments);
        program::run(&mut command, &name, INSTALL, self.progress)
    }

    /// Runs it with what `write` gives as its input.
    fn feed(
        &self,
        arguments: &[&str],
        write: impl FnOnce(&mut dyn Write) -> Result<()> + Send,
    ) -> Result<Ended> {
        let (mut command, name) = Self::command(arguments);
        program::feed(&mut command, &name, INSTALL, self.progress, write)
    }

    /// Runs it whether or not the user gave up, and whether or not it helps.
    fn tidy(arguments: &[&str]) {
        let podman = Podman { progress: &Silent };
        let _ = podman.run(arguments);
    }

    /// Whether there is an image with this ID or name.
    fn has(&self, image: &str) -> Result<bool> {
        let ended = self.run(&["image", "exists", image])?;
        match ended.code() {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(ended.failure("")),
        }
    }

    /// Whether the images are on another machine. podman knows: it can be told by a flag in its
    /// configuration, by variables, and by what it is built for.
    fn is_remote(&self) -> Result<bool> {
        let info = self.run(&["info", "--format", "{{.Host.ServiceIsRemote}}"])?;
        Ok(info.success("")?.trim() == "true")
    }

    fn tag(&self, id: &str, name: &str) -> Result<()> {
        self.run(&["tag", id, name])?.success("").map(|_| ())
    }

    /// Succeeds if podman's image of this name has the ID.
    fn verify(&self, name: &str, id: &str) -> Result<()> {
        let inspect = ["image", "inspect", "--format", "{{.Id}}", name];
        let output = self.run(&inspect)?.success("")?;
        let found = output.trim();
        if found == id {
            return Ok(());
        }
        Err(Error::Mismatch {
            what: format!("image {name} in podman"),
            expected: id.to_owned(),
            found: found.to_owned(),
            hint: "something else took the name meanwhile; copy again".to_owned(),
        })
    }
}
