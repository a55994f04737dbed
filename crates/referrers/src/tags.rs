//! Lists under tags: of registries that list nothing themselves ("Referrers Tag Schema").

use strata_error::{Error, Result};
use strata_oci::{Descriptor, Digest, Referrer, Referrers, json};
use strata_progress::Context;
use strata_registry::Repository;

/// How often a list is written that somebody else writes meanwhile.
const TRIES: u32 = 4;

/// The tag under which cosign keeps the signatures of a manifest: it is what engines' policies look at.
pub fn signature_tag(subject: &Digest) -> String {
    format!("{}.sig", Referrers::tag(subject))
}

/// The tags that cosign gives to what belongs to a manifest.
pub(crate) fn cosign_tags(subject: &Digest) -> [String; 3] {
    ["sig", "att", "sbom"].map(|end| format!("{}.{end}", Referrers::tag(subject)))
}

/// The list of what refers to `subject`, which is empty where there is none.
pub(crate) fn list(
    repository: &Repository,
    subject: &Digest,
    context: Context<'_>,
) -> Result<Referrers> {
    let tag = Referrers::tag(subject);
    let Some(found) = repository.document(&tag, context)? else {
        return Ok(Referrers::default());
    };
    Referrers::parse(&found.bytes).map_err(|message| Error::Document {
        document: format!("{}:{tag}", repository.name()),
        message,
        hint:
            "the registry keeps no lists itself, and this tag is for one; delete what is under it"
                .to_owned(),
    })
}

/// Adds an entry to the list of what refers to `subject`, once. Registries have no way to say that somebody else wrote
/// it meanwhile, so that it is read again.
pub(crate) fn add(
    repository: &Repository,
    subject: &Digest,
    referrer: &Referrer,
    context: Context<'_>,
) -> Result<()> {
    let is_it = |other: &Referrer| other.digest == referrer.digest;
    let tag = Referrers::tag(subject);
    for _ in 0..TRIES {
        let mut known = list(repository, subject, context)?;
        if known.manifests.iter().any(is_it) {
            return Ok(());
        }
        known.manifests.push(referrer.clone());
        let bytes = json::to_bytes(&known);
        let descriptor = Descriptor::of(&known.media_type, &bytes);
        repository.put_document(&tag, &descriptor, &bytes, context)?;
    }
    let known = list(repository, subject, context)?;
    if known.manifests.iter().any(is_it) {
        return Ok(());
    }
    Err(Error::Registry {
        operation: format!(
            "cannot list {} in {}:{tag}",
            referrer.digest,
            repository.name()
        ),
        message: "others write the same list at the same time".to_owned(),
        codes: Vec::new(),
        hint: "try again when they are done".to_owned(),
    })
}
