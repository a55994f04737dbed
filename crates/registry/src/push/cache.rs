//! What layers were called when this user compressed them before: one small file for each, named by the
//! diff ID, the method and the level. It saves work and nothing depends on it: files can be deleted at
//! any time, several processes may use it at once, and a registry is always asked for the blob.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use strata_oci::{Compression, Descriptor, Digest, json};

/// The folder in the cache's directory. Another form of files gets another folder.
const FOLDER: &str = "compressed-layers-1";
/// The most files. When there are more, the oldest are removed.
const MOST_FILES: usize = 8192;
/// The largest file that is read, in bytes.
const LARGEST_FILE: u64 = 1024;

/// A directory of names.
pub(super) struct Cache {
    folder: PathBuf,
}

/// What a file says.
#[derive(Serialize, Deserialize)]
struct Entry {
    digest: Digest,
    size: u64,
}

impl Cache {
    /// The cache in a directory that need not exist.
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            folder: directory.join(FOLDER),
        }
    }

    /// What a layer was called when it was compressed like this.
    pub(super) fn find(&self, diff_id: Digest, compression: Compression) -> Option<Descriptor> {
        let path = self.path(diff_id, compression);
        // Anything else could keep whoever reads it waiting.
        fs::symlink_metadata(&path)
            .ok()
            .filter(fs::Metadata::is_file)?;
        let mut bytes = Vec::new();
        let file = File::open(path).ok()?;
        file.take(LARGEST_FILE).read_to_end(&mut bytes).ok()?;
        let Entry { digest, size } = serde_json::from_slice(&bytes).ok()?;
        Some(Descriptor::new(compression.media_type(), digest, size))
    }

    /// Remembers what a layer is called. That this fails is nobody's problem.
    pub(super) fn keep(&self, diff_id: Digest, compression: Compression, blob: &Descriptor) {
        let entry = Entry {
            digest: blob.digest,
            size: blob.size,
        };
        let write = || -> std::io::Result<()> {
            fs::create_dir_all(&self.folder)?;
            let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
            file.write_all(&json::to_bytes(&entry))?;
            file.persist(self.path(diff_id, compression))?;
            Ok(())
        };
        let _ = write();
    }

    /// Removes the oldest files when there are too many.
    pub(super) fn prune(&self) {
        self.prune_to(MOST_FILES);
    }

    fn prune_to(&self, most: usize) {
        let Ok(entries) = fs::read_dir(&self.folder) else {
            return;
        };
        let mut files: Vec<(SystemTime, PathBuf)> = entries
            .flatten()
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        if files.len() <= most {
            return;
        }
        files.sort();
        // A few more than needed, so that this is rare.
        let surplus = files.len() - most * 3 / 4;
        for (_, path) in files.into_iter().take(surplus) {
            let _ = fs::remove_file(path);
        }
    }

    fn path(&self, diff_id: Digest, compression: Compression) -> PathBuf {
        let method = compression.to_string().replace(':', "-");
        self.folder.join(format!("{}-{method}", diff_id.hex()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_by_method_and_level() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::new(&directory.path().join("missing"));
        let diff_id = Digest::of(b"layer");
        assert_eq!(cache.find(diff_id, Compression::GZIP), None);
        let blob = Descriptor::of(Compression::GZIP.media_type(), b"blob");
        cache.keep(diff_id, Compression::GZIP, &blob);
        assert_eq!(cache.find(diff_id, Compression::GZIP), Some(blob));
        for other in [Compression::Gzip { level: 9 }, Compression::ZSTD] {
            assert_eq!(cache.find(diff_id, other), None);
        }
        assert_eq!(cache.find(Digest::of(b"other"), Compression::GZIP), None);
    }

    #[test]
    fn what_is_no_entry_is_not_found_and_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::new(directory.path());
        let diff_id = Digest::of(b"layer");
        let blob = Descriptor::of(Compression::ZSTD.media_type(), b"blob");
        cache.keep(diff_id, Compression::ZSTD, &blob);
        let path = cache.path(diff_id, Compression::ZSTD);
        for content in ["", "{}", "{\"digest\":\"sha256:0\",\"size\":1}", "\u{0}"] {
            fs::write(&path, content).unwrap();
            assert_eq!(cache.find(diff_id, Compression::ZSTD), None, "{content}");
        }
        cache.keep(diff_id, Compression::ZSTD, &blob);
        assert_eq!(cache.find(diff_id, Compression::ZSTD), Some(blob));
        let unwritable = Cache::new(Path::new("/proc/nowhere"));
        unwritable.keep(diff_id, Compression::ZSTD, &Descriptor::of("", b""));
        unwritable.prune();
    }

    #[test]
    fn the_cache_has_a_limit() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::new(directory.path());
        for number in 0..9_u8 {
            cache.keep(
                Digest::of(&[number]),
                Compression::GZIP,
                &Descriptor::of("", b""),
            );
        }
        let count = || fs::read_dir(&cache.folder).unwrap().count();
        cache.prune_to(9);
        assert_eq!(count(), 9);
        cache.prune_to(8);
        assert_eq!(count(), 6);
    }
}
