//! Which store path goes into which layer: settled for the whole image, before any layer is
//! written. This crate is pure.

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod check;
mod plan;
mod platform;
mod popularity;

pub use check::{CheckedBase, CheckedImage, CheckedRequest, check, check_name, check_tag};
pub use plan::{BaseLayers, LayerSpec, MOST_LAYERS, Plan, plan};
