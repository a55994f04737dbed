//! What names in a layer say about lower layers (OCI layer.md, "Whiteouts").

use super::path::ImagePath;
use strata_archive::WHITEOUT;

/// The name of a marker that hides everything that lower layers have in its directory.
const OPAQUE: &[u8] = b".wh..wh..opq";
/// What the names of other things begin with that are for engines alone.
const ENGINE_PREFIX: &[u8] = b".wh..wh.";

/// What the entry at a path means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Marker {
    /// Nothing special: it is a part of the image.
    None,
    /// Lower layers have nothing in this directory.
    Opaque(ImagePath),
    /// Lower layers do not have this path.
    Hidden(ImagePath),
    /// It is an engine's own, and no part of the image.
    Engine,
}

impl Marker {
    /// What an entry at `path` means.
    pub(super) fn of(path: &ImagePath) -> Self {
        let (parent, name) = path.split();
        if name == OPAQUE {
            Self::Opaque(parent)
        } else if name.starts_with(ENGINE_PREFIX) {
            Self::Engine
        } else {
            let hidden = name.strip_prefix(WHITEOUT);
            hidden.map_or(Self::None, |hidden| Self::Hidden(parent.join(hidden)))
        }
    }
}
