//! Base images that other programs made, and images on top of them in real engines.

use strata_testing as support;

use std::path::{Path, PathBuf};
use std::process::Command;

use rstest::rstest;
use serde_json::json;
use support::engines::{Engine, containerd, docker, podman};
use support::fake_store::{FakeStore, Item};
use support::nix;
use support::registry::{Registry, Setup, run};

/// Builds a base with podman, which has buildah in it; its files say `word`, so that no engine knows
/// its layers.
fn build(word: &str, directory: &Path) -> String {
    let context = directory.join("context");
    let at = |name: &str| context.join(name);
    std::fs::create_dir_all(at("root/usr/bin")).unwrap();
    std::fs::create_dir_all(at("root/etc/gone")).unwrap();
    std::fs::write(at("root/etc/gone/old"), "").unwrap();
    std::fs::copy("/bin/busybox", at("root/usr/bin/busybox")).unwrap();
    std::os::unix::fs::symlink("usr/bin", at("root/bin")).unwrap();
    std::os::unix::fs::symlink("busybox", at("root/usr/bin/sh")).unwrap();
    std::fs::write(at("root/etc/base"), format!("base {word}\n")).unwrap();
    std::fs::write(
        at("root/etc/passwd"),
        "root:x:0:0::/:/bin/sh\nbase:x:1234:5678::/:/bin/sh\n",
    )
    .unwrap();
    std::fs::write(at("root/etc/group"), "root:x:0:\nbase:x:5678:\n").unwrap();
    std::fs::write(
        at("Dockerfile"),
        "FROM scratch\n\
         COPY root /\n\
         ENV PATH=/bin BASE=base OTHER=base\n\
         ENTRYPOINT [\"/bin/sh\", \"-c\"]\n\
         CMD [\"exit 1\"]\n\
         LABEL org.example.base=1\n\
         USER 1234:5678\n\
         COPY root/etc/base /etc/again\n",
    )
    .unwrap();
    let name = format!("localhost/base-{word}:v1");
    run(podman()
        .command(&["build", "--quiet", "--layers", "--tag", &name])
        .arg(&context));
    name
}

/// Saves a base in one of podman's formats.
fn save(name: &str, format: &str, path: &Path) {
    run(podman()
        .command(&["save", "--quiet", "--format", format, "--output"])
        .arg(path)
        .arg(name));
}

fn skopeo(arguments: &[&str]) {
    let mut command = Command::new("skopeo");
    run(command
        .args(["copy", "--quiet", "--insecure-policy"])
        .args(arguments));
}

/// Writes the base `word` to `path` in the form that the case is about.
fn write(form: &str, word: &str, directory: &Path, path: &Path) {
    let name = build(word, directory);
    let archive = directory.join("archive.tar");
    let archive_reference = format!("docker-archive:{}", archive.display());
    let shown = path.display().to_string();
    match form {
        "podman docker-archive" => save(&name, "docker-archive", path),
        "podman oci-archive" => save(&name, "oci-archive", path),
        "podman docker-dir" => save(&name, "docker-dir", path),
        "podman oci-dir" => save(&name, "oci-dir", path),
        "docker save" => {
            save(&name, "docker-archive", &archive);
            docker().load(&archive);
            run(&mut docker().command(&["save", "--output", &shown, &name]));
        }
        "dockerTools compressed" => {
            save(&name, "docker-archive", path);
            run(Command::new("gzip").arg(path));
            std::fs::rename(format!("{shown}.gz"), path).unwrap();
        }
        "skopeo oci" | "skopeo zstd" => {
            save(&name, "docker-archive", &archive);
            let format = if form == "skopeo zstd" {
                "zstd"
            } else {
                "gzip"
            };
            let target = format!("oci:{shown}:v1");
            skopeo(&[
                "--dest-compress-format",
                format,
                &archive_reference,
                &target,
            ]);
        }
        "skopeo from a registry" => {
            save(&name, "docker-archive", &archive);
            let registry = Registry::start(Setup::default());
            let reference = format!("docker://{}/base:v1", registry.host);
            skopeo(&["--dest-tls-verify=false", &archive_reference, &reference]);
            skopeo(&[
                "--src-tls-verify=false",
                &reference,
                &format!("dir:{shown}"),
            ]);
        }
        "umoci" => {
            save(&name, "docker-archive", &archive);
            skopeo(&[&archive_reference, &format!("oci:{shown}:v1")]);
            let image = format!("{shown}:v1");
            let file = directory.join("context/root/etc/base");
            run(Command::new("umoci")
                .args(["insert", "--image", &image])
                .arg(file)
                .arg("/etc/umoci"));
        }
        other => panic!("{other}"),
    }
}

/// An image on top of `base`, as an archive, and as the layout `image-layout` beside it.
fn image_on(base: &Path, form: &str, word: &str, directory: &Path) -> PathBuf {
    let mut store = FakeStore::new();
    let path = store.path("base");
    run(Command::new("cp")
        .arg("-r")
        .arg(base)
        .arg(store.locate(&path)));
    let tool = format!("#!/bin/sh\necho tool {word}\n");
    let env = store.add(
        "env",
        &[
            Item::Executable("bin/tool", &tool),
            Item::File("etc/own", "own\n"),
            Item::File("etc/gone/new", ""),
        ],
        &[],
    );
    let mut request = store.image_request();
    request["copyToRoot"] = json!([env]);
    request["image"]["name"] = json!(format!("image-{word}"));
    request["image"]["tag"] = json!("v1");
    request["image"]["fromImage"] = json!({ "path": path });
    request["image"]["remove"] = json!(["/etc/gone"]);
    if form == "umoci" {
        request["image"]["fromImage"]["tag"] = json!("v1");
    }
    request["image"]["config"] = json!({
        "Env": ["BASE=own", "OWN=own"],
        "Cmd": ["echo $BASE $OTHER $OWN; busybox id -u; busybox id -g; busybox cat /etc/base /etc/again /etc/own; /bin/tool; tool; busybox ls /etc/gone"]
    });
    let out = store.build(&request).unwrap();
    let archive = directory.join("image.tar");
    let mut copy = Command::new(env!("CARGO_BIN_EXE_strata"));
    copy.args(["copy", "--quiet"]).arg(store.locate(&out));
    run(copy.arg(format!("docker-archive:{}", archive.display())));
    let layout = format!("oci:{}:v1", directory.join("image-layout").display());
    let mut copy = Command::new(env!("CARGO_BIN_EXE_strata"));
    run(copy
        .args(["copy", "--quiet"])
        .arg(store.locate(&out))
        .arg(layout));
    archive
}

/// <https://github.com/NixOS/nixpkgs/issues/57073>, <https://github.com/NixOS/nixpkgs/issues/110696>,
/// <https://github.com/NixOS/nixpkgs/issues/129007>: what goes to `/bin` hid the base's `/bin -> usr/bin`, and
/// with it every program. <https://github.com/nlewo/nix2container/issues/79>: environment, user and entry point were lost.
#[rstest]
#[case("podman docker-archive")]
#[case("podman oci-archive")]
#[case("podman docker-dir")]
#[case("podman oci-dir")]
#[case("docker save")]
#[case("dockerTools compressed")]
#[case("skopeo oci")]
#[case("skopeo zstd")]
#[case("skopeo from a registry")]
#[case("umoci")]
fn nixpkgs_57073_an_image_on_a_base_runs(#[case] form: &str) {
    let directory = tempfile::tempdir().unwrap();
    let word = form.to_lowercase().replace(' ', "-");
    let base = directory.path().join("base");
    write(form, &word, directory.path(), &base);
    let archive = image_on(&base, form, &word, directory.path());
    // Docker 20 reads no zstd.
    let engines: &[&dyn Engine] = match form {
        "skopeo zstd" => &[podman(), containerd()],
        _ => &[podman(), docker(), containerd()],
    };
    for engine in engines {
        engine.load(&archive);
        let said = engine.run(&format!("image-{word}:v1"), &[]);
        let expected = format!(
            "own base own\n1234\n5678\nbase {word}\nbase {word}\nown\ntool {word}\ntool {word}\nnew\n"
        );
        assert_eq!(said, expected, "{form} in {}", engine.name());
    }
    if form != "skopeo zstd" {
        assert_eq!(unpacked_by_umoci(directory.path(), "etc/gone"), ["new"]);
    }
}

/// The names in a directory of the layout `image-layout` as umoci unpacks it.
fn unpacked_by_umoci(directory: &Path, below: &str) -> Vec<String> {
    let reference = format!("{}:v1", directory.join("image-layout").display());
    let bundle = directory.join("bundle");
    run(Command::new("umoci")
        .args(["unpack", "--image", &reference])
        .arg(&bundle));
    let entries = std::fs::read_dir(bundle.join("rootfs").join(below)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

/// Built by Nix: files, environment, user and entry point of both, and the users of both.
#[rstest]
#[case("podman docker-archive")]
#[case("docker save")]
#[case("skopeo zstd")]
#[case("skopeo from a registry")]
#[case("umoci")]
fn nix_builds_on_bases_of_others(#[case] form: &str) {
    let directory = tempfile::tempdir().unwrap();
    let word = format!("nix-{}", form.to_lowercase().replace(' ', "-"));
    let base = directory.path().join("base");
    write(form, &word, directory.path(), &base);
    let tag = if form == "umoci" {
        r#"tag = "v1";"#
    } else {
        ""
    };
    let image = nix::build(&format!(
        r#"buildImage {{
          name = "{word}";
          tag = "v1";
          fromImage = {{ image = builtins.path {{ name = "base"; path = {}; }}; {tag} }};
          system = {{
            users.app = {{ uid = 1000; groups = [ "base" ]; }};
            groups.app.gid = 1000;
            groups.base.gid = 5678;
          }};
          remove = [ "/etc/gone" ];
          config.Env = [ "OWN=own" ];
          config.Cmd = [
            "echo $BASE $OTHER $OWN; busybox id -un; busybox id -gn; busybox id app; busybox cat /etc/base; busybox ls -d /tmp /etc/gone; ${{pkgs.hello}}/bin/hello -g hi"
          ];
        }}"#,
        base.display()
    ));
    let archive = directory.path().join("image.tar");
    let destination = format!("docker-archive:{}", archive.display());
    run(Command::new(env!("CARGO_BIN_EXE_strata"))
        .args(["copy", "--quiet"])
        .arg(&image)
        .arg(destination));
    // Docker 20 reads no zstd.
    let engines: &[&dyn Engine] = match form {
        "skopeo zstd" => &[podman()],
        _ => &[podman(), docker()],
    };
    for engine in engines {
        engine.load(&archive);
        let said = engine.run(&format!("{word}:v1"), &[]);
        let expected = format!(
            "base base own\nbase\nbase\n\
             uid=1000(app) gid=1000(app) groups=1000(app),5678(base)\nbase {word}\n/tmp\nhi\n"
        );
        assert_eq!(said, expected, "{form} in {}", engine.name());
    }
}
