//! Programs with limits: how long they may run, and how much of what they say is kept.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// The most bytes of an answer: the names of all packages of nixpkgs are half of one MiB.
const LONGEST_ANSWER: u64 = 16 << 20;
/// How many bytes of the end of a log are kept.
const LONGEST_LOG: usize = 64 << 10;
/// How long to wait before looking again whether the program has ended.
const POLL: Duration = Duration::from_millis(10);
/// How long a program may take to end when it is asked to.
const PATIENCE: Duration = Duration::from_secs(5);

/// How a program ended, and the end of what it said on standard error.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) how: How,
    pub(crate) log: String,
}

#[derive(Debug)]
pub(crate) enum How {
    /// Well, with this on standard output.
    Done(Vec<u8>),
    /// With another status than 0.
    Failed,
    /// It took too long.
    TimedOut,
    /// The server ends.
    Stopped,
}

/// Runs a program until it ends, for at most `time`, or until `is_stopping`. It and what it started are gone then.
pub(crate) fn run(
    command: &mut Command,
    time: Duration,
    is_stopping: &AtomicBool,
) -> io::Result<Ended> {
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped());
    // A group of its own, so that the signals of a terminal are not for it, and ours are for all of it.
    let mut child = command.stderr(Stdio::piped()).process_group(0).spawn()?;
    let (output, errors) = (child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        let answer = scope.spawn(|| output.map_or(Ok(Vec::new()), read_answer));
        let log = scope.spawn(|| errors.map_or_else(String::new, read_end));
        let ended = wait(&mut child, time, is_stopping);
        // What a program leaves behind would keep the pipes open.
        signal(&child, Signal::KILL);
        let answer = answer.join().unwrap_or_else(|_| Ok(Vec::new()));
        let log = log.join().unwrap_or_default();
        let how = match ended? {
            Err(how) => how,
            Ok(status) if status.success() => How::Done(answer?),
            Ok(_) => How::Failed,
        };
        Ok(Ended { how, log })
    })
}

/// Waits until a program has ended, by itself or because it has to.
fn wait(
    child: &mut Child,
    time: Duration,
    is_stopping: &AtomicBool,
) -> io::Result<Result<ExitStatus, How>> {
    let begun = Instant::now();
    let why = loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Ok(status));
        }
        if is_stopping.load(Ordering::Relaxed) {
            break How::Stopped;
        }
        if begun.elapsed() >= time {
            break How::TimedOut;
        }
        thread::sleep(POLL);
    };
    // Nix ends the builds that it runs, and unlocks what it locked.
    signal(child, Signal::TERM);
    let asked = Instant::now();
    while child.try_wait()?.is_none() {
        if asked.elapsed() >= PATIENCE {
            signal(child, Signal::KILL);
            child.wait()?;
        }
        thread::sleep(POLL);
    }
    Ok(Err(why))
}

/// Sends a signal to a program and what it started.
fn signal(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // It may have ended in between.
        let _ = kill_process_group(pid, signal);
    }
}

fn read_answer(output: impl Read) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    let mut output = output.take(LONGEST_ANSWER);
    output.read_to_end(&mut answer)?;
    if output.limit() == 0 {
        return Err(io::Error::other("the answer is too long"));
    }
    Ok(answer)
}

/// Reads everything and keeps the end.
fn read_end(mut errors: impl Read) -> String {
    let mut end = VecDeque::new();
    let mut piece = [0; 8192];
    loop {
        match errors.read(&mut piece) {
            Ok(count @ 1..) => {
                end.extend(&piece[..count]);
                end.drain(..end.len().saturating_sub(LONGEST_LOG));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => break,
        }
    }
    String::from_utf8_lossy(end.make_contiguous()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, time: Duration) -> Ended {
        let mut command = Command::new("sh");
        run(command.args(["-c", script]), time, &AtomicBool::new(false)).unwrap()
    }

    #[test]
    fn answers_and_logs_are_told_apart() {
        let ended = sh("echo answer; echo log >&2", Duration::from_secs(10));
        assert!(matches!(ended.how, How::Done(answer) if answer == b"answer\n"));
        assert_eq!(ended.log, "log\n");
        let ended = sh("echo why >&2; exit 3", Duration::from_secs(10));
        assert!(matches!(ended.how, How::Failed));
        assert_eq!(ended.log, "why\n");
    }

    /// X8 of nixery: it read what Nix said only when the answer was there, and a chatty build stood still.
    #[test]
    fn nixery_x8_a_program_that_says_a_lot_is_read_and_not_kept() {
        let script = "head -c 100000000 /dev/zero | tr '\\0' x >&2; echo end >&2; echo done";
        let ended = sh(script, Duration::from_mins(1));
        assert!(matches!(ended.how, How::Done(answer) if answer == b"done\n"));
        assert_eq!(ended.log.len(), LONGEST_LOG);
        assert!(ended.log.ends_with("xend\n"));
    }

    #[test]
    fn an_answer_that_never_ends_is_an_error() {
        let mut command = Command::new("sh");
        let endless = command.args(["-c", "exec cat /dev/zero"]);
        let ended = run(endless, Duration::from_secs(30), &AtomicBool::new(false));
        assert!(ended.is_err() || matches!(ended.unwrap().how, How::Failed));
    }

    #[test]
    fn what_takes_too_long_ends_with_all_that_it_started() {
        let begun = Instant::now();
        let ended = sh("sleep 60 & sleep 60", Duration::from_millis(100));
        assert!(matches!(ended.how, How::TimedOut));
        let ended = sh("sleep 60 & echo left", Duration::from_secs(10));
        assert!(
            matches!(ended.how, How::Done(_)),
            "nobody waits for what is left"
        );
        let mut command = Command::new("sleep");
        let ended = run(command.arg("60"), Duration::MAX, &AtomicBool::new(true)).unwrap();
        assert!(matches!(ended.how, How::Stopped));
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
}
