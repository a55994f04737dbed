//! What the output of a derivation says of its layers.

use std::path::Path;

use super::depth::Depth;
use super::layer;
use strata_contents::{FoundLayer, recorded};
use strata_error::{Error, Result};
use strata_image::Image;
use strata_layer::LayersFile;
use strata_nix::Store;
use strata_oci::ImageConfig;
use strata_progress::Context;
use strata_tree::Budget;

/// The store that the recipes of an output name.
pub(super) fn store(file: &LayersFile, path: &Path) -> Result<Store> {
    let environment = |name: &str| std::env::var(name).ok();
    let store = Store::of_output(file.store_dir.clone(), path, &environment);
    store.map_err(|message| Error::Document {
        document: path.display().to_string(),
        message,
        hint: format!(
            "if that is the store, say so: NIX_STORE_DIR={}",
            file.store_dir
        ),
    })
}

/// The layers of an output, with what their recipes say.
pub(super) fn layers(
    file: &LayersFile,
    path: &Path,
    config: &ImageConfig,
    budget: &mut Budget,
    depth: Depth,
    context: Context<'_>,
) -> Result<Vec<FoundLayer>> {
    let mut layers = recorded(file);
    let history = layer::history(config, layers.len());
    for (layer, created_by) in layers.iter_mut().zip(history) {
        layer.created_by = created_by;
    }
    if depth == Depth::Files {
        let image = Image::open(path)?;
        for (found, layer) in layers.iter_mut().zip(&image.layers) {
            let read = layer::read(layer.as_ref(), budget, depth, context)?;
            found.files = read.files;
            if found.is_base {
                found.packages = read.packages;
            }
        }
    }
    Ok(layers)
}
