//! The server: who may connect, for how long, and how it ends.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{io, thread};

use rustix::net::sockopt::{Timeout, set_socket_timeout};

use super::catalog::Catalog;
use super::connection::Connection;
use strata_error::{Error, Result};
use strata_progress::Context;

/// How long to wait for a client before looking whether the server ends.
const WAIT: Duration = Duration::from_secs(1);

/// How much a server puts up with.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many clients are served at a time; the others wait.
    pub connections: usize,
    /// How long the head of a request may take.
    pub head: Duration,
    /// How long a client may stay silent between two requests.
    pub idle: Duration,
    /// How long each of both may take while others wait for their turn. Who takes longer has to go then,
    /// the slowest first: else a few that never say what they want would keep everybody out.
    pub crowded: Duration,
    /// How long a client may read nothing while it is sent something. An engine that unpacks what it
    /// read may take a while.
    pub stall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            head: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            crowded: Duration::from_secs(1),
            stall: Duration::from_mins(5),
        }
    }
}

/// Somebody who watches a server.
#[derive(Clone, Copy)]
pub struct Observer<'a> {
    /// Is told about blobs that are sent, and can interrupt them.
    pub context: Context<'a>,
    /// Is told why a blob could not be made. Its client finds that the answer ends too early.
    pub failed: &'a (dyn Fn(Error) + Sync),
}

/// A registry that listens, and answers while [`Server::run`] runs.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    limits: Limits,
}

impl Server {
    /// Listens at `address`; at port 0, at one that is free.
    pub fn bind(address: SocketAddr, limits: Limits) -> Result<Self> {
        let failure = |source: io::Error| Error::Document {
            document: format!("listening at {address}"),
            message: source.to_string(),
            hint: match source.kind() {
                io::ErrorKind::AddrInUse => format!("{}:0 takes a port that is free", address.ip()),
                _ => String::new(),
            },
        };
        let listener = TcpListener::bind(address).map_err(failure)?;
        let address = listener.local_addr().map_err(failure)?;
        // Nobody waits for ever, even if the knock at the end is not heard.
        set_socket_timeout(&listener, Timeout::Recv, Some(WAIT))
            .map_err(|error| failure(error.into()))?;
        Ok(Self {
            listener,
            address,
            limits,
        })
    }

    /// Listens at a free port that only this machine reaches.
    pub fn on_loopback() -> Result<Self> {
        Self::bind((Ipv4Addr::LOCALHOST, 0).into(), Limits::default())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves `catalog` while `work` runs. Afterwards nobody is connected and nothing is made any more.
    pub fn run<T>(
        &self,
        catalog: &Catalog<'_>,
        observer: Observer<'_>,
        work: impl FnOnce() -> T,
    ) -> T {
        let clients = Clients::default();
        thread::scope(|scope| {
            // Also when the work panics, else the scope would wait for ever.
            let _end = End {
                server: self,
                clients: &clients,
            };
            scope.spawn(|| {
                while let Some((number, stream)) = self.accept(&clients) {
                    let clients = &clients;
                    let serve = move || {
                        let _leave = Leave { clients, number };
                        let connection = Connection {
                            stream: &stream,
                            catalog,
                            observer,
                            limits: self.limits,
                            clients,
                            number,
                        };
                        connection.run();
                    };
                    // Without another thread the client has to come again.
                    if thread::Builder::new().spawn_scoped(scope, serve).is_err() {
                        clients.leave(number);
                    }
                }
            });
            work()
        })
    }

    /// The next client; none if the server ends.
    fn accept(&self, clients: &Clients) -> Option<(u64, TcpStream)> {
        loop {
            let accepted = self.listener.accept();
            if clients.is_stopping() {
                return None;
            }
            match accepted.and_then(|(stream, _)| Ok((stream.try_clone()?, stream))) {
                Ok((kept, stream)) => {
                    let number = clients.enter(kept, &self.limits)?;
                    return Some((number, stream));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // No files are left, for example: that passes.
                Err(_) => thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// Where the server reaches itself.
    fn own_address(&self) -> SocketAddr {
        let ip = match self.address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        (ip, self.address.port()).into()
    }
}

/// Who is connected.
#[derive(Default)]
pub(super) struct Clients {
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
    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing is left half done where it could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the next request of a client is waited for, or no longer.
    pub(super) fn waits(&self, number: u64, since: Option<Instant>) {
        if let Some(client) = self.state().clients.get_mut(&number) {
            client.waits_since = since;
        }
    }

    /// Lets a client in when there is room; not if the server ends.
    fn enter(&self, stream: TcpStream, limits: &Limits) -> Option<u64> {
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

    fn leave(&self, number: u64) {
        self.state().clients.remove(&number);
        self.changed.notify_all();
    }
}

/// Takes a client off the list, however its thread ends.
struct Leave<'a> {
    clients: &'a Clients,
    number: u64,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.clients.leave(self.number);
    }
}

/// Ends a server when it is dropped.
struct End<'a> {
    server: &'a Server,
    clients: &'a Clients,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        let state = self.clients.state();
        self.clients.is_stopping.store(true, Ordering::Relaxed);
        for client in state.clients.values() {
            // Who waits for this client waits no more.
            let _ = client.stream.shutdown(Shutdown::Both);
        }
        drop(state);
        self.clients.changed.notify_all();
        // So does who waits for the next one.
        let _ = TcpStream::connect_timeout(&self.server.own_address(), Duration::from_secs(1));
    }
}
