//! The registry client, against the real registry and against one that misbehaves.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "this is a test"
)]

use strata_testing as support;

use std::process::Command;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rstest::rstest;
use serde_json::{Value, json};
use strata_error::{Error, Result};
use strata_oci::{Compression, Descriptor, Digest, Reference};
use strata_progress::{Cancel, Context, Outcome, Progress};
use strata_registry::{ManifestFormat, Options, PushOptions, Retry, Timeouts, push};
use support::fake_registry::{FakeRegistry, Fault, Reply, Seen};
use support::memory_image::{MemoryLayer, image};
use support::pushing::{
    closed_port, compressed, failure, large, options, push_to, small_image, uncompressed,
};
use support::registry::{Registry, Setup, run};

/// Remembers what it is told.
#[derive(Default)]
struct Recorder(Mutex<Vec<(Digest, u64, Option<Outcome>)>>);

impl Progress for Recorder {
    fn begin(&self, blob: &Descriptor) {
        self.0.lock().unwrap().push((blob.digest, 0, None));
    }

    fn advance(&self, blob: &Descriptor, bytes: u64) {
        let mut blobs = self.0.lock().unwrap();
        blobs
            .iter_mut()
            .find(|(digest, ..)| *digest == blob.digest)
            .unwrap()
            .1 += bytes;
    }

    fn finish(&self, blob: &Descriptor, outcome: Outcome) {
        let mut blobs = self.0.lock().unwrap();
        blobs
            .iter_mut()
            .find(|(digest, ..)| *digest == blob.digest)
            .unwrap()
            .2 = Some(outcome);
    }
}

impl Recorder {
    /// Bytes and outcome of a blob.
    fn of(&self, digest: Digest) -> (u64, Option<Outcome>) {
        let blobs = self.0.lock().unwrap();
        let found: Vec<_> = blobs
            .iter()
            .filter(|(other, ..)| *other == digest)
            .collect();
        assert_eq!(found.len(), 1, "begun once");
        (found[0].1, found[0].2)
    }
}

/// Remembers what it is told at once.
#[derive(Default)]
struct Warnings(Mutex<Vec<String>>);

impl Progress for Warnings {
    fn warn(&self, text: &str) {
        self.0.lock().unwrap().push(text.to_owned());
    }
}

/// Interrupts after so many bytes of a blob.
struct InterruptAfter(u64, Mutex<u64>);

impl Progress for InterruptAfter {
    fn advance(&self, _: &Descriptor, bytes: u64) {
        *self.1.lock().unwrap() += bytes;
    }
}

impl Cancel for InterruptAfter {
    fn check(&self) -> Result<()> {
        if *self.1.lock().unwrap() >= self.0 {
            Err(Error::Interrupted)
        } else {
            Ok(())
        }
    }
}

// The real registry.

#[test]
fn an_image_is_pushed_and_other_tools_read_it() {
    let registry = Registry::start(Setup::default());
    let image = small_image();
    let reference = Reference::parse(&format!("{}/a/name:tag", registry.host)).unwrap();
    let first = Recorder::default();
    push(
        &image,
        &reference,
        &options(),
        &uncompressed(),
        Context::silent().watched_by(&first),
    )
    .unwrap();

    let copy = tempfile::tempdir().unwrap();
    let source = format!("docker://{reference}");
    let inspected = run(Command::new("skopeo").args(["inspect", "--tls-verify=false", &source]));
    let inspected: serde_json::Value = serde_json::from_str(&inspected).unwrap();
    assert_eq!(
        inspected["Digest"],
        image.manifest_descriptor.digest.to_string()
    );
    // skopeo checks each blob's digest.
    run(Command::new("skopeo")
        .args([
            "copy",
            "-q",
            "--insecure-policy",
            "--src-tls-verify=false",
            &source,
        ])
        .arg(format!("dir:{}", copy.path().display())));
    assert_eq!(
        std::fs::read(copy.path().join("manifest.json")).unwrap(),
        image.manifest_bytes
    );

    let second = Recorder::default();
    push(
        &image,
        &reference,
        &options(),
        &uncompressed(),
        Context::silent().watched_by(&second),
    )
    .unwrap();
    for layer in &image.layers {
        let Descriptor { digest, size, .. } = *layer.descriptor();
        assert_eq!(first.of(digest), (size, Some(Outcome::Copied)));
        assert_eq!(second.of(digest), (0, Some(Outcome::Present)));
    }
    assert_eq!(registry.open_uploads("a/name"), 0);
}

#[test]
fn an_image_can_be_pushed_to_its_digest() {
    let registry = Registry::start(Setup::default());
    let image = small_image();
    let digest = image.manifest_descriptor.digest;
    let reference = |digest| Reference::parse(&format!("{}/name@{digest}", registry.host)).unwrap();
    push(
        &image,
        &reference(digest),
        &options(),
        &uncompressed(),
        Context::silent(),
    )
    .unwrap();
    let source = format!("docker://{}", reference(digest));
    run(Command::new("skopeo").args(["inspect", "--raw", "--tls-verify=false", &source]));
}

/// What can be known is said before anything is sent.
#[test]
fn a_push_to_a_wrong_digest_fails_early() {
    let registry = FakeRegistry::start(|_| None);
    let image = small_image();
    let own = image.manifest_descriptor.digest;
    let other = Digest::of(b"other");
    let reference = Reference::parse(&format!("{}/name@{other}", registry.host)).unwrap();
    for (what, is_sent) in [(uncompressed(), false), (PushOptions::default(), true)] {
        let pushed = push(&image, &reference, &options(), &what, Context::silent());
        let (message, hint) = failure(pushed.map(drop));
        assert!(
            message.contains(&format!("the image's digest is {own}")),
            "{message}"
        );
        assert_eq!(message.contains("compressed"), is_sent, "{message}");
        assert!(hint.contains(&format!("name@{own}")), "{hint}");
        assert_eq!(registry.count("POST") > 0, is_sent);
    }
}

/// The peak is that of a process, so this test is one.
#[test]
fn layers_are_never_held_whole() {
    if std::env::var_os("STRATA_TEST_ALONE").is_none() {
        let mut alone = Command::new(std::env::current_exe().unwrap());
        alone
            .args(["--exact", "push::layers_are_never_held_whole"])
            .env("STRATA_TEST_ALONE", "1");
        let output = run(&mut alone);
        assert!(output.contains("1 passed"), "{output}");
        return;
    }
    let registry = Registry::start(Setup::default());
    push_to(
        &registry.host,
        &image(vec![MemoryLayer::zeros(128 << 20)]),
        &options(),
    )
    .unwrap();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 48 << 10, "{peak} kB");
}

// The one that misbehaves.

/// A registry without faults, to see that the fake itself is right.
#[test]
fn the_fake_registry_takes_an_image() {
    let registry = FakeRegistry::start(|_| None);
    let image = image(vec![large(), large(), MemoryLayer::new("two")]);
    push_to(&registry.host, &image, &options()).unwrap();
    assert_eq!(registry.manifest("tag"), Some(image.manifest_bytes.clone()));
    for layer in &image.layers {
        let blob = registry.blob(&layer.diff_id()).unwrap();
        assert_eq!(blob.len() as u64, layer.descriptor().size);
    }
    // The same layer twice is one blob, and the config is one more; the manifest is asked for, too. Only the
    // large blob is sent while it is made.
    assert_eq!(
        ["HEAD", "POST", "PATCH", "PUT", "DELETE"].map(|method| registry.count(method)),
        [4, 3, 1, 4, 0]
    );
    for seen in registry.seen() {
        assert!(seen.header("user-agent").starts_with("strata/"), "{seen:?}");
        assert!(!seen.headers.contains_key("content-range"), "{seen:?}");
        assert!(!seen.headers.contains_key("authorization"), "{seen:?}");
        let wants_length = matches!(seen.method.as_str(), "POST" | "PUT" | "PATCH");
        assert_eq!(
            seen.headers.contains_key("content-length"),
            wants_length,
            "{seen:?}"
        );
        // A long body waits to be asked for, a short one does not.
        let is_long = seen.header("content-length") == "4500000";
        assert_eq!(seen.header("expect") == "100-continue", is_long, "{seen:?}");
    }
}

/// Who is in a place at the same time.
#[derive(Default)]
struct Crowd {
    now_and_most: Mutex<(usize, usize)>,
    changed: Condvar,
}

impl Crowd {
    /// Enters, waits until so many were inside at once, and leaves.
    fn wait_for(&self, wanted: usize) {
        let mut inside = self.now_and_most.lock().unwrap();
        inside.0 += 1;
        inside.1 = inside.1.max(inside.0);
        self.changed.notify_all();
        let long = Duration::from_secs(10);
        let few = |inside: &mut (usize, usize)| inside.1 < wanted;
        inside = self
            .changed
            .wait_timeout_while(inside, long, few)
            .unwrap()
            .0;
        drop(inside);
        // Whoever else wants to come in can.
        std::thread::sleep(Duration::from_millis(20));
        self.now_and_most.lock().unwrap().0 -= 1;
    }

    fn most(&self) -> usize {
        self.now_and_most.lock().unwrap().1
    }
}

/// <https://github.com/containers/skopeo/issues/214>: blobs one after the other. Here several are asked
/// for and several sent at a time, and never more than the documents say.
#[test]
fn skopeo_214_several_blobs_are_on_their_way() {
    let crowds = Arc::new([Crowd::default(), Crowd::default()]);
    let [checks, uploads] = [0, 1].map(|number| {
        let crowds = Arc::clone(&crowds);
        move || crowds[number].most()
    });
    let registry = FakeRegistry::start(move |seen| {
        match seen.method.as_str() {
            "HEAD" if !seen.target.contains("/manifests/") => crowds[0].wait_for(64),
            "PUT" if seen.target.contains("/uploads/") => crowds[1].wait_for(16),
            _ => {}
        }
        None
    });
    let layers = (0..80).map(|number| MemoryLayer::new(vec![number; 1000]));
    push_to(&registry.host, &image(layers.collect()), &options()).unwrap();
    assert_eq!([checks(), uploads()], [64, 16]);
}

/// Where registries say that the upload goes on.
#[rstest]
#[case::relative("ID")]
#[case::absolute_path("/v2/name/blobs/uploads/ID")]
#[case::with_query("/v2/name/blobs/uploads/ID?_state=x%3D%3D&y=/")]
#[case::absolute("http://HOST/v2/name/blobs/uploads/ID?a=b")]
#[case::without_scheme("//HOST/v2/name/blobs/uploads/ID")]
fn locations_of_every_form_are_followed(#[case] form: &'static str) {
    let registry = FakeRegistry::start(move |seen| {
        let host = seen.header("host").to_owned();
        (seen.method == "POST").then(|| {
            Fault::Lie(Box::new(move |answer| {
                let right = answer.headers[0].1.clone();
                let id = right.split(['/', '?']).nth(5).unwrap();
                let location = form.replace("HOST", &host).replace("ID", id);
                answer.headers = vec![("Location".to_owned(), location)];
            }))
        })
    });
    push_to(&registry.host, &small_image(), &options()).unwrap();
}

/// What may pass is tried again.
#[rstest]
#[case::ping("GET")]
#[case::check("HEAD")]
#[case::begin("POST")]
#[case::send("PATCH")]
#[case::end("PUT")]
fn failures_that_pass_are_survived(
    #[case] method: &'static str,
    #[values("500", "503", "429", "drop", "forget")] fault: &str,
) {
    let fault = fault.to_owned();
    let registry = FakeRegistry::start(move |seen| {
        (seen.method == method && seen.number <= 2).then(|| match fault.as_str() {
            "drop" => Fault::Drop(0),
            "forget" => Fault::Forget,
            status => Fault::Answer(Reply::error(status.parse().unwrap(), "UNKNOWN", "busy")),
        })
    });
    let image = image(vec![large()]);
    push_to(
        &registry.host,
        &image,
        &Options {
            retry: Retry {
                tries: 4,
                ..options().retry
            },
            ..options()
        },
    )
    .unwrap();
    assert_eq!(registry.manifest("tag"), Some(image.manifest_bytes));
}

#[test]
fn a_blob_that_broke_off_is_sent_again_and_counted_once() {
    let registry = FakeRegistry::start(|seen| {
        (seen.method == "PATCH" && seen.number <= 2).then_some(Fault::Drop(1_000_000))
    });
    let image = image(vec![large()]);
    let reference = Reference::parse(&format!("{}/name:tag", registry.host)).unwrap();
    let recorder = Recorder::default();
    push(
        &image,
        &reference,
        &options(),
        &uncompressed(),
        Context::silent().watched_by(&recorder),
    )
    .unwrap();
    let layer = image.layers[0].descriptor();
    assert_eq!(
        recorder.of(layer.digest),
        (layer.size, Some(Outcome::Copied))
    );
    assert_eq!(registry.open_uploads(), 0);
}

/// What does not pass becomes one message.
#[rstest]
#[case::ping("GET", "cannot reach the registry HOST")]
#[case::check("HEAD", "cannot push sha256:")]
#[case::begin("POST", "cannot push sha256:")]
#[case::send("PATCH", "cannot push sha256:")]
#[case::end("PUT", "cannot push sha256:")]
fn failures_that_last_are_reported(#[case] method: &'static str, #[case] operation: &str) {
    let registry = FakeRegistry::start(move |seen| {
        (seen.method == method).then(|| Fault::Answer(Reply::error(500, "UNKNOWN", "disk on fire")))
    });
    let (message, hint) = failure(push_to(&registry.host, &image(vec![large()]), &options()));
    assert!(
        message.starts_with(&operation.replace("HOST", &registry.host)),
        "{message}"
    );
    // The answer to HEAD has no body.
    let details = if method == "HEAD" {
        ""
    } else {
        ": UNKNOWN: disk on fire"
    };
    let ending = format!(": answered 500 Internal Server Error{details} (3 tries)");
    assert!(message.ends_with(&ending), "{message}");
    assert!(hint.contains("log"), "{hint}");
    assert_eq!(registry.open_uploads(), 0);
}

#[test]
fn a_registry_that_always_hangs_up_is_reported() {
    let registry =
        FakeRegistry::start(|seen| (seen.method == "PATCH").then_some(Fault::Drop(500_000)));
    let (message, _) = failure(push_to(&registry.host, &small_image(), &options()));
    assert!(
        message.ends_with("dropped the connection (3 tries)"),
        "{message}"
    );
    assert_eq!(registry.open_uploads(), 0);
    assert_eq!(registry.manifest("tag"), None);
}

/// A registry that is just starting, as next to a job of continuous integration.
#[test]
fn a_registry_that_starts_is_waited_for_if_asked() {
    let host = closed_port();
    let mut options = options();
    options.retry.awaits_start = true;
    let reference = Reference::parse(&format!("{host}/name:tag")).unwrap();
    let warnings = Warnings::default();
    let pushed = push(
        &small_image(),
        &reference,
        &options,
        &uncompressed(),
        Context::silent().watched_by(&warnings),
    );
    let (message, _) = failure(pushed.map(|_| ()));
    assert!(
        message.ends_with("connection refused (3 tries)"),
        "{message}"
    );
    assert_eq!(
        *warnings.0.lock().unwrap(),
        [
            format!("{host}: connection refused; trying again in 0.01 s (2 of 3)"),
            format!("{host}: connection refused; trying again in 0.02 s (3 of 3)"),
        ]
    );
}

#[test]
fn what_is_tried_again_is_said() {
    let registry = FakeRegistry::start(|seen| {
        (seen.method == "PUT" && seen.number == 1).then_some(Fault::Drop(0))
    });
    let reference = Reference::parse(&format!("{}/name:tag", registry.host)).unwrap();
    let warnings = Warnings::default();
    push(
        &image(vec![]),
        &reference,
        &options(),
        &uncompressed(),
        Context::silent().watched_by(&warnings),
    )
    .unwrap();
    let again = "dropped the connection; trying again in 0.01 s (2 of 3)";
    assert_eq!(
        *warnings.0.lock().unwrap(),
        [format!("{}: {again}", registry.host)]
    );
}

#[test]
fn nobody_there_is_reported_at_once() {
    let host = closed_port();
    let (message, hint) = failure(push_to(&host, &small_image(), &options()));
    assert_eq!(
        message,
        format!("cannot reach the registry {host}: connection refused")
    );
    assert!(hint.contains("running"), "{hint}");
}

/// Issue 11, clients 1: what is too large in one piece is told, and not sent in another way.
#[test]
fn a_small_blob_that_is_too_large_is_told() {
    let registry = FakeRegistry::start(|seen| {
        let is_blob = seen.method == "PUT" && seen.target.contains("/blobs/uploads/");
        is_blob.then(|| Fault::Answer(Reply::new(413)))
    });
    let (message, _) = failure(push_to(
        &registry.host,
        &image(vec![MemoryLayer::new("one")]),
        &options(),
    ));
    assert!(
        message.ends_with(": answered 413 Payload Too Large"),
        "{message}"
    );
    assert_eq!(registry.count("PATCH"), 0);
}

#[test]
fn refusals_before_the_body_are_heard() {
    let registry = FakeRegistry::start(|seen| {
        (seen.method == "PATCH").then(|| Fault::Answer(Reply::new(413).body("<html>nginx</html>")))
    });
    let (message, hint) = failure(push_to(&registry.host, &image(vec![large()]), &options()));
    assert!(
        message.ends_with(": answered 413 Payload Too Large"),
        "{message}"
    );
    assert!(hint.contains("client_max_body_size"), "{hint}");
    assert_eq!(registry.open_uploads(), 0);
}

#[test]
fn the_registry_says_how_long_to_wait() {
    let registry = FakeRegistry::start(|seen| {
        (seen.method == "POST" && seen.number == 1)
            .then(|| Fault::Answer(Reply::new(429).header("Retry-After", "1")))
    });
    let start = Instant::now();
    push_to(&registry.host, &image(vec![]), &options()).unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));

    let registry = FakeRegistry::start(|seen| {
        (seen.method == "POST")
            .then(|| Fault::Answer(Reply::new(429).header("Retry-After", "3600")))
    });
    let (message, hint) = failure(push_to(&registry.host, &image(vec![]), &options()));
    assert!(
        message.ends_with("answered 429 Too Many Requests"),
        "{message}"
    );
    assert!(hint.contains("3600 s"), "{hint}");
}

#[test]
fn a_blob_that_fails_stops_the_others() {
    let registry = FakeRegistry::start(|seen| {
        let is_sent = seen.method == "PATCH" || seen.method == "PUT";
        is_sent.then(|| {
            Fault::Answer(match seen.header("content-length") {
                "4500000" => Reply::new(503).header("Retry-After", "30"),
                _ => Reply::error(400, "SIZE_INVALID", "odd"),
            })
        })
    });
    let start = Instant::now();
    let (message, _) = failure(push_to(&registry.host, &image(vec![large()]), &options()));
    assert!(message.ends_with("SIZE_INVALID: odd"), "{message}");
    assert!(start.elapsed() < Duration::from_secs(20));
    assert_eq!(registry.open_uploads(), 0);
}

#[test]
fn an_interrupted_upload_is_cancelled() {
    let registry = FakeRegistry::start(|_| None);
    let reference = Reference::parse(&format!("{}/name:tag", registry.host)).unwrap();
    let interrupt = InterruptAfter(1_000_000, Mutex::new(0));
    let context = Context {
        progress: &interrupt,
        cancel: &interrupt,
    };
    let error = push(
        &small_image(),
        &reference,
        &options(),
        &uncompressed(),
        context,
    )
    .unwrap_err();
    assert!(matches!(error, Error::Interrupted), "{error}");
    assert_eq!(registry.open_uploads(), 0);
    assert!(registry.count("DELETE") >= 1);
    assert_eq!(registry.manifest("tag"), None);
}

/// A layer that is not the promised one must never be kept.
#[rstest]
#[case::other(b"promised", b"othergot")]
#[case::longer(b"promised", b"promised and more")]
#[case::shorter(b"promised", b"prom")]
#[case::empty(b"promised", b"")]
fn a_layer_that_changed_is_not_kept(#[case] promised: &[u8], #[case] given: &[u8]) {
    let registry = FakeRegistry::start(|_| None);
    let image = image(vec![MemoryLayer::broken(promised, given)]);
    let error = push_to(&registry.host, &image, &options()).unwrap_err();
    assert!(
        matches!(&error, Error::Mismatch { what, .. } if what == "layer in memory"),
        "{error}"
    );
    assert_eq!(registry.open_uploads(), 0);
    let layer = image.layers[0].diff_id();
    assert!(
        !registry
            .seen()
            .iter()
            .any(|seen| seen.method == "PUT" && seen.target.contains(&layer.hex()))
    );
    assert_eq!(registry.manifest("tag"), None);
    assert!(
        registry.count("PATCH") <= 2,
        "once for the layer, once for the config"
    );
}

/// Nor one that does not notice it.
#[rstest]
#[case::longer(b"promised", b"promised and more")]
#[case::shorter(b"promised", b"prom")]
#[case::empty(b"promised", b"")]
fn a_layer_of_another_size_is_not_kept(#[case] promised: &[u8], #[case] given: &[u8]) {
    let registry = FakeRegistry::start(|_| None);
    let image = image(vec![MemoryLayer::lying(promised, given)]);
    let error = push_to(&registry.host, &image, &options()).unwrap_err();
    assert!(error.to_string().contains("expected 8 bytes"), "{error}");
    assert_eq!(registry.open_uploads(), 0);
    assert_eq!(registry.blob(&image.layers[0].diff_id()), None);
}

#[test]
fn a_check_that_lies_about_the_size_is_not_believed() {
    let registry = FakeRegistry::start(|seen| {
        (seen.method == "HEAD")
            .then(|| Fault::Answer(Reply::new(200).header("content-length", "1")))
    });
    push_to(&registry.host, &small_image(), &options()).unwrap();
}

/// What the registry says that it took must be what was sent.
#[rstest]
#[case::manifest("/manifests/")]
#[case::blob("/blobs/")]
fn other_digests_in_answers_are_errors(#[case] part: &'static str) {
    let registry = FakeRegistry::start(move |seen| {
        (seen.method == "PUT" && seen.target.contains(part)).then(|| {
            Fault::Lie(Box::new(|answer| {
                *answer = answer
                    .clone()
                    .header("docker-content-digest", Digest::of(b"x").to_string());
            }))
        })
    });
    let (message, _) = failure(push_to(&registry.host, &image(vec![]), &options()));
    assert!(
        message.contains(&format!("holds {} now", Digest::of(b"x"))),
        "{message}"
    );
}

/// A registry that does not say what it took is asked.
#[rstest]
#[case::right(None)]
#[case::wrong(Some("{}"))]
fn a_silent_registry_is_asked(#[case] lie: Option<&'static str>) {
    let registry = FakeRegistry::start(move |seen| {
        let manifest = seen.target.contains("/manifests/");
        match seen.method.as_str() {
            "PUT" if manifest => Some(Fault::Lie(Box::new(|answer| answer.headers.clear()))),
            "GET" if manifest => lie.map(|lie| Fault::Answer(Reply::new(200).body(lie))),
            _ => None,
        }
    });
    let result = push_to(&registry.host, &image(vec![]), &options());
    assert_eq!(registry.seen().last().unwrap().method, "GET");
    match lie {
        None => result.unwrap(),
        Some(lie) => {
            let (message, _) = failure(result);
            assert!(
                message.contains(&Digest::of(lie.as_bytes()).to_string()),
                "{message}"
            );
        }
    }
}

#[test]
fn a_manifest_that_is_refused_is_reported() {
    let registry = FakeRegistry::start(|seen| {
        (seen.method == "PUT" && seen.target.contains("/manifests/"))
            .then(|| Fault::Answer(Reply::error(400, "MANIFEST_INVALID", "odd")))
    });
    let (message, _) = failure(push_to(&registry.host, &image(vec![]), &options()));
    assert_eq!(
        message,
        format!(
            "cannot push the manifest to {}/name:tag: answered 400 Bad Request: MANIFEST_INVALID: odd",
            registry.host
        )
    );
}

#[test]
fn huge_and_endless_answers_are_cut() {
    let registry = FakeRegistry::start(|seen| {
        (seen.method == "POST").then(|| Fault::Answer(Reply::new(400).body(vec![b'x'; 20 << 20])))
    });
    let (message, _) = failure(push_to(&registry.host, &image(vec![]), &options()));
    assert!(message.len() < 1000, "{}", message.len());

    let registry = FakeRegistry::start(|seen| (seen.method == "POST").then_some(Fault::Endless));
    let (message, _) = failure(push_to(&registry.host, &image(vec![]), &options()));
    assert!(message.len() < 1000, "{}", message.len());
    // The rest waits in the sockets.
    assert!(registry.endless() < 32 << 20, "{}", registry.endless());
}

#[rstest]
#[case::ping("GET")]
#[case::check("HEAD")]
#[case::send("PATCH")]
#[case::end("PUT")]
fn a_silent_registry_is_given_up(#[case] method: &'static str) {
    let registry = FakeRegistry::start(move |seen| (seen.method == method).then_some(Fault::Stall));
    let timeouts = Timeouts {
        response: Duration::from_millis(200),
        upload_response: Duration::from_millis(200),
        ..Timeouts::default()
    };
    let start = Instant::now();
    let (message, _) = failure(push_to(
        &registry.host,
        &image(vec![large()]),
        &Options {
            timeouts,
            retry: Retry {
                tries: 1,
                ..options().retry
            },
            ..options()
        },
    ));
    assert!(message.contains("did not answer in time"), "{message}");
    assert!(start.elapsed() < Duration::from_secs(20));
}

/// A registry that says nothing about what it took, and then does not have it.
#[test]
fn a_manifest_that_is_lost_is_not_a_missing_repository() {
    let registry = FakeRegistry::start(|seen| {
        let is_manifest = seen.target.contains("/manifests/");
        match seen.method.as_str() {
            "PUT" if is_manifest => Some(Fault::Answer(Reply::new(201))),
            _ => None,
        }
    });
    let (message, hint) = failure(push_to(&registry.host, &image(vec![]), &options()));
    assert!(
        message.ends_with(
            "took the manifest, and says right after that it does not have it (404) (3 tries)"
        ),
        "{message}"
    );
    assert!(hint.contains("storage"), "{hint}");
}

#[test]
fn redirects_end() {
    let registry = FakeRegistry::start(|seen| {
        (seen.method == "POST")
            .then(|| Fault::Answer(Reply::new(307).header("Location", seen.target.clone())))
    });
    let (message, _) = failure(push_to(&registry.host, &image(vec![]), &options()));
    assert!(message.ends_with("redirects without end"), "{message}");
    assert!(registry.count("POST") < 10);

    let registry = FakeRegistry::start(|seen| {
        (seen.method == "PATCH")
            .then(|| Fault::Answer(Reply::new(307).header("Location", "/elsewhere")))
    });
    let (message, _) = failure(push_to(&registry.host, &image(vec![large()]), &options()));
    assert!(message.contains("redirects a write"), "{message}");
}

// Docker's manifests.

fn docker() -> PushOptions {
    PushOptions {
        format: ManifestFormat::Docker,
        ..compressed(Compression::GZIP)
    }
}

/// A registry that takes schema 2 and no OCI manifests (`schema2-only-registry` of the small inputs that fail).
fn old_registry(status: u16) -> FakeRegistry {
    FakeRegistry::start(move |seen| {
        let is_oci = seen.header("content-type").contains("vnd.oci");
        (seen.method == "PUT" && is_oci).then(|| {
            Fault::Answer(Reply::error(
                status,
                "MANIFEST_INVALID",
                "unknown media type",
            ))
        })
    })
}

/// Row 6: who insists on OCI is told of the flag; with it or without any, everything is called as Docker calls it.
#[rstest]
fn a_registry_may_take_docker_manifests_only(
    #[values(400, 415)] status: u16,
    #[values(ManifestFormat::Any, ManifestFormat::Docker)] format: ManifestFormat,
) {
    let registry = old_registry(status);
    let mut image = image(vec![
        MemoryLayer::new(b"one".repeat(100)).annotated("a", "b"),
        MemoryLayer::new(b"two".repeat(100)),
    ]);
    image
        .manifest
        .annotations
        .insert("a".to_owned(), "b".to_owned());
    let reference = Reference::parse(&format!("{}/name:tag", registry.host)).unwrap();
    let oci = PushOptions {
        format: ManifestFormat::Oci,
        ..docker()
    };
    let error = push(&image, &reference, &options(), &oci, Context::silent()).unwrap_err();
    assert!(error.to_string().contains("MANIFEST_INVALID"), "{error}");
    assert!(error.hint().unwrap().contains("--format docker"), "{error}");

    let what = PushOptions { format, ..docker() };
    let pushed = push(&image, &reference, &options(), &what, Context::silent()).unwrap();
    let told = |warning: &String| warning.contains("refuses OCI manifests");
    let is_told = pushed.warnings.iter().any(told);
    assert_eq!(is_told, format == ManifestFormat::Any);
    let bytes = registry.manifest("tag").unwrap();
    assert_eq!(pushed.manifest.digest, Digest::of(&bytes));
    let manifest: Value = serde_json::from_slice(&bytes).unwrap();
    let schema2 = "application/vnd.docker.distribution.manifest.v2+json";
    assert_eq!(manifest["mediaType"], schema2);
    let config = "application/vnd.docker.container.image.v1+json";
    assert_eq!(manifest["config"]["mediaType"], config);
    for layer in manifest["layers"].as_array().unwrap() {
        let gzip = "application/vnd.docker.image.rootfs.diff.tar.gzip";
        assert_eq!(layer["mediaType"], gzip);
        assert_eq!(layer.get("annotations"), None);
    }
    assert_eq!(manifest.get("annotations"), None);
    let put = |seen: &Seen| seen.method == "PUT" && seen.target.contains("/manifests/");
    let sent = registry.seen().into_iter().rfind(put).unwrap();
    assert_eq!(sent.header("content-type"), schema2);
}

/// An image that is to keep its digest does not change its format.
#[test]
fn a_format_is_not_changed_where_the_digest_is_kept() {
    let registry = old_registry(415);
    let reference = Reference::parse(&format!("{}/name:tag", registry.host)).unwrap();
    let image = small_image();
    let what = uncompressed();
    let error = push(&image, &reference, &options(), &what, Context::silent()).unwrap_err();
    assert!(error.to_string().contains("MANIFEST_INVALID"), "{error}");
    assert_eq!(registry.manifest("tag"), None);
}

/// A hint about formats helps nobody whose manifest is in Docker's already.
#[test]
fn the_hint_about_formats_is_for_oci() {
    let registry = FakeRegistry::start(|seen| {
        (seen.method == "PUT" && seen.target.contains("/manifests/"))
            .then(|| Fault::Answer(Reply::error(400, "MANIFEST_INVALID", "no")))
    });
    let reference = Reference::parse(&format!("{}/name:tag", registry.host)).unwrap();
    let image = small_image();
    let error = push(&image, &reference, &options(), &docker(), Context::silent()).unwrap_err();
    assert!(!error.hint().unwrap_or_default().contains("--format"));
}

/// Docker's format has no word for Zstandard; nothing is sent then.
#[test]
fn docker_manifests_have_no_zstd() {
    let registry = FakeRegistry::start(|_| None);
    let reference = Reference::parse(&format!("{}/name:tag", registry.host)).unwrap();
    let what = PushOptions {
        compression: Some(Compression::ZSTD),
        ..docker()
    };
    let image = small_image();
    let error = push(&image, &reference, &options(), &what, Context::silent()).unwrap_err();
    assert!(error.to_string().contains("plain or in gzip"), "{error}");
    assert_eq!(registry.count("POST"), 0);
}

/// Row 6: podman does not read health checks from OCI manifests.
#[rstest]
#[case::any(ManifestFormat::Any, json!({ "Test": ["CMD", "/x"] }), true)]
#[case::oci(ManifestFormat::Oci, json!({ "Test": ["CMD", "/x"] }), true)]
#[case::docker(ManifestFormat::Docker, json!({ "Test": ["CMD", "/x"] }), false)]
#[case::none(ManifestFormat::Oci, Value::Null, false)]
fn health_checks_in_oci_manifests_are_told(
    #[case] format: ManifestFormat,
    #[case] check: Value,
    #[case] is_told: bool,
) {
    let registry = FakeRegistry::start(|_| None);
    let reference = Reference::parse(&format!("{}/name:tag", registry.host)).unwrap();
    let mut image = small_image();
    image.config.config.insert("Healthcheck".to_owned(), check);
    let what = PushOptions { format, ..docker() };
    let pushed = push(&image, &reference, &options(), &what, Context::silent()).unwrap();
    let told =
        |warning: &String| warning.contains("Healthcheck") && warning.contains("--format docker");
    assert_eq!(
        pushed.warnings.iter().any(told),
        is_told,
        "{:?}",
        pushed.warnings
    );
}
