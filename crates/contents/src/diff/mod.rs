//! What differs between two images.
//!
//! - `packages`: added, removed, updated and rebuilt
//! - `layers`: which stay, and which are sent
//! - `config`: what a container starts with, and what is said of the image
//! - `files`: file by file

mod config;
mod files;
mod layers;
mod packages;

pub use config::{FieldChange, configs};
pub use files::{FileChange, files};
pub use layers::{LayerChanges, layers};
pub use packages::{PackageChange, PackageChangeKind, packages};
