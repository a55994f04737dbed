//! Starts a script so that it is traced, and tells how it ended.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, Command, Stdio};
use std::thread;

use nix::sched::{CloneFlags, CpuSet, sched_getcpu, sched_setaffinity, unshare};
use nix::sys::signal::{Signal, raise};
use nix::unistd::{Pid, chdir, chroot};
use rustix::fs::{Mode, OFlags};

use crate::kernel::filter;
use crate::state::inode::Inodes;
use crate::trace::tracer::{self, End};
use strata_error::{Error, Result};

/// How many of a script's last lines an error shows.
const LINES: usize = 5;
/// The longest line that an error shows, in bytes.
const LONGEST_LINE: usize = 400;
/// The mode of the program in which it becomes the script.
pub(crate) const TRACED: &str = "traced";
/// Where programs put what they need for a while. With another root that is its `/tmp`.
const TEMPORARY: [&str; 5] = ["TMPDIR", "TMP", "TEMP", "TEMPDIR", "NIX_BUILD_TOP"];

/// A script that is to be run.
pub(crate) struct Script<'a> {
    /// The program with its arguments.
    pub(crate) command: &'a [OsString],
    /// Where it runs.
    pub(crate) directory: Option<&'a Path>,
    /// What it has as `/`.
    pub(crate) root: Option<&'a Path>,
    /// Shows what it says to standard error.
    pub(crate) show: Show,
}

/// Shows what a script says, as it says it.
pub type Show = fn(&[u8]);

impl Script<'_> {
    /// Runs it with what is remembered; gives what is remembered then. The error is that it failed.
    pub(crate) fn run(&self, inodes: Inodes) -> Result<Inodes> {
        let (end, inodes, lines) = thread::scope(|scope| {
            // The tracer sees what its script sees, and others what they saw before.
            let tracer = scope.spawn(|| self.trace(inodes));
            tracer.join().unwrap_or_else(|_| {
                Err(Error::Command {
                    command: self.name(),
                    message: "the thread that follows it ended".to_owned(),
                    hint: String::new(),
                })
            })
        })?;
        let message = match end {
            End::Exited(0) => return Ok(inodes),
            End::Exited(status) => format!("exit status {status}"),
            End::Killed(signal) => format!("ended by signal {signal}"),
        };
        let message = match lines.as_str() {
            "" => message,
            lines => format!("{message}; it said last: {lines}"),
        };
        let hint = hint(&lines, self.root.is_some());
        Err(Error::Command {
            command: self.name(),
            message,
            hint: hint.to_owned(),
        })
    }

    fn name(&self) -> String {
        let program = self.command.first().map(|name| name.to_string_lossy());
        program.unwrap_or_default().into_owned()
    }

    fn trace(&self, inodes: Inodes) -> Result<(End, Inodes, String)> {
        share_a_processor();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let proc = rustix::fs::open("/proc", flags, Mode::empty())
            .map_err(|error| Error::io("open", "/proc")(error.into()))?;
        let mut command = Command::new("/proc/self/exe");
        command.arg(TRACED);
        if let Some(root) = self.root {
            command.arg("--root").arg(root);
            for variable in TEMPORARY {
                command.env(variable, "/tmp");
            }
        }
        command.arg("--").args(self.command);
        if let Some(directory) = self.directory {
            command.current_dir(directory);
        }
        let mut child = command
            .stderr(Stdio::piped())
            .spawn()
            .map_err(Error::io("run", "/proc/self/exe"))?;
        let errors = child.stderr.take();
        let show = self.show;
        let last_lines =
            thread::spawn(move || errors.map_or_else(String::new, |errors| pass_on(errors, show)));
        let pid = Pid::from_raw(child.id().cast_signed());
        let end = if tracer::wait_for_stop(pid) {
            if let Some(root) = self.root {
                unshare(CloneFlags::CLONE_FS).map_err(|error| root_error(root, error))?;
                enter_root(root)?;
            }
            tracer::trace(pid, proc, inodes)
        } else {
            Err(Error::Command {
                command: self.name(),
                message: "it could not be traced".to_owned(),
                hint: "the script is run with ptrace, which must be allowed where it is built"
                    .to_owned(),
            })
        };
        let lines = last_lines.join().unwrap_or_default();
        end.map(|(end, inodes)| (end, inodes, lines))
    }
}

/// The way out of what a script said last.
fn hint(lines: &str, has_root: bool) -> &'static str {
    let says = |texts: &[&str]| texts.iter().any(|text| lines.contains(text));
    if says(&["No space left on device"]) {
        "free some space where builds run"
    } else if says(&["Read-only file system", "Permission denied"]) && !has_root {
        "it may write to the files of the layer only, which are where it starts: write etc/x in the place of /etc/x, or \
         give it the image as its root (enableFakechroot, runAsRoot)"
    } else {
        "`set -x` in it shows which command fails; owners, modes and capabilities can be set without a script, with perms"
    }
}

/// Keeps this thread and what it starts on one processor: a stop is then no more than a switch between two
/// threads, which is ten times as fast as to wake another processor.
fn share_a_processor() {
    let mut one = CpuSet::new();
    if let Ok(processor) = sched_getcpu()
        && one.set(processor).is_ok()
    {
        // Without, it is slower.
        let _ = sched_setaffinity(Pid::from_raw(0), &one);
    }
}

fn root_error(root: &Path, error: nix::Error) -> Error {
    Error::io("enter", root)(error.into())
}

fn enter_root(root: &Path) -> Result<()> {
    chroot(root).map_err(|error| root_error(root, error))?;
    chdir("/").map_err(|error| root_error(root, error))
}

/// Becomes the script, when whoever started this traces it: comes back only if that fails.
pub(crate) fn become_script(root: Option<PathBuf>, command: &[OsString]) -> Error {
    let Some((program, arguments)) = command.split_first() else {
        return Error::Command {
            command: TRACED.to_owned(),
            message: "no command".to_owned(),
            hint: String::new(),
        };
    };
    let failed = |what: &str, message: String| Error::Command {
        command: program.to_string_lossy().into_owned(),
        message: format!("{what}: {message}"),
        hint: "the script is run with ptrace and seccomp, which must be allowed where it is built"
            .to_owned(),
    };
    if let Err(error) = nix::sys::ptrace::traceme() {
        return failed("PTRACE_TRACEME", error.to_string());
    }
    if let Err(error) = raise(Signal::SIGSTOP) {
        return failed("SIGSTOP", error.to_string());
    }
    if let Some(root) = root
        && let Err(error) = enter_root(&root)
    {
        return error;
    }
    if let Err(error) = filter::apply() {
        return failed("seccomp", error);
    }
    Error::io("run", program)(Command::new(program).args(arguments).exec())
}

/// Shows what a script says, and gives its last lines.
fn pass_on(mut errors: ChildStderr, show: Show) -> String {
    let mut lines: VecDeque<Vec<u8>> = VecDeque::from([Vec::new()]);
    let mut buffer = [0; 8192];
    while let Ok(count @ 1..) = errors.read(&mut buffer) {
        show(&buffer[..count]);
        for (number, piece) in buffer[..count].split(|byte| *byte == b'\n').enumerate() {
            if number > 0 {
                lines.push_back(Vec::new());
            }
            if let Some(line) = lines.back_mut() {
                let room = LONGEST_LINE.saturating_sub(line.len());
                line.extend_from_slice(&piece[..piece.len().min(room)]);
            }
        }
        // The last one may be about to begin.
        while lines.len() > LINES + 1 {
            lines.pop_front();
        }
    }
    let lines = lines.iter().map(|line| String::from_utf8_lossy(line));
    let lines: Vec<_> = lines.filter(|line| !line.trim().is_empty()).collect();
    lines.join(" / ")
}
