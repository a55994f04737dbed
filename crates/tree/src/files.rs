//! Files that the request describes one by one: what the store cannot hold, and single files at a place of their own.

use serde::{Deserialize, Serialize};

use super::path::ImagePath;
use super::rules::{Changes, EntryType, Rule};
use strata_archive::{Metadata, Mode, Special};

/// Something that a layer has besides its sources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRecord {
    /// Where it is in the image.
    pub path: ImagePath,
    /// What it is.
    pub kind: FileKind,
    /// Mode, owner and extended attributes, as far as they are given: a rule that is about this alone.
    pub set: Rule,
}

/// What it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "lowercase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum FileKind {
    /// A directory, whatever else is in it.
    Directory,
    /// A file with nothing in it, where another will be mounted.
    Empty,
    /// A file or a tree of the store.
    Source {
        /// Where it is: at or below a store path, and no symlink.
        path: String,
        /// The hash of its archive, as Nix writes that of a store path.
        nar_hash: String,
        /// The size of its archive in bytes.
        nar_size: u64,
    },
    /// A symlink.
    Symlink {
        /// Where it leads.
        target: String,
    },
    /// Another name of a file of the same layer.
    HardLink {
        /// The path of that file, which is a [`FileKind::Source`] and no tree.
        target: ImagePath,
    },
    /// A character device.
    Character {
        /// Its driver.
        major: u32,
        /// Which device of the driver.
        minor: u32,
    },
    /// A block device.
    Block {
        /// Its driver.
        major: u32,
        /// Which device of the driver.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
}

impl FileKind {
    /// The device or pipe that it is, if it is one.
    pub(super) fn special(&self) -> Option<Special> {
        match *self {
            Self::Character { major, minor } => Some(Special::Character(major, minor)),
            Self::Block { major, minor } => Some(Special::Block(major, minor)),
            Self::Fifo => Some(Special::Pipe),
            Self::Directory
            | Self::Empty
            | Self::Source { .. }
            | Self::Symlink { .. }
            | Self::HardLink { .. } => None,
        }
    }
}

/// The mode of a file that nothing is said about: its owner may write it, as where people make files.
pub(super) fn usual_mode(executable: bool) -> Mode {
    Mode::from_bits(if executable { 0o755 } else { 0o644 })
}

impl FileRecord {
    /// What is set for what is at `relative` in its tree, empty for itself: the owner is everything's.
    pub(super) fn changes(&self, relative: &[u8]) -> Changes {
        if relative.is_empty() {
            return Changes::of(&self.set);
        }
        Changes::of(&Rule {
            uid: self.set.uid,
            gid: self.set.gid,
            uname: self.set.uname.clone(),
            gname: self.set.gname.clone(),
            ..Rule::default()
        })
    }

    /// The metadata of a symlink, device, pipe or empty file that is given as such.
    pub(super) fn own_metadata(&self) -> Metadata {
        let changes = self.changes(b"");
        match self.kind {
            FileKind::Symlink { .. } => changes.apply(Mode::SYMLINK, EntryType::Symlink),
            _ => changes.apply(usual_mode(false), EntryType::File),
        }
    }

    /// What errors call it.
    pub fn attribute(&self) -> String {
        format!("files.\"/{}\"", self.path)
    }
}
