//! What this user pushed before: what layers were called when they were compressed, and which repositories
//! of a registry have a blob. One small file for each; they save work and nothing depends on them: files can
//! be deleted at any time, several processes may use them at once, and a registry is always asked for the
//! blob.

mod folder;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use strata_oci::{Compression, Descriptor, Digest};

use folder::Folder;

/// Names of layers. Another form of files gets another folder.
const NAMES: &str = "compressed-layers-1";
/// Places of blobs.
const REPOSITORIES: &str = "repositories-1";
/// The most files of each.
const MOST_FILES: usize = 8192;
/// The most repositories that are remembered of a blob: where it was pushed last.
const MOST_REPOSITORIES: usize = 4;

/// A directory of what was pushed, by one user to one registry.
pub struct Cache {
    names: Folder,
    repositories: Folder,
    /// The registry and the user, in a form for names of files.
    owner: String,
}

/// What a layer was called.
#[derive(Serialize, Deserialize)]
struct Name {
    digest: Digest,
    size: u64,
    /// Where its table is, if it has one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    table: BTreeMap<String, String>,
}

impl Cache {
    /// The cache in a directory that need not exist. What `user` pushed to a `registry` is mounted for the same
    /// user in the same registry only.
    pub fn new(directory: &Path, registry: &str, user: &str) -> Self {
        let owner = Digest::of(format!("{registry}\n{user}").as_bytes());
        let mut owner = owner.hex();
        owner.truncate(16);
        Self {
            names: Folder(directory.join(NAMES)),
            repositories: Folder(directory.join(REPOSITORIES)),
            owner,
        }
    }

    /// What a layer was called when it was compressed like this.
    pub fn find(&self, diff_id: Digest, compression: Compression) -> Option<Descriptor> {
        let Name {
            digest,
            size,
            table,
        } = self.names.read(&name_of(diff_id, compression))?;
        let mut blob = Descriptor::new(compression.media_type(), digest, size);
        blob.set_table_annotations(table);
        Some(blob)
    }

    /// Remembers what a layer is called. That this fails is nobody's problem.
    pub fn keep(&self, diff_id: Digest, compression: Compression, blob: &Descriptor) {
        let name = Name {
            digest: blob.digest,
            size: blob.size,
            table: blob.table_annotations(),
        };
        self.names.write(&name_of(diff_id, compression), &name);
    }

    /// The repositories of the registry that have a blob, as far as we put it there; the newest first.
    pub fn repositories(&self, blob: &Digest) -> Vec<String> {
        let read: Option<Vec<String>> = self.repositories.read(&self.place_of(blob));
        let mut found = read.unwrap_or_default();
        found.truncate(MOST_REPOSITORIES);
        found
    }

    /// Remembers that a repository of the registry has a blob. That this fails is nobody's problem.
    pub fn keep_repository(&self, blob: &Digest, repository: &str) {
        let mut known = self.repositories(blob);
        if known.first().is_some_and(|newest| newest == repository) {
            return;
        }
        known.retain(|other| other != repository);
        known.insert(0, repository.to_owned());
        known.truncate(MOST_REPOSITORIES);
        self.repositories.write(&self.place_of(blob), &known);
    }

    /// Removes the oldest files when there are too many.
    pub fn prune(&self) {
        self.names.prune_to(MOST_FILES);
        self.repositories.prune_to(MOST_FILES);
    }

    fn place_of(&self, blob: &Digest) -> String {
        format!("{}-{}", blob.hex(), self.owner)
    }
}

fn name_of(diff_id: Digest, compression: Compression) -> String {
    let method = compression.to_string().replace(':', "-");
    format!("{}-{method}", diff_id.hex())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use strata_oci::{TABLE_DIGEST, TABLE_POSITION, TAR_SPLIT_POSITION};

    fn cache(directory: &Path) -> Cache {
        Cache::new(directory, "r.example", "user")
    }

    /// What one may read, another may not; and no repository is of two registries.
    #[test]
    fn repositories_are_kept_by_registry_and_user() {
        let directory = tempfile::tempdir().unwrap();
        let ours = cache(directory.path());
        let blob = Digest::of(b"blob");
        for repository in ["a", "b", "c", "d", "b", "e"] {
            ours.keep_repository(&blob, repository);
        }
        assert_eq!(ours.repositories(&blob), ["e", "b", "d", "c"]);
        assert_eq!(ours.repositories(&Digest::of(b"other")), [""; 0]);
        for (registry, user) in [
            ("r.example", "other"),
            ("r.example:1", "user"),
            ("r.example", ""),
        ] {
            let other = Cache::new(directory.path(), registry, user);
            assert_eq!(other.repositories(&blob), [""; 0], "{registry} {user}");
        }
    }

    #[test]
    fn names_are_kept_by_method_and_level() {
        let directory = tempfile::tempdir().unwrap();
        let cache = cache(&directory.path().join("missing"));
        let diff_id = Digest::of(b"layer");
        assert_eq!(cache.find(diff_id, Compression::GZIP), None);
        let blob = Descriptor::of(Compression::GZIP.media_type(), b"blob");
        cache.keep(diff_id, Compression::GZIP, &blob);
        assert_eq!(cache.find(diff_id, Compression::GZIP), Some(blob));
        for other in [Compression::Gzip { level: 9 }, Compression::ZSTD] {
            assert_eq!(cache.find(diff_id, other), None);
        }
        assert_eq!(cache.find(Digest::of(b"other"), Compression::GZIP), None);
        let mut blob = Descriptor::of(Compression::ZSTD.media_type(), b"with a table");
        let names = [TABLE_DIGEST, TABLE_POSITION, TAR_SPLIT_POSITION];
        blob.annotations = names.map(|name| (name.to_owned(), "x".to_owned())).into();
        cache.keep(diff_id, Compression::ZSTD_CHUNKED, &blob);
        assert_eq!(cache.find(diff_id, Compression::ZSTD_CHUNKED), Some(blob));
    }

    #[test]
    fn what_is_no_entry_is_not_found_and_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let cache = cache(directory.path());
        let diff_id = Digest::of(b"layer");
        let blob = Descriptor::of(Compression::ZSTD.media_type(), b"blob");
        cache.keep(diff_id, Compression::ZSTD, &blob);
        let path = cache.names.0.join(name_of(diff_id, Compression::ZSTD));
        for content in ["", "{}", "{\"digest\":\"sha256:0\",\"size\":1}", "\u{0}"] {
            fs::write(&path, content).unwrap();
            assert_eq!(cache.find(diff_id, Compression::ZSTD), None, "{content}");
        }
        cache.keep(diff_id, Compression::ZSTD, &blob);
        assert_eq!(cache.find(diff_id, Compression::ZSTD), Some(blob));
        let unwritable = Cache::new(Path::new("/proc/nowhere"), "", "");
        unwritable.keep(diff_id, Compression::ZSTD, &Descriptor::of("", b""));
        unwritable.prune();
    }

    #[test]
    fn the_cache_has_a_limit() {
        let directory = tempfile::tempdir().unwrap();
        let cache = cache(directory.path());
        for number in 0..9_u8 {
            cache.keep(
                Digest::of(&[number]),
                Compression::GZIP,
                &Descriptor::of("", b""),
            );
        }
        let count = || fs::read_dir(&cache.names.0).unwrap().count();
        cache.names.prune_to(9);
        assert_eq!(count(), 9);
        cache.names.prune_to(8);
        assert_eq!(count(), 6);
    }
}
