//! What a layer contains, and what layers make together.
//!
//! Recipes and rules are data. The store is walked and never written; which store path is in which layer
//! is decided in `strata_plan`, and no bytes of archives are made here.
//!
//! - `path`, `rules` (with `capabilities`), `files`, `recipe`: all that the bytes of a layer depend on
//! - `source`: what a recipe says of a store path, joined with the store
//! - `entries`: the entries of a layer in their order, from its recipe
//! - `budget`, `whiteout`, `overlay`: replaying layers over each other, the one place that does
//! - `base_tree`: what the layers of a base image make together
//! - `merge`: settling what goes to the root of an image, over its base and over all its layers

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod base_tree;
mod budget;
mod capabilities;
mod entries;
mod files;
mod merge;
mod overlay;
mod path;
mod recipe;
mod rules;
mod source;
mod whiteout;

pub use base_tree::{BaseEntry, BaseListing, BaseTree, Stored};
pub use budget::{Budget, MOST_ENTRIES, MOST_KEPT};
pub use entries::LayerTree;
pub use files::{FileKind, FileRecord};
pub use merge::{MergedRoot, RootFile, RootSource, Surroundings, merge};
pub use overlay::{
    Change, Kept, Listing, Obstacle, Overlay, OverlayNode, SymlinksBelow, Unlayable,
};
pub use path::ImagePath;
pub use recipe::{DirectoryRecord, Owner, Recipe, Redirect, Source, StoreContent};
pub use rules::{Changes, CompiledRules, EntryType, Rule};
