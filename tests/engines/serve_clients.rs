//! `strata serve`, and the programs that people pull with.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use strata_testing as support;

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::speaker::{Speakers, digest, strata};
use rstest::rstest;
use serde_json::json;
use strata_oci::Digest;
use support::engines::{self, Engine as _};
use support::fake_store::read_json;
use support::registry::run;

/// A `strata serve` that runs.
struct Serving {
    process: Child,
    /// `127.0.0.1:PORT`.
    host: String,
    /// The references that it printed: `HOST/NAME:TAG@DIGEST`.
    references: Vec<String>,
}

impl Serving {
    fn start(images: &[&Path], flags: &[&str]) -> Self {
        let mut process = strata("serve")
            .args(images)
            .args(["--listen", "127.0.0.1:0"])
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut lines = lines.map(Result::unwrap);
        let address = lines.next().expect("an address");
        let host = address.strip_prefix("http://").unwrap().to_owned();
        Self {
            process,
            host,
            references: lines.take(images.len()).collect(),
        }
    }

    /// `HOST/NAME:TAG`, of the first image.
    fn name(&self) -> &str {
        self.references[0].split_once('@').unwrap().0
    }

    /// Ends it as Ctrl-C does; gives its exit code and what it said.
    fn stop(mut self) -> (Option<i32>, String) {
        let pid = self.process.id().to_string();
        run(Command::new("kill").args(["-INT", &pid]));
        let status = self.process.wait().unwrap();
        let mut said = String::new();
        let errors = self.process.stderr.as_mut().unwrap();
        errors.read_to_string(&mut said).unwrap();
        (status.code(), said)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn inspect(reference: &str) -> String {
    let inspect = ["inspect", "--tls-verify=false", "--format", "{{.Digest}}"];
    run(Command::new("skopeo").args(inspect).arg(reference))
        .trim()
        .to_owned()
}

#[rstest]
#[case::as_they_are("none")]
#[case::gzip("gzip")]
#[case::zstd("zstd:1")]
fn skopeo_copies_and_umoci_unpacks(#[case] compression: &str) {
    let mut speakers = Speakers::new();
    let image = speakers.image("me/speaker", compression.split(':').next().unwrap());
    let serving = Serving::start(&[&image], &["--compression", compression]);
    let directory = tempfile::tempdir().unwrap();
    let layout = directory.path().join("layout");
    let copy = [
        "copy",
        "--quiet",
        "--preserve-digests",
        "--src-tls-verify=false",
    ];
    run(Command::new("skopeo")
        .args(copy)
        .arg(format!("docker://{}", serving.name()))
        .arg(format!("oci:{}:v1", layout.display())));
    let index = read_json(&layout.join("index.json"));
    let served = serving.references[0].split_once('@').unwrap().1;
    assert_eq!(index["manifests"][0]["digest"], json!(served));
    let by_digest = format!("docker://{}/me/speaker@{served}", serving.host);
    assert_eq!(inspect(&by_digest), served);
    assert_eq!(served == digest(&image), compression == "none");

    // umoci 0.4 does not know zstd.
    if compression != "zstd:1" {
        let bundle = directory.path().join("bundle");
        let unpack = ["unpack", "--image", &format!("{}:v1", layout.display())];
        run(Command::new("umoci").args(unpack).arg(&bundle));
        assert!(bundle.join("rootfs").is_dir());
    }
    assert_eq!(serving.stop().0, Some(0), "it is meant to be interrupted");
}

#[rstest]
#[case::as_they_are("none", true)]
#[case::gzip("gzip:1", true)]
// dockerd 20 does not know zstd.
#[case::zstd("zstd", false)]
fn engines_pull_and_run(#[case] compression: &str, #[case] docker_too: bool) {
    let mut speakers = Speakers::new();
    let word = format!("pulled-{}", compression.replace(':', "-"));
    let image = speakers.image("speaker", &word);
    let serving = Serving::start(&[&image], &["--compression", compression]);
    let name = serving.name();
    assert_eq!(name, format!("{}/speaker:v1", serving.host));

    let podman = engines::podman();
    run(&mut podman.command(&["pull", "--quiet", "--tls-verify=false", name]));
    assert_eq!(podman.run(name, &[]), format!("{word}\n"));
    let containerd = engines::containerd();
    run(&mut containerd.command(&["images", "pull", "--plain-http", name]));
    assert_eq!(containerd.run(name, &[]), format!("{word}\n"));
    if docker_too {
        let docker = engines::docker();
        run(&mut docker.command(&["pull", "--quiet", name]));
        assert_eq!(docker.run(name, &[]), format!("{word}\n"));
    }
}

/// What engines have, they do not ask for again.
#[test]
fn only_the_changed_layer_is_asked_for() {
    let mut speakers = Speakers::new();
    let images = ["once", "twice"].map(|word| speakers.image(word, word));
    let serving = Serving::start(&[&images[0], &images[1]], &[]);
    let podman = engines::podman();
    for reference in &serving.references {
        let name = reference.split_once('@').unwrap().0;
        run(&mut podman.command(&["pull", "--quiet", "--tls-verify=false", name]));
    }
    let (_, said) = serving.stop();
    let sent = |image: &Path, layer: usize| {
        let layers = read_json(&image.join("layers.json"));
        let digest = layers["layers"][layer]["digest"].as_str().unwrap();
        said.matches(digest).count()
    };
    assert_eq!(sent(&images[0], 0), 1, "{said}");
    assert_eq!(sent(&images[0], 1), 1, "{said}");
    assert_eq!(sent(&images[1], 1), 1, "{said}");
}

#[test]
fn curl_continues_a_download() {
    let mut speakers = Speakers::new();
    let image = speakers.image("speaker", "continued");
    let serving = Serving::start(&[&image], &["--quiet"]);
    let layers = read_json(&image.join("layers.json"));
    let layer = layers["layers"][0]["digest"].as_str().unwrap();
    let address = format!("http://{}/v2/speaker/blobs/{layer}", serving.host);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("layer");
    let curl = |flags: &[&str]| {
        run(Command::new("curl")
            .args(["--silent", "--show-error", "--fail", "--output"])
            .arg(&file)
            .args(flags)
            .arg(&address))
    };
    curl(&["--range", "0-99999"]);
    assert_eq!(file.metadata().unwrap().len(), 100_000);
    curl(&["--continue-at", "-"]);
    let bytes = std::fs::read(&file).unwrap();
    assert_eq!(Digest::of(&bytes).to_string(), layer);
    assert_eq!(serving.stop(), (Some(0), String::new()), "quiet");
}

#[test]
fn a_layer_that_cannot_be_made_is_told_here_and_there() {
    let mut speakers = Speakers::new();
    let image = speakers.image("speaker", "whole");
    let serving = Serving::start(&[&image], &[]);
    speakers.spoil("whole");
    let pull = ["pull", "--quiet", "--tls-verify=false", serving.name()];
    let output = engines::podman().command(&pull).output().unwrap();
    assert!(!output.status.success());
    let (code, said) = serving.stop();
    assert_eq!(code, Some(0));
    assert!(said.contains("-say-whole: expected an archive"), "{said}");
    assert!(said.contains("hint: repair it"), "{said}");
}

#[test]
fn mistakes_have_a_way_out() {
    /// Flags, images, the exit code, and words of the message and the hint.
    type Case<'a> = (&'a [&'a str], &'a [&'a Path], i32, &'a str, &'a str);
    let mut speakers = Speakers::new();
    let images = ["one", "two"].map(|word| speakers.image("speaker", word));
    let serving = Serving::start(&[&images[0]], &[]);
    let nothing = tempfile::tempdir().unwrap();
    let cases: [Case<'_>; 5] = [
        (
            &["--listen", &serving.host],
            &[&images[0]],
            1,
            "listening at",
            "127.0.0.1:0",
        ),
        (
            &["--listen", "5000"],
            &[&images[0]],
            2,
            "address \"5000\"",
            "ADDRESS:PORT",
        ),
        (&["--compression", "xz"], &[&images[0]], 2, "xz", "gzip"),
        (
            &["--listen", "127.0.0.1:0"],
            &[&images[0], &images[1]],
            1,
            "speaker:v1",
            "another name",
        ),
        (&[], &[nothing.path()], 1, "not an image", "buildImage"),
    ];
    for (flags, images, code, message, hint) in cases {
        let output = strata("serve").args(images).args(flags).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{flags:?}: {said}");
        assert!(
            said.contains(message) && said.contains(hint),
            "{flags:?}: {said}"
        );
        assert!(output.stdout.is_empty());
    }
}
