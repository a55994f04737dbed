//! What compressed layers are called, read from manifests and configs that are somewhere already. Pure:
//! whoever fetched the documents gives their bytes.
//!
//! A manifest names the layers of an image as they are compressed, its config names them
//! uncompressed (`rootfs.diff_ids`), both in the same order. Nobody checks that they belong together.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::documents::EntryPlatform;
use crate::oci::{Descriptor, Digest, Platform, media_type};

/// The media types of documents that can be learned from.
pub(super) const ACCEPTED: [&str; 4] = [
    media_type::MANIFEST,
    media_type::INDEX,
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];

/// What a reference can stand for.
#[derive(Debug)]
pub(super) enum Document {
    /// One image.
    Manifest {
        /// The config blob.
        config: Descriptor,
        /// The layers with OCI's media types; those that cannot be reused are `None`.
        layers: Vec<Option<Descriptor>>,
    },
    /// Several images, or other indexes.
    Index(Vec<Entry>),
}

/// An entry of an index.
#[derive(Debug)]
pub(super) struct Entry {
    /// The digest of the manifest or index.
    pub(super) digest: Digest,
    /// What it is for, if that is said.
    pub(super) platform: Option<Platform>,
}

/// A descriptor as others write it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Foreign {
    #[serde(default)]
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default)]
    platform: Option<EntryPlatform>,
    #[serde(default)]
    annotations: Option<Map<String, Value>>,
}

impl Foreign {
    fn descriptor(&self, media_type: &str) -> Option<Descriptor> {
        let digest = self.digest.parse().ok()?;
        Some(Descriptor::new(media_type, digest, self.size))
    }

    /// What buildx puts beside images: how they were made.
    fn is_attestation(&self) -> bool {
        let annotations = self.annotations.as_ref();
        annotations.is_some_and(|all| all.contains_key("vnd.docker.reference.type"))
            || self
                .platform
                .as_ref()
                .is_some_and(EntryPlatform::is_unknown)
    }
}

impl Document {
    /// Reads a manifest or index of OCI or Docker. `None` if it is neither.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Either {
            config: Option<Foreign>,
            layers: Option<Vec<Foreign>>,
            manifests: Option<Vec<Foreign>>,
        }
        let either: Either = serde_json::from_slice(bytes).ok()?;
        if let Some(manifests) = either.manifests {
            let images = manifests.iter().filter(|entry| !entry.is_attestation());
            let entries = images.filter_map(|entry| {
                Some(Entry {
                    digest: entry.digest.parse().ok()?,
                    platform: entry.platform.as_ref().and_then(EntryPlatform::said),
                })
            });
            return Some(Self::Index(entries.collect()));
        }
        let config = either.config?;
        let layers = either.layers?;
        let reusable = |layer: &Foreign| layer.descriptor(oci_layer_type(&layer.media_type)?);
        Some(Self::Manifest {
            config: config.descriptor(&config.media_type)?,
            layers: layers.iter().map(reusable).collect(),
        })
    }
}

/// The diff IDs of an image configuration.
pub(super) fn diff_ids(config: &[u8]) -> Option<Vec<Digest>> {
    #[derive(Deserialize)]
    struct Config {
        rootfs: RootFs,
    }
    #[derive(Deserialize)]
    struct RootFs {
        diff_ids: Vec<Digest>,
    }
    let config: Config = serde_json::from_slice(config).ok()?;
    Some(config.rootfs.diff_ids)
}

/// Which blob is which layer. Nothing if the two lists cannot belong together.
pub(super) fn pair(
    diff_ids: Vec<Digest>,
    layers: Vec<Option<Descriptor>>,
) -> Vec<(Digest, Descriptor)> {
    if diff_ids.len() != layers.len() {
        return Vec::new();
    }
    let pairs = diff_ids.into_iter().zip(layers);
    pairs
        .filter_map(|(diff_id, layer)| Some((diff_id, layer?)))
        .collect()
}

/// OCI's name of a layer's media type. `None` for what is not to be distributed (foreign layers) and
/// what is not known.
fn oci_layer_type(media_type: &str) -> Option<&'static str> {
    match media_type {
        media_type::LAYER_TAR | media_type::DOCKER_LAYER_TAR => Some(media_type::LAYER_TAR),
        media_type::LAYER_TAR_GZIP | "application/vnd.docker.image.rootfs.diff.tar.gzip" => {
            Some(media_type::LAYER_TAR_GZIP)
        }
        media_type::LAYER_TAR_ZSTD | "application/vnd.docker.image.rootfs.diff.tar.zstd" => {
            Some(media_type::LAYER_TAR_ZSTD)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn described(media_type: &str, name: &str) -> Value {
        json!({ "mediaType": media_type, "digest": Digest::of(name.as_bytes()), "size": name.len() })
    }

    fn parse(document: &Value) -> Option<Document> {
        Document::parse(document.to_string().as_bytes())
    }

    #[test]
    fn layers_are_paired_with_diff_ids() {
        let layers = [
            ("application/vnd.docker.image.rootfs.diff.tar.gzip", "a"),
            (
                "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
                "b",
            ),
            (media_type::LAYER_TAR_ZSTD, "c"),
            (
                "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
                "d",
            ),
            (media_type::LAYER_TAR, "e"),
            ("application/x-unknown", "f"),
        ];
        let manifest = json!({
            "schemaVersion": 2,
            "config": described("application/vnd.docker.container.image.v1+json", "config"),
            "layers": layers.map(|(media_type, name)| described(media_type, name)),
        });
        let Some(Document::Manifest { config, layers }) = parse(&manifest) else {
            panic!()
        };
        assert_eq!(config.digest, Digest::of(b"config"));
        let ids: Vec<Digest> = (0..6_u8).map(|number| Digest::of(&[number])).collect();
        let document = json!({ "rootfs": { "type": "layers", "diff_ids": ids } });
        let read = diff_ids(document.to_string().as_bytes()).unwrap();
        assert_eq!(read, ids);
        let named = |number: usize, media_type, name: &str| {
            (ids[number], Descriptor::of(media_type, name.as_bytes()))
        };
        assert_eq!(
            pair(read, layers.clone()),
            [
                named(0, media_type::LAYER_TAR_GZIP, "a"),
                named(2, media_type::LAYER_TAR_ZSTD, "c"),
                named(4, media_type::LAYER_TAR, "e"),
            ]
        );
        assert_eq!(pair(ids[1..].to_vec(), layers), []);
    }

    #[test]
    fn attestations_are_no_images() {
        let entry = |name: &str, platform: Value, annotations: Value| {
            let mut entry = described(media_type::MANIFEST, name);
            entry["platform"] = platform;
            entry["annotations"] = annotations;
            entry
        };
        let index = json!({ "manifests": [
            entry("amd64", json!({ "os": "linux", "architecture": "amd64" }), Value::Null),
            entry("arm", json!({ "os": "linux", "architecture": "arm", "variant": "v7" }), json!({})),
            entry("none", Value::Null, Value::Null),
            entry("unknown", json!({ "os": "unknown", "architecture": "unknown" }), Value::Null),
            entry("attested", Value::Null, json!({ "vnd.docker.reference.type": "attestation-manifest" })),
        ] });
        let Some(Document::Index(entries)) = parse(&index) else {
            panic!()
        };
        let found = entries.iter().map(|entry| {
            (
                entry.digest,
                entry.platform.as_ref().map(Platform::to_string),
            )
        });
        assert_eq!(
            found.collect::<Vec<_>>(),
            [
                (Digest::of(b"amd64"), Some("linux/amd64".to_owned())),
                (Digest::of(b"arm"), Some("linux/arm/v7".to_owned())),
                (Digest::of(b"none"), None),
            ]
        );
    }

    #[test]
    fn other_documents_teach_nothing() {
        for document in [
            json!({}),
            json!([]),
            json!({ "schemaVersion": 1, "fsLayers": [] }),
            json!({ "layers": [], "config": { "digest": "sha512:00", "size": 1 } }),
            json!({ "layers": [{}], "config": described("", "") }),
            json!({ "layers": [described(media_type::LAYER_TAR, "a")] }),
        ] {
            assert!(parse(&document).is_none(), "{document}");
        }
        for config in ["", "{}", r#"{"rootfs":{"diff_ids":["x"]}}"#] {
            assert_eq!(diff_ids(config.as_bytes()), None, "{config}");
        }
    }
}
