//! Manifests on their way into a repository (distribution specification, "Pushing Manifests").

use ureq::http::header::{ACCEPT, CONTENT_TYPE};
use ureq::http::{Method, StatusCode};

use crate::client::{Client, Failure};
use crate::error::Problem;
use crate::fetch::LARGEST_MANIFEST;
use crate::response::Answer;
use crate::transport::{Body, Request};
use strata_oci::{Descriptor, Digest};

/// The header in which registries say what they hold.
const CONTENT_DIGEST: &str = "docker-content-digest";

impl Client {
    /// Puts a manifest under a tag or its digest, and makes sure that the registry then has it
    /// (end-7).
    pub(crate) fn put_manifest(
        &self,
        name: &str,
        manifest: &Descriptor,
        bytes: &[u8],
    ) -> Result<(), Failure> {
        let address = self.address(&format!("manifests/{name}"))?;
        let request = Request::new(Method::PUT, address.clone())
            .header(CONTENT_TYPE, manifest.media_type.clone())
            .body(Body::Bytes(bytes));
        let answer = self.send(request)?.success()?;
        if check_digest(&answer, &manifest.digest)? {
            return Ok(());
        }
        // Not every registry says what it took; then it is read back.
        let request =
            Request::new(Method::GET, address).header(ACCEPT, manifest.media_type.clone());
        let answer = self.send(Request {
            limit: LARGEST_MANIFEST,
            ..request
        })?;
        if answer.status == StatusCode::NOT_FOUND {
            return Err(lost().into());
        }
        let answer = answer.success()?;
        let found = Digest::of(&answer.body);
        if found == manifest.digest {
            Ok(())
        } else {
            Err(changed(&manifest.digest, &found).into())
        }
    }
}

/// Whether the registry says that it holds `digest`; an error if it says that it holds another.
pub(crate) fn check_digest(answer: &Answer, digest: &Digest) -> Result<bool, Problem> {
    match answer.header(CONTENT_DIGEST).map(str::parse::<Digest>) {
        Some(Ok(found)) if found != *digest => Err(changed(digest, &found)),
        // Another algorithm tells nothing.
        found => Ok(matches!(found, Some(Ok(_)))),
    }
}

/// Several registries behind one address may need a moment to agree.
fn lost() -> Problem {
    Problem::passing(
        "took the manifest, and says right after that it does not have it (404)",
        "the registry's own log says more; several registries behind one address must share their \
         storage",
    )
}

fn changed(sent: &Digest, found: &Digest) -> Problem {
    Problem::lasting(
        format!("holds {found} now, and {sent} was sent"),
        "something between here and the registry changes what passes, or somebody else pushed \
         to this tag just now",
    )
}
