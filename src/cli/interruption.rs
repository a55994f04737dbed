//! Stopping when the user says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag;

use strata_error::{Error, Result};
use strata_progress::{Cancel, Context, Progress};

/// What shells report for a program that Ctrl-C ended.
pub(super) const EXIT_CODE: u8 = 130;

/// Whether a signal asked this program to end.
#[derive(Clone, Debug)]
pub(super) struct Interruption(Arc<AtomicBool>);

impl Interruption {
    /// Watches for signals. The first one is noticed by whoever asks here, so that temporary files
    /// are removed; the second one ends the program at once.
    pub(super) fn watch() -> Result<Self> {
        let happened = Arc::new(AtomicBool::new(false));
        let handler = Error::stream("a signal handler");
        // Whoever writes beyond the limit for files (setrlimit(2)) gets an error then, as on a full disk.
        flag::register(SIGXFSZ, Arc::default()).map_err(handler)?;
        // nohup(1) is for what goes on without its terminal.
        let hang_up = (!is_ignored(SIGHUP)).then_some(SIGHUP);
        for signal in [SIGINT, SIGTERM].into_iter().chain(hang_up) {
            // The order matters: the first signal must not find what it sets itself.
            flag::register_conditional_shutdown(signal, EXIT_CODE.into(), Arc::clone(&happened))
                .and_then(|_| flag::register(signal, Arc::clone(&happened)))
                .map_err(Error::stream("a signal handler"))?;
        }
        Ok(Self(happened))
    }

    /// Whether a signal has come.
    pub(super) fn happened(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// What `progress` watches, and a signal stops.
    pub(super) fn context<'a>(&'a self, progress: &'a dyn Progress) -> Context<'a> {
        Context {
            progress,
            cancel: self,
        }
    }
}

impl Cancel for Interruption {
    fn check(&self) -> Result<()> {
        if self.happened() {
            Err(Error::Interrupted)
        } else {
            Ok(())
        }
    }
}

/// Whether this program was started with the signal ignored, as far as the system tells (proc(5)).
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}
