//! Images with compressed layers, for a server that is asked for them.

use std::io::Write;

use super::super::progress::Watched;
use super::super::{Outcome, Progress};
use crate::compress::Compressor;
use crate::image::{Image, Layer};
use crate::oci::{
    Compression, Descriptor, Digest, Hasher, HashingWriter, Manifest, json as canonical, media_type,
};
use crate::tar::write_error;
use crate::tree::Recipe;
use crate::{Error, Result};

/// The same image with each layer compressed.
///
/// The manifest names the compressed layers, so that all of them are made and compressed here, once,
/// to know their digests and sizes. They are made again when they are asked for; nothing is kept.
pub fn compress(image: Image, compression: Compression, progress: &dyn Progress) -> Result<Image> {
    if compression == Compression::None {
        return Ok(image);
    }
    let layers = image.layers.into_iter().map(|layer| {
        let layer = CompressedLayer::new(layer, compression, progress)?;
        Ok(Box::new(layer) as Box<dyn Layer>)
    });
    let layers = layers.collect::<Result<Vec<_>>>()?;
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

/// A layer that is compressed while it is made.
struct CompressedLayer {
    layer: Box<dyn Layer>,
    compression: Compression,
    descriptor: Descriptor,
}

impl CompressedLayer {
    fn new(
        layer: Box<dyn Layer>,
        compression: Compression,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let whole = layer.descriptor();
        progress.begin(whole);
        let mut hasher = Hasher::default();
        write_compressed(layer.as_ref(), compression, &mut hasher, |writer| {
            layer.write_to(&mut Watched::new(writer, whole, progress))
        })?;
        progress.finish(whole, Outcome::Copied);
        let (digest, size) = hasher.finish();
        let descriptor = Descriptor {
            annotations: whole.annotations.clone(),
            ..Descriptor::new(compression.media_type(), digest, size)
        };
        Ok(Self {
            layer,
            compression,
            descriptor,
        })
    }
}

impl Layer for CompressedLayer {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn diff_id(&self) -> Digest {
        self.layer.diff_id()
    }

    fn recipe(&self) -> Option<&Recipe> {
        self.layer.recipe()
    }

    fn compression(&self) -> Option<Compression> {
        Some(self.compression)
    }

    fn write_to(&self, writer: &mut dyn Write) -> Result<()> {
        let mut writer = HashingWriter::new(writer);
        let layer = self.layer.as_ref();
        write_compressed(layer, self.compression, &mut writer, |writer| {
            layer.write_to(writer)
        })?;
        let (digest, size) = writer.finish();
        if (digest, size) == (self.descriptor.digest, self.descriptor.size) {
            return Ok(());
        }
        Err(Error::Mismatch {
            what: format!("layer {} compressed", layer.diff_id()),
            expected: self.descriptor.digest.to_string(),
            found: digest.to_string(),
            hint: "start the server again".to_owned(),
        })
    }
}

fn write_compressed<W: Write>(
    layer: &dyn Layer,
    compression: Compression,
    writer: W,
    write: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    let what = format!("layer {}", layer.diff_id());
    let mut compressor = Compressor::new(writer, compression).map_err(write_error(&what))?;
    write(&mut compressor)?;
    compressor.finish().map_err(write_error(&what))?;
    Ok(())
}
