//! Container engines: each loads an image into one, and sends no more than it lacks.

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

pub mod containerd;
pub mod docker;
pub mod podman;
mod process;
pub mod skopeo;
