//! All images in a directory or an archive, as they lie there: for whoever looks at them and builds nothing on them.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;

use super::damaged::damaged;
use super::documents::parse_config;
use super::image_source::ImageSource;
use super::layers::Expected;
use super::read::{FoundImage, FoundManifest, expected, find};
use strata_archive::CompressionFormat;
use strata_error::Result;
use strata_layer::{BaseLayer, BaseRecord, open_stored};
use strata_oci::{Descriptor, Digest, HashingReader, ImageConfig, media_type};
use strata_tree::Budget;

/// An image that others wrote. Its documents are checked against their digests; layers are when they are read.
pub struct StoredImage {
    /// Names with tags, or tags alone, as its archive gives them.
    pub names: Vec<String>,
    /// The digest of its manifest; in an archive of Docker that has none, that of its config.
    pub digest: Digest,
    /// The media type of what has that digest.
    pub media_type: String,
    /// The annotations of its manifest.
    pub annotations: BTreeMap<String, String>,
    /// Its config.
    pub config: ImageConfig,
    /// Its layers, lowest first.
    pub layers: Vec<BaseLayer>,
}

/// All images in the directory or archive at `path`. Symlinks in a directory must not lead out of `root`. What is no
/// image is left out, unless there is nothing else: then it is the error.
pub fn images(path: &Path, root: &Path) -> Result<Vec<StoredImage>> {
    let mut budget = Budget::default();
    let named = path.display().to_string();
    let source = ImageSource::open_at(&named, path.to_owned(), root, &mut budget)?;
    let found = find(&source)?;
    if found.images.is_empty() {
        let other = found.others.into_iter().next();
        return Err(other.map_or_else(|| damaged(&named, "no image in it"), |(_, error)| error));
    }
    let images = found.images.into_iter();
    images
        .map(|image| open(image, &source, &mut budget))
        .collect()
}

/// Reads the config of an image that others made. `document` is its name for errors.
pub fn parse_foreign_config(bytes: &[u8], document: &str) -> Result<ImageConfig> {
    parse_config(bytes, document, &mut Budget::default())
}

fn open(image: FoundImage, source: &ImageSource, budget: &mut Budget) -> Result<StoredImage> {
    let names = image.candidate.names.clone();
    let (said, digest) = match &image.manifest {
        FoundManifest::Blob(name, _) => {
            let bytes = source.document(name)?;
            let bytes = bytes.ok_or_else(|| damaged(&source.name_of(name), "is not there"))?;
            // What it says besides was read before.
            let said = serde_json::from_slice(&bytes).unwrap_or_default();
            (said, Digest::of(&bytes))
        }
        FoundManifest::Docker { config, .. } => {
            let bytes = source.document(config)?.unwrap_or_default();
            let said = Said {
                media_type: Some(media_type::DOCKER_CONFIG.to_owned()),
                ..Said::default()
            };
            (said, Digest::of(&bytes))
        }
    };
    let (config, layers) = image.contents(source, budget)?;
    let layers = expected(source, layers, &config)?;
    let layers = layers.into_iter().map(layer).collect::<Result<_>>()?;
    Ok(StoredImage {
        names,
        digest,
        media_type: said
            .media_type
            .unwrap_or_else(|| media_type::MANIFEST.to_owned()),
        annotations: said.annotations,
        config,
        layers,
    })
}

/// What only whoever looks at a manifest wants to know.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Said {
    media_type: Option<String>,
    annotations: BTreeMap<String, String>,
}

fn layer(expected: Expected) -> Result<BaseLayer> {
    let Expected {
        place,
        descriptor,
        diff_id,
        name,
    } = expected;
    let blob = match descriptor {
        Some(descriptor) => descriptor,
        None => describe(&place, diff_id, &name)?,
    };
    Ok(BaseLayer {
        path: place.located.clone(),
        record: BaseRecord {
            blob,
            compression: None,
            compressed: None,
            diff_id,
            path: place.named,
            offset: place.offset,
        },
    })
}

/// The blob of a layer of which no manifest speaks: almost always it is not compressed, and known by its diff ID.
fn describe(
    place: &super::image_source::BlobLocation,
    diff_id: Digest,
    name: &str,
) -> Result<Descriptor> {
    let open = || open_stored(&place.located, place.offset, place.size);
    let error = |error: std::io::Error| damaged(name, &error.to_string());
    let mut start = Vec::new();
    open()?.take(16).read_to_end(&mut start).map_err(error)?;
    let format = CompressionFormat::of(&start);
    let kind = format.layer_media_type();
    if kind == media_type::LAYER_TAR {
        return Ok(Descriptor::new(kind, diff_id, place.size));
    }
    let mut blob = HashingReader::new(open()?);
    std::io::copy(&mut blob, &mut std::io::sink()).map_err(error)?;
    let (digest, size) = blob.finish();
    Ok(Descriptor::new(kind, digest, size))
}
