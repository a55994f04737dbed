//! Compressing a layer, and saying what that made of it.

use std::io::Write;

use strata_archive::write_error;
use strata_error::Result;
use strata_oci::{Compression, Descriptor, HashingWriter};

use super::compressor::Compressor;

/// Compresses what `make` writes, for `writer`; gives the descriptor of the compressed layer, with what
/// else the one of the `layer` says, and where the table is if it has one.
pub fn compress_layer(
    layer: &Descriptor,
    compression: Compression,
    writer: &mut dyn Write,
    make: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<Descriptor> {
    let mut compressor = Compressor::new(HashingWriter::new(writer), compression);
    make(&mut compressor)?;
    let finished = compressor.finish_layer();
    let (writer, table) = finished.map_err(write_error("a compressed layer"))?;
    let (digest, size) = writer.finish();
    let mut descriptor = Descriptor {
        media_type: compression.media_type().to_owned(),
        digest,
        size,
        ..layer.clone()
    };
    descriptor.set_table_annotations(table);
    Ok(descriptor)
}
