//! An image to look at, and what is in it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tempfile::TempDir;

use super::depth::Depth;
use super::facts::Facts;
use super::{layer, recorded};
use strata_contents::{Contents, FoundLayer, Named};
use strata_error::Result;
use strata_layer::{Layer, LayersFile};
use strata_nix::Store;
use strata_oci::{Compression, Digest, ImageConfig};
use strata_progress::Context;
use strata_tree::{Budget, Recipe};

/// An image to look at.
pub struct SourceImage {
    /// What is said of it as a whole.
    pub facts: Facts,
    /// Its config.
    pub config: ImageConfig,
    /// What the arguments named, as far as it says so itself.
    pub(super) named: Vec<Named>,
    pub(super) layers: Layers,
    /// Whether reading a layer means to fetch it.
    pub is_remote: bool,
    /// What its layers lie in, if that goes with it.
    pub(super) _archive: Option<Arc<TempDir>>,
}

/// The layers of an image.
pub(super) enum Layers {
    /// Those of an output, and where that is.
    Recorded(Box<LayersFile>, PathBuf),
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
                recorded::layers(file, path, &self.config, &mut known.budget, depth, context)?
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
            Layers::Recorded(file, path) => recorded::store(file, path),
            Layers::Read(_) => Ok(Store::new("/nix/store")),
        }
    }
}
