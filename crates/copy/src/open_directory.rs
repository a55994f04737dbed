//! Directories that stay open, so that what is checked is what is written.
//!
//! A path may lead elsewhere the next time it is looked up: whoever owns a directory can put a symlink in
//! its place, between the check of a copy and its rename. So a path is looked up once, and everything below
//! is reached from there by one name at a time, and no symlink is followed.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Stat, Uid};

use super::blob::Blob;
use super::writer::FileWriter;
use strata_error::{Error, Result, small_file};
use strata_progress::Context;

const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);

/// A directory that is open, whatever happens to its path.
pub(crate) struct OpenDirectory {
    fd: OwnedFd,
    /// For messages.
    path: PathBuf,
}

/// What is at a path.
pub(crate) enum Found {
    Directory(OpenDirectory),
    /// A file, or a symlink that leads nowhere.
    Other,
    Nothing,
}

impl OpenDirectory {
    /// Opens the directory at `path`, through symlinks: that is what whoever names it means.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            fd: open_directory(CWD, path.as_os_str(), OFlags::empty())?,
            path: path.to_owned(),
        })
    }

    /// Looks what is at `path`.
    pub(crate) fn find(path: &Path) -> Result<Found> {
        match Self::open(path) {
            Ok(directory) => Ok(Found::Directory(directory)),
            Err(error) => match path.symlink_metadata() {
                Ok(_) if error.kind() == io::ErrorKind::PermissionDenied => {
                    Err(Error::io("open", path)(error))
                }
                Ok(_) => Ok(Found::Other),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
                Err(error) => Err(Error::io("read", path)(error)),
            },
        }
    }

    /// The same directory, opened once more.
    pub(crate) fn try_clone(&self) -> Result<Self> {
        let fd = self.fd.try_clone();
        Ok(Self {
            fd: fd.map_err(Error::io("open", &self.path))?,
            path: self.path.clone(),
        })
    }

    /// Where it was when it was opened, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    pub(crate) fn stat(&self) -> io::Result<Stat> {
        Ok(rustix::fs::fstat(&self.fd)?)
    }

    /// What is at a name; a symlink is a symlink.
    pub(crate) fn stat_at(&self, name: impl AsRef<OsStr>) -> io::Result<Stat> {
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        Ok(rustix::fs::statat(&self.fd, name.as_ref(), flags)?)
    }

    /// Whether what is open as `file` is still at `name`.
    pub(crate) fn has_at(&self, file: impl AsFd, name: impl AsRef<OsStr>) -> bool {
        match (rustix::fs::fstat(file), self.stat_at(name)) {
            (Ok(opened), Ok(found)) => {
                (opened.st_dev, opened.st_ino) == (found.st_dev, found.st_ino)
            }
            _ => false,
        }
    }

    /// The directory at a name, `None` if there is nothing. A symlink, which could lead out of here, and
    /// what is no directory are errors.
    pub(crate) fn child(&self, name: impl AsRef<OsStr>) -> Result<Option<Self>> {
        let path = self.path.join(name.as_ref());
        let fd = match open_directory(self.fd(), name.as_ref(), OFlags::NOFOLLOW) {
            Ok(fd) => fd,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(match self.stat_at(name).map(|stat| kind_of(&stat)) {
                    Ok(FileType::Symlink) => not_own(&path, "a symlink"),
                    Ok(FileType::Directory) | Err(_) => Error::io("open", path)(error),
                    Ok(_) => not_own(&path, "not a directory"),
                });
            }
        };
        Ok(Some(Self { fd, path }))
    }

    /// The same; makes it if there is nothing.
    pub(crate) fn child_or_new(&self, name: impl AsRef<OsStr>, mode: u32) -> Result<Self> {
        let name = name.as_ref();
        match rustix::fs::mkdirat(&self.fd, name, Mode::from_raw_mode(mode)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(Error::io("create", self.path.join(name))(error.into())),
        }
        let gone = || Error::io("open", self.path.join(name))(io::ErrorKind::NotFound.into());
        self.child(name)?.ok_or_else(gone)
    }

    /// Opens a file for reading: no symlink to elsewhere, and without waiting for the other end of a pipe.
    pub(crate) fn open_at(&self, name: impl AsRef<OsStr>) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let name = name.as_ref();
        Ok(rustix::fs::openat(&self.fd, name, flags, Mode::empty())?)
    }

    /// The bytes of a small file, `None` if there is none. A symlink, which could lead out of here, a pipe,
    /// and a file above `limit` bytes are errors.
    pub(crate) fn read(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let path = self.path.join(name);
        let file = match self.open_at(name) {
            Ok(file) => File::from(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                let is_symlink =
                    (self.stat_at(name)).is_ok_and(|stat| kind_of(&stat) == FileType::Symlink);
                return Err(if is_symlink {
                    not_own(&path, "a symlink")
                } else {
                    Error::io("read", path)(error)
                });
            }
        };
        let metadata = file.metadata().map_err(Error::io("read", &path))?;
        if !metadata.is_file() {
            return Err(not_own(&path, "not a file"));
        }
        small_file::read_opened(Ok(file), &path, limit).map(Some)
    }

    /// Whether a file of `size` bytes is at a name: blobs are renamed into place when they are whole, so
    /// their length tells as much as a cheap look can.
    pub(crate) fn has_file(&self, name: impl AsRef<OsStr>, size: u64) -> bool {
        self.stat_at(name).is_ok_and(|stat| {
            kind_of(&stat) == FileType::RegularFile && u64::try_from(stat.st_size) == Ok(size)
        })
    }

    /// The names in it, sorted; what is not UTF-8 is nobody's blob.
    pub(crate) fn names(&self) -> Result<Vec<String>> {
        let names = list(self.fd()).map_err(Error::io("read", &self.path))?;
        let names = names.into_iter();
        let mut names: Vec<String> = names
            .map(|name| String::from_utf8_lossy(&name).into_owned())
            .collect();
        names.sort();
        Ok(names)
    }

    /// A new file, open for writing.
    pub(crate) fn create(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o666);
        Ok(rustix::fs::openat(&self.fd, name, flags, mode)?.into())
    }

    /// Writes `bytes` to the new file `name`; errors name `destination`.
    pub(crate) fn write_bytes(&self, name: &str, bytes: &[u8], destination: &Path) -> Result<()> {
        self.create(name)
            .and_then(|mut file| {
                file.write_all(bytes)?;
                file.sync_all()
            })
            .map_err(Error::io("write", destination))
    }

    /// Writes `blob` to the new file `name`; errors name `destination`.
    pub(crate) fn write_blob(
        &self,
        name: &str,
        blob: &Blob<'_>,
        destination: &Path,
        context: Context<'_>,
    ) -> Result<()> {
        let file = self.create(name).map_err(Error::io("write", destination))?;
        let mut writer = FileWriter::new(&file, destination);
        blob.write_to(&mut writer, context)?;
        writer.finish()?;
        file.sync_all().map_err(Error::io("write", destination))
    }

    /// Moves the file `name` to another directory of the file system. It gets the mode and, as far as this
    /// user may give that, the owner of a file that it replaces. The directory is to be synchronized
    /// afterwards.
    pub(crate) fn move_file(
        &self,
        name: &str,
        to: &Self,
        new_name: impl AsRef<OsStr>,
    ) -> Result<()> {
        let new_name = new_name.as_ref();
        let failed = |error| Error::io("write", to.path.join(new_name))(error);
        if let Ok(old) = to.stat_at(new_name)
            && kind_of(&old) == FileType::RegularFile
        {
            let file = self.open_at(name).map_err(failed)?;
            keep_owner_and_mode(&file, &old).map_err(failed)?;
        }
        self.rename(name, to, new_name).map_err(failed)
    }

    pub(crate) fn rename(&self, name: &str, to: &Self, new_name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.fd, name, &to.fd, new_name)?)
    }

    /// Removes a file.
    pub(crate) fn remove_file(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.fd, name, AtFlags::empty())?)
    }

    /// Removes a directory that has nothing in it.
    pub(crate) fn remove_empty(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR)?)
    }

    /// Waits until the names in it are on the disk. Not every file system can.
    pub(crate) fn sync(&self) {
        let _ = rustix::fs::fsync(&self.fd);
    }
}

/// Gives `file` the mode and the owner that `old` has. Who may not give files away keeps them.
fn keep_owner_and_mode(file: &OwnedFd, old: &Stat) -> io::Result<()> {
    let new = rustix::fs::fstat(file)?;
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid) {
        let (user, group) = (Uid::from_raw(old.st_uid), Gid::from_raw(old.st_gid));
        if rustix::fs::fchown(file, Some(user), Some(group)).is_err() {
            let _ = rustix::fs::fchown(file, None, Some(group));
        }
    }
    // After the owner, whose change takes bits away. Programs are not written here.
    let mode = Mode::from_raw_mode(old.st_mode & 0o777);
    Ok(rustix::fs::fchmod(file, mode)?)
}

/// The names in a directory but for `.` and `..`.
pub(crate) fn list(directory: BorrowedFd<'_>) -> io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(name.to_vec());
        }
    }
    Ok(names)
}

/// What something is.
pub(crate) fn kind_of(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

fn open_directory(at: BorrowedFd<'_>, name: &OsStr, flags: OFlags) -> io::Result<OwnedFd> {
    let open = |more: OFlags| rustix::fs::openat(at, name, DIRECTORY | flags | more, Mode::empty());
    match open(OFlags::RDONLY) {
        // Files may be put into a directory that may not be listed.
        #[cfg(target_os = "linux")]
        Err(rustix::io::Errno::ACCESS) => Ok(open(OFlags::PATH)?),
        opened => Ok(opened?),
    }
}

pub(crate) fn not_own(path: &Path, message: &str) -> Error {
    Error::Document {
        document: path.display().to_string(),
        message: message.to_owned(),
        hint: "nothing outside the destination is read or written; name another one".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_files_are_small_and_themselves() {
        let place = tempfile::tempdir().unwrap();
        let directory = OpenDirectory::open(place.path()).unwrap();
        assert_eq!(directory.read("file", 3).unwrap(), None);
        std::fs::write(place.path().join("file"), "abc").unwrap();
        assert_eq!(directory.read("file", 3).unwrap().unwrap(), b"abc");
        let error = directory.read("file", 2).unwrap_err();
        assert!(
            error.to_string().ends_with(": larger than 2 bytes"),
            "{error}"
        );
        let error = directory.read(".", 2).unwrap_err();
        assert!(error.to_string().ends_with(": not a file"), "{error}");
    }

    /// Issue 11, row 11: what is open stays what it was, wherever its name leads now.
    #[test]
    fn a_directory_that_is_swapped_for_a_symlink_is_not_followed() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        for name in ["from", "to", "outside"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        let above = OpenDirectory::open(place.path()).unwrap();
        let from = above.child("from").unwrap().unwrap();
        let to = above.child("to").unwrap().unwrap();
        from.write_bytes("file", b"x", place.path()).unwrap();
        std::fs::rename(at("to"), at("moved")).unwrap();
        std::os::unix::fs::symlink("outside", at("to")).unwrap();
        from.move_file("file", &to, "file").unwrap();
        assert!(at("moved/file").exists() && !at("outside/file").exists());
        assert!(above.child("to").is_err());
    }
}
