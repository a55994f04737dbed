//! What `buildIndex` asks the builder for, before anything is checked. The comments of the types and
//! their fields are docs/reference/request.md.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What `buildIndex` asks for: nothing of a layer. The derivation's `closure` is `[]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IndexRequest {
    /// The version of the format: `1`.
    pub version: u32,
    /// The store directory, `builtins.storeDir`.
    pub store_dir: String,
    /// What is in it.
    pub index: IndexArguments,
}

/// An index of images.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexArguments {
    /// The name, as the user wrote it; the builder lower-cases it.
    pub name: String,
    /// The tag; null means the hash part of the output's path.
    #[serde(default)]
    pub tag: Option<String>,
    /// Outputs of `buildImage`, each for another platform.
    pub images: Vec<String>,
    /// Annotations of the index.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}
