//! The server: it listens, has a thread for each client, and ends.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;
use std::{io, thread};

use rustix::net::sockopt::{Timeout, set_socket_timeout};

use crate::clients::{Clients, Leave, WAIT};
use crate::connection::Connection;
use crate::contents::Contents;
use crate::limits::Limits;
use crate::observer::Observer;
use crate::sending::Transport;
use strata_error::{Error, Result};
use strata_http::ServerTls;

/// A registry that listens, and serves while [`Server::run`] runs.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    limits: Limits,
    tls: Option<ServerTls>,
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
            tls: None,
        })
    }

    /// The same with TLS.
    #[must_use]
    pub fn with_tls(mut self, tls: ServerTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Listens at a free port that only this machine reaches.
    pub fn on_loopback() -> Result<Self> {
        Self::bind((Ipv4Addr::LOCALHOST, 0).into(), Limits::default())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves `contents` while `work` runs. Afterwards nobody is connected and nothing is made any more; who is being
    /// answered then has the grace of the limits for it.
    pub fn run<T>(
        &self,
        contents: &dyn Contents,
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
                        let Ok(transport) = Transport::new(&stream, self.tls.as_ref()) else {
                            return;
                        };
                        let connection = Connection {
                            transport,
                            contents,
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
            if clients.is_closing() {
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

/// Ends a server when it is dropped.
struct End<'a> {
    server: &'a Server,
    clients: &'a Clients,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.clients.close();
        // Who waits for the next client waits no more.
        let _ = TcpStream::connect_timeout(&self.server.own_address(), Duration::from_secs(1));
        self.clients.wait(self.server.limits.grace);
        self.clients.stop();
    }
}
