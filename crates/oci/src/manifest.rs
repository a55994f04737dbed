//! Image manifests (OCI manifest.md).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Descriptor, media_type};

/// Which config and which layers make an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// [`media_type::MANIFEST`].
    pub media_type: String,
    /// The config blob.
    pub config: Descriptor,
    /// The layer blobs, lowest first.
    pub layers: Vec<Descriptor>,
    /// Free-form notes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// Whose form manifests have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Format {
    /// That of the OCI image specification.
    Oci,
    /// Docker's (Image Manifest Version 2, Schema 2).
    Docker,
}

impl Manifest {
    /// An OCI manifest.
    pub fn new(
        config: Descriptor,
        layers: Vec<Descriptor>,
        annotations: BTreeMap<String, String>,
    ) -> Self {
        let media_type = media_type::MANIFEST.to_owned();
        Self {
            schema_version: 2,
            media_type,
            config,
            layers,
            annotations,
        }
    }

    /// The same in Docker's format, schema 2, which has no annotations. `None` if that has no name for what
    /// it holds.
    #[must_use]
    pub fn in_docker_format(&self) -> Option<Self> {
        let layers = self.layers.iter().map(Descriptor::in_docker_format);
        Some(Self {
            schema_version: 2,
            media_type: media_type::DOCKER_MANIFEST.to_owned(),
            config: self.config.in_docker_format()?,
            layers: layers.collect::<Option<_>>()?,
            annotations: BTreeMap::new(),
        })
    }

    /// The same with other layers, compressed ones for example.
    #[must_use]
    pub fn with_layers(&self, layers: Vec<Descriptor>) -> Self {
        Self {
            layers,
            ..self.clone()
        }
    }
}
