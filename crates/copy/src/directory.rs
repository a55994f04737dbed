//! skopeo's `dir:` format: a flat directory with the manifest, and each blob under its hex digits
//! (containers-transports(5); the format is skopeo's own and not standardized).

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use super::blob::blobs;
use super::staging;
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
/// an error. After an error everything is as it was.
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
    publish(path, |staging| {
        let mut kept = BTreeSet::new();
        for (digest, blob) in blobs(root) {
            let name = if digest == root.digest() {
                MANIFEST_FILE.to_owned()
            } else if manifests.contains(&digest) {
                format!("{}{MANIFEST_END}", digest.hex())
            } else {
                digest.hex()
            };
            let is_blob = name != MANIFEST_FILE;
            if is_blob && staging::is_present(&path.join(&name), blob.descriptor().size) {
                context.progress.begin(blob.descriptor());
                context.progress.finish(blob.descriptor(), Outcome::Present);
            } else {
                staging::write_blob(&staging.join(&name), &blob, path, context)?;
            }
            kept.insert(name);
        }
        Ok(kept)
    })
}

/// Makes the directory at `path` hold what `fill` writes into a temporary one, and what it keeps of
/// what is there: the names that it gives.
pub fn publish(path: &Path, fill: impl FnOnce(&Path) -> Result<BTreeSet<String>>) -> Result<()> {
    let exists = path.symlink_metadata().is_ok();
    if exists {
        check_directory(path)?;
    }
    let above = staging::directory_above(path);
    let staging = staging::directory_in(if exists { path } else { &above })?;
    let kept = fill(staging.path())?;
    staging::write_bytes(&staging.path().join(VERSION_FILE), VERSION.as_bytes(), path)?;
    if !exists {
        if staging::rename_directory(staging.path(), path)? {
            return Ok(());
        }
        check_directory(path)?;
    }
    replace(staging.path(), path, &kept)
}

/// Moves the new files in, the manifest after its blobs, and removes what only the old image used.
fn replace(staging: &Path, path: &Path, kept: &BTreeSet<String>) -> Result<()> {
    let mut new = names(staging)?;
    // The mark first: a directory with blobs and without it is nothing that another copy would replace.
    new.sort_by_key(|name| match name.as_str() {
        VERSION_FILE => 0,
        MANIFEST_FILE => 2,
        _ => 1,
    });
    for name in new {
        if name == MANIFEST_FILE {
            // The blobs are on the disk before the manifest names them.
            staging::sync_directory(path);
        }
        staging::move_to(&staging.join(&name), &path.join(&name))?;
    }
    staging::sync_directory(path);
    for name in names(path)? {
        let hex = name.strip_suffix(MANIFEST_END).unwrap_or(&name);
        let is_blob = hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        let file = path.join(&name);
        let is_old = (is_blob || name.starts_with("signature-")) && !kept.contains(&name);
        // What is no file is nobody's blob.
        if is_old
            && file
                .symlink_metadata()
                .is_ok_and(|metadata| !metadata.is_dir())
        {
            std::fs::remove_file(&file).map_err(Error::io("remove", &file))?;
        }
    }
    Ok(())
}

/// Refuses what is neither such a directory nor empty.
fn check_directory(path: &Path) -> Result<()> {
    let error = |message: &str| Error::Document {
        document: path.display().to_string(),
        message: message.to_owned(),
        hint: "name a new directory, or one that dir: wrote before".to_owned(),
    };
    if !path.is_dir() {
        return Err(error("exists and is not a directory"));
    }
    match staging::read_own(&path.join(VERSION_FILE), LARGEST_VERSION)? {
        Some(version) if version.starts_with(b"Directory Transport Version: ") => Ok(()),
        None if names(path)?.iter().all(|name| staging::is_temporary(name)) => Ok(()),
        _ => Err(error("exists and was not written by dir:")),
    }
}

/// The names in a directory, sorted; those that are not UTF-8 are nobody's blobs.
fn names(path: &Path) -> Result<Vec<String>> {
    let entries = path
        .read_dir()
        .and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = entries.map_err(Error::io("read", path))?;
    let mut names: Vec<String> = entries
        .iter()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    Ok(names)
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
