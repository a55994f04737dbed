//! Images of a registry as things to copy, byte for byte: into an index of several.

use std::io::Write;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use strata_error::{Error, Result};
use strata_image::Image;
use strata_layer::Layer;
use strata_oci::{Config, Descriptor, Digest, History, ImageConfig, Manifest, Platform};
use strata_progress::Context;
use strata_registry::pull::{RemoteImage, Source, platform_of};
use strata_tree::Recipe;

/// A layer that is in a registry.
struct RemoteLayer {
    source: Arc<Source>,
    blob: Descriptor,
    diff_id: Digest,
}

impl Layer for RemoteLayer {
    fn descriptor(&self) -> &Descriptor {
        &self.blob
    }

    fn diff_id(&self) -> Digest {
        self.diff_id
    }

    fn recipe(&self) -> Option<&Recipe> {
        None
    }

    fn write_to(&self, writer: &mut dyn Write) -> Result<()> {
        // Whoever writes is told when to stop, and fails then.
        self.source
            .write_blob(&self.blob, writer, Context::silent())
    }
}

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
