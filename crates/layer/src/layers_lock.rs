//! `layers.lock.json`: which store paths were in a layer together (docs/internals/formats.md).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::layers_file::LayersFile;
use strata_error::{Error, Result};
use strata_nix::StorePath;

/// The version of the format that this program writes and reads.
const VERSION: u32 = 1;

/// The whole file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayersLock {
    version: u32,
    /// The full store paths in each layer, lowest layer first.
    pub layers: Vec<Vec<String>>,
    /// Why each is a layer, where that is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}

impl LayersLock {
    /// These layers, each with why it is one.
    pub fn with_reasons(layers: impl IntoIterator<Item = (Vec<String>, String)>) -> Self {
        let (layers, reasons) = layers.into_iter().unzip();
        Self {
            version: VERSION,
            layers,
            reasons,
        }
    }

    /// The layers that an image or a layer has of its own.
    pub fn of(file: &LayersFile) -> Self {
        let paths_of = |layer: &super::LayerRecord| {
            let sources = layer.recipe.sources.iter();
            // What the builder adds is a directory of its output, and another one each time.
            let whole = sources
                .filter(|source| StorePath::parse(&file.store_dir, &source.store_path).is_ok());
            let paths: BTreeSet<String> = whole.map(|source| source.store_path.clone()).collect();
            Vec::from_iter(paths)
        };
        let layers = file.layers.iter().map(paths_of);
        Self {
            version: VERSION,
            layers: layers.filter(|paths| !paths.is_empty()).collect(),
            reasons: Vec::new(),
        }
    }

    /// Reads the file's bytes; `document` is its path, for the error.
    pub fn parse(bytes: &[u8], document: &str) -> Result<Self> {
        let error = |message: String| Error::Document {
            document: document.to_owned(),
            message,
            hint: "write it anew: nix run .#image.lockLayers".into(),
        };
        let lock: Self = serde_json::from_slice(bytes)
            .map_err(|source| error(format!("not a list of layers: {source}")))?;
        if lock.version != VERSION {
            let version = lock.version;
            return Err(error(format!("version {version}, expected {VERSION}")));
        }
        Ok(lock)
    }

    /// The file's text: a line for each store path, so that a change is easy to read.
    pub fn to_text(&self) -> String {
        // Strings and lists always become JSON.
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        text + "\n"
    }
}
