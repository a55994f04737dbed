//! Documents beside an image.

use std::collections::BTreeMap;

use crate::tags;
use strata_error::Result;
use strata_oci::{Artifact, Descriptor, Referrer, json};
use strata_progress::Context;
use strata_registry::Repository;

/// A document that belongs to an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// What it is, by which it is found.
    pub artifact_type: String,
    /// Its media type.
    pub media_type: String,
    /// The document.
    pub bytes: Vec<u8>,
    /// Notes about it, which are in lists, too.
    pub annotations: BTreeMap<String, String>,
}

impl Attachment {
    /// A document of which the media type says what it is.
    pub fn new(media_type: &str, bytes: Vec<u8>) -> Self {
        Self {
            artifact_type: media_type.to_owned(),
            media_type: media_type.to_owned(),
            bytes,
            annotations: BTreeMap::new(),
        }
    }
}

/// Attaches a document to the manifest `subject` of the repository. The same document is there once, however often it
/// is attached.
pub fn attach(
    repository: &Repository,
    subject: &Descriptor,
    attachment: &Attachment,
    context: Context<'_>,
) -> Result<Referrer> {
    let layer = Descriptor::of(&attachment.media_type, &attachment.bytes);
    let subject = Descriptor::new(&subject.media_type, subject.digest, subject.size);
    let artifact = Artifact {
        annotations: attachment.annotations.clone(),
        ..Artifact::new(&attachment.artifact_type, layer.clone(), subject)
    };
    repository.put_blob(&artifact.config, Artifact::EMPTY, context)?;
    repository.put_blob(&layer, &attachment.bytes, context)?;
    let bytes = json::to_bytes(&artifact);
    put(repository, &artifact, &bytes, context)
}

/// Puts the manifest of an artifact whose blobs are there, and sees to it that it is listed.
pub(crate) fn put(
    repository: &Repository,
    artifact: &Artifact,
    bytes: &[u8],
    context: Context<'_>,
) -> Result<Referrer> {
    let referrer = Referrer::of(artifact, bytes);
    let name = referrer.digest.to_string();
    let listed = repository.put_document(&name, &referrer.descriptor(), bytes, context)?;
    if let (None, Some(subject)) = (listed, &artifact.subject) {
        tags::add(repository, &subject.digest, &referrer, context)?;
    }
    Ok(referrer)
}
