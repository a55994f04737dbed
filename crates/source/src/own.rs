//! What derivations of Strata built.

use std::path::Path;

use super::facts::{Facts, IndexFacts};
use super::{Depth, Layers, SourceImage, layer};
use strata_contents::{FoundLayer, recorded, recorded_names};
use strata_error::{Error, Result};
use strata_image::{Image, ManifestOrIndex};
use strata_layer::{Documents, ImagesFile, LayersFile};
use strata_nix::Store;
use strata_oci::ImageConfig;
use strata_progress::Context;
use strata_tree::Budget;

/// The images of an output; none if it is no output of Strata.
pub(super) fn open(path: &Path) -> Result<Option<Vec<SourceImage>>> {
    if ImagesFile::is_in(path) {
        let ManifestOrIndex::Index(index) = ManifestOrIndex::open(path)? else {
            return Ok(None);
        };
        let facts = IndexFacts {
            digest: index.descriptor.digest,
            media_type: index.descriptor.media_type.clone(),
            annotations: index.index.annotations.clone(),
        };
        let images = ImagesFile::read(path)?.images;
        let images = images.iter().map(|output| {
            let mut image = one(Path::new(output))?;
            image.facts.index = Some(facts.clone());
            if let Some(name) = &index.name {
                image.facts.name = Some(name.name.clone());
                image.facts.tag = Some(name.tag.clone());
            }
            Ok(image)
        });
        return images.collect::<Result<_>>().map(Some);
    }
    if !Documents::are_in(path) {
        return Ok(None);
    }
    one(path).map(|image| Some(vec![image]))
}

fn one(path: &Path) -> Result<SourceImage> {
    let documents = Documents::read(path)?;
    let file = documents.layers;
    // What a stranger wrote is not believed, even if nothing is read from there now.
    store(&file, path)?;
    Ok(SourceImage {
        facts: Facts {
            name: file.image.as_ref().map(|image| image.name.clone()),
            tag: file.image.as_ref().map(|image| image.tag.clone()),
            digest: documents.manifest_descriptor.digest,
            media_type: documents.manifest_descriptor.media_type,
            annotations: documents.manifest.annotations,
            index: None,
        },
        config: documents.config,
        named: recorded_names(&file),
        layers: Layers::Recorded(Box::new(file), path.to_owned()),
        is_remote: false,
        _archive: None,
    })
}

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
