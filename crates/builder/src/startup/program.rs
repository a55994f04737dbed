//! What the kernel runs, by its first bytes (`elf(5)`, `execve(2)`).

/// So much of a file is looked at.
pub(super) const HEAD: u64 = 64 << 10;

/// What a program is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Program {
    /// An ELF file.
    Elf(Elf),
    /// A script, and the program that reads it, if it is named by an absolute path.
    Script(Option<Vec<u8>>),
    /// Something else, or an ELF file that is damaged.
    Other,
}

/// What an ELF file needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Elf {
    /// `e_machine`.
    machine: u16,
    /// Whether numbers begin with their largest digits.
    is_big_endian: bool,
    /// Its dynamic loader, if it has one.
    pub(super) loader: Option<Vec<u8>>,
}

const EM_386: u16 = 3;
const EM_MIPS: u16 = 8;
const EM_PPC64: u16 = 21;
const EM_S390: u16 = 22;
const EM_ARM: u16 = 40;
const EM_X86_64: u16 = 62;
const EM_AARCH64: u16 = 183;
const EM_RISCV: u16 = 243;
const EM_LOONGARCH: u16 = 258;
const PT_INTERP: u64 = 3;

/// GOARCH, the machines that run on it, as their kernels may run programs of 32 bits, and whether they are
/// big-endian. Others are not judged.
const MACHINES: [(&str, &[u16], bool); 15] = [
    ("386", &[EM_386], false),
    ("amd64", &[EM_X86_64, EM_386], false),
    ("arm", &[EM_ARM], false),
    ("arm64", &[EM_AARCH64, EM_ARM], false),
    ("loong64", &[EM_LOONGARCH], false),
    ("mips", &[EM_MIPS], true),
    ("mips64", &[EM_MIPS], true),
    ("mips64le", &[EM_MIPS], false),
    ("mipsle", &[EM_MIPS], false),
    ("ppc64", &[EM_PPC64], true),
    ("ppc64le", &[EM_PPC64], false),
    ("riscv64", &[EM_RISCV], false),
    ("riscv", &[EM_RISCV], false),
    ("s390", &[EM_S390], true),
    ("s390x", &[EM_S390], true),
];

impl Program {
    /// What a file is that begins with `head`.
    pub(super) fn of(head: &[u8]) -> Self {
        if let Some(line) = head.strip_prefix(b"#!") {
            let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let words = line.split(|byte| matches!(byte, b' ' | b'\t' | b'\r'));
            let first = words.into_iter().find(|word| !word.is_empty());
            return Self::Script(
                first
                    .filter(|word| word.starts_with(b"/"))
                    .map(<[u8]>::to_vec),
            );
        }
        if head.starts_with(b"\x7fELF") {
            return elf(head).map_or(Self::Other, Self::Elf);
        }
        Self::Other
    }
}

impl Elf {
    /// Whether a machine of this architecture, as Go names it, runs it.
    pub(super) fn runs_on(&self, architecture: &str) -> bool {
        let known = MACHINES.iter().find(|(name, ..)| *name == architecture);
        known.is_none_or(|(_, machines, is_big_endian)| {
            machines.contains(&self.machine) && self.is_big_endian == *is_big_endian
        })
    }

    /// The first architecture that it is for, as Go names it.
    pub(super) fn architecture(&self) -> String {
        let is_for = |machines: &[u16]| machines.first() == Some(&self.machine);
        let known = MACHINES.iter().find(|(_, machines, is_big_endian)| {
            is_for(machines) && *is_big_endian == self.is_big_endian
        });
        known.map_or_else(
            || format!("the ELF machine {}", self.machine),
            |(name, ..)| (*name).to_owned(),
        )
    }
}

fn elf(head: &[u8]) -> Option<Elf> {
    let is_64_bit = match head.get(4)? {
        1 => false,
        2 => true,
        _ => return None,
    };
    let is_big_endian = match head.get(5)? {
        1 => false,
        2 => true,
        _ => return None,
    };
    let number = |offset: usize, size: usize| -> Option<u64> {
        let bytes = head.get(offset..offset.checked_add(size)?)?;
        let add = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        Some(if is_big_endian {
            bytes.iter().fold(0, add)
        } else {
            bytes.iter().rev().fold(0, add)
        })
    };
    let machine = u16::try_from(number(18, 2)?).ok()?;
    // Where the program headers are, how large each is, how many there are; and of each where its content is
    // and how long.
    let (word, at, size, count, offset, length) = if is_64_bit {
        (8, 32, 54, 56, 8, 32)
    } else {
        (4, 28, 42, 44, 4, 16)
    };
    let loader = || {
        let (at, size) = (number(at, word)?, number(size, 2)?);
        let header = (0..number(count, 2)?).find_map(|index| {
            let header = usize::try_from(at.checked_add(index.checked_mul(size)?)?).ok()?;
            (number(header, 4)? == PT_INTERP).then_some(header)
        })?;
        let begin = usize::try_from(number(header.checked_add(offset)?, word)?).ok()?;
        let length = usize::try_from(number(header.checked_add(length)?, word)?).ok()?;
        let text = head.get(begin..begin.checked_add(length)?)?;
        let text = text.strip_suffix(b"\0").unwrap_or(text);
        text.starts_with(b"/").then(|| text.to_vec())
    };
    Some(Elf {
        machine,
        is_big_endian,
        loader: loader(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The head of an ELF file of this class, byte order and machine.
    fn head(class: u8, order: u8, machine: [u8; 2]) -> Vec<u8> {
        let mut head = vec![0; 64];
        head[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, order]);
        head[18..20].copy_from_slice(&machine);
        head
    }

    #[test]
    fn machines_are_told_apart() {
        for (head, architecture, runs) in [
            (head(2, 1, [62, 0]), "amd64", vec!["amd64"]),
            (head(1, 1, [3, 0]), "386", vec!["386", "amd64"]),
            (head(2, 1, [183, 0]), "arm64", vec!["arm64"]),
            (head(1, 1, [40, 0]), "arm", vec!["arm", "arm64"]),
            (head(2, 1, [21, 0]), "ppc64le", vec!["ppc64le"]),
            (head(2, 2, [0, 21]), "ppc64", vec!["ppc64"]),
            (head(2, 2, [0, 22]), "s390", vec!["s390x"]),
            (head(2, 1, [243, 0]), "riscv64", vec!["riscv64"]),
            (head(2, 1, [1, 1]), "the ELF machine 257", vec![]),
        ] {
            let Program::Elf(elf) = Program::of(&head) else {
                panic!("{architecture}");
            };
            assert_eq!(elf.architecture(), architecture);
            for other in [
                "amd64", "386", "arm", "arm64", "ppc64", "ppc64le", "s390x", "riscv64",
            ] {
                assert_eq!(
                    elf.runs_on(other),
                    runs.contains(&other),
                    "{architecture} on {other}"
                );
            }
        }
    }

    #[test]
    fn the_loader_is_found() {
        let busybox = std::fs::read("/proc/self/exe").unwrap();
        let Program::Elf(elf) = Program::of(&busybox) else {
            panic!();
        };
        let loader = String::from_utf8(elf.loader.unwrap()).unwrap();
        assert!(
            loader.starts_with("/lib") && loader.contains("ld-"),
            "{loader}"
        );
        // Cut anywhere, it is an answer and no panic.
        for length in 0..400 {
            Program::of(&busybox[..length]);
        }
    }

    #[test]
    fn scripts_name_who_reads_them() {
        for (head, interpreter) in [
            ("#!/bin/sh\n", Some("/bin/sh")),
            ("#! \t/bin/sh -e\nexit", Some("/bin/sh")),
            ("#!/bin/sh\r\n", Some("/bin/sh")),
            ("#!", None),
            ("#!\n/bin/sh", None),
            ("#!sh", None),
        ] {
            let expected = Program::Script(interpreter.map(|text| text.as_bytes().to_vec()));
            assert_eq!(Program::of(head.as_bytes()), expected, "{head}");
        }
        assert_eq!(Program::of(b"#"), Program::Other);
        assert_eq!(Program::of(b"\x7fELF"), Program::Other);
    }
}
