//! Images by name: `prepareImage` gives what nixery's function of that name gives, and an image; `fromName` adds what
//! nixery's server adds.

use strata_testing as support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use strata_oci::Digest;
use support::engines::{self, Engine as _};
use support::fake_store::read_json;
use support::nix::{build, evaluate, nix, offline_nixpkgs_with_nix};
use support::registry::run;

/// What `prepareImage` builds for packages of the offline set.
fn prepared(packages: &[&str]) -> Value {
    read_json(&build(&prepare(packages)))
}

fn prepare(packages: &[&str]) -> String {
    let set = offline_nixpkgs_with_nix();
    format!(
        r#"(strata.prepareImage {{
          packages = ''{}'';
          srcType = "path";
          srcArgs = "{}";
        }})"#,
        json!(packages),
        set.display()
    )
}

fn package(attribute: &str) -> String {
    evaluate(&format!("pkgs.{attribute}"))
}

/// The entries of a layer by their names: what sort they are, and where links lead.
fn entries(layer: &Path) -> BTreeMap<String, String> {
    let mut archive = tar::Archive::new(File::open(layer).unwrap());
    let entries = archive.entries().unwrap().map(|entry| {
        let entry = entry.unwrap();
        let header = entry.header();
        assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
        assert_eq!(header.username(), Ok(Some("root")), "names of this machine");
        let name = entry.path().unwrap().display().to_string();
        let text = match entry.link_name().unwrap() {
            Some(target) => target.display().to_string(),
            None => format!("{:o}", header.mode().unwrap()),
        };
        (name.trim_matches('/').to_owned(), text)
    });
    entries.collect()
}

/// What nixery's function of 2021 gives for `hello`: the seed of this test, restated. Its layer has a link
/// `/usr/bin/env` to coreutils that are not there, and this one has none.
#[test]
fn packages_become_a_graph_and_a_layer_of_links() {
    let hello = package("hello");
    let output = prepared(&["hello"]);
    let graph = &output["runtimeGraph"];
    assert_eq!(graph["exportReferencesGraph"], json!({ "graph": [hello] }));
    let nodes = graph["graph"].as_array().unwrap();
    let paths: BTreeSet<&str> = nodes
        .iter()
        .map(|node| node["path"].as_str().unwrap())
        .collect();
    let requisites = run(nix("nix-store").args(["--query", "--requisites", &hello]));
    assert_eq!(paths, requisites.lines().collect());
    for node in nodes {
        let fields: BTreeSet<&str> = node
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let expected = ["closureSize", "narHash", "narSize", "path", "references"];
        assert!(
            expected.iter().all(|field| fields.contains(field)),
            "{fields:?}"
        );
    }

    let layer = &output["symlinkLayer"];
    let path = PathBuf::from(layer["path"].as_str().unwrap());
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(layer["size"], json!(bytes.len()));
    assert_eq!(layer["tarHash"], json!(Digest::of(&bytes).hex()));
    let expected = BTreeMap::from([
        ("bin".to_owned(), "555".to_owned()),
        ("bin/hello".to_owned(), format!("{hello}/bin/hello")),
        ("tmp".to_owned(), "1777".to_owned()),
    ]);
    let mut found = entries(&path);
    // The directory itself, which nixery's archive has, too.
    found.remove("");
    assert_eq!(found, expected);
}

#[test]
fn names_are_found_as_nixery_finds_them() {
    let roots = |packages: &[&str]| {
        prepared(packages)["runtimeGraph"]["exportReferencesGraph"]["graph"].clone()
    };
    assert_eq!(
        roots(&["git", "bashinteractive", "python3packages.flask", "7zz"]),
        json!([
            package("git"),
            package("bashInteractive"),
            package("python3Packages.flask"),
            package("_7zz"),
        ])
    );
    // With all that is missing, also what is no package; a digit as nixery's function of today has it.
    assert_eq!(
        prepared(&["hello", "nope", "python3packages.nope", "lib", "9zz"]),
        json!({ "error": "not_found", "pkgs": ["nope", "python3packages.nope", "lib", "_9zz"] })
    );
    // Capitals are found at the top alone.
    assert_eq!(
        prepared(&["pkgscross.GNU64.hello"]),
        json!({ "error": "not_found", "pkgs": ["pkgscross.GNU64.hello"] })
    );
    assert_eq!(
        prepared(&[])["runtimeGraph"]["exportReferencesGraph"],
        json!({ "graph": [] })
    );
}

/// X5 of nixery: its layers have no directories, and the owners of the machine that made them.
#[test]
fn nixery_x5_layers_have_directories_and_no_owners_of_the_machine() {
    let output = prepared(&["bashInteractive", "coreutils"]);
    let path = output["symlinkLayer"]["path"].as_str().unwrap();
    let found = entries(Path::new(path));
    for (name, expected) in [
        ("bin", "555".to_owned()),
        (
            "bin/bash",
            format!("{}/bin/bash", package("bashInteractive")),
        ),
        ("usr/bin", "555".to_owned()),
        ("usr/bin/env", format!("{}/bin/env", package("coreutils"))),
        ("tmp", "1777".to_owned()),
    ] {
        assert_eq!(found[name], expected, "{name}");
    }
}

/// nixery's server runs it with these arguments, and reads the file that it names.
#[test]
fn the_program_of_nixery_prints_the_path_of_the_file() {
    let set = offline_nixpkgs_with_nix();
    let program = build(&format!(
        "strata.nixery-prepare-image.override {{ nixpkgs = \"{}\"; }}",
        set.display()
    ));
    let program = program.join("bin/nixery-prepare-image");
    let mut command = nix(program.to_str().unwrap());
    command.args(["--timeout", "60", "--argstr", "packages", r#"["hello"]"#]);
    command
        .args(["--argstr", "srcType", "path", "--argstr", "srcArgs"])
        .arg(&set);
    command.args(["--argstr", "system", "x86_64-linux"]);
    let path = run(&mut command);
    assert!(path.trim_end().ends_with("-build-output.json"), "{path}");
    let printed = read_json(Path::new(path.trim_end()));
    assert_eq!(
        printed["symlinkLayer"],
        prepared(&["hello"])["symlinkLayer"]
    );
}

#[test]
fn a_name_is_an_image() {
    let layout = build("strata.fromName { name = \"shell/hello/git\"; }");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("image.tar");
    let mut copy = support::nix::strata();
    copy.args(["copy", "--quiet"]).arg(&layout);
    run(copy.arg(format!("docker-archive:{}", file.display())));
    let podman = engines::podman();
    podman.load(&file);
    let name = "docker.io/shell/hello/git:latest";
    let script =
        "hello; git --version; /usr/bin/env stat -c %a /tmp; head -c 1 $SSL_CERT_FILE; ls /etc";
    let said = podman.run(name, &["bash", "-c", script]);
    for expected in ["Hello, world!", "git version", "1777", "protocols"] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

/// X3 and X4 of nixery: the same packages gave other layers, by chance or by the order of their names.
#[test]
fn nixery_x3_and_x4_the_order_of_packages_does_not_matter() {
    let layers = |name: &str| {
        let path = build(&format!("strata.fromName {{ name = \"{name}\"; }}"));
        read_json(&path.join("layers.json"))["layers"].clone()
    };
    assert_eq!(layers("shell/hello/git"), layers("shell/git/hello/git"));
}

#[test]
fn names_that_are_missing_are_told() {
    let mut command = nix("nix-instantiate");
    let body = "(strata.fromName { name = \"hello/nope/neither\"; }).drvPath";
    let expression = support::nix::expression(body);
    let output = command
        .args(["--eval", "--expr", &expression])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("does not have neither, nope"), "{said}");
}
