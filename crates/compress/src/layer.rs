//! Compressing a layer, and saying what that made of it.

use std::io::{self, Write};

use strata_archive::write_error;
use strata_error::{Error, Result};
use strata_oci::{Compression, Descriptor, HashingWriter};

use super::chunked::{TableOfContents, TablePosition};
use super::compressor::Compressor;

/// Compresses what `make` writes, for `writer`; gives the descriptor of the compressed layer, with what
/// else the one of the `layer` says, and where the table is if it has one.
pub fn compress_layer(
    layer: &Descriptor,
    compression: Compression,
    writer: &mut dyn Write,
    make: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<Descriptor> {
    compress(layer, compression, writer, make).map(|(descriptor, _)| descriptor)
}

/// The same for nobody; gives also the table, if the compressed layer has one.
pub fn layer_contents(
    layer: &Descriptor,
    compression: Compression,
    make: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<(Descriptor, Option<TableOfContents>)> {
    let (descriptor, table) = compress(layer, compression, &mut io::sink(), make)?;
    let position = TablePosition::of(&descriptor);
    let contents = position.map(|position| TableOfContents::parse(&table, &position));
    let contents = contents.transpose().map_err(|message| Error::Document {
        document: format!("the table of layer {}", descriptor.digest),
        message,
        hint: "this is a mistake of Strata: please report it".to_owned(),
    })?;
    Ok((descriptor, contents))
}

/// The descriptor of what is written, and the table as it is in there.
fn compress(
    layer: &Descriptor,
    compression: Compression,
    writer: &mut dyn Write,
    make: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<(Descriptor, Vec<u8>)> {
    let mut compressor = Compressor::new(HashingWriter::new(writer), compression);
    make(&mut compressor)?;
    let finished = compressor.finish_layer();
    let (writer, finished) = finished.map_err(write_error("a compressed layer"))?;
    let (digest, size) = writer.finish();
    let mut descriptor = Descriptor {
        media_type: compression.media_type().to_owned(),
        digest,
        size,
        ..layer.clone()
    };
    descriptor.set_table_annotations(finished.annotations);
    Ok((descriptor, finished.table))
}
