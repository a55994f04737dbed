//! podman on this machine.

use super::client::{Podman, command};
use crate::process;
use strata_error::Result;
use strata_image::Image;
use strata_progress::Context;
use strata_serve::on_loopback;

/// What to try when podman does not pull.
const HINT: &str = "podman pulls from a registry on 127.0.0.1 for this; if that is forbidden, load an \
                    archive: strata copy IMAGE docker-archive:- | podman load";

/// Lets podman pull the image and gives it its real name. The name under which it was pulled goes.
pub(super) fn pull(podman: &Podman<'_>, image: &Image, name: Option<&str>) -> Result<()> {
    let id = image.manifest.config.digest.hex();
    on_loopback(image, podman.context, |ours| {
        let pull = command(&["pull", "--quiet", "--tls-verify=false", ours]);
        let pulled = process::run(pull, HINT, podman.context)
            .and_then(|_| name.map_or(Ok(()), |name| podman.tag(&id, name)));
        match pulled {
            Ok(()) => {
                podman.untag(&id, ours);
                Ok(())
            }
            Err(error) => {
                // With its last name the image goes, too. It may not have come so far.
                let _ = process::query(command(&["image", "rm", ours]), "", Context::silent());
                Err(error)
            }
        }
    })
}
