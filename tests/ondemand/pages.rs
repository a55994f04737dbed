//! Pages, metrics, logins, TLS, and the configuration.

use std::process::Command;

use crate::serving::{Serving, write_files};
use strata_oci::Digest;
use strata_testing::program;
use strata_testing::registry::run;

#[test]
fn the_search_gives_the_command_to_pull() {
    let serving = Serving::start("");
    let page = serving.get("/?q=hello+git").text();
    assert!(page.contains("docker run"), "{page}");
    let found = serving.get("/?q=shell%20gnugre").text();
    assert!(
        found.contains("<a href=\"/?q=shell+gnugrep\">gnugrep</a>"),
        "{found}"
    );
    let hostile = serving.get("/?q=%3Cscript%3Ealert(1)%3C/script%3E");
    assert!(!hostile.text().contains("<script"), "{}", hostile.text());
    assert!(hostile.headers["content-security-policy"].starts_with("default-src 'none'"));
    assert_eq!(serving.get("/nothing").status, 404);
}

#[test]
fn the_status_page_has_builds_with_their_logs_and_layers() {
    let serving = Serving::start("");
    serving.manifest("fails");
    serving.manifest("hello");
    serving.manifest("shell/hello");
    let page = serving.get("/status").text();
    for expected in [
        "hello:latest",
        "shell/hello:latest",
        "fails:latest",
        "a reason",
        "<svg",
        "class=\"shared\"",
    ] {
        assert!(page.contains(expected), "{expected}: {page}");
    }
    let elsewhere = page.replace("http-equiv", "");
    assert!(
        !elsewhere.contains("http://")
            && !elsewhere.contains("https://")
            && !page.contains("<script")
    );
}

#[test]
fn watchers_get_counts_and_health() {
    let serving = Serving::start("");
    serving.manifest("hello");
    serving.manifest("hello");
    serving.manifest("nope");
    let metrics = serving.get("/metrics");
    assert!(metrics.headers["content-type"].contains("version=0.0.4"));
    for line in [
        "strata_registry_requests_total{about=\"manifest\",status=\"200\"} 2",
        "strata_registry_requests_total{about=\"manifest\",status=\"404\"} 1",
        "strata_registry_builds_total{outcome=\"built\"} 1",
        "strata_registry_remembered_total 1",
    ] {
        assert!(metrics.text().contains(line), "{line}: {}", metrics.text());
    }
    let health = serving.get("/healthz");
    assert_eq!((health.status, health.text().as_str()), (200, "ok\n"));
    std::fs::remove_dir_all(serving.state()).unwrap();
    assert_eq!(serving.get("/healthz").status, 503);
}

#[test]
fn who_has_no_token_has_to_log_in() {
    let directory = tempfile::tempdir().unwrap();
    let users = directory.path().join("users");
    let token = "a-long-token";
    std::fs::write(
        &users,
        format!("me:{}\n", Digest::of(token.as_bytes()).hex()),
    )
    .unwrap();
    let serving = Serving::start(&format!("login = \"{}\"", users.display()));
    for path in [
        "/v2/",
        "/v2/hello/manifests/latest",
        "/",
        "/status",
        "/metrics",
    ] {
        let refused = serving.get(path);
        assert_eq!(
            (refused.status, refused.error().0.as_str()),
            (401, "UNAUTHORIZED"),
            "{path}"
        );
        assert!(refused.headers["www-authenticate"].starts_with("Basic "));
    }
    assert_eq!(serving.get("/healthz").status, 200);
    let inspect = |credentials: &str| {
        let mut skopeo = Command::new("skopeo");
        skopeo.args(["inspect", "--tls-verify=false", "--creds", credentials]);
        skopeo
            .arg(format!("docker://{}/hello", serving.host))
            .output()
            .unwrap()
    };
    assert!(inspect(&format!("me:{token}")).status.success());
    assert!(!inspect("me:wrong").status.success());
}

#[test]
fn certificates_make_it_speak_tls() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).display().to_string();
    let (key, certificate) = (at("key.pem"), at("ca.crt"));
    run(Command::new("openssl").args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost,IP:127.0.0.1",
        "-keyout",
        &key,
        "-out",
        &certificate,
    ]));
    let settings = format!("tls = {{ certificate = \"{certificate}\", key = \"{key}\" }}");
    let serving = Serving::start(&settings);
    let layout = at("layout");
    run(Command::new("skopeo").args([
        "copy",
        "--quiet",
        "--src-cert-dir",
        &directory.path().display().to_string(),
        &format!("docker://{}/shell/hello", serving.host),
        &format!("dir:{layout}"),
    ]));
    assert!(std::path::Path::new(&layout).join("manifest.json").exists());
}

#[test]
fn a_configuration_is_checked_before_it_is_used() {
    let directory = tempfile::tempdir().unwrap();
    let check = |config: &std::path::Path| {
        let mut command = Command::new(program("strata"));
        command
            .args(["registry", "--check-config", "--config"])
            .arg(config);
        command.output().unwrap()
    };
    let config = write_files(directory.path(), "");
    let good = check(&config);
    assert!(
        good.status.success(),
        "{}",
        String::from_utf8_lossy(&good.stderr)
    );
    let text = std::fs::read_to_string(&config).unwrap();
    for (wrong, expected) in [
        ("limits.builds = -1", "invalid value"),
        ("nothing = 1", "unknown field"),
        ("login = \"/nowhere\"", "/nowhere"),
    ] {
        std::fs::write(&config, format!("{wrong}\n{text}")).unwrap();
        let refused = check(&config);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{wrong}: {said}");
        assert!(said.contains(expected), "{wrong}: {said}");
    }
}
