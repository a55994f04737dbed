//! Images in registries.

use std::sync::Arc;

use super::facts::{Facts, IndexFacts};
use super::image::{Layers, SourceImage};
use serde::Deserialize;
use strata_base::parse_foreign_config;
use strata_error::{Error, Result};
use strata_layer::Layer;
use strata_oci::Reference;
use strata_progress::Context;
use strata_registry::Options;
use strata_registry::pull::{RemoteImage, RemoteLayer, Source};

/// The image that `name` means, or those of its index.
pub(super) fn open(
    name: &str,
    options: &Options,
    context: Context<'_>,
) -> Result<Vec<SourceImage>> {
    let reference = Reference::parse_in_registry(name)?;
    let source = Arc::new(Source::connect(&reference, options, context)?);
    let images = source.images(context)?.into_iter();
    images
        .map(|image| one(&source, &reference, image, context))
        .collect()
}

/// What only whoever looks at a manifest wants to know.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Said {
    annotations: std::collections::BTreeMap<String, String>,
}

fn one(
    source: &Arc<Source>,
    reference: &Reference,
    image: RemoteImage,
    context: Context<'_>,
) -> Result<SourceImage> {
    let document = format!("config {} of {reference}", image.config.digest);
    let config = parse_foreign_config(&source.config(&image, context)?, &document)?;
    let diff_ids = &config.rootfs.diff_ids;
    if diff_ids.len() != image.layers.len() {
        return Err(Error::Document {
            document,
            message: format!(
                "{} diff IDs for {} layers",
                diff_ids.len(),
                image.layers.len()
            ),
            hint: "push the image again; what is kept beside images has no layers of files"
                .to_owned(),
        });
    }
    let layers = image.layers.iter().zip(diff_ids).map(|(blob, diff_id)| {
        Arc::new(RemoteLayer {
            source: Arc::clone(source),
            blob: blob.clone(),
            diff_id: *diff_id,
        }) as Arc<dyn Layer>
    });
    let said: Said = serde_json::from_slice(&image.manifest_bytes).unwrap_or_default();
    let layers = Layers::Read(layers.collect());
    Ok(SourceImage {
        facts: Facts {
            name: Some(format!("{}/{}", reference.registry, reference.repository)),
            tag: reference
                .digest
                .is_none()
                .then(|| reference.tag_or_latest().to_owned()),
            digest: image.manifest.digest,
            media_type: image.manifest.media_type,
            annotations: said.annotations,
            index: image.index.map(|index| IndexFacts {
                digest: index.digest,
                media_type: index.media_type,
                annotations: std::collections::BTreeMap::new(),
            }),
        },
        config,
        named: Vec::new(),
        layers,
        is_remote: true,
        _archive: None,
    })
}
