//! Images to look at: whatever `IMAGE` stands for, opened by one reader.
//!
//! ```text
//!  open ──> own       outputs of derivations: recipes, references, what the arguments named
//!       ├─> stored    layouts, archives and directories of others
//!       ├─> remote    registries
//!       └─> engine    docker-daemon:, containers-storage:, by an archive that lives as long as the image
//!  tables             what of layers is fetched in parts
//!  contents (layer)   what is in the layers of one: recipes are believed, others are read
//! ```

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod engine;
mod facts;
mod files;
mod layer;
mod own;
mod remote;
mod stored;
mod table;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use strata_contents::{Contents, FoundLayer, Named};
use strata_engine::docker;
use strata_error::{Error, Result};
use strata_layer::{Layer, LayersFile};
use strata_nix::Store;
use strata_oci::{Compression, Digest, ImageConfig, Platform, without_password};
use strata_progress::Context;
use strata_tree::{Budget, Recipe};

pub use facts::Facts;
pub use files::{Mentioning, mentioned_by, mentioning};

/// How `IMAGE` is read.
pub struct Options {
    /// How registries are reached.
    pub registry: strata_registry::Options,
    /// How Docker is reached.
    pub docker: docker::Options,
}

/// An image to look at.
pub struct SourceImage {
    /// What is said of it as a whole.
    pub facts: Facts,
    /// Its config.
    pub config: ImageConfig,
    /// What the arguments named, as far as it says so itself.
    named: Vec<Named>,
    layers: Layers,
    /// Whether reading a layer means to fetch it.
    pub is_remote: bool,
    /// What its layers lie in, if that goes with it.
    _archive: Option<Arc<TempDir>>,
}

/// The layers of an image.
enum Layers {
    /// Those of an output, and where that is.
    Recorded(Box<LayersFile>, std::path::PathBuf),
    /// Those that tell of themselves when they are read.
    Read(Vec<Arc<dyn Layer>>),
}

/// Layers that were read.
pub struct ReadLayers {
    /// By their diff IDs.
    layers: BTreeMap<Digest, FoundLayer>,
    /// What may still be kept of others.
    budget: Budget,
}

impl Default for ReadLayers {
    fn default() -> Self {
        Self {
            layers: BTreeMap::new(),
            budget: Budget::new(MOST_MEMORY, MOST_ENTRIES),
        }
    }
}

/// The most bytes of memory that is kept of the files of all images that are looked at.
const MOST_MEMORY: usize = 2 << 30;
/// The most entries of all their layers.
const MOST_ENTRIES: usize = 10_000_000;

/// How closely layers are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// The store paths in them; of layers that lie on a base image, those of the base are passed over.
    Packages,
    /// All files, and their digests.
    Files,
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
    match chosen.map(|(number, _)| *number) {
        Some(number) => Ok(images.swap_remove(number)),
        None => {
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
    }
}

impl SourceImage {
    /// What is in it.
    pub fn contents(&self, depth: Depth, context: Context<'_>) -> Result<Contents> {
        self.contents_beside(&mut ReadLayers::default(), depth, context)
    }

    /// What is in it, where layers that were read of another image are not read again.
    pub fn contents_beside(
        &self,
        known: &mut ReadLayers,
        depth: Depth,
        context: Context<'_>,
    ) -> Result<Contents> {
        let mut named = self.named.clone();
        let layers = match &self.layers {
            Layers::Recorded(file, path) => {
                own::layers(file, path, &self.config, &mut known.budget, depth, context)?
            }
            Layers::Read(layers) => {
                let history = layer::history(&self.config, layers.len());
                let read = layers.iter().zip(history);
                let read = read.map(|(layer, created_by)| {
                    let found = match known.layers.get(&layer.diff_id()) {
                        Some(found) => layer::again(found, layer.as_ref()),
                        None => layer::read(layer.as_ref(), &mut known.budget, depth, context)?,
                    };
                    known.layers.insert(layer.diff_id(), found.clone());
                    Ok(FoundLayer {
                        created_by,
                        ..found
                    })
                });
                let layers = read.collect::<Result<Vec<FoundLayer>>>()?;
                named.extend(layer::named(&self.config.config, &layers));
                layers
            }
        };
        Contents::new(layers, &named)
    }

    /// The recipe of a layer, and how it is compressed or is to be, as far as that is said.
    pub fn recipe(&self, layer: usize) -> (Option<&Recipe>, Option<Compression>) {
        match &self.layers {
            Layers::Recorded(file, _) => match layer.checked_sub(file.base.len()) {
                None => (None, file.base[layer].compression),
                Some(own) => match file.layers.get(own) {
                    Some(record) => (Some(&record.recipe), record.compression),
                    None => (None, None),
                },
            },
            Layers::Read(layers) => (None, layers.get(layer).and_then(|it| it.compression())),
        }
    }

    /// The store where its packages are. Those of images of others may be there, too: a store path is the same
    /// wherever it is.
    pub fn store(&self) -> Result<Store> {
        match &self.layers {
            Layers::Recorded(file, path) => own::store(file, path),
            Layers::Read(_) => Ok(Store::new("/nix/store")),
        }
    }
}

fn wrong(text: &str, message: &str, hint: &str) -> Error {
    Error::Name {
        what: "image",
        value: without_password(text),
        message: message.to_owned(),
        hint: hint.to_owned(),
    }
}
