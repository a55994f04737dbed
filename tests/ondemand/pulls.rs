//! What is pulled runs, is the same for everybody and at every time, and is built once.

use std::collections::BTreeSet;
use std::process::Command;
use std::thread;

use crate::serving::{Answer, Serving};
use serde_json::Value;
use strata_oci::Digest;
use strata_testing::engines::{self, Engine as _};
use strata_testing::nix::{ROOT, offline_nixpkgs_with_nix};
use strata_testing::registry::run;

/// All blobs that a manifest names, fetched and compared with their digests.
fn blobs(serving: &Serving, name: &str, manifest: &Answer) -> BTreeSet<String> {
    let manifest = manifest.json();
    let layers = manifest["layers"].as_array().unwrap().iter();
    let digests = layers
        .chain([&manifest["config"]])
        .map(|it| it["digest"].as_str().unwrap());
    let checked = digests.map(|digest| {
        let blob = serving.get(&format!("/v2/{name}/blobs/{digest}"));
        assert_eq!(blob.status, 200, "{}", blob.text());
        assert_eq!(Digest::of(&blob.body).to_string(), digest);
        digest.to_owned()
    });
    checked.collect()
}

fn config(serving: &Serving, name: &str, manifest: &Value) -> Value {
    let digest = manifest["config"]["digest"].as_str().unwrap();
    serving.get(&format!("/v2/{name}/blobs/{digest}")).json()
}

#[test]
fn engines_pull_and_run_what_names_list() {
    let serving = Serving::start("");
    let podman = engines::podman();
    let docker = engines::docker();
    let containerd = engines::containerd();
    for (name, command, expected) in [
        ("hello", &["hello"] as &[&str], "Hello, world!"),
        (
            "shell/hello/git",
            &["bash", "-c", "git --version; hello"],
            "git version",
        ),
        ("coreutils/7zz", &["ls", "/usr/bin/env"], "/usr/bin/env"),
        ("bashinteractive/python3packages.flask", &["flask"], "Flask"),
        ("gnugrep/coreutils", &["stat", "-c", "%a", "/tmp"], "1777"),
    ] {
        let image = format!("{}/{name}", serving.host);
        run(&mut podman.command(&["pull", "--quiet", "--tls-verify=false", &image]));
        let said = podman.run(&image, command);
        assert!(said.contains(expected), "podman: {name}: {said}");
        run(&mut docker.command(&["pull", "--quiet", &image]));
        let said = docker.run(&image, command);
        assert!(said.contains(expected), "docker: {name}: {said}");
        let image = format!("{image}:latest");
        run(&mut containerd.command(&["images", "pull", "--plain-http", &image]));
        let said = containerd.run(&image, command);
        assert!(said.contains(expected), "containerd: {name}: {said}");
        let inspect = [
            "inspect",
            "--tls-verify=false",
            &format!("docker://{image}"),
        ];
        run(Command::new("skopeo").args(inspect));
    }
    let names: Vec<String> = serving.builds().into_iter().map(|(name, _)| name).collect();
    let distinct: BTreeSet<&String> = names.iter().collect();
    assert_eq!(
        (names.len(), distinct.len()),
        (5, 5),
        "each once: {names:?}"
    );
}

/// X2 of nixery: after a restart layers were in another order. Nothing is built or compressed again, either.
#[test]
fn nixery_x2_after_a_restart_nothing_is_made_again() {
    let serving = Serving::start("");
    let before = serving.manifest("shell/hello");
    assert_eq!(before.status, 200, "{}", before.text());
    let all = blobs(&serving, "shell/hello", &before);
    let directory = serving.directory();
    assert_eq!(serving.stop(), Some(0));

    // Without Nix, nothing can be built.
    let serving = Serving::start_with(directory, "", |command| {
        command.env("NIX_REMOTE", "unix:///nowhere");
    });
    let after = serving.manifest("shell/hello");
    assert_eq!(after.status, 200, "{}", after.text());
    assert_eq!(after.body, before.body);
    assert_eq!(blobs(&serving, "shell/hello", &after), all);
    assert!(serving.builds().is_empty());
    let by_digest = format!("/v2/any/manifests/{}", Digest::of(&before.body));
    assert_eq!(serving.get(&by_digest).body, before.body);
}

/// X3 and X4 of nixery: by chance, or by the order of names, the same packages had other layers.
#[test]
fn nixery_x3_and_x4_the_same_packages_are_the_same_bytes_everywhere() {
    let (one, other) = (Serving::start(""), Serving::start(""));
    let manifest = one.manifest("shell/git/hello/gnugrep").body;
    assert_eq!(one.manifest("gnugrep/hello/hello/git").status, 200);
    assert_eq!(other.manifest("shell/gnugrep/hello/git").body, manifest);
    assert_eq!(one.builds().len(), 2);
}

/// X1 of nixery: images of both architectures had the same key.
#[test]
fn nixery_x1_architectures_are_told_apart() {
    let serving = Serving::start("");
    let architecture = |name: &str| {
        let manifest = serving.manifest(name);
        assert_eq!(manifest.status, 200, "{}", manifest.text());
        config(&serving, name, &manifest.json())["architecture"].clone()
    };
    assert_eq!(architecture("arm64/hello"), "arm64");
    assert_eq!(architecture("hello"), "amd64");
    assert_eq!(architecture("arm64/hello"), "arm64");
}

#[test]
fn several_platforms_are_an_index() {
    let serving = Serving::start("");
    let index = serving.manifest("both/hello").json();
    assert_eq!(
        index["mediaType"],
        "application/vnd.oci.image.index.v1+json"
    );
    let platforms = index["manifests"].as_array().unwrap().iter();
    let platforms: Vec<&Value> = platforms
        .map(|it| &it["platform"]["architecture"])
        .collect();
    assert_eq!(platforms, ["amd64", "arm64"]);
    let podman = engines::podman();
    let image = format!("{}/both/hello", serving.host);
    run(&mut podman.command(&["pull", "--quiet", "--tls-verify=false", &image]));
    assert!(podman.run(&image, &["hello"]).contains("Hello, world!"));
    let single = serving.manifest("both/arm64/hello").json();
    assert_eq!(
        single["mediaType"],
        "application/vnd.oci.image.manifest.v1+json"
    );
}

#[test]
fn many_clients_wait_for_one_build() {
    let serving = Serving::start("");
    let bodies: BTreeSet<Vec<u8>> = thread::scope(|scope| {
        let ask = || serving.manifest("word").body;
        let asking: Vec<_> = (0..20).map(|_| scope.spawn(ask)).collect();
        asking.into_iter().map(|it| it.join().unwrap()).collect()
    });
    assert_eq!(bodies.len(), 1);
    assert_eq!(
        serving.builds(),
        [("word:latest".to_owned(), "built".to_owned())]
    );
}

#[test]
fn answers_are_those_of_a_registry() {
    let serving = Serving::start("");
    let manifest = serving.manifest("hello");
    let digest = Digest::of(&manifest.body).to_string();
    assert_eq!(manifest.headers["docker-content-digest"], digest);
    assert_eq!(
        manifest.headers["content-type"],
        "application/vnd.oci.image.manifest.v1+json"
    );
    let head = serving.ask("HEAD", "/v2/hello/manifests/latest", &[]);
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(
        head.headers["content-length"],
        manifest.body.len().to_string()
    );

    let layer = manifest.json()["layers"][0]["digest"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/v2/hello/blobs/{layer}");
    let whole = serving.get(&path).body;
    let part = serving.ask("GET", &path, &[("Range", "bytes=3-9")]);
    assert_eq!((part.status, &part.body[..]), (206, &whole[3..10]));
    let parts = serving.ask("GET", &path, &[("Range", "bytes=0-1,5-6")]);
    assert!(parts.headers["content-type"].starts_with("multipart/byteranges"));
    let same = serving.ask("GET", &path, &[("If-None-Match", &format!("\"{layer}\""))]);
    assert_eq!(same.status, 304);

    let tags = serving.get("/v2/hello/tags/list").json();
    assert_eq!(tags["tags"], serde_json::json!(["latest"]));
    assert_eq!(serving.get("/v2/").status, 200);
    let referrers = serving.get(&format!("/v2/hello/referrers/{digest}")).json();
    assert_eq!(referrers["manifests"], serde_json::json!([]));
    for (method, path) in [
        ("POST", "/v2/hello/blobs/uploads/"),
        ("PUT", "/v2/hello/manifests/latest"),
        ("DELETE", "/v2/hello/manifests/latest"),
    ] {
        let refused = serving.ask(method, path, &[]);
        assert_eq!(
            (refused.status, refused.error().0.as_str()),
            (405, "UNSUPPORTED")
        );
    }
}

/// What is not kept is made again while it is sent, for all who ask.
#[test]
fn blobs_that_went_are_made_again() {
    let serving = Serving::start("");
    let manifest = serving.manifest("hello");
    let all = blobs(&serving, "hello", &manifest);
    let kept = serving.state().join("blobs");
    for entry in std::fs::read_dir(&kept).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(blobs(&serving, "hello", &manifest), all));
        }
    });
    let count = || std::fs::read_dir(&kept).unwrap().count();
    while count() < all.len() - 1 {
        thread::yield_now();
    }
    assert_eq!(serving.builds().len(), 1);
}

#[test]
fn layers_are_compressed_as_it_is_configured() {
    for (compression, media_type) in [
        ("zstd", "application/vnd.oci.image.layer.v1.tar+zstd"),
        ("none", "application/vnd.oci.image.layer.v1.tar"),
    ] {
        let serving = Serving::start(&format!("compression = \"{compression}\""));
        let manifest = serving.manifest("hello");
        assert_eq!(manifest.json()["layers"][0]["mediaType"], media_type);
        blobs(&serving, "hello", &manifest);
    }
}

#[test]
fn images_of_flakes_have_names_of_their_own() {
    let directory = tempfile::tempdir().unwrap();
    let flake = format!(
        r#"{{
          inputs.strata.url = "git+file://{ROOT}";
          inputs.strata.inputs.nixpkgs.url = "path:{}";
          outputs = {{ strata, ... }}: {{
            packages.x86_64-linux.image = strata.lib.x86_64-linux.fromName {{ name = "hello"; }};
          }};
        }}"#,
        offline_nixpkgs_with_nix().display()
    );
    std::fs::create_dir(directory.path().join("flake")).unwrap();
    std::fs::write(directory.path().join("flake/flake.nix"), flake).unwrap();
    let path = directory.path().join("flake");
    let settings = format!("images.\"team/app\" = \"path:{}#image\"", path.display());
    let serving = Serving::start(&settings);
    let manifest = serving.manifest("team/app");
    assert_eq!(manifest.status, 200, "{}", manifest.text());
    blobs(&serving, "team/app", &manifest);
    let names = serving.get("/v2/_catalog").json();
    assert_eq!(names["repositories"], serde_json::json!(["team/app"]));
}
