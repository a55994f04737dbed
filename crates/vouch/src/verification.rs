//! Whether an image has a signature of a key, and what is said of it.

use super::documents::name_of;
use super::signing::{bundles, tagged};
use strata_attest::{Built, IN_TOTO, PublicKey, SIGNED, SLSA_PROVENANCE, Statement, check_payload};
use strata_error::{Error, Result};
use strata_oci::{Artifact, Digest, Reference};
use strata_progress::Context;
use strata_referrers::list;
use strata_registry::Repository;

/// What this key says of the manifest `subject` in the repository of `reference`: the predicate types of what it
/// signed. The error is that there is no signature of it, and why those that there are do not count.
pub fn verify(
    repository: &Repository,
    reference: &Reference,
    subject: &Digest,
    key: &PublicKey,
    context: Context<'_>,
) -> Result<Vec<String>> {
    let name = name_of(reference);
    let mut good = Vec::new();
    let mut bad = Vec::new();
    for bundle in bundles(repository, subject, context)? {
        let statement = bundle.verify(key);
        match statement.and_then(|statement| checked(statement, &name, subject)) {
            Ok(statement) => good.push(statement.predicate_type),
            Err(message) => bad.push(format!("a bundle: {message}")),
        }
    }
    let tagged = tagged(repository, subject, context)?;
    for it in tagged.map(|(_, found)| found).unwrap_or_default() {
        if !key.verifies(&it.payload, &it.signature) {
            bad.push("a signature under a tag: it is of another key".to_owned());
            continue;
        }
        match check_payload(&it.payload, &name, subject) {
            Ok(()) => good.push(SIGNED.to_owned()),
            Err(message) => bad.push(format!("a signature under a tag: {message}")),
        }
    }
    if good.iter().any(|kind| kind == SIGNED) {
        good.sort();
        good.dedup();
        return Ok(good);
    }
    let message = match bad.as_slice() {
        [] => "it is not signed".to_owned(),
        bad => format!(
            "no signature of it is of this key for it; {}",
            bad.join("; ")
        ),
    };
    Err(Error::Document {
        document: format!("{name}@{subject}"),
        message,
        hint: "strata sign makes signatures; was the image pushed again, or copied without what belongs to it?"
            .to_owned(),
    })
}

/// A statement that is about this manifest, in this repository if it says where.
fn checked(statement: Statement, name: &str, subject: &Digest) -> Result<Statement, String> {
    if statement.digest != *subject {
        return Err(format!("it is about {}", statement.digest));
    }
    let place = statement.name.split('@').next().unwrap_or_default();
    if !place.is_empty() && place != name {
        return Err(format!("it is for {place}"));
    }
    Ok(statement)
}

/// How the image was built, as its provenance says: one that `key` signed, if that is given.
pub fn provenance_of(
    repository: &Repository,
    reference: &Reference,
    subject: &Digest,
    key: Option<&PublicKey>,
    context: Context<'_>,
) -> Result<Built> {
    let name = name_of(reference);
    let mut statements = Vec::new();
    for bundle in bundles(repository, subject, context)? {
        statements.push(match key {
            Some(key) => bundle.verify(key),
            None => bundle.statement(),
        });
    }
    if key.is_none() {
        for referrer in list(repository, subject, Some(IN_TOTO), context)? {
            let found = repository.document(&referrer.digest.to_string(), context)?;
            let artifact = found.and_then(|it| serde_json::from_slice::<Artifact>(&it.bytes).ok());
            for layer in artifact.iter().flat_map(|artifact| &artifact.layers) {
                statements.push(Statement::parse(&repository.blob(layer, context)?));
            }
        }
    }
    let mut problems = Vec::new();
    for statement in statements {
        let statement = statement.and_then(|statement| checked(statement, &name, subject));
        match statement {
            Ok(statement) if statement.predicate_type == SLSA_PROVENANCE => {
                match Built::parse(&statement.predicate) {
                    Ok(built) => return Ok(built),
                    Err(message) => problems.push(message),
                }
            }
            Ok(_) => {}
            Err(message) => problems.push(message),
        }
    }
    let message = match (problems.as_slice(), key) {
        ([], None) => "no provenance is attached to it".to_owned(),
        ([], Some(_)) => "no signed provenance is attached to it".to_owned(),
        (problems, _) => format!("no provenance of it counts: {}", problems.join("; ")),
    };
    Err(Error::Document {
        document: format!("{name}@{subject}"),
        message,
        hint: "name what to build with --flake, or what is built with --image; strata copy --attach=provenance attaches it".to_owned(),
    })
}
