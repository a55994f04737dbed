//! Archives: one tar file that is an OCI archive and a Docker archive at once, so that dockerd,
//! podman, containerd and skopeo all read it.
//!
//! It is an image layout (OCI image-layout.md) with Docker's `manifest.json` (moby's image
//! specification 1.2, "Combined Image JSON + Filesystem Changeset Format"), whose entries name the
//! layout's blobs. Its bytes follow from the image and its name.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;

use serde_json::json;

use super::blob::blobs;
use super::layout::entry;
use super::write_file;
use crate::CopyName;
use strata_archive::{ArchiveWriter, Metadata, Mode, write_error};
use strata_compress::Compressor;
use strata_error::Result;
use strata_image::{Image, ManifestOrIndexRef};
use strata_oci::layout::{self, DIRECTORIES, blob_name};
use strata_oci::{Compression, Digest, Index, json as canonical};
use strata_progress::{Context, Outcome};

/// Docker's list of the images in an archive.
const DOCKER_MANIFEST: &str = "manifest.json";
/// Its names and tags, each with its uppermost layer.
const REPOSITORIES: &str = "repositories";

/// An image or index, and what it is called in an archive.
pub type Named<'a> = (ManifestOrIndexRef<'a>, &'a CopyName);

/// Copies an image, or an index with its images, to the archive at `path`, as [`write_all`].
pub fn write<'a>(
    root: impl Into<ManifestOrIndexRef<'a>>,
    path: &Path,
    name: &CopyName,
    context: Context<'_>,
) -> Result<()> {
    write_all(&[(root.into(), name)], path, context)
}

/// Copies images and indexes to the archive at `path`.
///
/// An archive that is there already is replaced, as by [`write_file`], so that the same command works
/// twice; skopeo refuses. What is called `*.gz` or `*.zst` is compressed.
pub fn write_all(all: &[Named<'_>], path: &Path, context: Context<'_>) -> Result<()> {
    to_file(path, compression_of(path), context, |writer| {
        stream_all(all, writer, &BTreeSet::new(), context)
    })
}

/// How an archive with this name is compressed.
pub fn compression_of(path: &Path) -> Compression {
    match path.extension().and_then(OsStr::to_str) {
        Some("gz") => Compression::GZIP,
        Some("zst") => Compression::ZSTD,
        _ => Compression::None,
    }
}

/// Lets `write` give the bytes of an archive, which are compressed, to what is at `path`.
pub fn to_file(
    path: &Path,
    compression: Compression,
    context: Context<'_>,
    write: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    if compression == Compression::None {
        return write_file(path, context, write);
    }
    write_file(path, context, |writer| {
        let mut compressor = Compressor::new(writer, compression);
        write(&mut compressor)?;
        compressor.finish().map_err(write_error("archive"))?;
        Ok(())
    })
}

/// Writes the archive of one image to `writer`, as [`stream_all`].
pub fn stream(
    image: &Image,
    writer: &mut dyn Write,
    name: &CopyName,
    leave_out: &BTreeSet<Digest>,
    context: Context<'_>,
) -> Result<()> {
    stream_all(&[(image.into(), name)], writer, leave_out, context)
}

/// Writes the archive to `writer`, a pipe for example, without the blobs in `leave_out`: whoever
/// reads it has them already. What several images have is in it once.
pub fn stream_all(
    all: &[Named<'_>],
    writer: &mut dyn Write,
    leave_out: &BTreeSet<Digest>,
    context: Context<'_>,
) -> Result<()> {
    stream_listed(all, writer, leave_out, &[], context)
}

/// Writes the archive with `repositories` besides, the list of names from the time before `manifest.json`.
pub fn stream_with_repositories(
    all: &[Named<'_>],
    writer: &mut dyn Write,
    context: Context<'_>,
) -> Result<()> {
    let repositories = repositories(all);
    let more = [(REPOSITORIES, repositories.as_slice())];
    stream_listed(all, writer, &BTreeSet::new(), &more, context)
}

/// Writes the archive with `more` files at its end.
fn stream_listed(
    all: &[Named<'_>],
    writer: &mut dyn Write,
    leave_out: &BTreeSet<Digest>,
    more: &[(&str, &[u8])],
    context: Context<'_>,
) -> Result<()> {
    let file = Metadata::root(Mode::of_file(false));
    let directory = Metadata::root(Mode::ANCESTOR);
    let mut archive = ArchiveWriter::new(writer, "archive");
    for path in DIRECTORIES {
        archive.directory(path, &directory)?;
    }
    let every: BTreeMap<_, _> = all.iter().flat_map(|(root, _)| blobs(*root)).collect();
    for (digest, blob) in every {
        if leave_out.contains(&digest) {
            context.progress.begin(blob.descriptor());
            context.progress.finish(blob.descriptor(), Outcome::Present);
            continue;
        }
        archive.stream(
            &blob_name(digest),
            &file,
            blob.descriptor().size,
            |writer| blob.write_to(writer, context),
        )?;
    }
    let entries = all.iter().map(|(root, name)| entry(*root, name));
    let index = Index::new(entries.collect());
    let mut write = |name: &str, bytes: &[u8]| archive.file(name, &file, bytes);
    let mut writer = layout::Writer::new(&mut write);
    writer.index(&index)?;
    writer.beside(DOCKER_MANIFEST, &docker_manifest(all))?;
    writer.marker()?;
    for (name, bytes) in more {
        archive.file(name, &file, bytes)?;
    }
    archive.finish()?.flush().map_err(write_error("archive"))
}

fn repositories(all: &[Named<'_>]) -> Vec<u8> {
    let mut repositories: BTreeMap<&str, BTreeMap<&str, String>> = BTreeMap::new();
    for (root, name) in all {
        let name = name
            .familiar
            .as_deref()
            .and_then(|name| name.rsplit_once(':'));
        let image = root.images().into_iter().next();
        let layer = image.and_then(|image| image.layers.last());
        if let (Some((name, tag)), Some(layer)) = (name, layer) {
            let id = layer.diff_id().hex();
            repositories.entry(name).or_default().insert(tag, id);
        }
    }
    canonical::to_bytes(&repositories)
}

/// Docker's list. A name in it is one image: of an index, the first.
fn docker_manifest(all: &[Named<'_>]) -> Vec<u8> {
    let entry = |(root, name): &Named<'_>| {
        let image = root.images().into_iter().next()?;
        let layers = image.layers.iter();
        let layers = layers.map(|layer| blob_name(layer.descriptor().digest));
        // Only for several images podman reads this list and not the index, and a short name in it
        // means podman's own `localhost/NAME`.
        let name = if all.len() > 1 {
            &name.full
        } else {
            &name.familiar
        };
        Some(json!({
            "Config": blob_name(image.manifest.config.digest),
            "RepoTags": name.iter().collect::<Vec<_>>(),
            "Layers": layers.collect::<Vec<_>>(),
        }))
    };
    canonical::to_bytes(&all.iter().filter_map(entry).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use serde_json::Value;

    use super::*;
    use strata_error::Error;
    use strata_progress::Context;
    use strata_testing::image as fixture;
    use strata_testing::image::{Watcher, interrupted};

    fn name() -> CopyName {
        CopyName {
            reference: Some("latest".into()),
            familiar: Some("hello:latest".into()),
            full: Some("docker.io/library/hello:latest".into()),
        }
    }

    fn bytes_of(image: &Image) -> Vec<u8> {
        let mut bytes = Vec::new();
        stream(
            image,
            &mut bytes,
            &name(),
            &BTreeSet::new(),
            Context::silent(),
        )
        .unwrap();
        bytes
    }

    fn entries(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
        let mut archive = ::tar::Archive::new(bytes);
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            assert_eq!(entry.header().mtime().unwrap(), 1);
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (
                entry.path().unwrap().to_string_lossy().into_owned(),
                content,
            )
        });
        entries.collect()
    }

    #[test]
    fn one_archive_is_a_layout_and_a_docker_archive() {
        let image = fixture::image(&[b"one", b"two", b"one"]);
        let entries = entries(&bytes_of(&image));
        let names: Vec<&str> = entries.iter().map(|(name, _)| name.as_str()).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        assert_eq!(names, sorted);
        let content = |name: &str| &entries.iter().find(|(entry, _)| entry == name).unwrap().1;
        for (digest, _) in blobs(&image) {
            assert_eq!(Digest::of(content(&blob_name(digest))), digest);
        }
        let docker: Value = serde_json::from_slice(content(DOCKER_MANIFEST)).unwrap();
        assert_eq!(docker[0]["RepoTags"], json!(["hello:latest"]));
        assert_eq!(docker[0]["Config"], blob_name(image.manifest.config.digest));
        assert_eq!(docker[0]["Layers"].as_array().unwrap().len(), 3);
        assert_eq!(docker[0]["Layers"][0], docker[0]["Layers"][2]);
        let index: Value = serde_json::from_slice(content(layout::INDEX_FILE)).unwrap();
        let annotations = &index["manifests"][0]["annotations"];
        assert_eq!(annotations[Index::REFERENCE_NAME], "latest");
        assert_eq!(
            annotations[Index::CONTAINERD_NAME],
            "docker.io/library/hello:latest"
        );
    }

    #[test]
    fn repositories_are_named_where_they_are_asked_for() {
        let image = fixture::image(&[b"one", b"two"]);
        let mut bytes = Vec::new();
        let (name, silent) = (name(), Context::silent());
        stream_with_repositories(&[((&image).into(), &name)], &mut bytes, silent).unwrap();
        let mut with = entries(&bytes);
        let (last, repositories) = with.pop().unwrap();
        assert_eq!(last, REPOSITORIES);
        let repositories: Value = serde_json::from_slice(&repositories).unwrap();
        let upper = Digest::of(b"two").hex();
        assert_eq!(repositories, json!({ "hello": { "latest": upper } }));
        assert_eq!(with, entries(&bytes_of(&image)));
    }

    #[test]
    fn blobs_are_left_out_and_still_named() {
        let image = fixture::image(&[b"one", b"two"]);
        let known = Digest::of(b"one");
        let watcher = Watcher::default();
        let (whole, mut partial) = (bytes_of(&image), Vec::new());
        stream(
            &image,
            &mut partial,
            &name(),
            &[known].into(),
            Context::silent().watched_by(&watcher),
        )
        .unwrap();
        let left_out = blob_name(known);
        let mut expected = entries(&whole);
        expected.retain(|(name, _)| *name != left_out);
        assert_eq!(entries(&partial), expected);
        // A header and a block of content.
        assert_eq!(partial.len(), whole.len() - 1024);
        assert_eq!(watcher.count(Outcome::Present), 1);
        assert_eq!(watcher.count(Outcome::Copied), 3);
    }

    #[test]
    fn the_bytes_follow_from_the_image() {
        let bytes = bytes_of(&fixture::image(&[b"one", b"two"]));
        let expected = "sha256:d19fb3fb6dd386499ef4557edb19871855da2e1f558f194ba4912d267a2b62a4";
        assert_eq!(
            Digest::of(&bytes).to_string(),
            expected,
            "a format break: see CHANGELOG.md"
        );
    }

    #[test]
    fn gzip_is_asked_for_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("image.tar.gz");
        let image = fixture::image(&[b"one", b"two"]);
        write(&image, &path, &name(), Context::silent()).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let mut archive = Vec::new();
        flate2::read::MultiGzDecoder::new(bytes.as_slice())
            .read_to_end(&mut archive)
            .unwrap();
        assert_eq!(archive, bytes_of(&image));
        assert_eq!(
            Digest::of(&bytes).to_string(),
            "sha256:18de7a67664716d6ec20b1cf67034ea7379bab3d5e2f636dac116589433fb4cc",
            "a format break: see CHANGELOG.md"
        );
    }

    #[test]
    fn an_archive_is_replaced_and_a_symlink_to_it_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("image.tar");
        let link = directory.path().join("link.tar");
        std::fs::write(&path, "old").unwrap();
        std::os::unix::fs::symlink("image.tar", &link).unwrap();
        let image = fixture::image(&[b"one"]);
        write(&image, &link, &name(), Context::silent()).unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read(&path).unwrap(), bytes_of(&image));
        assert_eq!(fixture::files(directory.path()).len(), 2);
    }

    #[test]
    fn an_interrupted_copy_leaves_the_old_archive() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("image.tar");
        std::fs::write(&path, "old").unwrap();
        let image = fixture::image(&[b"one"]);
        let error = write(&image, &path, &name(), interrupted()).unwrap_err();
        assert!(matches!(error, Error::Interrupted), "{error}");
        assert_eq!(
            fixture::files(directory.path()),
            std::slice::from_ref(&path)
        );
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
    }

    #[test]
    fn a_full_device_is_named() {
        let image = fixture::image(&[b"one"]);
        let error = write(&image, Path::new("/dev/full"), &name(), Context::silent()).unwrap_err();
        assert_eq!(error.to_string(), "cannot write /dev/full");
        assert_eq!(error.hint().unwrap(), "free some space on that disk");
    }
}
