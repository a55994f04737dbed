//! What the Nix functions ask the builder for (docs/formats.md). The fields are documented there
//! and in `nix/buildImage.nix`; this is their typed form, before anything is checked.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use strata_oci::History;

/// The version of the format that this program reads.
pub(super) const VERSION: u32 = 1;

/// A layer, or an image when `image` is there.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Request {
    /// The version of the format.
    pub version: u32,
    /// The store directory.
    pub store_dir: String,
    /// Store paths whose content goes to `/`.
    #[serde(default)]
    pub copy_to_root: Vec<String>,
    /// Store paths that go under the store directory, with their closures.
    #[serde(default)]
    pub deps: Vec<String>,
    /// Store paths to leave out.
    #[serde(default)]
    pub ignore: Vec<String>,
    /// Outputs of `buildLayer` that lie below, lowest first.
    #[serde(default)]
    pub layers: Vec<String>,
    /// Ownership and modes.
    #[serde(default)]
    pub perms: Vec<PermsRule>,
    /// How many layers to cut the remaining paths into.
    #[serde(default = "one")]
    pub max_layers: u64,
    /// How to cut them.
    #[serde(default)]
    pub strategy: StrategyName,
    /// Whether the layers can be made again from the store.
    #[serde(default = "yes")]
    pub reproducible: bool,
    /// How the layers are compressed where they go to a registry.
    #[serde(default)]
    pub compression: Option<String>,
    /// The base systems in `copyToRoot`.
    #[serde(default)]
    pub accounts: Vec<AccountsRequest>,
    /// The history entry of the layers.
    #[serde(default)]
    pub metadata: History,
    /// What makes it an image.
    #[serde(default)]
    pub image: Option<ImageRequest>,
}

/// A base system, whose users and groups are merged with those of a base image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccountsRequest {
    /// Its store path.
    pub path: String,
    /// The users in it that nobody asked for, such as `root`: they give way to the base's.
    #[serde(default)]
    pub usual_users: Vec<String>,
    /// The groups in it that nobody asked for.
    #[serde(default)]
    pub usual_groups: Vec<String>,
}

/// The part of a request that only an image has.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageRequest {
    /// The name, as the user wrote it.
    pub name: String,
    /// The tag; null means the hash part of the output's path.
    #[serde(default)]
    pub tag: Option<String>,
    /// GOARCH.
    #[serde(default)]
    pub arch: Option<String>,
    /// GOOS; null means `linux`.
    #[serde(default)]
    pub os: Option<String>,
    /// The processor's variant.
    #[serde(default)]
    pub variant: Option<String>,
    /// All three in one, instead of them: `linux/arm64`.
    #[serde(default)]
    pub platform: Option<String>,
    /// RFC 3339, or `now`.
    pub created: String,
    /// The user's config, any shape until it is checked.
    #[serde(default = "empty_object")]
    pub config: Value,
    /// Annotations of the manifest.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// The image below this one.
    #[serde(default, rename = "fromImage")]
    pub from_image: Option<FromImage>,
    /// What is taken over from its config.
    #[serde(default, rename = "inheritConfig")]
    pub inherit_config: InheritRequest,
    /// Paths of the base image that are hidden.
    #[serde(default)]
    pub remove: Vec<String>,
    /// Makes a Nix database.
    #[serde(default, rename = "nixDatabase")]
    pub nix_database: Option<NixDatabase>,
}

/// A base image.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FromImage {
    /// Where it is: at or below a store path.
    pub path: String,
    /// Its name, where several are there.
    #[serde(default)]
    pub name: Option<String>,
    /// Its tag.
    #[serde(default)]
    pub tag: Option<String>,
    /// The digest of its manifest, of an index that leads to it, or of its config.
    #[serde(default)]
    pub digest: Option<String>,
    /// What it runs on, as in `linux/arm64`.
    #[serde(default)]
    pub platform: Option<String>,
}

/// Which fields of the config of a base are taken over.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum InheritRequest {
    /// All or none.
    All(bool),
    /// Those with these names.
    Only(Vec<String>),
}

impl Default for InheritRequest {
    fn default() -> Self {
        Self::All(true)
    }
}

/// Who owns the store and the database of Nix in an image.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NixDatabase {
    /// The user's number.
    #[serde(default)]
    pub uid: u64,
    /// The group's number.
    #[serde(default)]
    pub gid: u64,
    /// Whether every store path in the image is theirs, too.
    #[serde(default)]
    pub own_store: bool,
}

/// An entry of `perms`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PermsRule {
    /// The store path that the rule is about.
    pub path: String,
    /// Searched in the full source path.
    #[serde(default)]
    pub regex: Option<String>,
    /// Octal.
    #[serde(default)]
    pub mode: Option<String>,
    /// Octal bits that are added to the mode.
    #[serde(default)]
    pub or_mode: Option<String>,
    /// The owner's number.
    #[serde(default)]
    pub uid: Option<u64>,
    /// The group's number.
    #[serde(default)]
    pub gid: Option<u64>,
    /// The owner's name.
    #[serde(default)]
    pub uname: Option<String>,
    /// The group's name.
    #[serde(default)]
    pub gname: Option<String>,
    /// File capabilities, as in `CAP_NET_BIND_SERVICE`.
    #[serde(default)]
    pub capabilities: Option<Vec<String>>,
    /// Extended attributes.
    #[serde(default)]
    pub xattrs: Option<BTreeMap<String, String>>,
}

/// The ways of cutting a closure into layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StrategyName {
    /// What many paths depend on is alone in a layer (`src/plan/popularity.rs`).
    #[default]
    Popularity,
}

fn one() -> u64 {
    1
}

fn yes() -> bool {
    true
}

fn empty_object() -> Value {
    Value::Object(serde_json::Map::new())
}
