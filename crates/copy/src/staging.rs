//! Files and directories that appear whole or not at all.
//!
//! What is written lies in a temporary place on the destination's file system and is renamed when
//! it is whole and on the disk, so that neither a crash of the program nor one of the machine leaves
//! something in between. The temporary place is removed when it is dropped, after errors and
//! interruptions too. A process that is killed leaves it; whoever copies to the same place next removes it,
//! because nobody holds its lock any more.

use std::fs::{File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use tempfile::{Builder, NamedTempFile, TempDir};

use super::blob::Blob;
use strata_error::{Error, Result, small_file};
use strata_progress::{Context, interruption};

/// What temporary names begin with.
const PREFIX: &str = ".strata-";
/// Bytes that are collected before a file is written: archives consist of many small pieces.
const BUFFER: usize = 256 * 1024;

/// Something temporary, which this process holds as long as it is there.
pub struct Staged<T> {
    temporary: T,
    /// `None` where the file system has no locks.
    _lock: Option<File>,
}

impl Staged<TempDir> {
    /// Where it is.
    pub fn path(&self) -> &Path {
        self.temporary.path()
    }
}

impl Staged<NamedTempFile> {
    /// Where it is.
    pub fn path(&self) -> &Path {
        self.temporary.path()
    }

    /// The file, open for writing.
    pub fn as_file(&self) -> &File {
        self.temporary.as_file()
    }
}

/// A temporary directory inside `directory`, with the permissions that a plain one would have.
pub fn directory_in(directory: &Path) -> Result<Staged<TempDir>> {
    stage(directory, |builder| {
        let permissions = Permissions::from_mode(0o777);
        builder.permissions(permissions).tempdir_in(directory)
    })
}

/// A temporary file inside `directory`, with the permissions that a plain one would have.
pub fn file_in(directory: &Path) -> Result<Staged<NamedTempFile>> {
    stage(directory, |builder| {
        let permissions = Permissions::from_mode(0o666);
        builder.permissions(permissions).tempfile_in(directory)
    })
}

/// Makes something temporary and locks it. If another process took it for a stale one in between, it
/// is gone, and a new one is made.
fn stage<T: AsRef<Path>>(
    directory: &Path,
    create: impl Fn(&mut Builder<'_, '_>) -> io::Result<T>,
) -> Result<Staged<T>> {
    remove_stale(directory);
    loop {
        let temporary = create(Builder::new().prefix(PREFIX));
        let temporary = temporary.map_err(Error::io("write into", directory))?;
        let lock = match open_as_it_is(temporary.as_ref()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            opened => opened.ok(),
        };
        let locked = lock.filter(|lock| flock(lock, FlockOperation::LockExclusive).is_ok());
        let is_ours = locked
            .as_ref()
            .is_none_or(|lock| is_at(lock, temporary.as_ref()));
        if is_ours {
            return Ok(Staged {
                temporary,
                _lock: locked,
            });
        }
    }
}

/// Removes what processes left in `directory` that were killed. What cannot be removed stays.
fn remove_stale(directory: &Path) {
    let Ok(entries) = directory.read_dir() else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if !is_temporary(&entry.file_name().to_string_lossy()) {
            continue;
        }
        let Ok(file) = open_as_it_is(&path) else {
            continue;
        };
        let is_free = flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
        if is_free && is_at(&file, &path) {
            let _ = match file.metadata() {
                Ok(metadata) if metadata.is_dir() => std::fs::remove_dir_all(&path),
                _ => std::fs::remove_file(&path),
            };
        }
    }
}

/// Whether a file of this name is ours and not yet part of anything.
pub fn is_temporary(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// Whether what is opened is still at `path`.
fn is_at(file: &File, path: &Path) -> bool {
    let identity = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
    match (file.metadata(), path.symlink_metadata()) {
        (Ok(opened), Ok(found)) => identity(opened) == identity(found),
        _ => false,
    }
}

/// Opens a file or directory for reading: no symlink to elsewhere, and without waiting for the other
/// end of a pipe.
fn open_as_it_is(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(open(path, flags, Mode::empty())?.into())
}

/// The bytes of a small file that belongs to a destination, `None` if there is none. A symlink, which
/// could lead out of the destination, a pipe, and a file above `limit` bytes are errors.
pub fn read_own(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    let file = match open_as_it_is(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(_) if path.is_symlink() => return Err(not_own(path, "a symlink")),
        Err(error) => return Err(Error::io("read", path)(error)),
    };
    let metadata = file.metadata().map_err(Error::io("read", path))?;
    if !metadata.is_file() {
        return Err(not_own(path, "not a file"));
    }
    small_file::read_opened(Ok(file), path, limit).map(Some)
}

/// Refuses a directory of a destination that is a symlink: files would be written elsewhere.
pub fn check_own_directory(path: &Path) -> Result<()> {
    match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(metadata) if metadata.is_symlink() => Err(not_own(path, "a symlink")),
        Ok(_) => Err(not_own(path, "not a directory")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io("read", path)(error)),
    }
}

fn not_own(path: &Path, message: &str) -> Error {
    Error::Document {
        document: path.display().to_string(),
        message: message.to_owned(),
        hint: "nothing outside the destination is read or written; name another one".to_owned(),
    }
}

/// Lets `write` give the bytes of what is at `path`. A file appears whole and on the disk, in the place
/// of one that is there already; a symlink stays, and what it points to is replaced. A named pipe or a
/// device is written to as it is.
pub fn write_file(path: &Path, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    match path.metadata() {
        Ok(metadata) if metadata.is_dir() => Err(Error::Document {
            document: path.display().to_string(),
            message: "a directory is in the way of the file".to_owned(),
            hint: "name a file in it".to_owned(),
        }),
        Ok(metadata) if metadata.is_file() => replace(
            &path.canonicalize().map_err(Error::io("read", path))?,
            write,
        ),
        Ok(_) => {
            let device = File::options().write(true).open(path);
            let device = device.map_err(Error::io("open", path))?;
            let mut writer = FileWriter::new(device, path);
            write(&mut writer)?;
            writer.finish()
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => replace(path, write),
        Err(error) => Err(Error::io("write", path)(error)),
    }
}

fn replace(path: &Path, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let file = file_in(&directory_above(path))?;
    let mut writer = FileWriter::new(file.as_file(), path);
    write(&mut writer)?;
    writer.finish()?;
    let synchronized = file.as_file().sync_all();
    synchronized.map_err(Error::io("write", path))?;
    rename(file.path(), path)
}

/// The nearest directory above `path` that exists: on the file system where `path` will be, and
/// found without making anything yet.
pub fn directory_above(path: &Path) -> PathBuf {
    let mut ancestors = path.ancestors().skip(1);
    ancestors
        .find(|ancestor| !ancestor.as_os_str().is_empty() && ancestor.exists())
        .unwrap_or(Path::new("."))
        .to_path_buf()
}

/// Makes `path` and the directories above it.
pub fn create_directory(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).map_err(Error::io("create", path))
}

/// Renames a directory to where none was, as [`rename`]; all names in it are on the disk before. False
/// if another copy made one there meanwhile that has something in it.
pub fn rename_directory(from: &Path, to: &Path) -> Result<bool> {
    sync_directories(from).map_err(Error::io("read", from))?;
    match rename(from, to) {
        Ok(()) => Ok(true),
        Err(Error::Io { source, .. })
            if matches!(
                source.kind(),
                io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

fn sync_directories(path: &Path) -> io::Result<()> {
    for entry in path.read_dir()? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_directories(&entry.path())?;
        }
    }
    sync_directory(path);
    Ok(())
}

/// Renames within a file system, after making the directories above; the new name is on the disk then.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    let parent = directory_of(to);
    let new = parent
        .ancestors()
        .take_while(|above| !above.exists())
        .count();
    create_directory(parent)?;
    move_to(from, to)?;
    for directory in parent.ancestors().take(new + 1) {
        sync_directory(directory);
    }
    Ok(())
}

/// Renames within a file system. The directory is to be synchronized afterwards.
pub fn move_to(from: &Path, to: &Path) -> Result<()> {
    std::fs::rename(from, to).map_err(Error::io("write", to))
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Waits until the names in a directory are on the disk. Not every file system can.
pub fn sync_directory(path: &Path) {
    let _ = File::open(path).and_then(|directory| directory.sync_all());
}

/// Writes `bytes` to the new file `path`; errors name `destination`.
pub fn write_bytes(path: &Path, bytes: &[u8], destination: &Path) -> Result<()> {
    File::create_new(path)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .map_err(Error::io("write", destination))
}

/// Writes `blob` to the new file `path`; errors name `destination`.
pub fn write_blob(
    path: &Path,
    blob: &Blob<'_>,
    destination: &Path,
    context: Context<'_>,
) -> Result<()> {
    let file = File::create_new(path).map_err(Error::io("write", destination))?;
    let mut writer = FileWriter::new(&file, destination);
    blob.write_to(&mut writer, context)?;
    writer.finish()?;
    file.sync_all().map_err(Error::io("write", destination))
}

/// Whether `path` itself is a file of `size` bytes: blobs are renamed into place when they are whole,
/// so their length tells as much as a cheap look can.
pub fn is_present(path: &Path, size: u64) -> bool {
    path.symlink_metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.len() == size)
}

/// A buffered writer whose errors name the file.
pub struct FileWriter<'a, W: Write> {
    writer: BufWriter<W>,
    path: &'a Path,
}

impl<'a, W: Write> FileWriter<'a, W> {
    /// A writer to an opened file; `path` is for errors.
    pub fn new(file: W, path: &'a Path) -> Self {
        Self {
            writer: BufWriter::with_capacity(BUFFER, file),
            path,
        }
    }

    /// Writes what is still in the buffer.
    pub fn finish(mut self) -> Result<()> {
        self.writer.flush().map_err(Error::io("write", self.path))
    }
}

impl<W: Write> FileWriter<'_, W> {
    fn name(&self, error: io::Error) -> io::Error {
        match error.kind() {
            // A signal arrived; callers try again.
            io::ErrorKind::Interrupted => error,
            _ => interruption(Error::io("write", self.path)(error)),
        }
    }
}

impl<W: Write> Write for FileWriter<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes).map_err(|error| self.name(error))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush().map_err(|error| self.name(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strata_testing::image as fixture;

    /// What a killed process left is removed by the next one; what somebody still writes to, and
    /// what only looks like ours, is not.
    #[test]
    fn only_what_nobody_holds_is_removed() {
        let place = tempfile::tempdir().unwrap();
        let held = directory_in(place.path()).unwrap();
        std::fs::write(held.path().join("blob"), "held").unwrap();
        let held_file = file_in(place.path()).unwrap();
        let left = place.path().join(".strata-left");
        std::fs::create_dir_all(left.join("blobs")).unwrap();
        std::fs::write(left.join("blobs/blob"), "left").unwrap();
        std::fs::write(place.path().join(".strata-file"), "left").unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("file"), "outside").unwrap();
        let link = place.path().join(".strata-link");
        std::os::unix::fs::symlink(outside.path(), &link).unwrap();
        let other = place.path().join("strata-other");
        std::fs::write(&other, "other").unwrap();

        let new = directory_in(place.path()).unwrap();
        assert!(new.path().exists());
        assert!(held.path().join("blob").exists() && held_file.path().exists());
        assert!(!left.exists() && !place.path().join(".strata-file").exists());
        assert!(link.is_symlink() && outside.path().join("file").exists() && other.exists());
        drop((held, held_file, new));
        assert_eq!(fixture::files(place.path()), [link.join("file"), other]);
    }

    #[test]
    fn own_files_are_small_and_themselves() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        assert_eq!(read_own(&path, 3).unwrap(), None);
        std::fs::write(&path, "abc").unwrap();
        assert_eq!(read_own(&path, 3).unwrap().unwrap(), b"abc");
        let error = read_own(&path, 2).unwrap_err();
        assert!(
            error.to_string().ends_with(": larger than 2 bytes"),
            "{error}"
        );
        let error = read_own(place.path(), 2).unwrap_err();
        assert!(error.to_string().ends_with(": not a file"), "{error}");
    }
}
