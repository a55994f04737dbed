//! An entry as an archive of others has it.

use std::collections::BTreeMap;

use super::metadata::{Metadata, Mode};

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveEntry {
    /// Where it is, relative to `/`, without `.`, `..` and empty names; empty for `/` itself.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: ArchiveEntryKind,
    /// The permission bits, at most `0o7777`.
    pub mode: u32,
    /// The owner's number.
    pub uid: u64,
    /// The group's number.
    pub gid: u64,
    /// The owner's name, empty if unknown.
    pub uname: String,
    /// The group's name, empty if unknown.
    pub gname: String,
    /// Extended attributes.
    pub xattrs: BTreeMap<String, Vec<u8>>,
    /// When it was changed, in seconds since 1970.
    pub modified: u64,
    /// Whether the content is a sparse file's, in which holes are left out.
    pub is_sparse: bool,
    /// The length of the content in bytes.
    pub size: u64,
    /// Where in the archive the content begins.
    pub offset: u64,
}

impl ArchiveEntry {
    /// About how many bytes of memory it takes.
    pub fn size_in_memory(&self) -> usize {
        /// What an allocation takes besides its content; one of the map of attributes, its part of it.
        const OWN: usize = 32;
        const ATTRIBUTE: usize = 192;
        let xattrs = self.xattrs.iter();
        let xattrs = xattrs.map(|(name, value)| ATTRIBUTE + name.len() + value.len());
        let link = match &self.kind {
            ArchiveEntryKind::HardLink(target) | ArchiveEntryKind::Symlink(target) => target.len(),
            _ => 0,
        };
        let map = usize::from(!self.xattrs.is_empty()) * 640;
        size_of::<Self>()
            + 4 * OWN
            + map
            + [self.path.len(), self.uname.len(), self.gname.len(), link]
                .iter()
                .sum::<usize>()
            + xattrs.sum::<usize>()
    }

    /// Mode, owner and extended attributes.
    pub fn metadata(&self) -> Metadata {
        Metadata {
            mode: Mode::from_bits(self.mode),
            uid: self.uid,
            gid: self.gid,
            uname: self.uname.clone(),
            gname: self.gname.clone(),
            xattrs: self.xattrs.clone(),
        }
    }
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArchiveEntryKind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// Another name of an earlier entry, whose path is as that of an entry.
    HardLink(Vec<u8>),
    /// A symlink and where it points.
    Symlink(Vec<u8>),
    /// A device or a pipe.
    Special(Special),
}

/// What is neither a directory, a file nor a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Special {
    /// A character device with its major and minor number.
    Character(u32, u32),
    /// A block device with its major and minor number.
    Block(u32, u32),
    /// A named pipe.
    Pipe,
}
