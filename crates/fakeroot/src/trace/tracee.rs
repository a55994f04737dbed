//! A stopped thread's memory, and the files that it means, looked up as Linux would for it.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use nix::sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev};
use nix::unistd::Pid;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags};

use crate::kernel::calls::Place;
use crate::state::credentials::Errno;
use crate::state::inode::{Found, InodeId, TYPE};

/// The longest path with its null, Linux's `PATH_MAX`.
const LONGEST_PATH: usize = 4096;
/// Memory is there or not there in pieces of this size, or of a multiple.
const PAGE: usize = 4096;

/// A stopped thread.
#[derive(Clone, Copy)]
pub(crate) struct Tracee<'a> {
    /// `/proc` from outside, which no script can unmount.
    pub(crate) proc: BorrowedFd<'a>,
    /// Which one.
    pub(crate) pid: Pid,
    /// Whether there may be processes whose root is another one.
    pub(crate) may_have_other_root: bool,
}

/// A file that was looked up.
pub(crate) struct Opened {
    handle: OwnedFd,
    /// What it is.
    pub(crate) found: Found,
}

/// Reads bytes of another process.
pub(crate) fn read(pid: Pid, address: u64, bytes: &mut [u8]) -> Result<(), Errno> {
    let wanted = bytes.len();
    match read_some(pid, address, bytes) {
        Ok(count) if count == wanted => Ok(()),
        _ => Err(libc::EFAULT),
    }
}

fn read_some(pid: Pid, address: u64, bytes: &mut [u8]) -> Result<usize, Errno> {
    let remote = [RemoteIoVec {
        base: usize::try_from(address).map_err(|_| libc::EFAULT)?,
        len: bytes.len(),
    }];
    process_vm_readv(pid, &mut [IoSliceMut::new(bytes)], &remote).map_err(|_| libc::EFAULT)
}

/// Writes bytes of another process.
pub(crate) fn write(pid: Pid, address: u64, bytes: &[u8]) -> Result<(), Errno> {
    if bytes.is_empty() {
        return Ok(());
    }
    let remote = [RemoteIoVec {
        base: usize::try_from(address).map_err(|_| libc::EFAULT)?,
        len: bytes.len(),
    }];
    match process_vm_writev(pid, &[IoSlice::new(bytes)], &remote) {
        Ok(count) if count == bytes.len() => Ok(()),
        _ => Err(libc::EFAULT),
    }
}

/// Reads a text that ends with a null; `too_long` is the error if there is none in `most` bytes.
pub(crate) fn read_text(
    pid: Pid,
    mut address: u64,
    most: usize,
    too_long: Errno,
) -> Result<Vec<u8>, Errno> {
    let mut text = Vec::new();
    let mut piece = [0; PAGE];
    while text.len() < most {
        let in_page = usize::try_from(address % PAGE as u64).unwrap_or(0);
        let wanted = (PAGE - in_page).min(most - text.len());
        let piece = &mut piece[..wanted];
        let count = read_some(pid, address, piece)?;
        let piece = &piece[..count];
        if let Some(end) = piece.iter().position(|byte| *byte == 0) {
            text.extend_from_slice(&piece[..end]);
            return Ok(text);
        }
        if count < wanted {
            return Err(libc::EFAULT);
        }
        text.extend_from_slice(piece);
        address += count as u64;
    }
    Err(too_long)
}

fn errno(error: rustix::io::Errno) -> Errno {
    error.raw_os_error()
}

impl Opened {
    fn of(handle: OwnedFd) -> Result<Self, Errno> {
        let found = found(&rustix::fs::fstat(&handle).map_err(errno)?);
        Ok(Self { handle, found })
    }
}

/// What is looked at of a file's `struct stat`.
// It is narrower on some architectures.
#[allow(clippy::useless_conversion)]
pub(crate) fn found(stat: &rustix::fs::Stat) -> Found {
    Found {
        id: InodeId {
            device: stat.st_dev,
            number: stat.st_ino,
        },
        mode: stat.st_mode,
        links: u64::from(stat.st_nlink),
        device: stat.st_rdev,
    }
}

impl Tracee<'_> {
    /// The path below `/proc` of something of the thread.
    fn of_thread(self, rest: &str) -> String {
        format!("{}/{rest}", self.pid)
    }

    fn handle(self, rest: &str) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        rustix::fs::openat(self.proc, self.of_thread(rest), flags, Mode::empty())
    }

    fn link(self, rest: &str) -> Option<PathBuf> {
        let link = rustix::fs::readlinkat(self.proc, self.of_thread(rest), Vec::new()).ok()?;
        Some(PathBuf::from(std::ffi::OsString::from_vec(
            link.into_bytes(),
        )))
    }

    /// Sets the permissions of a file.
    pub(crate) fn set_permissions(self, opened: &Opened, permissions: u32) -> Result<(), Errno> {
        if opened.found.mode & TYPE == libc::S_IFLNK {
            return Err(libc::EOPNOTSUPP);
        }
        let path = format!("self/fd/{}", opened.handle.as_raw_fd());
        let mode = Mode::from_raw_mode(permissions);
        rustix::fs::chmodat(self.proc, path, mode, AtFlags::empty()).map_err(errno)
    }

    /// The path of a place that has one.
    fn path(self, address: u64) -> Result<Vec<u8>, Errno> {
        read_text(self.pid, address, LONGEST_PATH, libc::ENAMETOOLONG)
    }

    /// Looks up a place.
    pub(crate) fn look_up(self, place: Place) -> Result<Opened, Errno> {
        match place {
            Place::Descriptor(number) => {
                let opened = self.descriptor(number)?;
                if self.is_only_a_path(number) {
                    return Err(libc::EBADF);
                }
                Ok(opened)
            }
            Place::Path {
                directory,
                address,
                follow,
                may_be_empty,
            } => {
                let path = self.path(address)?;
                if path.is_empty() && may_be_empty {
                    return match directory {
                        libc::AT_FDCWD => self.open(libc::AT_FDCWD, b".", true),
                        number => self.descriptor(number),
                    };
                }
                self.open(directory, &path, follow)
            }
        }
    }

    /// Looks up the directory that a place is in.
    pub(crate) fn look_up_parent(self, place: Place) -> Result<Opened, Errno> {
        let Place::Path {
            directory, address, ..
        } = place
        else {
            return Err(libc::EBADF);
        };
        let mut path = self.path(address)?;
        while path.len() > 1 && path.ends_with(b"/") {
            path.pop();
        }
        let slash = path.iter().rposition(|byte| *byte == b'/');
        let parent: &[u8] = match slash {
            Some(0) => b"/",
            Some(slash) => &path[..slash],
            None => b".",
        };
        self.open(directory, parent, true)
    }

    /// Looks at what is open as a number.
    pub(crate) fn descriptor(self, number: i32) -> Result<Opened, Errno> {
        let opened = self.handle(&format!("fd/{number}"));
        Opened::of(opened.map_err(|_| libc::EBADF)?)
    }

    /// Whether what is open can be used for looking things up only, so that calls refuse it.
    fn is_only_a_path(self, number: i32) -> bool {
        let path = self.of_thread(&format!("fdinfo/{number}"));
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(self.proc, path, flags, Mode::empty());
        let text = opened.map(|file| std::io::read_to_string(std::fs::File::from(file)));
        let text = text.map(Result::unwrap_or_default).unwrap_or_default();
        let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = flags.and_then(|flags| i32::from_str_radix(flags.trim(), 8).ok());
        flags.is_some_and(|flags| flags & libc::O_PATH != 0)
    }

    /// The program that it runs.
    pub(crate) fn program(self) -> Result<Opened, Errno> {
        Opened::of(self.handle("exe").map_err(errno)?)
    }

    fn open(self, directory: i32, path: &[u8], follow: bool) -> Result<Opened, Errno> {
        if path.is_empty() {
            return Err(libc::ENOENT);
        }
        let mut flags = OFlags::PATH | OFlags::CLOEXEC;
        if !follow {
            flags |= OFlags::NOFOLLOW;
        }
        if let Some(own) = self.own_path(path) {
            let opened = rustix::fs::openat(self.proc, own, flags, Mode::empty());
            return Opened::of(opened.map_err(errno)?);
        }
        let base = match directory {
            _ if path.starts_with(b"/") => None,
            libc::AT_FDCWD => Some("cwd".to_owned()),
            number => Some(format!("fd/{number}")),
        };
        if self.may_have_other_root
            && let Some(root) = self.link("root")
            && root != Path::new("/")
        {
            return self.open_in(&root, base, path, flags);
        }
        let opened = match base {
            None => rustix::fs::openat(CWD, path, flags, Mode::empty()),
            Some(base) => {
                let base = self.handle(&base).map_err(|_| libc::EBADF)?;
                rustix::fs::openat(base, path, flags, Mode::empty())
            }
        };
        Opened::of(opened.map_err(errno)?)
    }

    /// Looks up a path of a process whose root is not ours.
    fn open_in(
        self,
        root: &Path,
        base: Option<String>,
        path: &[u8],
        flags: OFlags,
    ) -> Result<Opened, Errno> {
        let mut whole = PathBuf::new();
        if let Some(base) = base {
            let base = self.link(&base).ok_or(libc::EBADF)?;
            // What is outside of its root is looked up from the root, which is all that can be said of it.
            whole.push(base.strip_prefix(root).unwrap_or(Path::new("")));
        }
        let path = path.strip_prefix(b"/").unwrap_or(path);
        whole.push(std::ffi::OsStr::from_bytes(path));
        let mut whole = whole.into_os_string().into_vec();
        if whole.is_empty() {
            whole.push(b'.');
        }
        let root = self.handle("root").map_err(errno)?;
        let opened = rustix::fs::openat2(root, whole, flags, Mode::empty(), ResolveFlags::IN_ROOT);
        Opened::of(opened.map_err(errno)?)
    }

    /// The path below `/proc` of a path that means something else for each process.
    fn own_path(self, path: &[u8]) -> Option<Vec<u8>> {
        let of = |rest: &[u8]| {
            let mut own = self.of_thread("").into_bytes();
            own.extend_from_slice(rest);
            own
        };
        for prefix in [&b"/proc/self/"[..], b"/proc/thread-self/"] {
            if let Some(rest) = path.strip_prefix(prefix) {
                return Some(of(rest));
            }
        }
        if let Some(rest) = path.strip_prefix(b"/dev/fd/") {
            return Some(of(&[b"fd/", rest].concat()));
        }
        match path {
            b"/dev/stdin" => Some(of(b"fd/0")),
            b"/dev/stdout" => Some(of(b"fd/1")),
            b"/dev/stderr" => Some(of(b"fd/2")),
            _ => None,
        }
    }
}
