//! Opening what a derivation built.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::base_layer::BaseLayer;
#[cfg(feature = "cli")]
use super::compressed::CompressedLayer;
use super::layers_file::LAYERS_FILE;
use super::{BaseRecord, Image, Layer, LayerRecord, LayersFile, write_layer};
use crate::nix::{Store, nar};
use crate::oci::{
    Compression, Descriptor, Digest, HashingWriter, ImageConfig, Index, LAYOUT_FILE, Manifest,
    media_type,
};
use crate::tar::write_error;
use crate::tree::Recipe;
use crate::{Error, Result, small_file};

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

impl Image {
    /// Opens the output of an image derivation, a directory. Its documents are read and checked
    /// against each other; layers are made when they are asked for.
    pub fn open(path: &Path) -> Result<Self> {
        if !Documents::are_in(path) {
            let is_there = path.symlink_metadata().is_ok();
            return Err(Error::Document {
                document: path.display().to_string(),
                message: if is_there {
                    "not an image that Strata built".into()
                } else {
                    "there is no such file or directory".into()
                },
                hint: "give the output of buildImage: nix build .#dockerImage, then strata copy result DESTINATION".into(),
            });
        }
        let Documents {
            layers: file,
            manifest_descriptor,
            manifest,
            manifest_bytes,
            config,
            config_bytes,
        } = Documents::read(path)?;
        let store = Store::new(file.store_dir);
        let base = file.base.into_iter().map(|record| {
            let path = store.locate_below(&record.path);
            let (compressed, compression) = (record.compressed.clone(), record.compression);
            promised(
                Box::new(BaseLayer { record, path }),
                compressed,
                compression,
            )
        });
        let own = file.layers.into_iter().map(|record| layer(record, &store));
        Ok(Self {
            name: file.image,
            layers: base.chain(own).collect(),
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

fn layer(record: LayerRecord, store: &Store) -> Box<dyn Layer> {
    let descriptor = record.tar_descriptor();
    let (compressed, compression) = (record.compressed, record.compression);
    let layer = StoreLayer {
        descriptor,
        compression,
        recipe: record.recipe,
        tar: match record.tar {
            Some(tar) => Tar::Kept(store.locate_below(&tar)),
            None => Tar::Made(store.clone()),
        },
    };
    promised(Box::new(layer), compressed, compression)
}

/// The layer that the image promises, made from the uncompressed one.
#[cfg_attr(
    not(feature = "cli"),
    allow(unused_variables, clippy::needless_pass_by_value)
)]
fn promised(
    tar: Box<dyn Layer>,
    compressed: Option<Descriptor>,
    compression: Option<Compression>,
) -> Box<dyn Layer> {
    // The builder, which cannot compress, opens no image.
    #[cfg(feature = "cli")]
    if let (Some(descriptor), Some(compression)) = (compressed, compression) {
        return Box::new(CompressedLayer {
            tar,
            descriptor,
            compression,
        });
    }
    tar
}

/// A layer of store paths.
struct StoreLayer {
    descriptor: Descriptor,
    compression: Option<Compression>,
    recipe: Recipe,
    tar: Tar,
}

/// Where the tar of a layer comes from.
enum Tar {
    /// From its recipe and this store.
    Made(Store),
    /// From this file, as it may not be the same when it is made again.
    Kept(PathBuf),
}

impl Layer for StoreLayer {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn diff_id(&self) -> Digest {
        self.descriptor.digest
    }

    fn recipe(&self) -> Option<&Recipe> {
        Some(&self.recipe)
    }

    fn compression(&self) -> Option<Compression> {
        self.compression
    }

    fn write_to(&self, writer: &mut dyn Write) -> Result<()> {
        let mut writer = HashingWriter::new(writer);
        match &self.tar {
            Tar::Made(store) => {
                write_layer(&self.recipe, store, &mut writer)?;
            }
            Tar::Kept(path) => {
                let mut file = File::open(path).map_err(Error::io("open", path))?;
                io::copy(&mut file, &mut writer).map_err(write_error("a layer"))?;
            }
        }
        let (digest, size) = writer.finish();
        if (digest, size) == (self.descriptor.digest, self.descriptor.size) {
            return Ok(());
        }
        Err(self.mismatch(digest))
    }
}

impl StoreLayer {
    /// The error for bytes that are not the promised ones, with what has changed.
    fn mismatch(&self, found: Digest) -> Error {
        let layer = format!("layer {}", self.descriptor.digest);
        let (what, hint) = match &self.tar {
            Tar::Kept(path) => (
                format!("{layer} in {}", path.display()),
                "the store is damaged: nix-store --verify --check-contents --repair".to_owned(),
            ),
            Tar::Made(store) => match self.changed(store) {
                Some(path) => (
                    format!(
                        "{layer}: store path {path} is not what it was when the image was built"
                    ),
                    format!(
                        "repair it with `nix-store --repair-path {path}`, or build the layer with reproducible = false"
                    ),
                ),
                None => (
                    layer,
                    "the image was built by another version of Strata; rebuild it".to_owned(),
                ),
            },
        };
        Error::Mismatch {
            what,
            expected: self.descriptor.digest.to_string(),
            found: found.to_string(),
            hint,
        }
    }

    /// The first store path that is not what it was.
    fn changed(&self, store: &Store) -> Option<&str> {
        let changed = self.recipe.sources.iter().find(|source| {
            let info = nar::hash(&store.locate_below(&source.store_path)).ok();
            info.is_none_or(|info| info.hash != source.nar_hash)
        });
        changed.map(|source| source.store_path.as_str())
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

pub(super) fn read_blob(path: &Path, descriptor: &Descriptor) -> Result<Vec<u8>> {
    let path = blob_path(path, descriptor);
    let bytes = read_document(&path)?;
    if (Digest::of(&bytes), bytes.len() as u64) != (descriptor.digest, descriptor.size) {
        return Err(damaged(&path, "does not have its digest"));
    }
    Ok(bytes)
}

fn blob_path(path: &Path, descriptor: &Descriptor) -> PathBuf {
    path.join("blobs/sha256").join(descriptor.digest.hex())
}

pub(super) fn read_document(path: &Path) -> Result<Vec<u8>> {
    small_file::read(path, LARGEST_DOCUMENT)
}

pub(super) fn parse<T: serde::de::DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| damaged(path, &error.to_string()))
}

pub(super) fn damaged(path: &Path, message: &str) -> Error {
    Error::Document {
        document: path.display().to_string(),
        message: message.to_owned(),
        hint:
            "the image is damaged: build it again, or nix-store --verify --check-contents --repair"
                .into(),
    }
}
