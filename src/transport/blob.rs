//! The blobs of an image, each once, in the order of their digests.

use std::collections::BTreeMap;
use std::io::Write;

use super::{Outcome, Progress, progress::Watched};
use crate::Result;
use crate::image::{Image, Layer};
use crate::oci::{Descriptor, Digest};
use crate::tar::write_error;

/// A blob that can be written.
#[derive(Clone, Copy)]
pub(super) enum Blob<'a> {
    /// The manifest or the config.
    Document(&'a Descriptor, &'a [u8]),
    /// A layer, made while it is written.
    Layer(&'a dyn Layer),
}

/// Every blob of `image`. An image may hold the same layer twice; it is one blob.
pub(super) fn blobs(image: &Image) -> BTreeMap<Digest, Blob<'_>> {
    let documents = [
        Blob::Document(&image.manifest_descriptor, &image.manifest_bytes),
        Blob::Document(&image.manifest.config, &image.config_bytes),
    ];
    let layers = image.layers.iter().map(|layer| Blob::Layer(layer.as_ref()));
    layers
        .chain(documents)
        .map(|blob| (blob.descriptor().digest, blob))
        .collect()
}

impl<'a> Blob<'a> {
    /// Its media type, digest and size.
    pub(super) fn descriptor(&self) -> &'a Descriptor {
        match self {
            Self::Document(descriptor, _) => descriptor,
            Self::Layer(layer) => layer.descriptor(),
        }
    }

    /// Writes the blob and reports it. After an error, what was written must be thrown away.
    pub(super) fn write_to(&self, writer: &mut dyn Write, progress: &dyn Progress) -> Result<()> {
        let descriptor = self.descriptor();
        progress.begin(descriptor);
        let mut watched = Watched::new(writer, descriptor, progress);
        match self {
            Self::Document(_, bytes) => watched
                .write_all(bytes)
                .map_err(write_error("a document"))?,
            Self::Layer(layer) => layer.write_to(&mut watched)?,
        }
        progress.finish(descriptor, Outcome::Copied);
        Ok(())
    }
}
