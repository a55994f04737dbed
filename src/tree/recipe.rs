//! Recipes: all that the bytes of a layer depend on, besides the store (docs/formats.md).

use serde::{Deserialize, Serialize};

use super::{ImagePath, Metadata, Rule};

/// How to make a layer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Directories whose metadata the sources do not tell: ancestors, and directories that several
    /// sources of the image share. Sorted by path.
    pub directories: Vec<DirectoryRecord>,
    /// What goes in, sorted by store path.
    pub sources: Vec<Source>,
    /// Files that a lower layer holds already. Sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub omit: Vec<ImagePath>,
}

/// A directory with the metadata that it has in the final image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryRecord {
    /// Where it is.
    pub path: ImagePath,
    /// What it has.
    #[serde(flatten)]
    pub metadata: Metadata,
}

/// A store path in a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Source {
    /// The full store path. The Nix database of an image is a directory below the image's own.
    pub store_path: String,
    /// The hash that Nix records of it.
    pub nar_hash: String,
    /// The size that Nix records of it, in bytes.
    pub nar_size: u64,
    /// What Nix says it refers to.
    pub references: Vec<String>,
    /// Whether its content goes to `/` instead of under the store directory.
    pub to_root: bool,
    /// The rules about it, in order; later ones win.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
}
