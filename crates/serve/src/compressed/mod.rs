//! Images with compressed layers, for a server that is asked for them.

mod shared;

use std::sync::Arc;

use self::shared::SharedLayer;
use strata_copy::compressed::{Made, compress_all};
use strata_error::Result;
use strata_image::{CompressedLayer, Image, ManifestOrIndex};
use strata_layer::Layer;
use strata_oci::Compression;
use strata_progress::Context;

pub use self::shared::SharedLayers;

/// The same with each layer compressed, in each image of an index. Compressed layers, also those that the image
/// promises, are made once for all who ask for them, as long as `shared` has room.
pub fn compress_all_images(
    built: ManifestOrIndex,
    compression: Compression,
    shared: &Arc<SharedLayers>,
    context: Context<'_>,
) -> Result<ManifestOrIndex> {
    match built {
        ManifestOrIndex::Image(image) => {
            let image = share(compress(*image, compression, context)?, shared);
            Ok(ManifestOrIndex::Image(Box::new(image)))
        }
        ManifestOrIndex::Index(mut index) => {
            let images = std::mem::take(&mut index.images).into_iter();
            let images =
                images.map(|image| Ok(share(compress(image, compression, context)?, shared)));
            let images = images.collect::<Result<Vec<_>>>()?;
            Ok(ManifestOrIndex::Index(Box::new(index.with_images(images))))
        }
    }
}

/// The same image with each layer compressed; those that are compressed already stay.
///
/// The manifest names the compressed layers, so that all of them are made and compressed here, once,
/// to know their digests and sizes. They are made again when they are asked for.
fn compress(image: Image, compression: Compression, context: Context<'_>) -> Result<Image> {
    if compression == Compression::None {
        return Ok(image);
    }
    let compressed = compress_all(&image.layers, Some(compression), context)?;
    let layers = image.layers.iter().cloned();
    let layers = layers
        .zip(compressed)
        .map(
            |(
                layer,
                Made {
                    compression,
                    descriptor,
                },
            )| {
                if *layer.descriptor() == descriptor {
                    return layer;
                }
                Arc::new(CompressedLayer {
                    tar: layer,
                    descriptor,
                    compression,
                }) as Arc<dyn Layer>
            },
        )
        .collect();
    Ok(image.with_layers(layers))
}

/// The same image with compressed layers that are shared.
fn share(mut image: Image, shared: &Arc<SharedLayers>) -> Image {
    for layer in &mut image.layers {
        if layer.uncompressed().is_some() {
            *layer = Arc::new(SharedLayer {
                layer: Arc::clone(layer),
                shared: Arc::clone(shared),
            });
        }
    }
    image
}
