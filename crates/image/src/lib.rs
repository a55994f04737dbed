//! Images as a thing to copy: documents whose bytes are known, and layers whose bytes are made on
//! demand.
//!
//! [`Built::open`] reads what a derivation built; sinks in [`crate::transport`] take an [`Image`], or a
//! [`Root`], which may be an index of several.

mod base_layer;
#[cfg(feature = "cli")]
mod compressed;
mod decompress;
mod flatten;
mod images_file;
mod index;
mod layers_file;
mod open;
mod stream;
mod verify;

use std::io::Write;

use crate::Result;
use crate::oci::{Compression, Descriptor, Digest, ImageConfig, Manifest};
use crate::tree::Recipe;

pub use base_layer::{BaseRecord, open_stored};
#[cfg(feature = "cli")]
pub use compressed::CompressedLayer;
pub use decompress::{Packing, decompress};
pub use flatten::flatten;
pub use images_file::{IMAGES_FILE, ImagesFile};
pub use index::{Built, ImageIndex, Root};
pub use layers_file::{DIGEST_FILE, ImageName, LAYERS_FILE, LayerRecord, LayersFile, PathRule};
pub use open::Documents;
pub use stream::{Digested, digest_recipes, piped, read_layer, write_layer};
pub use verify::verify_layer;

/// One layer: what it is called, and a way to make its bytes.
pub trait Layer: Send + Sync {
    /// Media type, digest and size of the bytes that [`Layer::write_to`] gives.
    fn descriptor(&self) -> &Descriptor;

    /// The digest of the uncompressed layer.
    fn diff_id(&self) -> Digest;

    /// What the layer is made from: its store paths, with their hashes and sizes. `None` for a layer
    /// that is not made from the store.
    fn recipe(&self) -> Option<&Recipe>;

    /// How whoever built the layer wants it to be compressed where it goes to a registry, if they
    /// said so.
    fn compression(&self) -> Option<Compression> {
        None
    }

    /// Writes the bytes. They are digested on the way, and the result is an error if they are not
    /// the promised ones: then the guilty store path is named, and what was written is worthless.
    fn write_to(&self, writer: &mut dyn Write) -> Result<()>;
}

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
