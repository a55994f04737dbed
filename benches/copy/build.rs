//! Building an image of store paths, as a derivation would.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use serde_json::json;
use strata_nix::{ClosureEntry, base32};
use strata_oci::Digest;

use crate::measure::run;

/// Where an output of this name belongs in a store.
pub(crate) fn output(store: &Path, name: &str) -> PathBuf {
    let hash = base32::encode(&Digest::of(name.as_bytes()).as_bytes()[..20]);
    store.join(format!("{hash}-{name}"))
}

/// Builds the image of a closure whose only root is `root` anew, with at most so many layers, or as many as Strata makes
/// by itself.
pub(crate) fn build(
    store: &Path,
    name: &str,
    root: &str,
    closure: &[&ClosureEntry],
    max_layers: Option<usize>,
) -> Result<PathBuf> {
    let out = output(store, name);
    if out.exists() {
        fs::remove_dir_all(&out)?;
    }
    let mut request = json!({
        "version": 1,
        "storeDir": store,
        "deps": [root],
        "image": {
            "name": "bench", "tag": "latest", "arch": "amd64", "created": "1970-01-01T00:00:01Z",
        },
    });
    if let Some(layers) = max_layers {
        request["maxLayers"] = json!(layers);
    }
    let attrs = json!({ "outputs": { "out": out }, "closure": closure, "request": request });
    let file = out.with_extension("json");
    fs::write(&file, serde_json::to_vec(&attrs)?)?;
    run(Command::new(strata_testing::program("strata-builder")).arg(&file))?;
    fs::remove_file(file)?;
    Ok(out)
}
