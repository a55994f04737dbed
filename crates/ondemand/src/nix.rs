//! Nix, as it is configured on this machine: its daemon, its builders and its caches do the work.
//!
//! What clients ask for goes to it as JSON in a variable, and is nowhere a part of an expression or an option.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::child::{self, How};
use super::config::Limits;
use super::failure::Failure;
use strata_error::Error;

/// The variable with what is asked for.
const REQUEST: &str = "STRATA_REQUEST";

/// Evaluates to what is missing, or else to the derivation of the image.
const IMAGE: &str = r#"
  let
    request = builtins.fromJSON (builtins.getEnv "STRATA_REQUEST");
    prepared = (import request.functions).prepareImage request.arguments;
  in
  {
    inherit (prepared) missing;
    derivation = if prepared.missing == [ ] then prepared.image.drvPath else null;
  }
"#;

/// Evaluates to the names at the top of a package set.
const NAMES: &str = r#"
  let
    request = builtins.fromJSON (builtins.getEnv "STRATA_REQUEST");
  in
  builtins.attrNames ((import request.functions).prepareImage request.arguments).packageSet
"#;

/// A package set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PackageSet {
    /// `srcType` of `prepareImage`.
    pub(crate) source_type: &'static str,
    /// `srcArgs` of `prepareImage`.
    pub(crate) reference: String,
    /// The system.
    pub(crate) system: String,
}

/// What packages evaluate to.
#[derive(Debug, Deserialize)]
struct Evaluated {
    missing: Vec<String>,
    derivation: Option<PathBuf>,
}

/// What `nix build --json` says.
#[derive(Deserialize)]
struct Built {
    outputs: BTreeMap<String, PathBuf>,
}

/// Programs of Nix.
pub(crate) struct Nix<'a> {
    /// A file whose value are the functions of Strata.
    pub(crate) functions: &'a Path,
    pub(crate) limits: &'a Limits,
    pub(crate) is_stopping: &'a AtomicBool,
    /// What they said.
    pub(crate) log: RefCell<String>,
}

impl Nix<'_> {
    /// The derivation of an image with these packages.
    pub(crate) fn derivation(
        &self,
        set: &PackageSet,
        packages: &BTreeSet<String>,
    ) -> Result<PathBuf, Failure> {
        let request = self.request(set, packages);
        let evaluated: Evaluated = self.evaluate(IMAGE, &request)?;
        match evaluated.derivation {
            Some(derivation) => Ok(derivation),
            None => Err(Failure::Missing(evaluated.missing)),
        }
    }

    /// The names at the top of a package set.
    pub(crate) fn names(&self, set: &PackageSet) -> Result<BTreeSet<String>, Failure> {
        self.evaluate(NAMES, &self.request(set, &BTreeSet::new()))
    }

    /// Builds a derivation, or brings back a store path; it stays as long as `root`, a link to it, is there.
    pub(crate) fn realise(&self, path: &Path, root: &Path) -> Result<PathBuf, Failure> {
        let mut command = Command::new("nix-store");
        command.arg("--realise").arg(path);
        command.arg("--add-root").arg(root).arg("--indirect");
        self.run(
            &mut command,
            self.limits.build(),
            "the build",
            Failure::Build,
        )?;
        let read = std::fs::read_link(root).map_err(Error::io("read", root));
        Ok(read?)
    }

    /// Builds an attribute of a flake.
    pub(crate) fn build_flake(&self, attribute: &str) -> Result<PathBuf, Failure> {
        let mut command = Command::new("nix");
        command.args(["--extra-experimental-features", "nix-command flakes"]);
        command.args([
            "build",
            "--no-link",
            "--json",
            "--print-build-logs",
            "--",
            attribute,
        ]);
        let output = self.run(
            &mut command,
            self.limits.build(),
            "the build",
            Failure::Build,
        )?;
        let built: Vec<Built> = parse(&output)?;
        let output = built
            .into_iter()
            .next()
            .and_then(|mut it| it.outputs.remove("out"));
        output.ok_or_else(|| Failure::Other(format!("{attribute} has no output")))
    }

    fn request(&self, set: &PackageSet, packages: &BTreeSet<String>) -> Value {
        json!({
            "functions": self.functions,
            "arguments": {
                "packages": packages,
                "srcType": set.source_type,
                "srcArgs": set.reference,
                "system": set.system,
            },
        })
    }

    fn evaluate<T: DeserializeOwned>(
        &self,
        expression: &str,
        request: &Value,
    ) -> Result<T, Failure> {
        let mut command = Command::new("nix-instantiate");
        command.args(["--eval", "--strict", "--json", "--read-write-mode"]);
        // Else packages could have anything built while they are evaluated, which has another time limit.
        command.args(["--option", "allow-import-from-derivation", "false"]);
        command.args([
            "--option",
            "extra-experimental-features",
            "nix-command flakes",
        ]);
        command.args(["--expr", expression]);
        command.env(REQUEST, request.to_string());
        // Of the garbage collector in Nix. It would begin with more than some limits are.
        let most = self.limits.evaluation_mib.saturating_mul(1 << 20);
        command.env("GC_MAXIMUM_HEAP_SIZE", most.to_string());
        command.env("GC_INITIAL_HEAP_SIZE", (most / 8).to_string());
        let time = self.limits.evaluation();
        let output = self.run(&mut command, time, "the evaluation", Failure::Evaluation)?;
        parse(&output)
    }

    fn run(
        &self,
        command: &mut Command,
        time: Duration,
        what: &'static str,
        failed: fn(String) -> Failure,
    ) -> Result<Vec<u8>, Failure> {
        let ended = child::run(command, time, self.is_stopping).map_err(|error| {
            let program = command.get_program().to_string_lossy();
            Failure::Other(format!("cannot run {program}: {error}"))
        })?;
        self.log.borrow_mut().push_str(&ended.log);
        match ended.how {
            How::Done(output) => Ok(output),
            How::Failed => Err(failed(ended.log)),
            How::TimedOut => Err(Failure::TimedOut {
                what,
                seconds: time.as_secs(),
            }),
            How::Stopped => Err(Failure::Stopping),
        }
    }
}

fn parse<T: DeserializeOwned>(output: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(output)
        .map_err(|error| Failure::Other(format!("Nix answers something unknown: {error}")))
}
