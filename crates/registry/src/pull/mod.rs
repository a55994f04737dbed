//! Images out of a registry, as they are there: the directory that `skopeo copy docker://… dir:…`
//! writes, single documents and blobs, and lock files, which say what a name meant.

mod download;
mod lock;
mod source;

pub use lock::{Lock, LockedImage, platform_of};
pub use source::{RemoteImage, Source};
