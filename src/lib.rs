//! Strata turns Nix store closures into OCI images.
//!
//! ```text
//!  .attrs.json ──> nix ──> plan ──> tree ──> tar ──> image ──> builder   ($out: documents, recipes)
//!                 closure  which    which    bytes   digests
//!                          layer    entries             │
//!                                                       └──> transport   (layer bytes made again)
//! ```
//!
//! Nix decides what is in the image, this library decides how the bytes look. [`builder::run`] is
//! what runs inside a derivation; [`image::Image::open`] reads what it built, and the sinks in
//! [`transport`] copy it. `ARCHITECTURE.md` describes the rooms, `docs/formats.md` the documents
//! that pass between them.

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

pub mod base;
pub mod builder;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "cli")]
pub mod compress;
mod error;
pub mod image;
pub mod nix;
pub mod oci;
pub mod plan;
mod small_file;
pub mod system;
pub mod tar;
#[cfg(feature = "cli")]
pub mod transport;
pub mod tree;

pub use error::{Error, Result};
