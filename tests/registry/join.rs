//! `strata index create`: one name for images that separate machines pushed (issue 11, "What new users stumbled
//! over" 5). The registry is the real one, and skopeo says what is there.

use std::process::{Command, Output};

use serde_json::{Value, json};

use strata_testing::bases::{BaseImage, Packed};
use strata_testing::registry::{PASSWORD, Registry, Setup, USERNAME};

use crate::remote::{digest, image_of, manifest, push, push_index};

fn strata(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strata"));
    let command = command.args(arguments).env("HOME", "/nonexistent");
    command
        .env("XDG_RUNTIME_DIR", "/nonexistent")
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn image_for(architecture: &str, packed: Packed) -> BaseImage {
    BaseImage {
        architecture: architecture.to_owned(),
        ..image_of(architecture, packed)
    }
}

/// Two runners pushed to the repository, each for its own platform.
fn two(host: &str) -> [String; 2] {
    ["amd64", "arm64"].map(|architecture| {
        push(
            &image_for(architecture, Packed::Gzip),
            &format!("{host}/app:1-{architecture}"),
            &[],
        );
        format!("docker://{host}/app:1-{architecture}")
    })
}

#[test]
fn row_5_images_that_separate_runners_pushed_become_one_index() {
    let registry = Registry::start(Setup::default());
    let host = &registry.host;
    let [amd64, arm64] = two(host);
    let target = format!("docker://{host}/app:1");
    let read = registry.bytes_read().unwrap();
    let output = strata(&[
        "index",
        "create",
        &target,
        &amd64,
        &arm64,
        "--tag=latest",
        "--annotation=org.example.a=b=c",
        "--json",
    ]);
    assert!(output.status.success(), "{}", said(&output));
    // No layer went anywhere.
    assert!(
        said(&output).contains("4 layers") && said(&output).contains("already there"),
        "{}",
        said(&output)
    );
    assert!(registry.bytes_read().unwrap() - read < 100_000);
    let index: Value = serde_json::from_str(&manifest(host, "app", "1")).unwrap();
    assert_eq!(
        index["mediaType"],
        "application/vnd.oci.image.index.v1+json"
    );
    assert_eq!(index["annotations"], json!({ "org.example.a": "b=c" }));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    for (number, architecture) in ["amd64", "arm64"].into_iter().enumerate() {
        let own = digest(host, "app", &format!("1-{architecture}"));
        let entry = &index["manifests"][number];
        assert_eq!(entry["digest"], own);
        assert_eq!(
            entry["platform"],
            json!({ "os": "linux", "architecture": architecture })
        );
        let expected = json!({ "platform": format!("linux/{architecture}"), "digest": own });
        assert_eq!(answer["images"][number], expected);
    }
    assert_eq!(answer["digest"], digest(host, "app", "1"));
    assert_eq!(answer["digest"], digest(host, "app", "latest"));
    assert_eq!(answer["destination"], target);
    assert_eq!(
        answer["also"],
        json!([format!("docker://{host}/app:latest")])
    );

    // Once more, with the index and another image: what is there is kept, what is lost is refused.
    push(
        &image_for("s390x", Packed::Zstd),
        &format!("{host}/app:1-s390x"),
        &[],
    );
    let third = format!("docker://{host}/app:1-s390x");
    let output = strata(&["index", "create", &target, &target, &third]);
    assert!(output.status.success(), "{}", said(&output));
    let index: Value = serde_json::from_str(&manifest(host, "app", "1")).unwrap();
    assert_eq!(index["manifests"].as_array().unwrap().len(), 3);
    let output = strata(&["index", "create", &target, &amd64]);
    assert!(
        said(&output).contains("hint: push to another tag, or replace it with --overwrite-index"),
        "{}",
        said(&output)
    );
    let output = strata(&[
        "index",
        "create",
        &target,
        &amd64,
        "--overwrite-index",
        "--quiet",
    ]);
    assert!(
        output.status.success() && output.stdout.is_empty(),
        "{}",
        said(&output)
    );
}

/// Repositories of the registry, another registry that wants a password, images in Docker's format, a layout as the
/// destination, and digests as names.
#[test]
fn row_5_images_are_taken_from_where_they_are() {
    let (registry, other) = (
        Registry::start(Setup::default()),
        Registry::start(Setup {
            password: true,
            ..Setup::default()
        }),
    );
    let host = &registry.host;
    let docker = |architecture: &str, name: &str, more: &[&str]| {
        let flags = [more, &["--format=v2s2"]].concat();
        push(&image_for(architecture, Packed::Gzip), name, &flags);
    };
    docker("amd64", &format!("{host}/one:1"), &[]);
    let creds = format!("{USERNAME}:{PASSWORD}");
    let login = format!("--dest-creds={creds}");
    push(
        &image_for("arm64", Packed::Plain),
        &format!("{}/two:1", other.host),
        &[&login],
    );
    let one = format!("docker://{host}/one@{}", digest(host, "one", "1"));
    let two = format!("docker://{}/two:1", other.host);
    let target = format!("docker://{}/joined:1", other.host);
    // What is meant for the destination's registry is shown to it alone; a hint names a flag that there is.
    let output = strata(&["index", "create", &target, &one, &two]);
    assert!(
        said(&output).contains("hint: ") && said(&output).contains("--creds"),
        "{}",
        said(&output)
    );
    let output = strata(&[
        "index",
        "create",
        &target,
        &one,
        &two,
        &format!("--creds={creds}"),
    ]);
    assert!(output.status.success(), "{}", said(&output));
    let directory = tempfile::tempdir().unwrap();
    let layout = directory.path().join("x");
    let joined = format!("oci:{}:1", layout.display());
    let output = strata(&[
        "index",
        "create",
        &joined,
        &one,
        &format!("docker://{host}/one:1"),
    ]);
    assert!(
        said(&output).contains("it is for linux/amd64, as sha256:"),
        "{}",
        said(&output)
    );
    let output = strata(&["index", "create", &joined, &one]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(layout.join("index.json").exists());
    // All of one registry's repositories, without a byte of a layer.
    docker("arm64", &format!("{host}/two:1"), &[]);
    let target = format!("docker://{host}/both:1");
    let output = strata(&[
        "index",
        "create",
        &target,
        &one,
        &format!("docker://{host}/two:1"),
        "-v",
    ]);
    let text = said(&output);
    assert!(
        text.contains(": mounted from one: it") && text.contains("copied 0 layers"),
        "{text}"
    );
    assert!(!text.contains("refuses OCI manifests"), "{text}");
    let list: Value = serde_json::from_str(&manifest(host, "both", "1")).unwrap();
    assert_eq!(
        list["mediaType"],
        "application/vnd.docker.distribution.manifest.list.v2+json"
    );
}

#[test]
fn row_5_what_is_no_image_is_refused() {
    let registry = Registry::start(Setup::default());
    let host = &registry.host;
    let [amd64, _] = two(host);
    let target = format!("docker://{host}/app:all");
    for (source, code, message) in [
        (
            "result".to_owned(),
            2,
            "not an image in a registry\nhint: write docker://NAME[:TAG]",
        ),
        (
            format!("docker://{host}/app:typo"),
            1,
            "the registry has no such image\nhint: ",
        ),
    ] {
        let output = strata(&["index", "create", &target, &amd64, &source]);
        assert_eq!(output.status.code(), Some(code));
        assert!(said(&output).contains(message), "{}", said(&output));
    }
    let platform = json!({ "os": "linux", "architecture": "amd64" });
    push_index(host, "app", "index", &[("1-amd64", platform)]);
    let output = strata(&[
        "index",
        "create",
        "docker-daemon:a",
        &format!("docker://{host}/app:index"),
    ]);
    assert!(said(&output).contains("hint: "), "{}", said(&output));
}
