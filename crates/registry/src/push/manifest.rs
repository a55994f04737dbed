//! Manifests on their way into a repository (distribution specification, "Pushing Manifests").

use ureq::http::header::{ACCEPT, CONTENT_TYPE};
use ureq::http::{Method, StatusCode};

use crate::client::Client;
use crate::error::{Failure, RegistryError};
use crate::fetch::LARGEST_MANIFEST;
use crate::request::{Body, Request};
use crate::response::Response;
use strata_oci::{Descriptor, Digest, media_type};
use strata_progress::{Context, Outcome};

/// The header in which registries say what they hold.
const CONTENT_DIGEST: &str = "docker-content-digest";

/// What to do with a registry that refuses an OCI manifest.
const FORMAT_HINT: &str =
    "a registry that takes Docker's manifests only takes this one with --format docker";

impl Client {
    /// Puts a manifest under a tag or its digest, and makes sure that the registry then has it
    /// (end-7).
    pub(super) fn put_manifest(
        &self,
        name: &str,
        manifest: &Descriptor,
        bytes: &[u8],
    ) -> Result<(), Failure> {
        let url = self.url(&format!("manifests/{name}"))?;
        let request = Request::new(Method::PUT, url.clone())
            .header(CONTENT_TYPE, manifest.media_type.clone())
            .body(Body::Bytes(bytes));
        let response = self.send(request)?;
        let is_refused = matches!(response.status.as_u16(), 400 | 406 | 415);
        let response = response.success().map_err(|error| {
            if is_refused
                && media_type::in_docker(&manifest.media_type) != Some(&manifest.media_type)
            {
                let hint = FORMAT_HINT.to_owned();
                return RegistryError { hint, ..error };
            }
            error
        })?;
        if check_digest(&response, &manifest.digest)? {
            return Ok(());
        }
        // Not every registry says what it took; then it is read back.
        let request = Request::new(Method::GET, url).header(ACCEPT, manifest.media_type.clone());
        let response = self.send(Request {
            limit: LARGEST_MANIFEST,
            ..request
        })?;
        if response.status == StatusCode::NOT_FOUND {
            return Err(lost().into());
        }
        let response = response.success()?;
        let found = Digest::of(&response.body);
        if found == manifest.digest {
            Ok(())
        } else {
            Err(changed(&manifest.digest, &found).into())
        }
    }
}

/// Puts a manifest or index under its tags one after the other, or under its digest if there are none.
/// It is `shown` to whoever watches.
pub(super) fn put_document(
    client: &Client,
    tags: &[String],
    document: &Descriptor,
    bytes: &[u8],
    shown: &Descriptor,
    context: Context<'_>,
) -> strata_error::Result<()> {
    let by_digest = tags.is_empty().then(|| document.digest.to_string());
    context.progress.begin(shown);
    for name in tags.iter().chain(&by_digest) {
        let separator = if tags.is_empty() { '@' } else { ':' };
        let operation = format!(
            "cannot push the manifest to {}{separator}{name}",
            client.name
        );
        client.retry(&operation, context.cancel, || {
            client.put_manifest(name, document, bytes)
        })?;
    }
    context.advance(shown, shown.size)?;
    context.progress.finish(shown, Outcome::Copied);
    Ok(())
}

/// Whether the registry says that it holds `digest`; an error if it says that it holds another.
pub(super) fn check_digest(response: &Response, digest: &Digest) -> Result<bool, RegistryError> {
    match response.header(CONTENT_DIGEST).map(str::parse::<Digest>) {
        Some(Ok(found)) if found != *digest => Err(changed(digest, &found)),
        // Another algorithm tells nothing.
        found => Ok(matches!(found, Some(Ok(_)))),
    }
}

/// Several registries behind one address may need a moment to agree.
fn lost() -> RegistryError {
    RegistryError::temporary(
        "took the manifest, and says right after that it does not have it (404)",
        "the registry's own log says more; several registries behind one address must share their \
         storage",
    )
}

fn changed(sent: &Digest, found: &Digest) -> RegistryError {
    RegistryError::permanent(
        format!("holds {found} now, and {sent} was sent"),
        "something between here and the registry changes what passes, or somebody else pushed \
         to this tag just now",
    )
}
