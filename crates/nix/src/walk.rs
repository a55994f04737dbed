//! Walking a store path in the order of its bytes, one directory at a time.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};

use strata_error::{Error, Result};

/// What Nix appends to names that differ only in case from another one, on file systems of macOS
/// that cannot tell them apart (`src/libutil/archive.cc` of Nix).
const CASE_HACK: &[u8] = b"~nix~case~hack~";

/// One step of a walk.
pub struct Visit<'a> {
    /// What is there.
    pub kind: Kind<'a>,
    /// The path below the root, empty for the root; without the case hack.
    pub relative: &'a [u8],
    root: &'a Path,
    source: &'a [u8],
}

/// What a step of a walk has come to.
pub enum Kind<'a> {
    /// A directory; its children follow.
    Directory,
    /// The end of a directory.
    Leave,
    /// A symlink.
    Symlink {
        /// Where it points.
        target: &'a [u8],
    },
    /// A regular file.
    File(Regular<'a>),
}

/// A regular file that is not open yet.
pub struct Regular<'a> {
    directory: BorrowedFd<'a>,
    name: &'a [u8],
    path: &'a dyn Fn() -> PathBuf,
}

/// A regular file that is open for reading.
pub struct OpenFile {
    /// Its content from the start.
    pub file: File,
    /// How long it is in bytes.
    pub size: u64,
    /// Whether its owner may execute it, all that Nix keeps of a mode.
    pub executable: bool,
}

impl Visit<'_> {
    /// The last part of the path; the root has none.
    pub fn name(&self) -> Option<&[u8]> {
        self.relative
            .rsplit(|byte| *byte == b'/')
            .next()
            .filter(|name| !name.is_empty())
    }

    /// The path below the root as it is on disk, with the case hack.
    pub fn source_relative(&self) -> &[u8] {
        self.source
    }

    /// Where the file is.
    pub fn path(&self) -> PathBuf {
        join(self.root, self.source)
    }
}

impl Regular<'_> {
    /// Opens it.
    pub fn open(&self) -> Result<OpenFile> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(self.directory, self.name, flags, Mode::empty())
            .and_then(|file| {
                let stat = rustix::fs::fstat(&file)?;
                Ok(OpenFile {
                    file: File::from(file),
                    size: u64::try_from(stat.st_size).unwrap_or(0),
                    executable: is_executable(stat.st_mode),
                })
            })
            .map_err(|error| Error::io("open", (self.path)())(error.into()))
    }

    /// Its size in bytes, and whether its owner may execute it.
    pub fn stat(&self) -> Result<(u64, bool)> {
        rustix::fs::statat(self.directory, self.name, AtFlags::SYMLINK_NOFOLLOW)
            .map(|stat| {
                (
                    u64::try_from(stat.st_size).unwrap_or(0),
                    is_executable(stat.st_mode),
                )
            })
            .map_err(|error| Error::io("read", (self.path)())(error.into()))
    }
}

/// Shows `visit` what is at `root`, then, if it is a directory, all below it; names are sorted as
/// bytes, and a directory comes before its children.
pub fn walk(root: &Path, visit: &mut dyn FnMut(Visit<'_>) -> Result<()>) -> Result<()> {
    let mut walk = Walk {
        root,
        visit,
        relative: Vec::new(),
        source: Vec::new(),
        case_hack: cfg!(target_os = "macos"),
    };
    let stat = rustix::fs::lstat(root).map_err(|error| Error::io("read", root)(error.into()))?;
    walk.node(
        CWD,
        root.as_os_str().as_bytes(),
        FileType::from_raw_mode(stat.st_mode),
    )
}

/// The error for a file that is shorter or longer than it was when it was opened.
pub fn changed(path: &Path) -> Error {
    Error::Mismatch {
        what: path.display().to_string(),
        expected: "a file that stays as it is".into(),
        found: "a change while it was read".into(),
        hint: "store paths are read-only; find out what writes to this one".into(),
    }
}

/// The path without the case hack of a file that is at `source` on disk.
pub fn relative(source: &[u8]) -> Vec<u8> {
    let names = source.split(|byte| *byte == b'/');
    let names = names.map(|name| without_case_hack(name, cfg!(target_os = "macos")));
    names.collect::<Vec<_>>().join(&b'/')
}

fn without_case_hack(name: &[u8], is_on: bool) -> &[u8] {
    let position = name
        .windows(CASE_HACK.len())
        .position(|window| window == CASE_HACK)
        .filter(|_| is_on);
    position.map_or(name, |position| &name[..position])
}

struct Walk<'a> {
    root: &'a Path,
    visit: &'a mut dyn FnMut(Visit<'_>) -> Result<()>,
    relative: Vec<u8>,
    source: Vec<u8>,
    case_hack: bool,
}

impl Walk<'_> {
    fn node(&mut self, parent: BorrowedFd<'_>, name: &[u8], file_type: FileType) -> Result<()> {
        match file_type {
            FileType::Directory => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let directory = rustix::fs::openat(parent, name, flags, Mode::empty())
                    .map_err(|error| self.error("open", error))?;
                self.show(Kind::Directory)?;
                self.children(directory)?;
                self.show(Kind::Leave)
            }
            FileType::RegularFile => {
                let (root, source) = (self.root, &self.source);
                let path = || join(root, source);
                let kind = Kind::File(Regular {
                    directory: parent,
                    name,
                    path: &path,
                });
                (self.visit)(Visit {
                    kind,
                    relative: &self.relative,
                    root,
                    source,
                })
            }
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(parent, name, Vec::new())
                    .map_err(|error| self.error("read the link", error))?;
                self.show(Kind::Symlink {
                    target: target.as_bytes(),
                })
            }
            _ => Err(self.error("pack", rustix::io::Errno::OPNOTSUPP)),
        }
    }

    fn children(&mut self, directory: OwnedFd) -> Result<()> {
        let mut directory = Dir::new(directory).map_err(|error| self.error("list", error))?;
        let mut children = Vec::new();
        while let Some(child) = directory.read() {
            let child = child.map_err(|error| self.error("list", error))?;
            let name = child.file_name().to_bytes();
            if name != b"." && name != b".." {
                children.push((
                    self.without_case_hack(name).to_vec(),
                    name.to_vec(),
                    child.file_type(),
                ));
            }
        }
        children.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        let directory = directory.fd().map_err(|error| self.error("list", error))?;
        let (relative, source) = (self.relative.len(), self.source.len());
        for (name, source_name, file_type) in children {
            push(&mut self.relative, &name);
            push(&mut self.source, &source_name);
            let file_type = match file_type {
                FileType::Unknown => {
                    rustix::fs::statat(directory.as_fd(), &source_name, AtFlags::SYMLINK_NOFOLLOW)
                        .map(|stat| FileType::from_raw_mode(stat.st_mode))
                        .map_err(|error| self.error("read", error))?
                }
                known => known,
            };
            self.node(directory, &source_name, file_type)?;
            self.relative.truncate(relative);
            self.source.truncate(source);
        }
        Ok(())
    }

    fn show(&mut self, kind: Kind<'_>) -> Result<()> {
        let (relative, root, source) = (&self.relative, self.root, &self.source);
        (self.visit)(Visit {
            kind,
            relative,
            root,
            source,
        })
    }

    fn without_case_hack<'n>(&self, name: &'n [u8]) -> &'n [u8] {
        without_case_hack(name, self.case_hack)
    }

    fn error(&self, operation: &'static str, error: rustix::io::Errno) -> Error {
        Error::io(operation, join(self.root, &self.source))(io::Error::from(error))
    }
}

fn push(path: &mut Vec<u8>, name: &[u8]) {
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
}

fn join(root: &Path, relative: &[u8]) -> PathBuf {
    if relative.is_empty() {
        root.to_path_buf()
    } else {
        root.join(OsStr::from_bytes(relative))
    }
}

fn is_executable(mode: rustix::fs::RawMode) -> bool {
    mode & 0o100 != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn listing(root: &Path, case_hack: bool) -> Vec<String> {
        let mut lines = Vec::new();
        let mut visit = |visit: Visit<'_>| {
            let kind = match &visit.kind {
                Kind::Directory => "d".to_owned(),
                Kind::Leave => return Ok(()),
                Kind::Symlink { target } => format!("l {}", String::from_utf8_lossy(target)),
                Kind::File(file) => {
                    let (size, executable) = file.stat()?;
                    assert_eq!(
                        (file.open()?.size, file.open()?.executable),
                        (size, executable)
                    );
                    format!("f {size} {executable}")
                }
            };
            lines.push(format!(
                "{} {kind}",
                String::from_utf8_lossy(visit.relative)
            ));
            Ok(())
        };
        let mut walk = Walk {
            root,
            visit: &mut visit,
            relative: Vec::new(),
            source: Vec::new(),
            case_hack,
        };
        walk.node(CWD, root.as_os_str().as_bytes(), FileType::Directory)
            .unwrap();
        lines
    }

    #[test]
    fn order_is_by_component() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        std::fs::create_dir_all(at("a/b")).unwrap();
        std::fs::write(at("a/b/c"), "xyz").unwrap();
        std::fs::write(at("a-b"), "").unwrap();
        std::fs::set_permissions(at("a-b"), std::fs::Permissions::from_mode(0o755)).unwrap();
        symlink("to", at("B")).unwrap();
        assert_eq!(
            listing(root.path(), false),
            [
                " d",
                "B l to",
                "a d",
                "a/b d",
                "a/b/c f 3 false",
                "a-b f 0 true"
            ]
        );
    }

    /// nix2container #127: names with the case hack gave other digests on macOS.
    #[test]
    fn the_case_hack_is_taken_off() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("Makefile"), "1").unwrap();
        std::fs::write(root.path().join("makefile~nix~case~hack~1"), "22").unwrap();
        assert_eq!(
            listing(root.path(), true),
            [" d", "Makefile f 1 false", "makefile f 2 false"]
        );
        assert_eq!(listing(root.path(), false).len(), 3);
    }

    #[test]
    fn what_is_missing_or_special_is_named() {
        let error = walk(Path::new("/nonexistent/x"), &mut |_| Ok(())).unwrap_err();
        assert_eq!(error.to_string(), "cannot read /nonexistent/x");
        let error = walk(Path::new("/dev/null"), &mut |_| Ok(())).unwrap_err();
        assert_eq!(error.to_string(), "cannot pack /dev/null");
    }
}
