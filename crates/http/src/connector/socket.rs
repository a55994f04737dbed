//! Connections that lead to one place, whatever the host: a socket of this machine, or one whose other
//! end is the program `ssh`.

use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Child;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, ShutdownHandle,
    Transport,
};

use super::ssh::{Ssh, SshStderr};

/// The place.
#[derive(Clone, Debug)]
pub(crate) enum Socket {
    /// The socket of this name.
    Unix(PathBuf),
    /// A program on another machine, and where to put what `ssh` says.
    Ssh(Ssh, SshStderr),
}

/// Connects there, if there is such a place; else others do.
#[derive(Debug)]
pub(crate) struct SocketConnector(pub(crate) Option<Socket>);

impl<In: Transport> Connector<In> for SocketConnector {
    type Out = Either<In, SocketTransport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let connection = match &self.0 {
            None => return Ok(chained.map(Either::A)),
            Some(Socket::Unix(path)) => Connection {
                stream: UnixStream::connect(path)?,
                program: None,
            },
            Some(Socket::Ssh(ssh, stderr)) => {
                let (stream, program) = ssh.start(stderr)?;
                Connection {
                    stream,
                    program: Some(Mutex::new(program)),
                }
            }
        };
        let connection = Arc::new(connection);
        let handle: Arc<dyn ShutdownHandle> = Arc::clone(&connection) as _;
        (details.register_shutdown)(Arc::downgrade(&handle))?;
        let config = details.config;
        Ok(Some(Either::B(SocketTransport {
            connection,
            buffers: LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size()),
        })))
    }
}

/// A connection and the program at its other end, if there is one.
#[derive(Debug)]
struct Connection {
    stream: UnixStream,
    program: Option<Mutex<Child>>,
}

impl Connection {
    fn read(&self, buffer: &mut [u8], timeout: Option<Duration>) -> io::Result<usize> {
        loop {
            self.stream.set_read_timeout(timeout)?;
            match (&self.stream).read(buffer) {
                // A signal, of which whoever watches the copy knows.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    fn write_all(&self, bytes: &[u8], timeout: Option<Duration>) -> io::Result<()> {
        self.stream.set_write_timeout(timeout)?;
        (&self.stream).write_all(bytes)
    }

    /// Whether a further request can be sent: nothing waits to be read, not even the end.
    fn is_idle(&self) -> io::Result<bool> {
        self.stream.set_nonblocking(true)?;
        let result = self.read(&mut [0], None);
        self.stream.set_nonblocking(false)?;
        Ok(result.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock))
    }
}

impl ShutdownHandle for Connection {
    fn shutdown(&self) {
        // What has ended already cannot be ended.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(program) = self.program.take() {
            let mut program = program.into_inner().unwrap_or_else(PoisonError::into_inner);
            // It may have ended by itself.
            let _ = program.kill();
            let _ = program.wait();
        }
    }
}

/// A connection as `ureq` wants it.
#[derive(Debug)]
pub(crate) struct SocketTransport {
    connection: Arc<Connection>,
    buffers: LazyBuffers,
}

impl Transport for SocketTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let timeout = timeout.for_write();
        let output = self.buffers.output();
        let bytes = output.get(..amount).unwrap_or(output);
        self.connection
            .write_all(bytes, limit(&timeout))
            .map_err(|error| timed_out(error, &timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let timeout = timeout.for_read();
        let input = self.buffers.input_append_buf();
        let result = self.connection.read(input, limit(&timeout));
        let amount = result.map_err(|error| timed_out(error, &timeout))?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.connection.is_idle().unwrap_or(false)
    }
}

/// How long one read or write may take.
fn limit(timeout: &NextTimeout) -> Option<Duration> {
    timeout.not_zero().map(|timeout| *timeout)
}

/// A socket says that it would block when its time is over.
fn timed_out(error: io::Error, timeout: &NextTimeout) -> Error {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Error::Timeout(timeout.reason),
        _ => error.into(),
    }
}
