//! Images with compressed layers, for a server that is asked for them.

use crate::Result;
use crate::image::{CompressedLayer, Image, Layer};
use crate::oci::{Compression, Descriptor, Manifest, json as canonical, media_type};
use crate::transport::Progress;
use crate::transport::compressed::compress_all;

/// The same image with each layer compressed; those that are compressed already stay.
///
/// The manifest names the compressed layers, so that all of them are made and compressed here, once,
/// to know their digests and sizes. They are made again when they are asked for; nothing is kept.
pub fn compress(image: Image, compression: Compression, progress: &dyn Progress) -> Result<Image> {
    if compression == Compression::None {
        return Ok(image);
    }
    let compressed = compress_all(&image.layers, Some(compression), progress)?;
    let layers: Vec<_> = image
        .layers
        .into_iter()
        .zip(compressed)
        .map(|(layer, (compression, descriptor))| {
            if *layer.descriptor() == descriptor {
                return layer;
            }
            Box::new(CompressedLayer {
                tar: layer,
                descriptor,
                compression,
            }) as Box<dyn Layer>
        })
        .collect();
    let descriptors = layers.iter().map(|layer| layer.descriptor().clone());
    let manifest = Manifest {
        layers: descriptors.collect(),
        ..image.manifest
    };
    let manifest_bytes = canonical::to_bytes(&manifest);
    Ok(Image {
        manifest_descriptor: Descriptor {
            annotations: image.manifest_descriptor.annotations,
            platform: image.manifest_descriptor.platform,
            ..Descriptor::of(media_type::MANIFEST, &manifest_bytes)
        },
        manifest,
        manifest_bytes,
        layers,
        ..image
    })
}
