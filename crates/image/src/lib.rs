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
mod index;
mod open;
mod verify;

use strata_layer::{ImageName, Layer};
use strata_oci::{Descriptor, ImageConfig, Manifest};

pub use compressed::CompressedLayer;
pub use flatten::flatten;
pub use index::{ImageIndex, ManifestOrIndex, ManifestOrIndexRef};
pub use verify::verify_layer;

/// An image that can be copied.
pub struct Image {
    /// What the image is called, if its builder said so.
    pub name: Option<ImageName>,
    /// The manifest.
    pub manifest: Manifest,
    /// The manifest's bytes, of which `manifest_descriptor` holds the digest.
    pub manifest_bytes: Vec<u8>,
    /// The manifest's media type, digest and size.
    pub manifest_descriptor: Descriptor,
    /// The config.
    pub config: ImageConfig,
    /// The config's bytes.
    pub config_bytes: Vec<u8>,
    /// The layers, lowest first, one for each of the manifest's.
    pub layers: Vec<Box<dyn Layer>>,
}
