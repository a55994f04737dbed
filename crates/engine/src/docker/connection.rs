//! Connections to an engine, for `ureq`: a socket of this machine, TCP, or a socket whose other end
//! is the program `ssh`.

use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, ShutdownHandle, Transport,
};

use super::endpoint::{Address, Ssh};

/// How long to wait for a connection.
pub(super) const CONNECT: Duration = Duration::from_secs(30);
/// How much of what `ssh` says is kept, in bytes.
const MOST_WORDS: u64 = 4 << 10;
/// How long to wait for the last words of an `ssh` that has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What is known of the connection in use besides what `ureq` sees.
#[derive(Debug, Default)]
pub(super) struct Line {
    hung_up: AtomicBool,
    words: Mutex<Option<Receiver<String>>>,
}

impl Line {
    /// Whether the engine reads no more. It may have answered before.
    pub(super) fn is_hung_up(&self) -> bool {
        self.hung_up.load(Ordering::Relaxed)
    }

    /// What `ssh` said to the user, once it ended.
    pub(super) fn words_of_ssh(&self) -> Option<String> {
        let words = self
            .words
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let words = words?.recv_timeout(LAST_WORDS).ok()?;
        (!words.is_empty()).then_some(words)
    }
}

/// Opens connections to one engine, one after the other.
#[derive(Debug)]
pub(super) struct EngineConnector {
    /// Where it is.
    pub(super) address: Address,
    /// What is known of the latest connection.
    pub(super) line: Arc<Line>,
}

impl<In: Transport> Connector<In> for EngineConnector {
    type Out = EngineTransport;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _: Option<In>,
    ) -> Result<Option<EngineTransport>, ureq::Error> {
        self.line.hung_up.store(false, Ordering::Relaxed);
        let connection = match &self.address {
            Address::Unix(path) => Connection::from(Stream::Unix(UnixStream::connect(path)?)),
            Address::Tcp(_) => Connection::from(Stream::Tcp(connect(details)?)),
            Address::Ssh(ssh) => {
                let (words, said) = channel();
                let connection = dial(ssh, words)?;
                *self
                    .line
                    .words
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner) = Some(said);
                connection
            }
        };
        let connection = Arc::new(connection);
        let handle: Arc<dyn ShutdownHandle> = Arc::clone(&connection) as _;
        (details.register_shutdown)(Arc::downgrade(&handle))?;
        let config = details.config;
        Ok(Some(EngineTransport {
            connection,
            line: Arc::clone(&self.line),
            buffers: LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size()),
        }))
    }
}

/// Asks for the addresses of hosts, and not for those of sockets.
#[derive(Debug)]
pub(super) struct EngineResolver {
    /// Whether the engine has a host.
    pub(super) is_remote: bool,
}

impl Resolver for EngineResolver {
    fn resolve(
        &self,
        uri: &Uri,
        config: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let resolver = DefaultResolver::default();
        if self.is_remote {
            resolver.resolve(uri, config, timeout)
        } else {
            Ok(resolver.empty())
        }
    }
}

/// Connects to the first address that answers.
fn connect(details: &ConnectionDetails<'_>) -> Result<TcpStream, ureq::Error> {
    let mut result = Err(io::ErrorKind::NotFound.into());
    for address in &details.addrs {
        result = match details.timeout.not_zero() {
            Some(timeout) => TcpStream::connect_timeout(address, *timeout),
            None => TcpStream::connect(address),
        };
        if result.is_ok() {
            break;
        }
    }
    let stream = result?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Starts `ssh`, as Docker's own command line does. It gets one end of a pair of sockets, not pipes,
/// because sockets have time-outs.
fn dial(ssh: &Ssh, words: Sender<String>) -> io::Result<Connection> {
    let (ours, theirs) = UnixStream::pair()?;
    let input = OwnedFd::from(theirs.try_clone()?);
    let mut program = Command::new("ssh")
        .args(arguments(ssh))
        .stdin(Stdio::from(input))
        .stdout(Stdio::from(OwnedFd::from(theirs)))
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(errors) = program.stderr.take() {
        thread::spawn(move || listen(errors, &words));
    }
    Ok(Connection {
        stream: Stream::Unix(ours),
        program: Some(Mutex::new(program)),
    })
}

/// The arguments of `ssh`. The words after the host are for a shell, so they hold no others than
/// [`Ssh`] lets through.
fn arguments(ssh: &Ssh) -> Vec<String> {
    let timeout = format!("ConnectTimeout={}", CONNECT.as_secs());
    let mut arguments = vec!["-T".to_owned(), "-o".to_owned(), timeout];
    if let Some(user) = &ssh.user {
        arguments.extend(["-l".to_owned(), user.clone()]);
    }
    if let Some(port) = ssh.port {
        arguments.extend(["-p".to_owned(), port.to_string()]);
    }
    arguments.extend(["--".to_owned(), ssh.host.clone(), "docker".to_owned()]);
    if let Some(socket) = &ssh.socket {
        arguments.extend(["--host".to_owned(), format!("unix://{socket}")]);
    }
    arguments.extend(["system", "dial-stdio"].map(str::to_owned));
    arguments
}

/// Keeps the beginning of what `ssh` says, and throws away the rest so that it can go on.
fn listen(mut errors: ChildStderr, words: &Sender<String>) {
    let mut said = Vec::new();
    let _ = errors.by_ref().take(MOST_WORDS).read_to_end(&mut said);
    let _ = io::copy(&mut errors, &mut io::sink());
    // Nobody may care any more.
    let _ = words.send(String::from_utf8_lossy(&said).trim().to_owned());
}

#[derive(Debug)]
enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// A connection and the program at its other end, if there is one.
#[derive(Debug)]
struct Connection {
    stream: Stream,
    program: Option<Mutex<Child>>,
}

impl From<Stream> for Connection {
    fn from(stream: Stream) -> Self {
        Self {
            stream,
            program: None,
        }
    }
}

impl Connection {
    fn read(&self, buffer: &mut [u8], timeout: Option<Duration>) -> io::Result<usize> {
        loop {
            let result = match &self.stream {
                Stream::Unix(stream) => stream
                    .set_read_timeout(timeout)
                    .and_then(|()| (&*stream).read(buffer)),
                Stream::Tcp(stream) => stream
                    .set_read_timeout(timeout)
                    .and_then(|()| (&*stream).read(buffer)),
            };
            match result {
                // A signal, of which whoever watches the copy knows.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    fn write_all(&self, bytes: &[u8], timeout: Option<Duration>) -> io::Result<()> {
        match &self.stream {
            Stream::Unix(stream) => stream
                .set_write_timeout(timeout)
                .and_then(|()| (&*stream).write_all(bytes)),
            Stream::Tcp(stream) => stream
                .set_write_timeout(timeout)
                .and_then(|()| (&*stream).write_all(bytes)),
        }
    }

    /// Whether a further request can be sent: nothing waits to be read, not even the end.
    fn is_idle(&self) -> io::Result<bool> {
        let set_nonblocking = |on| match &self.stream {
            Stream::Unix(stream) => stream.set_nonblocking(on),
            Stream::Tcp(stream) => stream.set_nonblocking(on),
        };
        set_nonblocking(true)?;
        let result = self.read(&mut [0], None);
        set_nonblocking(false)?;
        Ok(result.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock))
    }
}

impl ShutdownHandle for Connection {
    fn shutdown(&self) {
        // What has ended already cannot be ended.
        let _ = match &self.stream {
            Stream::Unix(stream) => stream.shutdown(Shutdown::Both),
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Both),
        };
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
pub(super) struct EngineTransport {
    connection: Arc<Connection>,
    line: Arc<Line>,
    buffers: LazyBuffers,
}

impl Transport for EngineTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        let timeout = timeout.for_write();
        let (output, limit) = (self.buffers.output(), limit(&timeout));
        let bytes = output.get(..amount).unwrap_or(output);
        match self.connection.write_all(bytes, limit) {
            // An engine that refuses an archive in its middle answers and hangs up. The answer is
            // there to be read.
            Err(error) if is_hang_up(&error) => self.line.hung_up.store(true, Ordering::Relaxed),
            result => result.map_err(|error| timed_out(error, &timeout))?,
        }
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
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

fn is_hang_up(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
    )
}

/// A socket says that it would block when its time is over.
fn timed_out(error: io::Error, timeout: &NextTimeout) -> ureq::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => ureq::Error::Timeout(timeout.reason),
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ssh_is_asked_as_docker_asks_it() {
        let mut ssh = Ssh {
            user: None,
            host: "h".to_owned(),
            port: None,
            socket: None,
        };
        let plain = arguments(&ssh).join(" ");
        assert_eq!(
            plain,
            "-T -o ConnectTimeout=30 -- h docker system dial-stdio"
        );
        ssh.user = Some("me".to_owned());
        ssh.port = Some(22);
        ssh.socket = Some("/s".to_owned());
        assert_eq!(
            arguments(&ssh).join(" "),
            "-T -o ConnectTimeout=30 -l me -p 22 -- h docker --host unix:///s system dial-stdio"
        );
    }
}
