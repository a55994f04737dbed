//! Reaching registries and logging in: TLS, passwords, tokens, and who must not see them.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "this is a test"
)]

use strata_testing as support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::proxy::Proxy;
use rstest::rstest;
use strata_error::{Error, Result};
use strata_oci::Reference;
use strata_progress::{Cancel, Context};
use strata_registry::{Credentials, Options, Proxies, Retry, Timeouts, push};
use support::fake_registry::{FakeRegistry, Fault, Reply, Seen};
use support::fake_store::{FakeStore, Item};
use support::memory_image::{MemoryLayer, image};
use support::pushing::{
    closed_port, failure, large, options, push_to, small_image, uncompressed, with_credentials,
};
use support::registry::{Certificate, NAME, PASSWORD, Registry, Setup, USERNAME, run};

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
fn client_certificates_are_shown() {
    let registry = Registry::start(Setup {
        tls: Some(Certificate::Signed),
        wants_client: true,
        ..Setup::default()
    });
    let image = small_image();
    let with = |directory: PathBuf| Options {
        certificate_directory: Some(directory),
        ..options()
    };
    let (message, hint) = failure(push_to(
        &registry.host,
        &image,
        &with(registry.certificates()),
    ));
    assert!(message.contains("TLS: received fatal alert: "), "{message}");
    assert!(hint.contains("NAME.cert and NAME.key"), "{hint}");

    let both = tempfile::tempdir().unwrap();
    let authority = registry.certificates().join("ca.crt");
    for file in registry.client().iter().chain([&authority]) {
        std::fs::copy(file, both.path().join(file.file_name().unwrap())).unwrap();
    }
    push_to(&registry.host, &image, &with(both.path().to_owned())).unwrap();
}

#[test]
fn ipv6_is_spoken() {
    let image = small_image();
    for tls in [None, Some(Certificate::Signed)] {
        let registry = Registry::start(Setup {
            tls,
            ipv6: true,
            ..Setup::default()
        });
        assert!(registry.host.starts_with("[::1]:"));
        let options = Options {
            certificate_directory: tls.map(|_| registry.certificates()),
            ..options()
        };
        push_to(&registry.host, &image, &options).unwrap();
    }
}

// Proxies.

/// Options with these variables.
fn through(variables: &[(&str, &str)], options: Options) -> Options {
    let proxies = Proxies::from_environment(&|name| {
        let found = variables.iter().find(|(other, _)| *other == name);
        found.map(|(_, value)| (*value).into())
    });
    Options {
        proxies: Some(proxies),
        ..options
    }
}

/// The header of `me:pass word`.
const PROXY_LOGIN: &str = "Basic bWU6cGFzcyB3b3Jk";

#[test]
fn https_goes_through_a_tunnel() {
    let registry = Registry::start(Setup {
        tls: Some(Certificate::Signed),
        password: true,
        ..Setup::default()
    });
    let proxy = Proxy::start(&registry.host, Some(PROXY_LOGIN));
    let trusting = Options {
        certificate_directory: Some(registry.certificates()),
        ..with_credentials(&format!("{USERNAME}:{PASSWORD}"))
    };
    let address = format!("http://me:pass%20word@{}", proxy.host);
    let options = through(&[("HTTPS_PROXY", &address)], trusting.clone());
    push_to(&format!("{NAME}:5000"), &small_image(), &options).unwrap();
    // Connections are used again: it takes twenty requests.
    assert!((1..10).contains(&proxy.seen().len()), "{:?}", proxy.seen());
    for seen in proxy.seen() {
        assert_eq!(seen, format!("CONNECT {NAME}:5000"));
    }

    let address = format!("http://me:secret@{}", proxy.host);
    let options = through(&[("HTTPS_PROXY", &address)], trusting);
    let (message, hint) = failure(push_to(NAME, &small_image(), &options));
    assert!(
        message.contains("the proxy refused") && message.contains("407"),
        "{message}"
    );
    assert!(
        !message.contains("secret") && hint.contains("HTTPS_PROXY"),
        "{message} {hint}"
    );
}

/// What cannot be reached is named: a proxy, without its password, and an authorization server.
#[test]
fn who_is_not_there_is_named() {
    let closed = closed_port();
    let address = format!("http://me:secret@{closed}");
    let options_of_proxy = through(&[("https_proxy", &address)], options());
    let (message, hint) = failure(push_to(NAME, &small_image(), &options_of_proxy));
    assert_eq!(
        message,
        format!(
            "cannot reach the registry {NAME}: the proxy {closed} (https_proxy): connection refused"
        )
    );
    assert!(hint.contains("check https_proxy"), "{hint}");

    let realm = format!("Bearer realm=\"http://me:secret@{closed}/token\"");
    let registry = FakeRegistry::start(move |_| Some(challenge(&realm)));
    let (message, hint) = failure(push_to(&registry.host, &small_image(), &options()));
    let server = format!(": its authorization server {closed}: connection refused");
    assert!(message.ends_with(&server), "{message}");
    assert!(hint.contains("www-authenticate"), "{hint}");
}

/// Many proxies open tunnels to port 443 only, so plain HTTP is for the proxy to ask for.
#[test]
fn http_is_asked_of_the_proxy() {
    let registry = Registry::start(Setup::default());
    let proxy = Proxy::start(&registry.host, Some(PROXY_LOGIN));
    let lax = Options {
        tls_verify: Some(false),
        ..options()
    };
    let address = format!("http://me:pass%20word@{}", proxy.host);
    let options = through(&[("all_proxy", &address)], lax.clone());
    push_to(&format!("{NAME}:5000"), &small_image(), &options).unwrap();
    let origin = format!("http://{NAME}:5000/v2/");
    let seen = proxy.seen();
    // First it was tried whether the registry speaks HTTPS.
    assert_eq!(seen[0], format!("CONNECT {NAME}:5000"));
    let get = format!("GET {origin}");
    assert!(seen.iter().any(|seen| seen.starts_with(&get)), "{seen:?}");
    let puts = seen.iter().filter(|seen| seen.starts_with("PUT"));
    assert!(puts.clone().count() >= 3);
    assert!(puts.clone().all(|seen| seen.contains(&origin)), "{seen:?}");

    let address = format!("http://me:secret@{}", proxy.host);
    let options = through(&[("HTTP_PROXY", &address)], lax);
    let host = format!("{NAME}.invalid:5000");
    let (message, hint) = failure(push_to(&host, &small_image(), &options));
    assert!(
        message.contains("407") && !message.contains("secret"),
        "{message}"
    );
    assert!(hint.contains("USER:PASSWORD"), "{hint}");
}

#[test]
fn this_machine_is_reached_without_a_proxy() {
    let registry = Registry::start(Setup::default());
    let options = through(&[("ALL_PROXY", "127.0.0.1:1")], options());
    push_to(&registry.host, &small_image(), &options).unwrap();
}

// The command.

/// What `strata copy` says for an image of one layer. Its environment has a home, and helpers in it.
fn copy(home: &Path, host: &str, arguments: &[&str]) -> Output {
    let (mut command, _store) = copy_command(home, host);
    command.args(arguments).output().unwrap()
}

/// The command of that, and the store that the image needs.
fn copy_command(home: &Path, host: &str) -> (Command, FakeStore) {
    let mut store = FakeStore::new();
    let path = store.add("hello", &[Item::File("hello", "hello")], &[]);
    let mut request = store.image_request();
    request["deps"] = serde_json::json!([path]);
    let output = store.build(&request).unwrap();
    let image = store.locate(&output);
    let mut command = Command::new(env!("CARGO_BIN_EXE_strata"));
    command
        .arg("copy")
        .arg(image)
        .arg(format!("docker://{host}/name:tag"))
        .env("HOME", home)
        .env("XDG_RUNTIME_DIR", "/nonexistent")
        .env("PATH", format!("{}:/usr/bin:/bin", home.display()))
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("DOCKER_CONFIG")
        .env_remove("REGISTRY_AUTH_FILE")
        .env_remove("NETRC");
    (command, store)
}

/// A file in a home, with its directories.
fn write(home: &Path, name: &str, content: &str) {
    let path = home.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

/// Passwords come from helpers and netrc, and are in no argument of a process and in no message.
#[test]
fn passwords_stay_where_they_are() {
    let registry = Registry::start(Setup {
        password: true,
        ..Setup::default()
    });
    for source in ["credHelpers", "credsStore", ".netrc"] {
        let home = tempfile::tempdir().unwrap();
        let config = match source {
            "credHelpers" => format!(r#"{{"credHelpers":{{"{}":"test"}}}}"#, registry.host),
            "credsStore" => r#"{"credsStore":"test"}"#.to_owned(),
            _ => "{}".to_owned(),
        };
        write(home.path(), ".docker/config.json", &config);
        if source == ".netrc" {
            let entry = format!("machine 127.0.0.1 login {USERNAME} password {PASSWORD}");
            write(home.path(), ".netrc", &entry);
        }
        let helper = format!(
            r#"#!/bin/sh
            cat /proc/$$/cmdline /proc/$PPID/cmdline >"$HOME/arguments"
            [ "$(cat)" = {} ] && echo '{{"Username":"{USERNAME}","Secret":"{PASSWORD}"}}'"#,
            registry.host
        );
        write(home.path(), "docker-credential-test", &helper);
        run(Command::new("chmod")
            .arg("755")
            .arg(home.path().join("docker-credential-test")));
        let output = copy(home.path(), &registry.host, &[]);
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{source}: {said}");
        assert!(!said.contains(PASSWORD), "{source}: {said}");
        if source != ".netrc" {
            let arguments = std::fs::read_to_string(home.path().join("arguments")).unwrap();
            assert!(
                arguments.contains("docker-credential-test\0get\0"),
                "{arguments:?}"
            );
            assert!(!arguments.contains(PASSWORD), "{arguments:?}");
        }
    }
    let home = tempfile::tempdir().unwrap();
    write(
        home.path(),
        ".netrc",
        &format!("machine 127.0.0.1 login {USERNAME} password hunter2"),
    );
    let output = copy(home.path(), &registry.host, &["--retry-times=0"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains(".netrc") && !said.contains("hunter2"),
        "{said}"
    );
}

/// What takes time is said, unless nothing is to be said.
#[rstest]
#[case::aloud(&[], true)]
#[case::quietly(&["--quiet"], false)]
fn the_command_says_why_it_waits(#[case] flags: &[&str], #[case] is_said: bool) {
    let registry = FakeRegistry::start(|seen| {
        (seen.method == "GET" && seen.number == 1)
            .then(|| Fault::Answer(Reply::error(503, "UNAVAILABLE", "starting")))
    });
    let home = tempfile::tempdir().unwrap();
    let output = copy(home.path(), &registry.host, flags);
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        said.contains("UNAVAILABLE: starting; trying again in 1 s (2 of 6)"),
        is_said,
        "{said}"
    );
}

/// Ctrl-C while the registry keeps silent.
#[test]
fn the_command_can_be_interrupted_while_it_waits() {
    let registry = FakeRegistry::start(|seen| (seen.method == "PUT").then_some(Fault::Stall));
    let home = tempfile::tempdir().unwrap();
    let (mut command, _store) = copy_command(home.path(), &registry.host);
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    // The layer's and the config's.
    while registry.count("PUT") < 2 {
        assert_eq!(child.try_wait().unwrap(), None);
        std::thread::sleep(Duration::from_millis(10));
    }
    let start = Instant::now();
    run(Command::new("kill").args(["-INT", &child.id().to_string()]));
    assert_eq!(child.wait().unwrap().code(), Some(130));
    // The registry keeps silent for a minute.
    assert!(start.elapsed() < Duration::from_secs(20));
    assert_eq!(registry.open_uploads(), 0);
}

/// The directories of podman and Docker that are called like a registry.
#[test]
fn certificates_of_one_registry_are_found() {
    let registry = Registry::start(Setup {
        tls: Some(Certificate::Signed),
        wants_client: true,
        ..Setup::default()
    });
    let home = tempfile::tempdir().unwrap();
    let output = copy(home.path(), &registry.host, &["--retry-times=0"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("certificate"),
        "{said}"
    );
    let directory = home
        .path()
        .join(".config/containers/certs.d")
        .join(&registry.host);
    std::fs::create_dir_all(&directory).unwrap();
    let authority = registry.certificates().join("ca.crt");
    for file in registry.client().iter().chain([&authority]) {
        std::fs::copy(file, directory.join(file.file_name().unwrap())).unwrap();
    }
    let output = copy(home.path(), &registry.host, &["--dest-tls-verify=true"]);
    assert!(output.status.success(), "{output:?}");
}

/// A hint to set a variable that a stronger one hides would help nobody.
#[rstest]
#[case::signed(Certificate::Signed)]
#[case::authority(Certificate::Authority)]
fn hints_name_the_variable_that_counts(#[case] certificate: Certificate) {
    let registry = Registry::start(Setup {
        tls: Some(certificate),
        wants_client: true,
        ..Setup::default()
    });
    let home = tempfile::tempdir().unwrap();
    let other = registry.client()[0].clone();
    for (file, named) in [
        (&other, " NIX_SSL_CERT_FILE"),
        (&home.path().join("none"), " SSL_CERT_FILE"),
    ] {
        let (mut command, _store) = copy_command(home.path(), &registry.host);
        let output = command.env("NIX_SSL_CERT_FILE", file).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("file") && said.contains(named), "{said}");
    }
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
            "check the user and the password",
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
    let operation = format!("cannot log in to the registry {}: ", registry.host);
    assert!(message.starts_with(&operation), "{message}");
    assert!(!message.contains("secret"), "{message}");
    let seen = registry.seen();
    let shown = |seen: &&Seen| !seen.header("authorization").is_empty();
    assert_eq!(seen.iter().filter(shown).count(), 1, "{seen:?}");
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
    let revoked = AtomicBool::new(false);
    let registry = registry_with_tokens(move |seen| {
        let is_meant = seen.method == revoked_by && !seen.header("authorization").is_empty();
        is_meant && !revoked.swap(true, Ordering::Relaxed)
    });
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
    // For /v2/, which need not be open, a manifest and each blob: a token, and a fresh one.
    assert!(registry.seen().len() <= 14, "{:?}", registry.seen());
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
    // It was reached.
    let operation = format!("cannot log in to the registry {}: ", registry.host);
    assert!(message.starts_with(&operation), "{message}");
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

/// Row 9: an authorization server that redirects the POST of an identity token to another origin does not
/// bring it there, neither in a header nor in the body; on its own origin it does.
#[rstest]
fn identity_tokens_stay_with_one_origin(
    #[values(301, 302, 303, 307, 308)] status: u16,
    #[values(true, false)] is_elsewhere: bool,
) {
    let other =
        FakeRegistry::start(|_| Some(Fault::Answer(Reply::new(200).body("{\"token\":\"t\"}"))));
    let elsewhere = other.host.clone();
    let registry = FakeRegistry::start(move |seen| {
        let host = seen.header("host").to_owned();
        match seen.target.as_str() {
            "/token" => {
                let target = if is_elsewhere { &elsewhere } else { &host };
                let location = format!("http://{target}/moved");
                Some(Fault::Lie(Box::new(move |answer| {
                    *answer = Reply::new(status).header("Location", location);
                })))
            }
            "/moved" => Some(Fault::Lie(Box::new(|answer| {
                *answer = Reply::new(200).body("{\"token\":\"t\"}");
            }))),
            _ => (seen.header("authorization") != "Bearer t")
                .then(|| challenge(&format!("Bearer realm=\"http://{host}/token\""))),
        }
    });
    let options = Options {
        credentials: Some(Credentials::IdentityToken("secret".to_owned())),
        ..options()
    };
    let result = push_to(&registry.host, &small_image(), &options);
    assert!(other.seen().is_empty(), "{:?}", other.seen());
    assert_eq!(result.is_ok(), !is_elsewhere && matches!(status, 307 | 308));
}

/// Row 18: an authorization server elsewhere without TLS gets no password.
#[test]
fn passwords_do_not_leave_this_machine_without_tls() {
    let registry = FakeRegistry::start(|seen| {
        (seen.header("authorization").is_empty())
            .then(|| challenge("Bearer realm=\"http://192.0.2.1:1/token\""))
    });
    let (message, hint) = failure(push_to(
        &registry.host,
        &small_image(),
        &with_credentials("user:secret"),
    ));
    let wanted = "192.0.2.1 would get a password or a token without TLS";
    assert!(message.contains(wanted), "{message}");
    assert!(hint.contains("--dest-tls-verify=false"), "{hint}");
}

/// Who has no credentials gets a token without.
#[test]
fn tokens_can_be_for_everybody() {
    let registry = FakeRegistry::start(|seen| {
        let host = seen.header("host");
        (!seen.target.starts_with("/v2/token") && seen.header("authorization") != "Bearer t")
            .then(|| challenge(&format!("Bearer realm=\"http://{host}/v2/token\"")))
    });
    push_to(&registry.host, &small_image(), &options()).unwrap();
}

/// Row 2 of strangers' registries: `/v2/` wants a login, the repository none, or a token that everybody gets.
#[rstest]
fn a_repository_can_be_public_in_a_registry_that_is_not(
    #[values("", "t")] token: &'static str,
    #[values(true, false)] is_basic: bool,
    #[values(true, false)] is_anonymous: bool,
) {
    let registry = FakeRegistry::start(move |seen| {
        let host = seen.header("host");
        let is_right = match seen.target.as_str() {
            "/v2/" => false,
            target if target.starts_with("/v2/token") => true,
            _ => token.is_empty() || seen.header("authorization") == format!("Bearer {token}"),
        };
        let is_basic = is_basic && seen.target == "/v2/";
        let header = if is_basic {
            "Basic realm=\"x\"".to_owned()
        } else {
            format!("Bearer realm=\"http://{host}/v2/token\"")
        };
        (!is_right).then(|| challenge(&header))
    });
    let options = Options {
        anonymous: is_anonymous,
        ..options()
    };
    push_to(&registry.host, &small_image(), &options).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_strata"))
        .args(["pull", &format!("{}/name:tag", registry.host)])
        .arg(directory.path().join("pulled"))
        .env("HOME", directory.path())
        .env("XDG_RUNTIME_DIR", directory.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// A token of the registry's own is shown as it is (skopeo's `--dest-registry-token`).
#[test]
fn tokens_of_the_registry_are_shown() {
    let registry = FakeRegistry::start(|seen| {
        let host = seen.header("host");
        (seen.header("authorization") != "Bearer right")
            .then(|| challenge(&format!("Bearer realm=\"http://{host}/token\"")))
    });
    let with = |token: &str| Options {
        credentials: Some(Credentials::RegistryToken(token.to_owned())),
        ..options()
    };
    push_to(&registry.host, &small_image(), &with("right")).unwrap();
    let (message, _) = failure(push_to(&registry.host, &small_image(), &with("wrong")));
    assert!(
        message.contains("does not take the credentials from the command line"),
        "{message}"
    );
    assert!(!message.contains("wrong"), "{message}");
    assert!(
        registry
            .seen()
            .iter()
            .all(|seen| !seen.target.starts_with("/token"))
    );
}

// Waits.

/// A server that ignores `Expect` costs a second once for each connection, not for each blob.
#[test]
fn silence_before_a_body_is_remembered() {
    let registry = FakeRegistry::start(|seen| (seen.method == "PATCH").then_some(Fault::Deaf));
    let layer = |number: u8| MemoryLayer::new(vec![number; 5 << 20]);
    let image = image((0..8).map(layer).collect());
    push_to(&registry.host, &image, &options()).unwrap();
    let seen = registry.seen();
    let asked = seen
        .iter()
        .filter(|seen| seen.header("expect") == "100-continue");
    assert!(
        (1..=4).contains(&asked.clone().count()),
        "{}",
        asked.count()
    );
}

/// An answer that comes byte by byte ends at the time for an answer.
#[test]
fn slow_answers_are_cut() {
    let registry = FakeRegistry::start(|seen| (seen.method == "GET").then_some(Fault::Drip));
    let timeouts = Timeouts {
        response: Duration::from_millis(300),
        ..Timeouts::default()
    };
    let retry = Retry {
        tries: 1,
        ..options().retry
    };
    let start = Instant::now();
    let options = Options {
        timeouts,
        retry,
        ..options()
    };
    let (message, _) = failure(push_to(&registry.host, &small_image(), &options));
    assert!(message.contains("did not answer in time"), "{message}");
    assert!(start.elapsed() < Duration::from_secs(20));
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
    assert!(other.count("PUT") > 0);
    assert!(
        other
            .seen()
            .iter()
            .all(|seen| !seen.headers.contains_key("authorization"))
    );
}

/// A user who gives up once the registry has so many requests of a method, and was then asked so often.
struct GivesUp<'a> {
    registry: &'a FakeRegistry,
    method: &'static str,
    requests: usize,
    questions: AtomicUsize,
}

impl Cancel for GivesUp<'_> {
    fn check(&self) -> Result<()> {
        if self.registry.count(self.method) < self.requests {
            return Ok(());
        }
        let less = |left: usize| left.checked_sub(1);
        match self
            .questions
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
        {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::Interrupted),
        }
    }
}

/// Ctrl-C ends the wait for an answer, and what was begun is still cancelled.
#[rstest]
#[case::first("GET", 0)]
#[case::check("HEAD", 0)]
#[case::begin("POST", 0)]
#[case::send("PATCH", 1)]
#[case::end("PUT", 2)]
fn a_wait_can_be_interrupted(#[case] method: &'static str, #[case] cancelled: usize) {
    let registry = FakeRegistry::start(move |seen| (seen.method == method).then_some(Fault::Stall));
    let start = Instant::now();
    let reference = Reference::parse(&format!("{}/name:tag", registry.host)).unwrap();
    let gives_up = GivesUp {
        registry: &registry,
        method,
        requests: cancelled.max(1),
        questions: AtomicUsize::new(0),
    };
    let context = Context::silent().cancelled_by(&gives_up);
    let image = image(vec![large()]);
    let error = push(&image, &reference, &options(), &uncompressed(), context).unwrap_err();
    assert!(matches!(error, Error::Interrupted), "{error}");
    // The registry keeps silent for a minute.
    assert!(start.elapsed() < Duration::from_secs(10));
    let deleted = registry.count("DELETE");
    // What was nearly done may be among them.
    assert!((cancelled..=2 * cancelled).contains(&deleted), "{deleted}");
    assert_eq!(registry.open_uploads(), 0);
}

#[test]
fn a_pause_can_be_interrupted() {
    let registry = FakeRegistry::start(|seen| {
        (seen.method == "POST").then(|| Fault::Answer(Reply::new(429).header("Retry-After", "30")))
    });
    let start = Instant::now();
    let reference = Reference::parse(&format!("{}/name:tag", registry.host)).unwrap();
    let gives_up = GivesUp {
        registry: &registry,
        method: "POST",
        requests: 1,
        // By then the answer is there.
        questions: AtomicUsize::new(10),
    };
    let context = Context::silent().cancelled_by(&gives_up);
    let image = image(vec![]);
    let error = push(&image, &reference, &options(), &uncompressed(), context).unwrap_err();
    assert!(matches!(error, Error::Interrupted), "{error}");
    assert!(start.elapsed() < Duration::from_secs(10));
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
