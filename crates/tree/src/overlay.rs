//! What layers make together when they lie over each other (OCI layer.md, "Applying Changesets"): the
//! one place that replays a layer.
//!
//! A [`Listing`] is what one layer has, in its order. [`Overlay::apply`] lays it over the layers before
//! it, as a file system and not as a list of paths:
//!
//! - The directory that an entry, the target of a hard link or a whiteout is in is looked up through the
//!   symlinks that are there by then, those of this layer and of the layers below; none leads out of the
//!   root. What is missing on the way is made. The last name is not followed: an entry takes the place of
//!   a symlink, also if it is a directory, and a hard link to a symlink is that symlink.
//! - Two directories are one. Everything else is replaced by what comes later.
//! - Whiteouts hide what the layers below have, and nothing of their own layer, wherever they are in it.
//!
//! dockerd, containerd, podman, umoci and GNU tar agree on this within a layer. They differ where a
//! symlink is of a layer below: umoci, GNU tar and engines that unpack into one directory (the drivers
//! vfs and native) follow it, as is done here; overlayfs unpacks each layer alone, so that the upper one
//! has a directory in the place of the symlink. A symlink whose target is not there is an error for
//! dockerd and GNU tar, while containerd and umoci make the target, as is done here. A file of a layer
//! below becomes a directory if something is in it, as for overlayfs; in one layer that is an error.
//!
//! Names and directories lie in one map, so that depth costs neither memory nor stack.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;

use super::budget::{Budget, allocation};
use super::path::ImagePath;
use super::whiteout::Whiteout;

/// How many symlinks Linux follows on the way to a file.
const MOST_SYMLINKS: usize = 40;
/// The longest path that something may really have, Linux's `PATH_MAX`.
const LONGEST_PATH: usize = 4096;

/// What is kept of an entry.
pub trait Kept {
    /// Where it leads, if it is a symlink.
    fn symlink(&self) -> Option<&[u8]> {
        None
    }

    /// How many bytes it has elsewhere in memory.
    fn elsewhere(&self) -> usize;
}

/// What one layer has, in its order.
#[derive(Debug)]
pub struct Listing<E> {
    entries: Vec<Listed<E>>,
    /// What the paths of entries do not share with the one before.
    names: Vec<u8>,
    /// The path of the last entry.
    last: Vec<u8>,
    kept: usize,
}

/// An entry, whose path begins with `shared` bytes of the one before.
#[derive(Debug)]
struct Listed<E> {
    shared: u32,
    own: u32,
    entry: E,
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

/// Why a layer cannot be laid over others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unlayable {
    /// The path of its entry.
    pub path: ImagePath,
    /// What is wrong with it.
    pub message: String,
}

/// Why a path leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// There is a file where a directory must be.
    File(ImagePath),
    /// Symlinks that lead to each other.
    Loop(ImagePath),
    /// Symlinks that lead deeper than a path may be long.
    Long(ImagePath),
    /// A symlink of a layer below, where none of those may be on the way.
    Below(ImagePath),
}

/// What becomes of an entry on whose way is a symlink of a layer below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SymlinksBelow {
    /// It goes where the symlink leads.
    Followed,
    /// It is an error, because engines do not agree on it.
    Refused,
}

/// What to do with something on the way that is no directory.
enum Passage {
    /// Follow a symlink, stop at a file.
    AsItIs,
    /// A file counts as not there.
    Replaced,
    /// No symlink is followed.
    Refused,
}

/// A tree of directories, each with a `D`, and of leaves, each an `L`. The directories on the way to
/// something have the default until somebody describes them.
#[derive(Clone, Debug)]
pub struct Overlay<D, L> {
    /// By the number of the directory, big-endian, and the name in it.
    nodes: BTreeMap<Box<[u8]>, Node<L>>,
    /// What is known of the directories, by number; the first is the root.
    directories: Vec<Option<Box<D>>>,
    undescribed: D,
    /// How many layers were laid.
    layers: u32,
    /// What the last of them does with symlinks of the others.
    below: SymlinksBelow,
}

/// What is at a name.
#[derive(Clone, Debug)]
struct Node<L> {
    /// The layer that put it there, or described it.
    layer: u32,
    what: OverlayNode<u32, L>,
}

/// The number of the root.
const ROOT: u32 = 0;

/// Where a path leads.
pub(super) struct Way<'a, L> {
    /// The path without symlinks.
    pub(super) real: ImagePath,
    /// What is there, if it is no directory.
    pub(super) leaf: Option<&'a L>,
    /// The numbers of the directories on the way that are there, without the root.
    directories: Vec<u32>,
}

impl<E> Default for Listing<E> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            names: Vec::new(),
            last: Vec::new(),
            kept: 0,
        }
    }
}

impl<E: Kept> Listing<E> {
    /// Adds what is at `path` in the layer; the error is that this is too much.
    pub fn add(&mut self, path: &ImagePath, entry: E, budget: &mut Budget) -> Result<(), String> {
        let same = self.last.iter().zip(&path.0);
        let shared = same.take_while(|(one, other)| one == other).count();
        let own = &path.0[shared..];
        // A vector may have room for twice what is in it.
        let size = 2 * (size_of::<Listed<E>>() + own.len()) + entry.elsewhere();
        budget.keep(size)?;
        self.kept += size;
        self.names.extend_from_slice(own);
        self.last.truncate(shared);
        self.last.extend_from_slice(own);
        let length = |length: usize| u32::try_from(length).map_err(|_| "a path is too long");
        self.entries.push(Listed {
            shared: length(shared)?,
            own: length(own.len())?,
            entry,
        });
        Ok(())
    }

    /// Forgets it all.
    pub fn release(self, budget: &mut Budget) {
        budget.release(self.kept);
    }

    /// The entries with their paths, in their order.
    fn entries(&self) -> impl Iterator<Item = (ImagePath, &E)> {
        let mut path = ImagePath::default();
        let mut names = self.names.as_slice();
        self.entries.iter().filter_map(move |listed| {
            // As it was added, so there is as much.
            let (own, rest) = names.split_at_checked(usize::try_from(listed.own).ok()?)?;
            names = rest;
            path.0.truncate(usize::try_from(listed.shared).ok()?);
            path.0.extend_from_slice(own);
            Some((path.clone(), &listed.entry))
        })
    }
}

impl fmt::Display for Unlayable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.path, self.message)
    }
}

impl Obstacle {
    /// What is wrong with what lies below it.
    fn message(&self) -> String {
        match self {
            Self::File(path) => format!("{path} is a file of the same layer, not a directory"),
            Self::Loop(path) => format!("the symlink {path} leads to itself"),
            Self::Long(path) => format!("symlinks lead to a longer path than there may be: {path}"),
            Self::Below(path) => format!(
                "{path} is a symlink of a layer below, which some engines follow and others replace"
            ),
        }
    }
}

impl<D: Default, L> Default for Overlay<D, L> {
    fn default() -> Self {
        Self {
            nodes: BTreeMap::new(),
            directories: vec![None],
            undescribed: D::default(),
            layers: 0,
            below: SymlinksBelow::Followed,
        }
    }
}

impl<D: Default + Kept, L: Kept> Overlay<D, L> {
    /// Lays a layer over those before it. `change` says what an entry of it is in the tree; `link` what a
    /// hard link is, from the leaf that is at its target, if there is one; with none it is an error. An
    /// error leaves the tree as it was laid so far.
    pub fn apply<'l, E: Kept>(
        &mut self,
        layer: &'l Listing<E>,
        below: SymlinksBelow,
        budget: &mut Budget,
        change: impl Fn(&'l E) -> Change<'l, D, L>,
        link: impl Fn(Option<&L>) -> Option<L>,
    ) -> Result<(), Unlayable> {
        self.layers += 1;
        self.below = below;
        for (path, entry) in layer.entries() {
            let result = match Whiteout::of(&path) {
                None => match change(entry) {
                    Change::Directory(about) => {
                        self.put(&path, OverlayNode::Directory(about), budget)
                    }
                    Change::Leaf(leaf) => self.put(&path, OverlayNode::Leaf(leaf), budget),
                    Change::HardLink(target) => match self.linked(&path, target).map(&link) {
                        Ok(Some(leaf)) => self.put(&path, OverlayNode::Leaf(leaf), budget),
                        Ok(None) => Err(format!("a link to {target}, which is not there")),
                        Err(message) => Err(message),
                    },
                },
                Some(Whiteout::File(directory, name)) => self.hide(&directory, Some(name), budget),
                Some(Whiteout::Opaque(directory)) => self.hide(&directory, None, budget),
                Some(Whiteout::Nothing(message)) => Err(message.to_owned()),
                Some(Whiteout::Engine) => Ok(()),
            };
            result.map_err(|message| Unlayable { path, message })?;
        }
        Ok(())
    }

    /// What is at `path`, which leads through directories only.
    pub fn get(&self, path: &ImagePath) -> Option<OverlayNode<&D, &L>> {
        let mut node = OverlayNode::Directory(ROOT);
        let mut leaf = None;
        for name in path.components() {
            let OverlayNode::Directory(directory) = node else {
                return None;
            };
            match &self.child(directory, name)?.what {
                OverlayNode::Directory(number) => node = OverlayNode::Directory(*number),
                OverlayNode::Leaf(found) => {
                    node = OverlayNode::Leaf(());
                    leaf = Some(found);
                }
            }
        }
        match node {
            OverlayNode::Directory(number) => Some(OverlayNode::Directory(self.about(number))),
            OverlayNode::Leaf(()) => leaf.map(OverlayNode::Leaf),
        }
    }

    /// Where `path` leads when all symlinks are followed; what is not there may be made there.
    pub(super) fn resolve(&self, path: &ImagePath) -> Result<Way<'_, L>, Obstacle> {
        self.walk(path, |_| Passage::AsItIs)
    }

    /// Takes out what is at `path`, which leads through no symlink.
    pub fn remove(&mut self, path: &ImagePath) {
        let (parent, name) = path.split();
        let Ok(way) = self.resolve(&parent) else {
            return;
        };
        if let (true, Some(directory)) = (way.real == parent, way.directory()) {
            self.take_out(directory, name, &mut Budget::default());
        }
    }

    /// Shows everything but the root: each directory before what is in it, by component.
    pub fn visit(&self, visit: &mut impl FnMut(&ImagePath, OverlayNode<&D, &L>)) {
        let mut path = ImagePath::default();
        let mut open = vec![(self.children(ROOT), 0)];
        while let Some((children, length)) = open.last_mut() {
            path.0.truncate(*length);
            let Some((key, node)) = children.next() else {
                open.pop();
                continue;
            };
            if !path.0.is_empty() {
                path.0.push(b'/');
            }
            path.0.extend_from_slice(&key[KEY..]);
            match &node.what {
                OverlayNode::Leaf(leaf) => visit(&path, OverlayNode::Leaf(leaf)),
                OverlayNode::Directory(number) => {
                    visit(&path, OverlayNode::Directory(self.about(*number)));
                    open.push((self.children(*number), path.0.len()));
                }
            }
        }
    }

    /// What is at the target of the hard link `path`, if something is. A directory has no second name, and what
    /// the link takes the place of is gone before it is made.
    fn linked(&self, path: &ImagePath, target: &ImagePath) -> Result<Option<&L>, String> {
        let place = |path: &ImagePath| {
            let (parent, name) = path.split();
            let directory = self.resolve(&parent).ok()?.directory()?;
            Some(key(directory, name))
        };
        let Some(found) = place(target) else {
            return Ok(None);
        };
        if place(path).as_ref() == Some(&found) {
            return Err("a link to itself".to_owned());
        }
        match self.nodes.get(&found).map(|node| &node.what) {
            Some(OverlayNode::Leaf(leaf)) => Ok(Some(leaf)),
            Some(OverlayNode::Directory(_)) => {
                Err(format!("a link to {target}, which is a directory"))
            }
            None => Ok(None),
        }
    }

    /// Puts something where it is to be, whatever was in the way. Two directories are one; the root
    /// stays one.
    fn put(
        &mut self,
        path: &ImagePath,
        node: OverlayNode<D, L>,
        budget: &mut Budget,
    ) -> Result<(), String> {
        let (parent, name) = path.split();
        if name.is_empty() {
            return match node {
                OverlayNode::Directory(about) => self.describe(ROOT, about, budget),
                OverlayNode::Leaf(_) => Ok(()),
            };
        }
        let parent = self.make(&parent, budget)?;
        match node {
            OverlayNode::Directory(about) => {
                let old = self.child(parent, name).map(|node| &node.what);
                let number = match old {
                    Some(OverlayNode::Directory(number)) => *number,
                    _ => self.add_directory(parent, name, budget)?,
                };
                if let Some(node) = self.nodes.get_mut(&*key(parent, name)) {
                    node.layer = self.layers;
                }
                self.describe(number, about, budget)
            }
            OverlayNode::Leaf(leaf) => {
                self.take_out(parent, name, budget);
                budget.keep(node_size::<L>(name) + leaf.elsewhere())?;
                self.insert(parent, name, OverlayNode::Leaf(leaf));
                Ok(())
            }
        }
    }

    /// The directory that `path` leads to, made where it is missing.
    fn make(&mut self, path: &ImagePath, budget: &mut Budget) -> Result<u32, String> {
        let way = self.walk(path, |node| self.passage(node));
        let way = way.map_err(|obstacle| obstacle.message())?;
        if way.leaf.is_some() {
            return Err(Obstacle::File(way.real).message());
        }
        let mut directory = way.directories.last().copied().unwrap_or(ROOT);
        let (real, there) = (way.real, way.directories.len());
        for name in real.components().skip(there) {
            directory = self.add_directory(directory, name, budget)?;
        }
        Ok(directory)
    }

    /// Makes a directory, whatever was in the way.
    fn add_directory(
        &mut self,
        parent: u32,
        name: &[u8],
        budget: &mut Budget,
    ) -> Result<u32, String> {
        self.take_out(parent, name, budget);
        budget.keep(node_size::<L>(name) + 2 * size_of::<Option<Box<D>>>())?;
        let number = u32::try_from(self.directories.len()).map_err(|_| "too many directories")?;
        self.directories.push(None);
        self.insert(parent, name, OverlayNode::Directory(number));
        Ok(number)
    }

    fn insert(&mut self, parent: u32, name: &[u8], what: OverlayNode<u32, L>) {
        let layer = self.layers;
        self.nodes.insert(key(parent, name), Node { layer, what });
    }

    fn describe(&mut self, number: u32, about: D, budget: &mut Budget) -> Result<(), String> {
        self.forget(number, budget);
        budget.keep(about_size(&about))?;
        if let Some(directory) = self.directory_mut(number) {
            *directory = Some(Box::new(about));
        }
        Ok(())
    }

    fn forget(&mut self, number: u32, budget: &mut Budget) {
        let directory = self.directory_mut(number);
        if let Some(about) = directory.and_then(Option::take) {
            budget.release(about_size(&*about));
        }
    }

    /// Hides what the layers below have at `name` in a directory, or everything in it.
    fn hide(
        &mut self,
        directory: &ImagePath,
        name: Option<&[u8]>,
        budget: &mut Budget,
    ) -> Result<(), String> {
        let way = self.walk(directory, |node| self.passage(node));
        let way = way.map_err(|obstacle| obstacle.message())?;
        let Some(directory) = way.directory() else {
            return Ok(());
        };
        match name {
            Some(name) if self.child(directory, name).is_none() => {}
            Some(name) => self.prune(vec![key(directory, name)], budget),
            None => self.prune(self.keys(directory), budget),
        }
        Ok(())
    }

    /// Takes out of what is at `keys`, and below, all that this layer did not make.
    fn prune(&mut self, keys: Vec<Box<[u8]>>, budget: &mut Budget) {
        // The directory of each, by its number here; what is in one is behind it.
        let mut found: Vec<(Box<[u8]>, Option<usize>)> =
            keys.into_iter().map(|key| (key, None)).collect();
        let mut next = 0;
        while let Some((key, _)) = found.get(next) {
            let node = self.nodes.get(key).map(|node| &node.what);
            if let Some(OverlayNode::Directory(number)) = node {
                let below = self.keys(*number);
                found.extend(below.into_iter().map(|key| (key, Some(next))));
            }
            next += 1;
        }
        let mut stays = vec![false; found.len()];
        for (number, (key, parent)) in found.iter().enumerate().rev() {
            let Some(node) = self.nodes.get(key) else {
                continue;
            };
            let is_own = node.layer == self.layers;
            match node.what {
                OverlayNode::Directory(directory) if stays[number] => {
                    if !is_own {
                        self.forget(directory, budget);
                    }
                }
                _ if is_own => stays[number] = true,
                _ => self.take_key_out(key, budget),
            }
            if let (true, Some(parent)) = (stays[number], parent) {
                stays[*parent] = true;
            }
        }
    }

    /// Takes out what is at a name, and all below it.
    fn take_out(&mut self, parent: u32, name: &[u8], budget: &mut Budget) {
        self.take_key_out(&key(parent, name), budget);
    }

    fn take_key_out(&mut self, key: &[u8], budget: &mut Budget) {
        let mut keys = vec![Box::from(key)];
        while let Some(key) = keys.pop() {
            match self.nodes.remove(&key).map(|node| node.what) {
                None => continue,
                Some(OverlayNode::Leaf(leaf)) => budget.release(leaf.elsewhere()),
                Some(OverlayNode::Directory(number)) => {
                    self.forget(number, budget);
                    keys.extend(self.keys(number));
                }
            }
            budget.release(node_size::<L>(&key[KEY..]));
        }
    }

    /// What the last layer does with something that is on the way to an entry of it.
    fn passage(&self, node: &Node<L>) -> Passage {
        let OverlayNode::Leaf(leaf) = &node.what else {
            return Passage::AsItIs;
        };
        match (leaf.symlink(), self.below) {
            _ if node.layer == self.layers => Passage::AsItIs,
            (None, _) => Passage::Replaced,
            (Some(_), SymlinksBelow::Followed) => Passage::AsItIs,
            (Some(_), SymlinksBelow::Refused) => Passage::Refused,
        }
    }

    /// Follows a path from the root.
    fn walk(
        &self,
        path: &ImagePath,
        passage: impl Fn(&Node<L>) -> Passage,
    ) -> Result<Way<'_, L>, Obstacle> {
        let mut way = Way {
            real: ImagePath::default(),
            leaf: None,
            directories: Vec::new(),
        };
        let mut missing = 0;
        let mut symlinks = 0;
        let mut rest: Cow<'_, [u8]> = Cow::Borrowed(&path.0);
        let mut position = 0;
        loop {
            let slash = rest[position..].iter().position(|byte| *byte == b'/');
            let end = slash.map_or(rest.len(), |slash| position + slash);
            let name = &rest[position..end];
            let is_last = end == rest.len();
            match name {
                b"" | b"." => {}
                b".." => {
                    way.real.pop();
                    if missing > 0 {
                        missing -= 1;
                    } else {
                        way.directories.pop();
                    }
                }
                name => {
                    let above = way.real.0.len();
                    way.real.push(name);
                    if way.real.0.len() > LONGEST_PATH {
                        return Err(Obstacle::Long(path.clone()));
                    }
                    let found = way.directory_unless(missing > 0);
                    let found = found.and_then(|directory| self.child(directory, name));
                    match found.map(|node| (&node.what, node)) {
                        None => missing += 1,
                        Some((OverlayNode::Directory(number), _)) => way.directories.push(*number),
                        Some((OverlayNode::Leaf(leaf), node)) => {
                            match (leaf.symlink(), passage(node)) {
                                (Some(_), Passage::Refused) => {
                                    return Err(Obstacle::Below(way.real));
                                }
                                (Some(target), _) => {
                                    symlinks += 1;
                                    if symlinks > MOST_SYMLINKS {
                                        return Err(Obstacle::Loop(way.real));
                                    }
                                    way.real.0.truncate(above);
                                    if target.starts_with(b"/") {
                                        way.real = ImagePath::default();
                                        way.directories.clear();
                                    }
                                    rest = Cow::Owned([target, b"/", &rest[end..]].concat());
                                    position = 0;
                                    continue;
                                }
                                (None, Passage::Replaced) => missing += 1,
                                (None, _) if rest[end..].iter().all(|byte| *byte == b'/') => {
                                    way.leaf = Some(leaf);
                                    return Ok(way);
                                }
                                (None, _) => return Err(Obstacle::File(way.real)),
                            }
                        }
                    }
                }
            }
            if is_last {
                return Ok(way);
            }
            position = end + 1;
        }
    }

    fn about(&self, number: u32) -> &D {
        let directory = usize::try_from(number).ok();
        let directory = directory.and_then(|number| self.directories.get(number)?.as_deref());
        directory.unwrap_or(&self.undescribed)
    }

    fn directory_mut(&mut self, number: u32) -> Option<&mut Option<Box<D>>> {
        self.directories.get_mut(usize::try_from(number).ok()?)
    }

    fn child(&self, directory: u32, name: &[u8]) -> Option<&Node<L>> {
        self.nodes.get(&*key(directory, name))
    }

    fn children(&self, directory: u32) -> Children<'_, L> {
        let (start, end) = (directory.to_be_bytes(), (directory + 1).to_be_bytes());
        let bounds = (Bound::Included(&start[..]), Bound::Excluded(&end[..]));
        self.nodes.range::<[u8], _>(bounds)
    }

    fn keys(&self, directory: u32) -> Vec<Box<[u8]>> {
        self.children(directory)
            .map(|(key, _)| key.clone())
            .collect()
    }
}

/// What is in a directory.
type Children<'a, L> = std::collections::btree_map::Range<'a, Box<[u8]>, Node<L>>;

/// How long the number of a directory is in a key.
const KEY: usize = size_of::<u32>();

fn key(directory: u32, name: &[u8]) -> Box<[u8]> {
    [directory.to_be_bytes().as_slice(), name].concat().into()
}

/// What a name takes: half of the map may be room that is not used.
fn node_size<L>(name: &[u8]) -> usize {
    2 * (size_of::<Box<[u8]>>() + size_of::<Node<L>>()) + allocation(KEY + name.len())
}

fn about_size<D: Kept>(about: &D) -> usize {
    allocation(size_of::<D>()) + about.elsewhere()
}

impl<L> Way<'_, L> {
    /// The number of the directory, if it is there.
    fn directory(&self) -> Option<u32> {
        let missing =
            self.leaf.is_some() || self.real.components().count() > self.directories.len();
        self.directory_unless(missing)
    }

    fn directory_unless(&self, is_missing: bool) -> Option<u32> {
        (!is_missing).then(|| self.directories.last().copied().unwrap_or(ROOT))
    }
}
