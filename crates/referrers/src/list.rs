//! What refers to an image.

use crate::tags;
use strata_error::{Error, Result};
use strata_http::percent_encode;
use strata_oci::{Artifact, Digest, Referrer, Referrers, media_type};
use strata_progress::Context;
use strata_registry::Repository;

/// The most answers that one list comes in.
const MOST_PAGES: usize = 100;

/// What refers to the manifest `subject`, of one type if that is given, in the order of the registry.
pub fn list(
    repository: &Repository,
    subject: &Digest,
    artifact_type: Option<&str>,
    context: Context<'_>,
) -> Result<Vec<Referrer>> {
    let mut found = match from_registry(repository, subject, artifact_type, context)? {
        Some(found) => found,
        None => by_tag(repository, subject, context)?,
    };
    // Registries need not sort out.
    found.retain(|referrer| artifact_type.is_none_or(|wanted| referrer.artifact_type == wanted));
    Ok(found)
}

/// What the list under a tag has. cosign writes there what the config is, which is empty, and not what it belongs to:
/// then the manifest knows.
fn by_tag(
    repository: &Repository,
    subject: &Digest,
    context: Context<'_>,
) -> Result<Vec<Referrer>> {
    let mut found = tags::list(repository, subject, context)?.manifests;
    let unsaid = found
        .iter_mut()
        .filter(|it| it.artifact_type == media_type::EMPTY);
    for referrer in unsaid {
        let document = repository.document(&referrer.digest.to_string(), context)?;
        let artifact = document.and_then(|it| serde_json::from_slice::<Artifact>(&it.bytes).ok());
        if let Some(artifact) = artifact {
            artifact.kind().clone_into(&mut referrer.artifact_type);
        }
    }
    Ok(found)
}

/// What the registry lists; none if it lists nothing.
fn from_registry(
    repository: &Repository,
    subject: &Digest,
    artifact_type: Option<&str>,
    context: Context<'_>,
) -> Result<Option<Vec<Referrer>>> {
    let base = format!("referrers/{subject}");
    let mut path = match artifact_type {
        Some(wanted) => format!("{base}?artifactType={}", percent_encode(wanted)),
        None => base.clone(),
    };
    let mut found = Vec::new();
    for _ in 0..MOST_PAGES {
        let Some(answer) = repository.get(&path, context)? else {
            return Ok(None);
        };
        let page = Referrers::parse(&answer.bytes).map_err(|message| Error::Registry {
            operation: format!("cannot list what refers to {}@{subject}", repository.name()),
            message,
            codes: Vec::new(),
            hint: "is this a registry?".to_owned(),
        })?;
        found.extend(page.manifests);
        match answer.link.as_deref().and_then(|link| next(link, &base)) {
            Some(next) => path = next,
            None => return Ok(Some(found)),
        }
    }
    Ok(Some(found))
}

/// Where the rest of a list is, by the header `Link` (RFC 8288): below the same path, whatever else it says.
fn next(link: &str, base: &str) -> Option<String> {
    let (target, rest) = link.strip_prefix('<')?.split_once('>')?;
    if !rest.replace('"', "").contains("rel=next") {
        return None;
    }
    let (_, query) = target.split_once('?')?;
    target
        .split('?')
        .next()
        .is_some_and(|path| path.ends_with(base))
        .then(|| format!("{base}?{query}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_go_on_in_the_same_place() {
        let base = "referrers/sha256:0";
        for (link, expected) in [
            (
                "</v2/a/referrers/sha256:0?n=2&last=x>; rel=\"next\"",
                Some("referrers/sha256:0?n=2&last=x"),
            ),
            (
                "<https://h.x/v2/a/referrers/sha256:0?last=x>; rel=next",
                Some("referrers/sha256:0?last=x"),
            ),
            ("</v2/a/referrers/sha256:1?n=2>; rel=\"next\"", None),
            ("</v2/a/referrers/sha256:0?n=2>; rel=\"prev\"", None),
            ("</v2/a/referrers/sha256:0>; rel=\"next\"", None),
            ("nonsense", None),
        ] {
            assert_eq!(next(link, base).as_deref(), expected, "{link}");
        }
    }
}
