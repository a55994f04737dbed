//! Base images: what the layers of an image of ours lie on.
//!
//! [`read`] takes what Strata built, what `docker save`, `podman save` and `skopeo copy` write, and
//! what comes out of nixpkgs' dockerTools and of nix2container's `pullImage`. It believes nothing:
//! every blob is read and compared with its digest and its diff ID, every header of a layer is
//! parsed, and all of it within [`bounds`]. Layers stay where they are: a record says in which file
//! of the base.
//!
//! - `read`: from a path to a [`Base`]
//! - `image_source`, `documents`: a directory or archive, and what is said in it
//! - `select`: which of several images is meant; `inherit`: what of its config an image takes over
//! - `stored`: all images in a directory or archive, for whoever looks at them
//! - `layers`, `files`: checking layers, and reading single files of them

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

pub mod bounds;
mod damaged;
mod documents;
mod files;
mod image_source;
mod inherit;
mod layers;
mod read;
mod select;
mod stored;

pub use files::BaseFile;
pub use image_source::is_archive;
pub use inherit::{Inheritance, inherit};
pub use read::{Base, read};
pub use select::Selection;
pub use stored::{StoredImage, images, parse_foreign_config};
