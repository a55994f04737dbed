//! The documents of other builders: OCI's manifests, indexes and configs (image-spec), Docker's of
//! schema 2 (distribution, `manifest-v2-2.md`), and the list in a Docker archive (moby's image
//! specification 1.2).

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::damaged::damaged;
use strata_error::Result;
use strata_oci::{Document, ImageConfig, media_type};

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

/// Reads a manifest or an index; `document` is its name for errors.
pub(super) fn parse_manifest(bytes: &[u8], document: &str) -> Result<Document> {
    let parsed = Document::parse(bytes);
    let (_, parsed) = parsed.map_err(|[message, _]| damaged(document, &message))?;
    if let Document::Image { config, .. } = &parsed
        && ![media_type::CONFIG, media_type::DOCKER_CONFIG].contains(&config.media_type.as_str())
    {
        let message = format!("not an image: its config is {:?}", config.media_type);
        return Err(damaged(document, &message));
    }
    Ok(parsed)
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
    use serde_json::json;
    use strata_oci::Descriptor;

    #[test]
    fn artifacts_are_no_images() {
        for (kind, message) in [
            (media_type::CONFIG, None),
            (media_type::DOCKER_CONFIG, None),
            (
                "text/plain",
                Some("m: not an image: its config is \"text/plain\""),
            ),
        ] {
            let config = Descriptor::of(kind, b"");
            let image = json!({ "schemaVersion": 2, "config": config, "layers": [] });
            let error = parse_manifest(image.to_string().as_bytes(), "m").err();
            let error = error.map(|error| error.to_string());
            assert_eq!(error.as_deref(), message);
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
