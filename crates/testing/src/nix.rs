//! Real builds by the real Nix, with the package set that needs no network.
//!
//! `scripts/test` prepares what is needed and says where it is.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::fake_store::read_json;
use super::keeper::Keeper;
use super::registry::run;

/// The root of the tree.
pub const ROOT: &str = {
    let here = env!("CARGO_MANIFEST_DIR");
    here.split_at(here.len() - "/crates/testing".len()).0
};

/// Nix's options for a build in its sandbox. Without them it may build outside, and say nothing.
pub const SANDBOX: [&str; 6] = [
    "--option",
    "sandbox",
    "true",
    "--option",
    "sandbox-fallback",
    "false",
];

/// A program of Nix with a configuration of its own.
pub fn nix(program: &str) -> Command {
    let mut command = Command::new(variable("STRATA_NIX"));
    command.arg(program);
    command
}

/// The package set's directory.
pub fn offline_nixpkgs() -> PathBuf {
    variable("STRATA_OFFLINE_NIXPKGS").into()
}

/// The directory of the package set that has Nix, too.
pub fn offline_nixpkgs_with_nix() -> PathBuf {
    variable("STRATA_OFFLINE_NIXPKGS_WITH_NIX").into()
}

/// The `strata` that the Nix functions use.
pub fn strata() -> Command {
    Command::new(static_binary("strata"))
}

/// One of the two binaries that the Nix functions use.
pub fn static_binary(name: &str) -> PathBuf {
    PathBuf::from(variable("STRATA_STATIC_BIN")).join(name)
}

fn variable(name: &str) -> OsString {
    std::env::var_os(name)
        .unwrap_or_else(|| panic!("{name} is not set: run the tests with scripts/test"))
}

/// A Nix expression in which `pkgs`, `strata`, `buildImage` and `buildLayer` are known.
pub fn expression(body: &str) -> String {
    format!(
        r#"
        let
          pkgs = import {} {{ system = "x86_64-linux"; }};
          strata = import {ROOT}/nix {{ inherit pkgs; }};
          inherit (strata) buildImage buildLayer;
        in
        {body}
        "#,
        offline_nixpkgs_with_nix().display()
    )
}

/// Builds what an [`expression`] says; gives its outputs.
pub fn build_all(body: &str) -> Vec<PathBuf> {
    let mut command = nix("nix-build");
    command.args(["--no-out-link", "--expr", &expression(body)]);
    run(&mut command).lines().map(PathBuf::from).collect()
}

/// Builds what an [`expression`] says; gives its only output.
pub fn build(body: &str) -> PathBuf {
    let mut outputs = build_all(body);
    assert_eq!(outputs.len(), 1, "{outputs:?}");
    outputs.remove(0)
}

/// The value of an [`expression`], as text.
pub fn evaluate(body: &str) -> String {
    let expression = expression(&format!("builtins.toString ({body})"));
    let mut command = nix("nix-instantiate");
    command.args(["--eval", "--json", "--expr", &expression]);
    serde_json::from_str(&run(&mut command)).unwrap()
}

/// The digest of an image's manifest.
pub fn digest(image: &Path) -> String {
    let text = std::fs::read_to_string(image.join("digest")).unwrap();
    text.trim().to_owned()
}

/// The store paths in an image's layers, and whether each is at the root and not in the store.
pub fn store_paths(image: &Path) -> BTreeMap<String, bool> {
    let layers = read_json(&image.join("layers.json"));
    let layers = layers["layers"].as_array().unwrap().iter();
    let sources = layers.flat_map(|layer| layer["recipe"]["sources"].as_array().unwrap());
    let source = |source: &Value| {
        let path = source["storePath"].as_str().unwrap().to_owned();
        (path, source["toRoot"] == json!(true))
    };
    sources.map(source).collect()
}

/// A store path without its directory and hash.
pub fn name_of(path: &str) -> &str {
    path.split_once('-').unwrap().1
}

/// What Nix says that a store path refers to.
pub fn references(path: &Path) -> BTreeSet<String> {
    let mut command = nix("nix-store");
    command.args(["--query", "--references"]).arg(path);
    run(&mut command).lines().map(str::to_owned).collect()
}

/// A store of its own, which is `/nix/store` for what runs in it.
pub struct OwnStore {
    keeper: Keeper,
}

impl OwnStore {
    pub fn new() -> Self {
        let keeper = Keeper::directory();
        std::fs::create_dir_all(keeper.path().join("nix/store")).unwrap();
        Self { keeper }
    }

    /// The directory above `nix/store`.
    pub fn path(&self) -> &Path {
        self.keeper.path()
    }

    /// Where a store path really is.
    pub fn locate(&self, path: &Path) -> PathBuf {
        self.path().join(path.strip_prefix("/").unwrap())
    }

    /// A program of Nix that works on this store. Builds are in the sandbox.
    pub fn nix(&self, program: &str) -> Command {
        let mut command = nix(program);
        command.arg("--store").arg(self.path()).args(SANDBOX);
        command
    }

    /// Builds what an [`expression`] says.
    pub fn build(&self, body: &str) -> PathBuf {
        let mut command = self.nix("nix-build");
        command.args(["--no-out-link", "--expr", &expression(body)]);
        PathBuf::from(run(&mut command).trim_end())
    }

    /// A command for which this is the store of the machine.
    pub fn enter(&self, program: impl Into<OsString>) -> Command {
        let mut command = Command::new("unshare");
        let script = r#"mount --bind "$0" /nix/store && exec "$@""#;
        command
            .args(["--mount", "sh", "-c", script])
            .arg(self.path().join("nix/store"))
            .arg(program.into());
        command
    }
}
