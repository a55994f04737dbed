//! A directory of small files in JSON.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::SystemTime;

use serde::Serialize;
use serde::de::DeserializeOwned;

use strata_oci::json;

/// The largest file that is read, in bytes: some names of repositories, of 255 bytes each.
const LARGEST_FILE: u64 = 2048;

/// The directory, which need not exist.
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    /// What a file says; none if it is not there, or is not what we wrote.
    pub(super) fn read<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let path = self.0.join(name);
        // Anything else could keep whoever reads it waiting.
        fs::symlink_metadata(&path)
            .ok()
            .filter(fs::Metadata::is_file)?;
        let mut bytes = Vec::new();
        let file = File::open(path).ok()?;
        file.take(LARGEST_FILE).read_to_end(&mut bytes).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Replaces a file. That this fails is nobody's problem.
    pub(super) fn write(&self, name: &str, content: &impl Serialize) {
        let write = || -> std::io::Result<()> {
            fs::create_dir_all(&self.0)?;
            let mut file = tempfile::NamedTempFile::new_in(&self.0)?;
            file.write_all(&json::to_bytes(content))?;
            file.persist(self.0.join(name))?;
            Ok(())
        };
        let _ = write();
    }

    /// Removes the oldest files when there are more than `most`.
    pub(super) fn prune_to(&self, most: usize) {
        let Ok(entries) = fs::read_dir(&self.0) else {
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
}
