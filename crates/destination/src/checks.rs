//! What several destinations refuse.

use std::path::Path;

use super::contract::Destination;
use strata_error::{Error, Result};
use strata_image::{Image, ManifestOrIndexRef};

/// The error of a destination that is right in itself.
pub(super) fn refused(destination: &dyn Destination, message: &str, hint: &str) -> Error {
    Error::Name {
        what: "destination",
        value: destination.to_string(),
        message: message.to_owned(),
        hint: hint.to_owned(),
    }
}

/// The image, where an index is of no use.
pub(super) fn one_image<'a>(
    image: ManifestOrIndexRef<'a>,
    destination: &dyn Destination,
) -> Result<&'a Image> {
    match image {
        ManifestOrIndexRef::Image(image) => Ok(image),
        ManifestOrIndexRef::Index(_) => Err(refused(
            destination,
            "it takes one image and not an index",
            "choose one with --platform",
        )),
    }
}

/// Refuses to write a directory where the image is. The superuser could, which the Nix store would not
/// notice.
pub(super) fn is_not_image(destination: &dyn Destination, path: &Path, image: &Path) -> Result<()> {
    let is_image = path
        .canonicalize()
        .is_ok_and(|path| image.canonicalize().is_ok_and(|image| path == image));
    if is_image {
        return Err(refused(
            destination,
            "the image itself is there",
            "name another directory",
        ));
    }
    Ok(())
}
