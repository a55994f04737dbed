//! What happened: counted for who watches, kept for the status page as far as it is recent, and told to the log.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::failure::Failure;
use strata_oci::Digest;
use strata_serve::Answered;

/// How many builds are kept.
const MOST_BUILDS: usize = 50;
/// How many bytes of the end of a build's log are kept.
const LONGEST_LOG: usize = 16 << 10;

/// Takes one event.
pub type Log = Box<dyn Fn(&Value) + Send + Sync>;

/// What happened since the start.
pub(crate) struct Journal {
    log: Log,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    counts: Counts,
    builds: VecDeque<Build>,
}

/// Counts since the start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// Requests by what they are about and the status of the response.
    pub(crate) requests: BTreeMap<(&'static str, u16), u64>,
    /// Bytes of bodies that were sent whole.
    pub(crate) bytes: u64,
    /// Responses that broke off.
    pub(crate) broken: u64,
    /// Images that were evaluated and built, by what came of it.
    pub(crate) builds: BTreeMap<&'static str, u64>,
    /// How long that took.
    pub(crate) build_time: Duration,
    /// Images that were remembered.
    pub(crate) remembered: u64,
}

/// An image that was built, or was to be.
#[derive(Clone, Debug)]
pub(crate) struct Build {
    /// Its name and tag.
    pub(crate) label: String,
    /// What came of it.
    pub(crate) result: Result<Digest, Failure>,
    /// When that was.
    pub(crate) at: SystemTime,
    /// How long it took.
    pub(crate) time: Duration,
    /// The end of what Nix said.
    pub(crate) log: String,
}

impl Journal {
    /// An empty journal.
    pub(crate) fn new(log: Log) -> Self {
        Self {
            log,
            state: Mutex::default(),
        }
    }

    /// A response was sent.
    pub(crate) fn answered(&self, answer: &Answered<'_>) {
        let about = about(answer.path);
        let mut state = self.state();
        let requests = &mut state.counts.requests;
        *requests.entry((about, answer.status)).or_default() += 1;
        if answer.is_whole {
            state.counts.bytes += answer.bytes;
        } else {
            state.counts.broken += 1;
        }
        drop(state);
        self.tell(
            "answer",
            json!({
                "method": answer.method,
                "path": answer.path,
                "status": answer.status,
                "bytes": answer.bytes,
                "whole": answer.is_whole,
                "milliseconds": milliseconds(answer.time),
            }),
        );
    }

    /// An image did not have to be built.
    pub(crate) fn remembered(&self) {
        self.state().counts.remembered += 1;
    }

    /// An image was built, or could not be.
    pub(crate) fn built(&self, mut build: Build) {
        let outcome = build
            .result
            .as_ref()
            .map_or_else(Failure::kind, |_| "built");
        let image = build.result.as_ref().ok();
        let failure = build.result.as_ref().err().map(Failure::message);
        self.tell(
            "build",
            json!({
                "image": build.label,
                "outcome": outcome,
                "digest": image,
                "error": failure,
                "milliseconds": milliseconds(build.time),
            }),
        );
        let start = build.log.len().saturating_sub(LONGEST_LOG);
        let start = (start..build.log.len()).find(|at| build.log.is_char_boundary(*at));
        build.log.drain(..start.unwrap_or(0));
        let mut state = self.state();
        *state.counts.builds.entry(outcome).or_default() += 1;
        state.counts.build_time += build.time;
        state.builds.truncate(MOST_BUILDS - 1);
        state.builds.push_front(build);
    }

    /// Something is wrong that no client is told.
    pub(crate) fn failed(&self, message: &str) {
        self.tell("error", json!({ "error": message }));
    }

    /// The counts.
    pub(crate) fn counts(&self) -> Counts {
        self.state().counts.clone()
    }

    /// The last builds, the newest first.
    pub(crate) fn builds(&self) -> Vec<Build> {
        self.state().builds.iter().cloned().collect()
    }

    fn tell(&self, event: &str, mut what: Value) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let since = since.map_or(0.0, |since| since.as_secs_f64());
        what["event"] = event.into();
        what["time"] = since.into();
        (self.log)(&what);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What is in it is right between any two statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What a request is about, in one of a few words.
fn about(path: &str) -> &'static str {
    let is = |kind: &str| path.starts_with("/v2/") && path.contains(kind);
    match path {
        _ if is("/manifests/") => "manifest",
        _ if is("/blobs/") => "blob",
        _ if path.starts_with("/v2") => "other",
        _ => "page",
    }
}
