//! Image indices (OCI image-index.md), also as the `index.json` of a layout.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::lenient::{null_is_default, texts};
use super::{Descriptor, media_type};

/// A list of manifests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// [`media_type::INDEX`]; older writers leave it out.
    #[serde(default, deserialize_with = "null_is_default")]
    pub media_type: String,
    /// The manifests, each with its name in the annotations, or its platform.
    #[serde(deserialize_with = "null_is_default")]
    pub manifests: Vec<Descriptor>,
    /// Free-form notes.
    #[serde(
        default,
        deserialize_with = "texts",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
}

impl Index {
    /// The annotation that holds a tag (OCI annotations.md).
    pub const REFERENCE_NAME: &str = "org.opencontainers.image.ref.name";
    /// The annotation that holds the whole name and tag; containerd's importer reads it.
    pub const CONTAINERD_NAME: &str = "io.containerd.image.name";

    /// An index of `manifests`.
    pub fn new(manifests: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: media_type::INDEX.to_owned(),
            manifests,
            annotations: BTreeMap::new(),
        }
    }

    /// The same in Docker's format, a list of manifests in schema 2, which has no annotations. `None` if it
    /// holds something else.
    #[must_use]
    pub fn in_docker_format(&self) -> Option<Self> {
        let manifests = self.manifests.iter().map(Descriptor::in_docker_format);
        Some(Self {
            schema_version: 2,
            media_type: media_type::DOCKER_INDEX.to_owned(),
            manifests: manifests.collect::<Option<_>>()?,
            annotations: BTreeMap::new(),
        })
    }

    /// The same with other manifests in the places of its own: digests and sizes are theirs, the rest
    /// of each entry stays.
    #[must_use]
    pub fn with_manifests<'a>(&self, others: impl Iterator<Item = &'a Descriptor>) -> Self {
        let entry = |(entry, other): (&Descriptor, &Descriptor)| Descriptor {
            digest: other.digest,
            size: other.size,
            ..entry.clone()
        };
        Self {
            manifests: self.manifests.iter().zip(others).map(entry).collect(),
            ..self.clone()
        }
    }
}
