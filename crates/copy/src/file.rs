//! Files that appear whole or not at all, and what is no file.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use super::staging::Staging;
use super::target::Target;
use super::waiting::{PAUSE, Waiting};
use strata_error::{Error, Result};
use strata_progress::{Context, interruption};

/// Bytes that are collected before a file is written: archives consist of many small pieces.
const BUFFER: usize = 256 * 1024;
/// So many bytes a pipe takes at once that says that it has room (`PIPE_BUF`, pipe(7)).
const ROOM: usize = if cfg!(target_os = "linux") { 4096 } else { 512 };

/// Lets `write` give the bytes of what is at `path`. A file appears whole and on the disk, in the place
/// of one that is there already, with its mode and owner; a symlink stays, and what it points to is
/// replaced. A named pipe or a device is written to as it is.
pub fn write_file(
    path: &Path,
    context: Context<'_>,
    write: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<()> {
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
        Ok(metadata) => {
            let device = open_device(path, metadata.file_type().is_fifo(), context)?;
            let device = PipeWriter::new(device, context);
            let mut writer = FileWriter::new(device, path);
            write(&mut writer)?;
            writer.finish()
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => replace(path, write),
        Err(error) => Err(Error::io("write", path)(error)),
    }
}

fn replace(path: &Path, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    const NAME: &str = "file";
    let target = Target::find(path)?;
    let staging = Staging::new(&target.above)?;
    let file = staging.content().create(NAME);
    let file = file.map_err(Error::io("write", path))?;
    let mut writer = FileWriter::new(&file, path);
    write(&mut writer)?;
    writer.finish()?;
    file.sync_all().map_err(Error::io("write", path))?;
    target.arrive(|directory, name| staging.content().move_file(NAME, directory, name))
}

/// Opens a named pipe or a device. A pipe that nobody reads is waited for.
fn open_device(path: &Path, is_pipe: bool, context: Context<'_>) -> Result<File> {
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let text = format!("waiting for a reader of {}", path.display());
    let mut waiting = Waiting::new(&text, context);
    loop {
        match rustix::fs::openat(CWD, path, flags, Mode::empty()) {
            Ok(device) => return Ok(device.into()),
            Err(Errno::NXIO) if is_pipe => waiting.pause()?,
            Err(error) => return Err(Error::io("open", path)(error.into())),
        }
    }
}

/// A writer to a pipe or the like, of whose reader nobody knows whether it reads: while it does not, it is
/// looked whether the work is to end.
pub struct PipeWriter<'a, W> {
    writer: W,
    context: Context<'a>,
}

impl<'a, W: Write + AsFd> PipeWriter<'a, W> {
    /// A writer to `writer`.
    pub fn new(writer: W, context: Context<'a>) -> Self {
        Self { writer, context }
    }
}

impl<W: Write + AsFd> Write for PipeWriter<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let pause = Timespec {
            tv_sec: 0,
            tv_nsec: PAUSE.subsec_nanos().into(),
        };
        loop {
            let mut all = [PollFd::new(&self.writer, PollFlags::OUT)];
            let is_ready = match poll(&mut all, Some(&pause)) {
                Ok(ready) => ready > 0,
                Err(Errno::INTR) => false,
                Err(error) => return Err(error.into()),
            };
            if is_ready {
                // More might be waited for, without a word.
                let count = bytes.len().min(ROOM);
                match self.writer.write(&bytes[..count]) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    written => return written,
                }
            }
            self.context.check().map_err(interruption)?;
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// A buffered writer whose errors name the file.
pub(crate) struct FileWriter<'a, W: Write> {
    writer: BufWriter<W>,
    path: &'a Path,
}

impl<'a, W: Write> FileWriter<'a, W> {
    /// A writer to an opened file; `path` is for errors.
    pub(crate) fn new(file: W, path: &'a Path) -> Self {
        Self {
            writer: BufWriter::with_capacity(BUFFER, file),
            path,
        }
    }

    /// Writes what is still in the buffer.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.writer.flush().map_err(|error| self.error(error))
    }

    /// Errors of ours come out as they went in.
    fn error(&self, error: io::Error) -> Error {
        match error.downcast::<Error>() {
            Ok(error) => error,
            Err(error) => Error::io("write", self.path)(error),
        }
    }

    fn name(&self, error: io::Error) -> io::Error {
        match error.kind() {
            // A signal arrived; callers try again.
            io::ErrorKind::Interrupted => error,
            _ => interruption(self.error(error)),
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
    use std::io::Read;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use strata_testing::image::make_pipe;

    fn write(path: &Path, bytes: &[u8], context: Context<'_>) -> Result<()> {
        write_file(path, context, |writer| {
            let written = writer.write_all(bytes);
            written.map_err(strata_archive::write_error("a file"))
        })
    }

    /// Issue 11, row 17: a file that is replaced keeps its mode, and its owner where that can be.
    #[test]
    fn a_replaced_file_keeps_mode_and_owner() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        std::fs::write(&path, "old").unwrap();
        let is_root = std::os::unix::fs::chown(&path, Some(12345), Some(54321)).is_ok();
        let before = path.metadata().unwrap();
        for mode in [0o600, 0o640, 0o444, 0o755] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            write(&path, b"new", Context::silent()).unwrap();
            let after = path.metadata().unwrap();
            assert_eq!(after.mode() & 0o7777, mode);
            assert_ne!(after.ino(), before.ino());
            if is_root {
                assert_eq!((after.uid(), after.gid()), (12345, 54321));
            }
        }
        let new = place.path().join("new");
        write(&new, b"new", Context::silent()).unwrap();
        assert_eq!(new.metadata().unwrap().mode() & 0o600, 0o600);
    }

    /// Gives up when it was asked often enough.
    fn soon(asked: &AtomicUsize) -> impl Fn() -> Result<()> {
        move || {
            if asked.fetch_add(1, Ordering::Relaxed) > 5 {
                return Err(Error::Interrupted);
            }
            Ok(())
        }
    }

    /// Issue 11, row 15: neither a pipe without a reader nor one that is not read makes us deaf.
    #[test]
    fn a_pipe_that_nobody_reads_can_be_given_up() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("pipe");
        make_pipe(&path);
        for is_open in [false, true] {
            let flags = OFlags::RDONLY | OFlags::NONBLOCK;
            let reader = is_open.then(|| rustix::fs::openat(CWD, &path, flags, Mode::empty()));
            let asked = AtomicUsize::new(0);
            let stop = soon(&asked);
            let context = Context::silent().cancelled_by(&stop);
            let error = write(&path, &vec![1; 4 << 20], context).unwrap_err();
            assert!(matches!(error, Error::Interrupted), "{is_open}: {error}");
            drop(reader);
        }
    }

    #[test]
    fn a_pipe_gets_every_byte() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("pipe");
        make_pipe(&path);
        let bytes: Vec<u8> = (0..1 << 20).map(|number: u32| number as u8).collect();
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut read = Vec::new();
                File::open(&path).unwrap().read_to_end(&mut read).unwrap();
                read
            });
            write(&path, &bytes, Context::silent()).unwrap();
            assert!(reader.join().unwrap() == bytes);
        });
    }
}
