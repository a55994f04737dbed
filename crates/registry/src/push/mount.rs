//! Blobs that are in another repository of the same registry (distribution specification, "Mounting a
//! blob from another repository").

use ureq::http::{Method, StatusCode, Uri};

use crate::address::with_parameter;
use crate::client::{Client, Failure};
use crate::error::Problem;
use crate::push::manifest::check_digest;
use crate::transport::Request;
use strata_oci::Digest;

/// What a registry said to a mount.
#[derive(Debug)]
pub(crate) enum Mount {
    /// The blob is there now.
    Mounted,
    /// It is not, but an upload is open.
    Opened(Uri),
    /// Neither.
    Refused,
}

impl Client {
    /// Asks the registry to take a blob from its repository `from` (end-11). Any answer but 201 means
    /// that the blob has to be uploaded: registries may not know mounts, or not allow them.
    pub(crate) fn mount(&self, blob: &Digest, from: &str) -> Result<Mount, Failure> {
        let too_long = || Problem::lasting("cannot be asked for a mount: the name is too long", "");
        let address = self.address("blobs/uploads/")?;
        let address = with_parameter(&address, "mount", &blob.to_string())
            .and_then(|address| with_parameter(&address, "from", from))
            .ok_or_else(too_long)?;
        let answer = match self.send(Request::new(Method::POST, address)) {
            Ok(answer) => answer,
            Err(Failure::Problem(problem)) if !problem.temporary => return Ok(Mount::Refused),
            Err(failure) => return Err(failure),
        };
        match answer.status {
            StatusCode::CREATED if check_digest(&answer, blob).is_ok() => Ok(Mount::Mounted),
            StatusCode::ACCEPTED => Ok(self
                .upload_location(&answer)
                .map_or(Mount::Refused, Mount::Opened)),
            status if status.is_success() => Ok(Mount::Refused),
            _ => {
                let problem = answer.problem();
                if problem.temporary {
                    Err(problem.into())
                } else {
                    Ok(Mount::Refused)
                }
            }
        }
    }
}
