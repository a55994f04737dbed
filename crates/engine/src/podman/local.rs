//! podman on this machine.

use super::client::{Podman, command};
use crate::process;
use strata_error::Result;
use strata_image::Image;
use strata_oci::Digest;
use strata_progress::Context;
use strata_serve::on_loopback;

/// What to try when podman does not pull.
const HINT: &str = "podman pulls from a registry on 127.0.0.1 for this; if that is forbidden, load an \
                    archive: strata copy IMAGE docker-archive:- | podman load";

/// Lets podman pull the image and gives it its real name; gives the digest of the manifest that it has of that. The
/// name under which it was pulled goes.
pub(super) fn pull(podman: &Podman<'_>, image: &Image, name: Option<&str>) -> Result<Digest> {
    let id = image.manifest.config.digest.hex();
    on_loopback(image, podman.context, |ours| {
        let pull = command(&["pull", "--quiet", "--tls-verify=false", ours]);
        let pulled = process::run(pull, HINT, podman.context)
            .and_then(|_| name.map_or(Ok(()), |name| podman.tag(&id, name)));
        match pulled {
            Ok(()) => {
                let digest = || podman.digest(name.unwrap_or(&id), &id);
                rayon::join(|| podman.untag(&id, ours), digest).1
            }
            Err(error) => {
                // With its last name the image goes, too. It may not have come so far.
                let _ = process::query(command(&["image", "rm", ours]), "", Context::silent());
                Err(error)
            }
        }
    })
}
