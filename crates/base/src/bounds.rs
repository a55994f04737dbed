//! How much of a base image is read, so that a hostile one costs bounded time and memory
//! (docs/internals/formats.md, "Base images").

/// The most files in an archive that holds images.
pub const MOST_MEMBERS: usize = 100_000;
/// The most manifests that the indexes of a base may lead to.
pub const MOST_MANIFESTS: usize = 256;
/// How many indexes may lie in each other.
pub const DEEPEST_INDEX: usize = 4;
/// The most bytes of a manifest, index or config: four times what registries take.
pub const LARGEST_DOCUMENT: u64 = 16 * 1024 * 1024;
/// The most bytes of documents that are kept of a compressed archive.
pub const MOST_DOCUMENTS: u64 = 64 * 1024 * 1024;
/// The most layers.
pub const MOST_LAYERS: usize = 1_000;
/// The most bytes of a layer, compressed or not.
pub const LARGEST_LAYER: u64 = 256 * 1024 * 1024 * 1024;
/// The most bytes of a file of a Nix database that is merged.
pub const LARGEST_DATABASE: u64 = 256 * 1024 * 1024;
/// The most bytes of a file of users or groups that is merged.
pub const LARGEST_ACCOUNTS: u64 = 16 * 1024 * 1024;
/// How many links may lead from one to the other.
pub const MOST_LINKS: usize = 16;
/// The most bytes of an image's name that is looked at.
pub const LONGEST_NAME: usize = 4096;
