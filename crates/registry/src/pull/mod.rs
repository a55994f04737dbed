//! Images out of a registry, as they are there: the directory that `skopeo copy docker://… dir:…`
//! writes, single documents and blobs, and what a name means, for lock files.

mod download;
mod layer;
mod lock;
mod source;

pub use layer::RemoteLayer;
pub use lock::platform_of;
pub use source::{RemoteImage, Source};
