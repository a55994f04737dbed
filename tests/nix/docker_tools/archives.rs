//! What is in the archives of the examples.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};

use super::support::nix::build;
use super::{archive_of, config_of, example, files, json_member, member, run, tag_of, text};

#[test]
fn t08_t20_t21_images_have_the_time_that_was_given() {
    let created = |name: &str| config_of(&archive_of(&example(name)))["created"].clone();
    assert_eq!(created("bash"), "1970-01-01T00:00:01Z", "T8");
    assert_eq!(created("layeredImage"), "1970-01-01T00:00:01Z");
    assert_ne!(created("unstableDate"), "1970-01-01T00:00:01Z", "T20");
    assert_ne!(
        created("unstableDateLayered"),
        "1970-01-01T00:00:01Z",
        "T21"
    );
    assert_eq!(created("anyDate"), "2024-02-29T12:34:56+00:00");
    // Layers have the other time.
    let archive = archive_of(&example("anyDate"));
    let layer = json_member(&archive, "manifest.json")[0]["Layers"][0].clone();
    let layer = member(&archive, layer.as_str().unwrap()).unwrap();
    let mut layer = tar::Archive::new(layer.as_slice());
    let times = layer.entries().unwrap();
    let times: BTreeSet<u64> = times
        .map(|entry| entry.unwrap().header().mtime().unwrap())
        .collect();
    assert_eq!(times, [978_307_200].into());
}

/// As in nixpkgs: `now` of a stream is when it runs, and not when it was built.
#[test]
fn the_time_now_of_a_stream_is_when_it_runs() {
    let stream = build("strata.dockerTools.examples.unstableDateLayered.stream");
    let built = build("strata.dockerTools.examples.unstableDateLayered.conf");
    let created = || {
        let archive = tempfile::NamedTempFile::new().unwrap();
        let mut command = Command::new(&stream);
        let status = command
            .arg("--quiet")
            .stdout(archive.reopen().unwrap())
            .status();
        assert!(status.unwrap().success());
        let config = config_of(archive.path());
        (
            config["created"].as_str().unwrap().to_owned(),
            config["rootfs"].clone(),
        )
    };
    let (first, layers) = created();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let (second, same) = created();
    assert!(first < second, "{first} {second}");
    assert_eq!(layers, same);
    let mut inspect = super::support::nix::strata();
    let text = run(inspect.args(["inspect", "--json"]).arg(&built));
    let image: Value = serde_json::from_str(&text).unwrap();
    assert_ne!(image["created"], second);
}

/// NixOS/nixpkgs#52713: names follow from what is built, and are known before.
#[test]
fn t09_t10_t39_t40_names_and_tags_are_those_of_the_archive() {
    let names = [
        ("bash", "bash:latest"),
        ("prefixedImage", "registry-1.docker.io/image:latest"),
        (
            "prefixedLayeredImage",
            "registry-1.docker.io/layered-image:latest",
        ),
        ("runAsRootExtraCommands", "runasrootextracommands:latest"),
        ("nixLayered", "nix-layered:latest"),
    ];
    for (name, expected) in names {
        assert_eq!(tag_of(&archive_of(&example(name))), expected);
    }
    for name in ["bash", "anotherLayeredImage", "anyDate"] {
        let untagged = format!("(strata.dockerTools.examples.{name}.override {{ tag = null; }})");
        let reference = text(&format!(
            "with {untagged}; \"${{imageName}}:${{imageTag}}\""
        ));
        assert_eq!(
            tag_of(&archive_of(&build(&untagged))),
            reference,
            "T10: {name}"
        );
    }
    // As in nixpkgs, the hash is that of the file.
    let image = "(strata.dockerTools.examples.bash.override { tag = null; })";
    let tag = text(&format!("{image}.imageTag"));
    let file = build(image);
    assert!(
        file.file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with(&tag)
    );
}

#[test]
fn t25_layers_are_shared() {
    let layers = |name: &str| {
        let config = config_of(&archive_of(&example(name)));
        let layers = config["rootfs"]["diff_ids"].as_array().unwrap().clone();
        layers
            .into_iter()
            .map(|layer| layer.to_string())
            .collect::<BTreeSet<_>>()
    };
    assert!(!layers("layeredImage").is_disjoint(&layers("anotherLayeredImage")));
}

#[test]
fn t31_each_variable_is_there_once() {
    for name in ["environmentVariables", "environmentVariablesLayered"] {
        let config = config_of(&archive_of(&example(name)));
        let expected = json!(["FROM_PARENT=true", "LAST_LAYER=child", "FROM_CHILD=true"]);
        assert_eq!(config["config"]["Env"], expected, "{name}");
    }
}

#[test]
fn t34_there_are_as_many_layers_as_may_be() {
    let layers = |name: &str| {
        let manifest = json_member(&archive_of(&example(name)), "manifest.json");
        let layers = manifest[0]["Layers"].as_array().unwrap().clone();
        layers
            .iter()
            .map(Value::to_string)
            .collect::<BTreeSet<_>>()
            .len()
    };
    assert_eq!(layers("bulkLayer"), 2);
    assert_eq!(layers("fourLayers"), 4);
    assert!(layers("twoLayers") <= 3);
}

#[test]
fn t37_t50_the_architecture_is_that_of_the_packages_or_the_one_that_was_given() {
    for name in ["imageWithArchitecture", "layeredImageWithArchitecture"] {
        assert_eq!(
            config_of(&archive_of(&example(name)))["architecture"],
            "arm64",
            "T50: {name}"
        );
    }
    let cross = build(
        "(strata.forPackages pkgs.pkgsCross.aarch64-multiplatform).dockerTools.buildImage {
           name = \"cross\";
           config.Cmd = [ \"${pkgs.pkgsCross.aarch64-multiplatform.hello}/bin/hello\" ];
         }",
    );
    assert_eq!(
        config_of(&archive_of(&cross))["architecture"],
        "arm64",
        "T37"
    );
}

#[test]
fn t47_the_root_is_exported_as_one_tar() {
    let listed = run(Command::new("tar").arg("-tf").arg(example("exportBash")));
    assert!(listed.lines().any(|line| line == "./bin/bash"), "{listed}");
}

/// B1: an image says nothing of how it was built. S6: nor which store paths it has.
#[test]
fn b1_s6_documents_have_what_belongs_there() {
    for name in ["bash", "layeredImage"] {
        let archive = archive_of(&example(name));
        let config = config_of(&archive);
        assert_eq!(config.get("preferLocalBuild"), None);
        assert!(
            !config["history"].to_string().contains("/nix/store"),
            "{name}"
        );
        let layers = config["rootfs"]["diff_ids"].as_array().unwrap().len();
        assert_eq!(config["history"].as_array().unwrap().len(), layers);
    }
    let repositories = json_member(&archive_of(&example("bash")), "repositories");
    assert!(repositories["bash"]["latest"].is_string(), "{repositories}");
    assert_eq!(
        member(&archive_of(&example("layeredImage")), "repositories"),
        None
    );
}

/// B6, NixOS/nixpkgs#52713: scripts may write into directories that were copied. B7, NixOS/nixpkgs#110696,
/// NixOS/nixpkgs#129007: directories do not hide symlinks of the base. B8: names may have spaces in them.
#[test]
fn b6_b7_b8_files_go_where_they_should() {
    let image = build(
        r#"(strata.dockerTools.buildImage {
          name = "over";
          fromImage = strata.dockerTools.buildImage {
            name = "below";
            extraCommands = "mkdir -p usr/bin; echo old > usr/bin/old; ln -s usr/bin bin";
          };
          copyToRoot = pkgs.runCommand "named" { } "mkdir -p $out/bin; echo new > \"$out/bin/from root\"";
          extraCommands = "echo new > 'bin/from script'";
        }).ociLayout"#,
    );
    let files = files(&image);
    for path in [
        "usr/bin/old",
        "usr/bin/from root",
        "usr/bin/from script",
        "bin",
    ] {
        assert!(files.contains(path), "{path}: {files:?}");
    }
    assert!(!files.contains("bin/"), "{files:?}");
}

/// B3, B4: name and tag choose an image of an archive.
#[test]
fn b3_b4_name_and_tag_choose_the_base() {
    let image = |tag: &str| {
        format!(
            r#"strata.dockerTools.buildImage {{
              name = "chosen";
              fromImage = strata.dockerTools.mergeImages [
                (strata.dockerTools.buildImage {{ name = "one"; tag = "1"; config.Env = [ "IS=one" ]; }})
                (strata.dockerTools.buildImage {{ name = "two"; tag = "2"; config.Env = [ "IS=two" ]; }})
              ];
              fromImageName = "two";
              fromImageTag = "{tag}";
            }}"#
        )
    };
    let config = config_of(&archive_of(&build(&image("2"))));
    assert_eq!(config["config"]["Env"], json!(["IS=two"]));
    let error = super::derivations::failure(&image("3"));
    assert!(error.contains("two:3"), "{error}");
}
