//! Temporary directories in which a destination is written before it appears.
//!
//! What is written lies in a temporary place on the destination's file system and is renamed when
//! it is whole and on the disk, so that neither a crash of the program nor one of the machine leaves
//! something in between. The temporary place is removed when it is dropped, after errors and
//! interruptions too. A process that is killed leaves it; whoever copies to the same place next removes it,
//! because nobody holds its lock any more.
//!
//! ```text
//!  .strata-copy-PID-NUMBER/      of mode 0700: nobody else sees it, or can hold its lock
//!    made-by-strata              the mark, empty; it goes last
//!    content/                    what is renamed, or has in it what is
//! ```

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, flock};
use rustix::process::geteuid;

use super::open_directory::{OpenDirectory, kind_of, list};
use strata_error::{Error, Result};

/// What the names of temporary directories begin with. The process and a number follow.
const PREFIX: &str = ".strata-copy-";
/// The name of [`super::lock`]'s file.
pub(crate) const LOCK: &str = ".strata-copy.lock";
/// The file without which nothing is removed: a user may call a directory as we do.
const MARK: &str = "made-by-strata";
const CONTENT: &str = "content";
/// How deep what we leave can be, with some more.
const DEEPEST: usize = 8;
/// So many names may be taken.
const TRIES: usize = 10_000;

static NEXT: AtomicU64 = AtomicU64::new(0);

/// A temporary directory, which this process holds as long as it is there.
pub(crate) struct Staging<'a> {
    above: &'a OpenDirectory,
    name: String,
    /// Its lock is held while it is open.
    directory: OpenDirectory,
    content: OpenDirectory,
}

impl<'a> Staging<'a> {
    /// Makes one in `above`, and removes what processes left there that were killed.
    pub(crate) fn new(above: &'a OpenDirectory) -> Result<Self> {
        remove_stale(above);
        let failed = |error: io::Error| Error::io("write into", above.path())(error);
        for _ in 0..TRIES {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!("{PREFIX}{}-{number}", std::process::id());
            match rustix::fs::mkdirat(above.fd(), &name, Mode::RWXU) {
                Ok(()) => {}
                Err(rustix::io::Errno::EXIST) => continue,
                Err(error) => return Err(failed(error.into())),
            }
            // Another process may take it for a stale one before it is locked: then it is gone.
            let Some(directory) = above.child(&name)? else {
                continue;
            };
            // Some file systems have no locks, and there nothing is ever removed.
            let _ = flock(directory.fd(), FlockOperation::LockExclusive);
            match directory.create(MARK) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    let _ = above.remove_empty(&name);
                    return Err(failed(error));
                }
            }
            let content = directory.child_or_new(CONTENT, 0o777);
            if let (Ok(content), true) = (&content, above.has_at(directory.fd(), &name)) {
                return Ok(Self {
                    above,
                    name,
                    content: content.try_clone()?,
                    directory,
                });
            }
            remove(above, &name, &directory);
            content?;
        }
        Err(failed(io::ErrorKind::AlreadyExists.into()))
    }

    /// Where to write, with the permissions that a plain directory would have.
    pub(crate) fn content(&self) -> &OpenDirectory {
        &self.content
    }

    /// Renames the content as a directory to where none was. False if another copy made one there meanwhile
    /// that has something in it. Both directories are to be synchronized.
    pub(crate) fn rename_content(&self, to: &OpenDirectory, name: &OsStr) -> Result<bool> {
        sync_directories(&self.content)?;
        match self.directory.rename(CONTENT, to, name) {
            Ok(()) => Ok(true),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists
                ) =>
            {
                Ok(false)
            }
            Err(error) => Err(Error::io("write", to.path().join(name))(error)),
        }
    }
}

impl Drop for Staging<'_> {
    fn drop(&mut self) {
        remove(self.above, &self.name, &self.directory);
    }
}

/// Whether a file of this name is ours and not yet part of anything.
pub(crate) fn is_temporary(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    name == LOCK
        || name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once('-'))
            .is_some_and(|(process, number)| is_number(process) && is_number(number))
}

/// Removes what processes of this user left in the directory at `path` that were killed, if it can be read.
pub(crate) fn remove_stale_at(path: &Path) {
    if let Ok(directory) = OpenDirectory::open(path) {
        remove_stale(&directory);
    }
}

/// Removes what processes of this user left in `above` that were killed. What cannot be removed stays.
fn remove_stale(above: &OpenDirectory) {
    for name in above.names().unwrap_or_default() {
        if name == LOCK || !is_temporary(&name) {
            continue;
        }
        let Ok(Some(directory)) = above.child(&name) else {
            continue;
        };
        let is_own = (directory.stat()).is_ok_and(|stat| stat.st_uid == geteuid().as_raw());
        let lock = FlockOperation::NonBlockingLockExclusive;
        if is_own && flock(directory.fd(), lock).is_ok() && above.has_at(directory.fd(), &name) {
            if is_marked(&directory) {
                remove(above, &name, &directory);
            } else {
                // Killed before it was marked, or after the mark was removed. Others have things in them.
                let _ = above.remove_empty(&name);
            }
        }
    }
}

fn is_marked(directory: &OpenDirectory) -> bool {
    directory.has_file(MARK, 0)
        && (directory.stat_at(MARK)).is_ok_and(|stat| stat.st_uid == geteuid().as_raw())
}

/// Removes a temporary directory, the mark last. What cannot be removed stays.
fn remove(above: &OpenDirectory, name: &str, directory: &OpenDirectory) {
    let _ = remove_in(directory, &|name| name != MARK.as_bytes(), DEEPEST);
    if directory.names().is_ok_and(|names| names == [MARK]) {
        let _ = directory.remove_file(MARK);
    }
    if above.has_at(directory.fd(), name) {
        let _ = above.remove_empty(name);
    }
}

fn remove_in(
    directory: &OpenDirectory,
    is_wanted: &dyn Fn(&[u8]) -> bool,
    depth: usize,
) -> Result<()> {
    let failed = |error: io::Error| Error::io("remove", directory.path())(error);
    let names = list(directory.fd()).map_err(failed)?;
    for name in names.into_iter().filter(|name| is_wanted(name)) {
        let flags = match directory.stat_at(os(&name)) {
            Ok(stat) if kind_of(&stat) == FileType::Directory => {
                if let (Some(child), Some(depth)) =
                    (directory.child(os(&name))?, depth.checked_sub(1))
                {
                    remove_in(&child, &|_| true, depth)?;
                }
                AtFlags::REMOVEDIR
            }
            _ => AtFlags::empty(),
        };
        rustix::fs::unlinkat(directory.fd(), name.as_slice(), flags)
            .map_err(|error| failed(error.into()))?;
    }
    Ok(())
}

fn os(name: &[u8]) -> &OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(name)
}

/// Puts all names below a directory on the disk.
fn sync_directories(directory: &OpenDirectory) -> Result<()> {
    for name in list(directory.fd()).map_err(Error::io("read", directory.path()))? {
        let is_directory =
            (directory.stat_at(os(&name))).is_ok_and(|stat| kind_of(&stat) == FileType::Directory);
        if is_directory && let Some(child) = directory.child(os(&name))? {
            sync_directories(&child)?;
        }
    }
    directory.sync();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use strata_testing::image as fixture;

    /// What a killed process left is removed by the next one; what somebody still writes to, and
    /// what only looks like ours, is not (issue 11, row 10).
    #[test]
    fn only_what_nobody_holds_is_removed() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        let above = OpenDirectory::open(place.path()).unwrap();
        let held = Staging::new(&above).unwrap();
        held.content()
            .write_bytes("blob", b"held", place.path())
            .unwrap();
        for name in [".strata-copy-1-2", ".strata-copy-1-3/content/blobs"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        fs::write(at(".strata-copy-1-3").join(MARK), "").unwrap();
        fs::write(at(".strata-copy-1-3/content/blobs/blob"), "left").unwrap();
        // A user's own, under all kinds of names.
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("file"), "outside").unwrap();
        let link = at(".strata-copy-1-4");
        std::os::unix::fs::symlink(outside.path(), &link).unwrap();
        let mut own = vec![link.join("file")];
        for name in [
            ".strata-backups/file",
            ".strata-copy-notes/file",
            ".strata-copy-1-5/file",
            ".strata-copy-1-6/made-by-strata/file",
            ".strata-backups/made-by-strata",
            "strata-other",
            ".strata-copy-1-7",
        ] {
            if let Some(directory) = at(name).parent() {
                fs::create_dir_all(directory).unwrap();
            }
            fs::write(at(name), "own").unwrap();
            own.push(at(name));
        }
        own.sort();

        let new = Staging::new(&above).unwrap();
        assert!(!at(".strata-copy-1-2").exists() && !at(".strata-copy-1-3").exists());
        assert!(at(&held.name).join("content/blob").exists() && at(&new.name).exists());
        assert!(link.is_symlink());
        drop((held, new));
        assert_eq!(fixture::files(place.path()), own);
    }

    /// Issue 11, row 10: what another user left is not ours to remove, also for root.
    #[test]
    fn what_others_left_stays() {
        let place = tempfile::tempdir().unwrap();
        let left = place.path().join(".strata-copy-1-3");
        fs::create_dir(&left).unwrap();
        fs::write(left.join(MARK), "").unwrap();
        // Only root may give files away.
        if std::os::unix::fs::chown(&left, Some(12345), None).is_ok() {
            let above = OpenDirectory::open(place.path()).unwrap();
            drop(Staging::new(&above).unwrap());
            assert!(left.join(MARK).exists());
        }
    }
}
