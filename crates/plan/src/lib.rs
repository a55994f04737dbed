//! What a request asks for, checked, and which store path goes into which layer: settled for the whole
//! image, before any layer is written.
//!
//! This crate is pure: it reads no file and no clock, and the same request makes the same plan.
//!
//! - `check` (with `platform`): from a request as Nix wrote it to values that are known to be good
//! - `plan`: the layers, the parent layers and the base in one
//! - `strategy`: cutting a closure into layers
//! - `listing`: closures as Nix lists them, for plans without an image

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod check;
pub mod listing;
mod plan;
mod platform;
pub mod strategy;

pub use check::{CheckedBase, CheckedImage, CheckedRequest, check, check_name, check_tag};
pub use plan::{BaseLayers, LayerSpec, MOST_LAYERS, Plan, plan};
