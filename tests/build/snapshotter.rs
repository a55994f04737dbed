//! Images whose store paths nix-snapshotter mounts. What its generator does (`pkg/nix2container/generate.go`) is said here
//! once more: one layer with an empty directory, or file of mode 0555, for each path of the closure of the config and of
//! `copyToRoot`, and annotations that name these paths in the order of their names.

use strata_testing as support;

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};
use support::fake_store::{FakeStore, Item, read_json};

/// The annotations that its generator gives the layer of a closure.
fn annotations(paths: &[&str]) -> Value {
    let mut sorted = paths.to_vec();
    sorted.sort_unstable();
    let named = sorted.iter().enumerate();
    let named = named.map(|(number, path)| {
        let name = format!("containerd.io/snapshot/nix-store-path.{number}");
        (name, (*path).to_owned())
    });
    let layer = (
        "containerd.io/snapshot/nix-layer".to_owned(),
        "true".to_owned(),
    );
    json!(named.chain([layer]).collect::<BTreeMap<_, _>>())
}

/// A store with a package, its library, a file, and a tree for the root, and the request of an image of all.
fn case() -> (FakeStore, Value, [String; 4]) {
    let mut store = FakeStore::new();
    let library = store.add("library", &[Item::File("lib/x.so", "1")], &[]);
    let app = store.add("app", &[Item::Executable("bin/app", "#!")], &[&library]);
    let text = store.add_file("text", "words");
    let root = store.add("root", &[Item::File("etc/x", "1")], &[&text]);
    let mut request = store.image_request();
    request["copyToRoot"] = json!([root]);
    request["deps"] = json!([app]);
    request["image"]["config"] = json!({ "Cmd": [format!("{app}/bin/app")] });
    request["image"]["mountStorePaths"] = json!(true);
    (store, request, [library, app, text, root])
}

fn manifest(store: &FakeStore, output: &str) -> Value {
    let output = store.locate(output);
    let digest = fs::read_to_string(output.join("digest")).unwrap();
    let hex = digest.trim().strip_prefix("sha256:").unwrap();
    read_json(&output.join("blobs/sha256").join(hex))
}

/// Path, type, mode and size of what a layer has below the store directory.
fn places(store: &FakeStore, output: &str, layer: usize) -> BTreeMap<String, (bool, u32, u64)> {
    let tar = store.tars(output).swap_remove(layer);
    let mut archive = tar::Archive::new(tar.as_slice());
    let entries = archive.entries().unwrap().filter_map(|entry| {
        let entry = entry.unwrap();
        let path = format!("/{}", entry.path().unwrap().display());
        let path = path.trim_end_matches('/').to_owned();
        let header = entry.header();
        let is_directory = header.entry_type().is_dir();
        let found = (is_directory, header.mode().unwrap(), entry.size());
        path.starts_with(&format!("{}/", store.dir))
            .then_some((path, found))
    });
    entries.collect()
}

#[test]
fn store_paths_become_places_with_the_annotations_of_nix_snapshotter() {
    let (mut store, request, paths) = case();
    let output = store.build(&request).unwrap();
    let layers = manifest(&store, &output)["layers"].clone();
    let [library, app, text, root] = paths.each_ref().map(String::as_str);
    assert_eq!(layers.as_array().unwrap().len(), 2);
    assert_eq!(
        layers[0]["annotations"],
        annotations(&paths.each_ref().map(String::as_str))
    );
    assert_eq!(layers[1]["annotations"], Value::Null);
    let directory = (true, 0o755, 0);
    let expected = [
        (library, directory),
        (app, directory),
        (text, (false, 0o555, 0)),
        (root, directory),
    ];
    let expected = expected
        .map(|(path, found)| (path.to_owned(), found))
        .into();
    assert_eq!(places(&store, &output, 0), expected);
    let at_root = store.headers(&output, 1).into_iter();
    let at_root = at_root.filter(|entry| entry.0.starts_with("etc"));
    assert_eq!(
        at_root.map(|entry| entry.0).collect::<Vec<_>>(),
        ["etc/", "etc/x"]
    );
}

#[test]
fn layers_of_build_layer_become_places_too() {
    let (mut store, mut request, paths) = case();
    let mut layer = json!({ "version": 1, "storeDir": store.dir, "deps": [paths[0]] });
    layer["maxLayers"] = json!(1);
    let layer = store.build(&layer).unwrap();
    request["layers"] = json!([layer]);
    let output = store.build(&request).unwrap();
    let layers = manifest(&store, &output)["layers"].clone();
    assert_eq!(layers.as_array().unwrap().len(), 2);
    assert_eq!(
        layers[0]["annotations"],
        annotations(&paths.each_ref().map(String::as_str))
    );
}

#[test]
fn rules_about_places_are_told_of() {
    let (mut store, mut request, paths) = case();
    request["perms"] = json!([{ "path": paths[0], "mode": "0700" }]);
    let (_, warnings) = store.build_with(&request, 1).unwrap();
    let expected = "warning: perms have no effect on 1 store paths, which are mounted as they are";
    assert!(
        warnings.iter().any(|warning| warning.starts_with(expected)),
        "{warnings:?}"
    );
}
