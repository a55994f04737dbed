//! Which entry of which layer is in the image in the end.

use std::collections::BTreeMap;

use crate::tar::{ArchiveEntry, ArchiveEntryKind};
use crate::tree::{ImagePath, Marker};

/// An entry of a layer: what a path stands for, whatever its other names are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// The number of the layer, from the lowest.
    pub(super) layer: usize,
    /// The number of the entry in the layer.
    pub(super) entry: usize,
}

/// What one layer has.
#[derive(Default)]
pub(super) struct Listing {
    count: usize,
    entries: Vec<(ImagePath, Found)>,
    hidden: Vec<ImagePath>,
    opaque: Vec<ImagePath>,
}

enum Found {
    Directory(Box<ArchiveEntry>),
    /// A file, symlink, device or pipe: the entry with this number.
    Leaf(usize),
    /// Another name of what is at this path.
    HardLink(ImagePath),
}

/// What the layers make together.
#[derive(Default)]
pub(super) struct Tree {
    layers: usize,
    root: Directory,
}

#[derive(Default)]
struct Directory {
    /// None for one that no layer describes.
    entry: Option<Box<ArchiveEntry>>,
    children: BTreeMap<Vec<u8>, Node>,
}

enum Node {
    Directory(Box<Directory>),
    Leaf(Place),
}

/// What is to be written.
#[derive(Default)]
pub(super) struct Winners {
    /// The directories, each before what is in it, with the entry that describes it.
    pub(super) directories: Vec<(ImagePath, Option<Box<ArchiveEntry>>)>,
    /// The other entries, each with its paths in their order.
    pub(super) leaves: BTreeMap<Place, Vec<ImagePath>>,
}

impl Listing {
    /// Adds the next entry.
    pub(super) fn add(&mut self, entry: &ArchiveEntry) {
        let number = self.count;
        self.count += 1;
        let path = ImagePath(entry.path.clone());
        match Marker::of(&path) {
            Marker::Opaque(directory) => self.opaque.push(directory),
            Marker::Hidden(path) => self.hidden.push(path),
            Marker::Engine => {}
            Marker::None => {
                let found = match &entry.kind {
                    ArchiveEntryKind::Directory => Found::Directory(Box::new(entry.clone())),
                    ArchiveEntryKind::HardLink(target) => {
                        Found::HardLink(ImagePath(target.clone()))
                    }
                    _ => Found::Leaf(number),
                };
                self.entries.push((path, found));
            }
        }
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.count
    }
}

impl Tree {
    /// Lays a layer over those before it. The error is a hard link to what is not there: the link and
    /// its target.
    pub(super) fn apply(&mut self, listing: Listing) -> Result<(), (ImagePath, ImagePath)> {
        // Whiteouts are about lower layers, wherever they are in their own.
        for path in &listing.opaque {
            if let Some(directory) = self.directory_mut(path) {
                directory.children.clear();
            }
        }
        for path in &listing.hidden {
            let (parent, name) = path.split();
            if let Some(directory) = self.directory_mut(&parent) {
                directory.children.remove(name);
            }
        }
        let layer = self.layers;
        self.layers += 1;
        for (path, found) in listing.entries {
            let node = match found {
                Found::Directory(entry) => Node::Directory(Box::new(Directory {
                    entry: Some(entry),
                    children: BTreeMap::new(),
                })),
                Found::Leaf(entry) => Node::Leaf(Place { layer, entry }),
                Found::HardLink(target) => match self.leaf(&target) {
                    Some(place) => Node::Leaf(place),
                    None => return Err((path, target)),
                },
            };
            self.put(&path, node);
        }
        Ok(())
    }

    /// What is to be written.
    pub(super) fn winners(self) -> Winners {
        let mut winners = Winners::default();
        collect(self.root, &ImagePath::default(), &mut winners);
        winners
    }

    fn leaf(&mut self, path: &ImagePath) -> Option<Place> {
        let (parent, name) = path.split();
        match self.directory_mut(&parent)?.children.get(name) {
            Some(Node::Leaf(place)) => Some(*place),
            _ => None,
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
        let (parent, name) = path.split();
        if name.is_empty() {
            // Engines have a root of their own.
            return;
        }
        let mut directory = &mut self.root;
        for name in parent.components() {
            let child = directory.children.entry(name.to_vec());
            let child = child.or_insert_with(|| Node::Directory(Box::default()));
            if matches!(child, Node::Leaf(_)) {
                *child = Node::Directory(Box::default());
            }
            let Node::Directory(child) = child else {
                return;
            };
            directory = child;
        }
        match (directory.children.get_mut(name), node) {
            (Some(Node::Directory(old)), Node::Directory(new)) => old.entry = new.entry,
            (_, node) => {
                directory.children.insert(name.to_vec(), node);
            }
        }
    }
}

fn collect(directory: Directory, path: &ImagePath, winners: &mut Winners) {
    for (name, node) in directory.children {
        let path = path.join(&name);
        match node {
            Node::Leaf(place) => winners.leaves.entry(place).or_default().push(path),
            Node::Directory(mut child) => {
                let entry = child.entry.take();
                winners.directories.push((path.clone(), entry));
                collect(*child, &path, winners);
            }
        }
    }
}
