//! The manifests that a name in a registry stands for.

use strata_error::{Error, Result};
use strata_oci::{Descriptor, Digest, Document, Reference};
use strata_progress::Context;
use strata_registry::Repository;

/// A manifest or index that something can be said of.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Its media type, digest and size.
    pub descriptor: Descriptor,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The config, of an image.
    pub config: Option<Digest>,
}

/// What `reference` stands for, and then, if that is an index, its images.
pub fn subjects(
    repository: &Repository,
    reference: &Reference,
    context: Context<'_>,
) -> Result<Vec<Subject>> {
    let name = match &reference.digest {
        Some(digest) => digest.to_string(),
        None => reference.tag_or_latest().to_owned(),
    };
    let (top, entries) = subject(repository, &name, context)?;
    let mut found = vec![top];
    for entry in entries {
        found.push(subject(repository, &entry.to_string(), context)?.0);
    }
    Ok(found)
}

/// The manifest with a tag or digest, and the images that an index leads to.
fn subject(
    repository: &Repository,
    name: &str,
    context: Context<'_>,
) -> Result<(Subject, Vec<Digest>)> {
    let error = |message: String, hint: String| Error::Registry {
        operation: format!("cannot read {name} of {}", repository.name()),
        message,
        codes: Vec::new(),
        hint,
    };
    let found = repository.document(name, context)?.ok_or_else(|| {
        error(
            "the registry has no such image".to_owned(),
            "check the name and the tag or digest; some registries say this also to those who may not pull".to_owned(),
        )
    })?;
    let (media_type, document) =
        Document::parse(&found.bytes).map_err(|[message, hint]| error(message, hint))?;
    let size = found.bytes.len() as u64;
    let (config, entries) = match document {
        Document::Image { config, .. } => (Some(config.digest), Vec::new()),
        Document::Index(entries) => {
            let images = entries.iter().filter(|entry| !entry.is_attestation());
            (None, images.map(|entry| entry.digest).collect())
        }
    };
    let subject = Subject {
        descriptor: Descriptor::new(&media_type, found.digest, size),
        bytes: found.bytes,
        config,
    };
    Ok((subject, entries))
}
