//! Issue 11, "What new users stumbled over": what they typed, and what is said now.

use strata_testing as support;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use support::bases::{BaseImage, Piece, tar, write};
use support::fake_registry::{FakeRegistry, Fault};
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
        self.command(arguments).output().unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let image = self.image.to_str().unwrap();
        let arguments = arguments
            .iter()
            .map(|argument| argument.replace("IMAGE", image));
        let mut command = Command::new(env!("CARGO_BIN_EXE_strata"));
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env("HOME", "/nonexistent")
            .env("XDG_RUNTIME_DIR", "/nonexistent");
        command
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
            json!({ "destination": "oci:x:latest", "also": [], "attached": [], "digest": digest, "id": null,
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
    let registry = FakeRegistry::start(|_| None);
    let name = format!("docker://{}/name:1", registry.host);
    let dry = scene.strata(&["copy", "IMAGE", &name, "--dry-run", "--tag=2", "--json"]);
    let dry: Value = serde_json::from_slice(&dry.stdout).unwrap();
    assert_eq!(dry["destination"], name);
    let image = &dry["images"][0];
    assert_eq!(image["platform"], "linux/amd64");
    let tags = ["1", "2"].map(|tag| format!("{}/name:{tag}", registry.host));
    assert_eq!(image["tags"], json!(tags));
    assert_eq!(image["layers"][0]["action"], "sent");
    assert_eq!(image["layers"][0]["compression"], "gzip:3");
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

/// What docs/cli.md says that an answer has is what it has: neither more nor less.
#[test]
fn row_2_the_book_says_what_the_answers_have() {
    let scene = scene(true);
    let registry = FakeRegistry::start(|_| None);
    let name = format!("docker://{}/name:1", registry.host);
    let serve = ["serve", "IMAGE", "--json", "--listen=127.0.0.1:0"];
    let mut documented: Vec<String> = Vec::new();
    for (command, arguments) in [
        ("copy", &["copy", "IMAGE", "oci:x", "--json"][..]),
        (
            "copy --dry-run",
            &["copy", "IMAGE", &name, "--dry-run", "--json"],
        ),
        ("verify", &["verify", "IMAGE", "--json"]),
        ("compress", &["compress", "IMAGE", "c", "--json"]),
        ("merge", &["merge", "IMAGE", "m.tar", "--json"]),
        ("export", &["export", "IMAGE", "e.tar", "--json"]),
        ("serve", &serve),
    ] {
        let answer = if command == "serve" {
            first_line(scene.command(arguments))
        } else {
            scene.strata(arguments).stdout
        };
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        let mut found = BTreeSet::new();
        keys(&answer, &mut found);
        // Nothing is found where nothing is wrong.
        if command == "verify" {
            found.extend(["message", "hint"].map(str::to_owned));
        }
        // Nor is there an older image of which something could be fetched.
        if command == "copy --dry-run" {
            let fetched = ["how", "bytes", "chunks", "ofBytes", "ofChunks", "files"];
            found.extend(fetched.map(str::to_owned));
        }
        assert_eq!(found, fields(command), "{command}");
        documented.push(command.to_owned());
    }
    // Those of registries are in tests/registry/pull.rs and in tests/attest/.
    let of_registries = ["pull", "lock --update", "index create"];
    let of_attest = ["attach", "referrers", "sign", "verify docker://"];
    documented.extend(
        [&of_registries[..], &of_attest]
            .concat()
            .iter()
            .map(ToString::to_string),
    );
    documented.sort();
    let mut rows: Vec<String> = rows().into_iter().map(|(command, _)| command).collect();
    rows.sort();
    assert_eq!(rows, documented);
}

/// The table in docs/cli.md: commands, and what their answers have.
fn rows() -> Vec<(String, String)> {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/cli.md")).unwrap();
    let (_, section) = page.split_once("\n## Answers in JSON\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let row = |row: &str| {
        let (command, fields) = row.split_once("` | ").unwrap();
        (command.to_owned(), fields.to_owned())
    };
    rows.map(row).collect()
}

/// The names of fields in a row of it.
fn fields(command: &str) -> BTreeSet<String> {
    let (_, text) = rows()
        .into_iter()
        .find(|(name, _)| name == command)
        .unwrap();
    let names = text.split('`').skip(1).step_by(2);
    names
        .map(|name| name.trim_end_matches("[]").to_owned())
        .collect()
}

fn keys(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                found.insert(key.clone());
                keys(value, found);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| keys(value, found)),
        _ => {}
    }
}

/// The first line of what a command says that goes on.
fn first_line(mut command: Command) -> Vec<u8> {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = Vec::new();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_until(b'\n', &mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    line
}

/// Requests and decisions, for those who look for a reason; neither of them has a secret in it.
#[test]
fn row_2_reasons_are_told_to_those_who_ask() {
    let scene = scene(true);
    let registry = FakeRegistry::start(|seen| {
        let is_upload = seen.method == "POST" && seen.target.contains("/uploads/");
        is_upload.then(|| {
            Fault::Lie(Box::new(|reply| {
                for (name, value) in &mut reply.headers {
                    if name.eq_ignore_ascii_case("location") {
                        value.push_str("?_state=secret-of-the-upload");
                    }
                }
            }))
        })
    });
    let name = format!("docker://{}/name", registry.host);
    let first = [name.clone(), ":1".to_owned()].concat();
    let second = [name, ":2".to_owned()].concat();
    let push = |name: &str, more: &[&str]| {
        let secret = "--dest-creds=me:hunter2";
        let arguments = [&["copy", "IMAGE", name, "--no-cache", secret][..], more].concat();
        let output = scene.strata(&arguments);
        let said = text(&output.stderr);
        assert!(
            output.status.success() && !said.contains("hunter2"),
            "{said}"
        );
        said
    };
    let plain = push(&first, &[]);
    assert!(
        !plain.contains("GET http") && !plain.contains(": sent"),
        "{plain}"
    );
    let all_there = push(&second, &["--verbose", "--quiet"]);
    assert!(
        all_there.contains("the registry has the manifest, and so all that is in it\n"),
        "{all_there}"
    );
    let third = second.replace(":2", ":3");
    let verbose = push(&third, &["--verbose", "--quiet", "--verify-reused"]);
    let reused = format!(", as {}/name:2 calls it\n", registry.host);
    assert!(
        verbose.contains(": reused, the registry has sha256:"),
        "{verbose}"
    );
    assert!(
        verbose.contains(&reused) && !verbose.contains("GET http"),
        "{verbose}"
    );
    let sent = push(&second, &["-v", "--no-reuse"]);
    assert!(
        sent.contains(": nobody says what it is called when it is compressed\n"),
        "{sent}"
    );
    assert!(sent.contains(": sent, compressed with gzip:3\n"), "{sent}");
    let debug = push(&first, &["--debug", "--no-reuse"]);
    let asked = format!(
        "GET http://{}/v2/name/manifests/1: 200 after ",
        registry.host
    );
    assert!(
        debug.contains(&asked) && debug.contains(": sent, compressed"),
        "{debug}"
    );
    assert!(
        debug.contains("/uploads/") && debug.contains("?…: 201 after "),
        "{debug}"
    );
    assert!(!debug.contains("secret-of-the-upload"), "{debug}");
}

#[test]
fn row_7_inspect_says_which_layers_are_compressed() {
    let on_base = text(&scene(true).strata(&["inspect", "IMAGE"]).stdout);
    assert!(
        on_base.contains(" partly compressed, layers: 2\n"),
        "{on_base}"
    );
    assert!(
        on_base.contains("base image: COPY . /  compressed\n"),
        "{on_base}"
    );
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

/// The flag that published a tag and was called after reuse is two.
#[test]
fn row_1_a_tag_is_published_or_looked_at() {
    let scene = scene(false);
    let registry = FakeRegistry::start(|_| None);
    let push = |tag: &str, more: &str| {
        let name = format!("docker://{}/name:{tag}", registry.host);
        let output = scene.strata(&["copy", "IMAGE", &name, "--no-cache", "-v", more]);
        let said = text(&output.stderr);
        (output.status.code(), said)
    };
    let (code, said) = push("1", "--reuse-tag=old");
    assert!(
        code == Some(0) && registry.manifest("old").is_some(),
        "{said}"
    );
    assert!(
        said.contains("warning: --reuse-tag will go: ") && said.contains("hint: write --tag"),
        "{said}"
    );
    let (code, said) = push("2", "--tag=main");
    assert!(
        code == Some(0) && registry.manifest("main").is_some(),
        "{said}"
    );
    assert!(!said.contains("warning:"), "{said}");
    let (code, said) = push("3", "--reuse-from-tag=main");
    let reused = format!("as {}/name:main calls it", registry.host);
    assert!(code == Some(0) && said.contains(&reused), "{said}");
    // The first push of a branch.
    let (code, said) = push("4", "--reuse-from-tag=nobody");
    assert!(
        code == Some(0) && registry.manifest("nobody").is_none(),
        "{said}"
    );
    for flag in [
        "--tag=feature/x",
        "--reuse-tag=feature/x",
        "--reuse-from-tag=feature/x",
    ] {
        let (code, said) = push("5", flag);
        assert!(
            code == Some(2) && said.contains("hint: write feature-x: "),
            "{said}"
        );
    }
    let both = [
        "copy",
        "IMAGE",
        "docker://h.x/a",
        "--no-reuse",
        "--reuse-from-tag=main",
    ];
    assert_eq!(scene.strata(&both).status.code(), Some(2));
}

#[test]
fn row_9_commands_are_listed() {
    let scene = scene(false);
    let output = scene.strata(&["push", "IMAGE"]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(
        said.contains("the commands are copy, inspect, why,"),
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
