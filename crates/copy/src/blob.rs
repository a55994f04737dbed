//! The blobs of an image, each once, in the order of their digests.

use std::collections::BTreeMap;
use std::io::Write;

use strata_archive::write_error;
use strata_error::Result;
use strata_image::ManifestOrIndexRef;
use strata_layer::Layer;
use strata_oci::{Descriptor, Digest};
use strata_progress::{Context, Outcome, Watched};

/// A blob that can be written.
#[derive(Clone, Copy)]
pub enum Blob<'a> {
    /// A manifest, a config or an index.
    Document(&'a Descriptor, &'a [u8]),
    /// A layer, made while it is written.
    Layer(&'a dyn Layer),
}

/// Every blob of an image, or of an index and its images. They may hold the same layer several times;
/// it is one blob.
pub fn blobs<'a>(root: impl Into<ManifestOrIndexRef<'a>>) -> BTreeMap<Digest, Blob<'a>> {
    let root = root.into();
    let mut blobs = BTreeMap::new();
    if let ManifestOrIndexRef::Index(index) = root {
        let document = Blob::Document(&index.descriptor, &index.index_bytes);
        blobs.insert(index.descriptor.digest, document);
    }
    for image in root.images() {
        let documents = [
            Blob::Document(&image.manifest_descriptor, &image.manifest_bytes),
            Blob::Document(&image.manifest.config, &image.config_bytes),
        ];
        let layers = image.layers.iter().map(|layer| Blob::Layer(layer.as_ref()));
        let own = layers.chain(documents);
        blobs.extend(own.map(|blob| (blob.descriptor().digest, blob)));
    }
    blobs
}

impl<'a> Blob<'a> {
    /// Its media type, digest and size.
    pub fn descriptor(&self) -> &'a Descriptor {
        match self {
            Self::Document(descriptor, _) => descriptor,
            Self::Layer(layer) => layer.descriptor(),
        }
    }

    /// Writes the blob and reports it. After an error, what was written must be thrown away.
    pub fn write_to(&self, writer: &mut dyn Write, context: Context<'_>) -> Result<()> {
        let descriptor = self.descriptor();
        context.progress.begin(descriptor);
        let mut watched = Watched::new(writer, descriptor, context);
        match self {
            Self::Document(_, bytes) => watched
                .write_all(bytes)
                .map_err(write_error("a document"))?,
            Self::Layer(layer) => layer.write_to(&mut watched)?,
        }
        context.progress.finish(descriptor, Outcome::Copied);
        Ok(())
    }
}
