//! Images of the store, built by `strata-builder` and cut as it cuts them by itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::json;
use strata_nix::ClosureEntry;

use crate::corpus::Corpus;
use crate::measure::run;

/// An image with each version of a small application, on the same packages.
pub(crate) struct Images<'a> {
    corpus: &'a Corpus,
    /// The packages. Each refers to two that come before it, as libraries do: the first is needed by all.
    packages: Vec<ClosureEntry>,
}

impl<'a> Images<'a> {
    /// Images with every so-manieth package of the corpus.
    pub(crate) fn new(corpus: &'a Corpus, step: usize) -> Self {
        let mut packages: Vec<ClosureEntry> =
            corpus.closure.iter().step_by(step).cloned().collect();
        for number in 1..packages.len() {
            let references = [number / 2, number * 2 / 3].map(|other| packages[other].path.as_str().into());
            packages[number].references = references.to_vec();
        }
        Self { corpus, packages }
    }

    /// Builds the image with this version of the application.
    pub(crate) fn with_application(&self, version: usize) -> Result<PathBuf> {
        let application = self.corpus.applications.get(version);
        let mut application = application.context("there are fewer versions")?.clone();
        application.references = self
            .packages
            .iter()
            .map(|entry| entry.path.as_str().into())
            .collect();
        let name = format!("image-{version}-of-{}", self.packages.len());
        let out = self.corpus.output(&name);
        remove(&out)?;
        let request = json!({
            "version": 1,
            "storeDir": self.corpus.store,
            "deps": [application.path],
            "image": {
                "name": "bench", "tag": "latest", "arch": "amd64", "created": "1970-01-01T00:00:01Z",
            },
        });
        let closure: Vec<&ClosureEntry> = self.packages.iter().chain([&application]).collect();
        let attrs = json!({ "outputs": { "out": out }, "closure": closure, "request": request });
        let file = out.with_extension("json");
        fs::write(&file, serde_json::to_vec(&attrs)?)?;
        run(Command::new(strata_testing::program("strata-builder")).arg(&file))?;
        fs::remove_file(file)?;
        Ok(out)
    }
}

fn remove(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory)?;
    }
    Ok(())
}
