//! Several pulls at once to one destination, and pulls beside copies, again and again (issue 11, row 7).
//! `make stress` has more rounds.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "this is a test"
)]

use strata_testing as support;

use std::path::Path;

use strata_copy::{directory, write_file};
use strata_image::Image;
use strata_oci::{Platform, Reference};
use strata_progress::Context;
use strata_registry::Options;
use strata_registry::pull::Source;
use strata_serve::{Catalog, Observer, Server};
use support::stress::{check_directory, images, stress};

/// Serves the images while `work` runs, which gets the name of each.
fn served(images: &[Image], work: impl FnOnce(&[Reference])) {
    let server = Server::on_loopback().unwrap();
    let mut catalog = Catalog::default();
    let references = images.iter().enumerate().map(|(number, image)| {
        let name = format!("image-{number}");
        catalog.add_as(image, &name, "1");
        Reference::parse(&format!("{}/{name}:1", server.address())).unwrap()
    });
    let references: Vec<Reference> = references.collect();
    let observer = Observer {
        context: Context::silent(),
        failed: &|error| panic!("{error}"),
    };
    server.run(&catalog, observer, || work(&references));
}

fn source(reference: &Reference) -> Source {
    let options = Options {
        anonymous: true,
        ..Options::default()
    };
    Source::connect(reference, &options, Context::silent()).unwrap()
}

fn pull(reference: &Reference, path: &Path) {
    let source = source(reference);
    let image = source.find(&Platform::linux("amd64"), Context::silent());
    let written = source.write_directory(&image.unwrap(), path, Context::silent());
    written.unwrap();
}

fn check(images: &[Image], path: &Path) {
    check_directory(images, path, &|image| {
        let layers = image.layers.iter().map(|layer| layer.descriptor().digest);
        layers.chain([image.manifest.config.digest]).collect()
    });
}

/// A directory is one of the images, wholly, whoever was last.
#[test]
fn row_7_pulls_into_one_directory_take_turns() {
    let images = images();
    served(&images, |references| {
        let write = |number: usize, _: &Image, path: &Path| pull(&references[number], path);
        stress(&images, &write, &check);
    });
}

/// The same where every other one is copied there and not pulled.
#[test]
fn row_7_pulls_and_copies_into_one_directory_take_turns() {
    let images = images();
    served(&images, |references| {
        let write = |number: usize, image: &Image, path: &Path| {
            if number.is_multiple_of(2) {
                pull(&references[number], path);
            } else {
                directory::write(image, path, Context::silent()).unwrap();
            }
        };
        stress(&images, &write, &check);
    });
}

/// A part that is pulled to a file is one of them.
#[test]
fn row_7_parts_that_are_pulled_to_one_file_replace_each_other() {
    let images = images();
    served(&images, |references| {
        let write = |number: usize, image: &Image, path: &Path| {
            let source = source(&references[number]);
            let fill = |writer: &mut dyn std::io::Write| {
                source.write_blob(&image.manifest.config, writer, Context::silent())
            };
            write_file(path, Context::silent(), fill).unwrap();
        };
        stress(&images, &write, &|images, path| {
            let found = std::fs::read(path).unwrap();
            assert!(images.iter().any(|image| image.config_bytes == found));
        });
    });
}
