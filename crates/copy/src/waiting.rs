//! Waiting for others, without being deaf meanwhile.

use std::thread;
use std::time::Duration;

use strata_error::Result;
use strata_progress::Context;

/// How long to wait before looking again, at what is waited for and whether the work is to end.
pub(crate) const PAUSE: Duration = Duration::from_millis(50);

/// A wait that may be long.
pub(crate) struct Waiting<'a> {
    /// What is waited for, as whoever watches is told.
    text: &'a str,
    context: Context<'a>,
    is_told: bool,
}

impl<'a> Waiting<'a> {
    /// A wait that has not begun.
    pub(crate) fn new(text: &'a str, context: Context<'a>) -> Self {
        Self {
            text,
            context,
            is_told: false,
        }
    }

    /// Waits a moment; an error once the work is to end. The first time it says what is waited for.
    pub(crate) fn pause(&mut self) -> Result<()> {
        if !self.is_told {
            self.is_told = true;
            self.context.progress.warn(self.text);
        }
        self.context.check()?;
        thread::sleep(PAUSE);
        self.context.check()
    }
}
