//! Images of a registry as things to copy, byte for byte: to another repository, or into an index of several.

use std::io::Write;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use crate::pull::lock::platform_of;
use crate::pull::source::{RemoteImage, Source};
use strata_error::Result;
use strata_image::Image;
use strata_layer::Layer;
use strata_oci::{
    Config, Descriptor, Digest, Document, History, ImageConfig, IndexEntry, Manifest, Platform,
};
use strata_progress::Context;
use strata_tree::Recipe;

/// The most images that one name is taken for.
const MOST_IMAGES: usize = 100;

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

impl Source {
    /// The image that the reference means, or all of those that its index is of. What builders put beside images is
    /// left out. Layers are fetched when they are asked for.
    pub fn images(self: &Arc<Self>, context: Context<'_>) -> Result<Vec<Image>> {
        let remote = self.watch(context, || self.remote_images(context))?;
        let images = remote.into_iter().map(|image| self.image(image, context));
        images.collect()
    }

    fn remote_images(&self, context: Context<'_>) -> Result<Vec<RemoteImage>> {
        let top = self.top(context)?;
        let Document::Index(entries) = &top.document else {
            return Ok(vec![self.only(top)?]);
        };
        let is_image = |entry: &&IndexEntry| !entry.is_attestation();
        let entries: Vec<&IndexEntry> = entries.iter().filter(is_image).collect();
        if entries.len() > MOST_IMAGES {
            let message = format!("its index is of more than {MOST_IMAGES} images");
            return Err(self.error(&message, "name the images that you want by their digests"));
        }
        let entry = |entry: &IndexEntry| {
            let found = self.document(&entry.digest.to_string(), context)?;
            self.only(found)
        };
        entries.into_iter().map(entry).collect()
    }

    /// The image with its documents.
    fn image(self: &Arc<Self>, image: RemoteImage, context: Context<'_>) -> Result<Image> {
        let config_bytes = self.config(&image, context)?;
        let config = platform_of(&config_bytes).and_then(|platform| parse(&config_bytes, platform));
        let Some(config) = config.filter(|it| it.rootfs.diff_ids.len() == image.layers.len())
        else {
            return Err(self.error(
                "its config does not say what it runs on and which layers it has: it is no image",
                "",
            ));
        };
        let layers = image.layers.iter().zip(&config.rootfs.diff_ids);
        let layers = layers.map(|(blob, diff_id)| {
            let layer = RemoteLayer {
                source: Arc::clone(self),
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
