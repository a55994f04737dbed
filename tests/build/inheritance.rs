//! What an image inherits of its base's config, compared with what buildah makes of a Dockerfile.

use strata_testing as support;

use std::path::Path;
use std::process::Command;

use rstest::rstest;
use serde_json::{Map, Value, json};
use strata_image::Image;
use support::bases::{BaseImage, Piece, archive, tar};
use support::fake_store::{FakeStore, read_json};
use support::registry::run;

fn base() -> BaseImage {
    let layer = tar(&[Piece::Directory("srv", 0o755, 0)]);
    BaseImage {
        config: json!({
            "Cmd": ["base-command"],
            "Entrypoint": ["/base"],
            "Env": ["PATH=/bin", "BASE=base", "OTHER=a=b"],
            "ExposedPorts": { "80/tcp": {} },
            "Healthcheck": { "Test": ["CMD", "/base-health"], "Interval": 5_000_000_000_u64 },
            "Labels": { "org.example.base": "1", "org.example.both": "base" },
            "Shell": ["/bin/base-shell", "-c"],
            "StopSignal": "SIGUSR1",
            "User": "7:8",
            "Volumes": { "/base-volume": {} },
            "WorkingDir": "/srv"
        }),
        name: "localhost/base:1".to_owned(),
        ..BaseImage::new(vec![layer])
    }
}

fn buildah(storage: &Path) -> Command {
    let mut command = Command::new("buildah");
    for (option, directory) in [("--root", "root"), ("--runroot", "run")] {
        command.arg(option).arg(storage.join(directory));
    }
    command.args(["--storage-driver", "vfs"]);
    command
}

/// The config of the image that `buildah` makes of `instructions` on the base.
fn by_buildah(base: &Path, instructions: &str) -> Value {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let reference = format!("docker-archive:{}", base.display());
    run(buildah(directory.path()).args(["pull", "--quiet", &reference]));
    std::fs::create_dir(at("context")).unwrap();
    let text = format!("FROM localhost/base:1\n{instructions}\n");
    std::fs::write(at("context/Dockerfile"), text).unwrap();
    run(buildah(directory.path())
        .args(["build", "--quiet", "--pull-never", "--identity-label=false"])
        .args([
            "--format",
            "docker",
            "--isolation",
            "chroot",
            "--tag",
            "own",
        ])
        .arg(at("context")));
    let to = at("image");
    run(buildah(directory.path())
        .args(["push", "--quiet", "own"])
        .arg(format!("dir:{}", to.display())));
    let manifest = read_json(&to.join("manifest.json"));
    let digest = manifest["config"]["digest"].as_str().unwrap();
    let config = read_json(&to.join(digest.strip_prefix("sha256:").unwrap()));
    let mut fields = config["config"].as_object().cloned().unwrap();
    // What belongs to the container that it builds in.
    let is_own = |name: &str| matches!(name, "Hostname" | "Image");
    fields.retain(|name, value| is_something(value) && !is_own(name));
    Value::Object(fields)
}

/// Docker's format spells out what nobody set.
fn is_something(value: &Value) -> bool {
    ![json!(null), json!(false), json!(""), json!([]), json!({})].contains(value)
}

/// The config of an image of ours that says `config` on the base.
fn by_strata(base: &Path, config: &Value) -> Value {
    let mut store = FakeStore::relocated();
    let path = store.path("base.tar");
    std::fs::copy(base, store.locate(&path)).unwrap();
    let mut request = store.image_request();
    request["image"]["fromImage"] = json!({ "path": path });
    request["image"]["config"] = config.clone();
    let out = store.build(&request).unwrap();
    let image = Image::open(&store.locate(&out)).unwrap();
    Value::Object(image.config.config.into_iter().collect::<Map<_, _>>())
}

/// <https://github.com/nlewo/nix2container/issues/79>: Env, Entrypoint and User of the base were lost.
#[rstest]
#[case::nothing("", json!({}))]
#[case::env("ENV BASE=own NEW=1", json!({ "Env": ["BASE=own", "NEW=1"] }))]
#[case::env_last_wins("ENV PATH=/own\nENV PATH=/last", json!({ "Env": ["PATH=/own", "PATH=/last"] }))]
#[case::entrypoint(r#"ENTRYPOINT ["own"]"#, json!({ "Entrypoint": ["own"] }))]
#[case::cmd(r#"CMD ["own"]"#, json!({ "Cmd": ["own"] }))]
#[case::entrypoint_and_cmd(
    "ENTRYPOINT [\"own\"]\nCMD [\"x\"]", json!({ "Entrypoint": ["own"], "Cmd": ["x"] })
)]
#[case::no_entrypoint("ENTRYPOINT []", json!({ "Entrypoint": [] }))]
#[case::labels(
    "LABEL org.example.both=own org.example.own=2",
    json!({ "Labels": { "org.example.both": "own", "org.example.own": "2" } })
)]
#[case::ports("EXPOSE 81 82/udp", json!({ "ExposedPorts": { "81/tcp": {}, "82/udp": {} } }))]
#[case::volumes("VOLUME /own", json!({ "Volumes": { "/own": {} } }))]
#[case::user("USER own", json!({ "User": "own" }))]
#[case::directory_below("WORKDIR sub/directory", json!({ "WorkingDir": "sub/directory" }))]
#[case::directory_absolute("WORKDIR /own", json!({ "WorkingDir": "/own" }))]
#[case::directory_above("WORKDIR ../own", json!({ "WorkingDir": "../own" }))]
#[case::stop_signal("STOPSIGNAL SIGINT", json!({ "StopSignal": "SIGINT" }))]
#[case::shell(r#"SHELL ["/own", "-x"]"#, json!({ "Shell": ["/own", "-x"] }))]
#[case::health("HEALTHCHECK NONE", json!({ "Healthcheck": { "Test": ["NONE"] } }))]
#[case::health_replaced(
    r#"HEALTHCHECK --timeout=3s CMD ["/own"]"#,
    json!({ "Healthcheck": { "Test": ["CMD", "/own"], "Timeout": 3_000_000_000_u64 } })
)]
fn nix2container_79_fields_are_inherited_as_buildah_does(
    #[case] instructions: &str,
    #[case] config: Value,
) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("base.tar");
    std::fs::write(&file, archive(&base().docker_archive())).unwrap();
    let mut theirs = by_buildah(&file, instructions);
    let mut ours = by_strata(&file, &config);
    let fields = ours.as_object_mut().unwrap();
    fields.retain(|_, value| is_something(value));
    for config in [&mut ours, &mut theirs] {
        // buildah puts a variable that is set again behind all others; Docker and we leave it in
        // its place.
        let variables = config["Env"].as_array_mut().unwrap();
        variables.sort_by_key(ToString::to_string);
    }
    assert_eq!(ours, theirs);
}
