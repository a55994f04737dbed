//! Values in documents, and their texts.

mod compression;
mod digest;
mod reference;
mod timestamp;

pub use compression::Compression;
pub use digest::{Digest, Hasher, HashingReader, HashingWriter};
pub use reference::{Reference, is_repository, split_registry, validate_tag, without_password};
pub use timestamp::{is_rfc3339, rfc3339, seconds_of};
