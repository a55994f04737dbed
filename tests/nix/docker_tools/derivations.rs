//! Derivations of `dockerTools`: attributes, errors, and what no shell is run for.

use super::support::nix::{SANDBOX, expression, nix};
use super::{build, example, nix_store, run, text};

/// What Nix says of an expression that does not build.
pub(super) fn failure(body: &str) -> String {
    let mut command = nix("nix-build");
    command.args(["--no-out-link", "--expr", &expression(body)]);
    let output = command.output().unwrap();
    assert!(!output.status.success(), "{body}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn without_scripts_no_shell_runs() {
    let image = "strata.dockerTools.buildImage { name = \"plain\"; copyToRoot = pkgs.hello; }";
    let mut instantiate = nix("nix-instantiate");
    let derivation = run(instantiate.args(["--expr", &expression(image)]));
    let all = nix_store(&["--query", "--requisites", derivation.trim()]);
    let own = all.lines().filter(|path| path.contains("-plain"));
    for path in own.filter(|path| {
        [
            "-plain-root.drv",
            "-plain-conf.drv",
            "docker-image-plain.tar.gz.drv",
        ]
        .iter()
        .any(|end| path.ends_with(end))
    }) {
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.contains("/bin/strata"), "{path}: {text}");
        assert!(!text.contains("/bin/bash"), "{path}: {text}");
    }
}

#[test]
fn results_have_the_attributes_of_nixpkgs() {
    for (attribute, expected) in [
        ("layeredImage.imageName", "layered-image"),
        ("layeredImage.imageTag", "latest"),
        ("layeredImage.passthru.imageTag", "latest"),
        ("layeredImage.stream.isExe", "1"),
        ("helloOnRoot.isExe", "1"),
        ("bash.buildArgs.name", "bash"),
        ("helloOnRoot.conf.name", "hello-conf"),
        ("bash.name", "docker-image-bash.tar.gz"),
        ("layeredImage.name", "layered-image.tar.gz"),
        ("zstd.name", "layered-image.tar.zst"),
        ("helloOnRoot.name", "stream-hello"),
        ("fakeRoot.layer or \"none\"", "none"),
        ("layeredImage.isExe or \"none\"", "none"),
        ("bash.isExe or \"none\"", "none"),
        ("fakeRoot.stream.conf.drvAttrs.preferLocalBuild", "1"),
        (
            "(bash.overrideAttrs (_: { allowSubstitutes = false; })).drvAttrs.allowSubstitutes",
            "",
        ),
        ("(bash.overrideAttrs (_: { x = 1; })).imageName", "bash"),
    ] {
        let (example, rest) = attribute
            .strip_prefix('(')
            .map_or(("examples.", attribute), |rest| ("(examples.", rest));
        let body = format!("let inherit (strata.dockerTools) examples; in {example}{rest}");
        // toString makes "1" of true.
        assert_eq!(text(&body), expected, "{attribute}");
    }
    let layer = build("strata.dockerTools.examples.bash.layer");
    assert_eq!(
        std::fs::read_to_string(layer.join("VERSION")).unwrap(),
        "1.0"
    );
    let json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(layer.join("json")).unwrap()).unwrap();
    assert_eq!(json["os"], "linux");
    let sum = json["checksum"].as_str().unwrap();
    assert!(sum.starts_with("tarsum.v1+sha256:"), "{sum}");
    assert!(layer.join("layer.tar").exists());
}

#[test]
fn mistakes_are_told() {
    for (body, expected) in [
        (
            "strata.dockerTools.buildImage { name = \"a\"; compressor = \"xz\"; }",
            "\"xz\" is not a compressor",
        ),
        (
            "strata.dockerTools.buildLayeredImage { name = \"a\"; maxLayers = 1; }",
            "must be greater than 1, and is 1",
        ),
        (
            "strata.dockerTools.buildImage { name = \"a\"; contents = [ ]; copyToRoot = [ ]; }",
            "two names of one argument",
        ),
        (
            "strata.dockerTools.streamLayeredImage { name = \"a\"; copyToRoot = [ ]; }",
            "there is no argument `copyToRoot`",
        ),
        (
            "strata.dockerTools.streamLayeredImage { name = \"a\"; created = \"when it rains\"; }",
            "hint: write a time that date -d understands",
        ),
        (
            "strata.dockerTools.streamLayeredImage { name = \"a\"; contents = pkgs.writeText \"f\" \"\"; }",
            "is no directory",
        ),
        (
            "strata.dockerTools.buildLayeredImage {
               name = \"a\"; maxLayers = 2; contents = pkgs.hello;
               fromImage = strata.dockerTools.examples.bash;
             }",
            "attribute maxLayers: is 2, but the base image and what goes to the root take 2 layers",
        ),
        (
            "strata.dockerTools.streamLayeredImage { name = \"a\"; fakeRootCommands = \"echo said; false\"; }",
            "said",
        ),
        (
            "strata.dockerTools.streamLayeredImage {
               name = \"a\"; fakeRootCommands = \"mkdir data\\nchown nobody-there data\";
             }",
            "fakeRootCommands: line 2: chown nobody-there data\n",
        ),
        (
            "strata.dockerTools.streamLayeredImage {
               name = \"a\"; fakeRootCommands = \"mkdir data\\nchown nobody-there data\";
             }",
            "hint: owners need no script: say `files.",
        ),
        (
            "strata.dockerTools.buildImage {
               name = \"a\"; copyToRoot = pkgs.busybox; runAsRoot = ''
                 make() {
                   mknod /null x 1 3
                 }

                 make
               '';
             }",
            "/ runAsRoot: line 2: mknod /null x 1 3\nhint: devices need no script",
        ),
        (
            "strata.dockerTools.buildImage {
               name = \"a\"; copyToRoot = pkgs.busybox; runAsRoot = \"true\"; extraCommands = \"\\n\\nfalse\";
             }",
            "said last: extraCommands: line 3: false\n",
        ),
        (
            "strata.dockerTools.buildImage { name = \"a\"; extraCommands = \"mkdir x\\nchown nobody-there x\\n\"; }",
            "extraCommands: line 2: chown nobody-there x\nhint: it runs as the user that builds",
        ),
        (
            "strata.dockerTools.buildImage {
               name = \"a\"; extraCommands = \"mkdir data\"; files.\"/data\" = { type = \"directory\"; uid = 5; };
             }",
            "attribute files.\"/data\": a script made something there, too",
        ),
    ] {
        let said = failure(body);
        assert!(said.contains(expected), "{body}: {said}");
    }
}

#[test]
fn scripts_run_in_the_sandbox() {
    let image = "strata.dockerTools.buildImage {
      name = \"sandboxed\";
      copyToRoot = pkgs.busybox;
      runAsRoot = \"mkdir -p /data; chown 1000:1000 /data; chmod 6755 /data\";
      extraCommands = \"touch made\";
    }";
    let mut command = nix("nix-build");
    command.args(SANDBOX);
    run(command.args(["--no-out-link", "--expr", &expression(image)]));
}

/// There is no KVM here: what nixpkgs' own function is given, and that its layer is that of the image.
#[test]
fn with_use_vm_the_layer_is_made_by_nixpkgs() {
    let image = r#"
      (import (STRATA + "/nix") {
        pkgs = pkgs // {
          dockerTools.mkRootLayer = arguments: pkgs.runCommand "stand-in" { } ''
            mkdir -p $out root/made
            cp ${pkgs.writeText "arguments" (builtins.toJSON (removeAttrs arguments [ "baseJson" ]))} root/made/arguments
            ${pkgs.gnutar}/bin/tar -C root -cf $out/layer.tar made
          '';
        };
      }).dockerTools.buildImage {
        name = "machine";
        tag = "1";
        fromImage = strata.dockerTools.examples.bash;
        runAsRoot = "mount -t tmpfs none /mnt";
        extraCommands = "touch made";
        useVM = true;
        diskSize = 2048;
        buildVMMemorySize = 1024;
        config.Cmd = [ "${pkgs.hello}/bin/hello" ];
      }
    "#
    .replace("STRATA", super::support::nix::ROOT);
    let archive = super::archive_of(&build(&image));
    let manifest = super::json_member(&archive, "manifest.json");
    let layers = manifest[0]["Layers"].as_array().unwrap();
    assert_eq!(layers.len(), 2, "{layers:?}");
    let layer = super::member(&archive, layers[1].as_str().unwrap()).unwrap();
    let mut layer = tar::Archive::new(layer.as_slice());
    let mut paths = Vec::new();
    for entry in layer.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        if path == "made/arguments" {
            let given: serde_json::Value = serde_json::from_reader(&mut entry).unwrap();
            assert_eq!(given["diskSize"], 2048);
            assert_eq!(given["buildVMMemorySize"], 1024);
            assert_eq!(given["runAsRoot"], "mount -t tmpfs none /mnt");
            assert_eq!(given["extraCommands"], "touch made");
            assert_eq!(given.get("useVM").or(given.get("database")), None);
            let base = given["fromImage"].as_str().unwrap();
            assert!(base.ends_with("-bash.tar"), "{given}");
        }
        paths.push(path);
    }
    assert!(
        paths.iter().any(|path| path.ends_with("bin/hello")),
        "{paths:?}"
    );
    assert!(paths.contains(&"made/arguments".to_owned()));
}

/// Without a script, and beside one.
#[test]
fn files_have_owners_and_modes_without_a_script() {
    let files = "files = {
        \"/var/lib/app\" = { type = \"directory\"; mode = \"0750\"; uid = 1000; gid = 100; };
        \"/dev/fuse\" = { type = \"character\"; major = 10; minor = 229; };
        \"/bin/own\" = { source = \"${pkgs.hello}/bin/hello\"; capabilities = [ \"CAP_NET_RAW\" ]; mode = \"4755\"; };
      }";
    for (function, script) in [
        ("buildImage", ""),
        ("buildImage", "runAsRoot = \"mkdir /made\";"),
        ("buildLayeredImage", ""),
        ("buildLayeredImage", "fakeRootCommands = \"mkdir made\";"),
    ] {
        let image = build(&format!(
            "(strata.dockerTools.{function} {{ name = \"files\"; tag = \"1\"; {files}; {script} }}).ociLayout"
        ));
        let mut export = super::support::nix::strata();
        let mut tar = std::process::Command::new("tar");
        tar.args(["--numeric-owner", "--xattrs", "--xattrs-include=*", "-tvv"]);
        let mut export = export.arg("export").arg(&image);
        export = export.stdout(std::process::Stdio::piped());
        let mut export = export.spawn().unwrap();
        let listed = run(tar.stdin(export.stdout.take().unwrap()));
        assert!(export.wait().unwrap().success());
        let line = |path: &str| listed.lines().position(|line| line.ends_with(path));
        let at = |path: &str| {
            let line =
                line(path).unwrap_or_else(|| panic!("{function} {script}: no {path}: {listed}"));
            let lines = listed.lines().skip(line).take(2);
            let words: Vec<&str> = lines.flat_map(str::split_whitespace).collect();
            words.join(" ")
        };
        assert!(
            at("var/lib/app/").starts_with("drwxr-x--- 1000/100"),
            "{listed}"
        );
        assert!(at("dev/fuse").starts_with("crw-r--r-- 0/0"), "{listed}");
        assert!(at("dev/fuse").contains("10,229"), "{listed}");
        let own = at("bin/own");
        assert!(
            own.starts_with("-rwsr-xr-x* 0/0") && own.contains("security.capability"),
            "{own}"
        );
    }
}

#[test]
fn derivations_are_merged() {
    let merged = build(
        r#"strata.dockerTools.mergeDrvs {
          derivations = [
            (pkgs.writeTextDir "etc/a" "1")
            (pkgs.writeTextDir "etc/a" "2")
            (pkgs.writeTextDir ".hidden" "3")
            (pkgs.runCommand "archive.tar" { } "echo 4 > in-archive; tar -cf $out in-archive")
          ];
        }"#,
    );
    let read = |path: &str| std::fs::read_to_string(merged.join(path)).unwrap();
    assert_eq!(read("etc/a"), "2");
    assert_eq!(read(".hidden"), "3");
    assert_eq!(read("in-archive"), "4\n");
    let paths = build(
        "strata.dockerTools.mergeDrvs { derivations = [ pkgs.hello pkgs.bash ]; onlyDeps = true; }",
    );
    let paths = std::fs::read_to_string(paths).unwrap();
    assert_eq!(paths.split(' ').count(), 2);
}

#[test]
fn a_stream_takes_its_name_anywhere() {
    let script = example("helloOnRoot");
    let help = run(std::process::Command::new(&script).arg("--help"));
    assert!(
        help.starts_with("usage: stream-hello [-t NAME:TAG]"),
        "{help}"
    );
    for arguments in [
        &["-t", "other:1"][..],
        &["--quiet", "--repo_tag", "other:1"],
        &["--repo_tag=other:1", "--quiet"],
        &["-tother:1"],
    ] {
        let archive = tempfile::NamedTempFile::new().unwrap();
        let mut command = std::process::Command::new(&script);
        let status = command.args(arguments).stdout(archive.reopen().unwrap());
        assert!(status.output().unwrap().status.success(), "{arguments:?}");
        assert_eq!(super::tag_of(archive.path()), "other:1", "{arguments:?}");
    }
}
