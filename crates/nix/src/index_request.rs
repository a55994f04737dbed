//! What `buildIndex` asks the builder for (docs/formats.md), before anything is checked.

use std::collections::BTreeMap;

use serde::Deserialize;

/// An index of images.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IndexRequest {
    /// The version of the format.
    pub version: u32,
    /// The store directory.
    pub store_dir: String,
    /// What is in it.
    pub index: IndexArguments,
}

/// The arguments of `buildIndex`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexArguments {
    /// The name, as the user wrote it.
    pub name: String,
    /// The tag; null means the hash part of the output's path.
    #[serde(default)]
    pub tag: Option<String>,
    /// Outputs of `buildImage`.
    pub images: Vec<String>,
    /// Annotations of the index.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}
