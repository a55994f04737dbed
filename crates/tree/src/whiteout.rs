//! What names in a layer say about the layers under it (OCI layer.md, "Whiteouts").

use super::path::ImagePath;
use strata_archive::WHITEOUT_PREFIX;

/// The name of a file that hides everything that the layers under its own have in its directory.
const OPAQUE: &[u8] = b".wh..wh..opq";
/// What the names of other things begin with that are for engines alone.
const ENGINE_PREFIX: &[u8] = b".wh..wh.";

/// What an entry means that is no part of the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whiteout {
    /// The layers under it have nothing in this directory.
    Opaque(ImagePath),
    /// The layers under it do not have this path.
    File(ImagePath),
    /// It is an engine's own.
    Engine,
}

impl Whiteout {
    /// What an entry at `path` means, if it is no part of the image.
    pub(super) fn of(path: &ImagePath) -> Option<Self> {
        let (parent, name) = path.split();
        if name == OPAQUE {
            Some(Self::Opaque(parent))
        } else if name.starts_with(ENGINE_PREFIX) {
            Some(Self::Engine)
        } else {
            let hidden = name.strip_prefix(WHITEOUT_PREFIX)?;
            Some(Self::File(parent.join(hidden)))
        }
    }
}
