//! Saying why nothing happens, while nothing happens.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use strata_progress::Context;

/// Why there are pauses. Those who pause are not those who can tell the user. Several blobs at once have
/// the same reason at the same time, which is said once.
#[derive(Default)]
pub(crate) struct Delays(Mutex<BTreeSet<String>>);

impl Delays {
    /// Notes why there will be a pause.
    pub(crate) fn add(&self, reason: String) {
        let mut reasons = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reasons.insert(reason);
    }

    /// Tells what was noted since the last time.
    pub(crate) fn notify(&self, context: Context<'_>) {
        let mut reasons = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for reason in std::mem::take(&mut *reasons) {
            context.progress.warn(&reason);
        }
    }
}
