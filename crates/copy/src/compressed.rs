//! An image whose layers are promised compressed: the digests of the compressed layers, and the
//! manifest that names them, are known before any registry is asked.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::{io, thread};

use super::layout::blobs_in;
use super::open_directory::OpenDirectory;
use super::staging::Staging;
use super::target::Target;
use strata_compress::compress_layer;
use strata_error::{Error, Result};
use strata_image::Image;
use strata_layer::{DIGEST_FILE, LAYERS_FILE, Layer, LayersFile};
use strata_oci::{Compression, Descriptor, Digest, Index, Manifest, json, layout, media_type};
use strata_progress::{Context, Outcome, Watched};

/// How many layers are compressed at once. Each also uses the other cores.
const AT_ONCE: usize = 4;

/// Makes and compresses every layer of the image at `path` and writes its documents with the new
/// digests to the new directory `output`; gives the digest of the manifest. Layers that the image
/// says nothing of are compressed with gzip; `compression` is stronger than what it says.
///
/// `image` is what is at `path`, opened.
pub fn write(
    path: &Path,
    image: &Image,
    output: &Path,
    compression: Option<Compression>,
    context: Context<'_>,
) -> Result<Digest> {
    let taken = || Error::Document {
        document: output.display().to_string(),
        message: "there is something already".to_owned(),
        hint: "name a directory that does not exist".to_owned(),
    };
    if output.symlink_metadata().is_ok() {
        return Err(taken());
    }
    let mut file = LayersFile::read(path)?;
    let mut promises = file.base.iter().map(|layer| &layer.compressed);
    if promises.any(Option::is_some) || file.layers.iter().any(|layer| layer.compressed.is_some()) {
        return Err(Error::Document {
            document: path.display().to_string(),
            message: "its layers are compressed already".to_owned(),
            hint: "give the image that it was made from".to_owned(),
        });
    }
    let target = Target::find(output)?;
    let staging = Staging::new(&target.above)?;
    let made = compress_all(&image.layers, compression, context)?;
    promise(&mut file, &made);
    // What it promises is the digest of this manifest.
    file.format = None;
    let mut manifest = image.manifest.clone();
    manifest.layers = made.into_iter().map(|made| made.descriptor).collect();
    let digest = write_documents(staging.content(), image, &manifest, &file, output)?;
    if target.rename_content(&staging)? {
        Ok(digest)
    } else {
        Err(taken())
    }
}

/// A layer as the manifest will list it.
pub struct Made {
    /// How it was compressed.
    pub compression: Compression,
    /// Its media type, digest and size.
    pub descriptor: Descriptor,
}

/// Says in `file` what was made of the layers, in their order.
fn promise(file: &mut LayersFile, made: &[Made]) {
    let base = file.base.iter_mut().map(|record| {
        let is_tar = record.blob.media_type == media_type::LAYER_TAR;
        (is_tar, &mut record.compression, &mut record.compressed)
    });
    let own = file.layers.iter_mut();
    let own = own.map(|record| (true, &mut record.compression, &mut record.compressed));
    for ((is_tar, compression, compressed), made) in base.chain(own).zip(made) {
        if is_tar {
            *compression = Some(made.compression);
            *compressed = (made.compression != Compression::None).then(|| made.descriptor.clone());
        }
    }
}

/// Writes everything to `directory`, which will be `output`; gives the digest of the manifest.
fn write_documents(
    directory: &OpenDirectory,
    image: &Image,
    manifest: &Manifest,
    file: &LayersFile,
    output: &Path,
) -> Result<Digest> {
    blobs_in(directory)?;
    // Nobody else can change what is in the temporary directory.
    let mut write = |name: &str, bytes: &[u8]| directory.write_bytes(name, bytes, output);
    let mut writer = layout::Writer::new(&mut write);
    let manifest = json::to_bytes(manifest);
    let digest = writer.blob(&manifest)?;
    writer.blob(&image.config_bytes)?;
    let descriptor = Descriptor {
        digest,
        size: manifest.len() as u64,
        ..image.manifest_descriptor.clone()
    };
    writer.index(&Index::new(vec![descriptor]))?;
    writer.marker()?;
    writer.beside(LAYERS_FILE, &file.to_bytes())?;
    writer.beside(DIGEST_FILE, format!("{digest}\n").as_bytes())?;
    Ok(digest)
}

/// Makes and compresses every layer.
pub fn compress_all(
    layers: &[Arc<dyn Layer>],
    compression: Option<Compression>,
    context: Context<'_>,
) -> Result<Vec<Made>> {
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<_>>> = layers.iter().map(|_| Mutex::new(None)).collect();
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let (Some(layer), Some(result)) = (layers.get(number), results.get(number)) else {
                break;
            };
            let compression = compression.or(layer.compression()).unwrap_or_default();
            let compressed = compress(layer.as_ref(), compression, context);
            if compressed.is_err() {
                next.store(layers.len(), Ordering::Relaxed);
            }
            let mut result = result.lock().unwrap_or_else(PoisonError::into_inner);
            *result = Some(compressed.map(|descriptor| Made {
                compression,
                descriptor,
            }));
        }
    };
    thread::scope(|scope| {
        for _ in 1..AT_ONCE.min(layers.len()) {
            scope.spawn(work);
        }
        work();
    });
    // After an error there is nothing of the layers that were not begun.
    let results = results
        .into_iter()
        .filter_map(|result| result.into_inner().unwrap_or_else(PoisonError::into_inner));
    results.collect()
}

fn compress(
    layer: &dyn Layer,
    compression: Compression,
    context: Context<'_>,
) -> Result<Descriptor> {
    let descriptor = layer.descriptor();
    // What is compressed in a base image stays as it is there.
    if descriptor.media_type != media_type::LAYER_TAR {
        return Ok(descriptor.clone());
    }
    context.progress.begin(descriptor);
    let compressed = compress_layer(descriptor, compression, &mut io::sink(), |writer| {
        layer.write_to(&mut Watched::new(writer, descriptor, context))
    })?;
    let size = compressed.size;
    context
        .progress
        .finish(descriptor, Outcome::Compressed { size });
    Ok(compressed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use strata_progress::Context;
    use strata_testing::image::annotated;

    /// A base's warnings about its layers are true of the compressed ones, too.
    #[test]
    fn compressed_layers_keep_their_annotations() {
        let layers = [annotated(b"layer", "key", "value")];
        let made = compress_all(&layers, Some(Compression::GZIP), Context::silent()).unwrap();
        let [made] = made.as_slice() else { panic!() };
        assert_eq!(made.descriptor.annotations["key"], "value");
        assert_eq!(made.descriptor.media_type, media_type::LAYER_TAR_GZIP);
    }
}
