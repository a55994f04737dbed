//! Where each architecture has the number, the arguments and the result of a call.

use libc::user_regs_struct;
use nix::sys::ptrace;
use nix::unistd::Pid;

use crate::state::credentials::Errno;

/// The registers of a stopped thread.
pub(crate) struct Registers {
    pid: Pid,
    registers: user_regs_struct,
}

impl Registers {
    /// Reads them.
    pub(crate) fn of(pid: Pid) -> nix::Result<Self> {
        let registers = ptrace::getregs(pid)?;
        Ok(Self { pid, registers })
    }

    /// Writes them back.
    pub(crate) fn write(self) -> nix::Result<()> {
        ptrace::setregs(self.pid, self.registers)
    }

    /// Makes a number or an error the call's result.
    pub(crate) fn set_answer(&mut self, answer: Result<u64, Errno>) {
        let negative = |errno: Errno| i64::from(-errno).cast_unsigned();
        self.set_result(answer.unwrap_or_else(negative));
    }

    /// Whether the call succeeded, when it is over; what it gave.
    pub(crate) fn success(&self) -> Option<u64> {
        /// The largest number of an error, `MAX_ERRNO`.
        const MOST: i64 = 4095;
        let result = self.result().cast_signed();
        (!(-MOST..0).contains(&result)).then_some(self.result())
    }
}

#[cfg(target_arch = "x86_64")]
impl Registers {
    /// The number of the call.
    pub(crate) fn number(&self) -> i64 {
        self.registers.orig_rax.cast_signed()
    }

    /// Its arguments.
    pub(crate) fn arguments(&self) -> [u64; 6] {
        let registers = &self.registers;
        [
            registers.rdi,
            registers.rsi,
            registers.rdx,
            registers.r10,
            registers.r8,
            registers.r9,
        ]
    }

    /// Changes an argument before the call is made.
    pub(crate) fn set_argument(&mut self, number: usize, value: u64) {
        let registers = &mut self.registers;
        let argument = match number {
            0 => &mut registers.rdi,
            1 => &mut registers.rsi,
            2 => &mut registers.rdx,
            3 => &mut registers.r10,
            4 => &mut registers.r8,
            _ => &mut registers.r9,
        };
        *argument = value;
    }

    fn result(&self) -> u64 {
        self.registers.rax
    }

    fn set_result(&mut self, value: u64) {
        self.registers.rax = value;
    }
}

#[cfg(target_arch = "aarch64")]
impl Registers {
    /// The number of the call.
    pub(crate) fn number(&self) -> i64 {
        self.registers.regs[8].cast_signed()
    }

    /// Its arguments.
    pub(crate) fn arguments(&self) -> [u64; 6] {
        let [a, b, c, d, e, f, ..] = self.registers.regs;
        [a, b, c, d, e, f]
    }

    /// Changes an argument before the call is made.
    pub(crate) fn set_argument(&mut self, number: usize, value: u64) {
        if let Some(argument) = self.registers.regs.get_mut(number) {
            *argument = value;
        }
    }

    fn result(&self) -> u64 {
        self.registers.regs[0]
    }

    fn set_result(&mut self, value: u64) {
        self.registers.regs[0] = value;
    }
}
