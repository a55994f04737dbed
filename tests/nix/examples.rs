//! Every example is built, run in podman, and says what it should.

use strata_testing as support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::engines::{self, Engine as _};
use support::nix::{ROOT, build, build_all, evaluate, name_of, store_paths, strata};
use support::oci::Layout;
use support::registry::run;

/// How an example is run.
enum Run {
    /// As it is; it says these lines among others.
    Says(&'static [&'static str]),
    /// With another command.
    Command(&'static [&'static str], &'static [&'static str]),
    /// As it is; it says what is in this file of the store path with this name.
    Repeats(&'static str, &'static str),
    /// It is a server: what is found at this address has these lines.
    Serves(&'static str, &'static [&'static str]),
}

/// What is asked of an image with Nix. `tests/nix/image.rs` asks for more.
const NIX: &str = r"
    id -u
    stat -c %u /nix/store
    nix-store --verify --check-contents && echo verified
    nix-store --query --requisites /nix/var/nix/profiles/default | cut -d - -f 2
";

/// Each example, and the example of nix2container that it is the counterpart of.
const EXAMPLES: [(&str, Option<&str>, Run); 22] = [
    (
        "bash",
        Some("bash.nix"),
        Run::Command(&["bash", "-c", "id -u; ls /"], &["0", "bin", "nix"]),
    ),
    ("basic", Some("basic.nix"), Run::Says(&["Hello, world!"])),
    // CAP_NET_BIND_SERVICE is bit 10.
    (
        "capabilities",
        Some("capabilities.nix"),
        Run::Command(
            &[
                "/bin/busybox",
                "grep",
                "-E",
                "^(Uid|CapEff)",
                "/proc/self/status",
            ],
            &["Uid: 1000 1000 1000 1000", "CapEff: 0000000000000400"],
        ),
    ),
    (
        "created",
        Some("created.nix"),
        Run::Says(&["Hello, world!"]),
    ),
    (
        "files",
        None,
        Run::Says(&[
            "750 1000:1000 2 /var/lib/app",
            "644 0:0 1 /etc/app.conf",
            "4755 0:0 2 /bin/whoami",
            "4755 0:0 2 /bin/logname",
            "777 0:0 1 /bin/reader",
            "666 0:0 1 /srv/null",
        ]),
    ),
    ("fleet", None, Run::Says(&["I serve."])),
    (
        "fromName",
        None,
        Run::Command(&["hello"], &["Hello, world!"]),
    ),
    (
        "hello",
        Some("hello.nix"),
        Run::Says(&[
            "Hello, world!",
            "And hello to you. What are you made of?",
            "Two layers: what I say, and what I need to say it.",
        ]),
    ),
    (
        "layered",
        Some("layered.nix"),
        Run::Says(&["Hello, world!"]),
    ),
    (
        "metadata",
        Some("metadata.nix"),
        Run::Says(&["Hello, world!"]),
    ),
    ("nested", Some("nested.nix"), Run::Says(&["Hello, world!"])),
    (
        "nix",
        Some("nix.nix"),
        Run::Command(&["bash", "-c", NIX], &["0", "verified", "hello"]),
    ),
    (
        "nixUser",
        Some("nix-user.nix"),
        Run::Command(&["bash", "-c", NIX], &["1000", "verified", "coreutils"]),
    ),
    (
        "nonReproducible",
        Some("non-reproducible.nix"),
        Run::Repeats("date", "date.txt"),
    ),
    (
        "openbar",
        Some("openbar.nix"),
        Run::Says(&["drwxrwxrwx 2 0 0 4096 Jan 1 1970 tmp"]),
    ),
    (
        "ownership",
        Some("ownership.nix"),
        Run::Says(&[
            "-r--r--r-- 1 1001 1002 0 Jan 1 1970 alice.txt",
            "-r--r--r-- 1 0 0 0 Jan 1 1970 root.txt",
        ]),
    ),
    (
        "passthru",
        Some("passthru.nix"),
        Run::Says(&["Hello, world!"]),
    ),
    (
        "perms",
        Some("perms.nix"),
        Run::Says(&[
            "-rwxrwxrwx 1 0 0 0 Jan 1 1970 open.txt",
            "-rw------- 1 0 0 0 Jan 1 1970 secret.txt",
        ]),
    ),
    ("platforms", None, Run::Says(&["Hello, world!"])),
    // shadow.nix and shadow-tmp.nix of nix2container's history.
    (
        "users",
        Some("shadow-tmp.nix"),
        Run::Says(&["somebody", "/home/somebody:", "/tmp:"]),
    ),
    (
        "webApp",
        Some("uwsgi/"),
        Run::Serves(
            "http://127.0.0.1:9090/cgi-bin/hello?Strata",
            &["Hello, Strata!"],
        ),
    ),
    (
        "webServer",
        Some("nginx.nix"),
        Run::Serves(
            "http://127.0.0.1:8080/",
            &["<h1>Hello from a store path</h1>"],
        ),
    ),
];

/// The examples of nix2container that have no counterpart yet, and why.
const NOT_YET: [(&str, &str); 5] = [
    ("from-image.nix", "fetches an image from a registry"),
    (
        "from-image-manifest.nix",
        "fetches an image from a registry",
    ),
    (
        "from-image-config-inherit.nix",
        "fetches an image from a registry",
    ),
    (
        "from-image-config-override.nix",
        "fetches an image from a registry",
    ),
    ("get-manifest.nix", "fetches a manifest from a registry"),
];

struct Example {
    image: PathBuf,
    reference: String,
}

/// All of them, built.
fn examples() -> &'static BTreeMap<String, Example> {
    static EXAMPLES: OnceLock<BTreeMap<String, Example>> = OnceLock::new();
    EXAMPLES.get_or_init(|| {
        let examples = format!("import {ROOT}/examples {{ inherit pkgs strata; }}");
        let all = build_all(&examples);
        let list = evaluate(&format!(
            "builtins.toJSON (builtins.mapAttrs (_: image: {{
               path = builtins.unsafeDiscardStringContext image.outPath;
               reference = image.imageRefUnsafe;
             }}) ({examples}))"
        ));
        let list: BTreeMap<String, Value> = serde_json::from_str(&list).unwrap();
        assert_eq!(all.len(), list.len());
        let example = |value: &Value| Example {
            image: PathBuf::from(value["path"].as_str().unwrap()),
            reference: value["reference"].as_str().unwrap().to_owned(),
        };
        list.iter()
            .map(|(name, value)| (name.clone(), example(value)))
            .collect()
    })
}

#[test]
fn every_example_is_in_the_list() {
    let listed: Vec<&str> = EXAMPLES.iter().map(|(name, ..)| *name).collect();
    let there: Vec<&String> = examples().keys().collect();
    assert_eq!(there, listed);
    let counterparts = EXAMPLES.iter().filter_map(|(_, of, _)| *of);
    for of in counterparts {
        assert!(NOT_YET.iter().all(|(name, _)| *name != of), "{of}");
    }
}

#[test]
fn every_example_runs() {
    // The engine is not the same from one moment to the next only with regard to time.
    let (one, other) = EXAMPLES.split_at(EXAMPLES.len() / 2);
    std::thread::scope(|scope| {
        for half in [one, other] {
            scope.spawn(move || half.iter().for_each(|(name, _, how)| runs(name, how)));
        }
    });
}

fn runs(name: &str, how: &Run) {
    let Example { image, reference } = &examples()[name];
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("archive.tar");
    let destination = format!("docker-archive:{}", archive.display());
    run(strata()
        .args(["copy", "--quiet"])
        .arg(image)
        .arg(destination));
    let podman = engines::podman();
    podman.load(&archive);
    let (said, expected) = match how {
        Run::Says(lines) => (podman.run(reference, &[]), lines),
        Run::Command(command, lines) => (podman.run(reference, command), lines),
        Run::Serves(address, lines) => (fetch(image, reference, address), lines),
        Run::Repeats(path, file) => {
            let file = Path::new(&store_path(image, path)).join(file);
            assert_eq!(
                podman.run(reference, &[]),
                std::fs::read_to_string(file).unwrap(),
                "{name}"
            );
            return;
        }
    };
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let said: Vec<String> = said.lines().map(words).collect();
    for line in *expected {
        assert!(
            said.iter().any(|it| it == line),
            "{name}: {line:?} is not in {said:#?}"
        );
    }
}

/// The store path of an image whose name begins so.
fn store_path(image: &Path, name: &str) -> String {
    let mut paths = store_paths(image).into_keys();
    paths.find(|path| name_of(path).starts_with(name)).unwrap()
}

/// Starts a server and asks it for something.
fn fetch(image: &Path, reference: &str, address: &str) -> String {
    let podman = engines::podman();
    let container = podman.start(reference);
    let paths = store_paths(image);
    let busybox = paths
        .keys()
        .find(|path| name_of(path).starts_with("busybox-"))
        .unwrap();
    let wget = format!("{busybox}/bin/wget");
    let end = Instant::now() + Duration::from_secs(10);
    let answer = loop {
        let fetch = ["exec", &container, &wget, "-q", "-O", "-", address];
        let output = podman.command(&fetch).output().unwrap();
        if output.status.success() || Instant::now() > end {
            break output;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    run(&mut podman.command(&["rm", "--force", "--time", "0", &container]));
    let error = String::from_utf8_lossy(&answer.stderr);
    assert!(answer.status.success(), "{reference}: {error}");
    String::from_utf8(answer.stdout).unwrap()
}

/// What the examples show that is not to be seen from inside.
#[test]
fn what_engines_do_not_show() {
    let layout = |name: &str| Layout::read(&examples()[name].image);
    let layers = |name: &str| layout(name).layers().len();

    assert_eq!(
        layout("basic").config["created"],
        json!("1970-01-01T00:00:01Z")
    );
    assert_eq!(
        layout("created").config["created"],
        json!("2026-02-03T04:05:06Z")
    );

    assert_eq!(
        (layers("basic"), layers("layered"), layers("nested")),
        (2, 3, 3)
    );

    let metadata = layout("metadata");
    assert_eq!(
        metadata.config["history"][0],
        json!({
            "created": "1970-01-01T00:00:01Z",
            "created_by": "examples/metadata.nix",
            "author": "The authors of Strata",
            "comment": "GNU hello and its C library"
        })
    );
    let annotations = &metadata.manifest["annotations"];
    assert_eq!(annotations["com.example.team"], json!("greetings"));
    assert_eq!(
        annotations["org.opencontainers.image.title"],
        json!("Hello")
    );
    assert_eq!(
        annotations["org.opencontainers.image.licenses"],
        json!("GPL-3.0-or-later")
    );

    let greet = format!("(import {ROOT}/examples {{ inherit pkgs strata; }}).passthru.greet");
    let greet = build(&greet).join("bin/greet");
    let said = run(&mut std::process::Command::new(greet));
    assert_eq!(said, "Hello from a script of the image\n");
}
