//! An image as a thing to copy.

use std::sync::Arc;

use strata_layer::{ImageName, Layer};
use strata_oci::{Descriptor, Format, ImageConfig, Manifest, NIX_LAYER, json, media_type};

/// An image that can be copied.
pub struct Image {
    /// What the image is called, if its builder said so.
    pub name: Option<ImageName>,
    /// The form that its manifest is to have where it is copied to, if its builder said so.
    pub format: Option<Format>,
    /// The manifest.
    pub manifest: Manifest,
    /// The manifest's bytes, of which `manifest_descriptor` holds the digest.
    pub manifest_bytes: Vec<u8>,
    /// The manifest's media type, digest and size.
    pub manifest_descriptor: Descriptor,
    /// The config.
    pub config: ImageConfig,
    /// The config's bytes.
    pub config_bytes: Vec<u8>,
    /// The layers, lowest first, one for each of the manifest's.
    pub layers: Vec<Arc<dyn Layer>>,
}

impl Image {
    /// The same with other forms of its layers, as with compressed ones. Its manifest is one of OCI that names them.
    #[must_use]
    pub fn with_layers(self, layers: Vec<Arc<dyn Layer>>) -> Self {
        let descriptors = layers.iter().map(|layer| layer.descriptor().clone());
        let manifest = self.manifest.with_layers(descriptors.collect());
        let manifest_bytes = json::to_bytes(&manifest);
        Self {
            manifest_descriptor: Descriptor {
                annotations: self.manifest_descriptor.annotations,
                platform: self.manifest_descriptor.platform,
                ..Descriptor::of(media_type::MANIFEST, &manifest_bytes)
            },
            manifest,
            manifest_bytes,
            layers,
            ..self
        }
    }

    /// The same with a manifest in Docker's format; its digest is another one. `None` if that has no name for what the
    /// image holds.
    pub fn in_docker_format(&self) -> Option<Self> {
        let manifest = self.manifest.in_docker_format()?;
        Some(self.with_manifest(manifest, self.config.clone(), self.config_bytes.clone()))
    }

    /// The same layers under the same name, described by another manifest and config.
    fn with_manifest(
        &self,
        manifest: Manifest,
        config: ImageConfig,
        config_bytes: Vec<u8>,
    ) -> Self {
        let manifest_bytes = json::to_bytes(&manifest);
        Self {
            name: self.name.clone(),
            format: self.format,
            manifest_descriptor: Descriptor {
                annotations: self.manifest_descriptor.annotations.clone(),
                platform: self.manifest_descriptor.platform.clone(),
                ..Descriptor::of(&manifest.media_type, &manifest_bytes)
            },
            manifest,
            manifest_bytes,
            config,
            config_bytes,
            layers: self.layers.clone(),
        }
    }

    /// Whether store paths are mounted into its containers, which annotations of its layers say.
    pub fn mounts_store_paths(&self) -> bool {
        let mut layers = self.manifest.layers.iter();
        layers.any(|layer| layer.annotations.contains_key(NIX_LAYER))
    }

    /// The same, made at this time (RFC 3339); its digest is another one. Layers stay, and what the history says of them.
    #[must_use]
    pub fn created_at(&self, time: &str) -> Self {
        let config = ImageConfig {
            created: Some(time.to_owned()),
            ..self.config.clone()
        };
        let config_bytes = json::to_bytes(&config);
        let manifest = Manifest {
            config: Descriptor {
                annotations: self.manifest.config.annotations.clone(),
                ..Descriptor::of(&self.manifest.config.media_type, &config_bytes)
            },
            ..self.manifest.clone()
        };
        self.with_manifest(manifest, config, config_bytes)
    }

    /// Whether containers of it are checked. Podman does not read that from an OCI manifest's config.
    pub fn has_health_check(&self) -> bool {
        let check = self.config.config.get("Healthcheck");
        check.is_some_and(|check| !check.is_null())
    }
}
