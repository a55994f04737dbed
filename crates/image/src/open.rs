//! Opening what a derivation built.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::compressed::CompressedLayer;
use super::image::Image;
use strata_archive::write_error;
use strata_error::{Error, Result};
use strata_layer::{BaseLayer, Documents, Layer, LayerRecord, write_layer};
use strata_nix::{Store, nar, walk};
use strata_oci::{Compression, Descriptor, Digest, HashingWriter};
use strata_tree::Recipe;

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
        let store = store_of(file.store_dir, path)?;
        let base = file.base.into_iter().map(|record| {
            let path = record.located(&store)?;
            let (compressed, compression) = (record.compressed.clone(), record.compression);
            let layer = Arc::new(BaseLayer { record, path });
            Ok(promised(layer, compressed, compression))
        });
        let own = file.layers.into_iter().map(|record| layer(record, &store));
        let layers = base.chain(own).collect::<Result<_>>()?;
        Ok(Self {
            name: file.image,
            format: file.format,
            layers,
            manifest_descriptor,
            manifest,
            manifest_bytes,
            config,
            config_bytes,
        })
    }
}

fn layer(record: LayerRecord, store: &Store) -> Result<Arc<dyn Layer>> {
    let descriptor = record.tar_descriptor();
    let (compressed, compression) = (record.compressed, record.compression);
    let layer = StoreLayer {
        descriptor,
        compression,
        recipe: record.recipe,
        tar: match record.tar {
            Some(tar) => Tar::Kept(inside(store, &tar)?),
            None => Tar::Made(store.clone()),
        },
    };
    Ok(promised(Arc::new(layer), compressed, compression))
}

/// The store that the documents of the image at `path` name.
pub(super) fn store_of(dir: String, path: &Path) -> Result<Store> {
    let hint = format!("if that is the store, say so: NIX_STORE_DIR={dir}");
    let environment = |name: &str| std::env::var(name).ok();
    Store::of_output(dir, path, &environment).map_err(|message| Error::Document {
        document: path.display().to_string(),
        message,
        hint,
    })
}

/// Where a file of the store is that an image names; the error is that it is not in the store.
pub(super) fn inside(store: &Store, path: &str) -> Result<PathBuf> {
    store
        .locate_inside(path)
        .map_err(|message| Error::Document {
            document: "the image".to_owned(),
            message,
            hint: "rebuild it; its files name only what is in the store".to_owned(),
        })
}

/// The layer that the image promises, made from the uncompressed one.
fn promised(
    tar: Arc<dyn Layer>,
    compressed: Option<Descriptor>,
    compression: Option<Compression>,
) -> Arc<dyn Layer> {
    if let (Some(descriptor), Some(compression)) = (compressed, compression) {
        return Arc::new(CompressedLayer {
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
                let mut tar = walk::open_regular(path)?;
                io::copy(&mut tar.file, &mut writer).map_err(write_error("a layer"))?;
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
        let mut contents = self.recipe.store_contents();
        let changed = contents.find(|content| {
            let info = nar::hash(&store.locate_below(content.path)).ok();
            info.is_none_or(|info| info.hash != content.nar_hash)
        });
        changed.map(|content| content.path)
    }
}
