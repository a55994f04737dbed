//! Reaching registries and logging in: TLS, passwords, tokens, and who must not see them.
#![cfg(feature = "cli")]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "this is a test"
)]

mod support;

use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rstest::rstest;
use strata::oci::{Descriptor, Reference};
use strata::transport::registry::{Credentials, Options, push};
use strata::transport::{Outcome, Progress};
use strata::{Error, Result};
use support::fake_registry::{FakeRegistry, Fault, Reply, Seen};
use support::memory_image::image;
use support::pushing::{failure, large, options, push_to, small_image, with_credentials};
use support::registry::{Certificate, PASSWORD, Registry, Setup, USERNAME};

// The real registry.

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
#[case::authority(Certificate::Authority)]
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
            "helper.json names a credential helper: docker-credential-desktop is not installed; pass",
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

/// A user who gives up after a while, and says so when asked, not in between.
struct GivesUp(Instant);

impl Progress for GivesUp {
    fn begin(&self, _: &Descriptor) {}

    fn advance(&self, _: &Descriptor, _: u64) -> Result<()> {
        Ok(())
    }

    fn interrupted(&self) -> Result<()> {
        if Instant::now() < self.0 {
            return Ok(());
        }
        Err(Error::Interrupted)
    }

    fn finish(&self, _: &Descriptor, _: Outcome) {}
}

/// Ctrl-C ends the wait for an answer, and what was begun is still cancelled.
#[rstest]
#[case::ping("GET", 0)]
#[case::check("HEAD", 0)]
#[case::begin("POST", 0)]
#[case::send("PATCH", 2)]
#[case::end("PUT", 2)]
fn a_wait_can_be_interrupted(#[case] method: &'static str, #[case] cancelled: usize) {
    let registry = FakeRegistry::start(move |seen| (seen.method == method).then_some(Fault::Stall));
    let start = Instant::now();
    let reference = Reference::parse(&format!("{}/name:tag", registry.host)).unwrap();
    let progress = GivesUp(start + Duration::from_millis(300));
    let image = image(vec![large()]);
    let error = push(&image, &reference, &options(), &progress).unwrap_err();
    assert!(matches!(error, Error::Interrupted), "{error}");
    // The registry keeps silent for a minute.
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(registry.count("DELETE"), cancelled);
    assert_eq!(registry.open_uploads(), 0);
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
