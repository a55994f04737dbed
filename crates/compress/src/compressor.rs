//! A writer that compresses.

use std::io::{self, Write};

use strata_oci::Compression;

use super::pieces::Pieces;

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
