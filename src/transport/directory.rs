//! skopeo's `dir:` format: a flat directory with the manifest, and each blob under its hex digits
//! (containers-transports(5); the format is skopeo's own and not standardized).

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use super::blob::{Blob, blobs};
use super::{Outcome, Progress, staging};
use crate::image::Image;
use crate::{Error, Result};

/// The file that marks such a directory, and what it says.
const VERSION_FILE: &str = "version";
const VERSION: &str = "Directory Transport Version: 1.1\n";
/// The manifest, which is not under its digest.
const MANIFEST_FILE: &str = "manifest.json";

/// Copies `image` to the directory at `path`, which holds one image.
///
/// A new directory appears whole. An image that is there already is replaced, as skopeo does, and
/// blobs that the new one does not need are removed. An empty directory is filled; any other one is
/// an error. After an error everything is as it was.
pub fn write(image: &Image, path: &Path, progress: &dyn Progress) -> Result<()> {
    let exists = path.symlink_metadata().is_ok();
    if exists {
        check_directory(path)?;
    }
    let above = staging::directory_above(path);
    let staging = staging::directory_in(if exists { path } else { &above })?;
    let mut kept = BTreeSet::new();
    for (digest, blob) in blobs(image) {
        let name = match blob {
            Blob::Document(descriptor, _) if *descriptor == image.manifest_descriptor => {
                MANIFEST_FILE.to_owned()
            }
            _ => digest.hex(),
        };
        let is_blob = name != MANIFEST_FILE;
        if is_blob && staging::is_present(&path.join(&name), blob.descriptor().size) {
            progress.begin(blob.descriptor());
            progress.finish(blob.descriptor(), Outcome::Present);
        } else {
            staging::write_blob(&staging.path().join(&name), &blob, path, progress)?;
        }
        kept.insert(name);
    }
    staging::write_bytes(&staging.path().join(VERSION_FILE), VERSION.as_bytes(), path)?;
    if exists {
        replace(staging.path(), path, &kept)
    } else {
        staging::rename(staging.path(), path)
    }
}

/// Moves the new files in, the manifest after its blobs, and removes what only the old image used.
fn replace(staging: &Path, path: &Path, kept: &BTreeSet<String>) -> Result<()> {
    let new = names(staging)?;
    let is_manifest = |name: &&String| *name == MANIFEST_FILE;
    for name in new
        .iter()
        .filter(|name| !is_manifest(name))
        .chain(new.iter().filter(is_manifest))
    {
        staging::rename(&staging.join(name), &path.join(name))?;
    }
    for name in names(path)? {
        let is_blob = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        if (is_blob || name.starts_with("signature-")) && !kept.contains(&name) {
            let file = path.join(name);
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
    match std::fs::read_to_string(path.join(VERSION_FILE)) {
        Ok(version) if version.starts_with("Directory Transport Version: ") => Ok(()),
        Err(source) if source.kind() == io::ErrorKind::NotFound && names(path)?.is_empty() => {
            Ok(())
        }
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
    use super::super::fixture::{self, Interrupting};
    use super::*;
    use crate::oci::Digest;
    use crate::transport::Silent;

    #[test]
    fn a_new_directory_holds_the_manifest_and_every_blob() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b");
        let image = fixture::image(&[b"one", b"two"]);
        write(&image, &path, &Silent).unwrap();
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
    fn another_image_takes_the_place_of_the_first() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        write(&fixture::image(&[b"one", b"two"]), path, &Silent).unwrap();
        let watcher = fixture::Watcher::default();
        let image = fixture::image(&[b"two", b"three"]);
        write(&image, path, &watcher).unwrap();
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
        write(&fixture::image(&[b"one"]), path, &Silent).unwrap();
        let before = fixture::files(path);
        let error = write(&fixture::image(&[b"two"]), path, &Interrupting).unwrap_err();
        assert!(matches!(error, Error::Interrupted), "{error}");
        assert_eq!(fixture::files(path), before);
    }

    #[test]
    fn other_directories_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let note = directory.path().join("note");
        std::fs::write(&note, "x").unwrap();
        let image = fixture::image(&[b"one"]);
        let error = write(&image, directory.path(), &Silent).unwrap_err();
        assert!(
            error.to_string().contains("was not written by dir:"),
            "{error}"
        );
        let error = write(&image, &note, &Silent).unwrap_err();
        assert!(error.to_string().contains("not a directory"), "{error}");
        assert_eq!(fixture::files(directory.path()), [note]);
    }
}
