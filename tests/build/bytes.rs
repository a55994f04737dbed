//! The bytes of layers: pinned, read by GNU tar, and the same whatever should not matter.

use strata_testing as support;

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use support::fake_store::{FakeStore, Item, read_json};

/// An image with everything that bytes depend on: sorting, long and foreign names, links, modes,
/// owners, capabilities, shared directories, several layers.
fn corpus(store: &mut FakeStore) -> Value {
    let long = format!("share/{}/{}", "d".repeat(90), "f".repeat(120));
    let library = store.add(
        "library",
        &[
            Item::Executable("lib/libx.so.1", "elf"),
            Item::Symlink("lib/libx.so", "libx.so.1"),
            Item::File("lib-extra", ""),
            Item::File("share/größe", "é"),
            Item::File(&long, "long"),
            Item::Symlink("share/far", &"t".repeat(150)),
            Item::Directory("var/empty"),
        ],
        &[],
    );
    let program = store.add(
        "program",
        &[
            Item::Executable("bin/program", "#!"),
            Item::File("bin/.hidden", "h"),
        ],
        &[&library],
    );
    let data = store.add_file("data.txt", "data\n");
    let etc = store.add(
        "etc",
        &[
            Item::File("etc/passwd", "root:x:0:0::/root:/bin/sh\n"),
            Item::Directory("tmp"),
            Item::Directory("home/app"),
            Item::Symlink("bin/sh", &format!("{program}/bin/program")),
        ],
        &[&program],
    );
    let other = store.add("other", &[Item::File("etc/group", "root:x:0:\n")], &[]);
    let mut request = store.image_request();
    request["copyToRoot"] = json!([etc, other]);
    request["deps"] = json!([program, data]);
    request["maxLayers"] = json!(3);
    request["metadata"] = json!({ "created_by": "strata" });
    request["perms"] = json!([
        { "path": etc, "regex": "/tmp$", "mode": "1777" },
        { "path": etc, "regex": "/home/app", "mode": "0700", "uid": 1000, "gid": 4_000_000 },
        { "path": program, "regex": "bin/program$", "capabilities": ["CAP_NET_BIND_SERVICE"] },
    ]);
    request["image"]["config"] =
        json!({ "cmd": [format!("{program}/bin/program")], "x-own": { "b": 1, "a": [] } });
    request["image"]["annotations"] = json!({ "org.opencontainers.image.title": "test" });
    request
}

/// What GNU tar lists, without the times.
fn listing(tar: &[u8], flags: &[&str]) -> String {
    let mut child = Command::new("tar")
        .args([
            "--list",
            "--verbose",
            "--utc",
            "--full-time",
            "--quoting-style=literal",
        ])
        .args(flags)
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(tar).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let line = |line: &str| {
        let (before, after) = line.split_once(" 1970-01-01 00:00:01 ").expect(line);
        let mut words = before.split_whitespace();
        let mut next = || words.next().unwrap();
        format!("{} {} {} {after}\n", next(), next(), next())
    };
    text.lines().map(line).collect()
}

fn digest(store: &FakeStore, output: &str) -> String {
    std::fs::read_to_string(store.locate(output).join("digest"))
        .unwrap()
        .trim()
        .to_owned()
}

/// A change here is a format break: say so in CHANGELOG.md, then take the digests that the failure
/// shows.
#[test]
fn digests_are_pinned() {
    let mut store = FakeStore::relocated();
    let request = corpus(&mut store);
    let output = store.build(&request).unwrap();
    let layers = store.layers(&output);
    let layers: Vec<&str> = layers["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| l["digest"].as_str().unwrap())
        .collect();
    insta::assert_snapshot!(format!(
        "manifest {}\n{}",
        digest(&store, &output),
        layers.join("\n")
    ));
    let manifest = digest(&store, &output);
    let manifest = store
        .locate(&output)
        .join("blobs/sha256")
        .join(&manifest["sha256:".len()..]);
    let config = read_json(&manifest)["config"]["digest"]
        .as_str()
        .unwrap()
        .to_owned();
    let config = store
        .locate(&output)
        .join("blobs/sha256")
        .join(&config["sha256:".len()..]);
    insta::assert_snapshot!(std::fs::read_to_string(config).unwrap());
}

#[test]
fn gnu_tar_reads_what_was_meant() {
    let mut store = FakeStore::relocated();
    let request = corpus(&mut store);
    let output = store.build(&request).unwrap();
    let listings: Vec<String> = store
        .tars(&output)
        .iter()
        .map(|tar| listing(tar, &[]))
        .collect();
    insta::assert_snapshot!(listings.join("--\n"));
    // With numbers instead of names, for the owners.
    let last = store.tars(&output).pop().unwrap();
    let numbers = listing(&last, &["--numeric-owner"]);
    assert!(
        numbers.contains("drwx------ 1000/4000000 0 home/app/\n"),
        "{numbers}"
    );
}

#[test]
fn nothing_else_matters() {
    let mut store = FakeStore::relocated();
    let request = corpus(&mut store);
    let (first, warnings) = store.build_with(&request, 1).unwrap();
    let about_keys = "warning: attribute config.x-own: no engine knows this; it is kept\n";
    assert!(
        warnings.iter().all(|text| text.starts_with(about_keys)),
        "{warnings:?}"
    );
    let expected = digest(&store, &first);

    for threads in [2, 3, 16] {
        let (output, _) = store.build_with(&request, threads).unwrap();
        assert_eq!(digest(&store, &output), expected, "{threads} threads");
    }

    // Another umask when the store was filled, and canonical modes of a real store.
    let library = store.locate(&store.path("library"));
    for (file, mode) in [
        ("lib-extra", 0o444),
        ("lib-extra", 0o600),
        ("lib/libx.so.1", 0o711),
    ] {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(library.join(file), permissions).unwrap();
        let output = store.build(&request).unwrap();
        assert_eq!(digest(&store, &output), expected, "{file} {mode:o}");
    }

    // `nix-store --optimise` makes hard links, dockerTools' NixOS/nixpkgs#34137.
    let links = store.locate(&store.dir.clone()).join(".links");
    std::fs::create_dir_all(&links).unwrap();
    std::fs::hard_link(library.join("share/größe"), links.join("a")).unwrap();
    let output = store.build(&request).unwrap();
    assert_eq!(digest(&store, &output), expected, "hard links");

    // The order of roots, and files that were made in another order.
    let mut again = FakeStore::relocated();
    let mut request = corpus(&mut again);
    for attribute in ["copyToRoot", "deps"] {
        request[attribute].as_array_mut().unwrap().reverse();
    }
    let library = again.locate(&again.path("library"));
    std::fs::rename(library.join("lib-extra"), library.join("x")).unwrap();
    std::fs::rename(library.join("x"), library.join("lib-extra")).unwrap();
    let output = again.build(&request).unwrap();
    assert_eq!(digest(&again, &output), expected, "order");
}

/// Names around the sizes of the ustar fields come back whole.
#[test]
fn names_of_any_length() {
    let mut store = FakeStore::relocated();
    let mut expected = Vec::new();
    let names: Vec<String> = [
        1, 40, 44, 45, 46, 47, 48, 98, 99, 100, 101, 154, 155, 156, 200, 255,
    ]
    .iter()
    .flat_map(|length| {
        let name = "n".repeat(*length);
        [
            name.clone(),
            format!("{}/{name}", "d".repeat(50)),
            format!("{}/{name}", "e".repeat(120)),
        ]
    })
    .collect();
    let items: Vec<Item<'_>> = names.iter().map(|name| Item::File(name, "x")).collect();
    let path = store.add("names", &items, &[]);
    let link_targets: Vec<String> = [99, 100, 101, 300]
        .iter()
        .map(|length| "t".repeat(*length))
        .collect();
    let links: Vec<String> = (0..4).map(|number| format!("link{number}")).collect();
    let items: Vec<Item<'_>> = links
        .iter()
        .zip(&link_targets)
        .map(|(link, target)| Item::Symlink(link, target))
        .collect();
    let links_path = store.add("links", &items, &[]);
    let mut request = store.image_request();
    request["deps"] = json!([path, links_path]);
    let output = store.build(&request).unwrap();
    let listing = listing(&store.tars(&output)[0], &[]);
    for name in &names {
        expected.push(format!(
            "-r--r--r-- root/root 1 {}/{name}\n",
            path.trim_start_matches('/')
        ));
    }
    for (link, target) in links.iter().zip(&link_targets) {
        let link = format!("{}/{link}", links_path.trim_start_matches('/'));
        expected.push(format!("lrwxrwxrwx root/root 0 {link} -> {target}\n"));
    }
    for line in expected {
        assert!(listing.contains(&line), "{line} is not in\n{listing}");
    }
}
