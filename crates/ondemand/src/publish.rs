//! From store paths to an image that can be served: its layers are compressed, once, and what they are called
//! then is remembered.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::blobs::Blobs;
use super::memory::{Memory, Remembered};
use strata_compress::compress_layer;
use strata_error::{Error, Result};
use strata_image::{CompressedLayer, Image, ImageIndex, ManifestOrIndex};
use strata_layer::Layer;
use strata_oci::{Compression, Descriptor, Digest, media_type};
use strata_progress::{Context, Watched};

/// What images are published with.
pub(crate) struct Publisher<'a> {
    pub(crate) memory: &'a Memory,
    pub(crate) blobs: &'a Blobs,
    pub(crate) compression: Compression,
    pub(crate) is_stopping: &'a AtomicBool,
}

impl Publisher<'_> {
    /// The image, or the index of several, that is built at these paths: its digest. `now` is in seconds since 1970.
    pub(crate) fn publish(&self, paths: &[PathBuf], now: i64) -> Result<Digest> {
        if let Some(known) = self.memory.image_of(paths, self.compression, now)
            && self.memory.document(known).is_some()
        {
            return Ok(known);
        }
        let mut built = Vec::new();
        let mut layers = Vec::new();
        for path in paths {
            let image = match ManifestOrIndex::open(path)? {
                ManifestOrIndex::Image(image) => {
                    ManifestOrIndex::Image(Box::new(self.compress(*image)?))
                }
                ManifestOrIndex::Index(mut index) => {
                    let images = std::mem::take(&mut index.images).into_iter();
                    let images = images.map(|image| self.compress(image));
                    let images = images.collect::<Result<Vec<_>>>()?;
                    ManifestOrIndex::Index(Box::new(index.with_images(images)))
                }
            };
            for image in image.borrowed().images() {
                let own = image.layers.iter();
                layers.extend(own.map(|layer| (layer.descriptor().digest, path.as_path())));
            }
            built.push(image);
        }
        let root = together(built)?;
        let images = root.borrowed().images().into_iter();
        let mut documents: Vec<_> = images
            .flat_map(|image| {
                [
                    (
                        image.manifest_descriptor.clone(),
                        image.manifest_bytes.clone(),
                    ),
                    (image.manifest.config.clone(), image.config_bytes.clone()),
                ]
            })
            .collect();
        if let ManifestOrIndex::Index(index) = &root {
            documents.push((index.descriptor.clone(), index.index_bytes.clone()));
        }
        let digest = root.borrowed().digest();
        let remembered = Remembered {
            digest,
            paths,
            compression: self.compression,
            documents,
            layers,
        };
        self.memory.keep_image(&remembered, now);
        Ok(digest)
    }

    /// The image with each layer compressed; those that are compressed already stay.
    fn compress(&self, image: Image) -> Result<Image> {
        let layers = image.layers.iter();
        let layers = layers.map(|layer| {
            let Some(compression) = compression_of(layer.as_ref(), self.compression) else {
                return Ok(Arc::clone(layer));
            };
            let diff_id = layer.diff_id();
            let known = self.memory.layer(diff_id, compression);
            let descriptor = known.map_or_else(|| self.digest(layer, compression), Ok)?;
            Ok(compressed(layer, compression, descriptor))
        });
        let layers = layers.collect::<Result<Vec<_>>>()?;
        Ok(image.with_layers(layers))
    }

    /// What a layer is called when it is compressed: it is, and is kept, because clients will ask for it.
    fn digest(&self, layer: &Arc<dyn Layer>, compression: Compression) -> Result<Descriptor> {
        let stopping = || {
            if self.is_stopping.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            Ok(())
        };
        let context = Context::silent().cancelled_by(&stopping);
        let tar = layer.descriptor();
        let descriptor = self.blobs.keep(|writer| {
            compress_layer(tar, compression, writer, |writer| {
                layer.write_to(&mut Watched::new(writer, tar, context))
            })
        })?;
        self.memory
            .keep_layer(layer.diff_id(), compression, &descriptor);
        Ok(descriptor)
    }
}

/// A layer of an image that was published, to be made again.
pub(crate) fn find_layer(
    memory: &Memory,
    digest: Digest,
    compression: Compression,
) -> Option<Arc<dyn Layer>> {
    memory.origins(digest).iter().find_map(|path| {
        layers_of(path).into_iter().find_map(|layer| {
            if layer.descriptor().digest == digest {
                return Some(layer);
            }
            let compression = compression_of(layer.as_ref(), compression)?;
            let descriptor = memory.layer(layer.diff_id(), compression)?;
            let found = descriptor.digest == digest;
            found.then(|| compressed(&layer, compression, descriptor))
        })
    })
}

/// The layers of what is built at a path; none if it is gone.
fn layers_of(path: &Path) -> Vec<Arc<dyn Layer>> {
    let Ok(built) = ManifestOrIndex::open(path) else {
        return Vec::new();
    };
    let images = built.borrowed().images().into_iter();
    images.flat_map(|image| image.layers.clone()).collect()
}

/// How a layer is to be compressed; none if it is served as it is.
fn compression_of(layer: &dyn Layer, given: Compression) -> Option<Compression> {
    let compression = layer.compression().unwrap_or(given);
    let is_tar = layer.descriptor().media_type == media_type::LAYER_TAR;
    (is_tar && compression != Compression::None).then_some(compression)
}

fn compressed(
    tar: &Arc<dyn Layer>,
    compression: Compression,
    descriptor: Descriptor,
) -> Arc<dyn Layer> {
    Arc::new(CompressedLayer {
        tar: Arc::clone(tar),
        descriptor,
        compression,
    })
}

/// What was built, as one: several images are an index.
fn together(mut built: Vec<ManifestOrIndex>) -> Result<ManifestOrIndex> {
    if built.len() == 1
        && let Some(only) = built.pop()
    {
        return Ok(only);
    }
    let images = built.into_iter().map(|built| match built {
        ManifestOrIndex::Image(image) => Ok(*image),
        ManifestOrIndex::Index(_) => Err(Error::Document {
            document: "an image of several systems".to_owned(),
            message: "one of them is an index itself".to_owned(),
            hint: "name one image for each system".to_owned(),
        }),
    });
    let images = images.collect::<Result<Vec<_>>>()?;
    let index = ImageIndex::of(images, std::collections::BTreeMap::new());
    Ok(ManifestOrIndex::Index(Box::new(index)))
}
