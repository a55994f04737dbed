//! Images of a registry as things to copy, byte for byte: to other places, and into an index of several.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use strata_error::{Error, Result};
use strata_image::{Image, ImageIndex, ManifestOrIndex};
use strata_layer::Layer;
use strata_oci::{
    Config, Descriptor, Digest, History, ImageConfig, Index, Manifest, Platform, Reference,
    media_type,
};
use strata_progress::Context;
use strata_registry::pull::{RemoteImage, RemoteLayer, Source, platform_of};
use strata_registry::{Options, Repository};

/// What a copy needs of a config; the rest of its bytes is nobody's concern here.
#[derive(Deserialize)]
struct RemoteConfig {
    rootfs: RemoteRootFs,
    #[serde(default)]
    config: Value,
    #[serde(default, rename = "os.version")]
    os_version: Value,
    #[serde(default, rename = "os.features")]
    os_features: Value,
}

#[derive(Deserialize)]
struct RemoteRootFs {
    diff_ids: Vec<Digest>,
}

/// Every image that the reference of `source` means. Layers are fetched when they are asked for.
pub(crate) fn images(source: Source, context: Context<'_>) -> Result<Vec<Image>> {
    let source = Arc::new(source);
    let remote = source.images(context)?.into_iter();
    remote
        .map(|image| with_documents(&source, image, context))
        .collect()
}

/// What `reference` means, an image or an index with all of its images.
pub(crate) fn open(
    reference: &Reference,
    options: &Options,
    context: Context<'_>,
) -> Result<ManifestOrIndex> {
    let source = Source::connect(reference, options, context)?;
    let mut images = images(source, context)?;
    let repository = Repository::to_read(reference, options, context)?;
    let name = match &reference.digest {
        Some(digest) => digest.to_string(),
        None => reference.tag_or_latest().to_owned(),
    };
    let error = |message: &str, hint: &str| Error::Registry {
        operation: format!("cannot copy {reference}"),
        message: message.to_owned(),
        codes: Vec::new(),
        hint: hint.to_owned(),
    };
    let top = repository.document(&name, context)?;
    let top = top.ok_or_else(|| error("it is not there any more", ""))?;
    let is_top = |image: &Image| image.manifest_descriptor.digest == top.digest;
    if images.len() == 1 && images.first().is_some_and(is_top) {
        return Ok(ManifestOrIndex::Image(Box::new(images.swap_remove(0))));
    }
    let index: Index = serde_json::from_slice(&top.bytes)
        .map_err(|problem| error(&format!("not an index: {problem}"), ""))?;
    let own = images.iter().map(|image| image.manifest_descriptor.digest);
    if !own.eq(index.manifests.iter().map(|entry| entry.digest)) {
        return Err(error(
            "its index is not of images alone",
            "copy one of its images by its digest; `strata index create` makes an index of them",
        ));
    }
    let media_type = if index.media_type.is_empty() {
        media_type::INDEX
    } else {
        &index.media_type
    };
    Ok(ManifestOrIndex::Index(Box::new(ImageIndex {
        name: None,
        descriptor: Descriptor::of(media_type, &top.bytes),
        index,
        index_bytes: top.bytes,
        images,
    })))
}

/// How the registry of `source` is reached: what is said of the destination's registry goes to no other one.
pub(crate) fn options_of(
    source: &Reference,
    destination: Option<&Reference>,
    options: &Options,
) -> Options {
    if destination.is_none_or(|it| it.registry == source.registry) {
        return options.clone();
    }
    Options {
        tls_verify: None,
        credentials: None,
        certificate_directory: None,
        ..options.clone()
    }
}

/// The image with its documents.
fn with_documents(source: &Arc<Source>, image: RemoteImage, context: Context<'_>) -> Result<Image> {
    let config_bytes = source.config(&image, context)?;
    let config = platform_of(&config_bytes).and_then(|platform| parse(&config_bytes, platform));
    let Some(config) = config.filter(|it| it.rootfs.diff_ids.len() == image.layers.len()) else {
        return Err(Error::Document {
            document: format!("image {}", image.manifest.digest),
            message:
                "its config does not say what it runs on and which layers it has: it is no image"
                    .to_owned(),
            hint: "name the images; what is kept beside them has no platform".to_owned(),
        });
    };
    let layers = image.layers.iter().zip(&config.rootfs.diff_ids);
    let layers = layers.map(|(blob, diff_id)| {
        let layer = RemoteLayer {
            source: Arc::clone(source),
            blob: blob.clone(),
            diff_id: *diff_id,
        };
        Arc::new(layer) as Arc<dyn Layer>
    });
    Ok(Image {
        name: None,
        format: None,
        manifest: Manifest {
            schema_version: 2,
            media_type: image.manifest.media_type.clone(),
            config: image.config,
            layers: image.layers.clone(),
            annotations: std::collections::BTreeMap::new(),
        },
        manifest_bytes: image.manifest_bytes,
        manifest_descriptor: image.manifest,
        layers: layers.collect(),
        config,
        config_bytes,
    })
}

fn parse(bytes: &[u8], platform: Platform) -> Option<ImageConfig> {
    let RemoteConfig {
        rootfs,
        config,
        os_version,
        os_features,
    } = serde_json::from_slice(bytes).ok()?;
    let config = match config {
        Value::Object(config) => config,
        _ => Config::new(),
    };
    let layers = rootfs.diff_ids.into_iter();
    let layers = layers.map(|diff_id| (diff_id, History::default()));
    Some(ImageConfig {
        os_version: os_version.as_str().map(str::to_owned),
        os_features: serde_json::from_value(os_features).unwrap_or_default(),
        created: None,
        ..ImageConfig::new(platform, String::new(), config, layers)
    })
}
