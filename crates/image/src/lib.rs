//! Images as a thing to copy: documents whose bytes are known, and layers whose bytes are made on
//! demand.
//!
//! [`ManifestOrIndex::open`] reads what a derivation built; destinations take an [`Image`], or a
//! [`ManifestOrIndexRef`], which may be an index of several. Nothing here knows where an image goes.
//!
//! - `image`, `index`: an image, and an index of several
//! - `open`: from an output to an image; `compressed`: layers whose compressed bytes are promised
//! - `replay`: reading layers, and laying each over those before it
//! - `verify`: comparing layers with the store that they are made from, and with those below
//! - `flatten`: the root file system of an image as one archive

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod compressed;
mod flatten;
mod image;
mod index;
mod open;
mod replay;
mod verify;

pub use compressed::CompressedLayer;
pub use flatten::flatten;
pub use image::Image;
pub use index::{ImageIndex, ManifestOrIndex, ManifestOrIndexRef};
pub use replay::{LayerArchive, read as read_archive};
pub use verify::Verification;
