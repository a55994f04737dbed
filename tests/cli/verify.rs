//! `strata verify`: the layers of an image as file systems, each over those below.

use strata_testing as support;

use std::process::Command;

use serde_json::json;
use strata_image::{Image, Verification};
use support::bases::{BaseImage, Piece, tar, write};
use support::fake_store::{FakeStore, Item};
use support::memory_image::MemoryLayer;

/// What is found of layers of Strata's own that hold this.
fn verify(layers: &[&[Piece<'_>]]) -> Vec<String> {
    let mut verification = Verification::default();
    let layers = layers.iter().map(|pieces| MemoryLayer::new(tar(pieces)));
    let found = layers.enumerate().flat_map(|(number, layer)| {
        let name = format!("layer {}", number + 1);
        verification.verify(&layer, &name, &|_| Ok(())).unwrap()
    });
    found.map(|error| error.to_string()).collect()
}

/// Row 1 of "Wrong images": what engines do not unpack, or not alike, is told of the layer that has it, once.
#[test]
fn row_1_layers_resolve_as_engines_do() {
    let base = [
        Piece::Directory("usr/bin", 0o755, 0),
        Piece::Symlink("bin", "usr/bin"),
        Piece::File("usr/bin/tool", "tool"),
    ];
    let above = "bin is a symlink of a layer below, which some engines follow and others replace";
    for (upper, expected) in [
        // The symlink of its own layer, and the directory that takes the place of one, are the same to all.
        (
            &[
                Piece::Symlink("sbin", "usr/bin"),
                Piece::File("sbin/own", "1"),
                Piece::Directory("bin", 0o755, 0),
                Piece::File("bin/own", "1"),
                Piece::HardLink("bin/again", "bin/own"),
                Piece::File("usr/bin/.wh.tool", ""),
            ][..],
            None,
        ),
        (
            &[Piece::File("bin/own", "1")],
            Some(format!("bin/own: {above}")),
        ),
        (
            &[Piece::File("bin/.wh.tool", "")],
            Some(format!("bin/.wh.tool: {above}")),
        ),
        (
            &[Piece::HardLink("etc/link", "etc/nothing")],
            Some("etc/link: a link to etc/nothing, which is not there".to_owned()),
        ),
        (
            &[Piece::File("a", "1"), Piece::File("a/b", "1")],
            Some("a/b: a is a file of the same layer, not a directory".to_owned()),
        ),
        (
            &[Piece::Symlink("a", "a"), Piece::File("a/b", "1")],
            Some("a/b: the symlink a leads to itself".to_owned()),
        ),
        (
            &[Piece::File("etc/.wh..", "")],
            Some("etc/.wh..: a whiteout of no file".to_owned()),
        ),
    ] {
        let expected: Vec<String> = expected
            .map(|it| format!("layer 2: {it}"))
            .into_iter()
            .collect();
        // What is above a layer that cannot be laid is not judged by what lacks.
        let last = [Piece::HardLink("etc/last", "usr/bin/own")];
        let layers: [&[Piece<'_>]; 3] = [&base, upper, &last];
        let count = if expected.is_empty() { 2 } else { 3 };
        assert_eq!(verify(&layers[..count]), expected);
    }
}

/// What is built on a base whose directories are symlinks goes where they lead, so that nothing is found.
#[test]
fn row_1_images_on_bases_with_symlinks_are_verified() {
    let mut store = FakeStore::new();
    let base = store.path("base");
    let layers = vec![
        tar(&[
            Piece::Directory("usr/bin", 0o755, 0),
            Piece::Symlink("bin", "usr/bin"),
            Piece::File("bin/tool", "tool"),
        ]),
        // A base is as it is.
        tar(&[Piece::File("bin/other", "other")]),
    ];
    let below = BaseImage {
        config: json!({}),
        ..BaseImage::new(layers)
    };
    write(&BaseImage::layout(&[below]), &store.locate(&base));
    let own = store.add("own", &[Item::Executable("bin/own", "#!")], &[]);
    let mut request = store.image_request();
    request["copyToRoot"] = json!([own]);
    request["image"]["fromImage"] = json!({ "path": base });
    request["image"]["remove"] = json!(["/bin/tool"]);
    let out = store.build(&request).unwrap();
    let out = store.locate(&out);
    let mut verification = Verification::default();
    for layer in &Image::open(&out).unwrap().layers {
        let found = verification.verify(layer.as_ref(), "layer", &|_| Ok(()));
        let found: Vec<String> = found.unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(found, [""; 0]);
    }
    let mut strata = Command::new(env!("CARGO_BIN_EXE_strata"));
    assert!(strata.arg("verify").arg(&out).status().unwrap().success());
}
