//! The registry client, against the real registry and against one that misbehaves.
#![cfg(feature = "cli")]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "this is a test"
)]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rstest::rstest;
use strata::image::Image;
use strata::oci::{Descriptor, Digest, Reference};
use strata::transport::registry::{Credentials, Options, Retry, Timeouts, push};
use strata::transport::{Outcome, Progress, Silent};
use strata::{Error, Result};
use support::fake_registry::{FakeRegistry, Fault, Reply, Seen};
use support::memory_image::{MemoryLayer, image};
use support::registry::{Certificate, PASSWORD, Registry, Setup, USERNAME, run};

/// A layer that takes several reads and writes.
fn large() -> MemoryLayer {
    MemoryLayer::new(
        (0..1_500_000_u32)
            .map(|number| (number % 251) as u8)
            .collect::<Vec<_>>(),
    )
}

fn small_image() -> Image {
    image(vec![MemoryLayer::new("one"), large()])
}

/// Options with short pauses, which read no file of the user's.
fn options() -> Options {
    Options {
        auth_file: Some(PathBuf::from(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/support/no-credentials.json"
        ))),
        retry: Retry {
            tries: 3,
            first_pause: Duration::from_millis(10),
            ..Retry::default()
        },
        ..Options::default()
    }
}

fn with_credentials(text: &str) -> Options {
    Options {
        credentials: Some(text.parse().unwrap()),
        ..options()
    }
}

fn push_to(host: &str, image: &Image, options: &Options) -> Result<()> {
    let reference = Reference::parse(&format!("{host}/name:tag")).unwrap();
    push(image, &reference, options, &Silent).map(drop)
}

/// The message and the hint of a failure.
fn failure(result: Result<()>) -> (String, String) {
    let error = result.expect_err("a failure");
    (error.to_string(), error.hint().unwrap_or_default())
}

/// Remembers what it is told.
#[derive(Default)]
struct Recorder(Mutex<Vec<(Digest, u64, Option<Outcome>)>>);

impl Progress for Recorder {
    fn begin(&self, blob: &Descriptor) {
        self.0.lock().unwrap().push((blob.digest, 0, None));
    }

    fn advance(&self, blob: &Descriptor, bytes: u64) -> Result<()> {
        let mut blobs = self.0.lock().unwrap();
        blobs
            .iter_mut()
            .find(|(digest, ..)| *digest == blob.digest)
            .unwrap()
            .1 += bytes;
        Ok(())
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

/// Interrupts after so many bytes of a blob.
struct InterruptAfter(u64, Mutex<u64>);

impl Progress for InterruptAfter {
    fn begin(&self, _: &Descriptor) {}

    fn advance(&self, _: &Descriptor, bytes: u64) -> Result<()> {
        let mut sum = self.1.lock().unwrap();
        *sum += bytes;
        if *sum >= self.0 {
            Err(Error::Interrupted)
        } else {
            Ok(())
        }
    }

    fn finish(&self, _: &Descriptor, _: Outcome) {}
}

// The real registry.

#[test]
fn an_image_is_pushed_and_other_tools_read_it() {
    let registry = Registry::start(Setup::default());
    let image = small_image();
    let reference = Reference::parse(&format!("{}/a/name:tag", registry.host)).unwrap();
    let first = Recorder::default();
    push(&image, &reference, &options(), &first).unwrap();

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
    push(&image, &reference, &options(), &second).unwrap();
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
    push(&image, &reference(digest), &options(), &Silent).unwrap();
    let source = format!("docker://{}", reference(digest));
    run(Command::new("skopeo").args(["inspect", "--raw", "--tls-verify=false", &source]));

    let other = Digest::of(b"other");
    let (message, _) = failure(push(&image, &reference(other), &options(), &Silent).map(drop));
    assert!(
        message.contains(&format!("the image's digest is {digest}")),
        "{message}"
    );
}

/// The peak is that of a process, so this test is one.
#[test]
fn layers_are_never_held_whole() {
    if std::env::var_os("STRATA_TEST_ALONE").is_none() {
        let mut alone = Command::new(std::env::current_exe().unwrap());
        alone
            .args(["--exact", "layers_are_never_held_whole"])
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

#[test]
fn plain_http_has_to_be_allowed() {
    let registry = Registry::start(Setup::default());
    let strict = Options {
        tls_verify: Some(true),
        ..options()
    };
    let (message, hint) = failure(push_to(&registry.host, &small_image(), &strict));
    assert!(
        message.starts_with(&format!(
            "cannot reach the registry {}: TLS: ",
            registry.host
        )),
        "{message}"
    );
    assert!(hint.contains("--dest-tls-verify=false"), "{hint}");
    let lax = Options {
        tls_verify: Some(false),
        ..options()
    };
    push_to(&registry.host, &small_image(), &lax).unwrap();
}

#[rstest]
#[case::signed(Certificate::Signed)]
#[case::self_signed(Certificate::SelfSigned)]
fn certificates_are_checked(#[case] certificate: Certificate) {
    let registry = Registry::start(Setup {
        tls: Some(certificate),
        ..Setup::default()
    });
    let image = small_image();
    for tls_verify in [None, Some(true)] {
        let (message, hint) = failure(push_to(
            &registry.host,
            &image,
            &Options {
                tls_verify,
                ..options()
            },
        ));
        assert!(message.contains("certificate"), "{message}");
        assert!(hint.contains("--dest-cert-dir"), "{hint}");
        let trusting = Options {
            tls_verify,
            certificate_directory: Some(registry.certificates()),
            ..options()
        };
        push_to(&registry.host, &image, &trusting).unwrap();
    }
    push_to(
        &registry.host,
        &image,
        &Options {
            tls_verify: Some(false),
            ..options()
        },
    )
    .unwrap();
}

/// rustls does not take an authority's own certificate for a server's; at least it is said.
#[test]
fn an_authority_is_no_registry() {
    let registry = Registry::start(Setup {
        tls: Some(Certificate::Authority),
        ..Setup::default()
    });
    let trusting = Options {
        certificate_directory: Some(registry.certificates()),
        ..options()
    };
    let (_, hint) = failure(push_to(&registry.host, &small_image(), &trusting));
    assert!(
        hint.contains("-addext basicConstraints=critical,CA:FALSE"),
        "{hint}"
    );
}

#[test]
fn an_upload_does_not_leave_https() {
    let registry = Registry::start(Setup {
        tls: Some(Certificate::Signed),
        said_scheme: Some("http"),
        ..Setup::default()
    });
    let options = Options {
        certificate_directory: Some(registry.certificates()),
        ..options()
    };
    let (message, hint) = failure(push_to(&registry.host, &small_image(), &options));
    assert!(message.contains("leads from https to http"), "{message}");
    assert!(hint.contains("X-Forwarded-Proto"), "{hint}");
}

#[test]
fn passwords_are_taken_from_flags_and_files() {
    let registry = Registry::start(Setup {
        password: true,
        ..Setup::default()
    });
    let image = small_image();
    push_to(
        &registry.host,
        &image,
        &with_credentials(&format!("{USERNAME}:{PASSWORD}")),
    )
    .unwrap();

    let login = "dGVzdGVyOmNvcnJlY3QtaG9yc2U=";
    let document = format!(
        r#"{{"auths":{{"{}":{{"auth":"{login}"}}}}}}"#,
        registry.host
    );
    let file = registry.file("auth.json", &document);
    push_to(
        &registry.host,
        &image,
        &Options {
            auth_file: Some(file),
            ..options()
        },
    )
    .unwrap();

    let helper = registry.file("helper.json", r#"{"credsStore":"desktop"}"#);
    let wrong = registry.file(
        "wrong.json",
        &document.replace(login, "dGVzdGVyOnNlY3JldA=="),
    );
    for (options, message, hint) in [
        (
            with_credentials("tester:secret"),
            "does not take the credentials from the command line",
            "--dest-creds",
        ),
        (
            options(),
            "no credentials were sent, since none were found",
            "docker login 127.0.0.1:",
        ),
        (
            Options {
                auth_file: Some(helper),
                ..options()
            },
            "no credentials were sent",
            "docker-credential-desktop",
        ),
        (
            Options {
                auth_file: Some(wrong),
                ..options()
            },
            "wrong.json",
            "--dest-creds",
        ),
    ] {
        let found = failure(push_to(&registry.host, &image, &options));
        assert!(
            found
                .0
                .contains("answered 401 Unauthorized: UNAUTHORIZED: "),
            "{found:?}"
        );
        assert!(
            found.0.contains(message) && found.1.contains(hint),
            "{found:?}"
        );
        assert!(!found.0.contains("secret"), "{found:?}");
    }
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
    // The same layer twice is one blob, and the config is one more.
    assert_eq!(
        ["HEAD", "POST", "PATCH", "DELETE"].map(|method| registry.count(method)),
        [3, 3, 3, 0]
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
        let is_long = seen.header("content-length") == "1500000";
        assert_eq!(seen.header("expect") == "100-continue", is_long, "{seen:?}");
    }
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
    push(&image, &reference, &options(), &recorder).unwrap();
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
    let (message, hint) = failure(push_to(&registry.host, &image(vec![]), &options()));
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

#[test]
fn nobody_there_is_reported_at_once() {
    let host = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let (message, hint) = failure(push_to(&host, &small_image(), &options()));
    assert_eq!(
        message,
        format!("cannot reach the registry {host}: connection refused")
    );
    assert!(hint.contains("running"), "{hint}");
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
fn a_pause_can_be_interrupted() {
    let registry = FakeRegistry::start(|seen| {
        (seen.method == "POST").then(|| Fault::Answer(Reply::new(429).header("Retry-After", "30")))
    });
    let start = Instant::now();
    let reference = Reference::parse(&format!("{}/name:tag", registry.host)).unwrap();
    let error = push(
        &image(vec![]),
        &reference,
        &options(),
        &InterruptAfter(0, Mutex::new(0)),
    )
    .unwrap_err();
    assert!(matches!(error, Error::Interrupted), "{error}");
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_blob_that_fails_stops_the_others() {
    let registry = FakeRegistry::start(|seen| {
        (seen.method == "PATCH").then(|| {
            Fault::Answer(match seen.header("content-length") {
                "1500000" => Reply::new(503).header("Retry-After", "30"),
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
    let progress = InterruptAfter(1_000_000, Mutex::new(0));
    let error = push(&small_image(), &reference, &options(), &progress).unwrap_err();
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
        answer: Duration::from_millis(200),
        upload_answer: Duration::from_millis(200),
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

// Credentials.

fn challenge(value: &str) -> Fault {
    Fault::Answer(
        Reply::error(401, "UNAUTHORIZED", "authentication required")
            .header("WWW-Authenticate", value),
    )
}

fn basic(credentials: &str) -> String {
    use base64::Engine;
    format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode(credentials)
    )
}

#[test]
fn refused_credentials_are_not_tried_for_ever() {
    let registry = FakeRegistry::start(|_| Some(challenge("Basic realm=\"r\"")));
    let (message, _) = failure(push_to(
        &registry.host,
        &small_image(),
        &with_credentials("user:secret"),
    ));
    assert!(
        message.contains("does not take the credentials"),
        "{message}"
    );
    assert!(!message.contains("secret"), "{message}");
    assert_eq!(registry.seen().len(), 2, "without and with");
}

#[test]
fn credentials_can_be_asked_for_late() {
    let registry = FakeRegistry::start(|seen| {
        (seen.method != "GET" && seen.header("authorization") != basic("user:secret"))
            .then(|| challenge("Basic realm=\"r\""))
    });
    push_to(
        &registry.host,
        &small_image(),
        &with_credentials("user:secret"),
    )
    .unwrap();
}

/// A registry with an authorization server. A request that `revokes` ends the life of the token that
/// was last given out.
fn registry_with_tokens(revokes: impl Fn(&Seen) -> bool + Send + Sync + 'static) -> FakeRegistry {
    // How many tokens were given out, and whether the last one is good.
    let issued = Mutex::new((0, false));
    FakeRegistry::start(move |seen| {
        let mut issued = issued.lock().unwrap();
        if seen.target.starts_with("/token") {
            let wanted = "/token?a=b&service=the%20service&scope=repository%3Aname%3Apull%2Cpush";
            if seen.target != wanted || seen.header("authorization") != basic("user:secret") {
                return Some(Fault::Answer(
                    Reply::new(401).body(r#"{"details":"who are you?"}"#),
                ));
            }
            *issued = (issued.0 + 1, true);
            let body = format!(r#"{{"access_token":"token{}","expires_in":300}}"#, issued.0);
            return Some(Fault::Answer(Reply::new(200).body(body)));
        }
        if revokes(seen) {
            issued.1 = false;
        }
        if issued.1 && seen.header("authorization") == format!("Bearer token{}", issued.0) {
            return None;
        }
        let host = seen.header("host");
        Some(challenge(&format!(
            "Bearer realm=\"http://{host}/token?a=b\",service=\"the service\""
        )))
    })
}

#[rstest]
#[case::never("", 1)]
#[case::at_the_check("HEAD", 2)]
#[case::at_the_beginning("POST", 2)]
#[case::at_the_body("PATCH", 2)]
#[case::at_the_end("PUT", 2)]
fn tokens_are_got_and_renewed(#[case] revoked_by: &'static str, #[case] tokens: usize) {
    let registry = registry_with_tokens(move |seen| seen.method == revoked_by && seen.number == 1);
    let image = image(vec![large()]);
    push_to(&registry.host, &image, &with_credentials("user:secret")).unwrap();
    let asked = |seen: &&Seen| seen.target.starts_with("/token");
    assert_eq!(registry.seen().iter().filter(asked).count(), tokens);
}

#[test]
fn tokens_that_never_work_are_given_up() {
    let registry = registry_with_tokens(|_| true);
    let (message, _) = failure(push_to(
        &registry.host,
        &small_image(),
        &with_credentials("user:secret"),
    ));
    assert!(
        message.contains("does not take the credentials"),
        "{message}"
    );
    assert!(registry.seen().len() <= 6);
}

#[test]
fn the_authorization_server_can_refuse() {
    let registry = registry_with_tokens(|_| false);
    let (message, _) = failure(push_to(
        &registry.host,
        &small_image(),
        &with_credentials("user:wrong"),
    ));
    assert!(
        message.contains("who are you?: the registry does not take the credentials"),
        "{message}"
    );
}

#[test]
fn identity_tokens_are_exchanged() {
    let registry = FakeRegistry::start(|seen| {
        if seen.target == "/token" && seen.method == "POST" {
            let body = r#"{"access_token":"short"}"#;
            return Some(Fault::Lie(Box::new(move |answer| {
                *answer = Reply::new(200).body(body);
            })));
        }
        let host = seen.header("host");
        (seen.header("authorization") != "Bearer short")
            .then(|| challenge(&format!("Bearer realm=\"http://{host}/token\"")))
    });
    let credentials = Some(Credentials::IdentityToken("secret".to_owned()));
    push_to(
        &registry.host,
        &image(vec![]),
        &Options {
            credentials,
            ..options()
        },
    )
    .unwrap();
    let asked = registry
        .seen()
        .into_iter()
        .find(|seen| seen.target == "/token")
        .unwrap();
    assert_eq!(
        asked.header("content-type"),
        "application/x-www-form-urlencoded"
    );
}

/// Other hosts never see what is meant for the registry.
#[rstest]
#[case::check("HEAD", 307)]
#[case::begin("POST", 307)]
#[case::manifest("PUT", 308)]
fn redirects_do_not_carry_credentials(#[case] method: &'static str, #[case] status: u16) {
    let other = FakeRegistry::start(|_| None);
    let elsewhere = other.host.clone();
    let registry = FakeRegistry::start(move |seen| {
        if seen.header("authorization") != basic("user:secret") {
            return Some(challenge("Basic realm=\"r\""));
        }
        let elsewhere = elsewhere.clone();
        (seen.method == method).then(|| {
            let location = format!("http://{elsewhere}{}", seen.target);
            Fault::Lie(Box::new(move |answer| {
                *answer = Reply::new(status).header("Location", location);
            }))
        })
    });
    // Whether the push succeeds is not the question.
    let _ = push_to(
        &registry.host,
        &image(vec![]),
        &with_credentials("user:secret"),
    );
    assert!(other.count(method) > 0);
    assert!(
        other
            .seen()
            .iter()
            .all(|seen| !seen.headers.contains_key("authorization"))
    );
}

#[test]
fn uploads_elsewhere_do_not_carry_credentials() {
    let other = FakeRegistry::start(|_| None);
    let elsewhere = other.host.clone();
    let registry = FakeRegistry::start(move |seen| {
        if seen.header("authorization") != basic("user:secret") {
            return Some(challenge("Basic realm=\"r\""));
        }
        let location = format!("http://{elsewhere}/v2/name/blobs/uploads/1");
        (seen.method == "POST").then(|| Fault::Answer(Reply::new(202).header("Location", location)))
    });
    failure(push_to(
        &registry.host,
        &image(vec![]),
        &with_credentials("user:secret"),
    ));
    assert!(other.count("PATCH") > 0);
    assert!(
        other
            .seen()
            .iter()
            .all(|seen| !seen.headers.contains_key("authorization"))
    );
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

/// The file of credentials that the other tests use must be one.
#[test]
fn the_file_without_credentials_is_there() {
    assert!(
        options()
            .auth_file
            .is_some_and(|file| Path::new(&file).is_file())
    );
}
