//! What copies share, wherever they go: the blobs of an image, files that appear whole or not at all,
//! and the forms that are files. No network is asked.
//!
//! - `blob`, `name`: what is copied, and what the copy is called
//! - [`staging`]: temporary places that are renamed when they are whole and on the disk
//! - [`archive`], [`layout`], [`directory`]: the forms, as `strata_oci` says what a layout is
//! - [`worker_pool`]: many quick checks and few long transfers at once
//! - [`compressed`]: an image whose compressed layers are promised, as an output

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

pub mod archive;
mod blob;
pub mod compressed;
pub mod directory;
pub mod layout;
mod name;
pub mod staging;
pub mod worker_pool;

pub use blob::{Blob, blobs};
pub use name::CopyName;
pub use staging::write_file;
