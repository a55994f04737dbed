//! What an image comes with: `copyTo`, `copyToRegistry`, `compressed`, `inspect`, `stream`, `archive` and
//! the like.

use strata_testing as support;

use std::fs::Permissions;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::json;
use support::engines::{self, Engine};
use support::nix::{
    OwnStore, ROOT, build, build_all, digest, evaluate, name_of, references, store_paths, strata,
};
use support::oci::Layout;
use support::registry::{PASSWORD, Registry, Setup, USERNAME, run};

/// An image called `name`.
fn image(name: &str) -> String {
    format!(
        r#"
        (buildImage {{
          name = "{name}";
          tag = "v1";
          layers = [ (buildLayer {{ deps = [ pkgs.hello ]; }}) ];
          copyToRoot = pkgs.writeTextDir "etc/name" "{name}\n";
          config.Cmd = [ "${{pkgs.busybox}}/bin/cat" "/etc/name" ];
        }})
        "#
    )
}

/// A command of an image, and the image.
fn command(image: &str, name: &str, program: &str) -> (Command, PathBuf) {
    let outputs = build_all(&format!("[ {image}.{name} {image} ]"));
    let [script, image] = outputs.as_slice() else {
        panic!("{outputs:?}");
    };
    (Command::new(script.join(program)), image.clone())
}

fn inspect(reference: &str) -> String {
    let skopeo = [
        "inspect",
        "--tls-verify=false",
        "--format",
        "{{.Digest}}",
        "--creds",
    ];
    let creds = format!("{USERNAME}:{PASSWORD}");
    let output = run(Command::new("skopeo")
        .args(skopeo)
        .arg(creds)
        .arg(reference));
    output.trim().to_owned()
}

/// The flags that scripts pass to nix2container's `copyTo`.
#[test]
fn copy_to_takes_flags_of_skopeo() {
    let setup = Setup {
        password: true,
        ..Setup::default()
    };
    let registry = Registry::start(setup);
    let image = image("flags");
    let creds = format!("{USERNAME}:{PASSWORD}");
    let wrong = format!("{USERNAME}:wrong");
    let encoded = run(Command::new("sh").args(["-c", &format!("printf {creds} | base64")]));
    let auth = json!({ "auths": { (registry.host.clone()): { "auth": encoded.trim() } } });
    let auth_file = registry.file("auth.json", &auth.to_string());
    let auth_file = auth_file.to_str().unwrap();
    let digest_file = registry.file("digest", "");

    let name = format!("docker://{}/some/flags", registry.host);
    let plain = "--dest-tls-verify=false";
    let good: [&[&str]; 5] = [
        &[plain, "--dest-creds", &creds],
        &["--dest-creds", &creds, "--insecure-policy", plain],
        &[
            plain,
            "--dest-username",
            USERNAME,
            "--dest-password",
            PASSWORD,
        ],
        &[plain, "--authfile", auth_file, "--retry-times", "3"],
        &[
            plain,
            "--dest-authfile",
            auth_file,
            "--format",
            "oci",
            "--preserve-digests",
        ],
    ];
    for (number, flags) in good.into_iter().enumerate() {
        let name = format!("{name}:{number}");
        let (mut copy, image) = command(&image, "copyTo", "bin/copy-to");
        copy.args(["--quiet", "--digestfile", digest_file.to_str().unwrap()])
            .args(flags);
        assert_eq!(run(copy.arg(&name)), "", "quiet");
        let pushed = std::fs::read_to_string(&digest_file).unwrap();
        assert_eq!(inspect(&name), pushed.trim());
        // Compression is another digest.
        let preserved = flags.contains(&"--preserve-digests");
        assert_eq!(pushed.trim() == digest(&image), preserved, "{flags:?}");
    }
    let bad: [&[&str]; 2] = [
        &[plain, "--dest-no-creds"],
        &[plain, "--dest-creds", &wrong],
    ];
    for flags in bad {
        let (mut copy, _) = command(&image, "copyTo", "bin/copy-to");
        let output = copy
            .arg(format!("{name}:bad"))
            .args(flags)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{flags:?}: {said}");
        assert!(
            said.contains("\nhint: ") && !said.contains("wrong"),
            "{flags:?}: {said}"
        );
    }
}

/// The guide's job, on a machine without a cache: the second push finds the layers by the branch's tag.
#[test]
fn the_job_in_the_guide_sends_only_what_is_new() {
    let guide = std::fs::read_to_string(format!("{ROOT}/docs/guides/ci.md")).unwrap();
    let (_, job) = guide.split_once("```sh\n").unwrap();
    let (job, _) = job.split_once("```").unwrap();

    let registry = Registry::start(Setup {
        password: true,
        ..Setup::default()
    });
    let (copy, _) = command(&image("job"), "copyTo", "bin/copy-to");
    let nix = format!(
        "#!/bin/sh\n[ \"$1 $2 $3\" = 'run .#image.copyTo --' ] && shift 3 && exec {} \"$@\"",
        copy.get_program().display()
    );
    let nix = registry.file("nix", &nix);
    std::fs::set_permissions(&nix, Permissions::from_mode(0o755)).unwrap();
    let path = format!(
        "{}:{}",
        nix.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    let mut sent = Vec::new();
    for commit in ["one", "two"] {
        let before = registry.bytes_read().unwrap();
        let machine = tempfile::tempdir().unwrap();
        let said = run(Command::new("sh")
            .args(["-c", job])
            .current_dir(&machine)
            .env("PATH", &path)
            .env("XDG_CACHE_HOME", machine.path())
            .env("TMPDIR", machine.path())
            .env("REGISTRY", &registry.host)
            .env("REGISTRY_USER", USERNAME)
            .env("REGISTRY_PASSWORD", PASSWORD)
            .env("BRANCH", "main")
            .env("COMMIT", commit));
        for tag in [commit, "main"] {
            let digest = inspect(&format!("docker://{}/app:{tag}", registry.host));
            let deploy = format!("deploy {}/app@{digest}\n", registry.host);
            assert!(said.ends_with(&deploy), "{said}");
        }
        let left = std::fs::read_dir(&machine).unwrap();
        let left = left.map(|entry| entry.unwrap().file_name());
        assert!(
            left.into_iter()
                .all(|name| name == "digest" || name == "strata")
        );
        sent.push(registry.bytes_read().unwrap() - before);
    }
    assert!(sent[0] > 1_000_000 && sent[1] < 50_000, "{sent:?}");
}

/// The name of an image may be that of its place in a registry.
#[test]
fn copy_to_registry_knows_where() {
    let registry = Registry::start(Setup::default());
    let name = format!("{}/Some/Where", registry.host);
    let (mut copy, _) = command(&image(&name), "copyToRegistry", "bin/copy-to-registry");
    run(copy.arg("--dest-tls-verify=false"));
    let reference = evaluate(&format!("{}.imageRefUnsafe", image(&name)));
    assert_eq!(reference, format!("{}/some/where:v1", registry.host));
    let podman = engines::podman();
    run(&mut podman.command(&["pull", "--quiet", "--tls-verify=false", &reference]));
    assert_eq!(podman.run(&reference, &[]), format!("{name}\n"));
}

/// An image copied by one of its commands under its own name, and run.
fn copied_and_run(
    engine: &dyn Engine,
    (attribute, program): (&str, &str),
    change: impl FnOnce(&mut Command),
) {
    let (mut copy, _) = command(&image(program), attribute, &format!("bin/{program}"));
    change(&mut copy);
    let said = run(&mut copy);
    // A Docker engine knows no digest of what it loads.
    let has_digest = attribute != "copyToDockerDaemon";
    assert!(said.contains(&format!("{program}:v1")), "{said}");
    assert_eq!(said.contains("@sha256:"), has_digest, "{said}");
    assert_eq!(
        engine.run(&format!("{program}:v1"), &[]),
        format!("{program}\n")
    );
}

/// Without any program of Docker's.
#[test]
fn copy_to_docker_daemon_speaks_to_the_engine() {
    let docker = engines::docker();
    let names = ("copyToDockerDaemon", "copy-to-docker-daemon");
    copied_and_run(docker, names, |copy| {
        copy.env("DOCKER_HOST", docker.host());
        copy.env("PATH", "/nonexistent");
    });
}

/// The podman that the user's `PATH` has.
#[test]
fn copy_to_podman_calls_the_users() {
    let podman = engines::podman();
    let directory = tempfile::tempdir().unwrap();
    let wrapper = directory.path().join("podman");
    let own = podman.command(&[]);
    let own: Vec<&str> = std::iter::once(own.get_program())
        .chain(own.get_args())
        .map(|word| word.to_str().unwrap())
        .collect();
    let path = std::env::var("PATH").unwrap();
    let script = format!("#!/bin/sh\nPATH='{path}' exec {} \"$@\"\n", own.join(" "));
    std::fs::write(&wrapper, script).unwrap();
    std::fs::set_permissions(&wrapper, Permissions::from_mode(0o755)).unwrap();
    copied_and_run(podman, ("copyToPodman", "copy-to-podman"), |copy| {
        copy.env("PATH", directory.path());
    });
}

#[test]
fn copy_to_containerd_takes_its_flags() {
    let containerd = engines::containerd();
    let names = ("copyToContainerd", "copy-to-containerd");
    copied_and_run(containerd, names, |copy| {
        copy.args(["--containerd-address", containerd.socket()]);
        copy.args(["--containerd-namespace", "strata"]);
    });
}

/// Until it is interrupted.
#[test]
fn serve_offers_the_image() {
    let (mut serve, image) = command(&image("served"), "serve", "bin/serve");
    let mut server = serve
        .args(["--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let lines: Vec<String> = lines.take(2).map(Result::unwrap).collect();
    let reference = lines[1].split('@').next().unwrap();
    assert!(reference.ends_with("/served:v1"), "{lines:?}");
    let found = inspect(&format!("docker://{reference}"));
    run(Command::new("kill").args(["-INT", &server.id().to_string()]));
    assert_eq!(server.wait().unwrap().code(), Some(0));
    assert_eq!(found, digest(&image));
}

/// The stream is a program itself, as NixOS wants it, and the archive is what it writes.
#[test]
fn streams_and_archives_are_loaded() {
    let image = image("stream");
    let stream = build(&format!("{image}.stream"));
    assert!(stream.is_file());
    let podman = engines::podman();
    let mut streaming = Command::new(&stream)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut load = podman.command(&["load", "--quiet"]);
    run(load.stdin(streaming.stdout.take().unwrap()));
    assert!(streaming.wait().unwrap().success());
    assert_eq!(podman.run("stream:v1", &[]), "stream\n");

    let archive = build(&format!("{image}.archive"));
    let streamed = Command::new(stream).output().unwrap().stdout;
    assert!(std::fs::read(&archive).unwrap() == streamed);
    let docker = engines::docker();
    docker.load(&archive);
    assert_eq!(docker.run("stream:v1", &[]), "stream\n");
}

/// The flags of `dockerTools.streamLayeredImage`.
#[test]
fn a_stream_takes_another_name() {
    let stream = build(&format!("{}.stream", image("streamed")));
    for (arguments, name) in [
        (&["-t", "other:2"][..], "other:2"),
        (&["--repo_tag", "other:2", "--quiet"], "other:2"),
        (&["--repo_tag=other:2"], "other:2"),
        (&["--quiet"], "streamed:v1"),
    ] {
        let output = Command::new(&stream).args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        let directory = tempfile::tempdir().unwrap();
        let archive = directory.path().join("archive.tar");
        std::fs::write(&archive, output.stdout).unwrap();
        let mut tar = Command::new("tar");
        let list = run(tar.arg("-xOf").arg(&archive).arg("manifest.json"));
        let list: serde_json::Value = serde_json::from_str(&list).unwrap();
        assert_eq!(list[0]["RepoTags"][0], name, "{arguments:?}");
    }
    let output = Command::new(&stream).arg("-t").output().unwrap();
    assert!(!output.status.success() && output.stdout.is_empty());
}

/// By the name that the image has, in a form that readers of either kind of archive take.
#[test]
fn oci_archives_are_read_and_loaded() {
    let image = image("some/archived");
    let outputs = build_all(&format!("[ {image}.ociArchive {image} ]"));
    let [archive, image] = outputs.as_slice() else {
        panic!("{outputs:?}");
    };
    for reference in ["", ":some/archived:v1"] {
        let reference = format!("oci-archive:{}{reference}", archive.display());
        let inspect = ["inspect", "--format", "{{.Digest}}", &reference];
        let found = run(Command::new("skopeo").args(inspect));
        assert_eq!(found.trim(), digest(image), "{reference}");
    }
    let podman = engines::podman();
    podman.load(archive);
    let found = ["image", "inspect", "--format", "{{json .RepoTags}}"];
    let mut found = podman.command(&found);
    let names = run(found.arg("docker.io/some/archived:v1"));
    assert_eq!(names.trim(), r#"["docker.io/some/archived:v1"]"#);
    let said = podman.run("docker.io/some/archived:v1", &[]);
    assert_eq!(said, "some/archived\n");
}

#[test]
fn inspect_shows_what_is_inside() {
    let (mut text, built) = command(&image("inspected"), "inspect", "bin/inspect");
    let text = run(&mut text);
    assert!(text.contains(&digest(&built)), "{text}");
    let paths = store_paths(&built);
    assert!(paths.len() >= 4);
    for path in paths.keys() {
        let name = name_of(path);
        assert!(text.contains(name), "{name} is not in {text}");
    }
    let (mut inspect, _) = command(&image("inspected"), "inspect", "bin/inspect");
    let parsed: serde_json::Value = serde_json::from_str(&run(inspect.arg("--json"))).unwrap();
    assert_eq!(parsed["digest"], json!(digest(&built)));
    // That of `layers`, busybox, and what goes to `/`.
    assert_eq!(parsed["layers"].as_array().unwrap().len(), 3);
}

#[test]
fn verify_makes_the_layers_again() {
    let (mut verify, built) = command(&image("verified"), "verify", "bin/verify");
    assert!(run(&mut verify).starts_with(&digest(&built)));
}

/// A script has no argument for the image, so none is asked for.
#[test]
fn commands_show_how_they_are_called() {
    for (attribute, program, usage) in [
        ("copyTo", "bin/copy-to", "copyTo [OPTIONS] <DESTINATION>"),
        (
            "copyToPodman",
            "bin/copy-to-podman",
            "copyToPodman [OPTIONS]",
        ),
        ("serve", "bin/serve", "serve [OPTIONS]"),
    ] {
        let (mut script, _) = command(&image("called"), attribute, program);
        let help = run(script.arg("--help"));
        assert!(help.contains(&format!("\nUsage: {usage}\n")), "{help}");
        assert!(!help.contains("IMAGE>"), "{help}");
    }
    let (mut copy, _) = command(&image("called"), "copyTo", "bin/copy-to");
    let output = copy.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("\nhint: write copyTo [OPTIONS] <DESTINATION>;"),
        "{said}"
    );
}

/// The digest is in the store before anything is pushed, and what makes the layers stays with it.
#[test]
fn compressed_images_know_their_digest_in_the_registry() {
    let image = image("compressed");
    let outputs = build_all(&format!(
        "[ {image} {image}.compressed ({image}.compressed.override {{ compression = \"zstd\"; }}) ]"
    ));
    let [image_path, gzip, zstd] = outputs.as_slice() else {
        panic!("{outputs:?}");
    };
    let paths: std::collections::BTreeSet<String> = store_paths(image_path).into_keys().collect();
    for (compressed, media_type) in [(gzip, "tar+gzip"), (zstd, "tar+zstd")] {
        assert_eq!(references(compressed), paths);
        let layers = Layout::read(compressed).manifest["layers"].clone();
        for layer in layers.as_array().unwrap() {
            let found = layer["mediaType"].as_str().unwrap();
            assert!(found.ends_with(media_type), "{found}");
        }
        run(strata().arg("verify").arg(compressed));
    }

    let registry = Registry::start(Setup::default());
    let name = format!("docker://{}/compressed:1", registry.host);
    let copy = build(&format!("{image}.compressed.copyTo"));
    let said = run(Command::new(copy.join("bin/copy-to")).arg(&name));
    let reference = &name["docker://".len()..];
    assert_eq!(said, format!("{reference}@{}\n", digest(gzip)));
}

/// What is not in the layers' store paths is kept by the image: its references must say so.
#[test]
fn compressed_images_keep_what_the_image_holds() {
    let image = r#"
        (buildImage {
          name = "keeping";
          tag = "v1";
          compression = "zstd:1";
          initializeNixDatabase = true;
          layers = [ (buildLayer { deps = [ pkgs.hello ]; reproducible = false; }) ];
        })
    "#;
    let outputs = build_all(&format!("[ {image} {image}.compressed ]"));
    let [image, compressed] = outputs.as_slice() else {
        panic!("{outputs:?}");
    };
    let image = image.to_str().unwrap().to_owned();
    let mut expected = references(image.as_ref());
    expected.insert(image);
    assert_eq!(references(compressed), expected);
}

/// The bytes of compressed layers are the same in Nix's sandbox.
#[test]
fn compressed_images_are_built_in_the_sandbox() {
    let image = image("sandboxed");
    let store = OwnStore::new();
    let there = store.build(&format!("{image}.compressed"));
    let here = build(&format!("{image}.compressed"));
    assert_eq!(digest(&store.locate(&there)), digest(&here));
}
