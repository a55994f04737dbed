//! Image configurations (OCI config.md).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Digest, Platform, json};
use strata_error::{Error, Result};

/// What a config blob says about an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// GOARCH, as in `amd64`.
    pub architecture: String,
    /// GOOS, as in `linux`.
    pub os: String,
    /// The processor's variant, as in `v7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The version of the operating system that the image needs.
    #[serde(
        default,
        rename = "os.version",
        skip_serializing_if = "Option::is_none"
    )]
    pub os_version: Option<String>,
    /// Features of the operating system that the image needs.
    #[serde(default, rename = "os.features", skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
    /// When the image was made, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// What a container starts with; keys that Strata does not know are kept.
    #[serde(default)]
    pub config: Config,
    /// The layers' digests when uncompressed.
    pub rootfs: RootFs,
    /// One entry for each layer, and in images that others made for steps without one.
    #[serde(default)]
    pub history: Vec<HistoryEntry>,
}

/// An entry of `history`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// When the layer was made: when the image was. The specification lets it be absent, but then
    /// `umoci stat` 0.4 crashes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Whether this is a step that made no layer.
    #[serde(default, skip_serializing_if = "is_false")]
    pub empty_layer: bool,
    /// The rest.
    #[serde(flatten)]
    pub metadata: History,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it")]
fn is_false(value: &bool) -> bool {
    !value
}

/// The `config` object: `Env`, `Cmd` and so on, as the user gave it.
pub type Config = Map<String, Value>;

/// The `rootfs` object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The digests of the uncompressed layers, lowest first.
    pub diff_ids: Vec<Digest>,
}

/// How a layer came to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// The command that made the layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// A comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

impl ImageConfig {
    /// The config of an image for `platform`.
    pub fn new(
        platform: Platform,
        created: String,
        config: Config,
        layers: impl IntoIterator<Item = (Digest, History)>,
    ) -> Self {
        let entry = |(diff_id, metadata)| {
            let created = Some(created.clone());
            let entry = HistoryEntry {
                created,
                empty_layer: false,
                metadata,
            };
            (diff_id, entry)
        };
        let (diff_ids, history) = layers.into_iter().map(entry).unzip();
        Self {
            architecture: platform.architecture,
            os: platform.os,
            variant: platform.variant,
            os_version: None,
            os_features: Vec::new(),
            created: Some(created),
            config,
            rootfs: RootFs {
                kind: "layers".to_owned(),
                diff_ids,
            },
            history,
        }
    }

    /// What the image runs on.
    pub fn platform(&self) -> Platform {
        Platform {
            architecture: self.architecture.clone(),
            os: self.os.clone(),
            variant: self.variant.clone(),
        }
    }

    /// The entry of the history for each layer, lowest first.
    pub fn layer_history(&self) -> impl Iterator<Item = &HistoryEntry> {
        self.history.iter().filter(|entry| !entry.empty_layer)
    }

    /// Puts this config on top of a base's: its platform, layers and history. What a container
    /// starts with stays as it is.
    #[must_use]
    pub fn on_top_of(mut self, base: Self) -> Self {
        let layers = base.rootfs.diff_ids.len();
        let mut history = base.history;
        // Others leave it out, or write it wrong; ours must be found by the layer's number.
        if history.iter().filter(|entry| !entry.empty_layer).count() != layers {
            let unknown = HistoryEntry {
                created: self.created.clone(),
                empty_layer: false,
                metadata: History::default(),
            };
            history = vec![unknown; layers];
        }
        history.append(&mut self.history);
        let mut rootfs = base.rootfs;
        rootfs.diff_ids.append(&mut self.rootfs.diff_ids);
        Self {
            architecture: base.architecture,
            os: base.os,
            variant: base.variant,
            os_version: base.os_version,
            os_features: base.os_features,
            history,
            rootfs,
            ..self
        }
    }
}

/// The shape that a known key of `config` must have.
#[derive(Clone, Copy)]
enum Shape {
    Text,
    Texts,
    Set,
    TextMap,
    Object,
    Boolean,
}

/// The keys of the specification and of Docker (moby image spec), in their spelling.
const KNOWN: [(&str, Shape); 13] = [
    ("ArgsEscaped", Shape::Boolean),
    ("Cmd", Shape::Texts),
    ("Entrypoint", Shape::Texts),
    ("Env", Shape::Texts),
    ("ExposedPorts", Shape::Set),
    ("Healthcheck", Shape::Object),
    ("Labels", Shape::TextMap),
    ("OnBuild", Shape::Texts),
    ("Shell", Shape::Texts),
    ("StopSignal", Shape::Text),
    ("User", Shape::Text),
    ("Volumes", Shape::Set),
    ("WorkingDir", Shape::Text),
];

/// The user's `config` with known keys in their own spelling (nix2container's Go reader takes
/// `entrypoint` for `Entrypoint`, so flakes are full of it), nulls dropped, unknown keys kept.
pub fn canonical_user_config(user: &Value) -> Result<Config> {
    let Value::Object(fields) = user else {
        return Err(Error::Attribute {
            attribute: "config".into(),
            message: format!("expected an attribute set, found {}", kind_of(user)),
            hint: "write config = { Cmd = [ \"…\" ]; };".into(),
        });
    };
    if let Some(attribute) = json::find_float(user, "config") {
        return Err(Error::Attribute {
            attribute,
            message: "numbers must be integers".into(),
            hint: "durations are in nanoseconds; Nix prints fractions differently from version to version".into(),
        });
    }
    let mut config = Config::new();
    for (key, value) in fields {
        if value.is_null() {
            continue;
        }
        let known = KNOWN
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(key));
        let name = known.map_or(key.as_str(), |(name, _)| name);
        match (known, meant(key)) {
            (Some((_, shape)), _) => check_shape(name, value, *shape)?,
            (None, Some(meant)) => {
                return Err(Error::Attribute {
                    attribute: format!("config.{key}"),
                    message: "no engine knows this".into(),
                    hint: format!("did you mean {meant}?"),
                });
            }
            (None, None) => {}
        }
        if config.insert(name.to_owned(), value.clone()).is_some() {
            return Err(Error::Attribute {
                attribute: format!("config.{name}"),
                message: "given twice in different spellings".into(),
                hint: format!("keep the one called {name}"),
            });
        }
    }
    Ok(config)
}

/// Checks the value of a known key, down to the entry that does not fit.
fn check_shape(key: &str, value: &Value, shape: Shape) -> Result<()> {
    let attribute = format!("config.{key}");
    let wrong = |attribute: String, expected: &str, value: &Value, hint: &str| Error::Attribute {
        attribute,
        message: format!("expected {expected}, found {}", kind_of(value)),
        hint: hint.to_owned(),
    };
    let (fits, expected, hint) = match shape {
        Shape::Text => (value.is_string(), "a string", "write it in quotes"),
        Shape::Boolean => (
            value.is_boolean(),
            "true or false",
            "write it without quotes",
        ),
        Shape::Texts => (value.is_array(), "a list of strings", example(key)),
        Shape::Set | Shape::TextMap => (value.is_object(), "an attribute set", example(key)),
        Shape::Object => (
            value.is_object(),
            "an attribute set",
            "see config.md of the OCI image specification",
        ),
    };
    if !fits {
        return Err(wrong(attribute, expected, value, hint));
    }
    for (number, item) in value.as_array().into_iter().flatten().enumerate() {
        let attribute = format!("{attribute}[{number}]");
        let Some(text) = item.as_str() else {
            return Err(wrong(attribute, "a string", item, hint));
        };
        if key == "Env" && !text.contains('=') {
            return Err(Error::Attribute {
                attribute,
                message: format!("{text:?} has no value"),
                hint: hint.to_owned(),
            });
        }
    }
    for (name, item) in value.as_object().into_iter().flatten() {
        let (fits, expected) = match shape {
            Shape::Set => (item.is_object(), "an empty set"),
            Shape::TextMap => (item.is_string(), "a string"),
            _ => continue,
        };
        if !fits {
            return Err(wrong(format!("{attribute}.{name:?}"), expected, item, hint));
        }
    }
    Ok(())
}

/// How a known key is written.
fn example(key: &str) -> &'static str {
    match key {
        "Env" => "write [ \"NAME=value\" ]",
        "ExposedPorts" => "write { \"80/tcp\" = { }; }",
        "Volumes" => "write { \"/data\" = { }; }",
        "Labels" => "write { key = \"value\"; }",
        _ => "write each word as a string of its own: [ \"ls\" \"-l\" ]",
    }
}

/// What a value is, in the words of a Nix user.
fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an attribute set",
    }
}

/// The known key that somebody meant, if a letter or two are wrong.
fn meant(key: &str) -> Option<&'static str> {
    let key = key.to_ascii_lowercase();
    let distance = |name: &str| strsim::osa_distance(&key, &name.to_ascii_lowercase());
    let (nearest, _) = KNOWN.iter().min_by_key(|(name, _)| distance(name))?;
    let tolerated = if nearest.len() > 4 { 2 } else { 1 };
    (distance(nearest) <= tolerated).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn known_keys_get_their_spelling_and_unknown_ones_stay() {
        let config = canonical_user_config(&json!({
            "entrypoint": ["/bin/sh"], "ENV": ["A=b"], "x-mine": { "deep": [1] }, "Cmd": null
        }));
        assert_eq!(
            Value::Object(config.unwrap()),
            json!({ "Entrypoint": ["/bin/sh"], "Env": ["A=b"], "x-mine": { "deep": [1] } })
        );
    }

    #[test]
    fn mistakes_name_the_attribute() {
        for (value, message) in [
            (
                json!("Cmd"),
                "attribute config: expected an attribute set, found a string",
            ),
            (
                json!({ "entrypoint": "ls -l" }),
                "attribute config.Entrypoint: expected a list of strings, found a string",
            ),
            (
                json!({ "cmd": ["a"], "Cmd": ["b"] }),
                "attribute config.Cmd: given twice in different spellings",
            ),
            (
                json!({ "Healthcheck": { "Interval": 0.5 } }),
                "attribute config.Healthcheck.Interval: numbers must be integers",
            ),
            (
                json!({ "Labels": { "a": 1 } }),
                "attribute config.Labels.\"a\": expected a string, found a number",
            ),
            (
                json!({ "Labels": ["a"] }),
                "attribute config.Labels: expected an attribute set, found a list",
            ),
            (
                json!({ "Cmd": ["sleep", 1] }),
                "attribute config.Cmd[1]: expected a string, found a number",
            ),
            (
                json!({ "Env": ["A=", "B"] }),
                "attribute config.Env[1]: \"B\" has no value",
            ),
            (
                json!({ "Volumes": { "/data": true } }),
                "attribute config.Volumes.\"/data\": expected an empty set, found a boolean",
            ),
            (
                json!({ "Entrypiont": ["sh"] }),
                "attribute config.Entrypiont: no engine knows this",
            ),
            (
                json!({ "Cmds": ["sh"] }),
                "attribute config.Cmds: no engine knows this",
            ),
        ] {
            let error = canonical_user_config(&value).unwrap_err();
            assert_eq!(error.to_string(), message);
            assert!(error.hint().is_some());
        }
    }
}
