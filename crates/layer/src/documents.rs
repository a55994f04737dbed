//! The documents in the output of a derivation.

use std::path::{Path, PathBuf};

use strata_error::{Error, Result, small_file};
use strata_oci::{
    Compression, Descriptor, Digest, ImageConfig, Index, LAYOUT_FILE, Manifest, media_type,
};

use super::{BaseRecord, LAYERS_FILE, LayerRecord, LayersFile};

/// The largest document that is read, in bytes: far above what any image has.
const LARGEST_DOCUMENT: u64 = 64 * 1024 * 1024;

/// The documents of what a derivation built, checked against each other.
pub struct Documents {
    /// `layers.json`.
    pub layers: LayersFile,
    /// The entry of `index.json`.
    pub manifest_descriptor: Descriptor,
    /// The manifest.
    pub manifest: Manifest,
    /// Its bytes.
    pub manifest_bytes: Vec<u8>,
    /// The config.
    pub config: ImageConfig,
    /// Its bytes.
    pub config_bytes: Vec<u8>,
}

impl Documents {
    /// Whether this is the output of an image derivation.
    pub fn are_in(path: &Path) -> bool {
        path.join(LAYOUT_FILE).exists() && path.join(LAYERS_FILE).exists()
    }

    /// Reads the documents in the output of an image derivation.
    pub fn read(path: &Path) -> Result<Self> {
        let document = |name: &str| read_document(&path.join(name));
        let layers_path = path.join(LAYERS_FILE);
        let layers = LayersFile::read(path)?;
        let index: Index = parse(&path.join("index.json"), &document("index.json")?)?;
        let [manifest_descriptor] = index.manifests.as_slice() else {
            return Err(damaged(
                &path.join("index.json"),
                "does not have one manifest",
            ));
        };
        let manifest_bytes = read_blob(path, manifest_descriptor)?;
        let manifest: Manifest = parse(&blob_path(path, manifest_descriptor), &manifest_bytes)?;
        let config_bytes = read_blob(path, &manifest.config)?;
        let config: ImageConfig = parse(&blob_path(path, &manifest.config), &config_bytes)?;
        check_layers(&layers_path, &manifest, &config, &layers)?;
        Ok(Self {
            layers,
            manifest_descriptor: manifest_descriptor.clone(),
            manifest,
            manifest_bytes,
            config,
            config_bytes,
        })
    }
}

impl LayersFile {
    /// Reads the file in the output of a derivation.
    pub fn read(directory: &Path) -> Result<Self> {
        let path = directory.join(LAYERS_FILE);
        Self::parse(&read_document(&path)?, &path.to_string_lossy())
    }
}

fn check_layers(
    path: &Path,
    manifest: &Manifest,
    config: &ImageConfig,
    file: &LayersFile,
) -> Result<()> {
    let base = file.base.iter();
    let blobs = base.clone().map(BaseRecord::descriptor);
    let blobs = blobs.chain(file.layers.iter().map(LayerRecord::descriptor));
    let diff_ids = base
        .clone()
        .map(|record| record.diff_id)
        .chain(file.layers.iter().map(|record| record.digest));
    if !blobs.eq(manifest.layers.iter().cloned())
        || !diff_ids.eq(config.rootfs.diff_ids.iter().copied())
    {
        return Err(damaged(
            path,
            "does not list the layers of the manifest and config",
        ));
    }
    let base = base.map(|record| (&record.compressed, record.compression, record.diff_id));
    let own = file.layers.iter();
    let own = own.map(|record| (&record.compressed, record.compression, record.digest));
    for (compressed, compression, diff_id) in base.chain(own) {
        let how = compression.map(Compression::media_type);
        if compressed
            .as_ref()
            .is_some_and(|layer| Some(layer.media_type.as_str()) != how)
        {
            let message = format!("does not say how layer {diff_id} is compressed");
            return Err(damaged(path, &message));
        }
    }
    let known = [
        media_type::LAYER_TAR,
        media_type::LAYER_TAR_GZIP,
        media_type::LAYER_TAR_ZSTD,
    ];
    let is_unknown = |layer: &&Descriptor| !known.contains(&layer.media_type.as_str());
    match manifest.layers.iter().find(is_unknown) {
        None => Ok(()),
        Some(layer) => Err(damaged(
            path,
            &format!("has a layer of type {}", layer.media_type),
        )),
    }
}

/// The bytes of a document in the directory of blobs, which have its digest and size.
pub fn read_blob(path: &Path, descriptor: &Descriptor) -> Result<Vec<u8>> {
    let path = blob_path(path, descriptor);
    let bytes = read_document(&path)?;
    if (Digest::of(&bytes), bytes.len() as u64) != (descriptor.digest, descriptor.size) {
        return Err(damaged(&path, "does not have its digest"));
    }
    Ok(bytes)
}

/// Where a blob is in an OCI layout at `path` (OCI image-layout.md, "Blobs").
pub fn blob_path(path: &Path, descriptor: &Descriptor) -> PathBuf {
    path.join("blobs/sha256").join(descriptor.digest.hex())
}

/// The bytes of a document, of which more than any image has are an error.
pub fn read_document(path: &Path) -> Result<Vec<u8>> {
    small_file::read(path, LARGEST_DOCUMENT)
}

/// What the document at `path` says.
pub fn parse<T: serde::de::DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| damaged(path, &error.to_string()))
}

/// The error for a document that is not as a derivation of ours wrote it.
pub fn damaged(path: &Path, message: &str) -> Error {
    Error::Document {
        document: path.display().to_string(),
        message: message.to_owned(),
        hint:
            "the image is damaged: build it again, or nix-store --verify --check-contents --repair"
                .into(),
    }
}
