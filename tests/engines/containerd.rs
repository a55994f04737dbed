//! Copies to a real containerd, and to clusters whose programs are stand-ins that lead to one.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use strata_testing as support;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rstest::rstest;
use serde_json::{Value, json};
use strata_oci::Digest;
use support::engines::Containerd;
use support::fake_store::{FakeStore, Item};
use support::oci::Layout;
use support::registry::run;
use tempfile::TempDir;

/// A layer that does not change is so large at least.
const LARGE: usize = 1 << 20;

/// Images in a store of temporary files, a containerd, and programs that stand before the real ones.
struct Scene {
    store: FakeStore,
    library: String,
    containerd: Containerd,
    directory: TempDir,
}

impl Scene {
    fn new() -> Self {
        let mut store = FakeStore::new();
        let library = store.add("library", &[Item::Directory("bin")], &[]);
        let bin = store.locate(&library).join("bin");
        fs::copy("/bin/busybox", bin.join("busybox")).expect("busybox-static is needed");
        store.register(&library, &[]);
        let scene = Self {
            store,
            library,
            containerd: Containerd::new(),
            directory: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(scene.path("bin")).unwrap();
        // Records its arguments on a line and its input in a file.
        scene.stand_in(
            "ctr",
            r#"
            case "$*" in
            *" images import "*) tee "$(mktemp "$LOG.input-XXXXXX")" | ctr "$@" ;;
            *) ctr "$@" ;;
            esac
            "#,
        );
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A program that is found before others of its name.
    fn stand_in(&self, name: &str, script: &str) {
        let file = self.path("bin").join(name);
        let (log, path) = (self.path("log"), std::env::var("PATH").unwrap());
        let script = format!(
            "#!/bin/sh\nLOG={}\nPATH='{path}'\necho \"{name} $*\" >>$LOG\n{script}\n",
            log.display()
        );
        fs::write(&file, script).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// An image that says `word`, in two layers of which only the smaller depends on the word.
    fn speaker(&mut self, word: &str) -> PathBuf {
        let request = self.speaker_request(word);
        let output = self.store.build(&request).unwrap();
        self.store.locate(&output)
    }

    fn speaker_request(&mut self, word: &str) -> Value {
        let script = self.store.add_file(
            &format!("script-{word}"),
            &format!("#!{}/bin/busybox sh\necho {word}\n", self.library),
        );
        self.store.register(&script, &[&self.library]);
        let mut request = self.store.image_request();
        request["deps"] = json!([script]);
        request["maxLayers"] = json!(2);
        request["image"]["name"] = json!("speaker");
        let busybox = format!("{}/bin/busybox", self.library);
        request["image"]["config"] = json!({ "Cmd": [busybox, "sh", script] });
        request
    }

    fn strata(&self, image: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_strata"));
        let path = format!(
            "{}:{}",
            self.path("bin").display(),
            std::env::var("PATH").unwrap()
        );
        command
            .arg("copy")
            .arg(image)
            .args(arguments)
            .env("PATH", path)
            .env("CONTAINERD_ADDRESS", self.containerd.socket())
            .env_remove("CONTAINERD_NAMESPACE")
            .env_remove("KIND_EXPERIMENTAL_PROVIDER");
        command
    }

    #[track_caller]
    fn copy(&self, image: &Path, arguments: &[&str]) -> String {
        run(&mut self.strata(image, arguments))
    }

    /// What the stand-ins were called with since the last time.
    fn log(&self) -> Vec<String> {
        let log = fs::read_to_string(self.path("log")).unwrap_or_default();
        let _ = fs::remove_file(self.path("log"));
        log.lines().map(str::to_owned).collect()
    }

    /// The archives that went to `ctr images import` since the last time, in order of size: how many
    /// bytes, and the blobs in each.
    fn inputs(&self) -> Vec<(usize, BTreeSet<String>)> {
        let entries = fs::read_dir(self.directory.path()).unwrap();
        let mut inputs: Vec<_> = entries
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.display().to_string().contains("/log.input-"))
            .map(|path| {
                let bytes = fs::read(&path).unwrap();
                fs::remove_file(&path).unwrap();
                let mut archive = tar::Archive::new(bytes.as_slice());
                let names = archive.entries().unwrap().map_while(Result::ok);
                let names = names.map(|entry| entry.path().unwrap().display().to_string());
                let blobs = names.filter_map(|name| {
                    let hex = name.strip_prefix("blobs/sha256/")?;
                    (!hex.is_empty()).then(|| format!("sha256:{hex}"))
                });
                (bytes.len(), blobs.collect())
            })
            .collect();
        inputs.sort();
        inputs
    }

    fn ctr(&self, namespace: &str, arguments: &[&str]) -> String {
        run(&mut self.containerd.command_in(namespace, arguments))
    }

    /// The names in a namespace.
    fn names(&self, namespace: &str) -> Vec<String> {
        let answer = self.ctr(namespace, &["images", "ls", "--quiet"]);
        answer.lines().map(str::to_owned).collect()
    }

    /// The digest of an image, all blobs of which must be there, and which must be unpacked.
    #[track_caller]
    fn digest_of(&self, namespace: &str, name: &str) -> String {
        let answer = self.ctr(namespace, &["images", "check", &format!("name=={name}")]);
        let line = answer.lines().nth(1).unwrap_or_else(|| panic!("no {name}"));
        assert!(
            line.contains(" complete (") && line.contains(" true"),
            "{line}"
        );
        line.split_whitespace().nth(2).unwrap().to_owned()
    }

    fn says(&self, namespace: &str, name: &str) -> String {
        // runc knows containers of all containerds of the machine.
        let directory = self.directory.path().file_name().unwrap();
        let id = directory.to_str().unwrap().trim_start_matches('.');
        self.ctr(namespace, &["run", "--rm", name, id])
    }
}

fn digest(image: &Path) -> String {
    fs::read_to_string(image.join("digest"))
        .unwrap()
        .trim_end()
        .to_owned()
}

/// The digests of everything in an image: documents, layers.
fn blobs(image: &Path) -> (BTreeSet<String>, Vec<String>) {
    let layout = Layout::read(image);
    let text = |value: &serde_json::Value| value["digest"].as_str().unwrap().to_owned();
    let documents = [digest(image), text(&layout.manifest["config"])].into();
    let layers = layout.manifest["layers"].as_array().unwrap();
    (documents, layers.iter().map(text).collect())
}

#[track_caller]
fn assert_fails(output: &Output, code: i32, said: &[&str]) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{errors}");
    for words in said {
        assert!(errors.contains(words), "{words} is not in: {errors}");
    }
}

const NAME: &str = "docker.io/library/speaker:latest";

/// <https://github.com/nlewo/nix2container/issues/174>,
/// <https://github.com/NixOS/nixpkgs/issues/456052>: straight into containerd, with the digest that
/// the image was built with.
#[test]
fn nix2container_174_nixpkgs_456052_only_what_changed_is_sent() {
    let mut scene = Scene::new();
    let (one, two) = (scene.speaker("one"), scene.speaker("two"));
    let said = scene.copy(&one, &["containerd:"]);
    assert!(said.ends_with(&format!("@{}\n", digest(&one))), "{said}");
    assert_eq!(scene.digest_of("default", NAME), digest(&one));
    assert_eq!(scene.says("default", NAME), "one\n");
    let (mut documents, layers) = blobs(&one);
    let [(names, none), (all, sent)] = scene.inputs().try_into().unwrap();
    documents.extend(layers.iter().cloned());
    assert_eq!(sent, documents);
    assert_eq!(none, BTreeSet::new());
    assert!(all > LARGE && names < 10_000, "{all} {names}");

    scene.copy(&two, &["containerd:"]);
    let (mut documents, changed) = blobs(&two);
    let changed: Vec<_> = changed
        .into_iter()
        .filter(|layer| !layers.contains(layer))
        .collect();
    assert_eq!(changed.len(), 1);
    documents.extend(changed);
    let [_, (size, sent)] = scene.inputs().try_into().unwrap();
    assert_eq!(sent, documents);
    assert!(size < 20_000, "{size}");
    assert_eq!(scene.digest_of("default", NAME), digest(&two));
    assert_eq!(scene.says("default", NAME), "two\n");
    assert_eq!(scene.names("default"), [NAME]);

    scene.copy(&two, &["containerd:"]);
    for (_, sent) in scene.inputs() {
        assert_eq!(sent, BTreeSet::new());
    }
    assert_eq!(scene.digest_of("default", NAME), digest(&two));
}

#[test]
fn names_and_namespaces_are_those_that_are_asked_for() {
    let mut scene = Scene::new();
    let image = scene.speaker("word");
    for (namespace, flags, variable, destination, name) in [
        (
            "default",
            &[][..],
            "",
            "containerd:a",
            "docker.io/library/a:latest",
        ),
        (
            "default",
            &[],
            "",
            "containerd:me/a_b-c:1.0-x_Y",
            "docker.io/me/a_b-c:1.0-x_Y",
        ),
        (
            "default",
            &[],
            "",
            "containerd:h.x:5000/a/b__c:1",
            "h.x:5000/a/b__c:1",
        ),
        ("variable", &[], "variable", "containerd:", NAME),
        (
            "flag",
            &["--containerd-namespace=flag"],
            "variable",
            "containerd:",
            NAME,
        ),
    ] {
        let mut command = scene.strata(&image, flags);
        command.arg(destination);
        if !variable.is_empty() {
            command.env("CONTAINERD_NAMESPACE", variable);
        }
        run(&mut command);
        assert_eq!(scene.digest_of(namespace, name), digest(&image));
    }
    assert_eq!(scene.names("default").len(), 3);

    // The flag is stronger than the variable.
    let socket = scene.containerd.socket();
    let flags = [
        "--containerd-address",
        socket,
        "--containerd-namespace=address",
        "containerd:",
    ];
    run(scene
        .strata(&image, &flags)
        .env("CONTAINERD_ADDRESS", "/nonexistent"));
    assert_eq!(scene.digest_of("address", NAME), digest(&image));
}

/// What nix-snapshotter is told when it prepares the layer, and what it then does: it mounts each store path that an
/// annotation names.
#[test]
fn store_paths_are_mounted_into_an_image_for_nix_snapshotter() {
    let mut scene = Scene::new();
    let mut request = scene.speaker_request("word");
    request["maxLayers"] = json!(1);
    request["image"]["mountStorePaths"] = json!(true);
    let image = scene.store.build(&request).unwrap();
    let image = scene.store.locate(&image);
    let archive = scene.path("image.tar");
    scene.copy(&image, &[&format!("oci-archive:{}", archive.display())]);
    scene.ctr("default", &["images", "import", archive.to_str().unwrap()]);
    assert_eq!(scene.digest_of("default", NAME), digest(&image));
    let manifest = scene.ctr("default", &["content", "get", &digest(&image)]);
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let annotations = manifest["layers"][0]["annotations"].as_object().unwrap();
    let paths = annotations
        .iter()
        .filter(|(name, _)| name.starts_with("containerd.io/snapshot/nix-store-path."));
    let mounts: Vec<String> = paths
        .map(|(_, path)| path.as_str().unwrap())
        .map(|path| format!("--mount=type=bind,src={path},dst={path},options=rbind:ro"))
        .collect();
    assert_eq!(mounts.len(), 2);
    let id = scene.directory.path().file_name().unwrap();
    let id = id.to_str().unwrap().trim_start_matches('.');
    let mounts = mounts.iter().map(String::as_str);
    let command: Vec<&str> = ["run", "--rm"]
        .into_iter()
        .chain(mounts)
        .chain([NAME, id])
        .collect();
    assert_eq!(scene.ctr("default", &command), "word\n");

    // Without annotations nobody would mount anything.
    let archive = format!("docker-archive:{}", scene.path("docker.tar").display());
    let refused = scene.strata(&image, &[&archive]).output().unwrap();
    assert_fails(&refused, 1, &["tell nix-snapshotter what to mount"]);
}

/// Kubernetes finds an image by its digest only if a name says so.
/// <https://github.com/kubernetes-sigs/kind/issues/2394>: images of kind had lost theirs.
#[test]
fn kubernetes_gets_the_digest_as_a_name() {
    let mut scene = Scene::new();
    let (one, two) = (scene.speaker("one"), scene.speaker("two"));
    let flag = "--containerd-namespace=k8s.io";
    scene.copy(&one, &[flag, "containerd:me/a:1"]);
    let by_digest = format!("docker.io/me/a@{}", digest(&one));
    assert_eq!(scene.names("k8s.io"), ["docker.io/me/a:1", &by_digest]);
    assert_eq!(scene.digest_of("k8s.io", &by_digest), digest(&one));
    assert_eq!(scene.digest_of("k8s.io", "docker.io/me/a:1"), digest(&one));
    // What others were told to run stays.
    scene.copy(&two, &[flag, "containerd:me/a:1"]);
    assert_eq!(scene.names("k8s.io").len(), 3);
    assert_eq!(scene.digest_of("k8s.io", &by_digest), digest(&one));
    assert_eq!(scene.digest_of("k8s.io", "docker.io/me/a:1"), digest(&two));
}

/// containerd may collect what no image holds, and people remove images, after we asked what is there.
#[rstest]
// The layer cannot be unpacked.
#[case::image("images rm --sync")]
// What was unpacked is still there, so that `ctr` succeeds with an incomplete image.
#[case::blob("content rm")]
fn blobs_that_vanish_are_sent(#[case] remove: &str) {
    let mut scene = Scene::new();
    let (one, two) = (scene.speaker("one"), scene.speaker("two"));
    scene.copy(&one, &["containerd:one"]);
    let (_, layers) = blobs(&one);
    let shared = layers
        .iter()
        .find(|layer| blobs(&two).1.contains(layer))
        .unwrap();
    let removed = if remove == "content rm" {
        shared
    } else {
        "docker.io/library/one:latest"
    };
    scene.inputs();
    scene.stand_in(
        "ctr",
        &format!(
            r#"
            case "$*" in
            *" images import "*)
                [ -e "$LOG.removed" ] || ctr {remove} {removed} >/dev/null
                touch "$LOG.removed"
                tee "$(mktemp "$LOG.input-XXXXXX")" | ctr "$@" ;;
            *) ctr "$@" ;;
            esac
            "#
        ),
    );
    scene.copy(&two, &["containerd:two"]);
    let [_, (_, partial), (_, whole)] = scene.inputs().try_into().unwrap();
    assert!(!partial.contains(shared));
    assert!(whole.contains(shared));
    assert_eq!(
        scene.digest_of("default", "docker.io/library/two:latest"),
        digest(&two)
    );
    assert_eq!(
        scene.says("default", "docker.io/library/two:latest"),
        "two\n"
    );
    assert!(
        !scene
            .names("default")
            .iter()
            .any(|name| name.contains("strata"))
    );
}

/// A copy that fails leaves what had the name, whole, and nothing of its own.
#[rstest]
#[case::cut("head -c 3000 | ctr \"$@\"", "unexpected EOF")]
// The image gets its name, and is not unpacked.
#[case::named(
    "ctr \"$@\"; ctr images ls -q >>$LOG; echo 'ctr: no space left' >&2; exit 1",
    "no space left"
)]
fn a_failed_copy_leaves_the_old_image(#[case] import: &str, #[case] reason: &str) {
    let mut scene = Scene::new();
    let (one, two) = (scene.speaker("one"), scene.speaker("two"));
    scene.copy(&one, &["containerd:"]);
    scene.log();
    scene.stand_in(
        "ctr",
        &format!("case \"$*\" in *' images import '*) {import} ;; *) ctr \"$@\" ;; esac"),
    );
    let output = scene.strata(&two, &["containerd:"]).output().unwrap();
    let said = [
        "ctr --namespace default images import -: ",
        reason,
        "hint: ",
    ];
    assert_fails(&output, 1, &said);
    let log = scene.log();
    let was_named = log
        .iter()
        .any(|line| line.starts_with("strata.invalid/incomplete:"));
    assert_eq!(was_named, reason == "no space left", "{log:#?}");
    let imports = log
        .iter()
        .filter(|line| line.contains(" images import "))
        .count();
    assert_eq!(
        imports, 2,
        "once with what was missing and once with everything: {log:#?}"
    );
    assert_eq!(scene.names("default"), [NAME]);
    assert_eq!(scene.digest_of("default", NAME), digest(&one));
    assert_eq!(scene.says("default", NAME), "one\n");
}

fn is_root() -> bool {
    std::os::unix::fs::MetadataExt::uid(&fs::metadata("/proc/self").unwrap()) == 0
}

#[test]
fn what_is_missing_is_named() {
    let mut scene = Scene::new();
    let image = scene.speaker("word");
    for (arguments, code, said) in [
        (
            &["containerd:"][..],
            1,
            &["ctr: there is no such program", "hint: install ctr"][..],
        ),
        (&["k3s:"], 1, &["k3s: there is no such program"]),
        (&["kind:"], 1, &["kind: there is no such program"]),
        (&["minikube:"], 1, &["minikube: there is no such program"]),
        (
            &["containerd:", "--cluster=a"],
            1,
            &["not a cluster", "leave --cluster out"],
        ),
    ] {
        let mut command = scene.strata(&image, arguments);
        assert_fails(
            &command.env("PATH", "/nonexistent").output().unwrap(),
            code,
            said,
        );
    }
    scene.stand_in(
        "ctr",
        "echo 'ctr: failed to dial: permission denied' >&2; exit 1",
    );
    let output = scene.strata(&image, &["containerd:"]).output().unwrap();
    let said = [
        "content ls --quiet: ctr: failed to dial: permission denied",
        // Issue 11, "What new users stumbled over" 7: root is not told to be root.
        if is_root() {
            "hint: see whether containerd runs; --containerd-address names another socket"
        } else {
            "ctr needs root"
        },
    ];
    assert_fails(&output, 1, &said);
}

/// The child that was started ends with us, and the name that it may have left is removed.
#[test]
fn an_interrupted_copy_ends_what_it_started() {
    let mut scene = Scene::new();
    let image = scene.speaker("word");
    scene.stand_in(
        "ctr",
        "case \"$*\" in *' images import '*) echo $$ >$LOG.pid; exec sleep 600 ;; *) ctr \"$@\" ;; esac",
    );
    let mut command = scene.strata(&image, &["containerd:"]);
    let child = command.stderr(Stdio::piped()).spawn().unwrap();
    let pid_file = scene.path("log.pid");
    let end = Instant::now() + Duration::from_secs(20);
    let pid = loop {
        match fs::read_to_string(&pid_file) {
            Ok(pid) if pid.ends_with('\n') => break pid.trim().to_owned(),
            _ if Instant::now() > end => panic!("no import: {:?}", scene.log()),
            _ => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    run(Command::new("kill").arg(child.id().to_string()));
    let output = child.wait_with_output().unwrap();
    assert_fails(&output, 130, &["error: interrupted"]);
    assert!(!Path::new("/proc").join(pid).exists());
    let log = scene.log();
    let last = log.last().unwrap();
    assert!(
        last.contains("images rm strata.invalid/incomplete:"),
        "{log:?}"
    );
    assert_eq!(scene.names("default"), Vec::<String>::new());
}

/// Nodes of a cluster that are namespaces of the one containerd, by the name of the node.
const NODE: &str = r#"
    [ "$1" != containerd ] || { cat "$LOG.dump"; exit; }
    [ "$1 $2 $3" = "ctr --namespace k8s.io" ] || exit 1
    shift 3
    case "$*" in
    "images import "*) tee "$(mktemp "$LOG.input-XXXXXX")" | ctr -n "$node" "$@" ;;
    *) ctr -n "$node" "$@" ;;
    esac
"#;

/// <https://github.com/kubernetes-sigs/kind/issues/3795>: the archive of a Docker with another store
/// could not be loaded. Here no Docker is between the image and the nodes, and the nodes get the image's own
/// digest, for which they have a name
/// (<https://github.com/kubernetes-sigs/kind/issues/4028>: `import-DATE@…`, which Kubernetes cannot use).
#[test]
fn kind_3795_4028_every_node_gets_the_image() {
    let mut scene = Scene::new();
    let (one, two) = (scene.speaker("one"), scene.speaker("two"));
    scene.stand_in(
        "kind",
        "echo dev-external-load-balancer; echo dev-control-plane; echo dev-worker",
    );
    let dump = "[plugins.\"io.containerd.grpc.v1.cri\".containerd]\n  snapshotter = \"native\"\n";
    fs::write(scene.path("log.dump"), dump).unwrap();
    let exec = format!("node=$4; shift 4\n{NODE}");
    scene.stand_in("docker", &exec);
    scene.stand_in("podman", &exec);

    scene.copy(&one, &["--cluster=dev", "kind:me/a:1"]);
    let log = scene.log();
    assert_eq!(log[0], "kind get nodes --name dev");
    assert!(
        !log.iter().any(|line| line.contains("load-balancer")),
        "{log:#?}"
    );
    let import = "docker exec --privileged -i dev-worker ctr --namespace k8s.io images import ";
    let imports: Vec<_> = log
        .iter()
        .filter_map(|line| line.strip_prefix(import))
        .collect();
    assert_eq!(
        imports,
        [
            "--snapshotter native -",
            "--digests --base-name docker.io/me/a --snapshotter native -"
        ],
        "{log:#?}"
    );
    let by_digest = format!("docker.io/me/a@{}", digest(&one));
    for node in ["dev-control-plane", "dev-worker"] {
        assert_eq!(
            scene.names(node),
            ["docker.io/me/a:1", &by_digest],
            "{log:#?}"
        );
        for name in scene.names(node) {
            let check = [
                "images",
                "check",
                "--snapshotter=native",
                &format!("name=={name}"),
            ];
            let answer = scene.ctr(node, &check);
            assert!(
                answer.contains(&digest(&one)) && answer.contains("true"),
                "{answer}"
            );
        }
    }
    scene.inputs();

    // Each node is asked for itself.
    let mut command = scene.strata(&two, &["kind:me/a:1"]);
    run(command.env("KIND_EXPERIMENTAL_PROVIDER", "podman"));
    let log = scene.log();
    assert_eq!(log[0], "kind get nodes");
    assert!(
        log[1..].iter().all(|line| line.starts_with("podman exec ")),
        "{log:#?}"
    );
    for (size, _) in scene.inputs() {
        assert!(size < 20_000, "{size}");
    }
}

#[test]
fn k3s_has_a_ctr_of_its_own() {
    let mut scene = Scene::new();
    let image = scene.speaker("word");
    scene.stand_in("k3s", "shift; ctr \"$@\"");
    scene.stand_in("ctr", "exit 1");
    let said = scene.copy(&image, &["k3s:"]);
    assert!(said.ends_with(&format!("@{}\n", digest(&image))), "{said}");
    let log = scene.log();
    assert!(
        log.iter()
            .all(|line| line.starts_with("k3s ctr --namespace k8s.io ")),
        "{log:#?}"
    );
    assert_eq!(scene.digest_of("k8s.io", NAME), digest(&image));
    assert_eq!(scene.says("k8s.io", NAME), "word\n");
}

#[test]
fn minikube_with_containerd_gets_what_it_lacks() {
    let mut scene = Scene::new();
    let image = scene.speaker("word");
    let script = r#"
        case "$*" in
        profile) echo dev ;;
        "profile list"*) echo '{"invalid":[],"valid":[{"Name":"dev","Config":
            {"KubernetesConfig":{"ContainerRuntime":"containerd"}}}]}' ;;
        *"node list") printf 'dev\t10.0.0.1\ndev-m02\t10.0.0.2\n' ;;
        *) node=$6; shift 8; NODE ;;
        esac
    "#;
    scene.stand_in("minikube", &script.replace("NODE", NODE));
    scene.copy(&image, &["minikube:"]);
    let log = scene.log();
    assert_eq!(
        log[..3],
        [
            "minikube profile",
            "minikube profile list --light --output json",
            "minikube --profile dev node list"
        ]
    );
    let node = "minikube --profile dev ssh --native-ssh=false --node dev-m02 -- sudo ctr \
                --namespace k8s.io content ls --quiet";
    assert!(log.iter().any(|line| line == node), "{log:#?}");
    for node in ["dev", "dev-m02"] {
        assert_eq!(scene.digest_of(node, NAME), digest(&image));
    }
}

/// <https://github.com/kubernetes/minikube/issues/21678>: success whatever became of the image.
#[rstest]
#[case::loaded(true)]
#[case::lost(false)]
fn minikube_21678_success_is_not_believed(#[case] loaded: bool) {
    let mut scene = Scene::new();
    let image = scene.speaker("word");
    let config = Layout::read(&image).manifest["config"]["digest"].clone();
    let id = if loaded {
        config.as_str().unwrap().replace("sha256:", "")
    } else {
        Digest::of(b"").hex()
    };
    let script = r#"
        case "$*" in
        "profile list"*) echo '{"valid":[{"Name":"dev","Config":
            {"KubernetesConfig":{"ContainerRuntime":"docker"}}}]}' ;;
        *"image load -") cat >"$LOG.input-1" ;;
        *"image ls --format json") echo '[{"id":"ID","repoTags":["docker.io/library/speaker:latest"]}]' ;;
        *) exit 1 ;;
        esac
    "#;
    scene.stand_in("minikube", &script.replace("ID", &id));
    let output = scene
        .strata(&image, &["--cluster=dev", "minikube:"])
        .output()
        .unwrap();
    if loaded {
        assert!(output.status.success(), "{output:?}");
    } else {
        assert_fails(&output, 1, &["speaker:latest in minikube: expected", &id]);
    }
    let [(size, sent)] = scene.inputs().try_into().unwrap();
    assert!(size > LARGE);
    assert_eq!(sent.len(), 4);
}
