//! What a copy tells whoever watches it, and how it is told to stop.
//!
//! Every function that takes long takes a [`Context`] and hands it on. It reports to
//! [`Context::progress`], and returns the error of [`Context::check`] soon after the user gave up.

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

/// What is told besides progress to who asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// What was decided, and why: that a blob is sent, mounted or reused.
    Decision,
    /// A request to a registry or an engine, or a program that ran, and what came of it.
    Request,
}

/// Somebody who watches a copy.
pub trait Progress: Sync {
    /// Work on a blob begins.
    fn begin(&self, _blob: &Descriptor) {}

    /// So many bytes more of the blob went out.
    fn advance(&self, _blob: &Descriptor, _bytes: u64) {}

    /// The blob is done.
    fn finish(&self, _blob: &Descriptor, _outcome: Outcome) {}

    /// Something that the user should know now and not at the end: why nothing happens.
    fn warn(&self, _text: &str) {}

    /// Something that only those want to know who look for a reason. It has no secrets in it.
    fn explain(&self, _detail: Detail, _text: &str) {}
}

/// Nobody watches.
pub struct Silent;

impl Progress for Silent {}

/// Somebody who may stop the work: a function that gives [`Error::Interrupted`] once it is to end.
pub trait Cancel: Sync {
    /// An error once the work is to end.
    fn check(&self) -> Result<()>;
}

impl<F: Fn() -> Result<()> + Sync> Cancel for F {
    fn check(&self) -> Result<()> {
        self()
    }
}

/// Nobody stops the work.
struct Never;

impl Cancel for Never {
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

/// Who watches a piece of work, and who may stop it.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Who watches.
    pub progress: &'a dyn Progress,
    /// Who may stop it.
    pub cancel: &'a dyn Cancel,
}

impl<'a> Context<'a> {
    /// Nobody watches, and nobody stops the work.
    pub fn silent() -> Context<'static> {
        Context {
            progress: &Silent,
            cancel: &Never,
        }
    }

    /// The same with somebody else who watches.
    #[must_use]
    pub fn watched_by(self, progress: &'a dyn Progress) -> Self {
        Self { progress, ..self }
    }

    /// The same with somebody else who may stop it.
    #[must_use]
    pub fn cancelled_by(self, cancel: &'a dyn Cancel) -> Self {
        Self { cancel, ..self }
    }

    /// An error ([`Error::Interrupted`]) once the work is to end.
    pub fn check(&self) -> Result<()> {
        self.cancel.check()
    }

    /// Tells that so many bytes more of the blob went out; an error once the work is to end.
    pub fn advance(&self, blob: &Descriptor, bytes: u64) -> Result<()> {
        self.progress.advance(blob, bytes);
        self.check()
    }
}

/// A writer that reports what passes through it.
pub struct Watched<'a, W> {
    writer: W,
    blob: &'a Descriptor,
    context: Context<'a>,
}

impl<'a, W: Write> Watched<'a, W> {
    /// Reports to `context` that bytes of `blob` go to `writer`.
    pub fn new(writer: W, blob: &'a Descriptor, context: Context<'a>) -> Self {
        Self {
            writer,
            blob,
            context,
        }
    }
}

impl<W: Write> Write for Watched<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.writer.write(bytes)?;
        self.context
            .advance(self.blob, count as u64)
            .map_err(interruption)?;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// Carries an interruption through `io::Write`; [`Error`] stays its source.
pub fn interruption(error: Error) -> io::Error {
    io::Error::other(error)
}
