//! podman on this machine.

use super::Podman;
use crate::Result;
use crate::image::Image;
use crate::transport::serve::lend;

/// What to try when podman does not pull.
const HINT: &str = "podman pulls from a registry on 127.0.0.1 for this; if that is forbidden, load an \
                    archive: strata copy IMAGE docker-archive:- | podman load";

/// Lets podman pull the image and gives it its real name. The name under which it was pulled goes.
pub(super) fn pull(podman: &Podman<'_>, image: &Image, name: Option<&str>) -> Result<()> {
    let id = image.manifest.config.digest.hex();
    lend(image, podman.progress, |ours| {
        let pulled = podman
            .run(&["pull", "--quiet", "--tls-verify=false", ours])
            .and_then(|ended| ended.success(HINT))
            .and_then(|_| name.map_or(Ok(()), |name| podman.tag(&id, name)));
        match pulled {
            Ok(()) => podman.run(&["untag", &id, ours])?.success("").map(|_| ()),
            Err(error) => {
                // With its last name the image goes, too.
                Podman::tidy(&["image", "rm", ours]);
                Err(error)
            }
        }
    })
}
