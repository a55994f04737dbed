//! Images as a thing to copy: documents whose bytes are known, and layers whose bytes are made on
//! demand.
//!
//! [`ManifestOrIndex::open`] reads what a derivation built; destinations take an [`Image`], or a
//! [`ManifestOrIndexRef`], which may be an index of several.

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod compressed;
mod flatten;
mod image;
mod index;
mod open;
mod verify;

pub use compressed::CompressedLayer;
pub use flatten::flatten;
pub use image::Image;
pub use index::{ImageIndex, ManifestOrIndex, ManifestOrIndexRef};
pub use verify::verify_layer;
