//! What vouches for an image: bills of materials, provenance and signatures, made of images and kept beside them in
//! registries, verified, and proved by building again.
//!
//! What they look like is in `strata-sbom` and `strata-attest`, how they get to registries in `strata-referrers`; here it
//! is done. Programs that it runs are Nix, and what the user names to sign with.
//!
//! - `system_files`: the lists of packages in a base image's layers
//! - `documents`: what can be attached, made of an image
//! - `signing`: signatures in both forms, put beside an image; `command`: a program that signs
//! - `verification`: whether an image has a signature of a key, and what is said of it
//! - `rebuild`: whether a build comes to the same image, and what differs

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod command;
mod documents;
mod rebuild;
mod signing;
mod subjects;
mod system_files;
mod verification;

pub use command::CommandSigner;
pub use documents::{Kind, Maker, Said, bill, kind_of};
pub use rebuild::{Comparison, Remote, Source, build, compare};
pub use signing::{Forms, attach_signed, sign};
pub use subjects::{Subject, subjects};
pub use verification::{provenance_of, verify};
