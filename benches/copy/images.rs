//! Images of the store, built by `strata-builder`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use serde_json::{Value, json};
use strata_nix::ClosureEntry;

use crate::corpus::Corpus;
use crate::measure::run;

/// Layers of an image without the one that changes.
const LAYERS: usize = 39;

/// The same layers below each version of a small application.
pub(crate) struct Images<'a> {
    corpus: &'a Corpus,
    /// The number of paths in each layer at most.
    paths: usize,
    layers: Vec<PathBuf>,
}

impl<'a> Images<'a> {
    /// Builds the layers, of at most `paths` store paths each. Their outputs are in the store.
    pub(crate) fn new(corpus: &'a Corpus, paths: usize) -> Result<Self> {
        let mut images = Self {
            corpus,
            paths,
            layers: Vec::new(),
        };
        for number in 0..LAYERS {
            let closure = corpus.closure.iter().skip(number).step_by(LAYERS);
            let closure: Vec<&ClosureEntry> = closure.take(paths).collect();
            let name = format!("layer-{number}-of-{paths}");
            images
                .layers
                .push(images.build(&name, &closure, json!({}))?);
        }
        Ok(images)
    }

    /// Builds the image with this version of the application on top.
    pub(crate) fn with_application(&self, version: usize) -> Result<PathBuf> {
        let application: Vec<&ClosureEntry> = self
            .corpus
            .applications
            .iter()
            .skip(version)
            .take(1)
            .collect();
        let request = json!({
            "layers": self.layers,
            "image": {
                "name": "bench", "tag": "latest", "arch": "amd64", "created": "1970-01-01T00:00:01Z",
            },
        });
        let name = format!("image-{version}-of-{}", self.paths);
        self.build(&name, &application, request)
    }

    fn build(&self, name: &str, deps: &[&ClosureEntry], mut request: Value) -> Result<PathBuf> {
        let out = self.corpus.output(name);
        remove(&out)?;
        let paths: Vec<&str> = deps.iter().map(|entry| entry.path.as_str()).collect();
        request["version"] = json!(1);
        request["storeDir"] = json!(self.corpus.store);
        request["deps"] = json!(paths);
        let attrs = json!({ "outputs": { "out": out }, "closure": deps, "request": request });
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
