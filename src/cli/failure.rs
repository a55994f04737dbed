//! How commands fail.

use strata_error::Error;

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(super) enum Failure {
    /// The command itself is wrong.
    Usage(Error),
    /// It went wrong on the way.
    Failed(Error),
    /// It worked, and the answer is no; the findings are printed already.
    Refuted,
    /// Whoever read our output has read enough.
    OutputClosed,
}

impl Failure {
    /// Why standard output was not written. Whoever reads it may have read enough.
    pub(super) fn of_stdout(error: Error) -> Self {
        if error.is_broken_pipe() {
            Self::OutputClosed
        } else {
            Self::Failed(error)
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}
