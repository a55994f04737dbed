//! Images in memory, for the tests of the sinks.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use strata_archive::write_error;
use strata_error::{Error, Result};
use strata_image::Image;
use strata_layer::{ImageName, Layer};
use strata_oci::{
    Config, Descriptor, Digest, History, ImageConfig, Manifest, Platform, json, media_type,
};
use strata_progress::{Context, Outcome, Progress};
use strata_tree::Recipe;

struct MemoryLayer {
    descriptor: Descriptor,
    bytes: Vec<u8>,
    recipe: Recipe,
}

impl Layer for MemoryLayer {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn diff_id(&self) -> Digest {
        self.descriptor.digest
    }

    fn recipe(&self) -> Option<&Recipe> {
        Some(&self.recipe)
    }

    fn write_to(&self, writer: &mut dyn Write) -> Result<()> {
        writer
            .write_all(&self.bytes)
            .map_err(write_error("a layer"))
    }
}

/// A layer with an annotation.
pub fn annotated(bytes: &[u8], key: &str, value: &str) -> Arc<dyn Layer> {
    let mut descriptor = Descriptor::of(media_type::LAYER_TAR, bytes);
    let annotations = &mut descriptor.annotations;
    annotations.insert(key.to_owned(), value.to_owned());
    Arc::new(MemoryLayer {
        descriptor,
        bytes: bytes.to_vec(),
        recipe: Recipe::default(),
    })
}

/// An image called `hello:latest` whose layers are these bytes.
pub fn image(layers: &[&[u8]]) -> Image {
    let layers: Vec<MemoryLayer> = layers
        .iter()
        .map(|bytes| MemoryLayer {
            descriptor: Descriptor::of(media_type::LAYER_TAR, bytes),
            bytes: bytes.to_vec(),
            recipe: Recipe::default(),
        })
        .collect();
    let config = ImageConfig::new(
        Platform::linux("amd64"),
        "1970-01-01T00:00:01Z".into(),
        Config::new(),
        layers
            .iter()
            .map(|layer| (layer.diff_id(), History::default())),
    );
    let config_bytes = json::to_bytes(&config);
    let manifest = Manifest::new(
        Descriptor::of(media_type::CONFIG, &config_bytes),
        layers
            .iter()
            .map(|layer| layer.descriptor.clone())
            .collect(),
        std::collections::BTreeMap::new(),
    );
    let manifest_bytes = json::to_bytes(&manifest);
    Image {
        name: Some(ImageName {
            name: "hello".into(),
            tag: "latest".into(),
        }),
        format: None,
        manifest_descriptor: Descriptor::of(media_type::MANIFEST, &manifest_bytes),
        manifest,
        manifest_bytes,
        config,
        config_bytes,
        layers: layers
            .into_iter()
            .map(|layer| Arc::new(layer) as Arc<dyn Layer>)
            .collect(),
    }
}

/// The user gives up at once.
pub fn interrupted() -> Context<'static> {
    Context::silent().cancelled_by(&|| Err(Error::Interrupted))
}

/// Counts outcomes.
#[derive(Default)]
pub struct Watcher(Mutex<Vec<Outcome>>);

impl Watcher {
    pub fn count(&self, outcome: Outcome) -> usize {
        self.0
            .lock()
            .unwrap()
            .iter()
            .filter(|one| **one == outcome)
            .count()
    }
}

impl Progress for Watcher {
    fn finish(&self, _: &Descriptor, outcome: Outcome) {
        self.0.lock().unwrap().push(outcome);
    }
}

/// Lets something happen once, after a copy has begun.
pub struct Meanwhile<F>(Mutex<Option<F>>);

impl<F: FnOnce() + Send> Meanwhile<F> {
    pub fn new(happen: F) -> Self {
        Self(Mutex::new(Some(happen)))
    }
}

impl<F: FnOnce() + Send> Progress for Meanwhile<F> {
    fn begin(&self, _: &Descriptor) {
        if let Some(happen) = self.0.lock().unwrap().take() {
            happen();
        }
    }
}

/// Every file below `directory`, sorted.
pub fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Makes a named pipe, which nobody opens for writing.
pub fn make_pipe(path: &Path) {
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
}
