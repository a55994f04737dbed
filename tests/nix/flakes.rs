//! The three ways to use Strata from a flake, and the flake itself.

use strata_testing as support;

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use strata_testing::flake::{Tree, offline_nix};
use support::engines::{self, Engine as _};
use support::nix::{ROOT, digest, evaluate, nix, offline_nixpkgs};
use support::oci::Layout;
use support::registry::{Registry, Setup, run};

const HELLO: &str = "Hello, world!\n\
    And hello to you. What are you made of?\n\
    Two layers: what I say, and what I need to say it.\n";

/// The outputs that `nix build ..` makes.
fn build(command: &mut Command) -> Vec<PathBuf> {
    let text = run(command.args(["--json", "--no-link"]));
    let built: Vec<Value> = serde_json::from_str(&text).unwrap();
    let output = |built: &Value| PathBuf::from(built["outputs"]["out"].as_str().unwrap());
    built.iter().map(output).collect()
}

/// From a flake to a registry to a container.
#[test]
fn an_example_goes_to_a_registry() {
    let tree = Tree::copy();
    let registry = Registry::start(Setup::default());
    let name = format!("{}/some/where:else", registry.host);
    let mut copy = offline_nix(&["run", &tree.installable("examples.hello.copyTo")]);
    copy.args(["--", &format!("docker://{name}"), "--dest-tls-verify=false"]);
    let said = run(&mut copy);
    assert!(said.starts_with(&format!("{name}@sha256:")), "{said}");
    let podman = engines::podman();
    run(&mut podman.command(&["pull", "--quiet", "--tls-verify=false", &name]));
    assert_eq!(podman.run(&name, &[]), HELLO);
}

/// The flake of somebody who uses nix2container, with Strata in its place, and what they would
/// write for Strata.
#[test]
fn nix2container_can_be_swapped() {
    let tree = Tree::copy();
    let directory = tempfile::tempdir().unwrap();
    let text = format!(
        r#"
        {{
          inputs.nixpkgs.url = "path:{}";
          inputs.nix2container.url = "path:{}";
          inputs.nix2container.inputs.nixpkgs.follows = "nixpkgs";

          outputs = {{ self, nixpkgs, nix2container }}:
            let
              system = "x86_64-linux";
              pkgs = import nixpkgs {{ inherit system; }};
              image = {{ buildImage, buildLayer, ... }}: buildImage {{
                name = "Swapped";
                tag = "v1";
                layers = [ (buildLayer {{ deps = [ pkgs.bash ]; reproducible = true; }}) ];
                copyToRoot = [
                  (pkgs.buildEnv {{ name = "root"; paths = [ pkgs.hello ]; pathsToLink = [ "/bin" ]; }})
                ];
                maxLayers = 2;
                config = {{ entrypoint = [ "/bin/hello" ]; env = [ "A=b" ]; }};
              }};
              overlaid = import nixpkgs {{ inherit system; overlays = [ nix2container.overlays.default ]; }};
            in
            {{
              packages.${{system}} = {{
                swapped = image nix2container.packages.${{system}}.nix2container;
                library = image nix2container.lib.${{system}};
                overlay = image overlaid.strata;
              }};
            }};
        }}
        "#,
        offline_nixpkgs().display(),
        tree.path().display(),
    );
    std::fs::write(directory.path().join("flake.nix"), text).unwrap();
    let flake = format!("path:{}", directory.path().display());

    let packages = ["swapped", "library", "overlay"].map(|package| format!("{flake}#{package}"));
    let outputs = build(nix("nix").arg("build").args(packages));
    assert_eq!((&outputs[1], &outputs[2]), (&outputs[0], &outputs[0]));
    let image = &outputs[0];
    let config = Layout::read(image).config;
    assert_eq!(
        config["config"],
        json!({ "Entrypoint": ["/bin/hello"], "Env": ["A=b"] })
    );

    let archive = directory.path().join("archive.tar");
    let mut copy = nix("nix");
    copy.args(["run", &format!("{flake}#swapped.copyTo"), "--"]);
    run(copy.arg(format!("docker-archive:{}", archive.display())));
    let podman = engines::podman();
    podman.load(&archive);
    assert_eq!(podman.run("swapped:v1", &[]), "Hello, world!\n");
}

#[test]
fn the_flake_is_whole() {
    let tree = Tree::copy();
    let flake = format!("path:{}", tree.path().display());
    run(offline_nix(&["flake", "check"]).arg(&flake));

    let said = run(offline_nix(&["run"]).args([&flake, "--", "--version"]));
    assert_eq!(said, format!("strata {}\n", env!("CARGO_PKG_VERSION")));
    let images = ["dockerImage", "examples.hello"].map(|image| tree.installable(image));
    for image in build(offline_nix(&["build"]).args(images)) {
        assert_eq!(Layout::read(&image).digest(), digest(&image));
    }
    // Who imports the functions gets what the flake has.
    let examples = format!("import {ROOT}/examples {{ inherit pkgs strata; }}");
    let imported = evaluate(&format!("({examples}).hello.drvPath"));
    let mut path = offline_nix(&["path-info", "--derivation"]);
    assert_eq!(
        run(path.arg(tree.installable("examples.hello"))).trim(),
        imported
    );
}

#[test]
fn the_template_works() {
    let tree = Tree::copy();
    let directory = tempfile::tempdir().unwrap();
    let project = directory.path().join("project");
    let mut new = nix("nix");
    new.args([
        "flake",
        "new",
        "--template",
        &format!("path:{}", tree.path().display()),
    ]);
    run(new.arg(&project));

    let archive = directory.path().join("archive.tar");
    let mut copy = offline_nix(&["run"]);
    copy.args([
        "--override-input",
        "strata",
        &format!("path:{}", tree.path().display()),
    ]);
    copy.arg(format!("path:{}#image.copyTo", project.display()));
    run(copy.args(["--", &format!("docker-archive:{}", archive.display())]));
    let podman = engines::podman();
    podman.load(&archive);
    let said = podman.run("app:latest", &[]);
    assert_eq!(said, "Hello, world!\nEdit flake.nix and run me again.\n");
}
