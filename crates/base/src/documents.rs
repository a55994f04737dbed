//! The documents of other builders: OCI's manifests, indexes and configs (image-spec), Docker's of
//! schema 2 (distribution, `manifest-v2-2.md`), and the list in a Docker archive (moby's image
//! specification 1.2).

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::damaged::damaged;
use strata_error::Result;
use strata_oci::{
    Document, ImageConfig, Platform, check_config_keys, check_docker_archive_keys, media_type,
};
use strata_tree::Budget;

/// An entry of a Docker archive's `manifest.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DockerImage {
    /// The member that is the config; none in what is no image.
    #[serde(default)]
    pub(super) config: Option<String>,
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
    check_docker_archive_keys(bytes).map_err(|error| damaged(document, &error))?;
    parse(bytes, document)
}

/// What the image runs on, which is all that is read of a config before one is chosen. Images that were
/// made from nothing may not say.
pub(super) fn parse_platform(bytes: &[u8], document: &str) -> Result<Platform> {
    #[derive(Deserialize)]
    struct Said {
        architecture: Option<String>,
        os: Option<String>,
        variant: Option<String>,
    }
    let said: Said = parse(bytes, document)?;
    Ok(Platform {
        architecture: said.architecture.unwrap_or_default(),
        os: said.os.unwrap_or_default(),
        variant: said.variant,
    })
}

/// Reads a config. Docker writes null for what is not set. The values take a part of `budget`.
pub(super) fn parse_config(
    bytes: &[u8],
    document: &str,
    budget: &mut Budget,
) -> Result<ImageConfig> {
    let error = |message: String| damaged(document, &message);
    check_config_keys(bytes).map_err(error)?;
    budget.keep(size_of_values(bytes)).map_err(error)?;
    let mut value: Value = parse(bytes, document)?;
    remove_nulls(&mut value);
    if let Some(config) = value.as_object_mut() {
        // Images that were made from nothing may not say.
        for key in ["architecture", "os"] {
            config.entry(key).or_insert_with(|| "".into());
        }
        config.retain(|key, value| key != "variant" || value != "");
    }
    if let Some(rootfs) = value.get_mut("rootfs").and_then(Value::as_object_mut) {
        rootfs
            .entry("diff_ids")
            .or_insert_with(|| Value::Array(Vec::new()));
        rootfs.entry("type").or_insert_with(|| "layers".into());
    }
    serde_json::from_value(value).map_err(|error| damaged(document, &error.to_string()))
}

/// How much memory the values in a JSON document take at most.
fn size_of_values(bytes: &[u8]) -> usize {
    /// A map of one key, a place in a list, and what may be in either.
    const OBJECT: usize = 640;
    const VALUE: usize = 128;
    let size = |byte: &u8| match byte {
        b'{' => OBJECT,
        b'[' | b',' => VALUE,
        _ => 1,
    };
    bytes.iter().map(size).sum()
}

fn remove_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(remove_nulls);
        }
        Value::Array(items) => {
            items.retain(|item| !item.is_null());
            items.iter_mut().for_each(remove_nulls);
        }
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
            "architecture": null, "os": "linux", "variant": "", "created": null,
            "container_config": { "Cmd": null },
            "os.features": null,
            "config": { "Cmd": null, "Env": ["A=b", null], "Healthcheck": { "Test": null } },
            "history": [{ "created_by": "x", "empty_layer": true, "author": null }],
            "rootfs": { "type": null, "diff_ids": null }
        });
        let config =
            parse_config(config.to_string().as_bytes(), "c", &mut Budget::default()).unwrap();
        assert_eq!(
            Value::Object(config.config),
            json!({ "Env": ["A=b"], "Healthcheck": {} })
        );
        assert_eq!(
            (config.variant.as_deref(), &*config.architecture),
            (None, "")
        );
        assert!(config.history[0].empty_layer && config.rootfs.diff_ids.is_empty());
    }
}
