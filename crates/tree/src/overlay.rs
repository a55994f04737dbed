//! What layers make together when they lie over each other (OCI layer.md, "Applying Changesets"): the
//! one place that replays a layer.
//!
//! A [`Listing`] is what one layer has, in its order. [`Overlay::apply`] lays it over the layers before
//! it: first what it hides is taken away, then each entry is put where its path says, whatever was
//! there. Both are free in what they keep of an entry: a base image keeps where contents are, an export
//! which entry is left in the end.

use std::collections::BTreeMap;

use super::path::ImagePath;
use super::whiteout::Whiteout;

/// The most entries of all layers, whiteouts too; those of a layer that is there twice count twice.
pub const MOST_ENTRIES: usize = 10_000_000;

/// What one layer has, and what it hides of those below it.
#[derive(Clone, Debug)]
pub struct Listing<E> {
    entries: Vec<(ImagePath, E)>,
    hidden: Vec<ImagePath>,
    opaque: Vec<ImagePath>,
}

/// What a layer has at a path.
#[derive(Clone, Copy, Debug)]
pub enum Change<'a, D, L> {
    /// A directory.
    Directory(D),
    /// A file, symlink, device or pipe.
    Leaf(L),
    /// Another name of what is at this path by now.
    HardLink(&'a ImagePath),
}

/// A directory, or something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverlayNode<D, L> {
    /// A directory.
    Directory(D),
    /// What has nothing below it.
    Leaf(L),
}

/// A tree of directories, each with a `D`, and of leaves, each an `L`. The directories on the way to
/// something have the default until somebody describes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlay<D, L> {
    root: Directory<D, L>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Directory<D, L> {
    about: D,
    /// No name is in both.
    directories: BTreeMap<Vec<u8>, Directory<D, L>>,
    leaves: BTreeMap<Vec<u8>, L>,
}

impl<E> Default for Listing<E> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            hidden: Vec::new(),
            opaque: Vec::new(),
        }
    }
}

impl<E> Listing<E> {
    /// Adds what is at `path` in the layer: an entry, unless the path is a whiteout.
    pub fn add(&mut self, path: ImagePath, entry: E) {
        match Whiteout::of(&path) {
            None => self.entries.push((path, entry)),
            Some(Whiteout::File(path)) => self.hidden.push(path),
            Some(Whiteout::Opaque(directory)) => self.opaque.push(directory),
            Some(Whiteout::Engine) => {}
        }
    }
}

impl<D: Default, L> Default for Directory<D, L> {
    fn default() -> Self {
        Self {
            about: D::default(),
            directories: BTreeMap::new(),
            leaves: BTreeMap::new(),
        }
    }
}

impl<D: Default, L> Default for Overlay<D, L> {
    fn default() -> Self {
        Self {
            root: Directory::default(),
        }
    }
}

impl<D: Default, L> Overlay<D, L> {
    /// Lays a layer over those before it. `change` says what an entry of it is in the tree; `link` what a
    /// hard link is, from its path, its target and the leaf that is there, if there is one. An error is
    /// one of `link`, and leaves the tree as it was laid so far.
    pub fn apply<'l, E, X>(
        &mut self,
        layer: &'l Listing<E>,
        change: impl Fn(&'l E) -> Change<'l, D, L>,
        link: impl Fn(&ImagePath, &ImagePath, Option<&L>) -> Result<L, X>,
    ) -> Result<(), X> {
        self.hide(layer);
        for (path, entry) in &layer.entries {
            let node = match change(entry) {
                Change::Directory(about) => OverlayNode::Directory(about),
                Change::Leaf(leaf) => OverlayNode::Leaf(leaf),
                Change::HardLink(target) => {
                    let leaf = match self.get(target) {
                        Some(OverlayNode::Leaf(leaf)) => Some(leaf),
                        _ => None,
                    };
                    OverlayNode::Leaf(link(path, target, leaf)?)
                }
            };
            self.put(path, node);
        }
        Ok(())
    }

    /// Takes away what a layer hides. Whiteouts are about the layers under it, wherever they are in their
    /// own.
    fn hide<E>(&mut self, layer: &Listing<E>) {
        for path in &layer.opaque {
            if let Some(directory) = self.directory_mut(path) {
                directory.directories.clear();
                directory.leaves.clear();
            }
        }
        for path in &layer.hidden {
            self.remove(path);
        }
    }

    /// What is at `path`, which leads through directories only.
    pub fn get(&self, path: &ImagePath) -> Option<OverlayNode<&D, &L>> {
        let (parent, name) = path.split();
        let parent = self.directory(&parent)?;
        if name.is_empty() {
            return Some(OverlayNode::Directory(&parent.about));
        }
        let directory = parent.directories.get(name);
        let directory = directory.map(|directory| OverlayNode::Directory(&directory.about));
        directory.or_else(|| parent.leaves.get(name).map(OverlayNode::Leaf))
    }

    /// Puts something where it is to be, whatever was in the way. Two directories are one; the root
    /// stays one.
    fn put(&mut self, path: &ImagePath, node: OverlayNode<D, L>) {
        match node {
            OverlayNode::Directory(about) => self.root.make(path).about = about,
            OverlayNode::Leaf(leaf) => {
                let (parent, name) = path.split();
                if !name.is_empty() {
                    let parent = self.root.make(&parent);
                    parent.directories.remove(name);
                    parent.leaves.insert(name.to_vec(), leaf);
                }
            }
        }
    }

    /// Takes out what is at `path`, which leads through directories only.
    pub fn remove(&mut self, path: &ImagePath) {
        let (parent, name) = path.split();
        if let Some(parent) = self.directory_mut(&parent) {
            parent.directories.remove(name);
            parent.leaves.remove(name);
        }
    }

    /// Hands over everything but the root: each directory before what is in it.
    pub fn drain(self, visit: &mut impl FnMut(ImagePath, OverlayNode<D, L>)) {
        self.root.drain(&ImagePath::default(), visit);
    }

    fn directory(&self, path: &ImagePath) -> Option<&Directory<D, L>> {
        path.components()
            .try_fold(&self.root, |parent, name| parent.directories.get(name))
    }

    fn directory_mut(&mut self, path: &ImagePath) -> Option<&mut Directory<D, L>> {
        path.components().try_fold(&mut self.root, |parent, name| {
            parent.directories.get_mut(name)
        })
    }
}

impl<D: Default, L> Directory<D, L> {
    /// The directory `path` below this one, whatever was in the way.
    fn make(&mut self, path: &ImagePath) -> &mut Self {
        path.components().fold(self, |parent, name| {
            parent.leaves.remove(name);
            parent.directories.entry(name.to_vec()).or_default()
        })
    }

    fn drain(self, path: &ImagePath, visit: &mut impl FnMut(ImagePath, OverlayNode<D, L>)) {
        for (name, leaf) in self.leaves {
            visit(path.join(&name), OverlayNode::Leaf(leaf));
        }
        for (name, mut directory) in self.directories {
            let path = path.join(&name);
            visit(
                path.clone(),
                OverlayNode::Directory(std::mem::take(&mut directory.about)),
            );
            directory.drain(&path, visit);
        }
    }
}
