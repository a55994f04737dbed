//! Images to look at: whatever `IMAGE` stands for, opened by one reader.
//!
//! ```text
//!  open ──> own       outputs of derivations: recipes, references, what the arguments named
//!       ├─> stored    layouts, archives and directories of others
//!       ├─> remote    registries
//!       └─> engine    docker-daemon:, containers-storage:, by an archive that lives as long as the image
//!  image ─┬─> recorded   what the layers of an output hold: recipes are believed
//!         ├─> layer      what those of others hold: they are read
//!         └─> table      what of them is fetched in parts
//! ```

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod depth;
mod engine;
mod facts;
mod files;
mod image;
mod layer;
mod own;
mod recorded;
mod remote;
mod stored;
mod table;
mod wrong;

use std::path::Path;

use strata_engine::docker;
use strata_error::Result;
use strata_oci::Platform;
use strata_progress::Context;

use self::wrong::wrong;

pub use depth::Depth;
pub use facts::Facts;
pub use files::{Mentioning, mentioned_by, mentioning};
pub use image::{ReadLayers, SourceImage};

/// How `IMAGE` is read.
pub struct Options {
    /// How registries are reached.
    pub registry: strata_registry::Options,
    /// How Docker is reached.
    pub docker: docker::Options,
}

/// The transports of what is looked at, beside paths.
pub const FORMS: &str = "\
An IMAGE is the output of a derivation or a link to it such as `result`, an OCI layout, an archive or a directory; or
  docker://NAME[:TAG|@DIGEST]        an image in a registry
  docker-daemon:NAME[:TAG]           one of a Docker engine
  containers-storage:NAME[:TAG]      one of podman, also podman:
  oci:PATH[:TAG], oci-archive:PATH, docker-archive:PATH[:NAME], dir:PATH
                                     files, as `strata copy` writes them";

/// Opens everything that `text` stands for: one image, or those of an index.
pub fn open(text: &str, options: &Options, context: Context<'_>) -> Result<Vec<SourceImage>> {
    let path = Path::new(text);
    // What is there is meant, whatever it is called.
    if let Some((transport, rest)) = text.split_once(':')
        && path.symlink_metadata().is_err()
    {
        match transport {
            "docker" => {
                let name = rest.strip_prefix("//").ok_or_else(|| {
                    wrong(
                        text,
                        "an image in a registry begins with docker://",
                        &format!("write docker://{}", rest.trim_start_matches('/')),
                    )
                })?;
                return remote::open(name, &options.registry, context);
            }
            "docker-daemon" => return engine::docker(rest, &options.docker, context),
            "containers-storage" | "podman" => return engine::podman(rest, context),
            "oci" | "oci-archive" | "docker-archive" | "dir" => return file(rest),
            _ => {}
        }
    }
    if path.symlink_metadata().is_err()
        && strata_oci::Reference::parse(text).is_ok()
        && !text.starts_with(['.', '/'])
    {
        return Err(wrong(
            text,
            "there is no such file or directory",
            &format!(
                "for an image in a registry write docker://{text}; an output is built with nix build"
            ),
        ));
    }
    at(path, None)
}

/// The image at the path that ends at the first colon, of the name behind it.
fn file(rest: &str) -> Result<Vec<SourceImage>> {
    let (path, name) = match rest.split_once(':') {
        Some((path, name)) => (path, Some(name)),
        None => (rest, None),
    };
    at(Path::new(path), name)
}

/// The images at a path; only those of this name, if there is one.
fn at(path: &Path, name: Option<&str>) -> Result<Vec<SourceImage>> {
    match own::open(path)? {
        Some(images) => Ok(images),
        None => stored::open(path, name, None),
    }
}

/// What is looked at where an index may be: the image for `platform`, if one is given; all of them; but of those that
/// would have to be fetched, the one for this machine.
pub fn choose_some(
    text: &str,
    images: Vec<SourceImage>,
    platform: Option<&Platform>,
) -> Result<Vec<SourceImage>> {
    let are_remote = images.len() > 1 && images.iter().any(|image| image.is_remote);
    if platform.is_some() || are_remote {
        return Ok(vec![choose(text, images, platform)?]);
    }
    Ok(images)
}

/// The one of several images that is for `platform`, or else for this machine.
pub fn choose(
    text: &str,
    mut images: Vec<SourceImage>,
    platform: Option<&Platform>,
) -> Result<SourceImage> {
    let wanted = platform.cloned();
    if images.len() == 1
        && wanted
            .as_ref()
            .is_none_or(|wanted| images[0].config.platform().fits(wanted))
    {
        return Ok(images.remove(0));
    }
    let wanted = wanted.unwrap_or_else(strata_destination::of_this_machine);
    let platforms: Vec<(usize, Platform)> = images
        .iter()
        .map(|image| image.config.platform())
        .enumerate()
        .collect();
    let chosen = wanted.choose(&platforms, |(_, own)| Some(own.clone()));
    if let Some((number, _)) = chosen {
        return Ok(images.swap_remove(*number));
    }
    let all: Vec<String> = platforms.iter().map(|(_, it)| it.to_string()).collect();
    Err(wrong(
        text,
        &format!("it has no image for {wanted}"),
        &format!(
            "it has images for {}; --platform chooses one",
            all.join(", ")
        ),
    ))
}
