//! Follows a script and all that it starts, and answers their calls.
//!
//! A thread stops when it makes a call of `filter`. What root may do and nobody here can is answered from what
//! is remembered (`answers`); what is made is looked at before or after (`watch`).

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};

use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::process::{WaitOptions, wait, waitpid};

use super::answers::answer;
use super::tracee::Tracee;
use super::watch::{self, After};
use crate::kernel::calls::Call;
use crate::kernel::filter::FOREIGN;
use crate::kernel::registers::Registers;
use crate::state::credentials::Credentials;
use crate::state::inode::{Inodes, SET_ID};
use strata_error::{Error, Result};

/// Children that make no signal are waited for, too.
const ALL: WaitOptions = WaitOptions::from_bits_retain(libc::__WALL.cast_unsigned());
/// The first signal that has no name.
const FIRST_UNNAMED: i32 = 32;
/// `SYS_SECCOMP`: a signal comes from a filter.
const OF_FILTER: i32 = 1;
/// What marks the stop at the end of a call.
const AFTER_CALL: i32 = libc::SIGTRAP | 0x80;

/// How a script ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It gave this status.
    Exited(i32),
    /// This signal ended it.
    Killed(i32),
}

/// What is known of a thread.
#[derive(Default)]
struct Task {
    credentials: Credentials,
    after: Option<After>,
    /// Whether the stop that every new thread makes is still to come.
    is_new: bool,
}

struct Tracer {
    proc: OwnedFd,
    tasks: BTreeMap<i32, Task>,
    /// New threads that stopped before the one that made them.
    early: BTreeSet<i32>,
    inodes: Inodes,
    may_have_other_root: bool,
}

/// Follows a child that asked to be traced and stopped itself; it is continued here. Ends when it has ended,
/// and ends whatever it left running. `proc` is `/proc` from
/// outside.
pub(crate) fn trace(child: Pid, proc: OwnedFd, inodes: Inodes) -> Result<(End, Inodes)> {
    let options = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_TRACESECCOMP
        | Options::PTRACE_O_EXITKILL;
    ptrace::setoptions(child, options).map_err(|error| refused("PTRACE_SETOPTIONS", error))?;
    ptrace::cont(child, None).map_err(|error| refused("PTRACE_CONT", error))?;
    let mut tracer = Tracer {
        proc,
        tasks: BTreeMap::from([(child.as_raw(), Task::default())]),
        early: BTreeSet::new(),
        inodes,
        may_have_other_root: false,
    };
    let end = tracer.follow(child.as_raw());
    tracer.end_all();
    end.map(|end| (end, tracer.inodes))
}

/// Waits until a child has stopped itself; false if it ended instead.
pub(crate) fn wait_for_stop(child: Pid) -> bool {
    let pid = rustix::process::Pid::from_raw(child.as_raw());
    matches!(waitpid(pid, ALL), Ok(Some((_, status))) if status.stopped())
}

fn refused(operation: &str, error: nix::Error) -> Error {
    Error::Command {
        command: "strata-fakeroot".to_owned(),
        message: format!("{operation}: {error}"),
        hint: "the script is run with ptrace, which must be allowed where it is built".to_owned(),
    }
}

fn unsupported(message: String) -> Error {
    Error::Command {
        command: "script".to_owned(),
        message,
        hint: "the page \"Root without a VM\" of the book lists what a script cannot do".to_owned(),
    }
}

impl Tracer {
    fn follow(&mut self, script: i32) -> Result<End> {
        loop {
            let (pid, status) = match wait(ALL) {
                Ok(Some((pid, status))) => (pid.as_raw_nonzero().get(), status),
                Ok(None) | Err(rustix::io::Errno::INTR) => continue,
                Err(_) => return Ok(End::Killed(libc::SIGKILL)),
            };
            if status.stopped() {
                let status = status.as_raw();
                self.stopped(Pid::from_raw(pid), status >> 8 & 0xff, status >> 16)?;
                continue;
            }
            self.tasks.remove(&pid);
            self.early.remove(&pid);
            if pid == script {
                return Ok(match (status.exit_status(), status.terminating_signal()) {
                    (Some(status), _) => End::Exited(status),
                    (None, signal) => End::Killed(signal.unwrap_or(libc::SIGKILL)),
                });
            }
        }
    }

    /// Ends what is left.
    fn end_all(&mut self) {
        let end = |pid: i32| {
            // One that has just ended needs nothing more.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        };
        self.tasks
            .keys()
            .chain(&self.early)
            .for_each(|pid| end(*pid));
        while let Ok(found) = wait(ALL) {
            if let Some((pid, status)) = found
                && status.stopped()
            {
                end(pid.as_raw_nonzero().get());
            }
        }
    }

    fn stopped(&mut self, pid: Pid, signal: i32, event: i32) -> Result<()> {
        let number = pid.as_raw();
        match event {
            libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK | libc::PTRACE_EVENT_CLONE => {
                if let Ok(child) = ptrace::getevent(pid) {
                    self.started(number, child);
                }
                resume(pid, 0);
            }
            libc::PTRACE_EVENT_EXEC => {
                self.runs_another_program(pid);
                resume(pid, 0);
            }
            libc::PTRACE_EVENT_SECCOMP => self.before_call(pid),
            0 if signal == AFTER_CALL => self.after_call(pid),
            0 if signal == libc::SIGSYS => return self.trapped(pid),
            0 if signal == libc::SIGSTOP && !self.tasks.contains_key(&number) => {
                self.early.insert(number);
            }
            0 if signal == libc::SIGSTOP && self.was_new(number) => resume(pid, 0),
            0 => return deliver(pid, signal),
            _ => resume(pid, 0),
        }
        Ok(())
    }

    fn was_new(&mut self, pid: i32) -> bool {
        let task = self.tasks.get_mut(&pid);
        task.is_some_and(|task| std::mem::take(&mut task.is_new))
    }

    fn started(&mut self, parent: i32, child: libc::c_long) {
        let Ok(child) = i32::try_from(child) else {
            return;
        };
        let parent = self.tasks.get(&parent);
        let credentials = parent.map(|parent| parent.credentials.clone());
        let is_new = !self.early.remove(&child);
        let task = Task {
            credentials: credentials.unwrap_or_default(),
            after: None,
            is_new,
        };
        self.tasks.insert(child, task);
        if !is_new {
            resume(Pid::from_raw(child), 0);
        }
    }

    fn runs_another_program(&mut self, pid: Pid) {
        // The thread that runs it takes the number of the process.
        if let Ok(former) = ptrace::getevent(pid)
            && let Ok(former) = i32::try_from(former)
            && former != pid.as_raw()
            && let Some(task) = self.tasks.remove(&former)
        {
            self.tasks.insert(pid.as_raw(), task);
        }
        let tracee = Tracee {
            pid,
            proc: self.proc.as_fd(),
            may_have_other_root: self.may_have_other_root,
        };
        let Some(task) = self.tasks.get_mut(&pid.as_raw()) else {
            return;
        };
        let program = tracee.program().ok();
        let view = program.map(|program| self.inodes.view(&program.found));
        let with = |bit| view.filter(|view| view.mode & SET_ID & bit != 0);
        let user = with(libc::S_ISUID).map(|view| view.uid);
        let group = with(libc::S_ISGID).map(|view| view.gid);
        task.credentials.run(user, group);
    }

    /// A call was not made, because it is one that is answered.
    fn trapped(&mut self, pid: Pid) -> Result<()> {
        let Ok(info) = ptrace::getsiginfo(pid) else {
            return Ok(());
        };
        if info.si_code != OF_FILTER {
            return deliver(pid, libc::SIGSYS);
        }
        if info.si_errno == FOREIGN.cast_signed() {
            let program = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
            return Err(unsupported(format!(
                "{} makes calls of another architecture (32 bits), which are not answered",
                program.display()
            )));
        }
        let tracee = Tracee {
            pid,
            proc: self.proc.as_fd(),
            may_have_other_root: self.may_have_other_root,
        };
        let task = self.tasks.entry(pid.as_raw()).or_default();
        if let Ok(mut registers) = Registers::of(pid) {
            if let Some(call) = Call::decode(registers.number(), registers.arguments()) {
                let answer = answer(call, tracee, &mut self.inodes, &mut task.credentials);
                registers.set_answer(answer);
                // Fails if it was killed meanwhile, which the next wait tells.
                let _ = registers.write();
            }
            resume(pid, 0);
        }
        Ok(())
    }

    fn before_call(&mut self, pid: Pid) {
        let tracee = Tracee {
            pid,
            proc: self.proc.as_fd(),
            may_have_other_root: self.may_have_other_root,
        };
        let task = self.tasks.entry(pid.as_raw()).or_default();
        let Ok(mut registers) = Registers::of(pid) else {
            return;
        };
        let arguments = registers.arguments();
        let call = Call::decode(registers.number(), arguments);
        if call == Some(Call::ChangeRoot) {
            self.may_have_other_root = true;
        }
        let Some(call) = call else {
            return resume(pid, 0);
        };
        let watched = watch::before(call, arguments, tracee, &self.inodes, &task.credentials);
        if let Some((argument, value)) = watched.change {
            registers.set_argument(argument, value);
            let _ = registers.write();
        }
        task.after = watched.after;
        if task.after.is_some() {
            // A thread that was killed meanwhile is told of by the next wait.
            let _ = ptrace::syscall(pid, None);
        } else {
            resume(pid, 0);
        }
    }

    fn after_call(&mut self, pid: Pid) {
        let tracee = Tracee {
            pid,
            proc: self.proc.as_fd(),
            may_have_other_root: self.may_have_other_root,
        };
        let task = self.tasks.entry(pid.as_raw()).or_default();
        if let Some(after) = task.after.take()
            && let Ok(registers) = Registers::of(pid)
            && let Some(result) = registers.success()
        {
            watch::after(
                &after,
                result,
                tracee,
                &mut self.inodes,
                &mut task.credentials,
            );
        }
        resume(pid, 0);
    }
}

/// Continues a thread; one that was killed meanwhile is told of by the next wait.
fn resume(pid: Pid, signal: i32) {
    let _ = ptrace::cont(pid, Signal::try_from(signal).ok());
}

fn deliver(pid: Pid, signal: i32) -> Result<()> {
    if signal >= FIRST_UNNAMED {
        return Err(unsupported(format!(
            "a program uses real-time signal {signal}, which cannot be handed on: it ends threads or changes the \
             users of several"
        )));
    }
    resume(pid, signal);
    Ok(())
}
