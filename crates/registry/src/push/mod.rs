//! Images into a registry.
//!
//! ```text
//!  PushPlan::resolve ──> execute, for each blob ───────────────────> the manifest
//!  what registries       find it, or mount it, or upload it:         under its tags
//!  know of the layers    check, initiate, stream, commit
//! ```
//!
//! Many blobs are asked for at once and few are sent at once, the largest first. Layers are made while
//! they are sent, so that what a layer that is compressed is called is known after it was sent.

mod blob_index;
mod blob_source;
mod blob_upload;
mod cache;
mod discover;
mod execute;
mod index;
mod list_tags;
mod manifest;
mod mount;
mod options;
mod plan;
mod resolve;
mod upload;
mod verify;

use crate::options::Options;
use plan::{ImagePush, PushPlan, PushTarget};
use strata_error::Result;
use strata_image::Image;
use strata_oci::Reference;
use strata_progress::Context;

pub use execute::Pushed;
pub use index::{plan_index, push_index};
pub use options::{ManifestFormat, PushOptions, tags};
pub use plan::no_docker_format;
pub use resolve::{Action, Plan, PlannedLayer};

/// Pushes `image` to `reference`: to its tag, to its digest if there is only that, else to `latest`.
///
/// When this succeeds, the registry has answered for each blob and for the manifest with its digest.
/// Blobs that it has already are not sent. What cannot be pushed leaves no open upload behind, as
/// far as the registry still answers.
pub fn push(
    image: &Image,
    reference: &Reference,
    client_options: &Options,
    options: &PushOptions,
    context: Context<'_>,
) -> Result<Pushed> {
    let target = PushTarget::connect(reference, client_options, options, context)?;
    target.watch(|| {
        let plan = PushPlan::resolve(&target, &ImagePush::alone(image, reference))?;
        let (pushed, _) = execute::execute(&plan, &target)?;
        Ok(pushed)
    })
}

/// Says what [`push`] would do, and writes nothing.
pub fn plan(
    image: &Image,
    reference: &Reference,
    client_options: &Options,
    options: &PushOptions,
    context: Context<'_>,
) -> Result<Plan> {
    let target = PushTarget::connect(reference, client_options, options, context)?;
    target.watch(|| {
        let plan = PushPlan::resolve(&target, &ImagePush::alone(image, reference))?;
        resolve::dry_run(&plan, &target)
    })
}
