//! `containers-storage:`: podman, on this machine or another.
//!
//! A podman of this machine pulls from a registry that lives as long as the command (`local`). It
//! skips the layers that it has in any image, because a tar layer is called by its diff ID. One on
//! another machine, or in a virtual one, cannot reach that, and loads an archive (`remote`).

mod client;
mod local;
mod remote;

use std::path::Path;

use crate::process;
use client::{Podman, command};
use strata_copy::{CopyName, blobs};
use strata_error::{Error, Result};
use strata_image::Image;
use strata_oci::{Digest, Platform};
use strata_progress::{Context, Outcome};

/// Copies `image` there; gives the digest of the manifest that podman has then, which is another one
/// than the image's if podman has the image already and got it elsewhere. It worked if podman answers
/// to the name with the config's digest.
///
/// Podman itself reads `CONTAINER_HOST`, `CONTAINERS_STORAGE_CONF` and its other variables and files.
pub fn copy(image: &Image, name: &CopyName, context: Context<'_>) -> Result<Digest> {
    let podman = Podman { context };
    let id = image.manifest.config.digest.hex();
    // Each question starts podman, which takes longer than it takes to answer.
    let (is_there, is_remote) = rayon::join(|| podman.has(&id), || podman.is_remote());
    if is_there? {
        for blob in blobs(image).into_values() {
            context.progress.begin(blob.descriptor());
            context.progress.finish(blob.descriptor(), Outcome::Present);
        }
        podman.remove_loopback_names(image)?;
    } else if is_remote? {
        remote::load(&podman, image, name)?;
    } else {
        return local::pull(&podman, image, name.full.as_deref());
    }
    let Some(full) = &name.full else {
        return podman.digest(&id, &id);
    };
    podman.tag(&id, full)?;
    podman.digest(full, &id)
}

/// What podman's containers run on.
pub fn platform(context: Context<'_>) -> Result<Platform> {
    let podman = Podman { context };
    podman
        .platform()?
        .parse()
        .map_err(|message| Error::Command {
            command: "podman version".to_owned(),
            message,
            hint: "choose an image with --platform".to_owned(),
        })
}

/// Writes the archive of its image `name` to `file`, as `podman save` does.
pub fn save(name: &str, file: &Path, context: Context<'_>) -> Result<()> {
    let mut save = command(&["save", "--quiet", "--format", "docker-archive", "--output"]);
    save.arg(file).arg(name);
    let hint = "`podman images` lists what it has; an image of root is for root to see";
    process::run(save, hint, context).map(|_| ())
}
