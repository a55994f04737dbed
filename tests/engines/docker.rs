//! Copies to Docker engines: a real one, and one in this process for what goes wrong.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use strata_testing as support;

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

use crate::fake_docker::{FakeDocker, FakeImage, Fault, Partial, Store, failure, refusal};
use crate::socket_proxy::SocketProxy;
use crate::speaker::{Speakers, strata};
use rstest::rstest;
use serde_json::json;
use strata_destination as destination;
use strata_engine::docker;
use strata_engine::docker::Options;
use strata_error::{Error, Result};
use strata_image::Image;
use strata_oci::{Descriptor, Digest};
use strata_progress::{Cancel, Context, Outcome, Progress};
use support::engines::{Docker, Engine as _};
use support::fake_registry::{Reply, Seen};
use support::fake_store::{FakeStore, Item};
use support::memory_image::{self, MemoryLayer};
use support::registry::run;
use tempfile::TempDir;

const MEBIBYTE: u64 = 1 << 20;

/// Copies as `strata copy IMAGE docker-daemon:NAME` does.
fn copy_with(host: &str, image: &Image, name: &str, context: Context<'_>) -> Result<()> {
    let destination = destination::parse(&format!("docker-daemon:{name}"))?;
    let options = Options {
        host: Some(host.to_owned()),
    };
    docker::copy(image, &destination.copy_name(None)?, &options, context)
}

fn copy(host: &str, image: &Image, name: &str) -> Result<()> {
    copy_with(host, image, name, Context::silent())
}

/// Who notes how it ended for each blob, and stops the copy when it is told to.
#[derive(Default)]
struct Watcher {
    outcomes: Mutex<BTreeMap<Digest, Vec<Outcome>>>,
    stop: AtomicBool,
    /// Stops after so many bytes.
    stop_after: Option<u64>,
    sent: AtomicU64,
}

impl Watcher {
    fn context(&self) -> Context<'_> {
        Context {
            progress: self,
            cancel: self,
        }
    }

    /// The layers' outcomes, lowest first.
    fn of(&self, image: &Image) -> Vec<Vec<Outcome>> {
        let outcomes = self.outcomes.lock().unwrap();
        let layers = image.layers.iter().map(|layer| layer.descriptor().digest);
        layers
            .map(|digest| outcomes.get(&digest).cloned().unwrap_or_default())
            .collect()
    }
}

impl Progress for Watcher {
    fn advance(&self, _: &Descriptor, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::SeqCst);
    }

    fn finish(&self, blob: &Descriptor, outcome: Outcome) {
        let mut outcomes = self.outcomes.lock().unwrap();
        outcomes.entry(blob.digest).or_default().push(outcome);
    }
}

impl Cancel for Watcher {
    fn check(&self) -> Result<()> {
        let sent = self.sent.load(Ordering::SeqCst);
        let enough = self.stop_after.is_some_and(|most| sent > most);
        if enough || self.stop.load(Ordering::SeqCst) {
            return Err(Error::Interrupted);
        }
        Ok(())
    }
}

const COPIED: [Outcome; 1] = [Outcome::Copied];
const PRESENT: [Outcome; 1] = [Outcome::Present];

/// A layer with so many mebibytes of a letter.
fn large(letter: u8, mebibytes: u64) -> MemoryLayer {
    MemoryLayer::programs(&[(
        "large",
        &vec![letter; usize::try_from(mebibytes * MEBIBYTE).unwrap()],
    )])
}

/// An image that says `word` when it runs; `middle` tells its middle layer from others.
fn speaker(middle: u8, word: &str) -> Image {
    let busybox = fs::read("/bin/busybox").unwrap();
    memory_image::image(vec![
        MemoryLayer::programs(&[("bin/busybox", &busybox)]),
        large(middle, 3),
        MemoryLayer::programs(&[("word", word.as_bytes())]),
    ])
}

const SAY: [&str; 3] = ["/bin/busybox", "cat", "/word"];

/// An image of layers of so many mebibytes, for engines that do not look into them.
fn image(sizes: &[(u8, u64)]) -> Image {
    memory_image::image(
        sizes
            .iter()
            .map(|(letter, size)| large(*letter, *size))
            .collect(),
    )
}

/// The digests of the layers.
fn layers(image: &Image) -> Vec<String> {
    image
        .layers
        .iter()
        .map(|layer| layer.diff_id().to_string())
        .collect()
}

/// Another image of the engine, with these layers.
fn other(layers: &[String]) -> FakeImage {
    FakeImage {
        id: Digest::of(layers.concat().as_bytes()).to_string(),
        layers: layers.to_vec(),
        names: ["docker.io/library/other:1".to_owned()].into(),
        is_whole: true,
    }
}

/// The real dockerd, which also listens on TCP for those who have its certificates.
struct Real {
    docker: Docker,
    /// `127.0.0.1:PORT`.
    address: String,
    /// With `ca.pem`, `cert.pem` and `key.pem`.
    certificates: PathBuf,
}

fn real() -> &'static Real {
    static REAL: OnceLock<Real> = OnceLock::new();
    REAL.get_or_init(|| {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let address = port.to_string();
        // dockerd has read them before the directory goes.
        let server = tempfile::tempdir().unwrap();
        let client = client_certificates();
        let at = |name: &str| server.path().join(name).display().to_string();
        sign(&client, &at("cert.pem"), &at("key.pem"));
        let authority = client.join("ca.pem").display().to_string();
        let docker = Docker::start(&[
            "--host",
            &format!("tcp://{address}"),
            "--tlsverify",
            "--tlscacert",
            &authority,
            "--tlscert",
            &at("cert.pem"),
            "--tlskey",
            &at("key.pem"),
        ]);
        Real {
            docker,
            address,
            certificates: client,
        }
    })
}

impl Real {
    /// A socket where bytes are counted, and its address.
    fn counted(&self) -> (SocketProxy, String) {
        let socket = self.docker.host().trim_start_matches("unix://");
        let proxy = SocketProxy::start(Path::new(socket));
        let host = format!("unix://{}", proxy.path().display());
        (proxy, host)
    }

    fn id(&self, name: &str) -> String {
        let inspect = ["image", "inspect", "--format", "{{.Id}}", name];
        run(&mut self.docker.command(&inspect)).trim().to_owned()
    }
}

/// An authority and a certificate for us, in a directory that goes with the real dockerd.
fn client_certificates() -> PathBuf {
    static DIRECTORY: OnceLock<support::keeper::Keeper> = OnceLock::new();
    let keeper = DIRECTORY.get_or_init(support::keeper::Keeper::directory);
    let directory = keeper.path().to_owned();
    let at = |name: &str| directory.join(name).display().to_string();
    run(Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
        ])
        .args(["-days", "2", "-subj", "/CN=authority"])
        .args(["-keyout", &at("ca-key.pem"), "-out", &at("ca.pem")]));
    sign(&directory, &at("cert.pem"), &at("key.pem"));
    directory
}

/// A certificate by the authority in a directory.
fn sign(authority: &Path, certificate: &str, key: &str) {
    run(Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
        ])
        .args([
            "-days",
            "2",
            "-subj",
            "/CN=test",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
        ])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-CA")
        .arg(authority.join("ca.pem"))
        .arg("-CAkey")
        .arg(authority.join("ca-key.pem"))
        .args(["-keyout", key, "-out", certificate]));
}

/// `docker load` and `skopeo copy` send everything, however little changed:
/// <https://github.com/containers/skopeo/issues/2107>,
/// <https://github.com/containers/skopeo/issues/1773>,
/// <https://github.com/bazel-contrib/rules_oci/issues/454>.
#[test]
fn skopeo_2107_1773_rules_oci_454_only_what_changed_is_sent() {
    let real = real();
    let (proxy, host) = real.counted();
    let sent = |image: &Image, word: &str| {
        let watcher = Watcher::default();
        copy_with(&host, image, "changes:v1", watcher.context()).unwrap();
        assert_eq!(real.docker.run("changes:v1", &SAY), word);
        assert_eq!(
            real.id("changes:v1"),
            image.manifest.config.digest.to_string()
        );
        (watcher.of(image), proxy.sent())
    };
    let (outcomes, bytes) = sent(&speaker(b'a', "one"), "one");
    assert_eq!(outcomes[1..], [COPIED, COPIED]);
    assert!(bytes > 3 * MEBIBYTE, "{bytes}");
    // The layer on top: requests, documents, and 10 KiB of tar.
    let (outcomes, bytes) = sent(&speaker(b'a', "two"), "two");
    assert_eq!(outcomes, [PRESENT, PRESENT, COPIED]);
    assert!(bytes < 48 << 10, "{bytes}");
    // The one below it: the upper one is the same, and on another stack.
    let (outcomes, bytes) = sent(&speaker(b'b', "two"), "two");
    assert_eq!(outcomes, [PRESENT, COPIED, COPIED]);
    assert!(
        (3 * MEBIBYTE..3 * MEBIBYTE + (64 << 10)).contains(&bytes),
        "{bytes}"
    );
    // Back: nothing, not even an archive.
    let (outcomes, bytes) = sent(&speaker(b'a', "one"), "one");
    assert_eq!(outcomes, [PRESENT, PRESENT, PRESENT]);
    assert!(bytes < 8 << 10, "{bytes}");
}

#[test]
fn an_image_that_is_there_gets_another_name() {
    let real = real();
    let image = speaker(b'n', "named");
    copy(real.docker.host(), &image, "named:v1").unwrap();
    let (proxy, host) = real.counted();
    copy(&host, &image, "h.x:5000/other/named:v2").unwrap();
    assert!(proxy.sent() < 8 << 10);
    assert_eq!(real.id("h.x:5000/other/named:v2"), real.id("named:v1"));
}

/// A blob below the shared layers and above them.
#[test]
fn a_layer_can_be_there_twice() {
    let real = real();
    let busybox = fs::read("/bin/busybox").unwrap();
    let image = |word: &str| {
        let twice = || MemoryLayer::programs(&[("twice", &vec![b't'; 2 << 20])]);
        memory_image::image(vec![
            MemoryLayer::programs(&[("bin/busybox", &busybox)]),
            twice(),
            MemoryLayer::programs(&[("word", word.as_bytes())]),
            twice(),
        ])
    };
    for word in ["one", "two"] {
        let (image, watcher) = (image(word), Watcher::default());
        copy_with(real.docker.host(), &image, "twice:v1", watcher.context()).unwrap();
        assert_eq!(real.docker.run("twice:v1", &SAY), word);
        // Sent again, because the upper one is on another stack.
        assert_eq!(watcher.of(&image)[1..], [COPIED, COPIED, COPIED]);
    }
}

#[test]
fn what_the_engine_refuses_is_said_and_nothing_stays() {
    let real = real();
    let broken = memory_image::image(vec![
        large(b'r', 2),
        MemoryLayer::new(b"this is no tar".to_vec()),
    ]);
    let error = copy(real.docker.host(), &broken, "refused:v1").unwrap_err();
    let words = error.to_string();
    assert!(
        words.contains("cannot load the image: ") && words.contains("EOF"),
        "{words}"
    );
    let changed = memory_image::image(vec![large(b'q', 2), MemoryLayer::broken(b"one", b"two")]);
    let error = copy(real.docker.host(), &changed, "refused:v1").unwrap_err();
    assert!(matches!(error, Error::Mismatch { .. }), "{error}");
    let watcher = Watcher {
        stop_after: Some(MEBIBYTE),
        ..Watcher::default()
    };
    let stopped = image(&[(b'p', 64)]);
    let error = copy_with(
        real.docker.host(),
        &stopped,
        "refused:v1",
        watcher.context(),
    )
    .unwrap_err();
    assert!(matches!(error, Error::Interrupted), "{error}");
    let ids = run(&mut real
        .docker
        .command(&["images", "--all", "--quiet", "--no-trunc"]));
    for image in [broken, changed, stopped] {
        assert!(!ids.contains(&image.manifest.config.digest.to_string()));
    }
}

/// As those of base images are.
#[test]
fn compressed_layers_are_known_by_what_is_in_them() {
    let real = real();
    let busybox = fs::read("/bin/busybox").unwrap();
    for (word, known) in [("one", COPIED), ("two", PRESENT)] {
        let image = memory_image::image(vec![
            MemoryLayer::programs(&[("bin/busybox", &busybox), ("compressed", b"")]).compressed(),
            large(b'c', 3),
            MemoryLayer::programs(&[("word", word.as_bytes())]).compressed(),
        ]);
        let watcher = Watcher::default();
        copy_with(
            real.docker.host(),
            &image,
            "compressed:v1",
            watcher.context(),
        )
        .unwrap();
        assert_eq!(watcher.of(&image), [known, known, COPIED]);
        assert_eq!(real.docker.run("compressed:v1", &SAY), word);
    }
}

/// An image of the command line, in a store of temporary files, and what it needs to run.
struct Scene {
    store: FakeStore,
    image: PathBuf,
    directory: TempDir,
}

impl Scene {
    fn new() -> Self {
        let mut store = FakeStore::new();
        let file = Item::File("file", "of the command line\n");
        let path = store.add("content", &[file], &[]);
        let mut request = store.image_request();
        request["deps"] = json!([path]);
        request["image"]["name"] = json!("scene");
        let output = store.build(&request).unwrap();
        let image = store.locate(&output);
        let directory = tempfile::tempdir().unwrap();
        Self {
            store,
            image,
            directory,
        }
    }

    fn id(&self) -> String {
        let image = Image::open(&self.image).unwrap();
        image.manifest.config.digest.to_string()
    }

    fn copy(&self, name: &str, flags: &[&str], variables: &[(&str, &str)]) -> Output {
        assert!(self.store.location.exists());
        let mut command = Command::new(env!("CARGO_BIN_EXE_strata"));
        for (variable, _) in std::env::vars() {
            if variable.starts_with("DOCKER_") {
                command.env_remove(variable);
            }
        }
        command
            .env("HOME", self.directory.path())
            .env_remove("XDG_RUNTIME_DIR")
            .envs(variables.iter().copied())
            .arg("copy")
            .arg(&self.image)
            .arg(format!("docker-daemon:{name}"))
            .args(flags)
            .output()
            .unwrap()
    }

    /// Writes a file below the directory; gives its path.
    fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// Puts a program called `ssh` before all others; gives `PATH`.
    fn ssh(&self, script: &str) -> String {
        let path = self.write("bin/ssh", &format!("#!/bin/sh\n{script}\n"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let rest = std::env::var("PATH").unwrap();
        format!("{}:{rest}", path.parent().unwrap().display())
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn assert_fails(output: &Output, words: &[&str]) {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for words in words {
        assert!(said.contains(words), "{words} is not in: {said}");
    }
}

#[test]
fn the_engine_is_found_as_docker_finds_it() {
    let (real, scene) = (real(), Scene::new());
    let host = real.docker.host();
    let tcp = format!("tcp://{}", real.address);
    let certificates = real.certificates.to_str().unwrap();
    let config = scene.directory.path().join(".docker");
    let context = |name: &str, host: &str| {
        let digest = Digest::of(name.as_bytes()).hex();
        let metadata = json!({ "Name": name, "Endpoints": { "docker": { "Host": host } } });
        let file = format!(".docker/contexts/meta/{digest}/meta.json");
        scene.write(&file, &metadata.to_string());
        config.join(format!("contexts/tls/{digest}/docker"))
    };
    context("plain", host);
    let tls = context("encrypted", &tcp);
    fs::create_dir_all(&tls).unwrap();
    for file in ["ca.pem", "cert.pem", "key.pem"] {
        fs::copy(real.certificates.join(file), tls.join(file)).unwrap();
    }
    scene.write(".docker/config.json", r#"{ "currentContext": "plain" }"#);
    let log = scene.directory.path().join("log");
    let dial = format!(
        "echo \"$@\" >>{}; DOCKER_HOST={host} exec docker system dial-stdio",
        log.display()
    );
    let path = scene.ssh(&dial);

    for (name, flags, variables) in [
        (
            "flag",
            &["--dest-daemon-host", host][..],
            &[("DOCKER_HOST", "tcp://h:1")][..],
        ),
        (
            "variable",
            &[],
            &[("DOCKER_HOST", host), ("DOCKER_CONTEXT", "absent")],
        ),
        ("current", &[], &[]),
        ("context", &[], &[("DOCKER_CONTEXT", "encrypted")]),
        (
            "tls",
            &[],
            &[
                ("DOCKER_HOST", &tcp),
                ("DOCKER_TLS_VERIFY", "1"),
                ("DOCKER_CERT_PATH", certificates),
            ],
        ),
        (
            "ssh",
            &[],
            &[("DOCKER_HOST", "ssh://me@far.x:22"), ("PATH", &path)],
        ),
        ("version", &[], &[("DOCKER_API_VERSION", "1.40")]),
    ] {
        let name = format!("found-{name}:v1");
        let output = scene.copy(&name, flags, variables);
        assert!(output.status.success(), "{name}: {}", text(&output.stderr));
        // Issue 11, "What new users stumbled over" 7: the engine does not know the digest.
        let line = format!("docker-daemon:docker.io/library/{name}\n");
        assert_eq!(text(&output.stdout), line);
        let id = format!("its ID there is {}\n", scene.id());
        assert!(
            text(&output.stderr).contains(&id),
            "{}",
            text(&output.stderr)
        );
        assert_eq!(real.id(&name), scene.id());
    }
    let arguments = fs::read_to_string(log).unwrap();
    let expected = "-T -o ConnectTimeout=30 -l me -p 22 -- far.x docker system dial-stdio";
    assert!(arguments.lines().count() > 0);
    assert!(
        arguments.lines().all(|line| line == expected),
        "{arguments}"
    );
}

#[test]
fn an_engine_that_cannot_be_reached() {
    let (real, scene) = (real(), Scene::new());
    let tcp = format!("tcp://{}", real.address);
    let missing = scene.directory.path().join("missing.sock");
    let missing = format!("unix://{}", missing.display());
    let copy = |variables: &[(&str, &str)]| scene.copy("unreached:v1", &[], variables);

    let words = ["No such file or directory", "hint: start Docker", &missing];
    assert_fails(&copy(&[("DOCKER_HOST", &missing)]), &words);
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let closed = format!("tcp://{closed}");
    let words = ["refused", "hint: start Docker"];
    assert_fails(&copy(&[("DOCKER_HOST", &closed)]), &words);
    assert_fails(
        &copy(&[("DOCKER_HOST", "tcp://host.invalid:1")]),
        &["hint: "],
    );
    assert_fails(
        &copy(&[("DOCKER_CONTEXT", "absent")]),
        &["\"absent\": not found"],
    );
    assert_fails(
        &copy(&[("DOCKER_API_VERSION", "new")]),
        &["\"new\": not a version"],
    );

    // TLS that is not wanted, not spoken, not trusted.
    assert_fails(
        &copy(&[("DOCKER_HOST", &tcp)]),
        &["HTTPS server", "hint: the engine wants TLS"],
    );
    let verify = ("DOCKER_TLS_VERIFY", "1");
    let empty = scene.directory.path().to_str().unwrap();
    let words = [
        "UnknownIssuer",
        "hint: certificates are those that DOCKER_CERT_PATH",
    ];
    let output = copy(&[("DOCKER_HOST", &tcp), verify, ("DOCKER_CERT_PATH", empty)]);
    assert_fails(&output, &words);
    let without = scene.directory.path().join("without");
    fs::create_dir(&without).unwrap();
    fs::copy(real.certificates.join("ca.pem"), without.join("ca.pem")).unwrap();
    let place = ("DOCKER_CERT_PATH", without.to_str().unwrap());
    let output = copy(&[("DOCKER_HOST", &tcp), verify, place]);
    assert_fails(&output, &["ertificate", "hint: "]);
    for (file, content) in [("cert.pem", "cert.pem"), ("key.pem", "ca-key.pem")] {
        fs::copy(real.certificates.join(content), without.join(file)).unwrap();
    }
    let output = copy(&[("DOCKER_HOST", &tcp), verify, place]);
    assert_fails(
        &output,
        &[
            "key.pem: not the key of",
            "hint: Docker's certificates are ca.pem",
        ],
    );
}

#[rstest]
#[case::words(
    "echo Host key verification failed. >&2; exit 255",
    "ssh: Host key verification failed."
)]
#[case::nothing("exit 1", "hint: the engine hung up")]
#[case::chatter("yes x | head -n 100000 >&2; exit 255", "ssh: x x x")]
#[case::noise("echo noise", "the answer is not HTTP")]
fn ssh_that_fails_is_heard(#[case] script: &str, #[case] words: &str) {
    let scene = Scene::new();
    // It does not read what it is sent, nor does it go by itself.
    let path = scene.ssh(script);
    let output = scene.copy(
        "x:v1",
        &[],
        &[("DOCKER_HOST", "ssh://far.x"), ("PATH", &path)],
    );
    assert_fails(
        &output,
        &[
            "Docker at ssh://far.x cannot be asked for its version: ",
            words,
        ],
    );
}

#[test]
fn hosts_that_ssh_would_take_for_options() {
    let scene = Scene::new();
    let path = scene.ssh("touch ran");
    for host in [
        "ssh://-oProxyCommand=touch%20ran",
        "ssh://me:secret@far.x",
        "ssh://far.x/$(ran)",
    ] {
        let output = scene.copy("x:v1", &[], &[("DOCKER_HOST", host), ("PATH", &path)]);
        assert_fails(&output, &["not something that ssh can be asked for"]);
        assert!(!text(&output.stderr).contains("secret"));
    }
}

/// Issue 11, row 20: an engine that has very many images is asked about some.
#[test]
fn not_every_image_of_an_engine_is_asked_for() {
    let image = image(&[(b'a', 2), (b'b', 1)]);
    let docker = FakeDocker::right(Store::Classic);
    let many = (0..1000).map(|number| other(&[format!("sha256:{number}")]));
    docker.state().images.extend(many);
    // The last of them has the same name, and so is asked for first.
    let mut older = other(&layers(&image)[..1]);
    older.names = ["docker.io/library/many:v0".to_owned()].into();
    docker.state().images.push(older);
    copy(&docker.host(), &image, "many:v1").unwrap();
    let asked = docker.asked("GET").into_iter();
    let inspected = asked.filter(|target| target.contains("/images/sha256:"));
    assert!(inspected.count() <= 201);
    // The config, the manifest and one layer.
    assert_eq!(docker.state().loads[0].len(), 3);
}

/// An image with shared layers is removed between the question and the load.
#[test]
fn a_base_that_vanishes_is_sent_after_all() {
    let image = image(&[(b'a', 2), (b'b', 1)]);
    let docker = FakeDocker::right(Store::Classic);
    // A layer that is known, but not on the same stack, is none.
    let elsewhere = vec!["sha256:00".to_owned(), layers(&image)[1].clone()];
    docker.state().images.push(other(&elsewhere));
    let watcher = Watcher::default();
    copy_with(&docker.host(), &image, "vanished:v1", watcher.context()).unwrap();
    assert_eq!(docker.state().loads.len(), 1);
    assert_eq!(watcher.of(&image), [COPIED, COPIED]);

    let base = layers(&image)[..1].to_vec();
    let docker = FakeDocker::start(Store::Classic, "1.41", move |seen| {
        // Its list and what it says about the image are old.
        let is = |end: &str| seen.target.split('?').next().unwrap().ends_with(end);
        let id = other(&base).id;
        let first = seen.number < 5;
        match () {
            () if is("/images/json") && first => Some(Fault::Lie(
                Reply::new(200).body(json!([{ "Id": id }]).to_string()),
            )),
            () if is(&format!("{id}/json")) => {
                let inspected = json!({ "Id": id, "RootFS": { "Layers": base } });
                Some(Fault::Lie(Reply::new(200).body(inspected.to_string())))
            }
            () => None,
        }
    });
    let watcher = Watcher::default();
    copy_with(&docker.host(), &image, "vanished:v1", watcher.context()).unwrap();
    let state = docker.state();
    let sizes: Vec<usize> = state
        .loads
        .iter()
        .map(std::collections::BTreeSet::len)
        .collect();
    assert_eq!(sizes, [3, 4]);
    // What was sent twice is told once.
    assert_eq!(watcher.of(&image), [COPIED, COPIED]);
    assert_eq!(
        state.images[0].names,
        ["docker.io/library/vanished:v1".to_owned()].into()
    );
}

/// A load that lacks blobs fails, or succeeds and the image is not there.
#[rstest]
fn containerds_store_may_lack_what_its_images_tell(
    #[values(Partial::Error, Partial::Warning, Partial::Silence)] partial: Partial,
    #[values("1.45", "1.47")] version: &'static str,
) {
    let image = image(&[(b'a', 2), (b'b', 1)]);
    let docker = FakeDocker::start(Store::Containerd(partial), version, |_| None);
    // As after a pull: the layer is there, compressed.
    docker.state().images.push(other(&layers(&image)[..1]));
    let watcher = Watcher::default();
    copy_with(&docker.host(), &image, "pulled:v1", watcher.context()).unwrap();
    assert_eq!(watcher.of(&image), [COPIED, COPIED]);
    let state = docker.state();
    assert_eq!(state.loads.len(), 2);
    let copied = &state.images[1];
    assert_eq!(copied.id, image.manifest_descriptor.digest.to_string());
    assert!(copied.is_whole);
    assert_eq!(
        copied.names,
        ["docker.io/library/pulled:v1".to_owned()].into()
    );
    let deleted = state
        .seen
        .iter()
        .filter(|seen| seen.method == "DELETE")
        .count();
    assert_eq!(deleted, 1, "the failed try leaves an image without a name");
}

#[rstest]
fn containerds_store_uses_blobs_again(#[values("1.45", "1.47")] version: &'static str) {
    let docker = FakeDocker::start(Store::Containerd(Partial::Error), version, |_| None);
    let host = docker.host();
    let compressed = || large(b'b', 1).compressed();
    let first = memory_image::image(vec![large(b'a', 2), compressed()]);
    copy(&host, &first, "again:v1").unwrap();
    // Any position counts.
    let second = memory_image::image(vec![large(b'x', 1), compressed(), large(b'a', 2)]);
    let watcher = Watcher::default();
    copy_with(&host, &second, "again:v1", watcher.context()).unwrap();
    assert_eq!(watcher.of(&second), [COPIED, PRESENT, PRESENT]);
    let watcher = Watcher::default();
    copy_with(&host, &second, "again:v2", watcher.context()).unwrap();
    assert_eq!(watcher.of(&second), [PRESENT; 3]);
    let state = docker.state();
    assert_eq!(state.loads.len(), 2);
    let names = ["docker.io/library/again:v1", "docker.io/library/again:v2"];
    assert_eq!(state.images[1].names, names.map(str::to_owned).into());
}

/// An image that lacks blobs is not taken for one that is there.
#[test]
fn a_broken_image_is_made_whole() {
    let image = image(&[(b'a', 2)]);
    let docker = FakeDocker::start(Store::Containerd(Partial::Error), "1.51", |_| None);
    docker.state().images.push(FakeImage {
        id: image.manifest_descriptor.digest.to_string(),
        names: ["docker.io/library/broken:v1".to_owned()].into(),
        is_whole: false,
        ..other(&layers(&image))
    });
    copy(&docker.host(), &image, "broken:v1").unwrap();
    let state = docker.state();
    assert!(state.images[0].is_whole);
    assert!(
        state.seen.iter().all(|seen| seen.method != "DELETE"),
        "it has a name"
    );
}

/// Answers a load like this, after so many bytes of it.
fn load(bytes: usize, answer: Reply) -> impl Fn(&Seen) -> Option<Fault> + Send + Sync {
    move |seen| {
        let is_load = seen.target.contains("/images/load");
        is_load.then(|| Fault::AnswerAfter(bytes, answer.clone()))
    }
}

#[rstest]
#[case::early(64 << 10)]
#[case::late(usize::MAX)]
fn a_full_disk_of_the_engine_is_said(#[case] after: usize) {
    let message = "write /var/lib/docker/tmp/x: no space left on device";
    for answer in [refusal(500, message), failure(message)] {
        let docker = FakeDocker::start(Store::Classic, "1.41", load(after, answer));
        let error = copy(&docker.host(), &image(&[(b'a', 32)]), "full:v1").unwrap_err();
        assert!(error.to_string().ends_with(message), "{error}");
        assert!(
            error.hint().unwrap().contains("docker system df"),
            "{error}"
        );
        assert!(docker.state().images.is_empty());
    }
}

#[test]
fn too_many_layers_are_said() {
    let answer = failure("max depth exceeded");
    let docker = FakeDocker::start(Store::Classic, "1.41", load(usize::MAX, answer));
    let error = copy(&docker.host(), &image(&[(b'a', 1)]), "deep:v1").unwrap_err();
    assert!(error.hint().unwrap().contains("maxLayers"), "{error}");
}

/// Success is what the engine has afterwards, not what it says.
#[rstest]
#[case::load("/images/load", "it took the archive and does not have all of")]
#[case::tag("/tag", "lies:v1 is nothing afterwards")]
fn engines_that_lie(#[case] target: &'static str, #[case] words: &str) {
    let docker = FakeDocker::start(Store::Classic, "1.41", move |seen| {
        let path = seen.target.split('?').next().unwrap();
        let answer = Reply::new(200).body("{}");
        path.ends_with(target)
            .then(|| Fault::Answer(answer.header("connection", "close")))
    });
    let error = copy(&docker.host(), &image(&[]), "lies:v1").unwrap_err();
    assert!(error.to_string().contains(words), "{error}");
}

#[rstest]
#[case::html(|| Fault::Answer(Reply::new(200).body("<html>")), "answered what Docker does not")]
#[case::not_found(|| Fault::Answer(Reply::new(404).body("404 page\nnot found")), "404 page not found")]
#[case::redirect(|| Fault::Answer(Reply::new(302).header("location", "http://x/")), "302 Found")]
#[case::terminal(|| Fault::Answer(refusal(500, "a\u{1b}[31mb")), "a [31mb")]
#[case::endless(|| Fault::Endless, "answered what Docker does not")]
fn engines_that_talk_nonsense(#[case] fault: fn() -> Fault, #[case] words: &str) {
    let docker = FakeDocker::start(Store::Classic, "1.41", move |seen| {
        seen.target.ends_with("/info").then(fault)
    });
    let error = copy(&docker.host(), &image(&[]), "nonsense:v1").unwrap_err();
    let said = error.to_string();
    assert!(
        said.contains("cannot be asked how it keeps images: ") && said.contains(words),
        "{said}"
    );
}

/// An engine unpacks for minutes before it says anything.
#[test]
fn waiting_can_be_interrupted() {
    let docker = FakeDocker::start(Store::Classic, "1.41", |seen| {
        seen.target
            .contains("/images/load")
            .then_some(Fault::Silence)
    });
    let watcher = Watcher::default();
    let image = image(&[(b'a', 1)]);
    std::thread::scope(|scope| {
        let copying =
            scope.spawn(|| copy_with(&docker.host(), &image, "wait:v1", watcher.context()));
        while docker.state().waiting == 0 {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        watcher.stop.store(true, Ordering::SeqCst);
        let error = copying.join().unwrap().unwrap_err();
        assert!(matches!(error, Error::Interrupted), "{error}");
    });
    while docker.state().hung_up == 0 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert_eq!(docker.asked("POST").len(), 1);
}

#[test]
fn the_version_is_negotiated() {
    for (theirs, used) in [("1.41", "v1.41"), ("1.99", "v1.51"), ("nonsense", "v1.24")] {
        let docker = FakeDocker::start(Store::Classic, theirs, |_| None);
        copy(&docker.host(), &image(&[]), "version:v1").unwrap();
        let asked = docker.asked("GET");
        assert_eq!(asked[0], "/_ping");
        assert_eq!(asked[1], format!("/{used}/info"));
    }
}

/// What is in an image of Docker is looked at by the archive that it saves (issue 15).
#[test]
fn images_of_docker_are_looked_into() {
    let docker = support::engines::docker();
    let mut speakers = Speakers::new();
    let image = speakers.image("looked-into", "hello");
    let copy = [
        "docker-daemon:looked-into:v1",
        "--dest-daemon-host",
        docker.host(),
    ];
    run(strata("copy").arg(&image).args(copy));
    let look = |name: &str| {
        let mut inspect = strata("inspect");
        inspect.args([name, "--json", "--daemon-host", docker.host()]);
        inspect.output().unwrap()
    };
    let output = look("docker-daemon:looked-into:v1");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["name"], json!("looked-into"));
    let own = support::fake_store::read_json(&image.join("layers.json"));
    let layers = own["layers"].as_array().unwrap().iter();
    let digests: Vec<_> = layers.map(|layer| &layer["digest"]).collect();
    let layers = found["layers"].as_array().unwrap().iter();
    let diff_ids: Vec<_> = layers.map(|layer| &layer["diffId"]).collect();
    assert_eq!(diff_ids, digests);
    let output = look("docker-daemon:nothing:1");
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        errors.contains("cannot save the image nothing:1"),
        "{errors}"
    );
}
