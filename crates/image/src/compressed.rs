//! Layers whose compressed bytes are promised.

use std::io::Write;
use std::sync::Arc;

use strata_compress::compress_layer;
use strata_error::{Error, Result};
use strata_layer::Layer;
use strata_oci::{Compression, Descriptor, Digest};
use strata_tree::Recipe;

/// A layer that is compressed while it is written.
pub struct CompressedLayer {
    /// The layer that is not compressed.
    pub tar: Arc<dyn Layer>,
    /// What the compressed bytes are called.
    pub descriptor: Descriptor,
    /// How they are made.
    pub compression: Compression,
}

impl Layer for CompressedLayer {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn diff_id(&self) -> Digest {
        self.tar.diff_id()
    }

    fn recipe(&self) -> Option<&Recipe> {
        self.tar.recipe()
    }

    fn uncompressed(&self) -> Option<Arc<dyn Layer>> {
        Some(Arc::clone(&self.tar))
    }

    fn compression(&self) -> Option<Compression> {
        Some(self.compression)
    }

    fn write_to(&self, writer: &mut dyn Write) -> Result<()> {
        let found = compress_layer(&self.descriptor, self.compression, writer, |writer| {
            self.tar.write_to(writer)
        })?;
        if found == self.descriptor {
            return Ok(());
        }
        Err(Error::Mismatch {
            what: format!(
                "layer {}, compressed as {}",
                self.diff_id(),
                self.compression
            ),
            expected: self.descriptor.digest.to_string(),
            found: found.digest.to_string(),
            hint: if self.compression.depends_on_byte_order() {
                "another version of Strata compressed it, or a machine of the other byte order, on which Zstandard from level 5 gives other bytes; build `compressed` again".to_owned()
            } else {
                "another version of Strata compressed it; build `compressed` again".to_owned()
            },
        })
    }
}
