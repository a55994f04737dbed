//! An image whose layers are promised compressed: the digests of the compressed layers, and the
//! manifest that names them, are known before any registry is asked.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::{io, thread};

use super::layout::INDEX_FILE;
use super::progress::Watched;
use super::{Outcome, Progress, staging};
use crate::compress::compress_layer;
use crate::image::{DIGEST_FILE, Image, LAYERS_FILE, Layer, LayersFile};
use crate::oci::{
    Compression, Descriptor, Digest, Index, LAYOUT_FILE, LAYOUT_VERSION, json, media_type,
};
use crate::{Error, Result};

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
    progress: &dyn Progress,
) -> Result<Digest> {
    if output.symlink_metadata().is_ok() {
        return Err(Error::Document {
            document: output.display().to_string(),
            message: "there is something already".to_owned(),
            hint: "name a directory that does not exist".to_owned(),
        });
    }
    let mut file = LayersFile::read(path)?;
    if file.layers.iter().any(|layer| layer.compressed.is_some()) {
        return Err(Error::Document {
            document: path.display().to_string(),
            message: "its layers are compressed already".to_owned(),
            hint: "give the image that it was made from".to_owned(),
        });
    }
    let staging = staging::directory_in(&staging::directory_above(output))?;
    let layers = compress_all(&image.layers, compression, progress)?;
    let own = layers.iter().skip(layers.len() - file.layers.len());
    for (record, (compression, descriptor)) in file.layers.iter_mut().zip(own) {
        record.compression = Some(*compression);
        record.compressed = Some(descriptor.clone())
            .filter(|descriptor| descriptor.media_type != media_type::LAYER_TAR);
    }

    let mut manifest = image.manifest.clone();
    manifest.layers = layers
        .into_iter()
        .map(|(_, descriptor)| descriptor)
        .collect();
    let manifest = json::to_bytes(&manifest);
    let config = &image.config_bytes;
    let digest = Digest::of(&manifest);
    let descriptor = Descriptor {
        digest,
        size: manifest.len() as u64,
        ..image.manifest_descriptor.clone()
    };
    let index = json::to_bytes(&Index::new(vec![descriptor]));

    let blobs = staging.path().join(super::layout::BLOBS);
    staging::create_directory(&blobs)?;
    for (name, bytes) in [
        (blobs.join(digest.hex()), manifest.as_slice()),
        (blobs.join(Digest::of(config).hex()), config),
        (staging.path().join(INDEX_FILE), &index),
        (staging.path().join(LAYOUT_FILE), LAYOUT_VERSION.as_bytes()),
        (staging.path().join(LAYERS_FILE), &file.to_bytes()),
        (
            staging.path().join(DIGEST_FILE),
            format!("{digest}\n").as_bytes(),
        ),
    ] {
        staging::write_bytes(&name, bytes, output)?;
    }
    staging::rename(staging.path(), output)?;
    Ok(digest)
}

/// Makes and compresses every layer; how, and what each is called then.
pub(super) fn compress_all(
    layers: &[Box<dyn Layer>],
    compression: Option<Compression>,
    progress: &dyn Progress,
) -> Result<Vec<(Compression, Descriptor)>> {
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<_>>> = layers.iter().map(|_| Mutex::new(None)).collect();
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let (Some(layer), Some(result)) = (layers.get(number), results.get(number)) else {
                break;
            };
            let compression = compression.or(layer.compression()).unwrap_or_default();
            let compressed = compress(layer.as_ref(), compression, progress);
            if compressed.is_err() {
                next.store(layers.len(), Ordering::Relaxed);
            }
            let mut result = result.lock().unwrap_or_else(PoisonError::into_inner);
            *result = Some(compressed.map(|descriptor| (compression, descriptor)));
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
    progress: &dyn Progress,
) -> Result<Descriptor> {
    let descriptor = layer.descriptor();
    // The layers of the image that is below stay as they are there.
    if layer.recipe().is_none() {
        return Ok(descriptor.clone());
    }
    progress.begin(descriptor);
    let compressed = compress_layer(compression, &mut io::sink(), |writer| {
        layer.write_to(&mut Watched::new(writer, descriptor, progress))
    })?;
    let size = compressed.size;
    progress.finish(descriptor, Outcome::Compressed { size });
    Ok(compressed)
}
