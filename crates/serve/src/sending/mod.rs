//! What goes to a client, with an eye on how fast it reads.

mod transport;
mod window;

use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::time::{Duration, Instant};

use crate::clients::Clients;
use crate::limits::Limits;

pub(crate) use self::transport::Transport;
pub(crate) use self::window::Window;

/// How long to wait for a client to read before noting that it does not.
const PAUSE: Duration = Duration::from_millis(200);

/// How much of a file is sent at a time, in bytes.
const PIECE: usize = 1 << 20;

/// A writer to a client. An error means that the client went away, read nothing for too long, or had to make
/// room.
pub(crate) struct Sending<'a, 's> {
    transport: &'a Transport<'s>,
    clients: &'a Clients,
    number: u64,
    limits: Limits,
}

impl<'a, 's> Sending<'a, 's> {
    /// A writer to `transport`, which is the client of that number.
    pub(crate) fn new(
        transport: &'a Transport<'s>,
        clients: &'a Clients,
        number: u64,
        limits: &Limits,
    ) -> Self {
        // A client that cannot be waited for a while is waited for as long as it takes.
        let stream = transport.stream();
        let _ = stream.set_write_timeout(Some(PAUSE.min(limits.stall)));
        Self {
            transport,
            clients,
            number,
            limits: *limits,
        }
    }

    /// Sends a part of a file.
    pub(crate) fn write_file(&self, file: &File, part: Range<u64>) -> io::Result<()> {
        let mut at = part.start;
        while at < part.end {
            let wanted = usize::try_from(part.end - at).unwrap_or(PIECE).min(PIECE);
            let sent = self.patiently(|transport| transport.write_file(file, at, wanted))?;
            if sent == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            at += sent as u64;
        }
        Ok(())
    }

    /// Writes once, and waits for the client for as long as it may take.
    fn patiently(
        &self,
        mut write: impl FnMut(&Transport<'_>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let begun = Instant::now();
        let mut noted = begun;
        loop {
            self.clients.writes(self.number);
            let written = write(self.transport);
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
}

impl Write for Sending<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.patiently(|transport| transport.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.patiently(|transport| transport.flush().map(|()| 0))
            .map(|_| ())
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
