//! What names in a layer say about the layers under it (OCI layer.md, "Whiteouts").

use super::path::ImagePath;
use strata_archive::WHITEOUT_PREFIX;

/// The name of a file that hides everything that the layers under its own have in its directory.
const OPAQUE: &[u8] = b".wh..wh..opq";
/// What the names of other things begin with that are for engines alone.
const ENGINE_PREFIX: &[u8] = b".wh..wh.";

/// What an entry means that is no part of the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whiteout<'a> {
    /// The layers under it have nothing in this directory.
    Opaque(ImagePath),
    /// The layers under it do not have this name in this directory.
    File(ImagePath, &'a [u8]),
    /// It, or what it is in, is an engine's own.
    Engine,
    /// It hides nothing that there can be, or lies in what hides something: engines refuse the one, or take
    /// away what is around it, and have the other in no container.
    Nothing(&'static str),
}

impl<'a> Whiteout<'a> {
    /// What an entry at `path` means, if it is no part of the image.
    pub(super) fn of(path: &'a ImagePath) -> Option<Self> {
        let slash = path.0.iter().rposition(|byte| *byte == b'/');
        let name = slash.map_or(&path.0[..], |slash| &path.0[slash + 1..]);
        let directory = || path.split().0;
        if name == OPAQUE {
            return Some(Self::Opaque(directory()));
        }
        if path.0.starts_with(ENGINE_PREFIX) || name.starts_with(ENGINE_PREFIX) {
            return Some(Self::Engine);
        }
        let mut directories = path.components().rev().skip(1);
        if directories.any(|name| name.starts_with(WHITEOUT_PREFIX)) {
            return Some(Self::Nothing(
                "it lies in a directory whose name begins with .wh.",
            ));
        }
        match name.strip_prefix(WHITEOUT_PREFIX)? {
            b"" | b"." | b".." => Some(Self::Nothing("a whiteout of no file")),
            hidden => Some(Self::File(directory(), hidden)),
        }
    }
}
