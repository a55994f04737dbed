//! Several copies at once to one destination, again and again (issue 11, row 7). `make stress` has more
//! rounds.

use std::path::Path;
use std::sync::Barrier;
use std::thread;

use serde_json::Value;

use strata_copy::{CopyName, archive, directory, layout};
use strata_image::Image;
use strata_oci::Digest;
use strata_oci::layout::INDEX_FILE;
use strata_progress::Context;
use strata_testing::image as fixture;

/// How many copies there are at once.
const AT_ONCE: usize = 4;
/// How many rounds there are where `STRATA_STRESS_ROUNDS` does not say it.
const ROUNDS: usize = 20;

fn rounds() -> usize {
    let rounds = std::env::var("STRATA_STRESS_ROUNDS");
    rounds.map_or(ROUNDS, |rounds| rounds.parse().unwrap())
}

/// Images that share layers with each other.
fn images() -> Vec<Image> {
    let layer = |number: usize| vec![u8::try_from(number).unwrap(); 10_000 + number];
    let images = (0..AT_ONCE).map(|number| {
        let layers: Vec<Vec<u8>> = (number..number + 6).map(layer).collect();
        let layers: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
        fixture::image(&layers)
    });
    images.collect()
}

/// Lets every image be copied at the same moment, in each round to what the last one left or, every third
/// time, to nothing; then looks at it.
fn stress(copy: &(dyn Fn(&Image, &Path) + Sync), check: &dyn Fn(&[Image], &Path)) {
    let images = images();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("copy");
    for round in 0..rounds() {
        if round % 3 == 0 && path.exists() {
            let removed = if path.is_dir() {
                std::fs::remove_dir_all(&path)
            } else {
                std::fs::remove_file(&path)
            };
            removed.unwrap();
        }
        let start = Barrier::new(AT_ONCE);
        thread::scope(|scope| {
            for image in &images {
                scope.spawn(|| {
                    start.wait();
                    copy(image, &path);
                });
            }
        });
        check(&images, &path);
        let left = std::fs::read_dir(place.path()).unwrap().count();
        assert_eq!(left, 1, "something is left in round {round}");
    }
}

fn name(image: &Image) -> CopyName {
    CopyName {
        reference: Some(image.manifest_descriptor.digest.hex()),
        ..CopyName::default()
    }
}

/// What a directory of skopeo has is one image, wholly.
#[test]
fn copies_to_one_directory_take_turns() {
    stress(
        &|image, path| directory::write(image, path, Context::silent()).unwrap(),
        &|images, path| {
            let manifest = std::fs::read(path.join(directory::MANIFEST_FILE)).unwrap();
            let mut images = images.iter();
            let image = images.find(|image| image.manifest_bytes == manifest);
            let image = image.unwrap();
            let blobs = strata_copy::blobs(image);
            for digest in blobs.keys() {
                if *digest != image.manifest_descriptor.digest {
                    let bytes = std::fs::read(path.join(digest.hex())).unwrap();
                    assert_eq!(Digest::of(&bytes), *digest);
                }
            }
            // The blobs, the manifest among them, and the mark.
            assert_eq!(fixture::files(path).len(), blobs.len() + 1);
        },
    );
}

/// A layout has every image in the end.
#[test]
fn copies_to_one_layout_take_turns() {
    stress(
        &|image, path| layout::write(image, path, &name(image), Context::silent()).unwrap(),
        &|images, path| {
            let index = std::fs::read(path.join(INDEX_FILE)).unwrap();
            let index: Value = serde_json::from_slice(&index).unwrap();
            assert_eq!(index["manifests"].as_array().unwrap().len(), images.len());
            for image in images {
                for digest in strata_copy::blobs(image).into_keys() {
                    let bytes =
                        std::fs::read(path.join(strata_oci::layout::blob_name(digest))).unwrap();
                    assert_eq!(Digest::of(&bytes), digest);
                }
            }
            let names: Vec<_> = std::fs::read_dir(path).unwrap().collect();
            assert_eq!(names.len(), 3, "{names:?}");
        },
    );
}

/// An archive is one of them.
#[test]
fn copies_to_one_archive_replace_each_other() {
    let expected: Vec<_> = images().iter().map(bytes_of).collect();
    stress(
        &|image, path| archive::write(image, path, &name(image), Context::silent()).unwrap(),
        &|_, path| assert!(expected.contains(&std::fs::read(path).unwrap())),
    );
}

fn bytes_of(image: &Image) -> Vec<u8> {
    let mut bytes = Vec::new();
    let silent = Context::silent();
    archive::stream(image, &mut bytes, &name(image), &[].into(), silent).unwrap();
    bytes
}
