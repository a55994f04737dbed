//! skopeo's `dir:` format: a flat directory with the manifest, and each blob under its hex digits
//! (containers-transports(5); the format is skopeo's own and not standardized).

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rustix::fs::FileType;

use super::blob::{Blob, blobs};
use super::lock::Lock;
use super::open_directory::{Found, OpenDirectory, kind_of};
use super::staging::{self, Staging};
use super::target::Target;
use strata_error::{Error, Result};
use strata_image::ManifestOrIndexRef;
use strata_oci::Digest;
use strata_progress::{Context, Outcome};

/// The file that marks such a directory, and what it says.
const VERSION_FILE: &str = "version";
const VERSION: &str = "Directory Transport Version: 1.1\n";
/// The file that marks such a directory has one line.
const LARGEST_VERSION: u64 = 64 << 10;
/// The manifest or index, which is not under its digest.
pub const MANIFEST_FILE: &str = "manifest.json";
/// How the names of an index's manifests end.
const MANIFEST_END: &str = ".manifest.json";

/// Copies an image, or an index with its images as `skopeo copy --all` does, to the directory at
/// `path`, which holds nothing else.
///
/// A new directory appears whole. An image that is there already is replaced, as skopeo does, and
/// blobs that the new one does not need are removed. An empty directory is filled; any other one is
/// an error. After an error everything is as it was. Two copies at a time take turns.
pub fn write<'a>(
    root: impl Into<ManifestOrIndexRef<'a>>,
    path: &Path,
    context: Context<'_>,
) -> Result<()> {
    let root = root.into();
    let manifests: BTreeSet<Digest> = root
        .images()
        .iter()
        .map(|image| image.manifest_descriptor.digest)
        .collect();
    publish(path, context, |filling| {
        for (digest, blob) in blobs(root) {
            if digest == root.digest() {
                filling.write_blob(MANIFEST_FILE, &blob, context)?;
                continue;
            }
            let name = if manifests.contains(&digest) {
                format!("{}{MANIFEST_END}", digest.hex())
            } else {
                digest.hex()
            };
            if filling.keep(&name, blob.descriptor().size) {
                context.progress.begin(blob.descriptor());
                context.progress.finish(blob.descriptor(), Outcome::Present);
            } else {
                filling.write_blob(&name, &blob, context)?;
            }
        }
        Ok(())
    })
}

/// A directory that is being filled: new files, and what is kept of those that are there.
pub struct Filling<'a> {
    path: &'a Path,
    /// What is there already; its lock is held.
    old: Option<&'a OpenDirectory>,
    new: &'a OpenDirectory,
    /// The sizes of the files that stay, by their names.
    kept: Mutex<BTreeMap<String, u64>>,
}

impl Filling<'_> {
    /// Whether a file of this name and size is there already. Then it stays.
    pub fn keep(&self, name: &str, size: u64) -> bool {
        let is_there = self.old.is_some_and(|old| old.has_file(name, size));
        if is_there {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.insert(name.to_owned(), size);
        }
        is_there
    }

    /// A new file of this name, open for writing.
    pub fn create(&self, name: &str) -> Result<File> {
        let file = self.new.create(name);
        file.map_err(Error::io("write", self.path))
    }

    /// Writes a new file.
    pub fn write_bytes(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.new.write_bytes(name, bytes, self.path)
    }

    fn write_blob(&self, name: &str, blob: &Blob<'_>, context: Context<'_>) -> Result<()> {
        self.new.write_blob(name, blob, self.path, context)
    }
}

/// Makes the directory at `path` hold what `fill` writes and keeps of what is there, and nothing else.
///
/// A directory that is there is locked from the moment at which it is looked what is in it until the
/// manifest has been replaced.
pub fn publish(
    path: &Path,
    context: Context<'_>,
    fill: impl FnOnce(&Filling<'_>) -> Result<()>,
) -> Result<()> {
    let mut fill = Some(fill);
    let mut write = |old: Option<&OpenDirectory>, staging: &Staging<'_>| {
        let filling = Filling {
            path,
            old,
            new: staging.content(),
            kept: Mutex::default(),
        };
        if let Some(fill) = fill.take() {
            fill(&filling)?;
        }
        filling.write_bytes(VERSION_FILE, VERSION.as_bytes())?;
        let kept = filling.kept.into_inner();
        Ok(kept.unwrap_or_else(PoisonError::into_inner))
    };
    if let Some(old) = find(path)? {
        staging::remove_stale_at(&path.join(".."));
        let _lock = Lock::take(&old, context)?;
        let staging = Staging::new(&old)?;
        let kept = write(Some(&old), &staging)?;
        return replace(staging.content(), &old, &kept);
    }
    let target = Target::find(path)?;
    let staging = Staging::new(&target.above)?;
    let kept = write(None, &staging)?;
    if target.rename_content(&staging)? {
        return Ok(());
    }
    // Another copy made one meanwhile. All that is needed is in the new one.
    let gone = || Error::io("write", path)(io::ErrorKind::NotFound.into());
    let old = find(path)?.ok_or_else(gone)?;
    let _lock = Lock::take(&old, context)?;
    replace(staging.content(), &old, &kept)
}

/// Moves the new files in, the manifest after its blobs, and removes what only the old image used.
fn replace(new: &OpenDirectory, old: &OpenDirectory, kept: &BTreeMap<String, u64>) -> Result<()> {
    let mut names = new.names()?;
    // The mark first: a directory with blobs and without it is nothing that another copy would replace.
    names.sort_by_key(|name| match name.as_str() {
        VERSION_FILE => 0,
        MANIFEST_FILE => 2,
        _ => 1,
    });
    for name in &names {
        if name == MANIFEST_FILE {
            // The blobs are there, and on the disk, before the manifest names them.
            if let Some((name, _)) = kept.iter().find(|(name, size)| !old.has_file(name, **size)) {
                return Err(changed(&old.path().join(name)));
            }
            old.sync();
        }
        new.move_file(name, old, name)?;
    }
    old.sync();
    let needed: BTreeSet<&String> = names.iter().chain(kept.keys()).collect();
    for name in old.names()? {
        let hex = name.strip_suffix(MANIFEST_END).unwrap_or(&name);
        let is_blob = hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_old = (is_blob || name.starts_with("signature-")) && !needed.contains(&name);
        // What is no file is nobody's blob.
        let is_directory =
            || (old.stat_at(&name)).is_ok_and(|stat| kind_of(&stat) == FileType::Directory);
        if is_old && !is_directory() {
            let removed = old.remove_file(&name);
            removed.map_err(Error::io("remove", old.path().join(&name)))?;
        }
    }
    Ok(())
}

/// The error for a blob that was there when it was looked for, and is not any more.
pub(crate) fn changed(path: &Path) -> Error {
    Error::Mismatch {
        what: path.display().to_string(),
        expected: "a blob that stays while it is needed".to_owned(),
        found: "a change during the copy".to_owned(),
        hint: "another program writes there; copy again".to_owned(),
    }
}

/// Opens the directory at `path`, `None` if there is nothing. What is neither such a directory nor empty is
/// an error.
fn find(path: &Path) -> Result<Option<OpenDirectory>> {
    let error = |message: &str| Error::Document {
        document: path.display().to_string(),
        message: message.to_owned(),
        hint: "name a new directory, or one that dir: wrote before".to_owned(),
    };
    let directory = match OpenDirectory::find(path)? {
        Found::Directory(directory) => directory,
        Found::Other => return Err(error("exists and is not a directory")),
        Found::Nothing => return Ok(None),
    };
    match directory.read(VERSION_FILE, LARGEST_VERSION)? {
        Some(version) if version.starts_with(b"Directory Transport Version: ") => {}
        None if (directory.names()?.iter()).all(|name| staging::is_temporary(name)) => {}
        _ => return Err(error("exists and was not written by dir:")),
    }
    Ok(Some(directory))
}

#[cfg(test)]
mod tests {
    use super::*;
    use strata_progress::Context;
    use strata_testing::image as fixture;
    use strata_testing::image::interrupted;

    #[test]
    fn a_new_directory_holds_the_manifest_and_every_blob() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b");
        let image = fixture::image(&[b"one", b"two"]);
        write(&image, &path, Context::silent()).unwrap();
        assert_eq!(
            std::fs::read(path.join(MANIFEST_FILE)).unwrap(),
            image.manifest_bytes
        );
        assert_eq!(
            std::fs::read_to_string(path.join(VERSION_FILE)).unwrap(),
            VERSION
        );
        for layer in &image.layers {
            let digest = layer.descriptor().digest;
            assert_eq!(
                Digest::of(&std::fs::read(path.join(digest.hex())).unwrap()),
                digest
            );
        }
        assert_eq!(fixture::files(directory.path()).len(), 5);
    }

    #[test]
    fn a_directory_that_another_copy_makes_meanwhile_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new");
        let (one, two) = (fixture::image(&[b"one"]), fixture::image(&[b"two"]));
        let other = fixture::Meanwhile::new(|| write(&one, &path, Context::silent()).unwrap());
        write(&two, &path, Context::silent().watched_by(&other)).unwrap();
        assert_eq!(
            std::fs::read(path.join(MANIFEST_FILE)).unwrap(),
            two.manifest_bytes
        );
        assert_eq!(fixture::files(directory.path()).len(), 4);
    }

    #[test]
    fn another_image_takes_the_place_of_the_first() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        write(&fixture::image(&[b"one", b"two"]), path, Context::silent()).unwrap();
        let watcher = fixture::Watcher::default();
        let image = fixture::image(&[b"two", b"three"]);
        write(&image, path, Context::silent().watched_by(&watcher)).unwrap();
        assert_eq!(watcher.count(Outcome::Present), 1);
        assert_eq!(
            std::fs::read(path.join(MANIFEST_FILE)).unwrap(),
            image.manifest_bytes
        );
        assert_eq!(fixture::files(path).len(), 5);
        assert!(!path.join(Digest::of(b"one").hex()).exists());
    }

    #[test]
    fn an_interrupted_copy_leaves_everything_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        write(&fixture::image(&[b"one"]), path, Context::silent()).unwrap();
        let before = fixture::files(path);
        let error = write(&fixture::image(&[b"two"]), path, interrupted()).unwrap_err();
        assert!(matches!(error, Error::Interrupted), "{error}");
        assert_eq!(fixture::files(path), before);
    }

    #[test]
    fn other_directories_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let note = directory.path().join("note");
        std::fs::write(&note, "x").unwrap();
        let image = fixture::image(&[b"one"]);
        let error = write(&image, directory.path(), Context::silent()).unwrap_err();
        assert!(
            error.to_string().contains("was not written by dir:"),
            "{error}"
        );
        let error = write(&image, &note, Context::silent()).unwrap_err();
        assert!(error.to_string().contains("not a directory"), "{error}");
        assert_eq!(fixture::files(directory.path()), [note]);
    }

    /// What the links and pipes in a directory lead to is neither read nor written.
    #[test]
    fn a_directory_does_not_lead_elsewhere() {
        let directory = tempfile::tempdir().unwrap();
        let (path, outside) = (directory.path().join("a"), directory.path().join("b"));
        let (one, two) = (fixture::image(&[b"one"]), fixture::image(&[b"two"]));
        write(&one, &path, Context::silent()).unwrap();
        std::fs::write(&outside, "two").unwrap();
        let link = |name: &str| {
            let _ = std::fs::remove_file(path.join(name));
            std::os::unix::fs::symlink(&outside, path.join(name)).unwrap();
        };
        let blob = Digest::of(b"two").hex();
        link(&blob);
        link(MANIFEST_FILE);
        link(&Digest::of(b"of no image").hex());
        // A directory is nobody's blob.
        let strange = path.join(Digest::of(b"strange").hex());
        std::fs::create_dir(&strange).unwrap();
        write(&two, &path, Context::silent()).unwrap();
        assert!(!path.join(&blob).is_symlink() && !path.join(MANIFEST_FILE).is_symlink());
        assert_eq!(std::fs::read(path.join(&blob)).unwrap(), b"two");
        assert_eq!(std::fs::read(&outside).unwrap(), b"two");
        assert_eq!(fixture::files(&path).len(), 4);
        assert!(strange.exists());

        link(VERSION_FILE);
        let error = write(&one, &path, Context::silent()).unwrap_err();
        assert!(error.to_string().ends_with("version: a symlink"), "{error}");
        std::fs::remove_file(path.join(VERSION_FILE)).unwrap();
        fixture::make_pipe(&path.join(VERSION_FILE));
        let error = write(&one, &path, Context::silent()).unwrap_err();
        assert!(
            error.to_string().ends_with("version: not a file"),
            "{error}"
        );
    }
}
