//! Writers whose errors name the file, and waiting that hears when the work is to end.

use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use std::thread;
use std::time::Duration;
use strata_error::{Error, Result};
use strata_progress::{Context, interruption};

/// Bytes that are collected before a file is written: archives consist of many small pieces.
const BUFFER: usize = 256 * 1024;
/// So many bytes a pipe takes at once that says that it has room (`PIPE_BUF`, pipe(7)).
const ROOM: usize = if cfg!(target_os = "linux") { 4096 } else { 512 };

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
