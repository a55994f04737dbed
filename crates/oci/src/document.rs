//! What others mean by the name of an image: a manifest of one image, or an index of several (OCI
//! manifest.md and image-index.md; Docker's `manifest-v2-2.md`).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::lenient::{
    CONFIG, DOCKER_ARCHIVE, FittingItems, LOCK, MANIFEST, check_keys, if_it_fits, null_is_default,
    texts,
};
use super::{Descriptor, Digest, Platform, media_type};

/// What an index says of an image that is no image but the proof of how one was built.
const ATTESTATION: &str = "vnd.docker.reference.type";
/// What an index says of the platform of such a proof.
const UNKNOWN: &str = "unknown";

/// A manifest or an index.
#[derive(Debug)]
pub enum Document {
    /// One image.
    Image {
        /// The config blob.
        config: Descriptor,
        /// The layer blobs, lowest first.
        layers: Vec<Descriptor>,
    },
    /// Several, for other platforms for example.
    Index(Vec<IndexEntry>),
}

/// An image or index in an index.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IndexEntry {
    /// What it is, if the index says so.
    #[serde(default, deserialize_with = "null_is_default")]
    pub media_type: String,
    /// The digest of its manifest or index.
    pub digest: Digest,
    #[serde(default, deserialize_with = "if_it_fits")]
    platform: Option<EntryPlatform>,
    #[serde(default, deserialize_with = "texts")]
    annotations: BTreeMap<String, String>,
}

/// What an index says of a platform; nobody has to say all of it.
#[derive(Clone, Debug, Deserialize)]
struct EntryPlatform {
    #[serde(default, deserialize_with = "null_is_default")]
    architecture: String,
    #[serde(default, deserialize_with = "null_is_default")]
    os: String,
    #[serde(default)]
    variant: Option<String>,
}

impl Document {
    /// Reads a document, and the media type that it has. An error is a message and a hint, which may
    /// be empty.
    pub fn parse(bytes: &[u8]) -> Result<(String, Self), [String; 2]> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Either {
            schema_version: u32,
            #[serde(default)]
            media_type: Option<String>,
            config: Option<Descriptor>,
            layers: Option<Vec<Descriptor>>,
            // What is no entry that can be fetched, as one with a digest of another kind, is nobody's loss.
            #[serde(default)]
            manifests: FittingItems<IndexEntry>,
        }
        let error = |message: &str, hint: &str| Err([message.to_owned(), hint.to_owned()]);
        if let Err(problem) = check_keys(bytes, MANIFEST) {
            return error(&format!("no manifest: {problem}"), "");
        }
        let either: Either = match serde_json::from_slice(bytes) {
            Ok(either) => either,
            Err(problem) => return error(&format!("no manifest: {problem}"), ""),
        };
        if either.schema_version != 2 {
            return error(
                "a manifest of Docker's first schema, which says too little of its layers",
                "push the image again with a current docker, podman or skopeo",
            );
        }
        let (default, document) = match (either.config, either.layers, either.manifests) {
            (None, None, FittingItems::Items(entries)) => (media_type::INDEX, Self::Index(entries)),
            // What is written in Go has null for an empty list.
            (None, None, FittingItems::Null) => (media_type::INDEX, Self::Index(Vec::new())),
            (Some(config), layers, FittingItems::Absent | FittingItems::Null) => {
                let layers = layers.unwrap_or_default();
                (media_type::MANIFEST, Self::Image { config, layers })
            }
            // Who takes it for one and who for the other see different images (CVE-2021-41190).
            _ => return error("both a manifest and an index, or half of one", ""),
        };
        let media_type = either.media_type.unwrap_or_else(|| default.to_owned());
        Ok((media_type, document))
    }
}

/// Refuses a config with a key twice, or in another case than its own: programs differ on what it says.
pub fn check_config_keys(bytes: &[u8]) -> Result<(), String> {
    check_keys(bytes, CONFIG)
}

/// The same for the list in a Docker archive.
pub fn check_docker_archive_keys(bytes: &[u8]) -> Result<(), String> {
    check_keys(bytes, DOCKER_ARCHIVE)
}

/// The same for a lock file, in which no platform may be twice.
pub(super) fn check_lock_keys(bytes: &[u8]) -> Result<(), String> {
    check_keys(bytes, LOCK)
}

/// The same for an index, which somebody else may have written and others read.
pub fn check_index_keys(bytes: &[u8]) -> Result<(), String> {
    check_keys(bytes, MANIFEST)
}

impl IndexEntry {
    /// What the image runs on, if the index says so.
    pub fn platform(&self) -> Option<Platform> {
        let platform = self.platform.clone().filter(|_| !self.is_attestation())?;
        let is_said = |word: &str| !word.is_empty() && word != UNKNOWN;
        (is_said(&platform.os) && is_said(&platform.architecture)).then_some(Platform {
            architecture: platform.architecture,
            os: platform.os,
            variant: platform.variant.filter(|variant| !variant.is_empty()),
        })
    }

    /// Whether it is no image but what buildx puts beside one: how it was made.
    pub fn is_attestation(&self) -> bool {
        let platform = self.platform.as_ref();
        self.annotation(ATTESTATION).is_some()
            || platform.is_some_and(|platform| platform.os == UNKNOWN)
    }

    /// Whether it is an index itself, as far as the index says so.
    pub fn is_index(&self) -> bool {
        let media_type = self.media_type.as_str();
        [media_type::INDEX, media_type::DOCKER_INDEX].contains(&media_type)
    }

    /// What the index says of it under this name.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations.get(name).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn documents_are_told_apart() {
        let blob = Descriptor::new("x", Digest::of(b""), 0);
        let parse = |value: &Value| {
            let parsed = Document::parse(value.to_string().as_bytes());
            parsed
                .map(|(media_type, _)| media_type)
                .map_err(|[message, _]| message)
        };
        let image = json!({ "schemaVersion": 2, "config": blob, "layers": [blob] });
        assert_eq!(parse(&image).as_deref(), Ok(media_type::MANIFEST));
        let image = json!({ "schemaVersion": 2, "config": blob, "layers": null });
        assert_eq!(parse(&image).as_deref(), Ok(media_type::MANIFEST));
        let index = json!({ "schemaVersion": 2, "mediaType": "list", "manifests": [] });
        assert_eq!(parse(&index).as_deref(), Ok("list"));
        // Rows "Strangers' documents": null, fields that nobody uses, and entries of other kinds.
        for (null, expected) in [
            (
                json!({ "schemaVersion": 2, "manifests": null }),
                media_type::INDEX,
            ),
            (
                json!({ "schemaVersion": 2, "config": blob, "manifests": null, "annotations": null }),
                media_type::MANIFEST,
            ),
            (
                json!({ "schemaVersion": 2, "layers": [{
                    "mediaType": "x", "digest": blob.digest, "size": 0, "annotations": null, "platform": null
                }], "config": {
                    "mediaType": "x", "digest": blob.digest, "size": 0, "platform": { "os": "linux" }
                } }),
                media_type::MANIFEST,
            ),
        ] {
            assert_eq!(parse(&null).as_deref(), Ok(expected), "{null}");
        }
        let foreign = json!({ "schemaVersion": 2, "manifests": [
            { "digest": "sha512:00", "size": 1 }, 7, null, { "mediaType": null, "digest": blob.digest,
            "platform": { "os": null, "architecture": 1 }, "annotations": null }, { "digest": blob.digest,
            "annotations": { "name": "v1", "null": null, "number": 1 } }
        ] });
        let foreign = Document::parse(foreign.to_string().as_bytes()).unwrap().1;
        assert!(
            matches!(&foreign, Document::Index(entries) if entries.len() == 2 && entries[1].annotation("name") == Some("v1")),
            "{foreign:?}"
        );
        for (wrong, message) in [
            (
                json!({ "schemaVersion": 2, "config": blob, "Layers": [blob] }),
                "\"Layers\" is written \"layers\"",
            ),
            (
                json!({ "schemaVersion": 1, "fsLayers": [] }),
                "first schema",
            ),
            (json!({ "schemaVersion": 2 }), "half of one"),
            (
                json!({ "schemaVersion": 2, "layers": [blob] }),
                "half of one",
            ),
            (
                json!({ "schemaVersion": 2, "config": blob, "layers": [], "manifests": [] }),
                "both",
            ),
            (
                json!({ "schemaVersion": 2, "layers": [], "manifests": [] }),
                "both",
            ),
            (json!([]), "no manifest"),
        ] {
            let error = parse(&wrong).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn attestations_are_no_images() {
        let linux = json!({ "os": "linux", "architecture": "amd64", "variant": "" });
        let unknown = json!({ "os": "unknown", "architecture": "unknown" });
        let proof = json!({ "vnd.docker.reference.type": "attestation-manifest" });
        for (platform, annotations, is_attestation, expected) in [
            (&linux, Value::Null, false, Some("linux/amd64")),
            (&linux, json!({}), false, Some("linux/amd64")),
            (&linux, proof.clone(), true, None),
            (&unknown, Value::Null, true, None),
            (&Value::Null, proof, true, None),
            (&Value::Null, Value::Null, false, None),
            (&json!({ "os": "linux" }), Value::Null, false, None),
        ] {
            let entry = json!({
                "digest": Digest::of(b""), "platform": platform, "annotations": annotations,
            });
            let entry: IndexEntry = serde_json::from_value(entry).unwrap();
            assert_eq!(entry.is_attestation(), is_attestation, "{entry:?}");
            let platform = entry.platform().map(|platform| platform.to_string());
            assert_eq!(platform.as_deref(), expected, "{entry:?}");
        }
    }
}
