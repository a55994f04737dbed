//! Compressing layers. The bytes follow from the input, the method and the level alone: neither the
//! number of threads nor the machine changes them, nor how the input is cut.
//!
//! The input is cut into pieces of [`PIECE`] bytes, each of which becomes a gzip member (RFC 1952,
//! section 2.2) or a Zstandard frame (RFC 8878, section 3) of its own; readers join them. Pieces are
//! compressed on rayon's global pool, which several layers share, and written in their order.

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod encoder;
mod pieces;

use std::io::{self, Write};

use strata_archive::write_error;
use strata_error::Result;
use strata_oci::{Compression, Descriptor, HashingWriter};

use pieces::Pieces;

/// How much of the input is compressed at a time, in bytes. Another length gives other bytes.
pub const PIECE: usize = 1024 * 1024;

/// A writer that compresses what is written to it, for another writer.
///
/// Whoever drops it before [`Compressor::finish`] loses what is not written yet, and the pieces that
/// nobody compresses yet are not compressed. After an error nothing more is written.
pub struct Compressor<W: Write> {
    writer: W,
    /// None if the input is passed on as it is.
    pieces: Option<Pieces>,
    has_failed: bool,
}

impl<W: Write> Compressor<W> {
    /// Compresses for `writer`.
    pub fn new(writer: W, compression: Compression) -> Self {
        Self {
            writer,
            pieces: match compression {
                Compression::None => None,
                compression => Some(Pieces::new(compression)),
            },
            has_failed: false,
        }
    }

    /// Writes what is left and gives the writer back. Without this the output has no end.
    pub fn finish(mut self) -> io::Result<W> {
        self.check()?;
        if let Some(pieces) = self.pieces {
            pieces.finish(&mut self.writer)?;
        }
        Ok(self.writer)
    }

    /// What follows an error would lack what was lost with it.
    fn check(&self) -> io::Result<()> {
        if self.has_failed {
            return Err(io::Error::other("the compressed output is incomplete"));
        }
        Ok(())
    }
}

/// Compresses what `make` writes, for `writer`; gives the descriptor of the compressed layer, with what
/// else the one of the `layer` says.
pub fn compress_layer(
    layer: &Descriptor,
    compression: Compression,
    writer: &mut dyn Write,
    make: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<Descriptor> {
    let mut compressor = Compressor::new(HashingWriter::new(writer), compression);
    make(&mut compressor)?;
    let writer = compressor.finish();
    let (digest, size) = writer.map_err(write_error("a compressed layer"))?.finish();
    Ok(Descriptor {
        media_type: compression.media_type().to_owned(),
        digest,
        size,
        ..layer.clone()
    })
}

impl<W: Write> Write for Compressor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.check()?;
        let Some(pieces) = &mut self.pieces else {
            return self.writer.write(bytes);
        };
        let result = pieces.write(bytes, &mut self.writer);
        self.has_failed = result.is_err();
        result
    }

    /// Flushes what was written to the other writer. A piece that is not full stays: where it ends
    /// would change the bytes.
    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

#[cfg(test)]
mod tests;
