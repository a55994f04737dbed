//! Copies to podman: on this machine, as root and as another user, and behind its API as if it were on
//! another machine; and to storages that skopeo fills.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use strata_testing as support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::socket_proxy::SocketProxy;
use crate::speaker::{Speakers, digest, strata};
use serde_json::{Value, json};
use support::fake_store::read_json;
use support::keeper::{Keeper, new_directory};
use support::registry::run;

/// A podman with a store of its own.
struct Podman {
    keeper: Keeper,
    /// What stands before the keeper's API service, of one that is remote.
    proxy: Option<SocketProxy>,
    /// Whether it runs without root.
    is_rootless: bool,
}

impl Podman {
    fn local() -> Self {
        let directory = new_directory();
        configure(&directory);
        Self {
            keeper: Keeper::daemon(directory, &[]),
            proxy: None,
            is_rootless: false,
        }
    }

    fn remote() -> Self {
        let directory = new_directory();
        configure(&directory);
        let storage = directory.join("storage.conf");
        let setting = format!("CONTAINERS_STORAGE_CONF={}", storage.display());
        let socket = format!("unix://{}", directory.join("socket").display());
        // As on another machine, our loopback is not its own.
        let serve = ["unshare", "--net", "env", &setting, "podman"];
        let engine = ["--cgroup-manager", "cgroupfs", "--runtime", "runc"];
        let service = ["system", "service", "--time", "0", &socket];
        let proxy = SocketProxy::start(&directory.join("socket"));
        let podman = Self {
            keeper: Keeper::daemon(directory, &[&serve[..], &engine, &service].concat()),
            proxy: Some(proxy),
            is_rootless: false,
        };
        let answers = || {
            podman
                .command(&["version"])
                .output()
                .unwrap()
                .status
                .success()
        };
        podman.keeper.wait_until(answers);
        podman
    }

    /// podman of `nobody`, who has no subordinate IDs: there is one user in its containers.
    fn rootless() -> Self {
        let mut podman = Self::local();
        podman.is_rootless = true;
        let directory = podman.path("");
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
        for owned in ["run", "home"] {
            fs::create_dir(podman.path(owned)).unwrap();
            run(Command::new("chown").arg("nobody:").arg(podman.path(owned)));
        }
        fs::set_permissions(podman.path("run"), fs::Permissions::from_mode(0o700)).unwrap();
        podman
    }

    fn path(&self, name: &str) -> PathBuf {
        self.keeper.path().join(name)
    }

    /// The same program for the user and with the variables of this podman.
    fn adopt(&self, command: &Command) -> Command {
        let mut adopted = if self.is_rootless {
            let mut adopted = Command::new("setpriv");
            adopted
                .args(["--reuid", "nobody", "--regid", "nogroup", "--clear-groups"])
                .args(["--inh-caps=-all", "--"])
                .arg(command.get_program())
                .env("HOME", self.path("home"))
                .env("XDG_RUNTIME_DIR", self.path("run"))
                .env("TMPDIR", self.path("run"))
                .env_remove("XDG_CONFIG_HOME")
                .env_remove("XDG_DATA_HOME")
                .current_dir("/");
            adopted
        } else {
            Command::new(command.get_program())
        };
        adopted.args(command.get_args());
        adopted.env_remove("CONTAINER_CONNECTION");
        if let Some(proxy) = &self.proxy {
            adopted.env(
                "CONTAINER_HOST",
                format!("unix://{}", proxy.path().display()),
            );
        } else {
            adopted.env("CONTAINERS_STORAGE_CONF", self.path("storage.conf"));
            adopted.env_remove("CONTAINER_HOST");
        }
        adopted
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("podman");
        if self.proxy.is_none() {
            command.args(["--runtime", "runc", "--cgroup-manager", "cgroupfs"]);
        }
        command.args(arguments);
        self.adopt(&command)
    }

    #[track_caller]
    fn ask(&self, arguments: &[&str]) -> String {
        run(&mut self.command(arguments)).trim().to_owned()
    }

    fn says(&self, image: &str) -> String {
        let options = ["run", "--rm", "--pull", "never", "--network", "none"];
        let limits = [
            "--ulimit",
            "nofile=1024:4096",
            "--ulimit",
            "nproc=1000:1000",
        ];
        self.ask(&[&options[..], &limits, &[image]].concat())
    }

    fn strata(&self, image: &Path, destination: &str) -> Command {
        let mut program = strata("copy");
        program.arg(image).arg(destination);
        if self.is_rootless {
            // Where nobody may read it.
            let copy = self.path("strata");
            if !copy.exists() {
                fs::copy(program.get_program(), &copy).unwrap();
            }
            let mut readable = Command::new(copy);
            readable.args(program.get_args());
            program = readable;
        }
        self.adopt(&program)
    }

    /// Copies; gives what was said to standard output and to standard error.
    #[track_caller]
    fn copy(&self, image: &Path, destination: &str) -> (String, String) {
        let output = self.strata(image, destination).output().unwrap();
        let [said, errors] =
            [output.stdout, output.stderr].map(|said| String::from_utf8(said).unwrap());
        assert!(output.status.success(), "{errors}");
        (said, errors)
    }

    /// The names that users see.
    fn names(&self) -> Vec<String> {
        let images: Value =
            serde_json::from_str(&self.ask(&["images", "--all", "--format", "json"])).unwrap();
        let images = images.as_array().cloned().unwrap_or_default();
        let names = images.iter().flat_map(|image| {
            let names = image["Names"].as_array().cloned().unwrap_or_default();
            let nameless = names.is_empty().then(|| json!("<none>"));
            names.into_iter().chain(nameless)
        });
        let mut names: Vec<String> = names
            .map(|name| name.as_str().unwrap().to_owned())
            .collect();
        names.sort();
        // There is a line for each name, with all names of its image.
        names.dedup();
        names
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        // The process that keeps the namespace of a user without root.
        if let Ok(pid) = fs::read_to_string(self.path("run/libpod/tmp/pause.pid")) {
            let _ = Command::new("kill").arg(pid.trim()).status();
        }
    }
}

fn configure(directory: &Path) {
    let at = |name: &str| directory.join(name).display().to_string();
    let text = format!(
        "[storage]\ndriver = \"vfs\"\nrunroot = \"{}\"\ngraphroot = \"{}\"\n",
        at("containers-run"),
        at("containers-root"),
    );
    fs::write(directory.join("storage.conf"), text).unwrap();
}

/// The lines about layers: which was copied, and which was there.
fn layers(said: &str) -> Vec<(String, bool)> {
    let lines = said.lines().filter(|line| line.starts_with("layer "));
    let mut layers: Vec<(String, bool)> = lines
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let was_copied = match *words.last().unwrap() {
                "copied" => true,
                "there" => false,
                _ => panic!("{line}"),
            };
            (words[1].to_owned(), was_copied)
        })
        .collect();
    layers.sort();
    layers
}

fn expected(first: bool, second: bool) -> Vec<(String, bool)> {
    vec![("1/2".to_owned(), first), ("2/2".to_owned(), second)]
}

/// What holds for every podman: it runs what was copied, gets only what it lacks, and sees no name but
/// the real one.
fn copies_and_copies_again(podman: &Podman) {
    let mut speakers = Speakers::new();
    if podman.is_rootless {
        speakers.open();
    }
    let [one, two] = ["one", "two"].map(|word| speakers.image("speaker", word));

    let (line, said) = podman.copy(&one, "containers-storage:");
    assert_eq!(layers(&said), expected(true, true), "{said}");
    assert_eq!(podman.says("speaker:v1"), "one");
    assert_eq!(
        line,
        format!(
            "containers-storage:docker.io/library/speaker:v1@{}\n",
            digest(&one)
        )
    );

    let sent = |podman: &Podman| podman.proxy.as_ref().map(SocketProxy::sent);
    assert!(sent(podman).is_none_or(|bytes| bytes > 1 << 20));
    let (_, said) = podman.copy(&two, "podman:h.x/me/other:2");
    assert_eq!(layers(&said), expected(false, true), "{said}");
    // Requests, documents, and 10 KiB of tar.
    let bytes = sent(podman);
    assert!(bytes.is_none_or(|bytes| bytes < 64 << 10), "{bytes:?}");
    assert_eq!(podman.says("h.x/me/other:2"), "two");
    assert_eq!(podman.says("speaker:v1"), "one");

    // The same again is a name, and a name moves.
    let (_, said) = podman.copy(&two, "containers-storage:speaker:v1");
    assert_eq!(layers(&said), expected(false, false), "{said}");
    assert_eq!(podman.says("speaker:v1"), "two");
    podman.copy(&one, "containers-storage:h.x/me/first");
    let names = [
        "docker.io/library/speaker:v1",
        "h.x/me/first:latest",
        "h.x/me/other:2",
    ];
    assert_eq!(podman.names(), names);

    let id = read_json(&one.join("index.json"));
    let manifest = id["manifests"][0]["digest"].as_str().unwrap();
    let manifest = read_json(&one.join("blobs").join(manifest.replace(':', "/")));
    let id = podman.ask(&[
        "image",
        "inspect",
        "--format",
        "sha256:{{.Id}}",
        "h.x/me/first",
    ]);
    assert_eq!(json!(id), manifest["config"]["digest"]);
}

/// <https://github.com/nlewo/nix2container/issues/183>: a success is only told when the image is there.
/// <https://github.com/containers/skopeo/issues/2107>: what is there is not sent again.
#[test]
fn skopeo_2107_nix2container_183_to_podman() {
    copies_and_copies_again(&Podman::local());
}

#[test]
fn skopeo_2107_nix2container_183_to_podman_without_root() {
    copies_and_copies_again(&Podman::rootless());
}

#[test]
fn skopeo_2107_nix2container_183_to_podman_elsewhere() {
    copies_and_copies_again(&Podman::remote());
}

/// Issue 11, row 6: podman has the health check of an image in Docker's format, wherever it comes from, and whoever
/// copies one in OCI's is told.
#[test]
fn row_6_a_health_check_reaches_podman() {
    for podman in [Podman::local(), Podman::remote()] {
        let mut speakers = Speakers::new();
        let check = json!({ "Test": ["CMD-SHELL", "true"], "Interval": "30s" });
        let mut image = |word: &str, format: Value| {
            speakers.image_with("speaker", word, |request| {
                request["image"]["config"]["Healthcheck"] = check.clone();
                request["image"]["format"] = format;
            })
        };
        let (oci, docker) = (image("oci", Value::Null), image("docker", json!("docker")));
        let health = |name: &str| {
            podman.ask(&[
                "image",
                "inspect",
                "--format",
                "{{json .HealthCheck}}",
                name,
            ])
        };
        let warning =
            "warning: the image has a Healthcheck, which podman does not read from OCI manifests";
        let kept = r#"{"Test":["CMD-SHELL","true"],"Interval":30000000000}"#;
        let (_, said) = podman.copy(&oci, "podman:a:oci");
        assert!(said.contains(warning), "{said}");
        let (_, said) = podman.copy(&docker, "podman:a:docker");
        assert!(!said.contains("warning:"), "{said}");
        assert_eq!(health("a:docker"), kept);
        assert_eq!(podman.says("a:docker"), "docker");
        let directory = new_directory();
        for (transport, loads) in [
            ("dir:", true),
            ("oci:", false),
            ("docker-archive:", true),
            ("oci-archive:", false),
        ] {
            let place = format!(
                "{transport}{}",
                directory.join(transport.replace(':', "")).display()
            );
            let name = if transport.contains("oci") {
                format!("{place}:1")
            } else {
                place.clone()
            };
            let (_, said) = podman.copy(&docker, &name);
            assert_eq!(said.contains(warning), !loads, "{name}: {said}");
            let (_, said) = podman.copy(&oci, &name);
            let is_oci = transport != "docker-archive:";
            assert_eq!(said.contains(warning), is_oci, "{name}: {said}");
            if loads && podman.proxy.is_none() {
                podman.copy(&docker, &name);
                let pulled = podman.ask(&["pull", "--quiet", &place]);
                assert_eq!(health(pulled.lines().last().unwrap()), kept, "{name}");
            }
        }
    }
}

/// A podman elsewhere that does not take the part that it should lack gets everything.
#[test]
fn what_is_refused_in_part_is_sent_whole() {
    let podman = Podman::remote();
    let mut speakers = Speakers::new();
    let [one, two] = ["one", "two"].map(|word| speakers.image("speaker", word));
    podman.copy(&one, "podman:");
    let sent = || podman.proxy.as_ref().map(SocketProxy::sent);
    assert!(sent() > Some(1 << 20));

    let directory = tempfile::tempdir().unwrap();
    let refused = directory.path().join("refused");
    let stand_in = directory.path().join("podman");
    let path = std::env::var("PATH").unwrap();
    let script = format!(
        r#"#!/bin/sh
        PATH='{path}'
        case " $* " in
        *" load "*)
            if mkdir {}; then
                cat >/dev/null
                echo 'unknown layer' >&2
                exit 125
            fi
            ;;
        esac
        exec podman "$@""#,
        refused.display()
    );
    fs::write(&stand_in, script).unwrap();
    fs::set_permissions(&stand_in, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = podman.strata(&two, "podman:");
    command.env("PATH", format!("{}:{path}", directory.path().display()));
    run(&mut command);
    assert!(refused.exists());
    assert!(sent() > Some(1 << 20));
    assert_eq!(podman.says("speaker:v1"), "two");
}

/// The manifest is kept where podman can: a pull, and no conversion.
#[test]
fn the_digest_is_the_images_own() {
    let podman = Podman::local();
    let mut speakers = Speakers::new();
    let image = speakers.image("speaker", "kept");
    podman.copy(&image, "containers-storage:");
    let found = podman.ask(&["image", "inspect", "--format", "{{.Digest}}", "speaker:v1"]);
    assert_eq!(found, digest(&image));
    let digests = podman.ask(&[
        "image",
        "inspect",
        "--format",
        "{{.RepoDigests}}",
        "speaker:v1",
    ]);
    assert_eq!(
        digests,
        format!("[docker.io/library/speaker@{}]", digest(&image))
    );
}

/// An image that podman got elsewhere has another manifest there; and what a killed copy leaves is a name.
#[test]
fn an_image_that_is_there_already_is_told_as_it_is_there() {
    let podman = Podman::local();
    let mut speakers = Speakers::new();
    let image = speakers.image("speaker", "there");
    let compressed = beside(&image, "compressed");
    run(strata("compress").args([&image, &compressed]));
    podman.copy(&compressed, "podman:");
    let id = podman.ask(&["image", "inspect", "--format", "{{.Id}}", "speaker:v1"]);
    podman.ask(&["tag", &id, &format!("127.0.0.1:1234/strata:{id}")]);
    podman.ask(&["tag", &id, "127.0.0.1:1234/strata:other"]);

    let (line, _) = podman.copy(&image, "podman:again");
    assert!(line.trim_end().ends_with(&digest(&compressed)), "{line}");
    let names = podman.ask(&[
        "image",
        "inspect",
        "--format",
        "{{join .RepoTags \" \"}}",
        &id,
    ]);
    assert_eq!(
        names,
        "docker.io/library/speaker:v1 127.0.0.1:1234/strata:other docker.io/library/again:latest"
    );
}

/// Another store path of the store that an image is in.
fn beside(image: &Path, name: &str) -> PathBuf {
    image.with_file_name(format!("{}-{name}", "0".repeat(32)))
}

/// Layers that are compressed already are sent as they are, and known again by their blobs.
#[test]
fn compressed_layers_are_skipped_too() {
    let podman = Podman::local();
    let mut speakers = Speakers::new();
    for (word, sent) in [
        ("pressed", expected(true, true)),
        ("repressed", expected(false, true)),
    ] {
        let image = speakers.image("speaker", word);
        let compressed = beside(&image, word);
        run(strata("compress").args([&image, &compressed]));
        let (_, said) = podman.copy(&compressed, "podman:");
        assert_eq!(layers(&said), sent, "{said}");
        assert_eq!(podman.says("speaker:v1"), word);
        let found = podman.ask(&["image", "inspect", "--format", "{{.Digest}}", "speaker:v1"]);
        assert_eq!(found, digest(&compressed));
    }
}

#[track_caller]
fn fails(output: &Output, code: i32) -> String {
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(output.stdout.is_empty());
    said
}

#[test]
fn a_layer_that_cannot_be_made_leaves_nothing() {
    for podman in [Podman::local(), Podman::remote()] {
        let mut speakers = Speakers::new();
        let image = speakers.image("speaker", "spoiled");
        speakers.spoil("spoiled");
        let output = podman
            .strata(&image, "containers-storage:")
            .output()
            .unwrap();
        let said = fails(&output, 1);
        assert!(said.contains("-say-spoiled: expected an archive"), "{said}");
        assert!(said.contains("\nhint: repair it"), "{said}");
        assert_eq!(podman.names(), [""; 0]);
    }
}

#[test]
fn an_interrupted_copy_leaves_nothing() {
    let podman = Podman::local();
    let mut speakers = Speakers::new();
    let image = speakers.image("speaker", "stopped");
    // The real podman, which takes its time before each pull.
    let directory = tempfile::tempdir().unwrap();
    let stand_in = directory.path().join("podman");
    let script = format!(
        "#!/bin/sh\ncase $1 in pull) touch {}/pulls; sleep 60 & wait $! ;; esac\n\
         PATH=\"{}\"; exec podman \"$@\"\n",
        directory.path().display(),
        std::env::var("PATH").unwrap(),
    );
    fs::write(&stand_in, script).unwrap();
    fs::set_permissions(&stand_in, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!(
        "{}:{}",
        directory.path().display(),
        std::env::var("PATH").unwrap()
    );
    let mut child = podman.strata(&image, "containers-storage:");
    let child = child
        .env("PATH", path)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = child.process_group(0).spawn().unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while !directory.path().join("pulls").exists() {
        assert!(Instant::now() < end, "podman is not asked to pull");
        std::thread::sleep(Duration::from_millis(5));
    }
    run(Command::new("kill").args(["-INT", &child.id().to_string()]));
    let group = child.id();
    let said = fails(&child.wait_with_output().unwrap(), 130);
    assert_eq!(said, "error: interrupted\n");
    assert_eq!(podman.names(), [""; 0]);
    // The shell that stood in is gone; what it started is ours to end.
    let _ = Command::new("kill")
        .args(["--", &format!("-{group}")])
        .status();
}

#[test]
fn without_podman_there_is_a_way_out() {
    let mut speakers = Speakers::new();
    let image = speakers.image("speaker", "alone");
    let mut command = strata("copy");
    command.arg(&image).env("PATH", "/nonexistent");
    let said = fails(&command.arg("containers-storage:").output().unwrap(), 1);
    assert!(
        said.contains("podman: there is no such program\nhint: install podman"),
        "{said}"
    );
    let mut command = strata("copy");
    command.arg(&image).env("PATH", "/nonexistent");
    let said = fails(
        &command
            .arg("containers-storage:[vfs@/x+/y]z")
            .output()
            .unwrap(),
        1,
    );
    assert!(
        said.contains("skopeo: there is no such program\nhint: install skopeo"),
        "{said}"
    );
}

#[test]
fn skopeo_fills_a_storage_of_its_own() {
    let podman = Podman::local();
    let mut speakers = Speakers::new();
    let storage = format!(
        "[vfs@{}+{}]",
        podman.path("containers-root").display(),
        podman.path("containers-run").display()
    );
    for (word, sent) in [
        ("first", expected(true, true)),
        ("second", expected(false, true)),
    ] {
        let image = speakers.image("speaker", word);
        let destination = format!("containers-storage:{storage}docker.io/library/filled:{word}");
        let (line, said) = podman.copy(&image, &destination);
        assert_eq!(line, format!("{destination}@{}\n", digest(&image)));
        assert_eq!(layers(&said), sent, "{said}");
        let name = format!("filled:{word}");
        assert_eq!(podman.says(&name), word);
        let found = podman.ask(&["image", "inspect", "--format", "{{.Digest}}", &name]);
        assert_eq!(found, digest(&image));
    }
}

#[test]
fn what_skopeo_refuses_is_told_in_its_words() {
    let mut speakers = Speakers::new();
    let image = speakers.image("speaker", "refused");
    let directory = tempfile::tempdir().unwrap();
    let output = strata("copy")
        .arg(&image)
        .arg(format!("sif:{}/x.sif", directory.path().display()))
        .output()
        .unwrap();
    let said = fails(&output, 1);
    assert!(said.contains("only be read from"), "{said}");
}

/// What is in an image of podman is looked at by the archive that it saves (issue 15).
#[test]
fn images_of_podman_are_looked_into() {
    let podman = Podman::local();
    let mut speakers = Speakers::new();
    let image = speakers.image("looked", "hello");
    podman.copy(&image, "containers-storage:looked:v1");
    let look = |name: &str| {
        let mut inspect = strata("inspect");
        inspect.args([name, "--json"]);
        podman.adopt(&inspect).output().unwrap()
    };
    for name in ["containers-storage:looked:v1", "podman:looked:v1"] {
        let output = look(name);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        let own = read_json(&image.join("layers.json"));
        let layers = own["layers"].as_array().unwrap().iter();
        let digests: Vec<&Value> = layers.map(|layer| &layer["digest"]).collect();
        let layers = found["layers"].as_array().unwrap().iter();
        let found: Vec<&Value> = layers.map(|layer| &layer["diffId"]).collect();
        assert_eq!(found, digests);
    }
    let output = look("containers-storage:nothing:1");
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(
        errors.contains("nothing:1") && errors.contains("hint: "),
        "{errors}"
    );
    assert_eq!(look("containers-storage:--help").status.code(), Some(1));
}
