//! Issue 11, "What new users stumbled over": what they typed, and what is said now.

use strata_testing as support;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::{Value, json};
use support::bases::{BaseImage, Piece, tar, write};
use support::fake_store::{FakeStore, Item};
use tempfile::TempDir;

struct Scene {
    _store: FakeStore,
    image: PathBuf,
    directory: TempDir,
}

/// An image, on a base whose layer is compressed if there is to be one.
fn scene(has_base: bool) -> Scene {
    let mut store = FakeStore::new();
    let file = store.add("file", &[Item::File("etc/file", "1")], &[]);
    let mut request = store.image_request();
    request["copyToRoot"] = json!([file]);
    if has_base {
        let path = store.path("base");
        let base = BaseImage::new(vec![tar(&[Piece::File("etc/base", "1")])]);
        write(&BaseImage::layout(&[base]), &store.locate(&path));
        request["image"]["fromImage"] = json!({ "path": path });
    }
    let output = store.build(&request).unwrap();
    let image = store.locate(&output);
    let directory = tempfile::tempdir().unwrap();
    Scene {
        _store: store,
        image,
        directory,
    }
}

impl Scene {
    fn strata(&self, arguments: &[&str]) -> Output {
        let image = self.image.to_str().unwrap();
        let arguments = arguments
            .iter()
            .map(|argument| argument.replace("IMAGE", image));
        Command::new(env!("CARGO_BIN_EXE_strata"))
            .args(arguments)
            .current_dir(self.directory.path())
            .env("HOME", "/nonexistent")
            .env("XDG_RUNTIME_DIR", "/nonexistent")
            .output()
            .unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// One object on standard output, whatever else is said.
#[test]
fn row_2_every_result_can_be_json() {
    let scene = scene(false);
    let digest = fs::read_to_string(scene.image.join("digest")).unwrap();
    let digest = digest.trim();
    for (arguments, expected) in [
        (
            &["copy", "IMAGE", "oci:x", "--json"][..],
            json!({ "destination": "oci:x:latest", "also": [], "digest": digest, "id": null,
                    "mediaType": "application/vnd.oci.image.manifest.v1+json" }),
        ),
        (
            &["verify", "IMAGE", "--json"],
            json!({ "digest": digest, "verified": true, "findings": [] }),
        ),
        (
            &["merge", "IMAGE", "m.tar", "--json", "--quiet"],
            json!({ "output": "m.tar", "images": [{ "name": "test:latest", "digest": digest }] }),
        ),
        (
            &["export", "IMAGE", "e.tar", "--json"],
            json!({ "output": "e.tar", "digest": digest }),
        ),
    ] {
        let output = scene.strata(arguments);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(found, expected, "{arguments:?}");
    }
    let output = scene.strata(&["compress", "IMAGE", "c", "--json", "--jobs=1"]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["output"], "c");
    assert!(
        found["digest"].as_str().unwrap().starts_with("sha256:"),
        "{found}"
    );
    for arguments in [
        &["copy", "IMAGE", "docker-archive:-", "--json"][..],
        &["merge", "IMAGE", "-", "--json"],
        &["export", "IMAGE", "--json"],
    ] {
        let output = scene.strata(arguments);
        assert_eq!(
            (output.status.code(), output.stdout.len()),
            (Some(2), 0),
            "{arguments:?}"
        );
    }
}

#[test]
fn row_7_inspect_says_which_layers_are_compressed() {
    let on_base = text(&scene(true).strata(&["inspect", "IMAGE"]).stdout);
    assert!(
        on_base.contains(" partly compressed, layers: 2\n"),
        "{on_base}"
    );
    assert!(on_base.contains("  compressed  COPY . /\n"), "{on_base}");
    assert!(on_base.contains("  uncompressed\n"), "{on_base}");
    let alone = text(&scene(false).strata(&["inspect", "IMAGE"]).stdout);
    assert!(alone.contains(" uncompressed, layers: 1\n"), "{alone}");
    assert_eq!(alone.matches("compressed").count(), 1, "{alone}");
}

#[test]
fn row_7_no_directory_is_made_for_an_archive() {
    let scene = scene(false);
    for arguments in [
        &["copy", "IMAGE", "docker-archive:typo/x.tar"][..],
        &["copy", "IMAGE", "oci-archive:typo/deep/x.tar:1"],
        &["merge", "IMAGE", "typo/x.tar"],
        &["export", "IMAGE", "typo/x.tar"],
    ] {
        let output = scene.strata(arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(
            said.contains("there is no directory typo")
                && said.contains("hint: make it first: mkdir -p typo"),
            "{said}"
        );
        assert_eq!(fs::read_dir(scene.directory.path()).unwrap().count(), 0);
    }
    let output = scene.strata(&["copy", "IMAGE", "docker-archive:x.tar"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn row_7_names_that_are_none_are_explained() {
    for (destination, said) in [
        (
            "docker-daemon:Hello:1",
            "since it has upper-case letters\nhint: names have lower-case letters only: write hello:1\n",
        ),
        (
            "docker://ghcr.io/Me/app",
            "since it has upper-case letters\nhint: names have lower-case letters only: write ghcr.io/me/app\n",
        ),
        (
            "docker://ghcr.io/me/app:feature/x",
            "since its tag has a slash\nhint: write ghcr.io/me/app:feature-x\n",
        ),
        (
            "oci:x:app:feature/x",
            "since its tag has a slash\nhint: write app:feature-x\n",
        ),
    ] {
        let output = scene(false).strata(&["copy", "IMAGE", destination]);
        let found = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{found}");
        assert!(found.contains(said), "{destination}: {found}");
    }
}

#[test]
fn row_4_skopeos_ways_lead_here() {
    let scene = scene(false);
    for (arguments, hint) in [
        (
            &["copy", "IMAGE", "nix:/x"][..],
            "write it first, as in: strata copy /x docker-daemon:",
        ),
        (&["copy", "nix:IMAGE", "oci:x"], "write the path alone: /"),
    ] {
        let output = scene.strata(arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(hint), "{said}");
    }
    let flags = [
        "--command-timeout=10m",
        "--tmpdir=/x",
        "--image-parallel-copies=3",
        "--retry-delay=2s",
    ];
    let output = scene.strata(&[&["copy", "IMAGE", "oci:x"][..], &flags].concat());
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    for flag in flags {
        let name = flag.split('=').next().unwrap();
        assert!(
            said.contains(&format!("warning: {name} of skopeo has no effect\nhint: ")),
            "{said}"
        );
    }
    let output = scene.strata(&[&["copy", "IMAGE", "oci:x", "--quiet"][..], &flags].concat());
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn row_9_commands_are_listed() {
    let scene = scene(false);
    let output = scene.strata(&["push", "IMAGE"]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(
        said.contains("the commands are copy, inspect, verify,"),
        "{said}"
    );
    // No terminal, no colours.
    assert!(!said.contains('\u{1b}'), "{said}");
    let output = scene.strata(&["help", "copy"]);
    assert!(output.status.success());
    assert!(
        text(&output.stdout).contains("Usage: strata copy"),
        "{}",
        text(&output.stdout)
    );
    let output = scene.strata(&["version"]);
    assert!(
        text(&output.stdout).starts_with("strata "),
        "{}",
        text(&output.stdout)
    );
}
