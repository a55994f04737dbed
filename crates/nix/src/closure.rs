//! The closure graph that `exportReferencesGraph` writes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::StorePath;

/// A store path of the graph. Newer Nix adds fields (`valid`, `ca`); they are ignored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClosureEntry {
    /// The full store path.
    pub path: String,
    /// The hash of its archive: `sha256:` and 52 characters of Nix's base 32.
    pub nar_hash: String,
    /// The length of its archive in bytes.
    pub nar_size: u64,
    /// The full store paths that its files mention, itself included if they do.
    #[serde(default)]
    pub references: Vec<String>,
}

/// Store paths with their references, sorted by path.
#[derive(Clone, Debug, Default)]
pub struct Closure {
    entries: BTreeMap<StorePath, ClosureEntry>,
}

impl Closure {
    /// A closure of entries whose paths are parsed already.
    pub fn new(entries: impl IntoIterator<Item = (StorePath, ClosureEntry)>) -> Self {
        Self {
            entries: entries.into_iter().collect(),
        }
    }

    /// The entry of a path.
    pub fn get(&self, path: &StorePath) -> Option<&ClosureEntry> {
        self.entries.get(path)
    }

    /// All entries, sorted by path.
    pub fn iter(&self) -> impl Iterator<Item = (&StorePath, &ClosureEntry)> {
        self.entries.iter()
    }

    /// The number of paths.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
