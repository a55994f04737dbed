//! Image layouts as the specification describes them, read without the library.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::fake_store::read_json;

/// An image layout with one image in it, whose layer blobs may be absent.
pub struct Layout {
    /// `index.json`
    pub index: Value,
    /// The manifest that the index names.
    pub manifest: Value,
    /// The configuration that the manifest names.
    pub config: Value,
    directory: PathBuf,
}

impl Layout {
    /// Reads one; its documents must be valid, have the digests and sizes that are said of them
    /// and fit together.
    pub fn read(directory: &Path) -> Self {
        let layout = read_json(&directory.join("oci-layout"));
        check("layout", &layout);
        let index = read_json(&directory.join("index.json"));
        check("index", &index);
        assert_eq!(index["manifests"].as_array().unwrap().len(), 1, "{index:#}");
        let manifest = read_blob(directory, &index["manifests"][0]);
        check("manifest", &manifest);
        let config = read_blob(directory, &manifest["config"]);
        check("config", &config);

        let layers = manifest["layers"].as_array().unwrap().len();
        let diff_ids = config["rootfs"]["diff_ids"].as_array().unwrap().len();
        let history = config["history"].as_array().unwrap().len();
        assert_eq!((diff_ids, history), (layers, layers));
        let directory = directory.to_owned();
        Self {
            index,
            manifest,
            config,
            directory,
        }
    }

    /// The manifest's digest.
    pub fn digest(&self) -> &str {
        self.index["manifests"][0]["digest"].as_str().unwrap()
    }

    /// The files of the layers' blobs, lowest first.
    pub fn layers(&self) -> Vec<PathBuf> {
        let layers = self.manifest["layers"].as_array().unwrap().iter();
        layers
            .map(|layer| blob_path(&self.directory, layer))
            .collect()
    }
}

/// Asserts that a document is a `kind` of `crates/testing/schemas/oci.json`.
pub fn check(kind: &str, document: &Value) {
    let errors = violations(kind, document);
    assert!(errors.is_empty(), "{kind}: {errors:?} in {document:#}");
}

/// What the schema of a `kind` has against a document.
pub fn violations(kind: &str, document: &Value) -> Vec<String> {
    let mut schema: Value = serde_json::from_str(include_str!("../schemas/oci.json")).unwrap();
    schema["$ref"] = json!(format!("#/$defs/{kind}"));
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors = validator.iter_errors(document);
    errors.map(|error| error.to_string()).collect()
}

fn read_blob(directory: &Path, descriptor: &Value) -> Value {
    let bytes = std::fs::read(blob_path(directory, descriptor)).unwrap();
    let digest = strata_oci::Digest::of(&bytes).to_string();
    assert_eq!(
        (json!(digest), json!(bytes.len())),
        (descriptor["digest"].clone(), descriptor["size"].clone())
    );
    serde_json::from_slice(&bytes).unwrap()
}

fn blob_path(directory: &Path, descriptor: &Value) -> PathBuf {
    let digest = descriptor["digest"].as_str().unwrap();
    directory.join("blobs").join(digest.replace(':', "/"))
}
