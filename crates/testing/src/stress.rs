//! Several copies or pulls at once to one destination, again and again (issue 11, row 7).

use std::path::Path;
use std::sync::Barrier;
use std::thread;

use strata_image::Image;
use strata_oci::Digest;

use crate::image;

/// How many there are at once.
const AT_ONCE: usize = 4;
/// How many rounds there are where `STRATA_STRESS_ROUNDS` does not say it.
const ROUNDS: usize = 20;

fn rounds() -> usize {
    let rounds = std::env::var("STRATA_STRESS_ROUNDS");
    rounds.map_or(ROUNDS, |rounds| rounds.parse().unwrap())
}

/// Images that share layers with each other.
pub fn images() -> Vec<Image> {
    let layer = |number: usize| vec![u8::try_from(number).unwrap(); 10_000 + number];
    let images = (0..AT_ONCE).map(|number| {
        let layers: Vec<Vec<u8>> = (number..number + 6).map(layer).collect();
        let layers: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
        image::image(&layers)
    });
    images.collect()
}

/// Lets every image be written to a path at the same moment, in each round over what the last one left or, every
/// third time, to nothing; then looks at it. `write` gets the number of the image, too.
pub fn stress(
    images: &[Image],
    write: &(dyn Fn(usize, &Image, &Path) + Sync),
    check: &dyn Fn(&[Image], &Path),
) {
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
        let start = Barrier::new(images.len());
        thread::scope(|scope| {
            for (number, image) in images.iter().enumerate() {
                let (start, path) = (&start, &path);
                scope.spawn(move || {
                    start.wait();
                    write(number, image, path);
                });
            }
        });
        check(images, &path);
        let left = std::fs::read_dir(place.path()).unwrap().count();
        assert_eq!(left, 1, "something is left in round {round}");
    }
}

/// Sees that a directory of skopeo is one of the images, wholly: `blobs` are what an image has besides its
/// manifest.
pub fn check_directory(images: &[Image], path: &Path, blobs: &dyn Fn(&Image) -> Vec<Digest>) {
    let manifest = std::fs::read(path.join("manifest.json")).unwrap();
    let mut images = images.iter();
    let image = images.find(|image| image.manifest_bytes == manifest);
    let blobs = blobs(image.unwrap());
    for digest in &blobs {
        let bytes = std::fs::read(path.join(digest.hex())).unwrap();
        assert_eq!(Digest::of(&bytes), *digest);
    }
    // The blobs, the manifest, and the mark.
    assert_eq!(image::files(path).len(), blobs.len() + 2);
}
