//! What is given to all entries of an image, or goes into it as a layer of its own: times, owners, the root apart
//! from the store, tars.

use strata_testing as support;

use serde_json::{Value, json};
use support::fake_store::{FakeStore, Item, read_json};

/// A store, an image of a package and a tree for the root, and the two paths.
fn case() -> (FakeStore, Value, String, String) {
    let mut store = FakeStore::new();
    let app = store.add("app", &[Item::Executable("bin/app", "#!")], &[]);
    let root = store.add("root", &[Item::File("etc/x", "1")], &[&app]);
    let mut request = store.image_request();
    request["copyToRoot"] = json!([root]);
    (store, request, app, root)
}

/// Path, time, owner and names of the entries of a layer.
fn entries(store: &FakeStore, output: &str, layer: usize) -> Vec<(String, u64, u64, String)> {
    let tar = store.tars(output).swap_remove(layer);
    let mut archive = tar::Archive::new(tar.as_slice());
    let entries = archive.entries().unwrap().map(|entry| {
        let entry = entry.unwrap();
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let header = entry.header();
        let names = [header.username().unwrap(), header.groupname().unwrap()];
        let names = names.map(Option::unwrap_or_default).join(":");
        (path, header.mtime().unwrap(), header.uid().unwrap(), names)
    });
    entries.collect()
}

#[test]
fn all_entries_have_the_time_that_was_given() {
    let (mut store, mut request, ..) = case();
    let stamp = store.add_file("stamp", "2024-02-29T12:34:56+00:00\n");
    for (time, seconds) in [
        ("1980-01-01T01:00:00+01:00", 315_532_800),
        (&*stamp, 1_709_210_096),
    ] {
        request["mtime"] = json!(time);
        request["image"]["created"] = json!(time);
        let output = store.build(&request).unwrap();
        let times = entries(&store, &output, 0);
        assert!(times.iter().all(|entry| entry.1 == seconds), "{times:?}");
    }
    request["mtime"] = json!("now");
    let output = store.build(&request).unwrap();
    assert!(entries(&store, &output, 0)[0].1 > 1_700_000_000);
}

#[test]
fn store_paths_have_the_owner_that_was_given() {
    let (mut store, mut request, app, _) = case();
    request["storeOwner"] = json!({ "uid": 7, "gid": 8, "uname": "me" });
    let output = store.build(&request).unwrap();
    for (path, _, uid, names) in entries(&store, &output, 0) {
        let is_of_store = !path.starts_with("etc");
        let expected = if is_of_store {
            (7, "me:")
        } else {
            (0, "root:root")
        };
        assert_eq!((uid, names.as_str()), expected, "{path}");
    }
    // A rule knows better.
    request["perms"] = json!([{ "path": app, "uid": 9 }]);
    let output = store.build(&request).unwrap();
    let all = entries(&store, &output, 0);
    let program = all.iter().find(|entry| entry.0.ends_with("bin/app"));
    assert_eq!(program.unwrap().2, 9);
}

#[test]
fn store_paths_are_left_out() {
    let (mut store, mut request, app, _) = case();
    request["includeStorePaths"] = json!(false);
    // The store that is mounted will have it.
    request["image"]["config"] = json!({ "Cmd": [format!("{app}/bin/app")] });
    let output = store.build(&request).unwrap();
    let all = entries(&store, &output, 0);
    let paths: Vec<&str> = all.iter().map(|entry| entry.0.as_str()).collect();
    assert_eq!(paths, ["etc/", "etc/x"]);
}

#[test]
fn the_root_is_apart_and_counts() {
    let (mut store, mut request, ..) = case();
    request["rootApart"] = json!(true);
    request["maxLayers"] = json!(2);
    let output = store.build(&request).unwrap();
    assert_eq!(store.tars(&output).len(), 2);
    let upper = entries(&store, &output, 1);
    let paths: Vec<&str> = upper.iter().map(|entry| entry.0.as_str()).collect();
    assert_eq!(paths, ["etc/", "etc/x"]);
    request["maxLayers"] = json!(1);
    let error = store.build(&request).unwrap_err();
    assert!(
        error.starts_with("error: attribute maxLayers: is 1, but the base image and what goes to the root take 1 layers"),
        "{error}"
    );
}

#[test]
fn directories_alone_get_a_mode() {
    let (mut store, mut request, _, root) = case();
    request["perms"] = json!([{ "path": root, "directoryMode": "0750" }]);
    let output = store.build(&request).unwrap();
    let headers = store.headers(&output, 0);
    let mode = |path: &str| headers.iter().find(|entry| entry.0 == path).unwrap().1;
    assert_eq!((mode("etc/"), mode("etc/x")), (0o750, 0o444));
}

/// A store path with a tar that has these files in `bin/`.
fn add_tar(store: &mut FakeStore, name: &str, files: &[&str], references: &[&str]) -> String {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_uid(12345);
    header.set_gid(0);
    header.set_mode(0o755);
    header.set_mtime(1);
    header.set_entry_type(tar::EntryType::Directory);
    header.set_size(0);
    archive
        .append_data(&mut header, "bin", std::io::empty())
        .unwrap();
    header.set_entry_type(tar::EntryType::Regular);
    for file in files {
        header.set_size(file.len() as u64);
        let path = format!("bin/{file}");
        archive
            .append_data(&mut header, path, file.as_bytes())
            .unwrap();
    }
    let path = store.add(name, &[], references);
    let tar = archive.into_inner().unwrap();
    std::fs::write(store.locate(&path).join("layer.tar"), tar).unwrap();
    store.register(&path, references);
    path
}

#[test]
fn a_tar_is_the_uppermost_layer_and_brings_what_it_refers_to() {
    let (mut store, mut request, app, _) = case();
    let tar = add_tar(&mut store, "scripts", &["tool"], &[&app]);
    request["copyToRoot"] = json!([]);
    request["deps"] = json!([tar]);
    request["ignore"] = json!([tar]);
    request["tarLayers"] = json!([format!("{tar}/layer.tar")]);
    request["image"]["config"] = json!({ "Cmd": ["/bin/tool"] });
    let base = store.build(&request).unwrap();
    assert_eq!(store.tars(&base).len(), 2);
    assert!(
        entries(&store, &base, 0)
            .iter()
            .any(|entry| entry.0.ends_with("bin/app"))
    );
    assert_eq!(entries(&store, &base, 1)[1].0, "bin/tool");
    assert_eq!(entries(&store, &base, 1)[1].2, 12345);

    // An image on top knows what is in it: the directory keeps its owner.
    let more = store.add("more", &[Item::File("bin/more", "1")], &[]);
    let mut request = store.image_request();
    request["copyToRoot"] = json!([more]);
    request["image"]["fromImage"] = json!({ "path": base });
    let output = store.build(&request).unwrap();
    let upper = entries(&store, &output, 2);
    assert_eq!((upper[0].0.as_str(), upper[0].2), ("bin/", 12345));
}

/// A layer of scripts has what it refers to in itself, as the only layer of dockerTools' `buildImage`.
#[test]
fn a_tar_may_be_a_part_of_the_uppermost_layer() {
    let (mut store, mut request, app, _) = case();
    let tar = add_tar(&mut store, "scripts", &["tool"], &[&app]);
    request["copyToRoot"] = json!([]);
    request["deps"] = json!([tar]);
    request["ignore"] = json!([tar]);
    request["tarLayers"] = json!([format!("{tar}/layer.tar")]);
    request["joinTar"] = json!(true);
    request["metadata"] = Value::Null;
    request["files"] = json!({
        "/bin/beside": { "type": "fifo", "uid": 7 },
        "/etc/made": { "type": "directory", "uid": 7 },
    });
    request["image"]["config"] = json!({ "Cmd": ["/bin/tool"] });
    let output = store.build(&request).unwrap();
    assert_eq!(store.tars(&output).len(), 1);
    let all = entries(&store, &output, 0);
    let paths: Vec<&str> = all.iter().map(|entry| entry.0.as_str()).collect();
    // Each directory is there once, as the tar has it.
    assert_eq!(paths.iter().filter(|path| **path == "bin/").count(), 1);
    assert_eq!((paths[0], all[0].2), ("bin/", 12345));
    assert_eq!(paths[1], "bin/tool");
    for path in ["bin/beside", "etc/made/"] {
        assert!(paths.contains(&path), "{path}: {paths:?}");
    }
    assert!(paths.iter().any(|path| path.ends_with("bin/app")));
    let layers = read_json(&store.locate(&output).join("layers.json"));
    let history = &layers["layers"][0]["history"]["created_by"];
    assert_eq!(history, "strata: what scripts made, app");

    // An image on top reads both parts, and repeats nothing.
    let mut request = store.image_request();
    request["deps"] = json!([app]);
    request["image"]["fromImage"] = json!({ "path": output });
    request["image"]["config"] = json!({ "Cmd": ["/bin/tool"] });
    let upper = store.build(&request).unwrap();
    assert_eq!(store.tars(&upper).len(), 1);

    // Without anything to join, the tar is the layer.
    let alone = add_tar(&mut store, "alone", &["tool"], &[]);
    let mut request = store.image_request();
    request["deps"] = json!([alone]);
    request["ignore"] = json!([alone]);
    request["tarLayers"] = json!([format!("{alone}/layer.tar")]);
    request["joinTar"] = json!(true);
    let output = store.build(&request).unwrap();
    let tar = std::fs::read(store.locate(&alone).join("layer.tar")).unwrap();
    assert_eq!(store.tars(&output), [tar]);
}

#[test]
fn files_and_tars_have_no_path_together() {
    let (mut store, mut request, ..) = case();
    let tar = add_tar(&mut store, "scripts", &["tool"], &[]);
    request["deps"] = json!([tar]);
    request["ignore"] = json!([tar]);
    request["tarLayers"] = json!([format!("{tar}/layer.tar")]);
    request["files"] = json!({ "/bin": { "type": "directory", "uid": 7 } });
    let error = store.build(&request).unwrap_err();
    assert_eq!(
        error.trim_end(),
        "error: attribute files.\"/bin\": a script made something there, too, or a tar of `tarLayers` has it\n\
         hint: leave it out of one of both"
    );
}

/// NixOS/nixpkgs#110696, NixOS/nixpkgs#129007: `bin/` of a layer hid the base's `bin -> usr/bin`.
#[test]
fn nixpkgs_110696_129007_a_tar_does_not_hide_symlinks_of_the_base() {
    let mut store = FakeStore::new();
    let links = [
        Item::File("usr/bin/old", "1"),
        Item::Symlink("bin", "usr/bin"),
    ];
    let links = store.add("links", &links, &[]);
    let mut request = store.image_request();
    request["copyToRoot"] = json!([links]);
    let base = store.build(&request).unwrap();
    let tar = add_tar(&mut store, "scripts", &["new"], &[]);
    let mut request = store.image_request();
    request["deps"] = json!([tar]);
    request["ignore"] = json!([tar]);
    request["tarLayers"] = json!([format!("{tar}/layer.tar")]);
    request["image"]["fromImage"] = json!({ "path": base });
    let output = store.build(&request).unwrap();
    let upper = entries(&store, &output, 1);
    assert_eq!(upper.len(), 1, "{upper:?}");
    assert_eq!(upper[0].0, "usr/bin/new");
}

/// A layer keeps what was given to it, whatever the image has.
#[test]
fn layers_keep_their_time_and_owner() {
    let (mut store, mut request, app, _) = case();
    let layer = json!({
        "version": 1, "storeDir": store.dir, "deps": [app],
        "mtime": "1980-01-01T00:00:00Z", "storeOwner": { "uid": 7 },
    });
    let layer = store.build(&layer).unwrap();
    request["layers"] = json!([layer]);
    request["mtime"] = json!("1990-01-01T00:00:00Z");
    let output = store.build(&request).unwrap();
    let below = entries(&store, &output, 0);
    let program = below.iter().find(|entry| entry.0.ends_with("bin/app"));
    let (_, time, uid, _) = program.unwrap();
    assert_eq!((*time, *uid), (315_532_800, 7));
    assert_eq!(entries(&store, &output, 1)[0].1, 631_152_000);
}
