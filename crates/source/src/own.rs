//! What derivations of Strata built.

use std::path::Path;

use super::facts::{Facts, IndexFacts};
use super::image::{Layers, SourceImage};
use super::recorded;
use strata_contents::recorded_names;
use strata_error::Result;
use strata_image::ManifestOrIndex;
use strata_layer::{Documents, ImagesFile};

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
    recorded::store(&file, path)?;
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
