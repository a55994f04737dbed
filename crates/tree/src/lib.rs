//! What a layer contains: walking store paths, ownership rules, merging what goes to the root of
//! the image, recipes, from which the entries of a layer follow, and what layers make together.

mod capabilities;
mod entries;
mod merge;
mod metadata;
mod overlay;
mod path;
mod recipe;
mod rules;
pub mod walk;
mod whiteout;

pub use entries::{Entry, EntryKind, LayerTree, WHITEOUT};
pub use merge::{Layout, RootSource, Surroundings, merge};
pub use metadata::{Metadata, Mode};
pub use overlay::{Listing, Node, Overlay};
pub use path::ImagePath;
pub use recipe::{DirectoryRecord, Recipe, Redirect, Source};
pub use rules::{Changes, CompiledRules, EntryType, Rule};
