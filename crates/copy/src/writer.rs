//! Writers whose errors name the file, and waiting that hears when the work is to end.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
#[cfg(target_os = "linux")]
use rustix::fs::Mode;
use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::Errno;

use strata_error::{Error, Result};
use strata_progress::{Context, interruption};

/// Bytes that are collected before a file is written: archives consist of many small pieces.
const BUFFER: usize = 256 * 1024;
/// So many bytes a pipe or a socket takes at once that says that it has room (`PIPE_BUF`, pipe(7)).
const ROOM: usize = if cfg!(target_os = "linux") { 4096 } else { 512 };

/// Bytes that a pipe is asked to hold, so that both ends work for longer between two changes from one to the
/// other; what everybody may ask for (`/proc/sys/fs/pipe-max-size`).
#[cfg(target_os = "linux")]
const PIPE: usize = 1024 * 1024;

/// A writer to a pipe or the like, of whose reader nobody knows whether it reads: while it does not, it is
/// looked whether the work is to end.
pub struct PipeWriter<'a> {
    file: File,
    /// So many bytes at once are written without a wait for the reader.
    room: usize,
    context: Context<'a>,
}

impl<'a> PipeWriter<'a> {
    /// A writer to `file`. Whoever else has that file open sees no other flags of it.
    pub fn new(file: File, context: Context<'a>) -> Self {
        let never_waits = |file: &File| {
            let is_regular = file.metadata().is_ok_and(|metadata| metadata.is_file());
            is_regular || fcntl_getfl(file).is_ok_and(|flags| flags.contains(OFlags::NONBLOCK))
        };
        let file = pipe_of_its_own(&file).unwrap_or(file);
        Self {
            room: if never_waits(&file) { usize::MAX } else { ROOM },
            file,
            context,
        }
    }
}

/// A pipe opened once more, so that writing to it takes what there is room for and does not wait: that flag would
/// be everybody's who has the pipe from the same call of open(2).
#[cfg(target_os = "linux")]
fn pipe_of_its_own(file: &File) -> Option<File> {
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::FileTypeExt;

    if !file.metadata().ok()?.file_type().is_fifo() {
        return None;
    }
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let pipe = rustix::fs::open(path, flags, Mode::empty()).ok()?;
    // A smaller pipe does, too.
    let _ = rustix::pipe::fcntl_setpipe_size(&pipe, PIPE);
    Some(pipe.into())
}

/// Elsewhere no file can be opened by its descriptor with other flags.
#[cfg(not(target_os = "linux"))]
fn pipe_of_its_own(_: &File) -> Option<File> {
    None
}

impl Write for PipeWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let pause = Timespec {
            tv_sec: 0,
            tv_nsec: PAUSE.subsec_nanos().into(),
        };
        loop {
            let mut all = [PollFd::new(&self.file, PollFlags::OUT)];
            let is_ready = match poll(&mut all, Some(&pause)) {
                Ok(ready) => ready > 0,
                Err(Errno::INTR) => false,
                Err(error) => return Err(error.into()),
            };
            if is_ready {
                let count = bytes.len().min(self.room);
                match self.file.write(&bytes[..count]) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    written => return written,
                }
            }
            self.context.check().map_err(interruption)?;
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
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

/// How long to wait before looking again, at what is waited for and whether the work is to end.
pub(crate) const PAUSE: Duration = Duration::from_millis(50);

/// A wait that may be long.
pub(crate) struct Waiting<'a> {
    /// What is waited for, as whoever watches is told.
    text: &'a str,
    context: Context<'a>,
    is_told: bool,
}

impl<'a> Waiting<'a> {
    /// A wait that has not begun.
    pub(crate) fn new(text: &'a str, context: Context<'a>) -> Self {
        Self {
            text,
            context,
            is_told: false,
        }
    }

    /// Waits a moment; an error once the work is to end. The first time it says what is waited for.
    pub(crate) fn pause(&mut self) -> Result<()> {
        if !self.is_told {
            self.is_told = true;
            self.context.progress.warn(self.text);
        }
        self.context.check()?;
        thread::sleep(PAUSE);
        self.context.check()
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// A page at a time costs twice the time of `docker load`'s other end.
    #[test]
    fn a_pipe_takes_much_at_once_and_keeps_its_flags() {
        let (_reader, writer) = io::pipe().unwrap();
        let file = File::from(std::os::fd::OwnedFd::from(writer));
        let before = fcntl_getfl(&file).unwrap();
        let kept = file.try_clone().unwrap();
        let mut pipe = PipeWriter::new(file, Context::silent());
        assert!(pipe.write(&vec![1; PIPE]).unwrap() > ROOM);
        assert_eq!(fcntl_getfl(&kept).unwrap(), before);
    }

    #[test]
    fn a_file_takes_all_at_once() {
        let mut file = PipeWriter::new(tempfile::tempfile().unwrap(), Context::silent());
        assert_eq!(file.write(&vec![1; PIPE]).unwrap(), PIPE);
    }
}
