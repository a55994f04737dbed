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
    /// What errors call it; its program if nothing is said.
    pub(crate) name: Option<&'a str>,
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
        Err(Error::Command {
            command: self.name(),
            message,
            hint: hint(&lines, self.root.is_some()).to_owned(),
        })
    }

    fn name(&self) -> String {
        if let Some(name) = self.name {
            return name.to_owned();
        }
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
        return "free some space where builds run";
    }
    if says(&["Read-only file system", "Permission denied"]) && !has_root {
        return "it may write to the files of the layer only, which are where it starts: write etc/x in the place of /etc/x, \
                or give it the image as its root (enableFakechroot, runAsRoot)";
    }
    let failed = failed_line(lines).unwrap_or_default();
    let runs = |program: &&str| failed.split(IS_BETWEEN_WORDS).any(|word| word == *program);
    let found = DECLARATIVE
        .iter()
        .find(|(programs, _)| programs.iter().any(runs));
    found.map_or(
        "`set -x` in it shows which command fails; owners, modes, capabilities and devices can be set without a script, \
         with files",
        |(_, hint)| hint,
    )
}

/// What is not part of a program's name in a line of a script.
const IS_BETWEEN_WORDS: fn(char) -> bool =
    |character| !character.is_alphanumeric() && !matches!(character, '-' | '_' | '.');

/// What needs no script: the programs by which scripts do it, and how it is said instead.
const DECLARATIVE: &[(&[&str], &str)] = &[
    (
        &[
            "useradd", "adduser", "usermod", "groupadd", "addgroup", "groupmod",
        ],
        "users and groups need no script: say `system.users` and `system.groups` with buildImage of Strata, or \
         `fakeNss.override { extraPasswdLines = [ .. ]; }` with dockerTools",
    ),
    (
        &["mknod", "mkfifo"],
        "devices need no script: say `files.\"/dev/fuse\" = { type = \"character\"; major = 10; minor = 229; }`",
    ),
    (
        &["setcap"],
        "capabilities need no script: say `files.\"/bin/ping\" = { source = ..; capabilities = [ \"CAP_NET_RAW\" ]; }`",
    ),
    (
        &["setfattr"],
        "extended attributes need no script: say `files.\"/x\" = { source = ..; xattrs.\"user.note\" = \"..\"; }`",
    ),
    (
        &["chown", "chgrp"],
        "owners need no script: say `files.\"/var/lib/app\" = { type = \"directory\"; uid = 1000; gid = 1000; }`",
    ),
    (
        &["chmod"],
        "modes need no script: say `files.\"/bin/su\" = { source = ..; mode = \"4755\"; }`",
    ),
];

/// The line of the script that failed, if its shell told which one it is (`NAME: line NUMBER: TEXT`).
fn failed_line(lines: &str) -> Option<&str> {
    let (_, behind) = lines.rsplit_once(": line ")?;
    let (number, text) = behind.split_once(": ")?;
    number.parse::<u32>().ok()?;
    Some(text)
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

#[cfg(test)]
mod tests {
    use super::{failed_line, hint};

    #[test]
    fn the_line_that_failed_is_found_behind_its_number() {
        for (lines, expected) in [
            (
                "a / fakeRootCommands: line 12: chown x y",
                Some("chown x y"),
            ),
            (
                "bash: line 3: foo: command not found / runAsRoot: line 3: foo",
                Some("foo"),
            ),
            ("something: line up: please", None),
            ("", None),
        ] {
            assert_eq!(failed_line(lines), expected, "{lines}");
        }
    }

    #[test]
    fn hints_name_what_stands_in_the_place_of_a_command() {
        for (line, expected) in [
            ("chown app /data", "owners need no script"),
            (
                "  mkdir -p x && ${pkgs}/bin/chgrp 5 x",
                "owners need no script",
            ),
            ("/nix/store/x-shadow/bin/useradd -m app", "`system.users`"),
            ("mknod dev/fuse c 10 229", "type = \"character\""),
            ("setcap cap_net_raw+ep bin/ping", "capabilities = ["),
            ("chmod 4755 bin/su", "mode = \"4755\""),
            ("my-chown x", "`set -x`"),
            ("false", "`set -x`"),
        ] {
            let said = hint(&format!("it said / runAsRoot: line 2: {line}"), true);
            assert!(said.contains(expected), "{line}: {said}");
        }
    }

    #[test]
    fn what_cannot_be_written_is_told_before_what_needs_no_script() {
        let lines = "chown: /x: Read-only file system / fakeRootCommands: line 1: chown 1 /x";
        assert!(hint(lines, false).contains("write etc/x"));
        assert!(hint(lines, true).contains("files"));
    }
}
