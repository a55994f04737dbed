//! The manifest of an image as a registry will hold it.

use std::collections::BTreeMap;

use crate::push::options::ManifestFormat;
use strata_error::{Error, Result};
use strata_image::Image;
use strata_oci::{Descriptor, Digest, Manifest, json};

/// A manifest or index in one of the formats that it can have.
pub(super) struct Form {
    pub(super) descriptor: Descriptor,
    pub(super) bytes: Vec<u8>,
}

impl Form {
    fn of(manifest: &Manifest) -> Self {
        let bytes = json::to_bytes(manifest);
        Self {
            descriptor: Descriptor::of(&manifest.media_type, &bytes),
            bytes,
        }
    }
}

/// The forms that the manifest can be pushed in, the best first. `names` are the blobs of the registry, by the
/// digests that they have in the image. One that keeps its digest has one form only.
pub(super) fn forms(
    image: &Image,
    names: &BTreeMap<Digest, &Descriptor>,
    format: ManifestFormat,
    keeps_digest: bool,
) -> Result<Vec<Form>> {
    let layers = image.layers.iter().map(|layer| {
        let mut source = layer.descriptor().clone();
        // Layers of one digest are one blob, but each has its own annotations beside those about the blob.
        if let Some(blob) = names.get(&source.digest) {
            source.media_type.clone_from(&blob.media_type);
            source.digest = blob.digest;
            source.size = blob.size;
            source.set_table_annotations(blob.table_annotations());
        }
        source
    });
    let manifest = image.manifest.with_layers(layers.collect());
    let in_docker = || Some(Form::of(&manifest.in_docker_format()?));
    let as_it_is = || {
        if manifest == image.manifest {
            Form {
                descriptor: Descriptor::of(&manifest.media_type, &image.manifest_bytes),
                bytes: image.manifest_bytes.clone(),
            }
        } else {
            Form::of(&manifest)
        }
    };
    Ok(match format {
        ManifestFormat::Oci => vec![as_it_is()],
        ManifestFormat::Docker => vec![in_docker().ok_or_else(no_docker_format)?],
        ManifestFormat::Any => {
            let other = in_docker().filter(|_| !keeps_digest);
            [as_it_is()].into_iter().chain(other).collect()
        }
    })
}

/// That Docker's format cannot say what an image holds.
pub fn no_docker_format() -> Error {
    Error::Name {
        what: "format",
        value: "docker".to_owned(),
        message: "Docker's manifests hold layers that are plain or in gzip and have no annotations, and no others"
            .to_owned(),
        hint: "leave out compression = \"zstd\" of the image or --compression=zstd, or push it with --format oci"
            .to_owned(),
    }
}
