//! Image layout directories (OCI image-layout.md).

use std::io;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::blob::blobs;
use super::directory::changed;
use super::lock::Lock;
use super::open_directory::{Found, OpenDirectory};
use super::staging::{self, Staging};
use super::target::Target;
use crate::CopyName;
use strata_error::{Error, Result};
use strata_image::ManifestOrIndexRef;
use strata_oci::layout::{self, INDEX_FILE, MARKER, MARKER_FILE};
use strata_oci::{Descriptor, Index, check_index_keys, json as canonical};
use strata_progress::{Context, Outcome};

/// No index that people make is larger; registries take manifests of 4 MiB.
const LARGEST_INDEX: u64 = 4 << 20;
/// The file that marks a layout has one short field.
const LARGEST_MARKER: u64 = 64 << 10;
/// The directories of the blobs, one in the other ([`layout::BLOBS`]).
const NAMES: [&str; 2] = ["blobs", "sha256"];

/// Copies an image, or an index with its images, to the layout at `path`.
///
/// A new layout appears whole. In an existing one the blobs that it lacks are added, and then the
/// entry of the index that has the same name is replaced; others stay. An empty directory counts
/// as a layout without images; any other directory is an error. After an error everything is as
/// it was; a process that is killed leaves at most blobs that no image of the layout has.
pub fn write<'a>(
    root: impl Into<ManifestOrIndexRef<'a>>,
    path: &Path,
    name: &CopyName,
    context: Context<'_>,
) -> Result<()> {
    let root = root.into();
    if let Some(place) = find(path)? {
        return add(root, path, &place, name, context);
    }
    let target = Target::find(path)?;
    let staging = Staging::new(&target.above)?;
    let new = staging.content();
    let algorithm = blobs_in(new)?;
    for (digest, blob) in blobs(root) {
        algorithm.write_blob(&digest.hex(), &blob, path, context)?;
    }
    let mut write = |name: &str, bytes: &[u8]| new.write_bytes(name, bytes, path);
    let mut writer = layout::Writer::new(&mut write);
    writer.marker()?;
    writer.index(&Index::new(vec![entry(root, name)]))?;
    if target.rename_content(&staging)? {
        return Ok(());
    }
    // Another copy made one meanwhile. The blobs are made again, which is rare enough.
    let gone = || Error::io("write", path)(io::ErrorKind::NotFound.into());
    add(root, path, &find(path)?.ok_or_else(gone)?, name, context)
}

/// The directory of the blobs in a layout; makes it.
pub(crate) fn blobs_in(place: &OpenDirectory) -> Result<OpenDirectory> {
    let [outer, inner] = NAMES;
    place.child_or_new(outer, 0o777)?.child_or_new(inner, 0o777)
}

/// The entry of an image or index in the index of a layout.
pub fn entry(root: ManifestOrIndexRef<'_>, name: &CopyName) -> Descriptor {
    let Descriptor {
        media_type,
        digest,
        size,
        ..
    } = root.descriptor();
    let mut descriptor = Descriptor::new(media_type, *digest, *size);
    for (key, value) in [
        (Index::REFERENCE_NAME, &name.reference),
        (Index::CONTAINERD_NAME, &name.full),
    ] {
        if let Some(value) = value {
            descriptor.annotations.insert(key.to_owned(), value.clone());
        }
    }
    descriptor
}

/// Adds the image to a layout that exists.
fn add(
    root: ManifestOrIndexRef<'_>,
    path: &Path,
    place: &OpenDirectory,
    name: &CopyName,
    context: Context<'_>,
) -> Result<()> {
    // A broken index is better found before gigabytes are written.
    read_index(place)?;
    let [outer, inner] = NAMES;
    let known = place.child(outer)?;
    let known = match &known {
        Some(known) => known.child(inner)?,
        None => None,
    };
    staging::remove_stale_at(&path.join(".."));
    let staging = Staging::new(place)?;
    let mut kept = Vec::new();
    for (digest, blob) in blobs(root) {
        let (name, size) = (digest.hex(), blob.descriptor().size);
        if (known.as_ref()).is_some_and(|known| known.has_file(&name, size)) {
            context.progress.begin(blob.descriptor());
            context.progress.finish(blob.descriptor(), Outcome::Present);
            kept.push((name, size));
        } else {
            let new = staging.content();
            new.write_blob(&name, &blob, path, context)?;
        }
    }
    let made = staging.content().names()?;
    let _lock = Lock::take(place, context)?;
    // First, because a directory with blobs and without it is nothing that another copy would add to.
    if place.stat_at(MARKER_FILE).is_err() {
        let new = staging.content();
        new.write_bytes(MARKER_FILE, MARKER, path)?;
        new.move_file(MARKER_FILE, place, MARKER_FILE)?;
    }
    let outer = place.child_or_new(outer, 0o777)?;
    // The same directory as before, wherever its name leads now.
    let algorithm = match known {
        Some(known) => known,
        None => outer.child_or_new(inner, 0o777)?,
    };
    for name in made {
        staging.content().move_file(&name, &algorithm, &name)?;
    }
    if let Some((name, _)) = kept
        .iter()
        .find(|(name, size)| !algorithm.has_file(name, *size))
    {
        return Err(changed(&algorithm.path().join(name)));
    }
    // The blobs are on the disk before the index names them.
    for directory in [&algorithm, &outer, place] {
        directory.sync();
    }
    let index = with_entry(read_index(place)?, &entry(root, name));
    let new = staging.content();
    new.write_bytes(INDEX_FILE, &canonical::to_bytes(&index), path)?;
    new.move_file(INDEX_FILE, place, INDEX_FILE)?;
    place.sync();
    Ok(())
}

/// An index as it was, with `entry` instead of what had its name, or its digest if it has no name.
/// The index stays JSON, because fields that Strata does not know must be kept.
fn with_entry(mut index: Map<String, Value>, entry: &Descriptor) -> Map<String, Value> {
    let name = |entry: &Value| {
        entry["annotations"][Index::REFERENCE_NAME]
            .as_str()
            .map(str::to_owned)
    };
    let new = json!(entry);
    let manifests = index.entry("manifests").or_insert_with(|| json!([]));
    if let Value::Array(manifests) = manifests {
        manifests.retain(|old| match (name(old), name(&new)) {
            (None, None) => old["digest"] != new["digest"],
            (old_name, new_name) => old_name != new_name,
        });
        manifests.push(new);
    }
    index
}

/// Opens the layout at `path`, `None` if there is nothing. What is neither a layout nor empty is an error.
fn find(path: &Path) -> Result<Option<OpenDirectory>> {
    let error = |message: &str| Error::Document {
        document: path.display().to_string(),
        message: message.to_owned(),
        hint: "name a new directory, or an OCI layout to add the image to".to_owned(),
    };
    let place = match OpenDirectory::find(path)? {
        Found::Directory(place) => place,
        Found::Other => return Err(error("exists and is not a directory")),
        Found::Nothing => return Ok(None),
    };
    match place.read(MARKER_FILE, LARGEST_MARKER)? {
        Some(marker) if layout::is_version_1(&marker) => {}
        Some(_) => return Err(error("its oci-layout file is not of version 1")),
        None if (place.names()?.iter()).all(|name| staging::is_temporary(name)) => {}
        None => return Err(error("exists and is not an OCI layout")),
    }
    Ok(Some(place))
}

/// The index of a layout; a new one if there is none yet.
fn read_index(place: &OpenDirectory) -> Result<Map<String, Value>> {
    let read = |name: &str| place.read(name, LARGEST_INDEX);
    let bytes = layout::Reader::new(&read).index()?;
    let bytes = bytes.unwrap_or_else(|| canonical::to_bytes(&Index::new(Vec::new())));
    parse_index(&bytes, &place.path().join(INDEX_FILE))
}

fn parse_index(bytes: &[u8], path: &Path) -> Result<Map<String, Value>> {
    let error = |message: String| Error::Document {
        document: path.display().to_string(),
        message,
        hint: "the layout is damaged; remove it or name another directory".to_owned(),
    };
    // Who reads the one and who the other would see other images, and what is written back has only one.
    check_index_keys(bytes).map_err(&error)?;
    match serde_json::from_slice(bytes).map_err(|source| error(source.to_string()))? {
        Value::Object(index) if index.get("manifests").is_some_and(Value::is_array) => Ok(index),
        // `umoci init` is written in Go, where an empty list may be null.
        Value::Object(mut index) if index.get("manifests") == Some(&Value::Null) => {
            index.insert("manifests".to_owned(), Value::Array(Vec::new()));
            Ok(index)
        }
        _ => Err(error("not an image index".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use strata_oci::layout::BLOBS;
    use strata_progress::Context;
    use strata_testing::image as fixture;
    use strata_testing::image::interrupted;

    fn name(tag: &str) -> CopyName {
        CopyName {
            reference: Some(tag.to_owned()),
            familiar: None,
            full: Some(format!("docker.io/library/hello:{tag}")),
        }
    }

    fn index(path: &Path) -> Value {
        serde_json::from_slice(&std::fs::read(path.join(INDEX_FILE)).unwrap()).unwrap()
    }

    fn files(path: &Path) -> Vec<PathBuf> {
        fixture::files(path)
    }

    #[test]
    fn a_new_layout_holds_every_blob() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/layout");
        let image = fixture::image(&[b"one", b"two", b"one"]);
        write(&image, &path, &name("a"), Context::silent()).unwrap();
        for (digest, blob) in blobs(&image) {
            let bytes = std::fs::read(path.join(BLOBS).join(digest.hex())).unwrap();
            assert_eq!(Descriptor::of("", &bytes).digest, blob.descriptor().digest);
        }
        assert_eq!(files(&path).len(), 2 + 4);
        let entry = &index(&path)["manifests"][0];
        assert_eq!(entry["annotations"][Index::REFERENCE_NAME], "a");
        assert_eq!(
            entry["annotations"][Index::CONTAINERD_NAME],
            "docker.io/library/hello:a"
        );
        assert_eq!(files(directory.path()).len(), 2 + 4);
    }

    /// Kind "Strangers' documents": what is written back has a key once, and would lose what the other one names.
    #[test]
    fn an_index_with_a_key_twice_is_not_changed() {
        for (text, message) in [
            (
                r#"{"schemaVersion":2,"manifests":[],"manifests":[]}"#,
                "is there twice",
            ),
            (
                r#"{"schemaVersion":2,"Manifests":[]}"#,
                "\"Manifests\" is written \"manifests\"",
            ),
        ] {
            let error = parse_index(text.as_bytes(), Path::new("index.json")).unwrap_err();
            assert!(error.to_string().contains(message), "{error}");
        }
        let null = br#"{"manifests":null,"annotations":null}"#;
        let index = parse_index(null, Path::new("index.json")).unwrap();
        assert_eq!(index["manifests"], serde_json::json!([]));
    }

    #[test]
    fn an_existing_layout_keeps_what_it_has() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        write(
            &fixture::image(&[b"one"]),
            path,
            &name("a"),
            Context::silent(),
        )
        .unwrap();
        let mut old = index(path);
        old["manifests"][0]["artifactType"] = json!("unknown to us");
        std::fs::write(path.join(INDEX_FILE), old.to_string()).unwrap();

        let watcher = fixture::Watcher::default();
        write(
            &fixture::image(&[b"one", b"two"]),
            path,
            &name("b"),
            Context::silent().watched_by(&watcher),
        )
        .unwrap();
        assert_eq!(watcher.count(Outcome::Present), 1);
        assert_eq!(watcher.count(Outcome::Copied), 3);
        let both = index(path);
        assert_eq!(both["manifests"][0], old["manifests"][0]);
        assert_eq!(
            both["manifests"][1]["annotations"][Index::REFERENCE_NAME],
            "b"
        );

        write(
            &fixture::image(&[b"three"]),
            path,
            &name("a"),
            Context::silent(),
        )
        .unwrap();
        let manifests = index(path)["manifests"].as_array().unwrap().clone();
        let names: Vec<_> = manifests
            .iter()
            .map(|entry| &entry["annotations"][Index::REFERENCE_NAME])
            .collect();
        assert_eq!(names, ["b", "a"]);
    }

    #[test]
    fn a_layout_that_another_copy_makes_meanwhile_is_added_to() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new");
        let (one, two) = (fixture::image(&[b"one"]), fixture::image(&[b"two"]));
        let other =
            fixture::Meanwhile::new(|| write(&one, &path, &name("a"), Context::silent()).unwrap());
        write(
            &two,
            &path,
            &name("b"),
            Context::silent().watched_by(&other),
        )
        .unwrap();
        assert_eq!(index(&path)["manifests"].as_array().unwrap().len(), 2);
        assert_eq!(files(directory.path()).len(), 2 + 3 + 3);
    }

    #[test]
    fn a_blob_of_the_wrong_length_is_written_again() {
        let directory = tempfile::tempdir().unwrap();
        let image = fixture::image(&[b"one"]);
        write(&image, directory.path(), &name("a"), Context::silent()).unwrap();
        let blob = directory
            .path()
            .join(BLOBS)
            .join(image.layers[0].descriptor().digest.hex());
        std::fs::write(&blob, b"on").unwrap();
        write(&image, directory.path(), &name("a"), Context::silent()).unwrap();
        assert_eq!(std::fs::read(&blob).unwrap(), b"one");
    }

    #[test]
    fn other_directories_and_damaged_layouts_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let image = fixture::image(&[b"one"]);
        for (file, content, message) in [
            ("a/note", "x", "not an OCI layout"),
            ("b/oci-layout", "{}", "version 1"),
            ("c/index.json", "{}", "not an OCI layout"),
        ] {
            let file = directory.path().join(file);
            std::fs::create_dir(file.parent().unwrap()).unwrap();
            std::fs::write(&file, content).unwrap();
            let error = write(
                &image,
                file.parent().unwrap(),
                &name("a"),
                Context::silent(),
            )
            .unwrap_err();
            assert!(error.to_string().contains(message), "{error}");
        }
        let damaged = directory.path().join("d");
        write(&image, &damaged, &name("a"), Context::silent()).unwrap();
        std::fs::write(damaged.join(INDEX_FILE), "{").unwrap();
        let error = write(&image, &damaged, &name("a"), Context::silent()).unwrap_err();
        assert!(error.to_string().contains("index.json: EOF"), "{error}");
        let file = directory.path().join("a/note");
        let error = write(&image, &file, &name("a"), Context::silent()).unwrap_err();
        assert!(error.to_string().contains("not a directory"), "{error}");
    }

    #[test]
    fn an_interrupted_copy_leaves_everything_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new");
        let image = fixture::image(&[b"one", b"two"]);
        let error = write(&image, &path, &name("a"), interrupted()).unwrap_err();
        assert!(matches!(error, Error::Interrupted), "{error}");
        assert!(files(directory.path()).is_empty());

        write(
            &fixture::image(&[b"one"]),
            &path,
            &name("a"),
            Context::silent(),
        )
        .unwrap();
        let before = files(&path);
        let error = write(&image, &path, &name("a"), interrupted()).unwrap_err();
        assert!(matches!(error, Error::Interrupted), "{error}");
        assert_eq!(files(&path), before);
    }

    /// What a layout's links and pipes lead to is neither read nor written.
    #[test]
    fn a_layout_does_not_lead_elsewhere() {
        let directory = tempfile::tempdir().unwrap();
        let (path, outside) = (directory.path().join("a"), directory.path().join("b"));
        let (image, other) = (fixture::image(&[b"one"]), fixture::image(&[b"two"]));
        write(&image, &path, &name("a"), Context::silent()).unwrap();
        std::fs::rename(&path, &outside).unwrap();
        let before = files(&outside);
        for link in ["blobs", BLOBS, INDEX_FILE, MARKER_FILE] {
            let path = directory.path().join(link.replace('/', "-"));
            write(&image, &path, &name("a"), Context::silent()).unwrap();
            let own = path.join(link);
            if own.is_dir() {
                std::fs::remove_dir_all(&own).unwrap();
            } else {
                std::fs::remove_file(&own).unwrap();
            }
            std::os::unix::fs::symlink(outside.join(link), &own).unwrap();
            let error = write(&other, &path, &name("b"), Context::silent()).unwrap_err();
            let expected = format!("{}: a symlink", own.display());
            assert_eq!(error.to_string(), expected);
            assert!(own.is_symlink());
        }
        let path = directory.path().join("pipe");
        write(&image, &path, &name("a"), Context::silent()).unwrap();
        std::fs::remove_file(path.join(INDEX_FILE)).unwrap();
        fixture::make_pipe(&path.join(INDEX_FILE));
        let error = write(&other, &path, &name("b"), Context::silent()).unwrap_err();
        assert!(error.to_string().ends_with(": not a file"), "{error}");
        assert_eq!(files(&outside), before);
    }

    #[test]
    fn a_blob_that_is_a_symlink_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let (path, outside) = (directory.path().join("a"), directory.path().join("b"));
        let image = fixture::image(&[b"one"]);
        write(&image, &path, &name("a"), Context::silent()).unwrap();
        let hex = image.layers[0].descriptor().digest.hex();
        let blob = path.join(BLOBS).join(hex);
        std::fs::write(&outside, "two").unwrap();
        std::fs::remove_file(&blob).unwrap();
        std::os::unix::fs::symlink(&outside, &blob).unwrap();
        write(&image, &path, &name("a"), Context::silent()).unwrap();
        assert!(!blob.is_symlink());
        assert_eq!(std::fs::read(&blob).unwrap(), b"one");
        assert_eq!(std::fs::read(&outside).unwrap(), b"two");
    }
}
