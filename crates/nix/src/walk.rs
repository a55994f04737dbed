//! Walking a store path in the order of its bytes, one directory at a time.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::vec;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};

use strata_error::{Error, Result};

/// What Nix appends to names that differ only in case from another one, on file systems of macOS
/// that cannot tell them apart (`src/libutil/archive.cc` of Nix).
const CASE_HACK: &[u8] = b"~nix~case~hack~";

/// So many directories are open at once, the deepest ones. Those above are found again from below.
const MOST_OPEN: usize = 32;

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
    /// Opens it. What took its place meanwhile, a pipe for example, is an error and is not waited for.
    pub fn open(&self) -> Result<OpenFile> {
        open_file(self.directory, self.name, OFlags::NOFOLLOW, self.path)
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

/// Opens the regular file at `path`, wherever symlinks lead. Anything else is an error; a pipe is not waited
/// for.
pub fn open_regular(path: &Path) -> Result<OpenFile> {
    let name = path.as_os_str().as_bytes();
    open_file(CWD, name, OFlags::empty(), &|| path.to_path_buf())
}

fn open_file(
    directory: BorrowedFd<'_>,
    name: &[u8],
    more: OFlags,
    path: &dyn Fn() -> PathBuf,
) -> Result<OpenFile> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | more;
    let opened = rustix::fs::openat(directory, name, flags, Mode::empty()).and_then(|file| {
        let stat = rustix::fs::fstat(&file)?;
        Ok((file, stat))
    });
    let (file, stat) = opened.map_err(|error| Error::io("open", path())(error.into()))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        let error = io::Error::other("not a regular file");
        return Err(Error::io("read", path())(error));
    }
    Ok(OpenFile {
        file: File::from(file),
        size: u64::try_from(stat.st_size).unwrap_or(0),
        executable: is_executable(stat.st_mode),
    })
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
    walk.run()
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

/// A directory that is walked.
struct Level {
    /// `None` while it is too far above.
    directory: Option<OwnedFd>,
    /// What it is known by when it is opened again: device and inode.
    identity: (u64, u64),
    /// What is still to come of it.
    children: vec::IntoIter<Child>,
    /// How long its paths are.
    relative: usize,
    source: usize,
}

struct Child {
    name: Vec<u8>,
    /// As it is on disk, with the case hack.
    source_name: Vec<u8>,
    file_type: FileType,
}

impl Walk<'_> {
    /// Walks without recursion: how deep directories lie in each other is up to whoever made them.
    fn run(&mut self) -> Result<()> {
        let root = self.root;
        let stat =
            rustix::fs::lstat(root).map_err(|error| Error::io("read", root)(error.into()))?;
        let file_type = FileType::from_raw_mode(stat.st_mode);
        let mut levels = Vec::new();
        levels.extend(self.node(CWD, root.as_os_str().as_bytes(), file_type)?);
        while let Some(level) = levels.last_mut() {
            self.relative.truncate(level.relative);
            self.source.truncate(level.source);
            let Some(child) = level.children.next() else {
                self.show(Kind::Leave)?;
                self.go_up(&mut levels)?;
                continue;
            };
            push(&mut self.relative, &child.name);
            push(&mut self.source, &child.source_name);
            // The deepest one is always open.
            let Some(directory) = level.directory.as_ref().map(AsFd::as_fd) else {
                return Err(changed(&join(root, &self.source)));
            };
            let new = self.node(directory, &child.source_name, child.file_type)?;
            if let Some(new) = new {
                levels.push(new);
                if let Some(far) = levels.len().checked_sub(MOST_OPEN + 1)
                    && let Some(far) = levels.get_mut(far)
                {
                    far.directory = None;
                }
            }
        }
        Ok(())
    }

    /// Leaves the deepest directory, from which the one above is found again.
    fn go_up(&self, levels: &mut Vec<Level>) -> Result<()> {
        let below = levels.pop().and_then(|level| level.directory);
        if let (Some(above), Some(below)) = (levels.last_mut(), below)
            && above.directory.is_none()
        {
            let (directory, identity) =
                open_directory(below.as_fd(), b"..").map_err(|error| self.error("open", error))?;
            if identity != above.identity {
                return Err(changed(&join(self.root, &self.source)));
            }
            above.directory = Some(directory);
        }
        Ok(())
    }

    /// Shows what is there; of a directory, gives what is in it.
    fn node(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &[u8],
        file_type: FileType,
    ) -> Result<Option<Level>> {
        match file_type {
            FileType::Directory => {
                let opened = open_directory(parent, name);
                let (directory, identity) = opened.map_err(|error| self.error("open", error))?;
                self.show(Kind::Directory)?;
                return Ok(Some(Level {
                    children: self.children(&directory)?.into_iter(),
                    directory: Some(directory),
                    identity,
                    relative: self.relative.len(),
                    source: self.source.len(),
                }));
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
                })?;
            }
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(parent, name, Vec::new())
                    .map_err(|error| self.error("read the link", error))?;
                self.show(Kind::Symlink {
                    target: target.as_bytes(),
                })?;
            }
            _ => return Err(self.error("pack", rustix::io::Errno::OPNOTSUPP)),
        }
        Ok(None)
    }

    /// What is in a directory, sorted.
    fn children(&self, directory: &OwnedFd) -> Result<Vec<Child>> {
        let listing = Dir::read_from(directory).map_err(|error| self.error("list", error))?;
        let mut children = Vec::new();
        for child in listing {
            let child = child.map_err(|error| self.error("list", error))?;
            let name = child.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let file_type = match child.file_type() {
                FileType::Unknown => rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)
                    .map(|stat| FileType::from_raw_mode(stat.st_mode))
                    .map_err(|error| self.error("read", error))?,
                known => known,
            };
            children.push(Child {
                name: self.without_case_hack(name).to_vec(),
                source_name: name.to_vec(),
                file_type,
            });
        }
        children.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        Ok(children)
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

/// Opens a directory; what it is known by is its device and inode.
fn open_directory(
    parent: BorrowedFd<'_>,
    name: &[u8],
) -> Result<(OwnedFd, (u64, u64)), rustix::io::Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = rustix::fs::openat(parent, name, flags, Mode::empty())?;
    let stat = rustix::fs::fstat(&directory)?;
    Ok((directory, identity(&stat)))
}

#[allow(
    clippy::unnecessary_cast,
    clippy::cast_sign_loss,
    reason = "the types of both depend on the system"
)]
fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev as u64, stat.st_ino as u64)
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
        walk.run().unwrap();
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

    /// Makes directories that lie in each other, with a file and a symlink beside each.
    fn nest(root: &Path, depth: usize) {
        let mut directory: OwnedFd = File::open(root).unwrap().into();
        for _ in 0..depth {
            let mode = Mode::RWXU;
            rustix::fs::mkdirat(&directory, "d", mode).unwrap();
            rustix::fs::symlinkat("to", &directory, "l").unwrap();
            let flags = OFlags::CREATE | OFlags::WRONLY;
            rustix::fs::openat(&directory, "f", flags, mode).unwrap();
            directory = open_directory(directory.as_fd(), b"d").unwrap().0;
        }
    }

    /// Issue 11, row 20: neither the stack nor the descriptors of a process are the limit.
    #[test]
    fn depth_is_no_limit() {
        for depth in [200, 2000] {
            let root = tempfile::tempdir().unwrap();
            nest(root.path(), depth);
            let (mut counts, mut most) = ([0; 4], 0);
            walk(root.path(), &mut |visit| {
                let number = match &visit.kind {
                    Kind::Directory => 0,
                    Kind::Leave => 1,
                    Kind::Symlink { .. } => 2,
                    Kind::File(file) => {
                        file.open()?;
                        3
                    }
                };
                counts[number] += 1;
                if depth < 1000 && counts[0] % 16 == 0 {
                    most = most.max(open_below(root.path()));
                }
                Ok(())
            })
            .unwrap();
            assert_eq!(counts, [depth + 1, depth + 1, depth, depth]);
            assert!(most <= MOST_OPEN + 2, "{most} are open");
            // The standard library removes with recursion.
            let removed = std::process::Command::new("rm")
                .arg("-rf")
                .arg(root.path())
                .status();
            assert!(removed.unwrap().success());
        }
    }

    /// How many descriptors of this process lead to `root` or below; 0 where nothing tells.
    fn open_below(root: &Path) -> usize {
        let all = std::fs::read_dir("/proc/self/fd").into_iter().flatten();
        let links = all.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        links.filter(|link| link.starts_with(root)).count()
    }

    /// Issue 11, row 20: a pipe that takes the place of a file is not waited for.
    #[test]
    fn what_takes_the_place_of_a_file_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("file");
        std::fs::write(&path, "x").unwrap();
        let error = walk(root.path(), &mut |visit| {
            if let Kind::File(file) = &visit.kind {
                std::fs::remove_file(&path).unwrap();
                let kind = FileType::Fifo;
                rustix::fs::mknodat(CWD, &path, kind, Mode::RWXU, 0).unwrap();
                file.open()?;
            }
            Ok(())
        })
        .unwrap_err();
        let expected = format!("error: cannot read {}: not a regular file", path.display());
        assert_eq!(error.report(), expected);
        assert_eq!(open_regular(&path).err().unwrap().report(), expected);
    }

    #[test]
    fn what_is_missing_or_special_is_named() {
        let error = walk(Path::new("/nonexistent/x"), &mut |_| Ok(())).unwrap_err();
        assert_eq!(error.to_string(), "cannot read /nonexistent/x");
        let error = walk(Path::new("/dev/null"), &mut |_| Ok(())).unwrap_err();
        assert_eq!(error.to_string(), "cannot pack /dev/null");
    }
}
