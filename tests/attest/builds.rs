//! A flake whose image is published, and a stranger who builds it again, with the real Nix.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use strata_testing::flake::Tree;
use strata_testing::nix::{nix, offline_nixpkgs};
use strata_testing::registry::{Registry, Setup, run};

use crate::program::{attached, said, told};

/// A repository of Git with a flake, whose image says what is in the file `message`.
fn project(directory: &Path, tree: &Tree, host: &str) {
    let text = format!(
        r#"
        {{
          inputs.nixpkgs.url = "path:{nixpkgs}";
          inputs.strata = {{ url = "path:{strata}"; flake = false; }};
          outputs = {{ self, nixpkgs, strata }}:
            let
              pkgs = import nixpkgs {{ system = "x86_64-linux"; }};
              inherit (import "${{strata}}/nix" {{ inherit pkgs; }}) buildImage;
            in
            {{
              packages.x86_64-linux.image = buildImage {{
                name = "{host}/app";
                tag = "1";
                copyToRoot = pkgs.writeTextDir "message" (builtins.readFile ./message);
                config.Cmd = [ "${{pkgs.hello}}/bin/hello" ];
                provenance = {{
                  source = self;
                  uri = "git+file://{own}";
                  attribute = "packages.x86_64-linux.image";
                }};
              }};
            }};
        }}
        "#,
        nixpkgs = offline_nixpkgs().display(),
        strata = tree.path().display(),
        own = directory.display(),
    );
    std::fs::create_dir(directory).unwrap();
    std::fs::write(directory.join("flake.nix"), text).unwrap();
    std::fs::write(directory.join("message"), "hello").unwrap();
    git(directory, &["init", "--quiet"]);
    git(directory, &["add", "."]);
    run(nix("nix").args(["flake", "lock", &uri(directory)]));
    git(directory, &["add", "."]);
    commit(directory);
}

fn uri(directory: &Path) -> String {
    format!("git+file://{}", directory.display())
}

fn git(directory: &Path, arguments: &[&str]) {
    run(nix("git")
        .args(["-C", &directory.display().to_string()])
        .args(arguments));
}

fn commit(directory: &Path) {
    let author = ["-c", "user.name=a", "-c", "user.email=a@b.example"];
    let what = ["commit", "--quiet", "--all", "--message=x"];
    git(directory, &[&author[..], &what].concat());
}

/// `strata verify` of an image of a registry, with Nix as it is for tests.
fn verify(name: &str, more: &[&str]) -> Output {
    let mut command: Command = nix(env!("CARGO_BIN_EXE_strata"));
    command
        .args(["verify", &format!("docker://{name}")])
        .args(more);
    command.output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &said(output)
}

#[test]
fn a_stranger_comes_to_the_same_digest() {
    let registry = Registry::start(Setup::default());
    let tree = Tree::copy();
    let directory = tempfile::tempdir().unwrap();
    let [own, other] = ["own", "other"].map(|name| directory.path().join(name));
    project(&own, &tree, &registry.host);
    let name = format!("{}/app:1", registry.host);
    let publish = format!("{}#image.publish", uri(&own));
    let published = run(nix("nix").args(["run", &publish, "--", "--compression=zstd"]));
    assert!(
        published.contains(&format!("{name}@sha256:")),
        "{published}"
    );

    // What is attached knows what Nix knew.
    let kinds: Vec<String> = attached(&name).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds.len(), 3, "{kinds:?}");
    let read = |kind: &str| -> Value {
        let kind = format!("--type={kind}");
        serde_json::from_str(&told(&["referrers", &name, &kind, "--read"])).unwrap()
    };
    let bill = read("application/vnd.cyclonedx+json");
    let components = bill["components"].as_array().unwrap();
    let hello = components.iter().find(|it| it["name"] == "hello").unwrap();
    assert_eq!(hello["licenses"][0]["license"]["id"], "GPL-3.0-or-later");
    assert_eq!(hello["type"], "application");
    let statement = read("application/vnd.in-toto+json");
    let definition = &statement["predicate"]["buildDefinition"];
    let dependencies = definition["resolvedDependencies"].as_array().unwrap();
    let names: Vec<&str> = dependencies
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["flake", "nixpkgs", "strata"]);
    let revision = run(nix("git").args(["-C", &own.display().to_string(), "rev-parse", "HEAD"]));
    assert_eq!(dependencies[0]["digest"]["gitCommit"], revision.trim());

    // Whoever has nothing but the name builds what provenance says, at its commit.
    std::fs::write(own.join("message"), "later").unwrap();
    commit(&own);
    let output = verify(&name, &[]);
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("rev="), "{}", text(&output));

    // Checked out elsewhere.
    git(directory.path(), &["clone", "--quiet", "own", "other"]);
    git(&other, &["checkout", "--quiet", revision.trim()]);
    let flake = format!("--flake={}#image", uri(&other));
    let output = verify(&name, &[&flake]);
    assert!(output.status.success(), "{}", text(&output));

    // One byte of the source.
    std::fs::write(other.join("message"), "hellO").unwrap();
    let output = verify(&name, &[&flake]);
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("is built as sha256:") && text.contains("-message"),
        "{text}"
    );
}
