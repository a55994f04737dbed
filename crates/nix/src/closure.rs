//! The closure graph that `exportReferencesGraph` writes.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::de::{Deserializer, SeqAccess, Visitor};
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
    /// The full store paths that its files mention, itself included if they do. Of a path that many mention there is
    /// one string.
    #[serde(default)]
    pub references: Vec<Arc<str>>,
}

/// The entries of a graph, read so that they take little memory: a closure mentions each of its paths a dozen times.
pub(super) struct Entries(pub(super) Vec<ClosureEntry>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(OfEntries)
    }
}

struct OfEntries;

impl<'de> Visitor<'de> for OfEntries {
    type Value = Entries;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Entries, A::Error> {
        let mut strings = Strings::default();
        let mut entries = Vec::new();
        while let Some(entry) = list.next_element::<Listed<'de>>()? {
            let references = entry.references.iter();
            entries.push(ClosureEntry {
                path: entry.path,
                nar_hash: entry.nar_hash,
                nar_size: entry.nar_size,
                references: references.map(|path| strings.get(path)).collect(),
            });
        }
        Ok(Entries(entries))
    }
}

/// An entry whose references are those of the file, where nothing in them is escaped.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed<'a> {
    path: String,
    nar_hash: String,
    nar_size: u64,
    #[serde(default, borrow)]
    references: Vec<Text<'a>>,
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Each string once.
#[derive(Default)]
struct Strings(BTreeSet<Arc<str>>);

impl Strings {
    fn get(&mut self, text: &Text<'_>) -> Arc<str> {
        if let Some(known) = self.0.get(&*text.0) {
            return Arc::clone(known);
        }
        let new: Arc<str> = Arc::from(&*text.0);
        self.0.insert(Arc::clone(&new));
        new
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_several_mention_is_one_string() {
        let text = r#"[
            {"path": "/s/a", "narHash": "h", "narSize": 1, "references": ["/s/c", "/s/b"], "valid": true},
            {"path": "/s/b", "narHash": "h", "narSize": 1, "references": ["\/s/c"]},
            {"path": "/s/c", "narHash": "h", "narSize": 1}
        ]"#;
        let Entries(entries) = serde_json::from_str(text).unwrap();
        let mentioned = |entry: usize, place: usize| &entries[entry].references[place];
        assert_eq!(**mentioned(0, 1), *"/s/b");
        assert!(Arc::ptr_eq(mentioned(0, 0), mentioned(1, 0)));
        assert!(entries[2].references.is_empty());
    }
}
