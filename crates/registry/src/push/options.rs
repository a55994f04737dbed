//! What the user may choose about a push.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use strata_oci::{Compression, Reference};

/// What is pushed, and how.
#[derive(Clone, Debug, Default)]
pub struct PushOptions {
    /// How to compress layers that are not compressed in the image. Without it each layer's own wish
    /// counts, or else the default.
    pub compression: Option<Compression>,
    /// The form of manifests.
    pub format: ManifestFormat,
    /// More tags in the same repository for the manifest. Like the reference's own they are asked what layers are
    /// called.
    pub additional_tags: Vec<String>,
    /// Images in registries whose manifests and configs say what compressed layers are called. What is
    /// in the same registry can be mounted from there.
    pub reuse_from: Vec<Reference>,
    /// Neither ask registries nor the cache what layers are called.
    pub no_reuse: bool,
    /// Fetch and digest the blobs that a registry or the cache says are layers of the image.
    pub verify_reused: bool,
    /// Other repositories of the registry that blobs may be mounted from.
    pub mount_from: Vec<String>,
    /// The directory that remembers what compressed layers are called, and which repositories have them.
    pub cache: Option<PathBuf>,
    /// The most blobs that are sent at once. Without it, so many as fill a line.
    pub jobs: Option<NonZeroUsize>,
    /// Whether an index of other platforms under a tag may be replaced.
    pub overwrite_index: bool,
}

/// The form of manifests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ManifestFormat {
    /// OCI's, and Docker's where a registry refuses those.
    #[default]
    Any,
    /// Those of the OCI image specification, as they are in the image.
    Oci,
    /// Docker's (Image Manifest Version 2, Schema 2), with layers in gzip and without annotations, for
    /// registries that take nothing else.
    Docker,
}

/// The tags that the manifest is pushed under, the most important first.
pub fn tags(reference: &Reference, options: &PushOptions) -> Vec<String> {
    let mut tags = Vec::new();
    let own = (reference.tag.is_some() || reference.digest.is_none())
        .then(|| reference.tag_or_latest().to_owned());
    for tag in own.iter().chain(&options.additional_tags) {
        if !tags.contains(tag) {
            tags.push(tag.clone());
        }
    }
    tags
}
