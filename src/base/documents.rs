//! The documents of other builders: OCI's manifests, indexes and configs (image-spec), Docker's of
//! schema 2 (distribution, `manifest-v2-2.md`), and the list in a Docker archive (moby's image
//! specification 1.2).

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::damaged;
use crate::Result;
use crate::oci::{Descriptor, ImageConfig};

/// A manifest of one image, or a list of such.
#[derive(Debug)]
pub(super) enum Manifest {
    /// One image.
    Image {
        /// The config blob.
        config: Descriptor,
        /// The layer blobs, lowest first.
        layers: Vec<Descriptor>,
    },
    /// Several, for other platforms for example.
    Index(Vec<Descriptor>),
}

/// An entry of a Docker archive's `manifest.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DockerImage {
    /// The member that is the config.
    pub(super) config: String,
    /// `name:tag`s.
    #[serde(default)]
    pub(super) repo_tags: Option<Vec<String>>,
    /// The members that are the layers, lowest first.
    #[serde(default)]
    pub(super) layers: Option<Vec<String>>,
}

/// What the media types of configs of images are.
const CONFIG_TYPES: [&str; 2] = [
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
];

/// Reads a manifest or an index; `document` is its name for errors.
pub(super) fn parse_manifest(bytes: &[u8], document: &str) -> Result<Manifest> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Either {
        schema_version: u32,
        config: Option<Descriptor>,
        layers: Option<Vec<Descriptor>>,
        manifests: Option<Vec<Descriptor>>,
    }
    let either: Either = parse(bytes, document)?;
    if either.schema_version != 2 {
        let message = format!("schema version {}, expected 2", either.schema_version);
        return Err(damaged(document, &message));
    }
    match (either.config, either.layers, either.manifests) {
        (None, None, manifests) => Ok(Manifest::Index(manifests.unwrap_or_default())),
        (Some(config), layers, None) => {
            if !CONFIG_TYPES.contains(&config.media_type.as_str()) {
                let message = format!("not an image: its config is {:?}", config.media_type);
                return Err(damaged(document, &message));
            }
            let layers = layers.unwrap_or_default();
            Ok(Manifest::Image { config, layers })
        }
        // Who takes it for one and who for the other see different images (CVE-2021-41190).
        _ => Err(damaged(
            document,
            "both a manifest and an index, or half of one",
        )),
    }
}

/// Reads the list in a Docker archive.
pub(super) fn parse_docker_manifest(bytes: &[u8], document: &str) -> Result<Vec<DockerImage>> {
    parse(bytes, document)
}

/// Reads a config. Docker writes null for what is not set.
pub(super) fn parse_config(bytes: &[u8], document: &str) -> Result<ImageConfig> {
    let mut value: Value = parse(bytes, document)?;
    remove_nulls(&mut value);
    if let Some(rootfs) = value.get_mut("rootfs").and_then(Value::as_object_mut) {
        rootfs
            .entry("diff_ids")
            .or_insert_with(|| Value::Array(Vec::new()));
    }
    serde_json::from_value(value).map_err(|error| damaged(document, &error.to_string()))
}

fn remove_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(remove_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_nulls),
        _ => {}
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8], document: &str) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| damaged(document, &error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Digest;
    use serde_json::json;

    fn manifest(value: &Value) -> Result<Manifest, String> {
        parse_manifest(value.to_string().as_bytes(), "m").map_err(|error| error.to_string())
    }

    #[test]
    fn manifests_and_indexes_are_told_apart() {
        let blob = |media_type: &str| Descriptor::new(media_type, Digest::of(b""), 0);
        for media_type in CONFIG_TYPES {
            let image = json!({ "schemaVersion": 2, "config": blob(media_type), "layers": [] });
            assert!(matches!(manifest(&image), Ok(Manifest::Image { .. })));
        }
        let index = json!({ "schemaVersion": 2, "manifests": [blob("x")] });
        assert!(matches!(manifest(&index), Ok(Manifest::Index(list)) if list.len() == 1));
        for (wrong, message) in [
            (
                json!({ "schemaVersion": 1 }),
                "m: schema version 1, expected 2",
            ),
            (
                json!({ "schemaVersion": 2, "config": blob(CONFIG_TYPES[0]), "manifests": [] }),
                "m: both a manifest and an index, or half of one",
            ),
            (
                json!({ "schemaVersion": 2, "config": blob("text/plain"), "layers": [] }),
                "m: not an image: its config is \"text/plain\"",
            ),
        ] {
            assert_eq!(manifest(&wrong).unwrap_err(), message);
        }
    }

    #[test]
    fn a_config_of_docker_may_have_nulls() {
        let config = json!({
            "architecture": "arm", "os": "linux", "variant": "v7", "created": null,
            "container_config": { "Cmd": null },
            "config": { "Cmd": null, "Env": ["A=b"], "Healthcheck": { "Test": null } },
            "history": [{ "created_by": "x", "empty_layer": true, "author": null }],
            "rootfs": { "type": "layers", "diff_ids": null }
        });
        let config = parse_config(config.to_string().as_bytes(), "c").unwrap();
        assert_eq!(
            Value::Object(config.config),
            json!({ "Env": ["A=b"], "Healthcheck": {} })
        );
        assert_eq!(config.variant.as_deref(), Some("v7"));
        assert!(config.history[0].empty_layer && config.rootfs.diff_ids.is_empty());
    }
}
