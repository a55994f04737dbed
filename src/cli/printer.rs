//! The only place that prints. Data goes to standard output, everything else to standard error.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Stderr, Stdout, Write};
use std::os::fd::AsFd;

use super::failure::Failure;
use strata_copy::PipeWriter;
use strata_error::Error;
use strata_progress::Context;

/// Bytes that are collected before they are written to a pipe.
const BUFFER: usize = 256 * 1024;

/// Speaks to the user.
pub(super) struct Printer {
    output: Stdout,
    errors: Stderr,
    quiet: bool,
}

impl Printer {
    /// A printer that says nothing but errors and data, if `quiet`.
    pub(super) fn new(quiet: bool) -> Self {
        Self {
            output: io::stdout(),
            errors: io::stderr(),
            quiet,
        }
    }

    /// Whether nothing but errors is to be said.
    pub(super) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Writes what the user asked for to standard output.
    pub(super) fn data(&self, text: &str) -> Result<(), Failure> {
        let mut output = self.output.lock();
        output
            .write_all(text.as_bytes())
            .and_then(|()| output.flush())
            .map_err(output_error)
    }

    /// Says something by the way, also a warning.
    pub(super) fn note(&self, text: &str) {
        if !self.quiet {
            self.error(text);
        }
    }

    /// Says what went wrong. There is nobody to tell when that fails too.
    pub(super) fn error(&self, text: &str) {
        let end = if text.ends_with('\n') { "" } else { "\n" };
        let _ = self
            .errors
            .lock()
            .write_all(format!("{text}{end}").as_bytes());
    }

    /// Standard output, for an archive. While nobody reads it, `context` is asked whether to go on.
    pub(super) fn stdout(context: Context<'_>) -> Box<dyn Write + '_> {
        // The standard library's own keeps lines back, so that it would write more than a pipe has room for.
        match io::stdout().as_fd().try_clone_to_owned() {
            Ok(output) => {
                let output = PipeWriter::new(File::from(output), context);
                Box::new(BufWriter::with_capacity(BUFFER, output))
            }
            Err(_) => Box::new(io::stdout().lock()),
        }
    }

    /// Whether standard output is a terminal.
    pub(super) fn output_is_terminal(&self) -> bool {
        self.output.is_terminal()
    }

    /// Whether standard error is a terminal, where bars can be drawn. Nix gives builders one too, and
    /// keeps what they write there as a log; it also gives them this home.
    pub(super) fn can_draw(&self) -> bool {
        let is_builder = std::env::var_os("HOME").is_some_and(|home| home == "/homeless-shelter");
        !self.quiet && !is_builder && self.errors.is_terminal()
    }
}

fn output_error(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::OutputClosed,
        _ => Failure::Failed(Error::stream("standard output")(error)),
    }
}
