//! `strata merge`: several images in one archive.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "this is a test"
)]

use strata_testing as support;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::json;
use support::engines::{Engine, containerd, docker, podman};
use support::fake_store::{FakeStore, Item};
use support::registry::run;

/// Two images that share a layer, and an index with the first.
fn images() -> (FakeStore, [PathBuf; 3]) {
    let mut store = FakeStore::new();
    let shared = store.add("shared", &[Item::File("share/data", "for all")], &[]);
    let build = |store: &mut FakeStore, name: &str| {
        let app = store.add(name, &[Item::Executable("bin/app", name)], &[&shared]);
        let mut request = store.image_request();
        request["deps"] = json!([app]);
        request["maxLayers"] = json!(2);
        request["image"]["name"] = json!(format!("merged/{name}"));
        request["image"]["config"] = json!({ "Labels": { "name": name } });
        store.build(&request).unwrap()
    };
    let [one, two] = ["one", "two"].map(|name| build(&mut store, name));
    let index = store
        .build(&json!({
            "version": 1, "storeDir": store.dir,
            "index": { "name": "merged/index", "tag": "latest", "images": [one] }
        }))
        .unwrap();
    let paths = [one, two, index].map(|path| store.locate(&path));
    (store, paths)
}

fn merge(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strata"));
    command.arg("merge").args(arguments).output().unwrap()
}

fn text(path: &std::path::Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn engines_read_every_name() {
    let (_store, [one, two, index]) = images();
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("all.tar");
    let output = merge(&[text(&one), text(&two), text(&index), text(&archive)]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let said = String::from_utf8(output.stdout).unwrap();
    let digest = fs::read_to_string(two.join("digest")).unwrap();
    let line = format!(
        "docker-archive:{}:merged/two:latest@{}",
        archive.display(),
        digest.trim()
    );
    assert_eq!(said.lines().nth(1), Some(line.as_str()), "{said}");

    let names = run(Command::new("tar").args(["--list", "--file"]).arg(&archive));
    let blobs: Vec<&str> = names.lines().filter(|name| name.len() > 64).collect();
    // Three layers, two configs, two manifests, an index; each once.
    assert_eq!(blobs.len(), 8, "{blobs:?}");
    assert_eq!(blobs.iter().collect::<BTreeSet<_>>().len(), 8);

    let label = ["image", "inspect", "--format", "{{.Config.Labels.name}}"];
    docker().load(&archive);
    podman().load(&archive);
    containerd().load(&archive);
    let listed = run(&mut containerd().command(&["images", "list", "--quiet"]));
    for (name, expected) in [("one", "one"), ("two", "two"), ("index", "one")] {
        let name = format!("docker.io/merged/{name}:latest");
        let inspect = [&label[..], &[name.as_str()]].concat();
        assert_eq!(run(&mut docker().command(&inspect)).trim(), expected);
        assert_eq!(run(&mut podman().command(&inspect)).trim(), expected);
        assert!(listed.lines().any(|line| line == name), "{listed}");
    }
    // It can be repeated, also into a pipe.
    let before = fs::read(&archive).unwrap();
    let output = merge(&[text(&one), text(&two), text(&index), "-"]);
    assert!(output.stdout == before);
}

#[test]
fn one_name_is_one_image() {
    let (store, [one, ..]) = images();
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("all.tar");
    let output = merge(&[text(&one), text(&one), text(&archive)]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(error.contains(": it is given twice\nhint: "), "{error}");
    let compressed = store.locate(&store.path("compressed"));
    let mut compress = Command::new(env!("CARGO_BIN_EXE_strata"));
    run(compress.args(["compress", text(&one), text(&compressed)]));
    let output = merge(&[text(&one), text(&compressed), text(&archive)]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.contains("is called merged/one:latest, too\nhint: "),
        "{error}"
    );
    assert!(!archive.exists());
    assert_eq!(merge(&[text(&one)]).status.code(), Some(2));
}

/// Who reads standard output may have read enough; a pipe that has a name was to get all of it.
#[test]
fn half_an_archive_is_no_success() {
    let mut store = FakeStore::new();
    // More than a pipe holds.
    let content = "x".repeat(1 << 20);
    let app = store.add("app", &[Item::File("file", &content)], &[]);
    let mut request = store.image_request();
    request["deps"] = json!([app]);
    let image = store.build(&request).unwrap();
    let image = store.locate(&image);
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    run(Command::new("mkfifo").arg(&pipe));
    for name in ["merge", "export"] {
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || drop(fs::File::open(pipe).unwrap())
        });
        let mut command = Command::new(env!("CARGO_BIN_EXE_strata"));
        let output = command.args([name, text(&image), text(&pipe)]).output();
        let output = output.unwrap();
        reader.join().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{name}: {error}");
        assert!(error.contains(text(&pipe)), "{name}: {error}");
    }
}
