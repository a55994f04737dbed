//! Where images go: one file or folder for each medium.
//!
//! A sink writes beside its destination and renames, so that nothing half-written stays. Sinks
//! report to a [`Progress`] and stop when it says so; they print nothing.

pub mod archive;
mod blob;
pub mod compressed;
pub mod containerd;
pub mod destination;
pub mod directory;
pub mod docker;
#[cfg(test)]
mod fixture;
pub mod layout;
pub mod podman;
mod process;
pub mod progress;
pub mod pull;
pub mod registry;
pub mod serve;
pub mod skopeo;
mod staging;
mod text;

pub use destination::Destination;
pub use progress::{Outcome, Progress, Silent};
pub use staging::write_file;
