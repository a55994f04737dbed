//! Manifests on their way into a repository (distribution specification, "Pushing Manifests").

use ureq::http::header::{ACCEPT, CONTENT_TYPE};
use ureq::http::{Method, StatusCode};

use crate::ask::{Ask, LARGEST_MANIFEST};
use crate::client::Client;
use crate::push::forms::Form;
use strata_error::Error;
use strata_exchange::Response;
use strata_exchange::{Body, Request};
use strata_exchange::{Failure, RegistryError};
use strata_oci::{Descriptor, Digest, media_type};
use strata_progress::{Context, Outcome};

/// The header in which registries say what they hold.
const CONTENT_DIGEST: &str = "docker-content-digest";

/// What to do with a registry that refuses an OCI manifest.
const FORMAT_HINT: &str =
    "a registry that takes Docker's manifests only takes this one with --format docker";

/// The header in which a registry says that it lists what refers to other manifests ("Pushing Manifests with Subject").
const SUBJECT: &str = "oci-subject";

/// What became of a manifest.
pub(crate) enum Put {
    /// The registry has it, and counts it to what refers to the manifest with this digest, if any.
    Taken(Option<String>),
    /// The registry does not take it, which may be for its format.
    Refused(RegistryError),
}

/// Whether a registry that takes Docker's manifests only refuses this one.
fn is_oci(document: &Descriptor) -> bool {
    media_type::in_docker(&document.media_type) != Some(&document.media_type)
}

/// Whether a registry says with this that it lacks a blob that a manifest names (distribution
/// specification, code-1 and code-5).
pub(super) fn is_missing_blob(code: &str) -> bool {
    matches!(code, "BLOB_UNKNOWN" | "MANIFEST_BLOB_UNKNOWN")
}

impl Client {
    /// Whether the registry has a manifest. That it does not say so is no.
    pub(super) fn has_manifest(&self, manifest: &Descriptor) -> bool {
        let ask = Ask::has_manifest(&manifest.digest, &manifest.media_type);
        let response = self.ask(&ask).ok();
        response.is_some_and(|response| {
            response.status == StatusCode::OK && check_digest(&response, &manifest.digest).is_ok()
        })
    }

    /// Puts a manifest under a tag or its digest, and makes sure that the registry then has it
    /// (end-7), or hears that it may want another format.
    pub(crate) fn put_manifest(
        &self,
        name: &str,
        manifest: &Descriptor,
        bytes: &[u8],
    ) -> Result<Put, Failure> {
        let url = self.url(&format!("manifests/{name}"))?;
        let request = Request::new(Method::PUT, url.clone())
            .header(CONTENT_TYPE, manifest.media_type.clone())
            .body(Body::Bytes(bytes));
        let response = self.send(request)?;
        let is_refused = matches!(response.status.as_u16(), 400 | 406 | 415);
        let response = match response.success() {
            Ok(response) => response,
            Err(error)
                if is_refused
                    && is_oci(manifest)
                    && !error.codes.iter().any(|it| is_missing_blob(it)) =>
            {
                let hint = FORMAT_HINT.to_owned();
                return Ok(Put::Refused(RegistryError { hint, ..error }));
            }
            Err(error) => return Err(error.into()),
        };
        let subject = response.header(SUBJECT).map(str::to_owned);
        if check_digest(&response, &manifest.digest)? {
            return Ok(Put::Taken(subject));
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
            Ok(Put::Taken(subject))
        } else {
            Err(changed(&manifest.digest, &found).into())
        }
    }
}

/// Puts a manifest or index under its tags one after the other, or under its digest if there are none. It
/// goes out in the first of its `forms` that the registry takes, which is the result; it is `shown` to
/// whoever watches.
pub(super) fn put_document<'f>(
    client: &Client,
    tags: &[String],
    forms: &'f [Form],
    shown: &Descriptor,
    context: Context<'_>,
) -> strata_error::Result<&'f Form> {
    context.progress.begin(shown);
    let mut refusal = None;
    for form in forms {
        match (put_form(client, tags, form, context), &refusal) {
            (Ok(None), _) => {
                context.advance(shown, shown.size)?;
                context.progress.finish(shown, Outcome::Copied);
                return Ok(form);
            }
            // What was said of the first form is what matters.
            (Ok(Some(error)), None) => refusal = Some(error),
            (Ok(Some(_)), Some(_)) => {}
            (Err(error), None) | (Err(error @ Error::Interrupted), Some(_)) => return Err(error),
            (Err(_), Some(_)) => break,
        }
    }
    Err(refusal.unwrap_or(Error::Interrupted))
}

/// Puts one form of a document under its names. Gives the registry's refusal, if that may be for its format.
fn put_form(
    client: &Client,
    tags: &[String],
    form: &Form,
    context: Context<'_>,
) -> strata_error::Result<Option<Error>> {
    let Form { descriptor, bytes } = form;
    let by_digest = tags.is_empty().then(|| descriptor.digest.to_string());
    for name in tags.iter().chain(&by_digest) {
        let separator = if tags.is_empty() { '@' } else { ':' };
        let operation = format!(
            "cannot push the manifest to {}{separator}{name}",
            client.name
        );
        let put = client.retry(&operation, context.cancel, || {
            client.put_manifest(name, descriptor, bytes)
        })?;
        if let Put::Refused(error) = put {
            return Ok(Some(client.error(error, &operation, 1)));
        }
    }
    Ok(None)
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
