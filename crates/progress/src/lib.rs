//! What a copy tells whoever watches it, and how it is told to stop.

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

use std::io::{self, Write};

use strata_error::{Error, Result};
use strata_oci::Descriptor;

/// How it ended for one blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its bytes were written.
    Copied,
    /// It was compressed on its way.
    Compressed {
        /// The bytes that were written.
        size: u64,
    },
    /// The destination had it already.
    Present,
    /// The destination had it elsewhere and took it from there.
    Mounted,
}

/// Somebody who watches a copy.
pub trait Progress: Sync {
    /// Work on a blob begins.
    fn begin(&self, blob: &Descriptor);

    /// So many bytes more of the blob went out. An error ([`Error::Interrupted`]) stops the copy.
    fn advance(&self, blob: &Descriptor, bytes: u64) -> Result<()>;

    /// Whether the user gave up, for those who wait: then it is [`Error::Interrupted`].
    fn interrupted(&self) -> Result<()>;

    /// The blob is done.
    fn finish(&self, blob: &Descriptor, outcome: Outcome);

    /// Something that the user should know now and not at the end: why nothing happens.
    fn warn(&self, _text: &str) {}
}

/// Nobody watches.
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &Descriptor) {}

    fn advance(&self, _: &Descriptor, _: u64) -> Result<()> {
        Ok(())
    }

    fn interrupted(&self) -> Result<()> {
        Ok(())
    }

    fn finish(&self, _: &Descriptor, _: Outcome) {}
}

/// A writer that reports what passes through it.
pub struct Watched<'a, W> {
    writer: W,
    blob: &'a Descriptor,
    progress: &'a dyn Progress,
}

impl<'a, W: Write> Watched<'a, W> {
    /// Reports to `progress` that bytes of `blob` go to `writer`.
    pub fn new(writer: W, blob: &'a Descriptor, progress: &'a dyn Progress) -> Self {
        Self {
            writer,
            blob,
            progress,
        }
    }
}

impl<W: Write> Write for Watched<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.writer.write(bytes)?;
        self.progress
            .advance(self.blob, count as u64)
            .map_err(interruption)?;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// Carries an interruption through `io::Write`; [`strata_error::Error`] stays its source.
pub fn interruption(error: Error) -> io::Error {
    io::Error::other(error)
}
