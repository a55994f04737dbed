//! What every layer can do, wherever its bytes come from.

use std::io::Write;
use std::sync::Arc;

use strata_error::Result;
use strata_oci::{Compression, Descriptor, Digest};
use strata_tree::Recipe;

/// One layer: what it is called, and a way to make its bytes.
pub trait Layer: Send + Sync {
    /// Media type, digest and size of the bytes that [`Layer::write_to`] gives.
    fn descriptor(&self) -> &Descriptor;

    /// The digest of the uncompressed layer.
    fn diff_id(&self) -> Digest;

    /// What the layer is made from: its store paths, with their hashes and sizes. `None` for a layer
    /// that is not made from the store.
    fn recipe(&self) -> Option<&Recipe>;

    /// The layer that this one is compressed from, where that is at hand.
    fn uncompressed(&self) -> Option<Arc<dyn Layer>> {
        None
    }

    /// How whoever built the layer wants it to be compressed where it goes to a registry, if they
    /// said so.
    fn compression(&self) -> Option<Compression> {
        None
    }

    /// Writes the bytes. They are digested on the way, and the result is an error if they are not
    /// the promised ones: then the guilty store path is named, and what was written is worthless.
    fn write_to(&self, writer: &mut dyn Write) -> Result<()>;
}
