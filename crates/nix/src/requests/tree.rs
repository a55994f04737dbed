//! What `dockerTools` asks the builder for before an image: the tree that goes to its root. The comments of the types
//! and their fields are docs/reference/request.md.

use serde::Deserialize;

/// What `dockerTools` asks for: a directory. The derivation's `closure` is `[]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TreeRequest {
    /// The version of the format: `1`.
    pub version: u32,
    /// The store directory, `builtins.storeDir`.
    pub store_dir: String,
    /// What is in it.
    pub tree: TreeArguments,
}

/// A directory of what directories of the store have together.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TreeArguments {
    /// Directories at or below a store path, in the order in which they are laid over each other.
    pub sources: Vec<String>,
    /// How files get there.
    pub form: TreeForm,
    /// Whether symlinks to directories stay symlinks in copies. If not, the directories are copied.
    #[serde(default)]
    pub keep_directory_links: bool,
}

/// How files of the store get into a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TreeForm {
    /// As symlinks to them; symlinks stay what they are. The first source that has a path wins.
    Links,
    /// As copies. The last source that has a path wins.
    Copies,
}
