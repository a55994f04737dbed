//! Programs that do a part of a copy: `ctr`, `docker`, `kind`, `minikube` and the like.
//!
//! Arguments are vectors that no shell of this machine reads. What a program writes is kept up to a limit, an
//! interruption ends the program, and every program is waited for.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use strata_error::{Error, Result};
use strata_progress::{Context, Detail};

/// The most that a program may write to its standard output, in bytes: some hundred thousand lines.
const LARGEST_STDOUT: u64 = 32 << 20;
/// So many bytes of its standard error are shown: the end, where the reason is.
const LARGEST_STDERR: usize = 2048;
/// How long a question may take: a container engine that wakes up is slow.
const QUERY_TIME: Duration = Duration::from_mins(2);
/// How long a program may take for its work after it got all of its input.
const WORK_TIME: Duration = Duration::from_hours(1);
/// How long the pipes of a program may stay open after its end.
const CLOSING_TIME: Duration = Duration::from_secs(5);
/// How long a program may take to end when it is told to.
const GRACE: Duration = Duration::from_secs(5);
/// How often the end of a program and an interruption are looked for.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// What writes the standard input of a program.
pub(crate) type Input<'a> = Box<dyn FnOnce(&mut dyn Write) -> Result<()> + Send + 'a>;

/// Runs a program that only tells something; gives what it writes to its standard output. `hint` is for
/// the case that it fails.
pub(crate) fn query(command: Command, hint: &str, context: Context<'_>) -> Result<Vec<u8>> {
    execute(command, None, QUERY_TIME, hint, context)
}

/// The same for a program that does the work of a copy, which takes longer.
pub(crate) fn run(command: Command, hint: &str, context: Context<'_>) -> Result<Vec<u8>> {
    execute(command, None, WORK_TIME, hint, context)
}

/// Runs a program with what `input` writes as its standard input.
///
/// An error of `input` ends the program and is what went wrong, unless it is that the program
/// reads no more: then the program says why, or it has read enough.
pub(crate) fn run_with_input(
    command: Command,
    input: Input<'_>,
    hint: &str,
    context: Context<'_>,
) -> Result<Vec<u8>> {
    execute(command, Some(input), WORK_TIME, hint, context)
}

/// Runs a program, and tells who asks for it what ran and for how long.
fn execute(
    command: Command,
    input: Option<Input<'_>>,
    limit: Duration,
    hint: &str,
    context: Context<'_>,
) -> Result<Vec<u8>> {
    let (shown, started) = (describe(&command), Instant::now());
    let result = exchange(command, input, limit, hint, context);
    let end = if result.is_ok() { "done" } else { "failed" };
    let milliseconds = started.elapsed().as_millis();
    let text = format!("{shown}: {end} after {milliseconds} ms");
    context.progress.explain(Detail::Request, &text);
    result
}

fn exchange(
    mut command: Command,
    input: Option<Input<'_>>,
    limit: Duration,
    hint: &str,
    context: Context<'_>,
) -> Result<Vec<u8>> {
    let stdin = if input.is_some() {
        Stdio::piped()
    } else {
        Stdio::null()
    };
    let mut child = command
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| cannot_start(command.get_program(), &source, hint))?;
    let stdout = collect(child.stdout.take(), |pipe| {
        let mut bytes = Vec::new();
        pipe.take(LARGEST_STDOUT + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    });
    let stderr = collect(child.stderr.take(), tail);
    let (ended, fed) = match (input, child.stdin.take()) {
        (Some(input), Some(mut stdin)) => thread::scope(|scope| {
            let writer = scope.spawn(move || {
                let fed = input(&mut stdin);
                // The program sees the end of its input.
                drop(stdin);
                fed
            });
            let ended = wait(&mut child, limit, context, || writer.is_finished());
            let fed = writer
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (ended, fed)
        }),
        _ => (wait(&mut child, limit, context, || true), Ok(())),
    };
    let failed = |message: String| Error::Command {
        command: describe(&command),
        message,
        hint: hint.to_owned(),
    };
    let stderr_text = || {
        let bytes = received(&stderr).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        // Messages are one line.
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    match (ended, fed) {
        (_, Err(error)) if !error.is_broken_pipe() => Err(error),
        (Err(Ended::Interrupted(error)), _) => Err(error),
        (Err(Ended::Late), _) => Err(failed(format!(
            "no end after {} s; {}",
            limit.as_secs(),
            stderr_text()
        ))),
        (Err(Ended::Unknown(source)), _) => Err(failed(source.to_string())),
        (Ok(status), _) if !status.success() => Err(failed(match stderr_text() {
            empty if empty.is_empty() => status.to_string(),
            text => text,
        })),
        (Ok(_), _) => match received(&stdout) {
            Some(bytes) if bytes.len() as u64 <= LARGEST_STDOUT => Ok(bytes),
            Some(_) => Err(failed(format!("it says more than {LARGEST_STDOUT} bytes"))),
            None => Err(failed("its answer does not end".to_owned())),
        },
    }
}

/// Why there is no exit status.
enum Ended {
    Interrupted(Error),
    Late,
    Unknown(io::Error),
}

/// Waits for the end of a program. It is ended when the copy is interrupted and when it takes longer
/// than `limit` after it has its input.
fn wait(
    child: &mut Child,
    limit: Duration,
    context: Context<'_>,
    has_input: impl Fn() -> bool,
) -> Result<ExitStatus, Ended> {
    let begin = Instant::now();
    let mut since = Instant::now();
    loop {
        if let Some(status) = child.try_wait().map_err(Ended::Unknown)? {
            return Ok(status);
        }
        if !has_input() {
            since = Instant::now();
        }
        let stopped = match context.check() {
            Err(error) => Some(Ended::Interrupted(error)),
            Ok(()) if since.elapsed() > limit => Some(Ended::Late),
            Ok(()) => None,
        };
        if let Some(stopped) = stopped {
            end(child).map_err(Ended::Unknown)?;
            return Err(stopped);
        }
        // An eighth of the time that it ran is lost at most: programs that answer at once are asked often.
        let pause = begin.elapsed() / 8;
        thread::sleep(pause.clamp(SHORTEST_PAUSE, LONGEST_PAUSE));
    }
}

/// Asks a program to end, so that it ends its own children and removes what it began; if it does not,
/// makes it.
fn end(child: &mut Child) -> io::Result<()> {
    // It may have ended by itself meanwhile.
    let _ = kill_process(Pid::from_child(child), Signal::TERM);
    let deadline = Instant::now() + GRACE;
    while Instant::now() < deadline {
        if child.try_wait()?.is_some() {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    child.wait().map(|_| ())
}

/// Reads a pipe in a thread of its own, which nobody has to wait for: a descendant of the program may
/// hold the pipe open.
fn collect<R: Read + Send + 'static>(
    pipe: Option<R>,
    read: impl FnOnce(R) -> io::Result<Vec<u8>> + Send + 'static,
) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    if let Some(pipe) = pipe {
        thread::spawn(move || {
            // Nobody may be interested any more.
            let _ = sender.send(read(pipe).unwrap_or_default());
        });
    }
    receiver
}

fn received(receiver: &Receiver<Vec<u8>>) -> Option<Vec<u8>> {
    receiver.recv_timeout(CLOSING_TIME).ok()
}

/// The end of what is read.
fn tail(mut pipe: impl Read) -> io::Result<Vec<u8>> {
    let mut end = VecDeque::new();
    let mut piece = [0; 4096];
    loop {
        let count = match pipe.read(&mut piece) {
            Ok(0) => return Ok(end.into()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        end.extend(piece.iter().take(count));
        let old = end.len().saturating_sub(LARGEST_STDERR);
        end.drain(..old);
    }
}

fn cannot_start(program: &OsStr, source: &io::Error, hint: &str) -> Error {
    let program = program.to_string_lossy();
    let (message, hint) = match source.kind() {
        io::ErrorKind::NotFound => (
            "there is no such program".to_owned(),
            format!("install {program}, or put it in PATH"),
        ),
        _ => (format!("it does not start: {source}"), hint.to_owned()),
    };
    Error::Command {
        command: program.into_owned(),
        message,
        hint,
    }
}

/// The command as people would type it. Nothing secret is ever an argument.
fn describe(command: &Command) -> String {
    let mut text = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use strata_progress::Context;
    use strata_testing::image::interrupted;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn the_output_of_a_program_is_given() {
        let output = query(shell("echo yes; echo no >&2"), "", Context::silent()).unwrap();
        assert_eq!(output, b"yes\n");
        let output = run_with_input(
            shell("cat"),
            Box::new(|writer| writer.write_all(b"words").map_err(Error::stream("input"))),
            "",
            Context::silent(),
        );
        assert_eq!(output.unwrap(), b"words");
    }

    #[test]
    fn a_program_that_fails_says_why() {
        let error = query(
            shell("echo because >&2; exit 3"),
            "do so",
            Context::silent(),
        )
        .unwrap_err();
        assert_eq!(
            error.report(),
            "error: sh -c echo because >&2; exit 3: because\nhint: do so"
        );
        let error = query(shell("exit 3"), "", Context::silent()).unwrap_err();
        assert!(error.to_string().ends_with("exit status: 3"), "{error}");
        let error = query(Command::new("/nonexistent/ctr"), "", Context::silent()).unwrap_err();
        assert_eq!(
            error.hint().unwrap(),
            "install /nonexistent/ctr, or put it in PATH"
        );
    }

    #[test]
    fn complaints_are_short() {
        let long = shell("yes complaint | head -c 1000000 >&2; echo 'the reason' >&2; exit 1");
        let error = query(long, "", Context::silent()).unwrap_err().to_string();
        assert!(error.ends_with("the reason"), "{error}");
        assert!(error.len() < LARGEST_STDERR + 200, "{}", error.len());
    }

    /// Input that never ends.
    fn endless<'a>() -> Input<'a> {
        Box::new(|writer| {
            loop {
                writer
                    .write_all(&[0; 4096])
                    .map_err(Error::stream("input"))?;
            }
        })
    }

    #[test]
    fn the_program_has_the_last_word_when_it_reads_no_more() {
        let error = run_with_input(
            shell("echo full >&2; exit 1"),
            endless(),
            "",
            Context::silent(),
        )
        .unwrap_err();
        assert!(error.to_string().ends_with(": full"), "{error}");
        run_with_input(
            shell("head -c 1 >/dev/null"),
            endless(),
            "",
            Context::silent(),
        )
        .unwrap();
    }

    #[test]
    fn a_program_whose_input_fails_sees_its_end() {
        let input: Input = Box::new(|_| Err(Error::stream("layer")(io::Error::other("gone"))));
        let error = run_with_input(shell("cat"), input, "", Context::silent()).unwrap_err();
        assert_eq!(error.to_string(), "cannot write layer");
    }

    #[test]
    fn an_interruption_kills_the_program() {
        for input in [None, Some(endless())] {
            let error =
                execute(shell("exec sleep 600"), input, WORK_TIME, "", interrupted()).unwrap_err();
            assert!(matches!(error, Error::Interrupted), "{error}");
        }
    }
}
