//! What a request asks for, checked, and which store path goes into which layer: settled for the whole
//! image, before any layer is written.
//!
//! This crate is pure: it reads no file and no clock, and the same request makes the same plan.
//!
//! - `check` (with `platform` and `files`): from a request as Nix wrote it to values that are known to be good
//! - `plan`: the layers, the parent layers and the base in one
//! - `history`: what the layers are called where nobody described them
//! - `layering`: from a request to what a strategy is asked, and its answer
//! - `strategy`: cutting a closure into layers
//! - `roots`: what an edit of the user changes
//! - `updates`: what an update sends again
//! - `pipeline`: the same by a list of operations
//! - `listing`: closures as Nix lists them, for plans without an image

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod check;
mod files;
mod history;
mod layering;
pub mod listing;
mod pipeline;
mod plan;
mod platform;
mod roots;
pub mod strategy;
mod updates;

pub use check::{CheckedBase, CheckedImage, CheckedRequest, check, check_name, check_tag};
pub use files::{CheckedFile, FileContent, FileSource, file_error};
pub use history::{
    main_packages, of_files as history_of_files, of_mounts as history_of_mounts,
    of_whiteouts as history_of_whiteouts, shortened,
};
pub use layering::{KnownLayers, MOST_LAYERS};
pub use pipeline::Pipeline;
pub use plan::{BaseLayers, FleetLayers, FleetMember, LayerSpec, Plan, plan, plan_fleet};
pub use roots::roots;
pub use updates::Updates;
