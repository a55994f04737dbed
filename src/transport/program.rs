//! Other programs (podman, skopeo), run without a shell.

use std::io::{self, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::Progress;
use crate::{Error, Result};

/// The most that is kept of what a program says, in bytes, per stream.
const MOST_OUTPUT: usize = 16 << 20;
/// The most of its complaints that is repeated, in bytes.
const MOST_COMPLAINTS: usize = 1000;
/// How often to look whether it ended.
const POLL: Duration = Duration::from_millis(5);
/// How long it may take to end when it is told to.
const GRACE: Duration = Duration::from_secs(5);
/// How long to wait for its last words: whoever inherited its output may keep that open.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How a program ended and what it said.
#[derive(Debug)]
pub(super) struct Ended {
    /// What it is called in messages.
    name: String,
    status: ExitStatus,
    /// Its standard output.
    pub(super) output: String,
    errors: String,
}

impl Ended {
    /// Whether it says of itself that it succeeded.
    pub(super) fn succeeded(&self) -> bool {
        self.status.success()
    }

    /// Its exit code, unless a signal ended it.
    pub(super) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Its standard output, if it succeeded.
    pub(super) fn success(self, hint: &str) -> Result<String> {
        if self.succeeded() {
            return Ok(self.output);
        }
        Err(self.failure(hint))
    }

    /// The error that tells why it failed, in its own words.
    pub(super) fn failure(&self, hint: &str) -> Error {
        let said = last_words(&self.errors);
        Error::Program {
            program: self.name.clone(),
            message: if said.is_empty() {
                self.status.to_string()
            } else {
                format!("{said} ({})", self.status)
            },
            hint: hint.to_owned(),
        }
    }
}

/// Runs a program to its end and gives what it said. `name` is for messages; `hint` is the way out if
/// there is no such program. If the user gives up, it is told to end.
pub(super) fn run(
    command: &mut Command,
    name: &str,
    hint: &str,
    progress: &dyn Progress,
) -> Result<Ended> {
    let mut running = Running::start(command.stdin(Stdio::null()), name, hint)?;
    running.wait(progress)
}

/// The same for a program that reads what `write` gives. If it ends before it has read all, how it
/// ended is what counts.
pub(super) fn feed(
    command: &mut Command,
    name: &str,
    hint: &str,
    progress: &dyn Progress,
    write: impl FnOnce(&mut dyn Write) -> Result<()> + Send,
) -> Result<Ended> {
    let mut running = Running::start(command.stdin(Stdio::piped()), name, hint)?;
    let input = running.child.stdin.take();
    thread::scope(|scope| {
        let writing = scope.spawn(move || match input {
            Some(mut input) => write(&mut input),
            None => Ok(()),
        });
        let ended = running.wait(progress);
        // It is gone, so that the writer finds a closed pipe at the latest.
        match (ended, writing.join().unwrap_or(Err(Error::Interrupted))) {
            (Ok(_), Err(error)) if !error.is_broken_pipe() => Err(error),
            (ended, _) => ended,
        }
    })
}

struct Running {
    name: String,
    child: Child,
    output: Listener,
    errors: Listener,
}

impl Running {
    fn start(command: &mut Command, name: &str, hint: &str) -> Result<Self> {
        let failure = |error: &io::Error| Error::Program {
            program: name.to_owned(),
            message: match error.kind() {
                io::ErrorKind::NotFound => "there is no such program in PATH".to_owned(),
                _ => error.to_string(),
            },
            hint: hint.to_owned(),
        };
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| failure(&error))?;
        let output = Listener::start(child.stdout.take());
        let errors = Listener::start(child.stderr.take());
        Ok(Self {
            name: name.to_owned(),
            child,
            output,
            errors,
        })
    }

    fn wait(&mut self, progress: &dyn Progress) -> Result<Ended> {
        loop {
            if let Some(status) = self.child.try_wait().map_err(Error::stream(&self.name))? {
                return Ok(Ended {
                    name: self.name.clone(),
                    status,
                    output: self.output.heard(),
                    errors: self.errors.heard(),
                });
            }
            if let Err(error) = progress.interrupted() {
                self.end();
                return Err(error);
            }
            thread::sleep(POLL);
        }
    }

    /// Asks the program to end, and then makes it.
    fn end(&mut self) {
        // It may have ended by itself, which is as well.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let end = Instant::now() + GRACE;
        while Instant::now() < end {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(POLL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Collects what comes out of a stream, while the program runs.
struct Listener {
    heard: Arc<Mutex<Vec<u8>>>,
    ended: Receiver<()>,
}

impl Listener {
    fn start(stream: Option<impl Read + Send + 'static>) -> Self {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (sender, ended) = mpsc::channel();
        if let Some(mut stream) = stream {
            let heard = Arc::clone(&heard);
            thread::spawn(move || {
                let mut piece = [0; 8192];
                // What is too much is read all the same, so that the program does not stand still.
                while let Ok(count @ 1..) = stream.read(&mut piece) {
                    let mut heard = lock(&heard);
                    let room = MOST_OUTPUT.saturating_sub(heard.len()).min(count);
                    heard.extend_from_slice(&piece[..room]);
                }
                let _ = sender.send(());
            });
        }
        Self { heard, ended }
    }

    fn heard(&self) -> String {
        let _ = self.ended.recv_timeout(LAST_WORDS);
        String::from_utf8_lossy(&lock(&self.heard)).into_owned()
    }
}

fn lock(bytes: &Mutex<Vec<u8>>) -> MutexGuard<'_, Vec<u8>> {
    bytes.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The last lines of a program's complaints, on one line and without what would disturb a terminal.
fn last_words(errors: &str) -> String {
    let errors = errors.trim();
    let start = errors.len().saturating_sub(MOST_COMPLAINTS);
    let start = (start..errors.len()).find(|at| errors.is_char_boundary(*at));
    let end = &errors[start.unwrap_or_default()..];
    let lines: Vec<&str> = end.lines().map(str::trim).collect();
    let lines = lines[lines.len().saturating_sub(3)..].join("; ");
    lines.chars().filter(|one| !one.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Silent;
    use super::*;
    use crate::oci::Descriptor;
    use crate::transport::Outcome;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    /// Somebody who has given up.
    struct Impatient;

    impl Progress for Impatient {
        fn begin(&self, _: &Descriptor) {}

        fn advance(&self, _: &Descriptor, _: u64) -> Result<()> {
            Err(Error::Interrupted)
        }

        fn interrupted(&self) -> Result<()> {
            Err(Error::Interrupted)
        }

        fn finish(&self, _: &Descriptor, _: Outcome) {}
    }

    #[test]
    fn what_a_program_says_is_heard() {
        let ended = run(&mut shell("echo data; echo talk >&2"), "it", "", &Silent).unwrap();
        assert_eq!(ended.success("").unwrap(), "data\n");
        let script = "seq 1000 >&2; printf 'a\\033[1mb' >&2; exit 3";
        let ended = run(&mut shell(script), "it", "", &Silent).unwrap();
        let error = ended.success("do that").unwrap_err();
        assert_eq!(error.to_string(), "it: 999; 1000; a[1mb (exit status: 3)");
        assert_eq!(error.hint().unwrap(), "do that");
    }

    #[test]
    fn a_program_that_is_missing_is_named() {
        let mut command = Command::new("strata-no-such-program");
        let error = run(&mut command, "it", "install it", &Silent).unwrap_err();
        assert_eq!(error.to_string(), "it: there is no such program in PATH");
        assert_eq!(error.hint().unwrap(), "install it");
    }

    #[test]
    fn a_program_reads_what_is_written() {
        let write = |bytes: Vec<u8>| {
            move |writer: &mut dyn Write| {
                writer
                    .write_all(&bytes)
                    .map_err(Error::stream("an archive"))
            }
        };
        let large = vec![b'x'; 1 << 20];
        let ended = feed(&mut shell("wc -c"), "it", "", &Silent, write(large.clone())).unwrap();
        assert_eq!(ended.output.trim(), "1048576");
        // One that has read enough is asked why.
        let ended = feed(
            &mut shell("echo no >&2; exit 1"),
            "it",
            "",
            &Silent,
            write(large),
        );
        assert_eq!(
            ended.unwrap().failure("").to_string(),
            "it: no (exit status: 1)"
        );
        let failing = |_: &mut dyn Write| Err(Error::Interrupted);
        let error = feed(&mut shell("cat"), "it", "", &Silent, failing).unwrap_err();
        assert!(matches!(error, Error::Interrupted), "{error}");
    }

    #[test]
    fn a_program_ends_when_the_user_gives_up() {
        let error = run(&mut shell("exec sleep 60"), "it", "", &Impatient).unwrap_err();
        assert!(matches!(error, Error::Interrupted), "{error}");
        let endless = |writer: &mut dyn Write| loop {
            writer
                .write_all(&[0; 4096])
                .map_err(Error::stream("an archive"))?;
        };
        let error = feed(&mut shell("exec sleep 60"), "it", "", &Impatient, endless).unwrap_err();
        assert!(matches!(error, Error::Interrupted), "{error}");
    }
}
