//! What belongs to images in registries: bills of materials, attestations, signatures. They are attached, listed, and
//! copied along (OCI distribution specification 1.1, "Listing Referrers", "Pushing Manifests with Subject").
//!
//! A registry that lists what refers to a manifest does so; for one that cannot, the list is an index under a tag that
//! is called like the manifest, which whoever attaches something keeps.
//!
//! - `attach`: a document beside an image
//! - `list`: what refers to an image
//! - `tags`: the list where the registry has none, and what `cosign` keeps under tags
//! - `copy`: all that belongs to an image, into another repository

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod attach;
mod copy;
mod list;
mod tags;

pub use attach::{Attachment, attach};
pub use copy::copy;
pub use list::list;
pub use tags::signature_tag;
