//! Taking turns at a destination that is there already.
//!
//! The lock is that of a file in the destination, which is there while it is held. It is not that of the
//! directory itself, because everybody could hold that who may read it: this file may be opened by those
//! who may write into the directory.

use std::os::fd::OwnedFd;

use rustix::fs::{FileType, FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::open_directory::{OpenDirectory, kind_of, not_own};
use super::staging::LOCK;
use super::writer::Waiting;
use strata_error::{Error, Result};
use strata_progress::Context;

/// The lock of a directory, held until it is dropped.
pub(crate) struct Lock<'a> {
    directory: &'a OpenDirectory,
    file: OwnedFd,
}

impl<'a> Lock<'a> {
    /// Takes the lock of `directory`. While somebody else has it, says so once and looks whether the work is
    /// to end.
    pub(crate) fn take(directory: &'a OpenDirectory, context: Context<'_>) -> Result<Self> {
        let failed = |error: Errno| Error::io("lock", directory.path())(error.into());
        let path = directory.path().join(LOCK);
        let text = format!("waiting for another copy, which holds {}", path.display());
        let mut waiting = Waiting::new(&text, context);
        loop {
            let file = match open(directory) {
                Ok(file) => file,
                // Its owner let go of it just now.
                Err(Errno::NOENT) => continue,
                // Somebody else's, whom we can only wait for.
                Err(Errno::ACCESS) if directory.stat_at(LOCK).is_ok() => {
                    waiting.pause()?;
                    continue;
                }
                Err(Errno::LOOP) => return Err(not_own(&path, "a symlink")),
                Err(error) => return Err(failed(error)),
            };
            let stat = rustix::fs::fstat(&file).map_err(failed)?;
            if kind_of(&stat) != FileType::RegularFile {
                return Err(not_own(&path, "not a file"));
            }
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Err(Errno::WOULDBLOCK) => waiting.pause()?,
                // Who had it removed it at the end, and the next one waits for another file.
                Ok(()) if !directory.has_at(&file, LOCK) => {}
                // Also where the file system has no locks.
                _ => return Ok(Self { directory, file }),
            }
        }
    }
}

impl Drop for Lock<'_> {
    fn drop(&mut self) {
        // Only what was made for this: a user's file has something in it.
        let is_ours = rustix::fs::fstat(&self.file)
            .is_ok_and(|stat| stat.st_size == 0 && stat.st_uid == geteuid().as_raw());
        if is_ours && self.directory.has_at(&self.file, LOCK) {
            let _ = self.directory.remove_file(LOCK);
        }
    }
}

/// Opens the file, and makes it if it is not there. Who may write into the directory may write it.
fn open(directory: &OpenDirectory) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let new = OFlags::CREATE | OFlags::EXCL;
    match rustix::fs::openat(directory.fd(), LOCK, flags | new, Mode::RUSR | Mode::WUSR) {
        Ok(file) => {
            let writers = directory.stat().map_or(0, |stat| stat.st_mode & 0o022);
            let mode = Mode::from_raw_mode(0o600 | writers | writers << 1);
            rustix::fs::fchmod(&file, mode)?;
            Ok(file)
        }
        Err(Errno::EXIST) => rustix::fs::openat(directory.fd(), LOCK, flags, Mode::empty()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Mutex;
    use strata_progress::Progress;

    /// Keeps what it is warned of.
    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);

    impl Progress for Heard {
        fn warn(&self, text: &str) {
            self.0.lock().unwrap().push(text.to_owned());
        }
    }

    /// Issue 11, row 15: who waits says for what, once, and hears that the work is to end.
    #[test]
    fn who_waits_says_so_and_can_be_stopped() {
        let place = tempfile::tempdir().unwrap();
        let directory = OpenDirectory::open(place.path()).unwrap();
        let held = Lock::take(&directory, Context::silent()).unwrap();
        let heard = Heard::default();
        let asked = Mutex::new(0);
        let stop = || {
            *asked.lock().unwrap() += 1;
            if *asked.lock().unwrap() > 3 {
                return Err(Error::Interrupted);
            }
            Ok(())
        };
        let context = Context::silent().watched_by(&heard).cancelled_by(&stop);
        let error = Lock::take(&directory, context).err().unwrap();
        assert!(matches!(error, Error::Interrupted), "{error}");
        let heard = heard.0.lock().unwrap().join("\n");
        assert_eq!(
            heard.matches("waiting for another copy").count(),
            1,
            "{heard}"
        );
        drop(held);
        drop(Lock::take(&directory, Context::silent()).unwrap());
        assert!(!place.path().join(LOCK).exists());
    }

    /// Issue 11, row 15: who may only read the directory cannot hold its lock.
    #[test]
    fn readers_do_not_hold_the_lock() {
        let place = tempfile::tempdir().unwrap();
        let directory = OpenDirectory::open(place.path()).unwrap();
        let lock = FlockOperation::NonBlockingLockExclusive;
        let reader = std::fs::File::open(place.path()).unwrap();
        flock(&reader, lock).unwrap();
        for (mode, expected) in [
            (0o755, 0o600),
            (0o775, 0o660),
            (0o777, 0o666),
            (0o700, 0o600),
        ] {
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(place.path(), permissions).unwrap();
            let held = Lock::take(&directory, Context::silent()).unwrap();
            let file = place.path().join(LOCK).metadata().unwrap();
            assert_eq!(file.permissions().mode() & 0o777, expected, "{mode:o}");
            drop(held);
        }
    }

    /// A user's file of this name is not removed, and what is no file is an error.
    #[test]
    fn files_of_others_stay() {
        let place = tempfile::tempdir().unwrap();
        let directory = OpenDirectory::open(place.path()).unwrap();
        let path = place.path().join(LOCK);
        std::fs::write(&path, "mine").unwrap();
        drop(Lock::take(&directory, Context::silent()).unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"mine");
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("elsewhere", &path).unwrap();
        let error = Lock::take(&directory, Context::silent()).err().unwrap();
        assert!(error.to_string().ends_with(": a symlink"), "{error}");
        std::fs::remove_file(&path).unwrap();
        strata_testing::image::make_pipe(&path);
        let error = Lock::take(&directory, Context::silent()).err().unwrap();
        assert!(error.to_string().ends_with(": not a file"), "{error}");
    }
}
