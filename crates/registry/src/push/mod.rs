//! Images into a registry.

mod blob_index;
mod blob_source;
mod blob_upload;
mod cache;
mod discover;
mod dry_run;
mod execute;
mod index;
mod list_tags;
mod manifest;
mod mount;
mod plan;
mod resolve;
mod upload;
mod verify;

pub use dry_run::{How, Plan, PlannedLayer};
pub use execute::{PushOptions, Pushed, plan, push};
pub use index::{plan_index, push_index};
pub use plan::tags;
