//! Which entry of which layer is in the image in the end.

use std::collections::BTreeMap;
use std::sync::Arc;

use strata_archive::{ArchiveEntry, ArchiveEntryKind};
use strata_tree::{Change, ImagePath, Overlay, OverlayNode};

/// An entry of a layer: what a path stands for, whatever its other names are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EntryPosition {
    /// The number of the layer, from the lowest.
    pub(super) layer: usize,
    /// The number of the entry in the layer.
    pub(super) entry: usize,
}

/// What one layer has.
#[derive(Default)]
pub(super) struct Listing {
    count: usize,
    listing: strata_tree::Listing<Found>,
}

enum Found {
    Directory(Arc<ArchiveEntry>),
    /// A file, symlink, device or pipe: the entry with this number.
    Leaf(usize),
    /// Another name of what is at this path.
    HardLink(ImagePath),
}

/// What the layers make together.
#[derive(Default)]
pub(super) struct Tree {
    layers: usize,
    /// No layer needs to describe a directory.
    overlay: Overlay<Option<Arc<ArchiveEntry>>, EntryPosition>,
}

/// What is to be written.
#[derive(Default)]
pub(super) struct Winners {
    /// The directories, each before what is in it, with the entry that describes it.
    pub(super) directories: Vec<(ImagePath, Option<Arc<ArchiveEntry>>)>,
    /// The other entries, each with its paths in their order.
    pub(super) leaves: BTreeMap<EntryPosition, Vec<ImagePath>>,
}

impl Listing {
    /// Adds the next entry.
    pub(super) fn add(&mut self, entry: &ArchiveEntry) {
        let found = match &entry.kind {
            ArchiveEntryKind::Directory => Found::Directory(Arc::new(entry.clone())),
            ArchiveEntryKind::HardLink(target) => Found::HardLink(ImagePath(target.clone())),
            _ => Found::Leaf(self.count),
        };
        self.count += 1;
        self.listing.add(ImagePath(entry.path.clone()), found);
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.count
    }
}

impl Tree {
    /// Lays a layer over those before it. The error is a hard link to what is not there: the link and
    /// its target.
    pub(super) fn apply(&mut self, layer: &Listing) -> Result<(), (ImagePath, ImagePath)> {
        let number = self.layers;
        self.layers += 1;
        let link = |path: &ImagePath, target: &ImagePath, leaf: Option<&EntryPosition>| {
            leaf.copied().ok_or_else(|| (path.clone(), target.clone()))
        };
        self.overlay.apply(
            &layer.listing,
            |found| match found {
                Found::Directory(entry) => Change::Directory(Some(Arc::clone(entry))),
                Found::Leaf(entry) => Change::Leaf(EntryPosition {
                    layer: number,
                    entry: *entry,
                }),
                Found::HardLink(target) => Change::HardLink(target),
            },
            link,
        )
    }

    /// What is to be written.
    pub(super) fn winners(self) -> Winners {
        let mut winners = Winners::default();
        self.overlay.drain(&mut |path, node| match node {
            OverlayNode::Directory(entry) => winners.directories.push((path, entry)),
            OverlayNode::Leaf(place) => winners.leaves.entry(place).or_default().push(path),
        });
        for paths in winners.leaves.values_mut() {
            paths.sort_by(|one, other| one.components().cmp(other.components()));
        }
        winners
    }
}
