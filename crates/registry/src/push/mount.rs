//! Blobs that are in another repository of the same registry (distribution specification, "Mounting a
//! blob from another repository").

use ureq::http::{Method, StatusCode, Uri};

use crate::client::Client;
use crate::push::manifest::check_digest;
use strata_exchange::Request;
use strata_exchange::{Failure, RegistryError};
use strata_http::url::with_parameter;
use strata_oci::Digest;

/// What a registry said to a mount.
#[derive(Debug)]
pub(super) enum Mount {
    /// The blob is there now.
    Mounted,
    /// It is not, but an upload is open.
    Accepted(Uri),
    /// Neither.
    Refused,
}

impl Client {
    /// Asks the registry, once, to take a blob from its repository `from` (end-11). Any response but 201 means
    /// that the blob has to be uploaded: registries may not know mounts, or not allow them.
    pub(super) fn mount(&self, blob: &Digest, from: &str) -> Result<Mount, Failure> {
        let too_long =
            || RegistryError::permanent("cannot be asked for a mount: the name is too long", "");
        let url = self.url("blobs/uploads/")?;
        let url = with_parameter(&url, "mount", &blob.to_string())
            .and_then(|url| with_parameter(&url, "from", from))
            .ok_or_else(too_long)?;
        let response = match self.send(Request::new(Method::POST, url)) {
            Ok(response) => response,
            Err(Failure::Registry(_)) => return Ok(Mount::Refused),
            Err(failure) => return Err(failure),
        };
        Ok(match response.status {
            StatusCode::CREATED if check_digest(&response, blob).is_ok() => Mount::Mounted,
            StatusCode::ACCEPTED => self
                .upload_location(&response)
                .map_or(Mount::Refused, Mount::Accepted),
            _ => Mount::Refused,
        })
    }
}
