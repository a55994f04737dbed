//! Files and directories that appear whole or not at all.
//!
//! What is written lies in a temporary place on the destination's file system and is renamed when
//! it is whole. The temporary place is removed when it is dropped, after errors and interruptions
//! too.

use std::fs::{File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile, TempDir};

use super::Progress;
use super::blob::Blob;
use super::progress::interruption;
use crate::{Error, Result};

/// What temporary names begin with.
const PREFIX: &str = ".strata-";
/// Bytes that are collected before a file is written: archives consist of many small pieces.
const BUFFER: usize = 256 * 1024;

/// A temporary directory inside `directory`, with the permissions that a plain one would have.
pub(super) fn directory_in(directory: &Path) -> Result<TempDir> {
    Builder::new()
        .prefix(PREFIX)
        .permissions(Permissions::from_mode(0o777))
        .tempdir_in(directory)
        .map_err(Error::io("write into", directory))
}

/// A temporary file inside `directory`, with the permissions that a plain one would have.
pub(super) fn file_in(directory: &Path) -> Result<NamedTempFile> {
    Builder::new()
        .prefix(PREFIX)
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(directory)
        .map_err(Error::io("write into", directory))
}

/// The nearest directory above `path` that exists: on the file system where `path` will be, and
/// found without making anything yet.
pub(super) fn directory_above(path: &Path) -> PathBuf {
    let mut ancestors = path.ancestors().skip(1);
    ancestors
        .find(|ancestor| !ancestor.as_os_str().is_empty() && ancestor.exists())
        .unwrap_or(Path::new("."))
        .to_path_buf()
}

/// Makes `path` and the directories above it.
pub(super) fn create_directory(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).map_err(Error::io("create", path))
}

/// Renames within a file system, after making the directories above.
pub(super) fn rename(from: &Path, to: &Path) -> Result<()> {
    if let Some(parent) = to.parent() {
        create_directory(parent)?;
    }
    std::fs::rename(from, to).map_err(Error::io("write", to))
}

/// Writes `bytes` to the new file `path`; errors name `destination`.
pub(super) fn write_bytes(path: &Path, bytes: &[u8], destination: &Path) -> Result<()> {
    std::fs::write(path, bytes).map_err(Error::io("write", destination))
}

/// Writes `blob` to the new file `path`; errors name `destination`.
pub(super) fn write_blob(
    path: &Path,
    blob: &Blob<'_>,
    destination: &Path,
    progress: &dyn Progress,
) -> Result<()> {
    let file = File::create_new(path).map_err(Error::io("write", destination))?;
    let mut writer = FileWriter::new(file, destination);
    blob.write_to(&mut writer, progress)?;
    writer.finish()
}

/// Whether `path` is a file of `size` bytes: blobs are renamed into place when they are whole, so
/// their length tells as much as a cheap look can.
pub(super) fn is_present(path: &Path, size: u64) -> bool {
    path.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.len() == size)
}

/// A buffered writer whose errors name the file.
pub(super) struct FileWriter<'a, W: Write> {
    writer: BufWriter<W>,
    path: &'a Path,
}

impl<'a, W: Write> FileWriter<'a, W> {
    /// A writer to an opened file; `path` is for errors.
    pub(super) fn new(file: W, path: &'a Path) -> Self {
        Self {
            writer: BufWriter::with_capacity(BUFFER, file),
            path,
        }
    }

    /// Writes what is still in the buffer.
    pub(super) fn finish(mut self) -> Result<()> {
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
