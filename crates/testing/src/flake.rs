//! Flakes: a copy of the tree, and flakes that use it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::keeper::Keeper;
use crate::nix::{ROOT, nix, offline_nixpkgs_with_nix};
use crate::registry::run;

/// `nix VERB`, with the package set that needs no network.
pub fn offline_nix(verb: &[&str]) -> Command {
    let mut command = nix("nix");
    command
        .args(verb)
        .arg("--no-write-lock-file")
        .args(["--override-input", "nixpkgs"]);
    command.arg(format!("path:{}", offline_nixpkgs_with_nix().display()));
    command
}

/// A copy of what the flake is made of, to be changed.
pub struct Tree {
    keeper: Keeper,
}

impl Tree {
    /// Copies the tree.
    pub fn copy() -> Self {
        let keeper = Keeper::directory();
        let mut command = Command::new("cp");
        command.args(["--recursive", "--parents"]);
        command.args([
            "Cargo.lock",
            "Cargo.toml",
            "crates",
            "examples",
            "flake.lock",
            "flake.nix",
            "nix",
        ]);
        command.args(["src", "templates", "tests/nix"]);
        run(command.arg(keeper.path()).current_dir(ROOT));
        Self { keeper }
    }

    /// Its root.
    pub fn path(&self) -> &Path {
        self.keeper.path()
    }

    /// How Nix calls an output of the flake.
    pub fn installable(&self, attribute: &str) -> String {
        format!("path:{}#{attribute}", self.path().display())
    }

    /// Builds an output; gives the derivations that were not built before.
    pub fn build(&self, attribute: &str) -> Vec<String> {
        let mut command = offline_nix(&["build", "--no-link"]);
        let output = command.arg(self.installable(attribute)).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        let lines = said.lines();
        let built = lines.filter_map(|line| line.strip_prefix("building '")?.strip_suffix("'..."));
        built.map(str::to_owned).collect()
    }

    /// Everything that an output is built from and by, itself included.
    pub fn derivations(&self, attribute: &str) -> BTreeSet<String> {
        let mut command = offline_nix(&["path-info", "--derivation", "--recursive"]);
        let paths = run(command.arg(self.installable(attribute)));
        let paths = paths
            .lines()
            .filter(|path| path.strip_suffix(".drv").is_some());
        paths.map(str::to_owned).collect()
    }
}
