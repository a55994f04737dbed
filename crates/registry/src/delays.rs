//! Saying why nothing happens, while nothing happens, and what was asked of registries.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use strata_progress::{Context, Detail};

/// What whoever watches is still to be told. Those who pause or ask are not those who can tell the user.
#[derive(Default)]
pub(crate) struct Delays(Mutex<Noted>);

#[derive(Default)]
struct Noted {
    /// Why there are pauses. Several blobs at once have the same reason at the same time, which is said once.
    reasons: BTreeSet<String>,
    /// Requests, in the order in which they were answered.
    requests: Vec<String>,
}

impl Delays {
    /// Notes why there will be a pause.
    pub(crate) fn add(&self, reason: String) {
        self.noted().reasons.insert(reason);
    }

    /// Notes a request and what came of it.
    pub(crate) fn add_request(&self, request: String) {
        self.noted().requests.push(request);
    }

    /// Tells what was noted since the last time.
    pub(crate) fn notify(&self, context: Context<'_>) {
        let Noted { reasons, requests } = std::mem::take(&mut *self.noted());
        for request in requests {
            context.progress.explain(Detail::Request, &request);
        }
        for reason in reasons {
            context.progress.warn(&reason);
        }
    }

    fn noted(&self) -> std::sync::MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
