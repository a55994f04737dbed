//! What goes to a client, with an eye on how fast it reads.

use std::io::{self, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::clients::Clients;
use crate::limits::Limits;

/// How long to wait for a client to read before noting that it does not.
const PAUSE: Duration = Duration::from_millis(200);

/// A writer to a client. An error means that the client went away, read nothing for too long, or had to make
/// room.
pub(crate) struct Sending<'a> {
    stream: &'a TcpStream,
    clients: &'a Clients,
    number: u64,
    limits: Limits,
}

impl<'a> Sending<'a> {
    /// A writer to `stream`, which is the client of that number.
    pub(crate) fn new(
        stream: &'a TcpStream,
        clients: &'a Clients,
        number: u64,
        limits: &Limits,
    ) -> Self {
        // A client that cannot be waited for a while is waited for as long as it takes.
        let _ = stream.set_write_timeout(Some(PAUSE.min(limits.stall)));
        Self {
            stream,
            clients,
            number,
            limits: *limits,
        }
    }
}

impl Write for Sending<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let begun = Instant::now();
        let mut noted = begun;
        loop {
            self.clients.writes(self.number);
            let mut stream = self.stream;
            let written = stream.write(bytes);
            let now = Instant::now();
            let count = *written.as_ref().unwrap_or(&0);
            (self.clients).wrote(self.number, count, now - noted, &self.limits);
            noted = now;
            match written {
                Err(error) if is_timeout(&error) && begun.elapsed() < self.limits.stall => {}
                written => return written,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether a read or a write waited for too long.
pub(crate) fn is_timeout(error: &io::Error) -> bool {
    // Which of both depends on the system.
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}
