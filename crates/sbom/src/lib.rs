//! Software bills of materials: what is in an image, in CycloneDX and SPDX.
//!
//! Everything here is made of what is handed over: an image whose documents were read, what Nix knew of packages
//! when it evaluated the image, the files in which a base image's package manager lists what it installed. The same
//! inputs give the same bytes, for whoever signs them.
//!
//! - `bill`, `package`: what is in an image, whatever it is written as
//! - `known`: what Nix knew of store paths
//! - `system`: packages of a base image, as dpkg, apk and rpm list them
//! - `licence`, `package_url`: their texts
//! - `format`: what a bill is written as; `cyclonedx`, `spdx`: the two documents

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod bill;
mod cyclonedx;
mod format;
mod known;
mod licence;
mod package;
mod package_url;
mod spdx;
mod system;

pub use bill::Bill;
pub use format::Format;
pub use known::KnownPackages;
pub use licence::Licence;
pub use package::Package;
pub use system::{SYSTEM_FILES, System};
