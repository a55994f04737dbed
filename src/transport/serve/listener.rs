//! The server: who may connect, for how long, and how it ends.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout};

use super::super::Progress;
use super::catalog::Catalog;
use super::connection::Connection;
use crate::{Error, Result};

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
            stall: Duration::from_mins(5),
        }
    }
}

/// Somebody who watches a server.
#[derive(Clone, Copy)]
pub struct Observer<'a> {
    /// Is told about blobs that are sent, and can interrupt them.
    pub progress: &'a dyn Progress,
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
                            is_stopping: &clients.is_stopping,
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
            clients.wait_for_room(self.limits.connections)?;
            let accepted = self.listener.accept();
            if clients.is_stopping() {
                return None;
            }
            match accepted.and_then(|(stream, _)| Ok((stream.try_clone()?, stream))) {
                Ok((kept, stream)) => return clients.enter(kept).map(|number| (number, stream)),
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
struct Clients {
    /// Whether the server ends. It changes while the state is locked.
    is_stopping: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    next: u64,
    streams: BTreeMap<u64, TcpStream>,
}

impl Clients {
    fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing is left half done where it could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there are fewer clients than `most`; nothing if the server ends.
    fn wait_for_room(&self, most: usize) -> Option<()> {
        let has_no_room = |state: &mut State| !self.is_stopping() && state.streams.len() >= most;
        let waited = self.changed.wait_while(self.state(), has_no_room);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        (!self.is_stopping()).then_some(())
    }

    fn enter(&self, stream: TcpStream) -> Option<u64> {
        let mut state = self.state();
        if self.is_stopping() {
            return None;
        }
        let number = state.next;
        state.next += 1;
        state.streams.insert(number, stream);
        Some(number)
    }

    fn leave(&self, number: u64) {
        self.state().streams.remove(&number);
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
        for stream in state.streams.values() {
            // Who waits for this client waits no more.
            let _ = stream.shutdown(Shutdown::Both);
        }
        drop(state);
        self.clients.changed.notify_all();
        // So does who waits for the next one.
        let _ = TcpStream::connect_timeout(&self.server.own_address(), Duration::from_secs(1));
    }
}
