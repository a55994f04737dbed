//! What is in an image, as whoever ships it asks: which packages, how big, why, what changed, and whether that is
//! too much.
//!
//! This crate is pure: whoever reads an image hands over what its layers hold, as [`FoundLayer`]s, and gets
//! [`Contents`].
//!
//! - `found`: what a reader hands over; `recorded`: what an output of Strata says
//! - `contents`: the packages of all layers as one graph, and what the arguments named
//! - `named`: which store paths a config names
//! - `sizes`: what would go if a package went
//! - `chains`: the ways from what was named to a package
//! - `visible`: what layers make together, and which bytes nobody sees
//! - `mentions`: hashes of store paths in the bytes of files, as Nix looks for them
//! - `nar_size`: the size that Nix would give to a store path of which the files are known
//! - `diff/`: what differs between two images
//! - `limits`, `amount`: budgets

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod amount;
mod chains;
mod contents;
pub mod diff;
mod found;
mod limits;
mod mentions;
mod named;
mod nar_size;
mod recorded;
mod sizes;
mod visible;

pub use amount::{Amount, Growth};
pub use chains::Chains;
pub use contents::{Contents, Layer, Package, Placement, Root};
pub use found::{FoundFile, FoundKind, FoundLayer, FoundPackage, Named, References};
pub use limits::{Broken, Limits, Measured};
pub use mentions::{HASH_LENGTH, Mention, MentionedHashes, mentions};
pub use named::named_by_config;
pub use nar_size::NarSize;
pub use recorded::{recorded, recorded_names};
pub use sizes::Sizes;
pub use visible::{Visible, Waste};
