//! Image configurations (OCI config.md).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Digest, Platform};

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
