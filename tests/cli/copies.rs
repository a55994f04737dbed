//! The `strata` command, as people run it.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use strata_testing as support;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::fake_store::{FakeStore, Item, read_json};
use support::registry::{Registry, Setup, run};
use tempfile::TempDir;

/// An image in a store of temporary files, and an empty directory to copy it to.
struct Scene {
    store: FakeStore,
    /// The output of the image's derivation.
    image: PathBuf,
    /// The store paths of the image, each in a layer of its own.
    paths: [String; 2],
    directory: TempDir,
}

impl Scene {
    fn new() -> Self {
        Self::with(b"hello\n")
    }

    /// A scene whose first store path has a file with this content.
    fn with(content: &[u8]) -> Self {
        let mut store = FakeStore::new();
        let library = store.add("library", &[Item::Directory("lib")], &[]);
        fs::write(store.locate(&library).join("lib/content"), content).unwrap();
        store.register(&library, &[]);
        let program = store.add(
            "program",
            &[Item::Executable("bin/run", "#!/bin/sh\n")],
            &[&library],
        );
        let mut request = store.image_request();
        request["deps"] = json!([program]);
        request["maxLayers"] = json!(2);
        // As Nix says it where nobody says otherwise.
        request["metadata"] = json!({ "created_by": "strata" });
        request["image"]["config"] = json!({ "Cmd": ["run"] });
        let output = store.build(&request).unwrap();
        let image = store.locate(&output);
        let directory = tempfile::tempdir().unwrap();
        Self {
            store,
            image,
            paths: [library, program],
            directory,
        }
    }

    /// A scene whose copies take a while.
    fn large() -> Self {
        Self::with(&vec![0; 256 << 20])
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn digest(&self) -> String {
        fs::read_to_string(self.image.join("digest"))
            .unwrap()
            .trim_end()
            .to_owned()
    }

    fn strata(&self, name: &str) -> Command {
        let mut command = strata(&[name]);
        command.arg(&self.image).current_dir(self.directory.path());
        command
    }

    fn copy(&self, arguments: &[&str]) -> Output {
        self.strata("copy").args(arguments).output().unwrap()
    }

    fn left(&self) -> Vec<String> {
        names(self.directory.path())
    }
}

fn strata(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strata"));
    // Nothing of the machine's logins.
    command
        .args(arguments)
        .env("HOME", "/nonexistent")
        .env("XDG_RUNTIME_DIR", "/nonexistent");
    command
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[track_caller]
fn assert_fails(output: &Output, code: i32, said: &[&str]) {
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{errors}");
    assert_eq!(text(&output.stdout), "");
    assert!(errors.contains("error: "), "{errors}");
    for words in said {
        assert!(errors.contains(words), "{words} is not in: {errors}");
    }
}

#[test]
fn wrong_usage() {
    for (arguments, said) in [
        (&["fly"][..], &["unrecognized subcommand 'fly'"][..]),
        (&["copy", "image"], &["<DESTINATION>"]),
        (
            &["copy", "image", "a.tar"],
            &[
                "unknown transport",
                "hint: known destinations: docker://NAME",
            ],
        ),
        (
            &["copy", "image", "ftp:a"],
            &["unknown transport", "docker://NAME"],
        ),
        (
            &["copy", "image", "docker-daemon:Hello:1"],
            &["not a repository", "lower-case"],
        ),
        (&["copy", "image", "oci:a:-"], &["not a tag"]),
        (
            &["copy", "image", "dir:a", "dir:b"],
            &["unexpected argument 'dir:b'"],
        ),
        (
            &["copy", "image", "dir:a", "--fly"],
            &["unexpected argument '--fly'"],
        ),
        (
            &["copy", "image", "oci:a", "--format", "v2s2"],
            &["registries, podman:, dir: and docker-archive: hold"],
        ),
        (
            &["copy", "image", "dir:a", "--sign-by=me"],
            &["--sign-by of skopeo", "hint: "],
        ),
        (
            &["copy", "image", "dir:a", "--src-tls-verify=false"],
            &["from the Nix store"],
        ),
        (
            &["copy", "image", "dir:a", "--dest-compress-format", "zstd"],
            &["to a registry only"],
        ),
        (
            &["copy", "image", "dir:a", "--dest-tls-verify=no"],
            &["true or false"],
        ),
        (
            &["copy", "image", "dir:a", "--dest-username", "me"],
            &["--dest-password"],
        ),
        (
            &[
                "copy",
                "image",
                "dir:a",
                "--dest-creds=a:b",
                "--dest-no-creds",
            ],
            &["cannot be used"],
        ),
        (
            &["copy", "image", "dir:a", "--retry-times=-1"],
            &["invalid value"],
        ),
        (&["inspect"], &["<IMAGE>"]),
        (
            &["copy", "image", "docker-archive:a.zip"],
            &["what is written is not .zip", ".tar.gz"],
        ),
        (
            &["export", "image", "a.tgz"],
            &["what is written is not .tgz", ".tar.gz"],
        ),
        (
            &["completions", "tcsh"],
            &["hint: write one of bash, elvish, fish"],
        ),
    ] {
        let output = strata(arguments).output().unwrap();
        assert_fails(&output, 2, said);
    }
    assert_eq!(strata(&[]).output().unwrap().status.code(), Some(2));
}

#[test]
fn help_and_version_are_answers() {
    for arguments in [&["--help"][..], &["copy", "--help"], &["--version"]] {
        let output = strata(arguments).output().unwrap();
        assert!(output.status.success());
        assert!(!output.stdout.is_empty() && output.stderr.is_empty());
    }
    let help = text(&strata(&["copy", "--help"]).output().unwrap().stdout);
    assert!(help.contains("docker-archive:PATH[:NAME[:TAG]]"), "{help}");
}

#[test]
fn copies_say_where_and_what() {
    let scene = Scene::new();
    for (destination, shown) in [
        ("oci:layout:1.0", "oci:layout:1.0"),
        ("oci-archive:oci.tar", "oci-archive:oci.tar:latest"),
        (
            "docker-archive:docker.tar:a",
            "docker-archive:docker.tar:a:latest",
        ),
        ("dir:d", "dir:d"),
    ] {
        let output = scene.copy(&[destination]);
        let errors = text(&output.stderr);
        assert!(output.status.success(), "{errors}");
        assert_eq!(
            text(&output.stdout),
            format!("{shown}@{}\n", scene.digest())
        );
        assert!(
            errors.contains("layer 1/2 sha256:") && errors.contains("copied 2 layers"),
            "{errors}"
        );
    }
    assert_eq!(scene.left(), ["d", "docker.tar", "layout", "oci.tar"]);
    let again = scene.copy(&["oci:layout:1.1"]);
    let errors = text(&again.stderr);
    assert!(
        errors.contains("copied 0 layers (0 B), 2 layers"),
        "{errors}"
    );
    assert_eq!(
        read_json(&scene.path("layout/index.json"))["manifests"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[test]
fn a_copy_may_say_another_time() {
    let scene = Scene::new();
    let time = "2024-12-31T23:59:59Z";
    let output = scene.copy(&["oci:layout:1", "--created", time]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(!text(&output.stdout).contains(&scene.digest()));
    let blob = |digest: &str| {
        let hex = digest.strip_prefix("sha256:").unwrap();
        read_json(&scene.path("layout").join("blobs/sha256").join(hex))
    };
    let index = read_json(&scene.path("layout/index.json"));
    let manifest = blob(index["manifests"][0]["digest"].as_str().unwrap());
    let config = blob(manifest["config"]["digest"].as_str().unwrap());
    assert_eq!(config["created"], time);
    // The layers are what they were.
    run(scene.strata("copy").arg("oci:plain:1"));
    let plain = read_json(&scene.path("plain/index.json"));
    let plain = plain["manifests"][0]["digest"].as_str().unwrap().to_owned();
    let plain = plain.strip_prefix("sha256:").unwrap();
    let plain = read_json(&scene.path("plain/blobs/sha256").join(plain));
    assert_eq!(manifest["layers"], plain["layers"]);
    let wrong = scene.copy(&["oci:layout:1", "--created", "yesterday"]);
    assert_fails(
        &wrong,
        2,
        &["--created", "write a time as in 2024-12-31T23:59:59Z"],
    );
}

#[test]
fn skopeo_finds_copies_by_what_was_typed() {
    let scene = Scene::new();
    for name in [
        "oci:layout",
        "oci:layout:1.0",
        "oci:layout:h.x:5000/me/other:2",
        "oci-archive:oci.tar:h.x/other",
        "docker-archive:docker.tar:h.x/other:2",
    ] {
        assert!(scene.copy(&[name]).status.success(), "{name}");
        // A layout of several images is not read without a name.
        let source = if name == "oci:layout" {
            "oci:layout:latest"
        } else {
            name
        };
        let inspected = Command::new("skopeo")
            .args(["inspect", source])
            .current_dir(scene.directory.path())
            .output()
            .expect("the Debian package skopeo is needed");
        assert!(
            inspected.status.success(),
            "{source}: {}",
            text(&inspected.stderr)
        );
    }
}

#[test]
fn flags_of_skopeo_stand_anywhere() {
    let scene = Scene::new();
    let flags = [
        "--insecure-policy",
        "--debug",
        "--preserve-digests",
        "--all",
        "-a",
        "--multi-arch=all",
        "--dest-tls-verify=false",
        "--dest-tls-verify",
        "--dest-creds=me:secret",
        "--authfile=none",
        "--retry-times",
        "3",
        "--format",
        "oci",
        "--remove-signatures",
        "--dest-oci-accept-uncompressed-layers",
    ];
    for (place, name) in [(0, "oci:before"), (flags.len(), "oci:after")] {
        // clap takes a flag once; -a is --all, and --dest-tls-verify stands twice.
        let mut arguments: Vec<&str> = flags
            .into_iter()
            .filter(|flag| !["-a", "--dest-tls-verify"].contains(flag))
            .collect();
        arguments.insert(place.min(arguments.len()), name);
        let output = scene.copy(&arguments);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    assert!(
        scene
            .copy(&["-a", "--dest-tls-verify", "dir:short"])
            .status
            .success()
    );
    assert_eq!(scene.left(), ["after", "before", "short"]);
}

#[test]
fn quiet_copies_say_nothing_and_leave_the_digest_in_a_file() {
    let scene = Scene::new();
    let output = scene.copy(&["--quiet", "--digestfile", "digest", "oci:layout"]);
    assert!(output.status.success());
    assert_eq!(
        (text(&output.stdout), text(&output.stderr)),
        (String::new(), String::new())
    );
    assert_eq!(
        fs::read_to_string(scene.path("digest")).unwrap(),
        scene.digest()
    );

    let output = scene.copy(&["-q", "docker-archive:-"]);
    assert_eq!(text(&output.stderr), "");
    assert!(!output.stdout.is_empty());

    let output = scene.copy(&["--digestfile", "layout", "dir:d"]);
    assert_fails(&output, 1, &["layout: a directory is in the way"]);
    let output = scene.copy(&["--digestfile", "no/digest", "dir:e"]);
    assert_fails(
        &output,
        2,
        &["\"no\": there is no such directory", "mkdir -p no"],
    );
    assert!(!scene.path("e").exists());
}

#[test]
fn standard_output_is_nothing_but_the_archive() {
    let scene = Scene::new();
    assert!(scene.copy(&["docker-archive:file.tar"]).status.success());
    for destination in [
        "docker-archive:-",
        "docker-archive:/dev/stdout",
        "oci-archive:-",
    ] {
        let output = scene.copy(&[destination]);
        assert!(output.status.success());
        assert_eq!(output.stdout, fs::read(scene.path("file.tar")).unwrap());
        let errors = text(&output.stderr);
        assert!(errors.contains(&scene.digest()), "{errors}");
    }
}

#[test]
fn an_archive_is_not_written_to_a_terminal() {
    let scene = Scene::new();
    let program = env!("CARGO_BIN_EXE_strata");
    let command = format!(
        "{} copy {} docker-archive:-",
        program,
        scene.image.display()
    );
    // script(1) of util-linux runs it on a terminal.
    let output = Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stdout);
    assert!(
        said.contains("not written to a terminal") && said.contains("| docker load"),
        "{said}"
    );
}

#[test]
fn a_terminal_shows_a_bar_and_the_reference() {
    let scene = Scene::new();
    let program = env!("CARGO_BIN_EXE_strata");
    let command = format!("{} copy {} oci:layout", program, scene.image.display());
    let output = Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .env("TERM", "xterm")
        .current_dir(scene.directory.path())
        .output()
        .unwrap();
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("B/s") && !said.contains("layer 1/2"),
        "{said}"
    );
    assert!(
        said.trim_end()
            .ends_with(&format!("oci:layout:latest@{}", scene.digest())),
        "{said}"
    );
}

#[test]
fn images_that_are_none() {
    let scene = Scene::new();
    for name in ["inspect", "verify"] {
        let output = strata(&[name, "/nonexistent/image"]).output().unwrap();
        assert_fails(&output, 1, &["/nonexistent/image", "hint: "]);
    }
    let output = strata(&["copy", "/nonexistent/image", "dir:a"])
        .output()
        .unwrap();
    assert_fails(&output, 1, &["/nonexistent/image", "hint: "]);
    let here = scene.directory.path().to_str().unwrap();
    let output = strata(&["copy", here, "dir:a"]).output().unwrap();
    assert_fails(&output, 1, &["not an image", "hint: "]);
    assert_eq!(scene.left(), [""; 0]);
}

#[test]
fn destinations_that_cannot_be_written() {
    let scene = Scene::new();
    fs::write(scene.path("file"), "x").unwrap();
    fs::create_dir(scene.path("other")).unwrap();
    fs::write(scene.path("other/file"), "x").unwrap();
    for (destination, said) in [
        ("oci:file", "not a directory"),
        ("oci:file/below", "file"),
        ("oci:other", "not an OCI layout"),
        ("dir:other", "was not written by dir:"),
        ("docker-archive:other", "a directory is in the way"),
        ("docker-archive:file/below.tar", "file/below.tar"),
        ("oci:/proc/strata", "/proc"),
    ] {
        let output = scene.copy(&[destination]);
        assert_fails(&output, 1, &[said]);
    }
    let itself = scene.image.to_str().unwrap();
    for transport in ["oci", "dir"] {
        let output = scene.copy(&[&format!("{transport}:{itself}")]);
        assert_fails(&output, 2, &["the image itself", "hint: "]);
    }
    assert_eq!(scene.left(), ["file", "other"]);
    assert_eq!(names(&scene.path("other")), ["file"]);
}

#[test]
fn a_full_device() {
    let scene = Scene::new();
    for (destination, what) in [
        ("docker-archive:-", "archive"),
        ("docker-archive:/dev/full", "/dev/full"),
    ] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = scene
            .strata("copy")
            .arg(destination)
            .stdout(full)
            .output()
            .unwrap();
        assert_fails(
            &output,
            1,
            &[what, "No space left", "hint: free some space"],
        );
    }
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = scene.strata("inspect").stdout(full).output().unwrap();
    assert_fails(&output, 1, &["standard output", "No space left"]);
}

/// A disk of 1 MiB, which a mount namespace of its own hides from everybody else.
#[test]
fn a_full_disk_is_left_as_it_was() {
    let scene = Scene::with(&vec![7; 2 << 20]);
    let script = r#"
        mount -t tmpfs -o size=1m none "$1" || exit 77
        "$2" copy "$3" "$4$1/$5"
        code=$?
        ls -A "$1"
        exit $code"#;
    for (transport, name) in [
        ("oci:", "layout"),
        ("docker-archive:", "a.tar"),
        ("dir:", "d"),
    ] {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--map-root-user", "sh", "-c", script, "sh"]);
        command.arg(scene.directory.path());
        command.arg(env!("CARGO_BIN_EXE_strata")).arg(&scene.image);
        let output = command.args([transport, name]).output().unwrap();
        // The list of what is left is on standard output.
        assert_fails(
            &output,
            1,
            &["No space left", "hint: free some space", name],
        );
    }
}

/// Issue 11, "Reliability and security" 20: nothing half-written stays of what is written besides copies.
#[test]
fn row_20_a_full_disk_gets_no_part_of_pages_and_digests() {
    let scene = Scene::new();
    let copy = scene.directory.path().join("copy.tar");
    // Room for some pages; then none for a digest.
    let script = r#"
        mount -t tmpfs -o size=16k none "$1" || exit 77
        "$2" man "$1" 2>"$5" && exit 78
        ls -A "$1"
        printf old >"$1/there"
        dd if=/dev/zero of="$1/filler" bs=4096 2>/dev/null
        "$2" copy "$3" "docker-archive:$4" --digestfile "$1/digest" 2>>"$5" && exit 79
        "$2" copy "$3" "docker-archive:$4" --digestfile "$1/there" 2>>"$5" && exit 80
        ls -A "$1"
        cat "$1/there""#;
    let said = scene.directory.path().join("said");
    let mut command = Command::new("unshare");
    command.args(["--mount", "--map-root-user", "sh", "-c", script, "sh"]);
    let place = tempfile::tempdir().unwrap();
    command.args([place.path(), Path::new(env!("CARGO_BIN_EXE_strata"))]);
    let output = command.args([&scene.image, &copy, &said]).output().unwrap();
    let said = fs::read_to_string(said).unwrap();
    assert!(output.status.success(), "{}: {said}", output.status);
    assert_eq!(text(&output.stdout), "filler\nthere\nold");
    assert_eq!(said.matches("hint: free some space").count(), 3, "{said}");
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let scene = Scene::with(&vec![7; 8 << 20]);
    let mut child = (scene.strata("copy").arg("docker-archive:-"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = child.stdout.take().unwrap();
    output.read_exact(&mut [0; 1000]).unwrap();
    drop(output);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", output.status);
    assert!(
        !text(&output.stderr).contains("error"),
        "{}",
        text(&output.stderr)
    );

    for arguments in [&["inspect"][..], &["--help"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = strata(arguments)
            .arg(&scene.image)
            .stdout(writer)
            .output()
            .unwrap();
        assert!(output.status.success());
        assert_eq!(text(&output.stderr), "");
    }
}

/// Waits until the copy has begun to write.
fn wait_for_temporary(directory: &Path, child: &mut Child) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !names(directory)
        .iter()
        .any(|name| name.starts_with(".strata-"))
    {
        assert!(
            child.try_wait().unwrap().is_none(),
            "the copy ended before it was interrupted"
        );
        assert!(Instant::now() < deadline, "the copy does not begin");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn signal(child: &Child, signal: &str) {
    let status = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn an_interrupted_copy_leaves_nothing() {
    let scene = Scene::large();
    for (destination, name) in [
        ("oci:layout", "-INT"),
        ("docker-archive:a.tar", "-TERM"),
        ("dir:d", "-INT"),
    ] {
        let mut child = (scene.strata("copy").arg(destination))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        wait_for_temporary(scene.directory.path(), &mut child);
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        assert_fails(&output, 130, &["error: interrupted"]);
        assert_eq!(scene.left(), [""; 0], "{destination}");
    }
}

/// The status of a program that is to end soon.
#[track_caller]
fn ends_soon(child: &mut Child) -> Option<i32> {
    let deadline = Instant::now() + Duration::from_secs(3);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        assert!(Instant::now() < deadline, "the signal is not heard");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Issue 11, row 15: one signal is heard by a copy that waits for a reader, a pipe's or standard output's,
/// or for another copy.
#[test]
fn a_copy_that_waits_hears_a_signal() {
    let scene = Scene::with(&vec![7; 8 << 20]);
    let at = |name: &str| scene.directory.path().join(name);
    for layout in ["oci:layout", "dir:d"] {
        let output = scene.strata("copy").arg(layout).output().unwrap();
        assert!(output.status.success());
    }
    support::image::make_pipe(&at("unread"));
    support::image::make_pipe(&at("full"));
    // Opened for both, so that it does not wait for a writer.
    let _reader = File::options()
        .read(true)
        .write(true)
        .open(at("full"))
        .unwrap();
    let held: Vec<File> = ["layout", "d"]
        .map(|name| {
            let file = File::create_new(at(name).join(".strata-copy.lock")).unwrap();
            rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive).unwrap();
            file
        })
        .into();
    for (destination, waits) in [
        ("docker-archive:-", ""),
        ("docker-archive:full", ""),
        ("docker-archive:unread", "waiting for a reader of unread"),
        (
            "oci:layout:new",
            "waiting for another copy, which holds layout/.strata-copy.lock",
        ),
        (
            "dir:d",
            "waiting for another copy, which holds d/.strata-copy.lock",
        ),
    ] {
        for name in ["-INT", "-HUP"] {
            let log = at("log");
            let mut child = (scene.strata("copy").arg(destination))
                .stdout(Stdio::piped())
                .stderr(File::create(&log).unwrap())
                .spawn()
                .unwrap();
            let deadline = Instant::now() + Duration::from_secs(20);
            let said = || fs::read_to_string(&log).unwrap();
            if waits.is_empty() {
                std::thread::sleep(Duration::from_secs(1));
            }
            while !said().contains(waits) {
                assert!(Instant::now() < deadline, "{destination}: {}", said());
                std::thread::sleep(Duration::from_millis(10));
            }
            signal(&child, name);
            assert_eq!(ends_soon(&mut child), Some(130), "{destination}");
            assert!(said().ends_with("error: interrupted\n"), "{}", said());
        }
    }
    drop(held);
}

/// What was started under nohup(1) goes on without its terminal.
#[test]
fn an_ignored_hang_up_stays_ignored() {
    let scene = Scene::with(&vec![7; 8 << 20]);
    let strata = scene.strata("copy");
    let mut command = Command::new("nohup");
    command.arg(strata.get_program()).args(strata.get_args());
    let mut child = (command.arg("docker-archive:-"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = child.stdout.take().unwrap();
    output.read_exact(&mut [0; 1000]).unwrap();
    signal(&child, "-HUP");
    std::io::copy(&mut output, &mut std::io::sink()).unwrap();
    assert!(child.wait().unwrap().success());
}

/// Issue 11, row 15: a file beyond the limit is an error like a full disk.
#[test]
fn a_limit_for_files_is_an_error() {
    let scene = Scene::with(&vec![7; 8 << 20]);
    let strata = scene.strata("copy");
    let mut command = Command::new("sh");
    command.args(["-c", r#"ulimit -f 100; exec "$@""#, "sh"]);
    command.arg(strata.get_program()).args(strata.get_args());
    command.current_dir(scene.directory.path());
    let output = command.arg("docker-archive:a.tar").output().unwrap();
    assert_fails(
        &output,
        1,
        &["cannot write a.tar: File too large", "ulimit -f"],
    );
    assert_eq!(scene.left(), [""; 0]);
}

#[test]
fn a_second_signal_ends_at_once() {
    let scene = Scene::new();
    // A program that takes its time to end.
    let podman = scene.directory.path().join("podman");
    fs::write(
        &podman,
        "#!/bin/sh\ntrap '' TERM\necho >&2 begun\ntouch \"$0.begun\"\nsleep 20 &\nwait\nwait\n",
    )
    .unwrap();
    fs::set_permissions(&podman, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap();
    let mut child = (scene.strata("copy").arg("containers-storage:x:1"))
        .env(
            "PATH",
            format!("{}:{path}", scene.directory.path().display()),
        )
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !scene.directory.path().join("podman.begun").exists() {
        assert!(Instant::now() < deadline, "podman is not asked");
        std::thread::sleep(Duration::from_millis(10));
    }
    signal(&child, "-INT");
    std::thread::sleep(Duration::from_millis(500));
    assert!(child.try_wait().unwrap().is_none(), "nothing is waited for");
    signal(&child, "-INT");
    assert_eq!(ends_soon(&mut child), Some(130));
}

#[test]
fn inspect_shows_layers_and_store_paths() {
    let scene = Scene::new();
    let output = scene.strata("inspect").arg("--json").output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty());
    let image: Value = serde_json::from_slice(&output.stdout).unwrap();
    let keys: Vec<&String> = image.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "annotations",
            "architecture",
            "config",
            "created",
            "digest",
            "layers",
            "mediaType",
            "name",
            "os",
            "packages",
            "roots",
            "size",
            "tag",
            "variant",
            "wasted"
        ]
    );
    assert_eq!(image["digest"], scene.digest());
    assert_eq!(
        (&image["name"], &image["tag"]),
        (&json!("test"), &json!("latest"))
    );
    assert_eq!(image["config"], json!({ "Cmd": ["run"] }));
    let layers = image["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 2);
    let size: u64 = layers
        .iter()
        .map(|layer| layer["size"].as_u64().unwrap())
        .sum();
    assert_eq!(image["size"], size);
    let paths: Vec<&Value> = layers
        .iter()
        .flat_map(|layer| layer["storePaths"].as_array().unwrap())
        .collect();
    assert_eq!(paths.len(), 2);
    assert!(
        paths
            .iter()
            .all(|path| path["narSize"].as_u64().unwrap() > 0)
    );

    let output = scene.strata("inspect").output().unwrap();
    let table = text(&output.stdout);
    let (first, second) = (&scene.paths[0], &scene.paths[1]);
    for word in [
        "test:latest",
        &scene.digest(),
        "linux/amd64",
        "runs          run\n",
        &first[first.len() - 5..],
        &second[second.len() - 5..],
    ] {
        assert!(table.contains(word), "{word} is not in:\n{table}");
    }
    // Who made the layers needs no saying where nobody said it.
    assert!(!table.contains("  strata\n"), "{table}");
}

#[test]
fn verify_names_what_changed() {
    let scene = Scene::new();
    let verify = || scene.strata("verify").arg("--quiet").output().unwrap();
    let output = scene.strata("verify").output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).starts_with(&scene.digest()));
    let output = verify();
    assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty());

    let [library, program] = &scene.paths;
    fs::write(scene.store.locate(library).join("lib/content"), "other\n").unwrap();
    let output = verify();
    assert_fails(
        &output,
        1,
        &["layer ", "(sha256:", library, "hint: repair it"],
    );
    assert!(!text(&output.stderr).contains(program));

    fs::remove_dir_all(scene.store.locate(program)).unwrap();
    assert_fails(&verify(), 1, &[library, program, "layer 1", "layer 2"]);
    let output = scene.copy(&["oci:layout"]);
    assert_fails(&output, 1, &["error: "]);
    assert_eq!(scene.left(), [""; 0]);
}

#[test]
fn verify_finds_damaged_documents() {
    for (name, said) in [("index.json", "index.json"), ("layers.json", "layers.json")] {
        let scene = Scene::new();
        let file = scene.image.join(name);
        let damaged = fs::read_to_string(&file)
            .unwrap()
            .replace("sha256:", "sha256:0");
        fs::write(&file, damaged).unwrap();
        let output = scene.strata("verify").output().unwrap();
        assert_fails(&output, 1, &[said, "hint: "]);
    }
    let scene = Scene::new();
    for blob in names(&scene.image.join("blobs/sha256")) {
        let blob = scene.image.join("blobs/sha256").join(blob);
        let bytes = fs::read(&blob).unwrap();
        fs::write(&blob, [&bytes[..], b" "].concat()).unwrap();
        let output = scene.strata("verify").output().unwrap();
        assert_fails(&output, 1, &["does not have its digest", "hint: "]);
        fs::write(&blob, bytes).unwrap();
    }
}

/// Kind "security": a directory that somebody made by hand is waited for by nobody, and its word is not taken for
/// what the store is (row 19).
#[test]
fn images_made_by_hand_are_not_believed() {
    for name in ["layers.json", "index.json", "images.json"] {
        let scene = Scene::new();
        let file = scene.image.join(name);
        let _ = fs::remove_file(&file);
        support::image::make_pipe(&file);
        let output = scene.strata("inspect").output().unwrap();
        assert_fails(&output, 1, &["not a regular file", name]);
    }
    let scene = Scene::new();
    let elsewhere = scene.directory.path().join("elsewhere");
    run(Command::new("cp")
        .arg("-r")
        .arg(&scene.image)
        .arg(&elsewhere));
    let inspect = |variable: &str| {
        let mut strata = Command::new(env!("CARGO_BIN_EXE_strata"));
        let strata = strata.arg("inspect").arg(&elsewhere);
        strata.env(variable, &scene.store.dir).output().unwrap()
    };
    let hint = format!(
        "hint: if that is the store, say so: NIX_STORE_DIR={}",
        scene.store.dir
    );
    assert_fails(&inspect("OTHER"), 1, &["is not in it itself", &hint]);
    assert!(inspect("NIX_STORE_DIR").status.success());
}

#[test]
fn a_registry() {
    let scene = Scene::new();
    let registry = Registry::start(Setup {
        password: true,
        ..Setup::default()
    });
    let destination = format!("docker://{}/me/hello:1", registry.host);
    let login = format!(
        "--dest-creds={}:{}",
        support::registry::USERNAME,
        support::registry::PASSWORD
    );
    let preserve = "--preserve-digests";
    let output = scene.copy(&[&login, preserve, "--dest-tls-verify=false", &destination]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(
        text(&output.stdout),
        // As `cosign` and `kubectl` take it.
        format!("{}/me/hello:1@{}\n", registry.host, scene.digest())
    );
    let output = scene.copy(&[
        "--dest-username",
        support::registry::USERNAME,
        &destination,
        preserve,
        "--dest-tls-verify=false",
        "--dest-password",
        support::registry::PASSWORD,
    ]);
    assert!(
        text(&output.stderr).contains("copied 0 layers"),
        "{}",
        text(&output.stderr)
    );

    // Issue 11, "What new users stumbled over" 2.
    let mut command = scene.strata("copy");
    command.args([
        &destination,
        preserve,
        "--dest-tls-verify=false",
        "--password-stdin",
    ]);
    command.args(["--dest-username", support::registry::USERNAME]);
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer
        .write_all(format!("{}\n", support::registry::PASSWORD).as_bytes())
        .unwrap();
    drop(writer);
    let output = command.stdin(reader).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));

    for flag in ["--dest-creds=tester:hunter2", "--dest-no-creds"] {
        let output = scene.copy(&[flag, "--dest-tls-verify=false", &destination]);
        assert_fails(&output, 1, &["hint: "]);
        assert!(!text(&output.stderr).contains("hunter2"));
    }
}

#[test]
fn an_interrupted_push_leaves_nothing() {
    // So that there is much to cancel, it is nothing that becomes smaller.
    let mut state = 1_u64;
    let noise = (0..8 << 20).flat_map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    let scene = Scene::with(&noise.collect::<Vec<u8>>());
    let registry = Registry::start(Setup::default());
    let mut child = (scene.strata("copy"))
        .arg(format!("docker://{}/hello", registry.host))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while registry.uploaded_bytes("hello") < 1 << 20 {
        assert!(child.try_wait().unwrap().is_none() && Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(1));
    }
    signal(&child, "-INT");
    assert_fails(
        &child.wait_with_output().unwrap(),
        130,
        &["error: interrupted"],
    );
    assert_eq!(registry.uploaded_bytes("hello"), 0);
    let source = format!("docker://{}/hello", registry.host);
    let inspected = Command::new("skopeo")
        .args(["inspect", "--tls-verify=false", &source])
        .output();
    assert!(
        String::from_utf8(inspected.unwrap().stderr)
            .unwrap()
            .contains("manifest unknown")
    );
}

/// Scripts pass flags of skopeo on; each is understood, or refused with a reason.
#[test]
fn every_flag_of_skopeo_is_known() {
    let copy = run(Command::new("skopeo").args(["copy", "--help"]));
    let global = run(Command::new("skopeo").arg("--help"));
    let flags = [copy, global].join("\n");
    let flags = flags.lines().filter_map(|line| {
        let (_, flag) = line.split_once(" --")?;
        line.trim().starts_with('-').then_some(())?;
        flag.split_whitespace().next()
    });
    // What newer ones have besides, and what is not in the help.
    let others = "dcreds dest-force-compress-format image-parallel-copies require-signed retry-delay \
                  screds sign-by-sigstore sign-by-sq-fingerprint tls-verify user-agent-prefix";
    let flags: BTreeSet<&str> = flags.chain(others.split_whitespace()).collect();
    assert!(flags.len() > 50, "{flags:?}");
    for flag in flags {
        if flag == "version" {
            continue;
        }
        let mut command = strata(&["copy", "no-image", "dir:none", &format!("--{flag}")]);
        let output = command.output().unwrap();
        let errors = text(&output.stderr);
        assert!(!errors.contains("unexpected argument"), "{errors}");
    }
}

#[test]
fn secrets_are_not_repeated() {
    let scene = Scene::new();
    for arguments in [
        &["docker://me:hunter2@h.x/hello"][..],
        &["docker://me:hunter2@h.x"],
        &["docker://me:hunter2/x@h.x/hello"],
        &["docker://me:hunter2@x@h.x/hello"],
        &["docker:me:hunter2@h.x/hello"],
        &["https://me:hunter2@h.x/hello"],
        &["me:hunter2@h.x/hello"],
        &["docker-daemon:me:hunter2@h.x/hello"],
        &["oci:x:me:hunter2@h.x/hello"],
        &["--dest-cred=me:hunter2", "dir:a"],
        &["--dest-creds", "me:hunter2", "ftp:a"],
        &["--dest-creds", "me:hunter2", "--dest-no-creds", "dir:a"],
        &["--dest-registry-token=hunter2", "ftp:a"],
        &["--dest-registry-token=hunter2", "--dest-no-creds", "dir:a"],
        &["--dest-password=hunter2", "dir:a"],
        &[
            "--dest-creds",
            "me:hunter2",
            "--retry-times=0",
            "docker://127.0.0.1:1/hello",
        ],
    ] {
        let output = scene.copy(arguments);
        assert!(!output.status.success());
        let errors = text(&output.stderr);
        assert!(
            !errors.is_empty() && !errors.contains("hunter2"),
            "{errors}"
        );
    }
}

/// <https://github.com/containers/skopeo/issues/805>: skopeo needed a `/var/tmp` with room, whatever
/// `TMPDIR` said. Here nothing can be written but the destination, and no `TMPDIR` changes that.
#[test]
fn skopeo_805_no_temporary_directory_is_needed() {
    let scene = Scene::new();
    let registry = Registry::start(Setup::default());
    let attrs_file = scene.store.root().join("attrs.json");
    let request = scene.store.image_request();
    for (number, temporary) in [Some("/var/tmp"), Some("/nonexistent"), None]
        .into_iter()
        .enumerate()
    {
        let run = |program: &str, arguments: &[&str]| {
            let mut command =
                without_temporary_directories([scene.store.root(), scene.directory.path()]);
            command.arg(program).args(arguments);
            command.env("HOME", "/nonexistent").env_remove("TMPDIR");
            command.envs(temporary.map(|directory| ("TMPDIR", directory)));
            let output = command.output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(
                output.status.success(),
                "{temporary:?} {arguments:?}: {said}"
            );
        };
        let out = scene.store.path(&format!("out-{number}"));
        let attrs = scene.store.attrs(&request, &out);
        fs::write(&attrs_file, attrs.to_string()).unwrap();
        run(
            &support::program("strata-builder"),
            &[attrs_file.to_str().unwrap()],
        );
        assert!(scene.store.locate(&out).join("digest").exists());

        let at = |name: &str| {
            scene
                .path(&format!("{name}-{number}"))
                .display()
                .to_string()
        };
        for destination in [
            format!("oci:{}", at("layout")),
            format!("oci-archive:{}", at("oci.tar")),
            format!("docker-archive:{}", at("docker.tar")),
            format!("docker-archive:{}.gz", at("compressed.tar")),
            format!("dir:{}", at("directory")),
            format!("docker://{}/some/image:{number}", registry.host),
        ] {
            let arguments = ["copy", scene.image.to_str().unwrap(), &destination];
            run(env!("CARGO_BIN_EXE_strata"), &arguments);
        }
        run(
            env!("CARGO_BIN_EXE_strata"),
            &["verify", scene.image.to_str().unwrap()],
        );
    }
}

/// A command for which `/tmp` and `/var/tmp` are read-only and empty, but for these directories and that
/// of the programs.
fn without_temporary_directories([one, other]: [&Path; 2]) -> Command {
    let script = r#"
        set -e
        mount -t tmpfs tmpfs /mnt
        mkdir /mnt/1 /mnt/2 /mnt/3
        mount --bind "$1" /mnt/1
        mount --bind "$2" /mnt/2
        mount --bind "$3" /mnt/3
        mount -t tmpfs tmpfs /tmp
        mount -t tmpfs tmpfs /var/tmp
        mkdir -p "$1" "$2" "$3"
        mount --bind /mnt/1 "$1"
        mount --bind /mnt/2 "$2"
        mount --bind /mnt/3 "$3"
        for directory in /tmp /var/tmp; do
            mount -o remount,ro $directory
            if touch $directory/file 2>/dev/null; then exit 9; fi
        done
        shift 3
        exec "$@"
    "#;
    let programs = Path::new(env!("CARGO_BIN_EXE_strata")).parent().unwrap();
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, "sh"]);
    command.arg(one).arg(other).arg(programs);
    command
}
