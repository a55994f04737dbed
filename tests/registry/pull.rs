//! Images out of registries: whole, in parts, and as lock files.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "this is a test"
)]

use strata_testing as support;

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::process::{Command, Output};

use crate::remote::{digest, image_of, manifest, nar_hash, push, push_index, skopeo};
use rstest::rstest;
use serde_json::{Value, json};
use strata_oci::Digest;
use support::bases::{BaseImage, Packed};
use support::fake_registry::{FakeRegistry, Fault};
use support::registry::{PASSWORD, Registry, Setup, USERNAME, run};

/// `strata` without the user's credentials.
fn strata(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strata"));
    command
        .args(arguments)
        .env("HOME", "/nonexistent")
        .env("XDG_RUNTIME_DIR", "/nonexistent")
        .env_remove("REGISTRY_AUTH_FILE")
        .env_remove("NETRC");
    command
}

/// What a command says that fails.
fn failure(command: &mut Command) -> String {
    let Output { status, stderr, .. } = command.output().unwrap();
    let said = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(1), "{said}");
    said
}

fn path<'a>(directory: &'a tempfile::TempDir, name: &str) -> String {
    let path: &'a Path = directory.path();
    path.join(name).display().to_string()
}

/// nlewo/nix2container#76, #177 and every hash that is in somebody's flake: the directory has the bytes
/// that skopeo writes, so it has the hash that Nix knows.
#[rstest]
#[case::gzip(Packed::Gzip, &[])]
#[case::zstd(Packed::Zstd, &[])]
#[case::plain(Packed::Plain, &["--preserve-digests"])]
#[case::schema_2(Packed::Gzip, &["--format", "v2s2"])]
fn nix2container_76_what_is_pulled_is_what_skopeo_writes(
    #[case] packed: Packed,
    #[case] flags: &[&str],
) {
    let registry = Registry::start(Setup::default());
    let reference = format!("{}/a/b:v1", registry.host);
    push(&image_of("skopeo", packed), &reference, flags);
    let directory = tempfile::tempdir().unwrap();
    let (theirs, ours) = (path(&directory, "theirs"), path(&directory, "ours"));
    let by_digest = format!(
        "{}/a/b@{}",
        registry.host,
        digest(&registry.host, "a/b", "v1")
    );
    skopeo(&[&format!("docker://{by_digest}"), &format!("dir:{theirs}")]);
    for reference in [&by_digest, &reference] {
        let said = run(&mut strata(&["pull", reference, &ours]));
        assert_eq!(said, format!("docker://{by_digest}\n"));
        run(Command::new("diff").args(["-r", &theirs, &ours]));
        assert_eq!(nar_hash(theirs.as_ref()), nar_hash(ours.as_ref()));
    }
    // Version, manifest, config, two layers.
    assert_eq!(std::fs::read_dir(&ours).unwrap().count(), 5);
}

fn two_platforms(registry: &Registry, word: &str) -> String {
    for architecture in ["amd64", "arm64"] {
        let mut image = image_of(&format!("{word} {architecture}"), Packed::Gzip);
        architecture.clone_into(&mut image.architecture);
        push(
            &image,
            &format!("{}/name:{architecture}", registry.host),
            &[],
        );
    }
    let amd64 = json!({ "os": "linux", "architecture": "amd64" });
    let arm64 = json!({ "os": "linux", "architecture": "arm64", "variant": "v8" });
    let images = [("amd64", amd64), ("arm64", arm64)];
    push_index(&registry.host, "name", "latest", &images)
}

/// NixOS/nixpkgs#133515: the digest of an index was given where one platform's was meant. It is said
/// which image is taken, and that of another platform is not taken in silence.
#[test]
fn nixpkgs_133515_an_index_is_not_taken_for_an_image() {
    let registry = Registry::start(Setup::default());
    let index = two_platforms(&registry, "one");
    let name = format!("{}/name", registry.host);
    let directory = tempfile::tempdir().unwrap();
    let (theirs, ours) = (path(&directory, "theirs"), path(&directory, "ours"));
    let by_index = format!("{name}@{index}");
    skopeo(&[
        "--override-os",
        "linux",
        "--override-arch",
        "arm64",
        &format!("docker://{by_index}"),
        &format!("dir:{theirs}"),
    ]);
    let output = strata(&["pull", "--platform", "linux/arm64", &by_index, &ours])
        .output()
        .unwrap();
    let own = digest(&registry.host, "name", "arm64");
    let said = String::from_utf8(output.stderr).unwrap();
    let note = format!("{index} is an index; its image for linux/arm64 is {own}\n");
    assert!(said.contains(&note), "{said}");
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        format!("docker://{name}@{own}\n")
    );
    run(Command::new("diff").args(["-r", &theirs, &ours]));

    // What is not there for a platform is not replaced by another.
    let arguments = ["pull", "--platform", "linux/s390x", &by_index, &ours];
    let said = failure(&mut strata(&arguments));
    assert!(said.contains("there is no image for linux/s390x"), "{said}");
    assert!(
        said.contains("it is there for linux/amd64, linux/arm64/v8"),
        "{said}"
    );

    // The digest of one platform stands for itself, but not in silence.
    let by_digest = format!("{name}@{own}");
    let output = strata(&["pull", "--platform", "linux/amd64", &by_digest, &ours])
        .output()
        .unwrap();
    assert!(output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    let warning = format!("warning: {own} is for linux/arm64 and not for linux/amd64");
    assert!(said.contains(&warning), "{said}");
}

#[test]
fn a_part_is_a_file_or_goes_to_standard_output() {
    let registry = Registry::start(Setup::default());
    two_platforms(&registry, "parts");
    let name = format!("{}/name", registry.host);
    let arm64: Value = serde_json::from_str(&manifest(&registry.host, "name", "arm64")).unwrap();
    let pull = |part: &str, output: &str| {
        let platform = ["--platform", "linux/arm64"];
        let arguments = ["pull", &name, output, "--only", part];
        run(&mut strata(&[&arguments[..], &platform].concat()))
    };
    assert_eq!(
        pull("manifest", "-"),
        manifest(&registry.host, "name", "arm64")
    );
    let config = pull("config", "-");
    assert_eq!(
        json!(Digest::of(config.as_bytes())),
        arm64["config"]["digest"]
    );

    let directory = tempfile::tempdir().unwrap();
    let file = path(&directory, "blob");
    let layer = arm64["layers"][1]["digest"].as_str().unwrap();
    assert_eq!(pull(layer, &file), "");
    assert_eq!(
        Digest::of(&std::fs::read(&file).unwrap()).to_string(),
        layer
    );

    // A pipe or a device is written to, and stays what it is.
    let pipe = path(&directory, "pipe");
    run(Command::new("mkfifo").arg(&pipe));
    // Open for both, so that nobody waits for anybody.
    let mut reader = File::options().read(true).write(true).open(&pipe).unwrap();
    assert_eq!(pull("manifest", &pipe), "");
    let kind = std::fs::symlink_metadata(&pipe).unwrap().file_type();
    assert!(kind.is_fifo(), "{kind:?}");
    let mut written = vec![0; 1 << 16];
    let length = reader.read(&mut written).unwrap();
    let expected = manifest(&registry.host, "name", "arm64");
    assert_eq!(written[..length], *expected.as_bytes());
    assert_eq!(pull("manifest", "/dev/stdout"), expected);
    std::fs::remove_file(&pipe).unwrap();

    // What is not there takes nothing away, and leaves nothing.
    let missing = Digest::of(b"missing").to_string();
    let said = failure(&mut strata(&["pull", &name, &file, "--only", &missing]));
    assert!(
        said.contains(&format!("cannot find {missing} in {name}")),
        "{said}"
    );
    assert_eq!(
        Digest::of(&std::fs::read(&file).unwrap()).to_string(),
        layer
    );
    assert_eq!(directory.path().read_dir().unwrap().count(), 1);
    let said = failure(&mut strata(&["pull", &format!("{name}:none"), &file]));
    assert!(said.contains("the registry has no such image"), "{said}");
    let secret = "https://me:hunter2@ghcr.io/x";
    let output = strata(&["pull", secret, &file]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("…@ghcr.io/x") && !said.contains("hunter2"),
        "{said}"
    );
    for wrong in ["layer", "sha256:1"] {
        let output = strata(&["pull", &name, "-", "--only", wrong]).output();
        assert_eq!(output.unwrap().status.code(), Some(2), "{wrong}");
    }
    let output = strata(&["pull", &name, "-"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

/// What a registry spoils is refused, and nothing of it stays.
#[rstest]
#[case::manifest("/manifests/sha256", "where sha256:")]
#[case::layer("/blobs/", "expected sha256:")]
fn damaged_answers_leave_nothing(#[case] place: &'static str, #[case] message: &str) {
    let registry = FakeRegistry::start(move |seen| {
        let spoils = seen.method == "GET" && seen.target.contains(place);
        spoils.then(|| {
            Fault::Lie(Box::new(|reply| {
                if let Some(byte) = reply.body.last_mut() {
                    *byte ^= 1;
                }
            }))
        })
    });
    let image = image_of("damaged", Packed::Gzip);
    let mut manifest = Value::Null;
    for (name, bytes) in BaseImage::layout(std::slice::from_ref(&image)) {
        registry.hold_blob(&bytes);
        let parsed = serde_json::from_slice::<Value>(&bytes).unwrap_or_default();
        if name.starts_with("blobs/") && parsed.get("layers").is_some() {
            manifest = parsed;
        }
    }
    registry.hold_manifest("latest", &manifest);
    let digest = Digest::of(manifest.to_string().as_bytes());
    let directory = tempfile::tempdir().unwrap();
    let output = path(&directory, "output");
    let reference = format!("{}/name@{digest}", registry.host);
    let said = failure(&mut strata(&[
        "pull",
        "--retry-times=0",
        &reference,
        &output,
    ]));
    assert!(said.contains(message), "{said}");
    assert_eq!(directory.path().read_dir().unwrap().count(), 0);
}

/// NixOS/nixpkgs#283098: bots could not bring a pinned image up to date without pulling all of it.
#[test]
fn nixpkgs_283098_a_lock_file_is_brought_up_to_date_by_one_command() {
    let registry = Registry::start(Setup::default());
    let index = two_platforms(&registry, "first");
    let name = format!("{}/name", registry.host);
    let text = run(&mut strata(&["lock", &name]));
    let lock: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(lock["name"], json!(name));
    assert_eq!(lock["tag"], "latest");
    assert_eq!(lock["index"]["digest"], json!(index));
    let platforms: Vec<&String> = lock["platforms"].as_object().unwrap().keys().collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
    let arm64 = &lock["platforms"]["linux/arm64"];
    let manifest_text = manifest(&registry.host, "name", "arm64");
    let manifest: Value = serde_json::from_str(&manifest_text).unwrap();
    assert_eq!(arm64["config"]["digest"], manifest["config"]["digest"]);
    assert_eq!(arm64["layers"][1]["size"], manifest["layers"][1]["size"]);
    assert_eq!(
        arm64["manifest"]["digest"],
        json!(Digest::of(manifest_text.as_bytes()))
    );

    let directory = tempfile::tempdir().unwrap();
    let file = path(&directory, "image.lock.json");
    let text = run(&mut strata(&["lock", &name, "--platform", "linux/arm64"]));
    std::fs::write(&file, &text).unwrap();
    let update = || strata(&["lock", "--update", &file]).output().unwrap();
    let said = |output: &Output| String::from_utf8(output.stderr.clone()).unwrap();
    let output = update();
    assert_eq!(said(&output), "nothing changed\n");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);

    // Issue 11, "What new users stumbled over" 7: another platform is added.
    for _ in 0..2 {
        let mut update = strata(&["lock", "--update", &file]);
        run(update.args(["--platform", "linux/amd64", "--platform", "linux/arm64/v8"]));
        let both = std::fs::read_to_string(&file).unwrap();
        let answer = run(&mut strata(&[
            "lock", "--update", &file, "--json", "--quiet",
        ]));
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer, json!({ "file": file, "changes": [] }));
        assert_eq!(both, run(&mut strata(&["lock", &name])));
    }
    std::fs::write(&file, &text).unwrap();

    // A link to the file stays a link.
    let target = path(&directory, "target");
    std::fs::rename(&file, &target).unwrap();
    std::os::unix::fs::symlink("target", &file).unwrap();
    two_platforms(&registry, "second");
    let output = update();
    assert!(Path::new(&file).is_symlink());
    std::fs::rename(&target, &file).unwrap();
    let (old, new) = (
        Digest::of(manifest_text.as_bytes()),
        digest(&registry.host, "name", "arm64"),
    );
    assert_eq!(said(&output), format!("linux/arm64: {old} -> {new}\n"));
    let updated = std::fs::read_to_string(&file).unwrap();
    assert_eq!(
        updated,
        run(&mut strata(&["lock", &name, "--platform", "linux/arm64"]))
    );
    assert_eq!(directory.path().read_dir().unwrap().count(), 1);

    // One platform is no other, and a platform that is not there is no reason to forget it.
    let amd64 = format!("{name}:amd64");
    let said = failure(&mut strata(&["lock", &amd64, "--platform", "linux/arm64"]));
    assert!(
        said.contains("it is for linux/amd64, not for linux/arm64"),
        "{said}"
    );
    let lock: Value = serde_json::from_str(&run(&mut strata(&["lock", &amd64]))).unwrap();
    assert!(lock["platforms"]["linux/amd64"].is_object() && lock.get("index").is_none());
    std::fs::write(&file, updated.replace("linux/arm64", "linux/s390x")).unwrap();
    let said = failure(&mut strata(&["lock", "--update", &file]));
    assert!(said.contains("there is no image for linux/s390x"), "{said}");
}

/// nlewo/nix2container#137: credentials for pulling, from every place that there is.
#[test]
fn nix2container_137_whoever_may_pull_can() {
    let registry = Registry::start(Setup {
        password: true,
        ..Setup::default()
    });
    let login = format!("{USERNAME}:{PASSWORD}");
    let reference = format!("{}/name:v1", registry.host);
    push(
        &image_of("secret", Packed::Gzip),
        &reference,
        &["--dest-creds", &login],
    );
    let auths = format!(
        r#"{{"auths":{{"{}":{{"auth":"dGVzdGVyOmNvcnJlY3QtaG9yc2U="}}}}}}"#,
        registry.host
    );
    let file = registry.file("auth.json", &auths).display().to_string();
    let missing = format!("--default-authfile={file}.missing");
    let entry = format!("machine 127.0.0.1 login {USERNAME} password {PASSWORD}");
    let netrc = registry.file("netrc", &entry);
    let pull =
        |flags: &[&str]| strata(&[&["pull", &reference, "-", "--only=manifest"], flags].concat());
    for flags in [
        &["--creds", login.as_str()][..],
        &["--src-creds", &login],
        &["--username", USERNAME, "--password", PASSWORD],
        &["--authfile", &file],
        &["--default-authfile", &file],
    ] {
        run(&mut pull(flags));
    }
    run(pull(&[]).env("NETRC", &netrc));
    run(pull(&[&missing]).env("NETRC", &netrc));
    run(pull(&[]).env("REGISTRY_AUTH_FILE", &file));
    for mut command in [
        pull(&[]),
        pull(&[&missing]),
        pull(&["--creds", "tester:wrong-horse"]),
        pull(&["--authfile", &file, "--no-creds"]),
    ] {
        let said = failure(&mut command);
        assert!(said.contains("login") || said.contains("log in"), "{said}");
        assert!(!said.contains("horse"), "{said}");
    }
}
