//! The documents in the output of a derivation.

use std::path::Path;

use strata_error::Result;
use strata_oci::{Compression, Descriptor, ImageConfig, Manifest, layout, media_type};

use super::base_layer::BaseRecord;
use super::layers_file::{LAYERS_FILE, LayerRecord, LayersFile};
use super::output_layout::{OutputLayout, damaged, parse, read_document};

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
        path.join(layout::MARKER_FILE).exists() && path.join(LAYERS_FILE).exists()
    }

    /// Reads the documents in the output of an image derivation.
    pub fn read(path: &Path) -> Result<Self> {
        let layers_path = path.join(LAYERS_FILE);
        let layers = LayersFile::read(path)?;
        let layout = OutputLayout(path);
        let manifest_descriptor = layout.only_entry("does not have one manifest")?;
        let manifest_bytes = layout.blob(&manifest_descriptor)?;
        let manifest: Manifest = parse(&layout.path_of(&manifest_descriptor), &manifest_bytes)?;
        let config_bytes = layout.blob(&manifest.config)?;
        let config: ImageConfig = parse(&layout.path_of(&manifest.config), &config_bytes)?;
        check_layers(&layers_path, &manifest, &config, &layers)?;
        Ok(Self {
            layers,
            manifest_descriptor,
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
