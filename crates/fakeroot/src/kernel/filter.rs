//! The seccomp filter of a script: which calls stop it.
//!
//! What root may do and a sandbox refuses is trapped: `SECCOMP_RET_TRAP` takes precedence over the error that
//! another filter, as Nix's, has for the same call. What is made and then looked at is traced, which costs
//! less. All else is as fast as without a filter.

use seccompiler::sock_filter;

use crate::kernel::calls::{CONDITIONAL, Call, numbers};

/// What a stop's data say when a call is not one of this architecture.
pub(crate) const FOREIGN: u32 = 1;

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;
/// Numbers from here on are of another way to call on x86-64, with pointers of 32 bits.
const X32: u32 = 0x4000_0000;

// `include/uapi/linux/bpf_common.h` and `seccomp.h` of Linux.
const LOAD: u16 = 0x20;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_AT_LEAST: u16 = 0x35;
const JUMP_ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;
const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const TRACE: u32 = libc::SECCOMP_RET_TRACE;
const TRAP: u32 = libc::SECCOMP_RET_TRAP;
/// Where `struct seccomp_data` has the number, the architecture, and the first argument.
const NUMBER: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;
const ARGUMENTS: u32 = 16;

/// The program.
pub(crate) fn program() -> Vec<sock_filter> {
    let mut program = vec![
        load(ARCHITECTURE_AT),
        jump(JUMP_EQUAL, ARCHITECTURE, 1, 0),
        returning(TRAP | FOREIGN),
        load(NUMBER),
        jump(JUMP_AT_LEAST, X32, 0, 1),
        returning(TRAP | FOREIGN),
    ];
    for number in numbers() {
        let action = match Call::decode(number, [0; 6]) {
            Some(call) if call.is_answered() => TRAP,
            _ => TRACE,
        };
        program.push(jump(JUMP_EQUAL, call_number(number), 0, 1));
        program.push(returning(action));
    }
    for condition in CONDITIONAL {
        // The lower half of the argument, which has all flags.
        let half = ARGUMENTS + u32::try_from(condition.argument).unwrap_or(0) * 8;
        program.push(jump(JUMP_EQUAL, call_number(condition.number), 0, 4));
        program.push(load(half));
        program.push(jump(
            JUMP_ANY_BIT,
            (condition.bits & 0xffff_ffff) as u32,
            0,
            1,
        ));
        program.push(returning(TRACE));
        program.push(returning(ALLOW));
    }
    program.push(returning(ALLOW));
    program
}

/// Puts the filter on this thread and on all that it starts.
pub(crate) fn apply() -> Result<(), String> {
    seccompiler::apply_filter(&program()).map_err(|error| error.to_string())
}

fn call_number(number: i64) -> u32 {
    // Those of the tables are small.
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn load(offset: u32) -> sock_filter {
    instruction(LOAD, 0, 0, offset)
}

fn jump(code: u16, value: u32, if_so: u8, otherwise: u8) -> sock_filter {
    instruction(code, if_so, otherwise, value)
}

fn returning(action: u32) -> sock_filter {
    instruction(RETURN, 0, 0, action)
}

fn instruction(code: u16, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel does with a call.
    fn action(architecture: u32, number: u32, arguments: [u64; 6]) -> u32 {
        let mut data = [number.to_ne_bytes(), architecture.to_ne_bytes()].concat();
        data.extend([0; 8]);
        data.extend(arguments.map(u64::to_ne_bytes).concat());
        let program = program();
        let (mut at, mut accumulator) = (0, 0);
        loop {
            let sock_filter { code, jt, jf, k } = program[at];
            at += 1;
            let holds = match code {
                RETURN => return k,
                LOAD => {
                    let word = &data[k as usize..k as usize + 4];
                    accumulator = u32::from_ne_bytes(word.try_into().unwrap());
                    continue;
                }
                JUMP_EQUAL => accumulator == k,
                JUMP_AT_LEAST => accumulator >= k,
                JUMP_ANY_BIT => accumulator & k != 0,
                other => panic!("{other}"),
            };
            at += usize::from(if holds { jt } else { jf });
        }
    }

    #[test]
    fn calls_are_stopped_as_they_must() {
        let of = |number: i64, flags: i32| {
            let number = u32::try_from(number).unwrap();
            let flags = u64::from(flags.cast_unsigned());
            action(ARCHITECTURE, number, [0, 0, flags, 0, 0, 0])
        };
        assert_eq!(of(libc::SYS_fchownat, 0), TRAP);
        assert_eq!(of(libc::SYS_setxattr, 0), TRAP);
        assert_eq!(of(libc::SYS_newfstatat, 0), TRACE);
        assert_eq!(of(libc::SYS_unlinkat, 0), TRACE);
        assert_eq!(of(libc::SYS_read, 0), ALLOW);
        assert_eq!(of(libc::SYS_openat, libc::O_RDONLY), ALLOW);
        assert_eq!(of(libc::SYS_openat, libc::O_DIRECTORY), ALLOW);
        assert_eq!(of(libc::SYS_openat, libc::O_CREAT), TRACE);
        assert_eq!(of(libc::SYS_openat, libc::O_TMPFILE), TRACE);
        assert_eq!(action(0x4000_0003, 5, [0; 6]), TRAP | FOREIGN);
        assert_eq!(action(ARCHITECTURE, X32, [0; 6]), TRAP | FOREIGN);
    }
}
