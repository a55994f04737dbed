//! `dockerTools` on images that were pulled, from a real registry.

use std::process::Command;

use super::support::engines::{self, Engine};
use super::support::nix::{SANDBOX, expression, nix, strata};
use super::support::registry::{Registry, Setup, run};
use super::{archive_of, build, config_of, tag_of};

/// T16: what is pulled runs under its name. T18: it is a base, and names are lower-cased. A lock file is what
/// `nix-prefetch-docker` writes elsewhere; `pullImage` of nixpkgs is used as it is and needs its skopeo.
#[test]
fn t16_t18_pulled_images_run_and_are_bases() {
    let registry = Registry::start(Setup::default());
    let time = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    // Nix keeps what it fetched, so each run has an image of its own.
    let image = build(&format!(
        r#"(strata.dockerTools.buildImage {{
          name = "pulled";
          tag = "1";
          copyToRoot = pkgs.busybox;
          extraCommands = "echo ${{toString {time}}} > time";
          config = {{ Env = [ "PULLED=yes" ]; Cmd = [ "/bin/cat" "/time" ]; }};
        }}).ociLayout"#
    ));
    let name = format!("{}/pulled", registry.host);
    let mut push = strata();
    push.args(["copy", "--quiet", "--dest-tls-verify=false"])
        .arg(&image);
    run(push.arg(format!("docker://{name}:v1")));
    let directory = tempfile::tempdir().unwrap();
    let lock = directory.path().join("image.lock.json");
    std::fs::write(&lock, run(strata().args(["lock", &format!("{name}:v1")]))).unwrap();

    let pulled = format!(
        "strata.pullImage {{ lock = {}; tlsVerify = false; }}",
        lock.display()
    );
    let built = |body: &str| {
        let mut command = nix("nix-build");
        command
            .args(["--no-out-link", "--expr", &expression(body)])
            .args(SANDBOX);
        for name in ["NETRC", "REGISTRY_AUTH_FILE", "NIX_SSL_CERT_FILE"] {
            command.env_remove(name);
        }
        std::path::PathBuf::from(run(&mut command).trim_end())
    };
    let podman = engines::podman();
    let archive = directory.path().join("pulled.tar");
    let to = format!("docker-archive:{}:pulled-again:2", archive.display());
    run(Command::new("skopeo")
        .args(["--insecure-policy", "copy", "--quiet"])
        .arg(format!("dir:{}", built(&pulled).display()))
        .arg(to));
    podman.load(&archive);
    assert_eq!(
        podman.run("pulled-again:2", &[]),
        format!("{time}\n"),
        "T16"
    );

    for (function, script) in [
        ("buildImage", "runAsRoot"),
        ("buildLayeredImage", "fakeRootCommands"),
    ] {
        let more = if function == "buildImage" {
            ""
        } else {
            "enableFakechroot = true;"
        };
        let image = built(&format!(
            r#"strata.dockerTools.{function} {{
              name = "OnPulled-{function}";
              tag = "1";
              fromImage = {pulled};
              {script} = "cat /time /time > /twice";
              {more}
              config.Cmd = [ "${{pkgs.hello}}/bin/hello" ];
            }}"#
        ));
        let archive = archive_of(&image);
        let tag = format!("onpulled-{}:1", function.to_lowercase());
        assert_eq!(tag_of(&archive), tag, "T18");
        assert_eq!(config_of(&archive)["config"]["Env"][0], "PULLED=yes");
        podman.load(&archive);
        assert_eq!(podman.run(&tag, &[]), "Hello, world!\n", "T18");
        let twice = podman.run(&tag, &["/bin/cat", "/twice"]);
        assert_eq!(twice, format!("{time}\n{time}\n"));
    }
}

/// T28, <https://github.com/NixOS/nixpkgs/issues/214434>: the same layer twice in the manifest of a base, by symlinks, as
/// Docker writes archives of images with an empty layer.
#[test]
fn nixpkgs_214434_t28_scripts_run_on_a_base_that_repeats_a_layer() {
    let image = build(
        r#"let
          once = strata.dockerTools.buildImage {
            name = "once";
            tag = "1";
            copyToRoot = pkgs.busybox;
            compressor = "none";
          };
          twice = pkgs.runCommand "twice.tar" { } ''
            mkdir image
            cd image
            ${pkgs.gnutar}/bin/tar -xf ${once}
            chmod -R u+w .
            layer=$(sed 's/.*"Layers":\["\([^"]*\)".*/\1/' manifest.json)
            config=$(sed 's/.*"Config":"\([^"]*\)".*/\1/' manifest.json)
            mkdir one two
            cp "$layer" one/layer.tar
            ln -s ../one/layer.tar two/layer.tar
            sum=$(sha256sum < one/layer.tar | cut -d ' ' -f 1)
            sed "s/\"diff_ids\":\[[^]]*\]/\"diff_ids\":[\"sha256:$sum\",\"sha256:$sum\"]/; s/\"history\":\[[^]]*\]/\"history\":[]/" \
              "$config" > config.json
            echo '[{"Config":"config.json","RepoTags":["twice:1"],"Layers":["one/layer.tar","two/layer.tar"]}]' > new.json
            mv new.json manifest.json
            rm -f repositories oci-layout index.json
            ${pkgs.gnutar}/bin/tar -cf $out manifest.json config.json one two
          '';
        in
        strata.dockerTools.buildImage {
          name = "on-twice";
          tag = "1";
          fromImage = twice;
          runAsRoot = "/bin/busybox touch /made";
        }"#,
    );
    let archive = archive_of(&image);
    let podman = engines::podman();
    podman.load(&archive);
    let said = podman.run(
        "on-twice:1",
        &["/bin/busybox", "ls", "/made", "/bin/busybox"],
    );
    assert_eq!(said, "/bin/busybox\n/made\n");
}
