//! An entry as it goes into a layer.

use std::path::PathBuf;

use strata_nix::walk::OpenFile;

use super::archive_entry::Special;
use super::metadata::Metadata;

/// One entry of a layer.
pub struct Entry<'a> {
    /// Where it is in the image, relative to `/`, without a trailing slash.
    pub path: &'a [u8],
    /// Mode, owner and extended attributes.
    pub metadata: &'a Metadata,
    /// What it is.
    pub kind: EntryKind<'a>,
    /// The file in the store that it comes from, for errors.
    pub source: &'a dyn Fn() -> PathBuf,
}

/// What an entry is.
pub enum EntryKind<'a> {
    /// A directory.
    Directory,
    /// A symlink.
    Symlink {
        /// Where it points.
        target: &'a [u8],
    },
    /// A regular file.
    File(OpenFile),
    /// Another name of an earlier entry.
    HardLink {
        /// The path of that entry, relative to `/`.
        target: &'a [u8],
    },
    /// A device or a pipe.
    Special(Special),
    /// A regular file with nothing in it: where a file will be mounted, or a sign that the file of this name in the
    /// layers under it is hidden (OCI layer.md, "Whiteouts").
    Empty,
}

/// What the name of a whiteout begins with.
pub const WHITEOUT_PREFIX: &[u8] = b".wh.";
