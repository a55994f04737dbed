//! Compressed layers in a bounded directory, by their digests. Several servers may share it.
//!
//! A file appears there when it is whole, and is compared with its name before it is first sent, and again
//! whenever it has changed. What is not there, or no longer, is made again while it is sent.

use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use rustix::process::{Pid, test_kill_process};
use tempfile::NamedTempFile;

use strata_error::{Error, Result};
use strata_layer::Layer;
use strata_oci::{Compression, Descriptor, Digest, Hasher};
use strata_tree::Recipe;

/// The beginning of the names of files that are not whole yet, before the number of their process.
const INCOMING: &str = "incoming-";
/// How old the note of a file's last use may be.
const COARSE: Duration = Duration::from_mins(1);
/// How many bytes of a growing file are sent at a time.
const PIECE: usize = 128 << 10;

/// A directory of blobs.
pub(crate) struct Blobs {
    directory: PathBuf,
    /// The most bytes in it.
    most: u64,
    /// Files that were compared with their names.
    checked: Mutex<BTreeMap<Digest, Stamp>>,
    /// Those that are written.
    growing: Mutex<BTreeMap<Digest, Arc<Growing>>>,
}

/// What changes when somebody writes to a file.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Blobs {
    /// The blobs in a directory, which is made if it is not there; what servers that are gone began to write is
    /// removed.
    pub(crate) fn open(directory: PathBuf, most: u64) -> Result<Self> {
        fs::create_dir_all(&directory).map_err(Error::io("create", &directory))?;
        let entries = fs::read_dir(&directory).map_err(Error::io("read", &directory))?;
        for entry in entries.flatten() {
            if is_left_over(&entry.file_name().to_string_lossy()) {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(Self {
            directory,
            most,
            checked: Mutex::default(),
            growing: Mutex::default(),
        })
    }

    /// A blob that is there, from its beginning on wherever the file is at, and its size.
    pub(crate) fn get(&self, digest: Digest) -> Option<(File, u64)> {
        let path = self.path(digest);
        let file = File::open(&path).ok()?;
        let metadata = file.metadata().ok()?;
        let stamp = Stamp::of(&metadata);
        let known = lock(&self.checked).get(&digest).copied();
        if known != Some(stamp) {
            let mut hasher = Hasher::default();
            io::copy(&mut &file, &mut hasher).ok()?;
            if hasher.finish().0 != digest {
                let _ = fs::remove_file(path);
                return None;
            }
            lock(&self.checked).insert(digest, stamp);
        }
        let now = SystemTime::now();
        let used = metadata.accessed().ok();
        let age = used.and_then(|used| now.duration_since(used).ok());
        if age.is_none_or(|age| age > COARSE) {
            let _ = file.set_times(FileTimes::new().set_accessed(now));
        }
        Some((file, stamp.size))
    }

    /// Keeps what `make` writes, whose descriptor it gives. If there is no room, nothing is kept.
    pub(crate) fn keep(
        &self,
        make: impl FnOnce(&mut dyn Write) -> Result<Descriptor>,
    ) -> Result<Descriptor> {
        let mut writer = Lenient(self.incoming());
        let descriptor = make(&mut writer)?;
        if let Some(file) = writer.0 {
            self.settle(file, &descriptor);
        }
        Ok(descriptor)
    }

    /// The layer, made once for all who ask at the same time, and kept.
    pub(crate) fn kept(self: &Arc<Self>, layer: Arc<dyn Layer>) -> Arc<dyn Layer> {
        Arc::new(KeptLayer {
            layer,
            blobs: Arc::clone(self),
        })
    }

    /// How many bytes there are.
    pub(crate) fn size(&self) -> u64 {
        self.entries().iter().map(|entry| entry.size).sum()
    }

    fn path(&self, digest: Digest) -> PathBuf {
        self.directory.join(digest.hex())
    }

    fn incoming(&self) -> Option<NamedTempFile> {
        let prefix = format!("{INCOMING}{}-", std::process::id());
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix).tempfile_in(&self.directory).ok()
    }

    /// Gives a whole file its name, and makes room for it.
    fn settle(&self, file: NamedTempFile, blob: &Descriptor) {
        let Ok(metadata) = file.as_file().metadata() else {
            return;
        };
        if blob.size > self.most || metadata.len() != blob.size {
            return;
        }
        self.make_room(blob.size);
        if file.persist(self.path(blob.digest)).is_ok() {
            lock(&self.checked).insert(blob.digest, Stamp::of(&metadata));
        }
    }

    /// Removes what was used least recently, until so many bytes fit.
    fn make_room(&self, size: u64) {
        let mut entries = self.entries();
        entries.sort_by_key(|entry| entry.used);
        let mut total: u64 = entries.iter().map(|entry| entry.size).sum();
        for entry in entries {
            if total.saturating_add(size) <= self.most {
                break;
            }
            total -= entry.size;
            // Another server may have been faster. Whoever reads it at this moment goes on.
            let _ = fs::remove_file(entry.path);
        }
    }

    fn entries(&self) -> Vec<Entry> {
        let entries = fs::read_dir(&self.directory).into_iter().flatten();
        let entries = entries.flatten().filter_map(|entry| {
            let is_whole = !entry.file_name().to_string_lossy().starts_with(INCOMING);
            let metadata = entry.metadata().ok().filter(|_| is_whole)?;
            Some(Entry {
                path: entry.path(),
                size: metadata.len(),
                used: metadata.accessed().ok()?,
            })
        });
        entries.collect()
    }

    /// The file that a layer is written to; somebody begins to write if nobody has begun. None if it cannot be kept.
    fn grow(self: &Arc<Self>, layer: &Arc<dyn Layer>) -> Option<Arc<Growing>> {
        let Descriptor { digest, size, .. } = *layer.descriptor();
        let mut growing = lock(&self.growing);
        if let Some(known) = growing.get(&digest) {
            return Some(Arc::clone(known));
        }
        if size > self.most {
            return None;
        }
        let file = self.incoming()?;
        let grown = Arc::new(Growing {
            file: file.reopen().ok()?,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let (blobs, layer, written) = (Arc::clone(self), Arc::clone(layer), Arc::clone(&grown));
        // Its readers may go away: whoever comes next finds it whole.
        let make = move || {
            let mut writer = Growth {
                file: file.as_file(),
                growing: &written,
            };
            let result = layer.write_to(&mut writer);
            let is_whole = result.is_ok();
            lock(&written.state).end = Some(is_whole);
            written.changed.notify_all();
            if is_whole {
                blobs.settle(file, layer.descriptor());
            }
            lock(&blobs.growing).remove(&layer.descriptor().digest);
        };
        thread::Builder::new().spawn(make).ok()?;
        growing.insert(digest, Arc::clone(&grown));
        Some(grown)
    }
}

/// A file in the directory.
struct Entry {
    path: PathBuf,
    size: u64,
    used: SystemTime,
}

impl Stamp {
    fn of(metadata: &fs::Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

/// Whether a file was begun by a process that is gone.
fn is_left_over(name: &str) -> bool {
    let rest = name.strip_prefix(INCOMING);
    let number = rest.and_then(|rest| rest.split('-').next()?.parse().ok());
    let Some(pid) = number.and_then(Pid::from_raw) else {
        return false;
    };
    let own = i32::try_from(std::process::id()).ok();
    Some(pid.as_raw_nonzero().get()) != own
        && test_kill_process(pid) == Err(rustix::io::Errno::SRCH)
}

/// Writes to a file as long as that takes it.
struct Lenient(Option<NamedTempFile>);

impl Write for Lenient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(file) = &mut self.0
            && file.write_all(bytes).is_err()
        {
            self.0 = None;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file that is written while others read it.
struct Growing {
    file: File,
    state: Mutex<Grown>,
    changed: Condvar,
}

#[derive(Default)]
struct Grown {
    /// How many bytes there are.
    length: u64,
    /// Whether it is whole, once nobody writes any more.
    end: Option<bool>,
}

impl Growing {
    /// Writes what is in the file, as it comes. Gives how much that was if the file never gets whole.
    fn write_to(&self, writer: &mut dyn Write) -> io::Result<Result<(), u64>> {
        let mut sent = 0;
        let mut piece = vec![0; PIECE];
        loop {
            let state = lock(&self.state);
            let waits = |state: &mut Grown| state.length == sent && state.end.is_none();
            let state = self.changed.wait_while(state, waits);
            let Grown { length, end } = *state.unwrap_or_else(PoisonError::into_inner);
            if length == sent {
                return Ok(if end == Some(true) { Ok(()) } else { Err(sent) });
            }
            let count = usize::try_from(length - sent).unwrap_or(PIECE).min(PIECE);
            let piece = piece.get_mut(..count).unwrap_or_default();
            if self.file.read_exact_at(piece, sent).is_err() {
                return Ok(Err(sent));
            }
            writer.write_all(piece)?;
            sent += count as u64;
        }
    }
}

/// Writes to a file that others read.
struct Growth<'a> {
    file: &'a File,
    growing: &'a Growing,
}

impl Write for Growth<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        lock(&self.growing.state).length += count as u64;
        self.growing.changed.notify_all();
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A layer that is kept when it is made.
struct KeptLayer {
    layer: Arc<dyn Layer>,
    blobs: Arc<Blobs>,
}

impl Layer for KeptLayer {
    fn descriptor(&self) -> &Descriptor {
        self.layer.descriptor()
    }

    fn diff_id(&self) -> Digest {
        self.layer.diff_id()
    }

    fn recipe(&self) -> Option<&Recipe> {
        self.layer.recipe()
    }

    fn uncompressed(&self) -> Option<Arc<dyn Layer>> {
        self.layer.uncompressed()
    }

    fn compression(&self) -> Option<Compression> {
        self.layer.compression()
    }

    fn write_to(&self, writer: &mut dyn Write) -> Result<()> {
        let sent = match self.blobs.grow(&self.layer) {
            Some(growing) => growing.write_to(writer).map_err(Error::stream("a layer"))?,
            None => Err(0),
        };
        match sent {
            Ok(()) => Ok(()),
            // The disk is full, or what went wrong goes wrong again and is told then.
            Err(skip) => self.layer.write_to(&mut Rest { writer, skip }),
        }
    }
}

/// A writer that lacks the beginning.
struct Rest<'a> {
    writer: &'a mut dyn Write,
    skip: u64,
}

impl Write for Rest<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let skipped = usize::try_from(self.skip)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        self.skip -= skipped as u64;
        if skipped > 0 {
            return Ok(skipped);
        }
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is in it is right between any two statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use strata_testing::image as fixture;

    /// A layer that counts how often it is made, in small pieces.
    struct Counted {
        layer: Arc<dyn Layer>,
        made: Arc<AtomicUsize>,
    }

    impl Layer for Counted {
        fn descriptor(&self) -> &Descriptor {
            self.layer.descriptor()
        }

        fn diff_id(&self) -> Digest {
            self.layer.diff_id()
        }

        fn recipe(&self) -> Option<&Recipe> {
            None
        }

        fn write_to(&self, writer: &mut dyn Write) -> Result<()> {
            self.made.fetch_add(1, Ordering::Relaxed);
            let mut bytes = Vec::new();
            self.layer.write_to(&mut bytes)?;
            for piece in bytes.chunks(3) {
                thread::sleep(Duration::from_millis(1));
                writer.write_all(piece).map_err(Error::stream("x"))?;
            }
            Ok(())
        }
    }

    fn counted(text: &[u8]) -> (Arc<dyn Layer>, Arc<AtomicUsize>) {
        let layer = Arc::clone(&fixture::image(&[text]).layers[0]);
        let made = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&made);
        (Arc::new(Counted { layer, made }), counter)
    }

    fn bytes(layer: &dyn Layer) -> Vec<u8> {
        let mut bytes = Vec::new();
        layer.write_to(&mut bytes).unwrap();
        bytes
    }

    fn open(directory: &Path, most: u64) -> Arc<Blobs> {
        Arc::new(Blobs::open(directory.to_owned(), most).unwrap())
    }

    #[test]
    fn a_layer_is_made_once_for_all_and_kept() {
        let directory = tempfile::tempdir().unwrap();
        let blobs = open(directory.path(), 1 << 20);
        let (layer, made) = counted(b"a layer that takes its time");
        let digest = layer.descriptor().digest;
        let kept = blobs.kept(layer);
        assert!(blobs.get(digest).is_none());
        thread::scope(|scope| {
            for _ in 0..5 {
                let kept = &kept;
                scope.spawn(move || assert_eq!(Digest::of(&bytes(kept.as_ref())), digest));
            }
        });
        assert_eq!(made.load(Ordering::Relaxed), 1);
        while blobs.get(digest).is_none() {
            thread::yield_now();
        }
        let (file, size) = open(directory.path(), 1 << 20).get(digest).unwrap();
        assert_eq!(size, kept.descriptor().size);
        let mut read = vec![0; usize::try_from(size).unwrap()];
        file.read_exact_at(&mut read, 0).unwrap();
        assert_eq!(Digest::of(&read), digest);
    }

    #[test]
    fn what_was_damaged_is_not_served() {
        let directory = tempfile::tempdir().unwrap();
        let blobs = open(directory.path(), 1 << 20);
        let keep = |text: &str| {
            let descriptor = Descriptor::of("x", text.as_bytes());
            let made = blobs.keep(|writer| {
                writer
                    .write_all(text.as_bytes())
                    .map_err(Error::stream("x"))?;
                Ok(descriptor.clone())
            });
            made.unwrap().digest
        };
        let digest = keep("whole");
        assert!(blobs.get(digest).is_some());
        fs::write(directory.path().join(digest.hex()), "wrong").unwrap();
        assert!(blobs.get(digest).is_none(), "while it runs");
        assert_eq!(blobs.get(keep("whole")).unwrap().1, 5);
        fs::write(directory.path().join(digest.hex()), "w").unwrap();
        assert!(
            open(directory.path(), 9).get(digest).is_none(),
            "after a restart"
        );
    }

    #[test]
    fn the_least_recently_used_make_room() {
        let directory = tempfile::tempdir().unwrap();
        let blobs = open(directory.path(), 10);
        let keep = |text: &str, used: u64| {
            let descriptor = Descriptor::of("x", text.as_bytes());
            let made = blobs.keep(|writer| {
                writer
                    .write_all(text.as_bytes())
                    .map_err(Error::stream("x"))?;
                Ok(descriptor.clone())
            });
            let digest = made.unwrap().digest;
            if let Ok(file) = File::open(directory.path().join(digest.hex())) {
                let time = SystemTime::UNIX_EPOCH + Duration::from_secs(used);
                file.set_times(FileTimes::new().set_accessed(time)).unwrap();
            }
            digest
        };
        let (old, new) = (keep("1111", 1), keep("2222", 2));
        blobs.get(old);
        let third = keep("3333", 3);
        assert!(blobs.get(old).is_some(), "it was asked for");
        assert!(blobs.get(new).is_none() && blobs.get(third).is_some());
        assert!(blobs.get(keep("more than there is room", 4)).is_none());
        assert!(blobs.size() <= 10);
    }

    #[test]
    fn without_a_place_to_keep_it_a_layer_is_still_sent() {
        let directory = tempfile::tempdir().unwrap();
        let blobs = open(&directory.path().join("blobs"), 1 << 20);
        let (layer, made) = counted(b"a layer");
        let digest = layer.descriptor().digest;
        fs::remove_dir_all(directory.path().join("blobs")).unwrap();
        assert_eq!(Digest::of(&bytes(blobs.kept(layer).as_ref())), digest);
        assert_eq!(made.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn what_others_left_goes_and_what_they_write_stays() {
        let directory = tempfile::tempdir().unwrap();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let left = directory.path().join(format!("{INCOMING}{}-x", child.id()));
        let written = directory.path().join(format!("{INCOMING}1-x"));
        fs::write(&left, "").unwrap();
        fs::write(&written, "").unwrap();
        open(directory.path(), 1);
        assert!(!left.exists() && written.exists());
    }
}
