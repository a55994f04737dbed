//! The calls that are answered or watched, as they are numbered here, and what their arguments mean.

use crate::state::credentials::{Errno, Kind, UNCHANGED};
use crate::state::inode::TYPE;

/// Flags of `open` after which there may be a new inode.
const CREATES: u64 = (libc::O_CREAT | libc::O_TMPFILE & !libc::O_DIRECTORY) as u64;
/// Its number on every architecture; the C library does not name it on all.
const FCHMODAT2: i64 = 452;
/// `setxattrat`, `getxattrat`, `listxattrat` and `removexattrat`, which not even new C libraries use alone.
const XATTR_AT: [i64; 4] = [463, 464, 465, 466];

/// The numbers of calls that begin with a file descriptor of a directory are the same names everywhere.
const EVERYWHERE: &[i64] = &[
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    FCHMODAT2,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_getxattr,
    libc::SYS_lgetxattr,
    libc::SYS_fgetxattr,
    libc::SYS_listxattr,
    libc::SYS_llistxattr,
    libc::SYS_flistxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    XATTR_AT[0],
    XATTR_AT[1],
    XATTR_AT[2],
    XATTR_AT[3],
    libc::SYS_io_uring_setup,
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_setgroups,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getresuid,
    libc::SYS_getresgid,
    libc::SYS_getgroups,
    libc::SYS_newfstatat,
    libc::SYS_fstat,
    libc::SYS_statx,
    libc::SYS_openat2,
    libc::SYS_mkdirat,
    libc::SYS_symlinkat,
    libc::SYS_mknodat,
    libc::SYS_unlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_chroot,
    libc::SYS_pivot_root,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_capget,
    libc::SYS_capset,
    libc::SYS_prctl,
];

/// Older calls, which only older architectures have.
#[cfg(target_arch = "x86_64")]
const HERE: &[i64] = &[
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_creat,
    libc::SYS_mkdir,
    libc::SYS_symlink,
    libc::SYS_mknod,
    libc::SYS_unlink,
    libc::SYS_rmdir,
    libc::SYS_rename,
];
#[cfg(target_arch = "aarch64")]
const HERE: &[i64] = &[];

/// A call in which some argument must have one of some bits, or nothing is to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    /// The number of the call.
    pub(crate) number: i64,
    /// Which argument.
    pub(crate) argument: usize,
    /// The bits.
    pub(crate) bits: u64,
}

/// Calls that are looked at under a condition.
pub(crate) const CONDITIONAL: &[Condition] = &[
    Condition {
        number: libc::SYS_openat,
        argument: 2,
        bits: CREATES,
    },
    #[cfg(target_arch = "x86_64")]
    Condition {
        number: libc::SYS_open,
        argument: 1,
        bits: CREATES,
    },
];

/// The numbers of the calls that are always looked at.
pub(crate) fn numbers() -> impl Iterator<Item = i64> {
    EVERYWHERE.iter().chain(HERE).copied()
}

/// Which file a call is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// What is open.
    Descriptor(i32),
    /// What is at a path.
    Path {
        /// What is open that the path is relative to, or `AT_FDCWD`.
        directory: i32,
        /// Where in memory the path is.
        address: u64,
        /// Whether a symlink at its end is followed.
        follow: bool,
        /// Whether no path means the directory itself.
        may_be_empty: bool,
    },
}

/// What a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// `chmod` and its kin.
    ChangeMode(Place, u32),
    /// `chown` and its kin.
    ChangeOwner(Place, u32, u32),
    /// `setxattr`: the addresses of name and value, its size, flags.
    SetXattr(Place, u64, u64, u64, u32),
    /// `getxattr`: the addresses of name and value, and how much room there is.
    GetXattr(Place, u64, u64, u64),
    /// `listxattr`: the address of the list, and how much room there is.
    ListXattr(Place, u64, u64),
    /// `removexattr`: the address of the name.
    RemoveXattr(Place, u64),
    /// `setuid` and `setgid`.
    SetId(Kind, u32),
    /// `setreuid` and `setregid`.
    SetTwo(Kind, u32, u32),
    /// `setresuid` and `setresgid`.
    SetThree(Kind, [u32; 3]),
    /// `setfsuid` and `setfsgid`.
    SetFileSystem(Kind, u32),
    /// `setgroups`: how many, and the address of the list.
    SetGroups(u32, u64),
    /// `getuid` and `getgid`.
    GetReal(Kind),
    /// `geteuid` and `getegid`.
    GetEffective(Kind),
    /// `getresuid` and `getresgid`: three addresses.
    GetThree(Kind, [u64; 3]),
    /// `getgroups`: how much room there is, and where.
    GetGroups(u32, u64),
    /// `capget`: the addresses of header and data.
    GetCapabilities(u64, u64),
    /// `capset`: the same.
    SetCapabilities(u64, u64),
    /// `prctl` that keeps capabilities, or no longer.
    KeepCapabilities(bool),
    /// What nobody answers here, and which error its callers go on with.
    Refuse(Errno),
    /// `stat`: where the answer goes.
    Stat(u64),
    /// `statx`: where the answer goes.
    Statx(u64),
    /// `open` that may make a file, and which argument has its mode.
    Open(Place, usize),
    /// `openat2`: where it is said how.
    OpenHow(Place, u64),
    /// `mkdir` and `symlink`.
    Make(Place),
    /// `mknod`, with the mode, which argument has it, and the device.
    MakeNode(Place, u32, usize, u64),
    /// `unlink` and `rmdir`.
    Remove(Place),
    /// `rename`: the old name, the new one, and whether both change places.
    Rename(Place, Place, bool),
    /// What gives a process another root than that of others.
    ChangeRoot,
}

impl Call {
    /// Whether the file system or Nix's sandbox would refuse it, so that it is answered without being made.
    /// Others are made and watched.
    pub(crate) fn is_answered(&self) -> bool {
        !matches!(
            self,
            Self::Stat(_)
                | Self::Statx(_)
                | Self::Open(..)
                | Self::OpenHow(..)
                | Self::Make(_)
                | Self::MakeNode(..)
                | Self::Remove(_)
                | Self::Rename(..)
                | Self::ChangeRoot
                | Self::KeepCapabilities(_)
        )
    }

    /// The call with this number and these arguments, if it is one that is looked at.
    pub(crate) fn decode(number: i64, arguments: [u64; 6]) -> Option<Self> {
        let [first, second, third, fourth, fifth, _] = arguments;
        Self::of_older(number, arguments).or_else(|| {
            Some(match number {
                libc::SYS_fchmod => Self::ChangeMode(descriptor(first), low(second)),
                libc::SYS_fchmodat => Self::ChangeMode(at(first, second, 0), low(third)),
                FCHMODAT2 if fourth & !KNOWN_FLAGS != 0 => Self::Refuse(libc::EINVAL),
                FCHMODAT2 => Self::ChangeMode(at(first, second, fourth), low(third)),
                libc::SYS_fchown => Self::ChangeOwner(descriptor(first), low(second), low(third)),
                libc::SYS_fchownat if fifth & !KNOWN_FLAGS != 0 => Self::Refuse(libc::EINVAL),
                libc::SYS_fchownat => {
                    Self::ChangeOwner(at(first, second, fifth), low(third), low(fourth))
                }
                libc::SYS_setxattr => {
                    Self::SetXattr(path(first, true), second, third, fourth, low(fifth))
                }
                libc::SYS_lsetxattr => {
                    Self::SetXattr(path(first, false), second, third, fourth, low(fifth))
                }
                libc::SYS_fsetxattr => {
                    Self::SetXattr(descriptor(first), second, third, fourth, low(fifth))
                }
                libc::SYS_getxattr => Self::GetXattr(path(first, true), second, third, fourth),
                libc::SYS_lgetxattr => Self::GetXattr(path(first, false), second, third, fourth),
                libc::SYS_fgetxattr => Self::GetXattr(descriptor(first), second, third, fourth),
                libc::SYS_listxattr => Self::ListXattr(path(first, true), second, third),
                libc::SYS_llistxattr => Self::ListXattr(path(first, false), second, third),
                libc::SYS_flistxattr => Self::ListXattr(descriptor(first), second, third),
                libc::SYS_removexattr => Self::RemoveXattr(path(first, true), second),
                libc::SYS_lremovexattr => Self::RemoveXattr(path(first, false), second),
                libc::SYS_fremovexattr => Self::RemoveXattr(descriptor(first), second),
                libc::SYS_io_uring_setup => Self::Refuse(libc::ENOSYS),
                number if XATTR_AT.contains(&number) => Self::Refuse(libc::ENOSYS),
                libc::SYS_newfstatat => Self::Stat(third),
                libc::SYS_fstat => Self::Stat(second),
                libc::SYS_statx => Self::Statx(fifth),
                libc::SYS_openat => Self::Open(opened(first, second, third), 3),
                libc::SYS_openat2 => Self::OpenHow(opened(first, second, 0), third),
                libc::SYS_mkdirat => Self::Make(at(first, second, NO_FOLLOW)),
                libc::SYS_symlinkat => Self::Make(at(second, third, NO_FOLLOW)),
                libc::SYS_mknodat => {
                    Self::MakeNode(at(first, second, NO_FOLLOW), low(third), 2, fourth)
                }
                libc::SYS_unlinkat => Self::Remove(at(first, second, NO_FOLLOW)),
                libc::SYS_renameat => Self::Rename(
                    at(first, second, NO_FOLLOW),
                    at(third, fourth, NO_FOLLOW),
                    false,
                ),
                libc::SYS_renameat2 => {
                    let exchanges = fifth & u64::from(libc::RENAME_EXCHANGE) != 0;
                    Self::Rename(
                        at(first, second, NO_FOLLOW),
                        at(third, fourth, NO_FOLLOW),
                        exchanges,
                    )
                }
                libc::SYS_chroot | libc::SYS_pivot_root | libc::SYS_setns | libc::SYS_unshare => {
                    Self::ChangeRoot
                }
                _ => return Self::of_credentials(number, arguments),
            })
        })
    }

    #[cfg(target_arch = "x86_64")]
    fn of_older(number: i64, [a, b, c, ..]: [u64; 6]) -> Option<Self> {
        Some(match number {
            libc::SYS_chmod => Self::ChangeMode(path(a, true), low(b)),
            libc::SYS_chown => Self::ChangeOwner(path(a, true), low(b), low(c)),
            libc::SYS_lchown => Self::ChangeOwner(path(a, false), low(b), low(c)),
            libc::SYS_stat | libc::SYS_lstat => Self::Stat(b),
            libc::SYS_open => Self::Open(opened(HERE_AND_NOW, a, b), 2),
            libc::SYS_creat => Self::Open(path(a, true), 1),
            libc::SYS_mkdir => Self::Make(path(a, false)),
            libc::SYS_symlink => Self::Make(path(b, false)),
            libc::SYS_mknod => Self::MakeNode(path(a, false), low(b), 1, c),
            libc::SYS_unlink | libc::SYS_rmdir => Self::Remove(path(a, false)),
            libc::SYS_rename => Self::Rename(path(a, false), path(b, false), false),
            _ => return None,
        })
    }

    #[cfg(target_arch = "aarch64")]
    fn of_older(_: i64, _: [u64; 6]) -> Option<Self> {
        None
    }

    fn of_credentials(number: i64, [a, b, c, ..]: [u64; 6]) -> Option<Self> {
        let three = [low(a), low(b), low(c)];
        Some(match number {
            libc::SYS_setuid => Self::SetId(Kind::User, low(a)),
            libc::SYS_setgid => Self::SetId(Kind::Group, low(a)),
            libc::SYS_setreuid => Self::SetTwo(Kind::User, low(a), low(b)),
            libc::SYS_setregid => Self::SetTwo(Kind::Group, low(a), low(b)),
            libc::SYS_setresuid => Self::SetThree(Kind::User, three),
            libc::SYS_setresgid => Self::SetThree(Kind::Group, three),
            libc::SYS_setfsuid => Self::SetFileSystem(Kind::User, low(a)),
            libc::SYS_setfsgid => Self::SetFileSystem(Kind::Group, low(a)),
            libc::SYS_setgroups => Self::SetGroups(low(a), b),
            libc::SYS_getuid => Self::GetReal(Kind::User),
            libc::SYS_getgid => Self::GetReal(Kind::Group),
            libc::SYS_geteuid => Self::GetEffective(Kind::User),
            libc::SYS_getegid => Self::GetEffective(Kind::Group),
            libc::SYS_getresuid => Self::GetThree(Kind::User, [a, b, c]),
            libc::SYS_getresgid => Self::GetThree(Kind::Group, [a, b, c]),
            libc::SYS_getgroups => Self::GetGroups(low(a), b),
            libc::SYS_capget => Self::GetCapabilities(a, b),
            libc::SYS_capset => Self::SetCapabilities(a, b),
            libc::SYS_prctl if a == PR_SET_KEEPCAPS => Self::KeepCapabilities(b != 0),
            _ => return None,
        })
    }
}

const PR_SET_KEEPCAPS: u64 = libc::PR_SET_KEEPCAPS as u64;
const NO_FOLLOW: u64 = libc::AT_SYMLINK_NOFOLLOW as u64;
const EMPTY_PATH: u64 = libc::AT_EMPTY_PATH as u64;
/// What `fchownat` and `fchmodat2` know.
const KNOWN_FLAGS: u64 = NO_FOLLOW | EMPTY_PATH;
/// `AT_FDCWD` as an argument.
#[cfg(target_arch = "x86_64")]
const HERE_AND_NOW: u64 = libc::AT_FDCWD.cast_unsigned() as u64;

/// Arguments of 32 bits are in the lower half of a register; whatever is above means nothing.
pub(crate) fn low(argument: u64) -> u32 {
    let half = argument & u64::from(UNCHANGED);
    u32::try_from(half).unwrap_or(UNCHANGED)
}

fn number_of(argument: u64) -> i32 {
    low(argument).cast_signed()
}

fn descriptor(argument: u64) -> Place {
    Place::Descriptor(number_of(argument))
}

fn path(address: u64, follow: bool) -> Place {
    Place::Path {
        directory: libc::AT_FDCWD,
        address,
        follow,
        may_be_empty: false,
    }
}

fn at(directory: u64, address: u64, flags: u64) -> Place {
    Place::Path {
        directory: number_of(directory),
        address,
        follow: flags & NO_FOLLOW == 0,
        may_be_empty: flags & EMPTY_PATH != 0,
    }
}

/// The place of an `open` with these flags.
fn opened(directory: u64, address: u64, flags: u64) -> Place {
    let stops = (libc::O_NOFOLLOW | libc::O_EXCL) as u64;
    Place::Path {
        directory: number_of(directory),
        address,
        follow: flags & stops == 0,
        may_be_empty: false,
    }
}

/// Whether a mode of `mknod` asks for a device.
pub(crate) fn is_device(mode: u32) -> bool {
    matches!(mode & TYPE, libc::S_IFCHR | libc::S_IFBLK)
}

/// Whether the flags of an `open` may make a file.
pub(crate) fn may_create(flags: u64) -> bool {
    flags & CREATES != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_filter_stops_is_known() {
        let conditional = CONDITIONAL.iter().map(|condition| condition.number);
        let all: Vec<i64> = numbers().chain(conditional).collect();
        for number in &all {
            let arguments = [PR_SET_KEEPCAPS, 0, 0, 0, 0, 0];
            assert!(Call::decode(*number, arguments).is_some(), "{number}");
        }
        let arguments = [PR_SET_KEEPCAPS, 0, 0, 0, 0, 0];
        let known = (0..1000).filter(|number| Call::decode(*number, arguments).is_some());
        let mut sorted = all.clone();
        sorted.sort_unstable();
        assert_eq!(known.collect::<Vec<_>>(), sorted);
    }

    #[test]
    fn numbers_of_32_bits_are_that() {
        let garbage = 0xdead_beef_0000_0000;
        let call = Call::decode(libc::SYS_setuid, [garbage | 7, 0, 0, 0, 0, 0]);
        assert_eq!(call, Some(Call::SetId(Kind::User, 7)));
        let call = Call::decode(
            libc::SYS_fchown,
            [garbage | 3, 1, garbage | 0xffff_ffff, 0, 0, 0],
        );
        let expected = Call::ChangeOwner(Place::Descriptor(3), 1, UNCHANGED);
        assert_eq!(call, Some(expected));
    }
}
