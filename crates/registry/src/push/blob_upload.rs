//! The blobs of an image, each once, and which blobs of a registry each may be.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::push::blob_index::{BlobCandidate, BlobIndex};
use crate::push::blob_source::BlobSource;
use crate::push::options::PushOptions;
use strata_copy::cache::Cache;
use strata_image::Image;
use strata_layer::Layer;
use strata_oci::{Compression, Descriptor, Digest, media_type};

/// What is done for a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
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

impl Action {
    /// Whether the registry has the blob without being sent it.
    pub fn is_found(&self) -> bool {
        matches!(self, Self::Present { .. } | Self::Mounted { .. })
    }
}

/// A blob of an image, and what is done for it.
#[derive(Clone)]
pub(super) struct ResolvedBlob {
    /// The blob in the registry; annotations are those of a layer, not of a blob.
    pub(super) blob: Descriptor,
    /// What is done.
    pub(super) action: Action,
}

/// A blob that the registry has.
pub(super) fn present(candidate: &BlobCandidate) -> ResolvedBlob {
    ResolvedBlob {
        blob: candidate.blob.clone(),
        action: Action::Present {
            known_from: candidate.origin.clone(),
        },
    }
}

/// A blob that the registry must have in the end.
pub(super) struct BlobUpload<'a> {
    /// What it is made of.
    pub(super) source: BlobSource<'a>,
    /// What it was called when this user compressed it before.
    cached: Option<Descriptor>,
    /// What it may be called in the registry, the best first.
    pub(super) candidates: Vec<BlobCandidate>,
}

impl<'a> BlobUpload<'a> {
    /// The layers and the config of an image, the largest first: what takes longest must not begin
    /// last. An image may hold the same layer twice. `cache` is the one to believe, if there is one.
    pub(super) fn all(
        image: &'a Image,
        as_it_is: bool,
        options: &PushOptions,
        cache: Option<&Cache>,
    ) -> Vec<Self> {
        let config = BlobSource::Config(&image.manifest.config, &image.config_bytes);
        let layers = image.layers.iter().map(|layer| {
            let layer = layer.as_ref();
            match compression(layer, options.compression) {
                Compression::None => BlobSource::Layer(layer),
                _ if as_it_is => BlobSource::Layer(layer),
                compression => BlobSource::Compressed(layer, compression),
            }
        });
        let sources: BTreeMap<Digest, BlobSource<'a>> = layers
            .chain([config])
            .map(|source| (source.descriptor().digest, source))
            .collect();
        let mut blobs: Vec<Self> = sources
            .into_values()
            .map(|source| Self {
                source,
                cached: cached(&source, cache),
                candidates: Vec::new(),
            })
            .collect();
        for blob in &mut blobs {
            blob.find_candidates(&BlobIndex::default());
        }
        blobs.sort_by_key(|blob| Reverse(blob.source.descriptor().size));
        blobs
    }

    /// Whether Docker's manifests have no name for what the blob will be.
    pub(super) fn has_no_docker_name(&self) -> bool {
        let media_type = match self.source {
            BlobSource::Config(config, _) => &config.media_type,
            BlobSource::Layer(layer) => &layer.descriptor().media_type,
            BlobSource::Compressed(_, compression) => compression.media_type(),
        };
        media_type::in_docker(media_type).is_none()
    }

    /// Finds out what the blob may be called.
    pub(super) fn find_candidates(&mut self, index: &BlobIndex) {
        self.candidates = match self.source {
            BlobSource::Config(known, _) => vec![index.candidate(known.clone())],
            BlobSource::Layer(layer) => vec![index.candidate(layer.descriptor().clone())],
            BlobSource::Compressed(layer, compression) => {
                let candidates = index.candidates(layer.diff_id()).iter();
                let fits = |known: &&BlobCandidate| is_made_by(compression, &known.blob);
                let discovered = candidates.filter(fits).cloned();
                let cached = self.cached.clone().map(|blob| BlobCandidate {
                    is_cached: true,
                    ..index.candidate(blob)
                });
                discovered.chain(cached).collect()
            }
        };
    }
}

/// Whether a blob may be what this compression makes. One with a table is read like one without, but not the
/// other way round: a layer that gets none has none in the cache, where the next push finds it.
fn is_made_by(compression: Compression, blob: &Descriptor) -> bool {
    let wants_table = matches!(compression, Compression::ZstdChunked { .. });
    blob.media_type == compression.media_type()
        && (!wants_table || !blob.table_annotations().is_empty())
}

/// What the cache knows of a layer that is to be compressed.
fn cached(source: &BlobSource<'_>, cache: Option<&Cache>) -> Option<Descriptor> {
    match source {
        BlobSource::Config(..) | BlobSource::Layer(_) => None,
        BlobSource::Compressed(layer, compression) => cache?.find(layer.diff_id(), *compression),
    }
}

/// Whether no layer of an image is compressed on its way, so that its digest is known.
pub(super) fn stays_as_it_is(image: &Image, options: &PushOptions) -> bool {
    let mut layers = image.layers.iter();
    layers.all(|layer| compression(layer.as_ref(), options.compression) == Compression::None)
}

/// What to say of layers that are compressed already, and not as it is wanted for this push.
pub(super) fn warning_about_compressed(image: &Image, options: &PushOptions) -> Option<String> {
    let wanted = options
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
