//! Which entry of which layer is in the image in the end.

use std::collections::BTreeMap;
use std::sync::Arc;

use strata_archive::{ArchiveEntry, ArchiveEntryKind};
use strata_tree::{
    Budget, Change, ImagePath, Kept, Overlay, OverlayNode, SymlinksBelow, Unlayable,
};

/// An entry of a layer: what a path stands for, whatever its other names are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EntryPosition {
    /// The number of the layer, from the lowest.
    pub(crate) layer: usize,
    /// The number of the entry in the layer.
    pub(crate) entry: usize,
}

/// What one layer has.
#[derive(Default)]
pub(crate) struct Listing {
    count: usize,
    listing: strata_tree::Listing<Found>,
}

enum Found {
    Directory(Arc<ArchiveEntry>),
    /// A file, symlink, device or pipe: the number of the entry, and where a symlink leads.
    Leaf(usize, Option<Arc<[u8]>>),
    /// Another name of what is at this path.
    HardLink(Box<ImagePath>),
}

/// What the layers make together.
#[derive(Default)]
pub(crate) struct Tree {
    layers: usize,
    overlay: Overlay<Described, Leaf>,
}

/// The entry that describes a directory; no layer needs to.
#[derive(Clone, Default)]
struct Described(Option<Arc<ArchiveEntry>>);

/// An entry that is no directory, and where it leads if it is a symlink.
#[derive(Clone)]
struct Leaf(EntryPosition, Option<Arc<[u8]>>);

/// What is to be written.
#[derive(Default)]
pub(crate) struct Winners {
    /// The directories, each before what is in it, with the entry that describes it.
    pub(crate) directories: Vec<(ImagePath, Option<Arc<ArchiveEntry>>)>,
    /// The other entries, each with its paths in their order.
    pub(crate) leaves: BTreeMap<EntryPosition, Vec<ImagePath>>,
}

impl Kept for Found {
    fn elsewhere(&self) -> usize {
        match self {
            Self::Directory(entry) => entry.size_in_memory(),
            Self::Leaf(_, target) => target.as_ref().map_or(0, |target| target.len()),
            Self::HardLink(target) => size_of::<ImagePath>() + target.0.len(),
        }
    }
}

impl Kept for Described {
    fn elsewhere(&self) -> usize {
        self.0.as_ref().map_or(0, |entry| entry.size_in_memory())
    }
}

impl Kept for Leaf {
    fn symlink(&self) -> Option<&[u8]> {
        self.1.as_deref()
    }

    fn elsewhere(&self) -> usize {
        self.1.as_ref().map_or(0, |target| target.len())
    }
}

impl Listing {
    /// Adds the next entry; the error is that this is too much.
    pub(crate) fn add(&mut self, entry: &ArchiveEntry, budget: &mut Budget) -> Result<(), String> {
        let found = match &entry.kind {
            ArchiveEntryKind::Directory => Found::Directory(Arc::new(entry.clone())),
            ArchiveEntryKind::HardLink(target) => {
                Found::HardLink(Box::new(ImagePath(target.clone())))
            }
            ArchiveEntryKind::Symlink(target) => {
                Found::Leaf(self.count, Some(target.as_slice().into()))
            }
            ArchiveEntryKind::File | ArchiveEntryKind::Special(_) => Found::Leaf(self.count, None),
        };
        self.count += 1;
        self.listing
            .add(&ImagePath(entry.path.clone()), found, budget)
    }

    /// Forgets it all.
    pub(crate) fn release(self, budget: &mut Budget) {
        self.listing.release(budget);
    }
}

impl Tree {
    /// Lays a layer over those before it.
    pub(crate) fn apply(
        &mut self,
        layer: &Listing,
        below: SymlinksBelow,
        budget: &mut Budget,
    ) -> Result<(), Unlayable> {
        let number = self.layers;
        self.layers += 1;
        self.overlay.apply(
            &layer.listing,
            below,
            budget,
            |found| match found {
                Found::Directory(entry) => Change::Directory(Described(Some(Arc::clone(entry)))),
                Found::Leaf(entry, target) => {
                    let position = EntryPosition {
                        layer: number,
                        entry: *entry,
                    };
                    Change::Leaf(Leaf(position, target.clone()))
                }
                Found::HardLink(target) => Change::HardLink(target),
            },
            linked,
        )
    }

    /// What is to be written; the error is that this is too much.
    pub(crate) fn winners(self, budget: &mut Budget) -> Result<Winners, String> {
        let mut winners = Winners::default();
        let mut result = Ok(());
        self.overlay.visit(&mut |path, node| {
            if result.is_err() {
                return;
            }
            // A path and its place in a list, which may have room for twice as much.
            result = budget.keep(path.0.len() + 3 * size_of::<(ImagePath, Described)>());
            match node {
                OverlayNode::Directory(Described(entry)) => {
                    winners.directories.push((path.clone(), entry.clone()));
                }
                OverlayNode::Leaf(Leaf(position, _)) => {
                    let paths = winners.leaves.entry(*position).or_default();
                    paths.push(path.clone());
                }
            }
        });
        for paths in winners.leaves.values_mut() {
            paths.sort_by(|one, other| one.components().cmp(other.components()));
        }
        result.map(|()| winners)
    }
}

/// What a hard link is: what its target is, which must be there.
fn linked(target: Option<&Leaf>) -> Option<Leaf> {
    target.cloned()
}
