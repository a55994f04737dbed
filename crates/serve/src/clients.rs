//! Who may be connected, and for how long.

use std::collections::BTreeMap;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::limits::Limits;

/// How long to wait for a client before looking whether the server ends.
pub(crate) const WAIT: Duration = Duration::from_secs(1);
/// How long to wait before looking again who may have to make room.
const SOON: Duration = Duration::from_millis(100);

/// Who is connected.
#[derive(Default)]
pub(crate) struct Clients {
    /// Whether the server ends. It changes while the state is locked.
    is_stopping: AtomicBool,
    /// Whether nobody is let in any more. So does this one.
    is_closing: AtomicBool,
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
    /// How fast it reads.
    reading: Reading,
}

/// How fast a client reads. Only the time counts in which it is waited for: making a blob takes time, too.
#[derive(Default)]
struct Reading {
    /// Whether it is sent something at this moment.
    is_sent: bool,
    /// The bytes that it took since the last measurement, and how long it was waited for.
    bytes: u64,
    time: Duration,
    /// The last measurement, in bytes a second.
    rate: Option<u64>,
}

impl Reading {
    /// Adds what it took; every `period` gives a rate.
    fn add(&mut self, bytes: usize, time: Duration, period: Duration) {
        self.is_sent = false;
        self.bytes += bytes as u64;
        self.time += time;
        if self.time >= period {
            let milliseconds = self.time.as_millis().max(1);
            let rate = u128::from(self.bytes) * 1000 / milliseconds;
            *self = Self {
                rate: Some(u64::try_from(rate).unwrap_or(u64::MAX)),
                ..Self::default()
            };
        }
    }
}

impl State {
    /// Hangs up on the client that says nothing for longest, if that is longer than `crowded`; else on the one
    /// that reads slowest, if that is too slow. Gives how long to wait before this may do more.
    fn make_room(&self, limits: &Limits) -> Duration {
        let clients = self.clients.values();
        let waiting = clients.filter_map(|client| Some((client.waits_since?, client)));
        let silent = waiting.min_by_key(|(since, _)| *since);
        let left = silent.map(|(since, _)| limits.crowded.saturating_sub(since.elapsed()));
        let reading = self.clients.values();
        let reading = reading.filter(|client| client.reading.is_sent);
        let reading = reading.filter_map(|client| Some((client.reading.rate?, client)));
        let slowest = reading.min_by_key(|(rate, _)| *rate);
        let slowest = slowest.filter(|(rate, _)| *rate < limits.least_rate);
        let silent = silent.filter(|_| left == Some(Duration::ZERO));
        let gone = silent.map(|(_, client)| client);
        let Some(gone) = gone.or(slowest.map(|(_, client)| client)) else {
            return left.unwrap_or(SOON).min(SOON);
        };
        // Its thread notices, and leaves.
        let _ = gone.stream.shutdown(Shutdown::Both);
        SOON
    }
}

impl Clients {
    /// Whether the server ends.
    pub(crate) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    /// Whether nobody is let in any more, and who is there gets one more response at most.
    pub(crate) fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing is left half done where it could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the next request of a client is waited for, or no longer.
    pub(crate) fn waits(&self, number: u64, since: Option<Instant>) {
        if let Some(client) = self.state().clients.get_mut(&number) {
            client.waits_since = since;
            if since.is_some() && self.is_closing() {
                let _ = client.stream.shutdown(Shutdown::Both);
            }
        }
    }

    /// Notes that a client is sent something.
    pub(crate) fn writes(&self, number: u64) {
        if let Some(client) = self.state().clients.get_mut(&number) {
            client.reading.is_sent = true;
        }
    }

    /// Notes that a client took so many bytes within that time.
    pub(crate) fn wrote(&self, number: u64, bytes: usize, time: Duration, limits: &Limits) {
        if let Some(client) = self.state().clients.get_mut(&number) {
            client.reading.add(bytes, time, limits.crowded / 2);
        }
    }

    /// Lets a client in when there is room; not if the server ends.
    pub(crate) fn enter(&self, stream: TcpStream, limits: &Limits) -> Option<u64> {
        let mut state = self.state();
        while !self.is_closing() && state.clients.len() >= limits.connections {
            let wait = state.make_room(limits);
            let waited = self.changed.wait_timeout(state, wait);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if self.is_closing() {
            return None;
        }
        let number = state.next;
        state.next += 1;
        let client = Client {
            stream,
            waits_since: None,
            reading: Reading::default(),
        };
        state.clients.insert(number, client);
        Some(number)
    }

    /// Makes room for others.
    pub(crate) fn leave(&self, number: u64) {
        self.state().clients.remove(&number);
        self.changed.notify_all();
    }

    /// Lets nobody in any more, and hangs up on those whose next request is waited for.
    pub(crate) fn close(&self) {
        let state = self.state();
        self.is_closing.store(true, Ordering::Relaxed);
        let waiting = state.clients.values().filter(|it| it.waits_since.is_some());
        for client in waiting {
            let _ = client.stream.shutdown(Shutdown::Both);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Waits until everybody is gone, for so long at most.
    pub(crate) fn wait(&self, time: Duration) {
        let state = self.state();
        let is_somebody = |state: &mut State| !state.clients.is_empty();
        drop(self.changed.wait_timeout_while(state, time, is_somebody));
    }

    /// Hangs up on everybody.
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
