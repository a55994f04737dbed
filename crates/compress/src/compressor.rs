//! A writer that compresses.

use std::io::{self, Write};

use strata_oci::Compression;

use super::chunked::{Chunked, Finished};
use super::pieces::Pieces;

/// A writer that compresses what is written to it, for another writer.
///
/// Whoever drops it before [`Compressor::finish`] loses what is not written yet, and the pieces that
/// nobody compresses yet are not compressed. After an error nothing more is written.
pub struct Compressor<W: Write> {
    writer: W,
    method: Method,
    has_failed: bool,
}

enum Method {
    /// The input is passed on as it is.
    None,
    Pieces(Pieces),
    Chunked(Box<Chunked>),
}

impl<W: Write> Compressor<W> {
    /// Compresses for `writer`.
    pub fn new(writer: W, compression: Compression) -> Self {
        Self {
            writer,
            method: match compression {
                Compression::None => Method::None,
                Compression::ZstdChunked { level } => {
                    Method::Chunked(Box::new(Chunked::new(level)))
                }
                compression => Method::Pieces(Pieces::new(compression)),
            },
            has_failed: false,
        }
    }

    /// Writes what is left and gives the writer back. Without this the output has no end.
    pub fn finish(self) -> io::Result<W> {
        self.finish_layer().map(|(writer, _)| writer)
    }

    /// The same; gives also the table, if the output has one.
    pub(super) fn finish_layer(mut self) -> io::Result<(W, Finished)> {
        self.check()?;
        let finished = match self.method {
            Method::None => Finished::default(),
            Method::Pieces(pieces) => {
                pieces.finish(&mut self.writer)?;
                Finished::default()
            }
            Method::Chunked(chunked) => chunked.finish(&mut self.writer)?,
        };
        Ok((self.writer, finished))
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
        let result = match &mut self.method {
            Method::None => return self.writer.write(bytes),
            Method::Pieces(pieces) => pieces.write(bytes, &mut self.writer),
            Method::Chunked(chunked) => chunked.write(bytes, &mut self.writer),
        };
        self.has_failed = result.is_err();
        result
    }

    /// Flushes what was written to the other writer. A piece that is not full stays: where it ends
    /// would change the bytes.
    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}
