//! Bugs of the peers that must not happen here, each with its number. Those that need Nix or a
//! container engine are in `tests/engines/run.rs` and `tests/nix/builds.rs`.

use strata_testing as support;

use serde_json::json;
use strata_image::Image;
use support::fake_store::{FakeStore, Item};

fn mode_of(headers: &[(String, u32, u64)], path: &str) -> (u32, u64) {
    let found = headers.iter().find(|(name, ..)| name == path);
    let (_, mode, uid) = found.unwrap_or_else(|| panic!("{path} in {headers:?}"));
    (*mode, *uid)
}

/// <https://github.com/nlewo/nix2container/issues/12>: `/nix` and `/nix/store` were not in the
/// layers, and engines made them 0600 or 0700. Also not when a source has them with other modes.
#[test]
fn nix2container_12_modes_of_the_store() {
    let mut store = FakeStore::relocated();
    let library = store.add("library", &[Item::File("a", "")], &[]);
    let app = store.add("app", &[Item::File("b", "")], &[&library]);
    let root = store.add("root", &[Item::Directory("nix/store/.links")], &[]);
    let mut request = store.image_request();
    request["deps"] = json!([app]);
    request["copyToRoot"] = json!([root]);
    request["maxLayers"] = json!(3);
    let image = store.build(&request).unwrap();
    for layer in 0..3 {
        let headers = store.headers(&image, layer);
        for path in ["nix/", "nix/store/"] {
            assert_eq!(mode_of(&headers, path), (0o755, 0), "layer {layer}");
        }
    }
}

/// <https://github.com/nlewo/nix2container/issues/23>: the modes of symlinks were those of the
/// machine, 0755 on macOS, and digests differed.
#[test]
fn nix2container_23_modes_of_symlinks() {
    let mut store = FakeStore::relocated();
    let app = store.add("app", &[Item::Symlink("link", "to")], &[]);
    let mut request = store.image_request();
    request["deps"] = json!([app]);
    request["perms"] = json!([{ "path": app, "mode": "0600" }]);
    let image = store.build(&request).unwrap();
    let link = format!("{}/link", app.trim_start_matches('/'));
    assert_eq!(mode_of(&store.headers(&image, 0), &link), (0o777, 0));
}

/// <https://github.com/NixOS/nixpkgs/issues/26593>, <https://github.com/NixOS/nixpkgs/issues/254421>: the
/// time of creation was in every file, so that another one made other layers.
#[test]
fn nixpkgs_26593_254421_layers_do_not_know_when_they_were_made() {
    let mut store = FakeStore::relocated();
    let library = store.add("library", &[Item::File("a", "")], &[]);
    let app = store.add("app", &[Item::File("b", "")], &[&library]);
    let mut request = store.image_request();
    request["deps"] = json!([app]);
    request["maxLayers"] = json!(2);
    request["image"]["nixDatabase"] = json!({});
    let mut config_of = |created: &str| {
        request["image"]["created"] = json!(created);
        let image = store.build(&request).unwrap();
        let image = Image::open(&store.locate(&image)).unwrap();
        (image.config.created.clone(), image.config.rootfs.diff_ids)
    };
    let (long_ago, layers) = config_of("0001-01-01T00:00:00Z");
    let (later, same) = config_of("2024-12-31T23:59:59Z");
    assert_ne!(long_ago, later);
    assert_eq!(layers, same);
    assert_eq!(layers.len(), 2);
    let (now, same) = config_of("now");
    assert_ne!(now, later);
    assert_eq!(layers, same);
}

/// <https://github.com/nlewo/nix2container/issues/45>: rules about one path changed others.
#[test]
fn nix2container_45_rules_stay_with_their_path() {
    let mut store = FakeStore::relocated();
    let one = store.add(
        "one",
        &[Item::File("etc/one", ""), Item::Directory("tmp")],
        &[],
    );
    let two = store.add(
        "two",
        &[Item::File("etc/two", ""), Item::File("var/x", "")],
        &[],
    );
    let mut request = store.image_request();
    request["copyToRoot"] = json!([one, two]);
    request["perms"] = json!([{ "path": one, "regex": ".*", "mode": "0640", "uid": 7 }]);
    let image = store.build(&request).unwrap();
    let headers = store.headers(&image, 0);
    assert_eq!(mode_of(&headers, "etc/one"), (0o640, 7));
    assert_eq!(mode_of(&headers, "etc/two"), (0o444, 0));
    assert_eq!(mode_of(&headers, "var/"), (0o555, 0));
    // The directory that both have is one that a rule is about.
    assert_eq!(mode_of(&headers, "etc/"), (0o640, 7));
}

/// <https://github.com/nlewo/nix2container/issues/140>, <https://github.com/nlewo/nix2container/issues/201>:
/// "file '/etc' already exists in the graph" when two sources shared a directory and one had
/// perms, depending on `maxLayers`.
#[test]
fn nix2container_140_201_shared_directories_with_perms() {
    for max_layers in 1..4 {
        let mut store = FakeStore::relocated();
        let one = store.add("one", &[Item::File("etc/one", "")], &[]);
        let two = store.add("two", &[Item::File("etc/two", "")], &[]);
        let mut request = store.image_request();
        request["copyToRoot"] = json!([one, two]);
        request["maxLayers"] = json!(max_layers);
        request["perms"] = json!([{ "path": two, "regex": "/etc$", "mode": "0750", "gid": 9 }]);
        let image = store.build(&request).unwrap();
        let count = store.layers(&image)["layers"].as_array().unwrap().len();
        assert_eq!(count, max_layers.min(2));
        for layer in 0..count {
            assert_eq!(mode_of(&store.headers(&image, layer), "etc/"), (0o750, 0));
        }
    }
}

/// <https://github.com/nlewo/nix2container/issues/186>, <https://github.com/nlewo/nix2container/issues/205>:
/// sibling layers both held what they share.
#[test]
fn nix2container_186_205_siblings_share_nothing() {
    let mut store = FakeStore::new();
    let library = store.add("library", &[Item::File("a", "")], &[]);
    let one = store.add("one", &[Item::File("b", "")], &[&library]);
    let two = store.add("two", &[Item::File("c", "")], &[&library]);
    let mut layers = Vec::new();
    for package in [&one, &two] {
        let request =
            json!({ "version": 1, "storeDir": store.dir, "maxLayers": 1, "deps": [package] });
        layers.push(store.build(&request).unwrap());
    }
    let mut request = store.image_request();
    request["layers"] = json!(layers);
    request["deps"] = json!([one, two]);
    let image = store.build(&request).unwrap();
    let mut entries: Vec<String> = (0..2)
        .flat_map(|layer| store.headers(&image, layer))
        .map(|(name, ..)| name)
        .filter(|name| !name.ends_with('/'))
        .collect();
    entries.sort();
    let count = entries.len();
    entries.dedup();
    assert_eq!((entries.len(), count), (3, 3));
}

/// <https://github.com/NixOS/nixpkgs/issues/78744>: of large closures, paths went missing.
#[test]
fn nixpkgs_78744_no_path_is_missed() {
    let mut store = FakeStore::relocated();
    let mut paths: Vec<String> = Vec::new();
    for number in 0..1500 {
        let reference = paths.last().cloned();
        let name = format!("package-{number}");
        let references: Vec<&str> = reference.iter().map(String::as_str).collect();
        let path = store.add(&name, &[Item::File("f", "")], &references);
        paths.push(path);
    }
    let mut request = store.image_request();
    request["deps"] = json!([paths.last().unwrap()]);
    request["maxLayers"] = json!(100);
    let image = store.build(&request).unwrap();
    let mut found = 0;
    for tar in store.tars(&image) {
        let mut archive = tar::Archive::new(tar.as_slice());
        let files = archive
            .entries()
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().header().entry_type().is_file());
        found += files.count();
    }
    assert_eq!(found, 1500);
}

/// <https://github.com/NixOS/nix/issues/13155>: an image had more layers than engines take, which
/// came to light when it was loaded.
#[test]
fn nix_13155_too_many_layers_are_named() {
    let mut store = FakeStore::relocated();
    let paths: Vec<String> = (0..126)
        .map(|number| store.add(&format!("p{number}"), &[], &[]))
        .collect();
    let mut request = store.image_request();
    request["deps"] = json!(paths);
    for (max_layers, warnings) in [(125, 0), (126, 1)] {
        request["maxLayers"] = json!(max_layers);
        let (_, found) = store.build_with(&request, 2).unwrap();
        assert_eq!(found.len(), warnings, "{found:?}");
        assert!(found.iter().all(|warning| warning.contains("126 layers")));
    }
}

/// A file that is in two layers' roots stays where it is first; what copyToRoot moves away stays
/// in the store if somebody asks for it there.
#[test]
fn nothing_is_there_twice_and_nothing_dangles() {
    let mut store = FakeStore::relocated();
    let shared = [
        Item::File("etc/same", "same"),
        Item::Symlink("etc/link", "same"),
    ];
    let one = store.add("one", &shared, &[]);
    let two = store.add(
        "two",
        &[
            Item::File("etc/same", "same"),
            Item::Symlink("etc/link", "same"),
            Item::File("etc/two", "2"),
        ],
        &[],
    );
    let user = store.add("user", &[Item::File("u", "")], &[&one]);
    let mut request = store.image_request();
    request["copyToRoot"] = json!([one, two]);
    request["deps"] = json!([user]);
    request["maxLayers"] = json!(9);
    let image = store.build(&request).unwrap();
    let count = store.layers(&image)["layers"].as_array().unwrap().len();
    let names: Vec<String> = (0..count)
        .flat_map(|layer| store.headers(&image, layer))
        .map(|(name, ..)| name)
        .collect();
    let times = |path: &str| names.iter().filter(|name| *name == path).count();
    assert_eq!(
        (times("etc/same"), times("etc/link"), times("etc/two")),
        (1, 1, 1)
    );
    assert_eq!(
        times(&format!("{}/etc/same", one.trim_start_matches('/'))),
        1
    );
    assert_eq!(
        times(&format!("{}/etc/same", two.trim_start_matches('/'))),
        0
    );
}
