//! What vouches for images: bills of materials, what is attached to images in registries, signatures, provenance.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "this is a test"
)]

mod builds;
mod keys;
mod program;
mod rebuilds;
mod referrers;
mod sbom;
mod signatures;
