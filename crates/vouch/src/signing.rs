//! Signatures beside an image.

use std::collections::BTreeMap;

use serde_json::json;

use super::documents::name_of;
use strata_attest::{
    BUNDLE, Bundle, SIGNATURE_ANNOTATION, SIMPLE_SIGNING, Signer, Statement, check_payload,
    from_base64, payload, to_base64,
};
use strata_error::{Error, Result};
use strata_oci::{Artifact, Descriptor, Digest, Reference, json as canonical, media_type};
use strata_progress::{Context, Detail};
use strata_referrers::{Attachment, attach, list, signature_tag};
use strata_registry::Repository;

/// The forms of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forms {
    /// Both.
    Both,
    /// A bundle that refers to the image: what cosign 3 reads.
    Bundle,
    /// A tag: what cosign 2 and the policies of engines read.
    Tag,
}

/// Signs a manifest in the repository of `reference`. What this key signed before is not signed again.
pub fn sign(
    repository: &Repository,
    reference: &Reference,
    subject: &Descriptor,
    signer: &dyn Signer,
    forms: Forms,
    context: Context<'_>,
) -> Result<()> {
    if forms != Forms::Tag {
        let statement = Statement::signed(&name_of(reference), subject.digest);
        attach_signed(repository, subject, &statement, signer, context)?;
    }
    if forms != Forms::Bundle {
        sign_by_tag(repository, reference, &subject.digest, signer, context)?;
    }
    Ok(())
}

/// Attaches a signed statement about a manifest, unless it is there.
pub fn attach_signed(
    repository: &Repository,
    subject: &Descriptor,
    statement: &Statement,
    signer: &dyn Signer,
    context: Context<'_>,
) -> Result<()> {
    for bundle in bundles(repository, &subject.digest, context)? {
        if bundle.verify(signer.public_key()).as_ref() == Ok(statement) {
            let text = format!("{}: {} is signed", subject.digest, statement.predicate_type);
            context.progress.explain(Detail::Decision, &text);
            return Ok(());
        }
    }
    let bundle = Bundle::sign(statement, signer)?;
    let (kind, envelope) = Bundle::CONTENT;
    let attachment = Attachment {
        annotations: BTreeMap::from([
            (kind.to_owned(), envelope.to_owned()),
            (
                Bundle::PREDICATE_TYPE.to_owned(),
                statement.predicate_type.clone(),
            ),
        ]),
        ..Attachment::new(BUNDLE, bundle.to_bytes())
    };
    attach(repository, subject, &attachment, context).map(drop)
}

/// The bundles that refer to a manifest, as far as they can be read.
pub(super) fn bundles(
    repository: &Repository,
    subject: &Digest,
    context: Context<'_>,
) -> Result<Vec<Bundle>> {
    let mut found = Vec::new();
    for referrer in list(repository, subject, Some(BUNDLE), context)? {
        let document = repository.document(&referrer.digest.to_string(), context)?;
        let artifact = document.and_then(|it| serde_json::from_slice::<Artifact>(&it.bytes).ok());
        let Some([layer]) = artifact.as_ref().map(|artifact| artifact.layers.as_slice()) else {
            continue;
        };
        found.extend(Bundle::parse(&repository.blob(layer, context)?));
    }
    Ok(found)
}

/// A payload under a signature tag, and its signature.
pub(super) struct TaggedSignature {
    /// What is signed.
    pub(super) payload: Vec<u8>,
    /// The signature.
    pub(super) signature: Vec<u8>,
}

/// The signatures under the tag of a manifest, with the artifact that holds them.
pub(super) fn tagged(
    repository: &Repository,
    subject: &Digest,
    context: Context<'_>,
) -> Result<Option<(Artifact, Vec<TaggedSignature>)>> {
    let tag = signature_tag(subject);
    let Some(found) = repository.document(&tag, context)? else {
        return Ok(None);
    };
    let artifact: Artifact =
        serde_json::from_slice(&found.bytes).map_err(|error| Error::Document {
            document: format!("{}:{tag}", repository.name()),
            message: format!("not what signatures are kept in: {error}"),
            hint: "delete what is under this tag".to_owned(),
        })?;
    let mut signatures = Vec::new();
    let layers = artifact.layers.iter();
    for layer in layers.filter(|layer| layer.media_type == SIMPLE_SIGNING) {
        let signature = layer.annotations.get(SIGNATURE_ANNOTATION);
        if let Some(signature) = signature.and_then(|text| from_base64(text)) {
            signatures.push(TaggedSignature {
                payload: repository.blob(layer, context)?,
                signature,
            });
        }
    }
    Ok(Some((artifact, signatures)))
}

/// Adds a signature under the tag of the manifest, beside those of others.
fn sign_by_tag(
    repository: &Repository,
    reference: &Reference,
    subject: &Digest,
    signer: &dyn Signer,
    context: Context<'_>,
) -> Result<()> {
    let name = name_of(reference);
    let mut layers = Vec::new();
    if let Some((artifact, signatures)) = tagged(repository, subject, context)? {
        let is_own = |it: &TaggedSignature| {
            signer.public_key().verifies(&it.payload, &it.signature)
                && check_payload(&it.payload, &name, subject).is_ok()
        };
        if signatures.iter().any(is_own) {
            return Ok(());
        }
        layers = artifact.layers;
    }
    let payload = payload(&name, subject);
    let signature = signer.sign(&payload)?;
    let mut layer = Descriptor::of(SIMPLE_SIGNING, &payload);
    repository.put_blob(&layer, &payload, context)?;
    layer
        .annotations
        .insert(SIGNATURE_ANNOTATION.to_owned(), to_base64(&signature));
    layers.push(layer);
    let config = config(&layers);
    let artifact = Artifact {
        schema_version: 2,
        media_type: media_type::MANIFEST.to_owned(),
        artifact_type: String::new(),
        config: Descriptor::of(media_type::CONFIG, &config),
        layers,
        subject: None,
        annotations: BTreeMap::new(),
    };
    repository.put_blob(&artifact.config, &config, context)?;
    let bytes = canonical::to_bytes(&artifact);
    let descriptor = Descriptor::of(media_type::MANIFEST, &bytes);
    repository.put_document(&signature_tag(subject), &descriptor, &bytes, context)?;
    Ok(())
}

/// The config that signatures have: that of an image of nothing, because older registries know no other.
fn config(layers: &[Descriptor]) -> Vec<u8> {
    let diff_ids: Vec<Digest> = layers.iter().map(|layer| layer.digest).collect();
    canonical::to_bytes(&json!({
        "architecture": "",
        "config": {},
        "created": "0001-01-01T00:00:00Z",
        "history": diff_ids.iter().map(|_| json!({ "created": "0001-01-01T00:00:00Z" })).collect::<Vec<_>>(),
        "os": "",
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    }))
}
