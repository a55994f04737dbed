//! What vouches for an image: bills of materials, provenance and signatures, made of images and kept beside them in
//! registries.
//!
//! - `system_files`: the lists of packages in a base image's layers
//! - `documents`: what can be attached, made of an image
//! - `signing`: signatures in both forms, put beside an image; `command`: a program that signs
//! - `verification`: whether an image has a signature of a key, and what is said of it
//! - `rebuild`: whether a build comes to the same image, and what differs

mod command;
mod documents;
mod rebuild;
mod signing;
mod subjects;
mod system_files;
mod verification;

pub(crate) use command::CommandSigner;
pub(crate) use documents::{Kind, Maker, bill, kind_of};
pub(crate) use rebuild::{Comparison, Remote, Source, build, compare};
pub(crate) use signing::{Forms, attach_signed, sign};
pub(crate) use subjects::{Subject, subjects};
pub(crate) use verification::{provenance_of, verify};
