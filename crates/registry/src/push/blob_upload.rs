//! The blobs of an image, each once, and which blobs of a registry each may be.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ureq::http::Uri;

use crate::PushOptions;
use crate::push::blob_source::Content;
use crate::push::cache::Cache;
use crate::push::discover::{Candidate, Knowledge};
use strata_image::Image;
use strata_layer::Layer;
use strata_oci::{Compression, Descriptor, Digest, media_type};

/// A blob that the registry must have in the end.
pub(crate) struct Job<'a> {
    pub(crate) content: Content<'a>,
    /// What it may be called in the registry, the best first.
    pub(crate) candidates: Vec<Candidate>,
    state: Mutex<State>,
}

/// How far a job is.
#[derive(Default)]
struct State {
    /// Where an upload is open for it.
    opened: Option<Uri>,
    result: Option<Done>,
}

/// How a job ended.
#[derive(Clone)]
pub(crate) struct Done {
    /// The blob in the registry; annotations are those of a layer, not of a blob.
    pub(crate) blob: Descriptor,
    /// What was done for it.
    pub(crate) how: How,
}

/// What is done for a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// Nothing, the registry has it.
    Present {
        /// The name in a registry that says so, if the layer was found by that.
        known_from: Option<String>,
    },
    /// The registry takes it from another repository.
    Mounted {
        /// That repository.
        from: String,
    },
    /// It is sent as it is in the image.
    Sent,
    /// It is compressed and sent.
    Compressed(Compression),
}

impl<'a> Job<'a> {
    /// The layers and the config of an image, the largest first: what takes longest must not begin
    /// last. An image may hold the same layer twice.
    pub(crate) fn all(image: &'a Image, as_it_is: bool, what: &PushOptions) -> Vec<Self> {
        let config = Content::Document(&image.manifest.config, &image.config_bytes);
        let layers = image.layers.iter().map(|layer| {
            let layer = layer.as_ref();
            match compression(layer, what.compression) {
                Compression::None => Content::Layer(layer),
                _ if as_it_is => Content::Layer(layer),
                compression => Content::Compressed(layer, compression),
            }
        });
        let contents: BTreeMap<Digest, Content<'a>> = layers
            .chain([config])
            .map(|content| (content.source().digest, content))
            .collect();
        let mut jobs: Vec<Self> = contents
            .into_values()
            .map(|content| Self {
                content,
                candidates: Vec::new(),
                state: Mutex::default(),
            })
            .collect();
        jobs.sort_by_key(|job| Reverse(job.content.source().size));
        jobs
    }

    /// Finds out what the blob may be called.
    pub(crate) fn consider(&mut self, knowledge: &Knowledge, cache: Option<&Cache>) {
        self.candidates = match self.content {
            Content::Document(known, _) => vec![knowledge.candidate(known.clone())],
            Content::Layer(layer) => {
                vec![knowledge.candidate(layer.descriptor().clone())]
            }
            Content::Compressed(layer, compression) => {
                let learned = knowledge.names.get(&layer.diff_id());
                let fits = |known: &&Candidate| known.blob.media_type == compression.media_type();
                let learned = learned.into_iter().flatten().filter(fits).cloned();
                let cached = cache.and_then(|cache| cache.find(layer.diff_id(), compression));
                let cached = cached.map(|blob| knowledge.candidate(blob));
                learned.chain(cached).collect()
            }
        };
    }

    /// The job is done.
    pub(crate) fn done(&self, blob: Descriptor, how: How) {
        self.state().result = Some(Done { blob, how });
    }

    /// How it ended, if it did.
    pub(crate) fn result(&self) -> Option<Done> {
        self.state().result.clone()
    }

    /// Remembers an open upload; gives the one before.
    pub(crate) fn opened(&self, location: Uri) -> Option<Uri> {
        self.state().opened.replace(location)
    }

    /// The open upload, for whoever ends it.
    pub(crate) fn take_opened(&self) -> Option<Uri> {
        self.state().opened.take()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether no layer of an image is compressed on its way, so that its digest is known.
pub(crate) fn stays_as_it_is(image: &Image, what: &PushOptions) -> bool {
    let mut layers = image.layers.iter();
    layers.all(|layer| compression(layer.as_ref(), what.compression) == Compression::None)
}

/// What to say of layers that are compressed already, and not as it is wanted for this push.
pub(crate) fn warning_about_compressed(image: &Image, what: &PushOptions) -> Option<String> {
    let wanted = what
        .compression
        .filter(|wanted| *wanted != Compression::None)?;
    let descriptors = image.layers.iter().map(|layer| layer.descriptor());
    let usual = [media_type::LAYER_TAR, wanted.media_type()];
    let others = descriptors.filter(|layer| !usual.contains(&layer.media_type.as_str()));
    let count = others.count();
    (count > 0).then(|| {
        format!(
            "{count} of {} layers are compressed in the image and stay as they are, not {wanted}",
            image.layers.len()
        )
    })
}

/// How a layer is compressed on its way; one that is compressed already is not.
fn compression(layer: &dyn Layer, wanted: Option<Compression>) -> Compression {
    if layer.descriptor().media_type == media_type::LAYER_TAR {
        wanted.or(layer.compression()).unwrap_or_default()
    } else {
        Compression::None
    }
}
