//! Compressing layers. The bytes follow from the input, the method and the level alone: neither the
//! number of threads nor the machine changes them.

use std::io::{self, Write};

use flate2::GzBuilder;

use crate::oci::Compression;

/// A writer that compresses what is written to it, for another writer.
pub struct Compressor<W: Write>(Encoder<W>);

enum Encoder<W: Write> {
    None(W),
    Gzip(flate2::write::GzEncoder<W>),
    Zstd(zstd::Encoder<'static, W>),
}

impl<W: Write> Compressor<W> {
    /// Compresses for `writer`.
    pub fn new(writer: W, compression: Compression) -> io::Result<Self> {
        Ok(Self(match compression {
            Compression::None => Encoder::None(writer),
            Compression::Gzip { level } => Encoder::Gzip(
                // 255: no system in particular.
                GzBuilder::new()
                    .operating_system(255)
                    .write(writer, flate2::Compression::new(level.into())),
            ),
            Compression::Zstd { level } => Encoder::Zstd(zstd::Encoder::new(writer, level.into())?),
        }))
    }

    /// Writes what is left and gives the writer back. Without this the output has no end.
    pub fn finish(self) -> io::Result<W> {
        match self.0 {
            Encoder::None(writer) => Ok(writer),
            Encoder::Gzip(encoder) => encoder.finish(),
            Encoder::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Compressor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Encoder::None(writer) => writer.write(bytes),
            Encoder::Gzip(encoder) => encoder.write(bytes),
            Encoder::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Encoder::None(writer) => writer.flush(),
            Encoder::Gzip(encoder) => encoder.flush(),
            Encoder::Zstd(encoder) => encoder.flush(),
        }
    }
}
