//! What a layer contains: walking store paths, ownership rules, merging what goes to the root of
//! the image, recipes, from which the entries of a layer follow, and what layers make together.

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod base_tree;
mod capabilities;
mod entries;
mod merge;
mod overlay;
mod path;
mod recipe;
mod rules;
mod source;
mod whiteout;

pub use base_tree::{BaseEntry, BaseListing, BaseTree, EntriesLeft, Obstacle, Stored};
pub use entries::LayerTree;
pub use merge::{MergedRoot, RootSource, Surroundings, merge};
pub use overlay::{Change, Listing, MOST_ENTRIES, Overlay, OverlayNode};
pub use path::ImagePath;
pub use recipe::{DirectoryRecord, Recipe, Redirect, Source};
pub use rules::{Changes, CompiledRules, EntryType, Rule};
