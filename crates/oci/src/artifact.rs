//! What belongs to an image and is none: artifacts that refer to it (OCI manifest.md, "Guidelines for Artifact
//! Usage"; distribution specification, "Listing Referrers").

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::lenient::{null_is_default, texts};
use super::{Descriptor, Digest, media_type};

/// The manifest of something that is no image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// Always 2.
    pub schema_version: u32,
    /// [`media_type::MANIFEST`].
    #[serde(default, deserialize_with = "null_is_default")]
    pub media_type: String,
    /// What it is.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub artifact_type: String,
    /// Its config, which is empty for most.
    pub config: Descriptor,
    /// What it consists of.
    #[serde(default, deserialize_with = "null_is_default")]
    pub layers: Vec<Descriptor>,
    /// The manifest that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Free-form notes.
    #[serde(
        default,
        deserialize_with = "texts",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
}

impl Artifact {
    /// The bytes of an empty config.
    pub const EMPTY: &[u8] = b"{}";

    /// A document that belongs to `subject`.
    pub fn new(artifact_type: &str, layer: Descriptor, subject: Descriptor) -> Self {
        Self {
            schema_version: 2,
            media_type: media_type::MANIFEST.to_owned(),
            artifact_type: artifact_type.to_owned(),
            config: Descriptor::of(media_type::EMPTY, Self::EMPTY),
            layers: vec![layer],
            subject: Some(subject),
            annotations: BTreeMap::new(),
        }
    }

    /// What it is: its own word for it, else that for its config.
    pub fn kind(&self) -> &str {
        if self.artifact_type.is_empty() {
            &self.config.media_type
        } else {
            &self.artifact_type
        }
    }
}

/// An entry of a list of what refers to a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Referrer {
    /// Of what type its manifest is.
    pub media_type: String,
    /// The digest of its manifest.
    pub digest: Digest,
    /// The length of its manifest in bytes.
    pub size: u64,
    /// What it is.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub artifact_type: String,
    /// The annotations of its manifest.
    #[serde(
        default,
        deserialize_with = "texts",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
}

impl Referrer {
    /// The entry of an artifact whose manifest has these bytes.
    pub fn of(artifact: &Artifact, bytes: &[u8]) -> Self {
        Self {
            media_type: artifact.media_type.clone(),
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
            artifact_type: artifact.kind().to_owned(),
            annotations: artifact.annotations.clone(),
        }
    }

    /// Its manifest.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::new(&self.media_type, self.digest, self.size)
    }
}

/// What refers to a manifest: an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Referrers {
    /// Always 2.
    pub schema_version: u32,
    /// [`media_type::INDEX`], if it says so.
    #[serde(default, deserialize_with = "null_is_default")]
    pub media_type: String,
    /// The manifests.
    #[serde(deserialize_with = "null_is_default")]
    pub manifests: Vec<Referrer>,
}

impl Default for Referrers {
    fn default() -> Self {
        Self {
            schema_version: 2,
            media_type: media_type::INDEX.to_owned(),
            manifests: Vec::new(),
        }
    }
}

impl Referrers {
    /// The tag under which a registry that cannot list them has the list of those of `subject` ("Referrers Tag
    /// Schema").
    pub fn tag(subject: &Digest) -> String {
        subject.to_string().replace(':', "-")
    }

    /// Reads a list; the error says what is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let mut list: Self = serde_json::from_slice(bytes)
            .map_err(|error| format!("not an index of what refers to an image: {error}"))?;
        if list.media_type.is_empty() {
            media_type::INDEX.clone_into(&mut list.media_type);
        }
        if list.media_type == media_type::INDEX {
            Ok(list)
        } else {
            Err(format!("{} where an index is expected", list.media_type))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    #[test]
    fn artifacts_say_what_they_are() {
        let subject = Descriptor::of(media_type::MANIFEST, b"image");
        let layer = Descriptor::of("a/b", b"text");
        let mut artifact = Artifact::new("a/b", layer, subject);
        let bytes = json::to_bytes(&artifact);
        assert_eq!(
            serde_json::from_slice::<Artifact>(&bytes).unwrap(),
            artifact
        );
        assert_eq!(Referrer::of(&artifact, &bytes).artifact_type, "a/b");
        artifact.artifact_type.clear();
        assert_eq!(artifact.kind(), media_type::EMPTY);
    }

    #[test]
    fn lists_are_indexes() {
        let list = Referrers::default();
        let bytes = json::to_bytes(&list);
        assert_eq!(Referrers::parse(&bytes), Ok(list.clone()));
        let short = r#"{"schemaVersion":2,"manifests":[]}"#;
        assert_eq!(Referrers::parse(short.as_bytes()), Ok(list));
        for wrong in [
            "",
            "[]",
            r#"{"schemaVersion":2,"mediaType":"a/b","manifests":[]}"#,
            r#"{"schemaVersion":2}"#,
        ] {
            assert!(Referrers::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
        let tag = Referrers::tag(&Digest::of(b""));
        assert!(tag.starts_with("sha256-e3b0c442"), "{tag}");
    }
}
