//! How closely layers are looked at.

/// How closely layers are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// The store paths in them; of layers that lie on a base image, those of the base are passed over.
    Packages,
    /// All files, and their digests.
    Files,
}
