//! What Nix builds: the same everywhere, with exactly the right references, and no more often than
//! needed.

use strata_testing as support;

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use strata_oci::Digest;
use strata_testing::flake::Tree;
use support::fake_store::read_json;
use support::nix::{
    OwnStore, ROOT, SANDBOX, build, build_all, digest, evaluate, expression, name_of, nix,
    references, store_paths, strata,
};
use support::registry::{Registry, Setup, run};

/// An image with some of everything that bytes depend on.
const IMAGE: &str = r#"
    let
      files = pkgs.runCommand "files" { } ''
        mkdir -p $out/etc $out/tmp "$out/usr/share/größe"
        echo same > $out/etc/one
        echo same > $out/etc/two
        ln -s one $out/etc/link
        i=0
        while [ $i -lt 50 ]; do i=$((i + 1)); echo $i > "$out/usr/share/größe/$i"; done
      '';
      layer = buildLayer { deps = [ pkgs.bash ]; maxLayers = 2; };
    in
    buildImage {
      name = "Same";
      tag = "v1";
      layers = [ layer ];
      maxLayers = 3;
      copyToRoot = files;
      perms = [ { path = files; regex = "/tmp$"; mode = "1777"; uid = 5; uname = "five"; } ];
      config.Cmd = [ "${pkgs.hello}/bin/hello" ];
      meta.description = "The same everywhere";
    }
"#;

/// Somebody without rights.
const NOBODY: u32 = 65534;

/// A probe fails if this directory of the machine can be seen from the inside.
fn probe(directory: &Path) -> String {
    format!(
        r#"
        derivation {{
          name = "probe";
          system = "x86_64-linux";
          builder = "${{pkgs.busybox}}/bin/sh";
          args = [ "-c" "[ ! -e {} ] && echo > $out" ];
        }}
        "#,
        directory.display()
    )
}

/// Nix's sandbox on; nothing shared with the store of the machine, down to the packages.
#[test]
fn another_store_gives_the_same() {
    let image = build(IMAGE);
    let store = OwnStore::new();
    assert_eq!(store.build(IMAGE), image);
    assert_eq!(digest(&store.locate(&image)), digest(&image));
    store.build(&probe(store.path()));
}

#[test]
fn the_sandbox_changes_nothing() {
    let image = build(IMAGE);
    let directory = tempfile::tempdir().unwrap();
    let check = |body: &str, options: &[&str]| {
        let mut command = nix("nix-build");
        command.args(["--no-out-link", "--check", "--expr", &expression(body)]);
        command.args(options).output().unwrap()
    };
    // The sandbox is on when it is asked for, and off when it is not.
    let probe = probe(directory.path());
    let mut first = nix("nix-build");
    first
        .args(["--no-out-link", "--expr", &expression(&probe)])
        .args(SANDBOX);
    run(&mut first);
    assert!(check(&probe, &SANDBOX).status.success());
    assert!(!check(&probe, &[]).status.success());

    for options in [
        SANDBOX.as_slice(),
        &["--cores", "1"],
        &["--cores", "2"],
        &["--cores", "0"],
    ] {
        let output = check(IMAGE, options);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{options:?}: {said}");
        // What was checked is the image, by building it again.
        assert!(said.contains("checking outputs of"), "{said}");
        assert_eq!(
            String::from_utf8(output.stdout).unwrap().trim(),
            image.to_str().unwrap()
        );
    }
    let mut rebuild = nix("nix");
    rebuild.args([
        "build",
        "--rebuild",
        "--no-link",
        "--impure",
        "--expr",
        &expression(IMAGE),
    ]);
    run(&mut rebuild);
}

/// Equal files are one file with several names after `nix-store --optimise`.
#[test]
fn an_optimised_store_gives_the_same() {
    let store = OwnStore::new();
    let image = store.build(IMAGE);
    let before = copy_in(&store, &image);
    run(store.nix("nix-store").arg("--optimise"));
    let paths = store_paths(&store.locate(&image));
    let files = paths.keys().find(|path| name_of(path) == "files").unwrap();
    let links = |file: &str| {
        let file = store.locate(Path::new(files)).join(file);
        file.symlink_metadata().unwrap().nlink()
    };
    assert!(links("etc/one") >= 3, "one, two and the store's own name");

    let mut check = store.nix("nix-build");
    run(check.args(["--no-out-link", "--check", "--expr", &expression(IMAGE)]));
    assert_eq!(copy_in(&store, &image), before);
}

/// The digest of the archive that is copied from a store.
fn copy_in(store: &OwnStore, image: &Path) -> String {
    let mut copy = store.enter(strata().get_program());
    copy.args(["copy", "--quiet"])
        .arg(image)
        .arg("docker-archive:-");
    let output = copy.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    strata_oci::Digest::of(&output.stdout).to_string()
}

/// Another user, another umask, another locale, another time zone: Nix keeps most of that away from
/// builders, so the builder also runs without Nix.
#[test]
fn another_user_gives_the_same() {
    let image = build(IMAGE);
    let store = OwnStore::new();
    let mut instantiate = store.nix("nix-instantiate");
    let drv = run(instantiate.args(["--expr", &expression(IMAGE)]));
    chown_all(store.path());

    // A whole build by a user who has no rights, in a sandbox that anybody can have.
    let mut realise = as_nobody(store.path(), "nix-store");
    realise
        .arg("--store")
        .arg(store.path())
        .args(SANDBOX)
        .args(["--realise", drv.trim()]);
    run(&mut realise);
    let there = store.locate(&image);
    assert_eq!(there.metadata().unwrap().uid(), NOBODY);
    assert_eq!(digest(&there), digest(&image));

    // The builder alone, and a copy.
    let attrs = build(&format!("let image = {IMAGE}; in {ATTRS}"));
    let mut attrs = read_json(&attrs);
    let out = format!("/nix/store/{}-image-again", "0".repeat(32));
    attrs["outputs"]["out"] = json!(out);
    let file = store.path().join("attrs.json");
    std::fs::write(&file, attrs.to_string()).unwrap();
    let builder = evaluate(&format!("({IMAGE}).drvAttrs.builder"));
    let mut again = store.enter("sh");
    again.args([
        "-c",
        r#"umask 077; export "$1"; shift; exec "$@""#,
        "sh",
        "NIX_BUILD_CORES=1",
    ]);
    again.args(as_nobody_arguments(store.path()));
    run(again.arg(builder).arg(&file));
    let again = store.locate(Path::new(&out));
    assert_eq!(again.metadata().unwrap().uid(), NOBODY);
    assert_eq!(digest(&again), digest(&image));

    let mut copy = store.enter("sh");
    copy.args(["-c", r#"umask 077; exec "$@""#, "sh"]);
    copy.args(as_nobody_arguments(store.path()));
    // Nobody may read nothing of the tree, perhaps.
    let program = store.path().join("strata");
    std::fs::copy(strata().get_program(), &program).unwrap();
    copy.arg(program)
        .args(["copy", "--quiet"])
        .arg(&image)
        .arg("docker-archive:-");
    let output = copy.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let digest_of_copy = strata_oci::Digest::of(&output.stdout).to_string();
    assert_eq!(digest_of_copy, copy_in(&store, &image));
}

/// A file with the attributes that Nix hands to the builder of `image`.
const ATTRS: &str = r#"
    derivation (image.drvAttrs // {
      name = "attrs";
      builder = "${pkgs.bash}/bin/bash";
      args = [ "-c" "source .attrs.sh; ${pkgs.busybox}/bin/cp .attrs.json \${outputs[out]}" ];
    })
"#;

fn chown_all(path: &Path) {
    let mut chown = Command::new("chown");
    run(chown
        .args(["--recursive", "--no-dereference", &NOBODY.to_string()])
        .arg(path));
}

/// A program of Nix as nobody, whose home is `home`.
fn as_nobody(home: &Path, program: &str) -> Command {
    let mut arguments = as_nobody_arguments(home).into_iter();
    let mut command = Command::new(arguments.next().unwrap());
    command.args(arguments).arg(program);
    command
}

fn as_nobody_arguments(home: &Path) -> Vec<String> {
    let home = home.display();
    let mut arguments = vec!["setpriv".to_owned(), format!("--reuid={NOBODY}")];
    arguments.extend(["--regid=65534", "--clear-groups", "env"].map(str::to_owned));
    arguments.extend([
        format!("HOME={home}"),
        format!("NIX_CONF_DIR={home}/conf"),
        "NIX_CONFIG=substituters =".to_owned(),
        "LC_ALL=tr_TR.UTF-8".to_owned(),
        "LANG=tr_TR.UTF-8".to_owned(),
        "TZ=Asia/Kathmandu".to_owned(),
        format!("TMPDIR={home}"),
    ]);
    arguments
}

/// Nix finds in the output what it must keep alive: the packages of the image, and not the builder.
#[test]
fn references_are_the_packages() {
    let image = build(IMAGE);
    let paths: BTreeSet<String> = store_paths(&image).into_keys().collect();
    let names: Vec<&str> = paths.iter().map(|path| name_of(path)).collect();
    for name in ["files", "bash-5", "hello-2", "glibc-2"] {
        assert!(names.iter().any(|it| it.starts_with(name)), "{names:?}");
    }
    assert_eq!(references(&image), paths);

    // Without a tag it is the output's own hash.
    let tagless = build(&IMAGE.replace(r#"tag = "v1";"#, ""));
    let mut expected = paths.clone();
    expected.insert(tagless.display().to_string());
    assert_eq!(references(&tagless), expected);

    // Tars that are kept.
    let kept = build(&IMAGE.replace("maxLayers = 2;", "maxLayers = 2; reproducible = false;"));
    let tars = read_json(&kept.join("layers.json"));
    let tars = tars["layers"].as_array().unwrap().iter();
    let tars = tars.filter_map(|layer| layer["tar"].as_str().map(PathBuf::from));
    let layers: BTreeSet<String> = tars
        .map(|tar| tar.parent().unwrap().display().to_string())
        .collect();
    assert_eq!(layers.len(), 1, "{layers:?}");
    assert_eq!(references(&kept), &paths | &layers);
}

/// Issue 12: a pipeline with packages in it, as a list, and in a file that a derivation writes.
#[test]
fn a_pipeline_cuts_what_nix_built() {
    let image = |pipeline: &str| {
        build(&format!(
            r#"
            let
              list = [
                [ "subcomponent_out" [ pkgs.bash ] ]
                [ "over" "main" [ "pipe" [ [ "popularity_contest" ] [ "reverse" ] ] ] ]
                [ "reverse" ]
              ];
            in
            buildImage {{
              name = "cut";
              tag = "v1";
              config.Cmd = [ "${{pkgs.bash}}/bin/bash" "${{pkgs.hello}}/bin/hello" ];
              layeringPipeline = {pipeline};
            }}
            "#
        ))
    };
    let built = image("list");
    let layers = read_json(&built.join("layers.json"));
    let layers = layers["layers"].as_array().unwrap().iter();
    let names = layers.map(|layer| {
        let sources = layer["recipe"]["sources"].as_array().unwrap();
        let [source] = sources.as_slice() else {
            panic!("{layer}");
        };
        name_of(source["storePath"].as_str().unwrap()).to_owned()
    });
    let names: Vec<String> = names.collect();
    let starts = |number: usize, name: &str| names[number].starts_with(name);
    assert!(starts(0, "hello") && starts(1, "bash"), "{names:?}");
    assert!(names.last().unwrap().starts_with("glibc"), "{names:?}");

    let file = image(r#"pkgs.writeText "pipeline.json" (builtins.toJSON list)"#);
    assert_eq!(digest(&file), digest(&built));
    // The image needs neither the file nor what only it mentions.
    assert_eq!(store_paths(&file).keys().count(), names.len());
    assert!(
        references(&file)
            .iter()
            .all(|path| !path.ends_with("pipeline.json"))
    );
}

/// An index refers to its images, and to what their configurations mention; one of compressed images has the digest that
/// the registry has afterwards.
#[test]
fn an_index_refers_to_its_images() {
    let index = r#"
        let
          image =
            platform:
            buildImage {
              name = "image";
              inherit platform;
              config.Env = [ "HELLO=${pkgs.hello}/bin/hello" ];
            };
          images = map image [ "linux/amd64" "linux/arm64" ];
          index = strata.buildIndex { name = "index"; tag = "1"; inherit images; };
        in
    "#;
    let images = build_all(&format!("{index} images"));
    let hello = build("pkgs.hello");
    let expected = images.iter().chain([&hello]);
    let expected = expected.map(|path| path.display().to_string());
    let built = build(&format!("{index} index"));
    assert_eq!(references(&built), expected.collect());

    let compressed = build(&format!("{index} index.compressed"));
    let registry = Registry::start(Setup::default());
    let name = format!("docker://{}/index:1", registry.host);
    let said = run(strata().arg("copy").arg(&compressed).arg(&name));
    let reference = &name["docker://".len()..];
    assert_eq!(said, format!("{reference}@{}\n", digest(&compressed)));
    let inspect = ["inspect", "--raw", "--tls-verify=false", &name];
    let raw = run(Command::new("skopeo").args(inspect));
    assert_eq!(Digest::of(raw.as_bytes()).to_string(), digest(&compressed));
}

#[test]
fn a_root_file_system_is_built() {
    let image = r#"
        buildImage { name = "rootfs"; tag = "1"; config.Cmd = [ "${pkgs.hello}/bin/hello" ]; }
    "#;
    let built = build(&format!("({image}).rootfs"));
    let listed = run(Command::new("tar").args(["--list", "--file"]).arg(&built));
    let hello = format!("{}/bin/hello", build("pkgs.hello").display());
    let hello = hello.trim_start_matches('/');
    assert!(listed.lines().any(|line| line == hello), "{listed}");
}

/// A layer of something that is different each time it is built is the tar that was made of it.
#[test]
fn what_is_not_reproducible_is_kept() {
    let body = r#"
        buildImage {
          name = "kept";
          tag = "v1";
          layers = [
            (buildLayer {
              copyToRoot = pkgs.writeTextDir "date" "yesterday";
              reproducible = false;
            })
          ];
          config.Cmd = [ "${pkgs.busybox}/bin/cat" "/date" ];
        }
    "#;
    let store = OwnStore::new();
    let image = store.build(body);
    let other = store.build(&body.replace("reproducible = false;", ""));
    let before = copy_in(&store, &image);
    let paths = store_paths(&store.locate(&image));
    let date = paths.keys().find(|path| name_of(path) == "date").unwrap();
    std::fs::write(store.locate(Path::new(date)).join("date"), "tomorrow").unwrap();
    assert_eq!(copy_in(&store, &image), before);
    // An image whose layer is not kept needs that file.
    let mut copy = store.enter(strata().get_program());
    copy.args(["copy", "--quiet"])
        .arg(other)
        .arg("docker-archive:-");
    assert!(!copy.output().unwrap().status.success());
}

/// After an edit of the application, the image and the script that copies it are built again.
#[test]
fn an_edit_rebuilds_two_derivations() {
    let tree = Tree::copy();
    let copy_to = "examples.hello.copyTo";
    let before = tree.derivations(copy_to);
    assert!(before.len() > 5);
    tree.build(copy_to);

    let script = tree.path().join("examples/hello/conversation.sh");
    let text = std::fs::read_to_string(&script).unwrap();
    // Never built before, so that Nix has to.
    let unique = tree.path().display();
    std::fs::write(&script, format!("{text}echo {unique}\n")).unwrap();

    let after = tree.derivations(copy_to);
    let mut names: Vec<&str> = after
        .difference(&before)
        .map(|path| name_of(path))
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["conversation.drv", "copy-to.drv", "image-hello.drv"]
    );

    let built = tree.build(copy_to);
    let mut built: Vec<&str> = built.iter().map(|path| name_of(path)).collect();
    built.sort_unstable();
    assert_eq!(built, names);
}

/// The sources of the binaries are those files that they are made of.
#[test]
fn only_its_own_source_rebuilds_a_binary() {
    // What is changed, and which of the binaries notices.
    let changes = [
        ("README.md", [false, false]),
        ("CHANGELOG.md", [false, false]),
        ("docs/internals/formats.md", [false, false]),
        ("tests/new.rs", [false, false]),
        ("benches/new.rs", [false, false]),
        ("examples/basic.nix", [false, false]),
        ("nix/buildImage.nix", [false, false]),
        ("flake.nix", [false, false]),
        ("target/new", [false, false]),
        ("src/cli/commands/copy.rs", [true, false]),
        ("src/main.rs", [true, false]),
        ("src/new.rs", [true, false]),
        ("crates/copy/src/archive.rs", [true, false]),
        ("crates/copy/Cargo.toml", [true, false]),
        ("crates/archive/src/writer.rs", [true, true]),
        ("crates/builder/src/new.rs", [true, true]),
        // Comments in these say nothing about how the builder is built.
        ("crates/archive/Cargo.toml", [true, false]),
        ("Cargo.toml", [true, false]),
        ("Cargo.lock", [true, false]),
    ];
    let tree = Tree::copy();
    let derivations = || {
        let body = format!(
            r#"
            let strata = import {}/nix {{ inherit pkgs; }}; in
            "${{strata.strata.drvPath}} ${{strata.strata-builder.drvPath}}"
            "#,
            tree.path().display()
        );
        let paths = evaluate(&body);
        let (strata, builder) = paths.split_once(' ').unwrap();
        [strata.to_owned(), builder.to_owned()]
    };
    let before = derivations();
    assert_ne!(before[0], before[1]);
    for (file, expected) in changes {
        let path = tree.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let old = std::fs::read(&path).ok();
        let mut new = old.clone().unwrap_or_default();
        new.extend(b"\n# \n");
        std::fs::write(&path, new).unwrap();
        let after = derivations();
        let noticed = [after[0] != before[0], after[1] != before[1]];
        assert_eq!(noticed, expected, "{file}");
        match old {
            Some(old) => std::fs::write(&path, old).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
    }
    // Updates of crates: of one that only the command line needs, and of one that both need.
    for (name, expected) in [("clap_mangen", [true, false]), ("strsim", [true, true])] {
        let change = |file: &str, marker: &str, version: &dyn Fn(&str) -> String| {
            let path = tree.path().join(file);
            let text = std::fs::read_to_string(&path).unwrap();
            let (before, after) = text.split_once(marker).unwrap();
            let (old, after) = after.split_once('"').unwrap();
            let new = format!("{before}{marker}{}\"{after}", version(old));
            std::fs::write(&path, new).unwrap();
            (path, text)
        };
        let bump = |old: &str| format!("{old}1");
        let old = [
            change("Cargo.toml", &format!("\n{name} = \""), &bump),
            change(
                "Cargo.lock",
                &format!("name = \"{name}\"\nversion = \""),
                &bump,
            ),
        ];
        let after = derivations();
        let noticed = [after[0] != before[0], after[1] != before[1]];
        assert_eq!(noticed, expected, "{name}");
        for (path, text) in old {
            std::fs::write(path, text).unwrap();
        }
    }
    assert_eq!(derivations(), before);
}

/// <https://github.com/nlewo/nix2container/issues/127>: a store path that is not what it was when
/// the image was built. The copy fails, says which path and which layer, and leaves nothing.
#[test]
fn nix2container_127_a_store_path_that_changed() {
    let store = OwnStore::new();
    let image = store.build(
        r#"
        buildImage {
          name = "changed";
          tag = "v1";
          maxLayers = 2;
          copyToRoot = pkgs.writeTextDir "etc/release" "first";
          config.Cmd = [ "${pkgs.busybox}/bin/cat" "/etc/release" ];
        }
        "#,
    );
    let there = store.locate(&image);
    let layers = read_json(&there.join("layers.json"));
    let layers = layers["layers"].as_array().unwrap();
    let with_release = layers
        .iter()
        .find(|layer| layer.to_string().contains("-release\""));
    let layer = with_release.unwrap()["digest"].as_str().unwrap();
    let paths = store_paths(&there);
    let release = paths
        .keys()
        .find(|path| name_of(path) == "release")
        .unwrap();
    let file = store.locate(Path::new(release)).join("etc/release");

    for (text, change) in [("other", "content"), ("longer than before", "size")] {
        std::fs::write(&file, text).unwrap();
        let directory = tempfile::tempdir().unwrap();
        for form in ["oci", "docker-archive", "oci-archive", "dir"] {
            let destination = format!("{form}:{}/copy", directory.path().display());
            let mut copy = store.enter(strata().get_program());
            let output = copy
                .arg("copy")
                .arg(&image)
                .arg(&destination)
                .output()
                .unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{form}, {change}: {said}");
            assert!(said.contains(release), "{form}, {change}: {said}");
            assert!(said.contains(layer), "{form}, {change}: {said}");
            assert!(
                !said.contains("copied 2 layers"),
                "{form}, {change}: {said}"
            );
            assert_eq!(
                String::from_utf8(output.stdout).unwrap(),
                "",
                "{form}, {change}"
            );
            let left = std::fs::read_dir(directory.path()).unwrap().count();
            assert_eq!(left, 0, "{form}, {change}");
        }
    }
    let mut verify = store.enter(strata().get_program());
    let output = verify.arg("verify").arg(&image).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains(release), "{said}");
}

/// What is in the source that Nix gives to cargo is enough for cargo. There is less of it for `strata-builder` and
/// `strata-fakeroot`.
#[test]
fn the_sources_of_what_nix_runs_are_whole() {
    for program in ["strata-builder", "strata-fakeroot"] {
        check_source(program);
    }
}

fn check_source(program: &str) {
    let copy = format!(
        r#"pkgs.runCommand "copy" {{ }} ''
            cp -r ${{strata.{program}.src}} $out
            chmod -R u+w $out
            cd $out
            ${{strata.{program}.prePatch}}
        ''"#
    );
    let source = build(&copy);
    assert!(!source.join("src").exists());
    assert!(!source.join("crates/registry").exists());
    // Cargo writes the lock file in its own words.
    let place = tempfile::tempdir().unwrap();
    let mut copy = Command::new("cp");
    run(copy
        .args(["-r", "--no-preserve=mode"])
        .arg(&source)
        .arg(place.path()));
    let source = place.path().join(source.file_name().unwrap());
    let locked = |name: &str| -> BTreeSet<String> {
        let text = std::fs::read_to_string(source.join(name)).unwrap();
        let checksums = text.lines().filter(|line| line.contains("checksum"));
        checksums.map(|line| line.replace('"', "")).collect()
    };
    let before = locked("Cargo.lock");
    let mut check = Command::new(env!("CARGO"));
    check.args(["check", "--quiet", "--offline", "--manifest-path"]);
    check.arg(source.join("Cargo.toml"));
    run(check.args(["--target-dir", &format!("{ROOT}/target/source-of-builder")]));
    let after = locked("Cargo.lock");
    assert!(
        after.is_subset(&before),
        "{:?}",
        after.difference(&before).collect::<Vec<_>>()
    );
}
