//! Several copies at once to one destination, again and again (issue 11, row 7). `make stress` has more
//! rounds.

use serde_json::Value;

use strata_copy::{CopyName, archive, directory, layout};
use strata_image::Image;
use strata_oci::Digest;
use strata_oci::layout::INDEX_FILE;
use strata_progress::Context;
use strata_testing::stress::{check_directory, images, stress};

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
        &images(),
        &|_, image, path| directory::write(image, path, Context::silent()).unwrap(),
        &|images, path| check_directory(images, path, &blobs),
    );
}

/// What an image has besides its manifest.
fn blobs(image: &Image) -> Vec<Digest> {
    let blobs = strata_copy::blobs(image).into_keys();
    blobs
        .filter(|digest| *digest != image.manifest_descriptor.digest)
        .collect()
}

/// A layout has every image in the end.
#[test]
fn copies_to_one_layout_take_turns() {
    stress(
        &images(),
        &|_, image, path| layout::write(image, path, &name(image), Context::silent()).unwrap(),
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
        &images(),
        &|_, image, path| archive::write(image, path, &name(image), Context::silent()).unwrap(),
        &|_, path| assert!(expected.contains(&std::fs::read(path).unwrap())),
    );
}

fn bytes_of(image: &Image) -> Vec<u8> {
    let mut bytes = Vec::new();
    let silent = Context::silent();
    archive::stream(image, &mut bytes, &name(image), &[].into(), silent).unwrap();
    bytes
}
