//! Files that appear whole or not at all, and what is no file.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use super::staging::Staging;
use super::target::Target;
use super::writer::{FileWriter, PipeWriter, Waiting};
use strata_error::{Error, Result};
use strata_progress::Context;

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
        let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(1 << 20).collect();
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
