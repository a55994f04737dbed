//! What the layers of a base make together: its directories with their metadata, its symlinks, and
//! where files are.
//!
//! Whiteouts are those of OCI's layer.md, "Whiteouts": they hide what lower layers have, wherever
//! they are in their own layer.

use std::collections::BTreeMap;

use super::bounds::MOST_ENTRIES;
use crate::tar::{ArchiveEntry, ArchiveEntryKind};
use crate::tree::{Entry, EntryKind, ImagePath, Metadata, Mode};

/// What the name of a whiteout begins with.
const WHITEOUT: &[u8] = b".wh.";
/// The name of a marker that hides everything that lower layers have in its directory.
const OPAQUE: &[u8] = b".wh..wh..opq";
/// What the names of other things begin with that are for engines alone.
const ENGINE_PREFIX: &[u8] = b".wh..wh.";

/// What one layer has.
#[derive(Clone, Debug, Default)]
pub(super) struct Listing {
    entries: Vec<(ImagePath, Node)>,
    whiteouts: Vec<ImagePath>,
    opaque: Vec<ImagePath>,
}

/// What an image has at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    /// Boxed, because files are many more.
    Directory(Box<Directory>),
    /// Where a symlink points.
    Symlink(Vec<u8>),
    /// A file, device or pipe.
    File,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Directory {
    metadata: Metadata,
    children: BTreeMap<Vec<u8>, Node>,
}

/// The tree of a base image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    root: Directory,
}

impl Default for Directory {
    fn default() -> Self {
        Self::new(Metadata::root(Mode::ANCESTOR))
    }
}

impl Directory {
    fn new(metadata: Metadata) -> Self {
        Self {
            metadata,
            children: BTreeMap::new(),
        }
    }
}

impl Listing {
    /// Adds an entry of an archive; the error is that there are too many.
    pub(super) fn add(&mut self, entry: ArchiveEntry) -> Result<(), String> {
        if self.entries.len() >= MOST_ENTRIES {
            return Err(format!("more than {MOST_ENTRIES} entries"));
        }
        let path = ImagePath(entry.path);
        let (parent, name) = split(&path);
        if name == OPAQUE {
            self.opaque.push(parent);
            return Ok(());
        }
        if name.starts_with(ENGINE_PREFIX) {
            return Ok(());
        }
        if let Some(hidden) = name.strip_prefix(WHITEOUT) {
            let hidden = parent.join(hidden);
            self.whiteouts.push(hidden);
            return Ok(());
        }
        let node = match entry.kind {
            ArchiveEntryKind::Directory => Node::Directory(Box::new(Directory::new(Metadata {
                mode: Mode::from_bits(entry.mode),
                uid: entry.uid,
                gid: entry.gid,
                uname: entry.uname,
                gname: entry.gname,
                xattrs: entry.xattrs,
            }))),
            ArchiveEntryKind::Symlink(target) => Node::Symlink(target),
            _ => Node::File,
        };
        self.entries.push((path, node));
        Ok(())
    }

    /// Adds an entry of a layer that Strata made.
    pub(super) fn add_own(&mut self, entry: &Entry<'_>) {
        let node = match &entry.kind {
            EntryKind::Directory => {
                Node::Directory(Box::new(Directory::new(entry.metadata.clone())))
            }
            EntryKind::Symlink { target } => Node::Symlink(target.to_vec()),
            EntryKind::File(_) => Node::File,
        };
        self.entries.push((ImagePath(entry.path.to_vec()), node));
    }
}

/// The directory that a path is in, and its last name.
fn split(path: &ImagePath) -> (ImagePath, &[u8]) {
    match path.0.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (ImagePath(path.0[..slash].to_vec()), &path.0[slash + 1..]),
        None => (ImagePath::default(), &path.0),
    }
}

impl Tree {
    /// The tree of layers, lowest first.
    pub(super) fn of(layers: Vec<Listing>) -> Self {
        let mut tree = Self::default();
        for layer in layers {
            tree.apply(layer);
        }
        tree
    }

    fn apply(&mut self, layer: Listing) {
        for path in &layer.opaque {
            if let Some(directory) = self.directory_mut(path) {
                directory.children.clear();
            }
        }
        for path in &layer.whiteouts {
            let (parent, name) = split(path);
            if let Some(directory) = self.directory_mut(&parent) {
                directory.children.remove(name);
            }
        }
        for (path, node) in layer.entries {
            self.put(&path, node);
        }
    }

    fn directory_mut(&mut self, path: &ImagePath) -> Option<&mut Directory> {
        let mut directory = &mut self.root;
        for name in path.components() {
            match directory.children.get_mut(name) {
                Some(Node::Directory(child)) => directory = child,
                _ => return None,
            }
        }
        Some(directory)
    }

    /// Puts an entry where it is, whatever was in the way. Two directories are one.
    fn put(&mut self, path: &ImagePath, node: Node) {
        let (parent, name) = split(path);
        let mut directory = &mut self.root;
        if name.is_empty() {
            if let Node::Directory(root) = node {
                directory.metadata = root.metadata;
            }
            return;
        }
        for name in parent.components() {
            let child = directory
                .children
                .entry(name.to_vec())
                .or_insert(Node::File);
            if !matches!(child, Node::Directory(_)) {
                *child = Node::Directory(Box::default());
            }
            let Node::Directory(child) = child else {
                return;
            };
            directory = child;
        }
        match (directory.children.get_mut(name), node) {
            (Some(Node::Directory(old)), Node::Directory(new)) => old.metadata = new.metadata,
            (_, node) => {
                directory.children.insert(name.to_vec(), node);
            }
        }
    }
}
