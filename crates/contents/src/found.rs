//! What a reader hands over.

use std::collections::BTreeSet;

use strata_oci::Digest;

/// A layer, with what was found in it.
#[derive(Clone, Debug)]
pub struct FoundLayer {
    /// The digest of the blob, as the manifest has it.
    pub digest: Digest,
    /// The digest of the uncompressed layer.
    pub diff_id: Digest,
    /// What the manifest calls the blob.
    pub media_type: String,
    /// The length of the blob in bytes.
    pub size: u64,
    /// What the history says of it.
    pub created_by: Option<String>,
    /// Why it is a layer, where a strategy said so.
    pub reason: Option<String>,
    /// Whether it is of a base image that Strata did not make.
    pub is_base: bool,
    /// The store paths in it.
    pub packages: Vec<FoundPackage>,
    /// All that is in it, in the order of its entries, where that was looked at.
    pub files: Option<Vec<FoundFile>>,
}

/// A store path in a layer.
#[derive(Clone, Debug)]
pub struct FoundPackage {
    /// The full path.
    pub path: String,
    /// The length of its archive in bytes.
    pub size: u64,
    /// The hash of its archive, where Nix recorded it.
    pub nar_hash: Option<String>,
    /// What its files mention.
    pub references: References,
    /// Whether its content is at `/`.
    pub to_root: bool,
}

/// Which store paths one mentions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum References {
    /// Those that Nix recorded, by their full paths.
    Recorded(Vec<String>),
    /// The hashes that were found in its files: of store paths, or of nothing.
    Hashes(BTreeSet<String>),
}

/// An entry of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundFile {
    /// Where it is, relative to `/`. What is no UTF-8 is replaced.
    pub path: String,
    /// What it is.
    pub kind: FoundKind,
    /// The length of its content in bytes.
    pub size: u64,
    /// The permission bits.
    pub mode: u32,
    /// The owner's number.
    pub uid: u64,
    /// The group's number.
    pub gid: u64,
    /// The digest of its content, where that was read.
    pub content: Option<Digest>,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FoundKind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symlink, and where it points.
    Symlink(String),
    /// Another name of an earlier entry, whose path this is.
    HardLink(String),
    /// A device or a pipe.
    Special,
    /// A sign that what lower layers have at this path is hidden.
    Whiteout,
    /// A sign that what lower layers have below this path is hidden.
    Opaque,
}

/// A store path that an argument names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// The argument, as users write it: `config.Cmd`, `copyToRoot`.
    pub argument: String,
    /// The full path.
    pub path: String,
}
