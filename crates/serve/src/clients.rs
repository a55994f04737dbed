//! Who may be connected, and for how long.

use std::collections::BTreeMap;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::limits::Limits;

/// How long to wait for a client before looking whether the server ends.
pub(crate) const WAIT: Duration = Duration::from_secs(1);

/// Who is connected.
#[derive(Default)]
pub(crate) struct Clients {
    /// Whether the server ends. It changes while the state is locked.
    is_stopping: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    next: u64,
    clients: BTreeMap<u64, Client>,
}

struct Client {
    stream: TcpStream,
    /// Since when its next request is waited for.
    waits_since: Option<Instant>,
}

impl State {
    /// Hangs up on the client that says nothing for longest, if that is longer than `crowded`. Gives how
    /// long to wait before this may do more.
    fn make_room(&self, crowded: Duration) -> Duration {
        let waiting = self.clients.values();
        let waiting = waiting.filter_map(|client| Some((client.waits_since?, client)));
        let Some((since, client)) = waiting.min_by_key(|(since, _)| *since) else {
            return WAIT;
        };
        let left = crowded.saturating_sub(since.elapsed());
        if left.is_zero() {
            // Its thread notices, and leaves.
            let _ = client.stream.shutdown(Shutdown::Both);
            return WAIT;
        }
        left.min(WAIT)
    }
}

impl Clients {
    /// Whether the server ends.
    pub(crate) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing is left half done where it could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the next request of a client is waited for, or no longer.
    pub(crate) fn waits(&self, number: u64, since: Option<Instant>) {
        if let Some(client) = self.state().clients.get_mut(&number) {
            client.waits_since = since;
        }
    }

    /// Lets a client in when there is room; not if the server ends.
    pub(crate) fn enter(&self, stream: TcpStream, limits: &Limits) -> Option<u64> {
        let mut state = self.state();
        while !self.is_stopping() && state.clients.len() >= limits.connections {
            let wait = state.make_room(limits.crowded);
            let waited = self.changed.wait_timeout(state, wait);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if self.is_stopping() {
            return None;
        }
        let number = state.next;
        state.next += 1;
        let client = Client {
            stream,
            waits_since: None,
        };
        state.clients.insert(number, client);
        Some(number)
    }

    /// Makes room for others.
    pub(crate) fn leave(&self, number: u64) {
        self.state().clients.remove(&number);
        self.changed.notify_all();
    }
    /// Lets nobody in any more, and hangs up on everybody.
    pub(crate) fn stop(&self) {
        let state = self.state();
        self.is_stopping.store(true, Ordering::Relaxed);
        for client in state.clients.values() {
            // Who waits for this client waits no more.
            let _ = client.stream.shutdown(Shutdown::Both);
        }
        drop(state);
        self.changed.notify_all();
    }
}

/// Takes a client off the list, however its thread ends.
pub(crate) struct Leave<'a> {
    pub(crate) clients: &'a Clients,
    pub(crate) number: u64,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.clients.leave(self.number);
    }
}
