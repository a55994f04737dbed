//! The program `ssh`, whose other end is a program on another machine.

use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How long `ssh` may take to connect.
const CONNECT: Duration = Duration::from_secs(30);
/// How much of what `ssh` writes to its standard error is kept, in bytes.
const MOST_STDERR: u64 = 4 << 10;
/// How long to wait for the end of the standard error of an `ssh` that has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What `ssh` is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ssh {
    /// The user, if it is not the one that `ssh` would take. Does not begin with a hyphen.
    pub user: Option<String>,
    /// The host, or its name in `ssh`'s configuration. Does not begin with a hyphen.
    pub host: String,
    /// The port.
    pub port: Option<u16>,
    /// The program to start there, with its arguments, which speaks HTTP on its standard input and
    /// output. A shell on the other machine reads these words, so they have no characters in them
    /// that mean something to one.
    pub command: Vec<String>,
}

impl Ssh {
    /// Starts it, as Docker's own command line does. It gets one end of a pair of sockets, not pipes,
    /// because sockets have time-outs.
    pub(crate) fn start(&self, stderr: &SshStderr) -> io::Result<(UnixStream, Child)> {
        let (ours, theirs) = UnixStream::pair()?;
        let input = OwnedFd::from(theirs.try_clone()?);
        let mut program = Command::new("ssh")
            .args(self.arguments())
            .stdin(Stdio::from(input))
            .stdout(Stdio::from(OwnedFd::from(theirs)))
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(pipe) = program.stderr.take() {
            stderr.collect(pipe);
        }
        Ok((ours, program))
    }

    fn arguments(&self) -> Vec<String> {
        let timeout = format!("ConnectTimeout={}", CONNECT.as_secs());
        let mut arguments = vec!["-T".to_owned(), "-o".to_owned(), timeout];
        if let Some(user) = &self.user {
            arguments.extend(["-l".to_owned(), user.clone()]);
        }
        if let Some(port) = self.port {
            arguments.extend(["-p".to_owned(), port.to_string()]);
        }
        arguments.extend(["--".to_owned(), self.host.clone()]);
        arguments.extend(self.command.iter().cloned());
        arguments
    }
}

/// What the latest `ssh` wrote to its standard error.
#[derive(Clone, Debug, Default)]
pub(crate) struct SshStderr(Arc<Mutex<Option<Receiver<String>>>>);

impl SshStderr {
    fn collect(&self, pipe: ChildStderr) {
        let (sender, receiver) = channel();
        thread::spawn(move || read(pipe, &sender));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(receiver);
    }

    /// The text, once that `ssh` ended; none if it is empty or was taken before.
    pub(crate) fn take(&self) -> Option<String> {
        let receiver = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let text = receiver?.recv_timeout(LAST_WORDS).ok()?;
        (!text.is_empty()).then_some(text)
    }
}

/// Keeps the beginning of what `ssh` says, and throws away the rest so that it can go on.
fn read(mut pipe: ChildStderr, sender: &Sender<String>) {
    let mut kept = Vec::new();
    let _ = pipe.by_ref().take(MOST_STDERR).read_to_end(&mut kept);
    let _ = io::copy(&mut pipe, &mut io::sink());
    // Nobody may care any more.
    let _ = sender.send(String::from_utf8_lossy(&kept).trim().to_owned());
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
            command: ["docker", "system", "dial-stdio"].map(str::to_owned).into(),
        };
        assert_eq!(
            ssh.arguments().join(" "),
            "-T -o ConnectTimeout=30 -- h docker system dial-stdio"
        );
        ssh.user = Some("me".to_owned());
        ssh.port = Some(22);
        assert_eq!(
            ssh.arguments().join(" "),
            "-T -o ConnectTimeout=30 -l me -p 22 -- h docker system dial-stdio"
        );
    }
}
