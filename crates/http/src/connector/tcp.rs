//! TCP connections on which the other side is heard while it is spoken to.
//!
//! `ureq`'s own write until everything is taken. A server that answers in the middle of a body and reads no more
//! is then not heard before a time-out.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use ureq::Error;
use ureq::Timeout;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, ShutdownHandle,
    Transport,
};

/// The most bytes that are kept for a server that speaks instead of reading.
const MOST_UNSENT: usize = 1 << 20;

/// Connects to the addresses of a host, unless a connector before did.
#[derive(Debug)]
pub(crate) struct TcpConnector;

impl<In: Transport> Connector<In> for TcpConnector {
    type Out = Either<In, TcpTransport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        if chained.is_some() {
            return Ok(chained.map(Either::A));
        }
        let stream = connect(details)?;
        stream.set_nodelay(details.config.no_delay())?;
        stream.set_nonblocking(true)?;
        let connection = Arc::new(Connection(stream));
        let handle: Arc<dyn ShutdownHandle> = Arc::clone(&connection) as _;
        (details.register_shutdown)(Arc::downgrade(&handle))?;
        let config = details.config;
        Ok(Some(Either::B(TcpTransport {
            connection,
            buffers: LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size()),
            unsent: Vec::new(),
            is_unseen: false,
            has_ended: false,
        })))
    }
}

/// Tries the addresses in their order; each gets its share of the time that is left.
fn connect(details: &ConnectionDetails<'_>) -> Result<TcpStream, Error> {
    let end = deadline(&details.timeout);
    let mut failure = Error::HostNotFound;
    for (index, address) in details.addrs.iter().enumerate() {
        let share = end.map(|end| {
            let left = end.saturating_duration_since(Instant::now());
            let addresses = u32::try_from(details.addrs.len() - index).unwrap_or(u32::MAX);
            (left / addresses).max(Duration::from_millis(10))
        });
        let result = match share {
            Some(share) => TcpStream::connect_timeout(address, share),
            None => TcpStream::connect(address),
        };
        failure = match result {
            Ok(stream) => return Ok(stream),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock
                ) =>
            {
                Error::Timeout(Timeout::Connect)
            }
            Err(error) => error.into(),
        };
    }
    Err(failure)
}

/// The end of a time-out, if there is one.
fn deadline(timeout: &NextTimeout) -> Option<Instant> {
    let after = timeout.after;
    (!after.is_not_happening())
        .then(|| Instant::now().checked_add(*after))
        .flatten()
}

/// The stream, which somebody else may end.
#[derive(Debug)]
struct Connection(TcpStream);

impl ShutdownHandle for Connection {
    fn shutdown(&self) {
        // What has ended already cannot be ended.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

impl Connection {
    /// What of `wanted` is possible now, or within a time; nothing when that is over.
    fn wait(&self, wanted: PollFlags, limit: Option<Duration>) -> io::Result<PollFlags> {
        let end = limit.and_then(|limit| Instant::now().checked_add(limit));
        loop {
            let left = end.map(|end| {
                let left = end.saturating_duration_since(Instant::now());
                Timespec::try_from(left).unwrap_or(Timespec {
                    tv_sec: i64::from(i32::MAX),
                    tv_nsec: 0,
                })
            });
            let mut polled = [PollFd::new(&self.0, wanted)];
            match poll(&mut polled, left.as_ref()) {
                // A signal, of which whoever watches the copy knows.
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
                Ok(0) => return Ok(PollFlags::empty()),
                Ok(_) => {
                    let [polled] = polled;
                    return Ok(polled.revents());
                }
            }
        }
    }
}

/// A TCP connection.
#[derive(Debug)]
pub(crate) struct TcpTransport {
    connection: Arc<Connection>,
    buffers: LazyBuffers,
    /// What is still to be sent, since the other side spoke before it took it.
    unsent: Vec<u8>,
    /// Whether there is input that came in during a write, and that nobody was told of.
    is_unseen: bool,
    /// Whether the other side says no more.
    has_ended: bool,
}

impl TcpTransport {
    /// Reads what is there: how many bytes that was, or nothing if nothing is there yet.
    fn read(&mut self) -> io::Result<Option<usize>> {
        loop {
            let mut stream = &self.connection.0;
            match stream.read(self.buffers.input_append_buf()) {
                Ok(amount) => {
                    self.buffers.input_appended(amount);
                    self.has_ended = amount == 0;
                    return Ok(Some(amount));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes as much of what is unsent as is taken at once.
    fn write(&mut self) -> io::Result<()> {
        let (taken, result) = write_some(&self.connection, &self.unsent);
        self.unsent.drain(..taken);
        result
    }

    /// Whether somebody may speak who does not read.
    fn may_listen(&mut self) -> bool {
        !self.has_ended
            && self.unsent.len() < MOST_UNSENT
            && !self.buffers.input_append_buf().is_empty()
    }
}

impl Transport for TcpTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    /// Returns before everything is taken if the other side speaks: what it says may be the end of it.
    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let timeout = timeout.for_write();
        let output = self.buffers.output();
        let output = output.get(..amount).unwrap_or(output);
        let mut taken = 0;
        if self.unsent.is_empty() {
            // Most of a body is taken at once.
            let result;
            (taken, result) = write_some(&self.connection, output);
            result?;
        }
        let rest = output.get(taken..).unwrap_or_default();
        self.unsent.extend_from_slice(rest);
        loop {
            let before = self.unsent.len();
            self.write()?;
            if self.unsent.is_empty() {
                return Ok(());
            }
            if before > self.unsent.len() {
                continue;
            }
            let listens = self.may_listen();
            let wanted = if listens {
                PollFlags::OUT | PollFlags::IN
            } else {
                PollFlags::OUT
            };
            let ready = self.connection.wait(wanted, limit(&timeout))?;
            if ready.is_empty() {
                return Err(Error::Timeout(timeout.reason));
            }
            let can_write = ready.intersects(PollFlags::OUT | PollFlags::ERR | PollFlags::HUP);
            if !can_write && self.read()?.is_some_and(|amount| amount > 0) {
                self.is_unseen = true;
                return Ok(());
            }
        }
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        if std::mem::take(&mut self.is_unseen) && !self.buffers.input().is_empty() {
            return Ok(true);
        }
        let timeout = timeout.for_read();
        let end = deadline(&timeout);
        loop {
            let written = self.write();
            if let Some(amount) = self.read()? {
                return Ok(amount > 0);
            }
            // There may be something to read although nobody takes what is written.
            written?;
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Err(Error::Timeout(timeout.reason));
            }
            let wanted = if self.unsent.is_empty() {
                PollFlags::IN
            } else {
                PollFlags::IN | PollFlags::OUT
            };
            self.connection.wait(wanted, left)?;
        }
    }

    fn is_open(&mut self) -> bool {
        let mut stream = &self.connection.0;
        let nothing = stream.read(&mut [0]);
        self.unsent.is_empty()
            && nothing.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }
}

/// Writes as much as is taken at once; gives how much that is, and what went wrong behind it.
fn write_some(connection: &Connection, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut taken = 0;
    loop {
        let rest = bytes.get(taken..).unwrap_or_default();
        if rest.is_empty() {
            return (taken, Ok(()));
        }
        let mut stream = &connection.0;
        match stream.write(rest) {
            Ok(amount) => taken += amount,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return (taken, Ok(())),
            Err(error) => return (taken, Err(error)),
        }
    }
}

/// How long one wait may take.
fn limit(timeout: &NextTimeout) -> Option<Duration> {
    let after = timeout.after;
    (!after.is_not_happening()).then(|| *after)
}
