//! Images into a registry.
//!
//! ```text
//!  PushPlan::draft ──> resolve ────────────> execute, for each blob ──────────> the manifest
//!  what the cache      what registries       find it, or mount it, or upload    under its tags
//!  knows of the        know of the layers    it: check, initiate, stream,
//!  layers                                    commit
//! ```
//!
//! What does not depend on each other is asked at once: requests are what many layers cost. A manifest that is
//! there by its own digest needs nothing more. All blobs are asked for at once and some are sent at once, the
//! largest first. Layers are made while
//! they are sent, so that what a layer that is compressed is called is known after it was sent.

mod blob_index;
mod blob_source;
mod blob_upload;
mod discover;
mod execute;
mod fetched;
mod forms;
mod index;
mod manifest;
mod mount;
mod options;
mod plan;
mod resolve;
mod upload;
mod verify;

use std::thread;

use crate::options::Options;
use plan::{ImagePush, LayerNames, PushPlan, PushTarget};
use strata_error::Result;
use strata_image::Image;
use strata_oci::Reference;
use strata_progress::Context;

pub(crate) use blob_source::BlobSource;
pub use blob_upload::Action;
pub use execute::Pushed;
pub use fetched::Fetched;
pub use forms::no_docker_format;
pub use index::{plan_index, push_index};
pub(crate) use manifest::Put;
pub use options::{ManifestFormat, PushOptions, tags};
pub use resolve::{Plan, PlannedLayer};
pub(crate) use upload::Upload;

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
    let target = PushTarget::new(reference, client_options, options, context)?;
    let plan = PushPlan::draft(&target, &ImagePush::alone(image, reference))?;
    let target = target.connect(std::slice::from_ref(&plan))?;
    target.watch(|| {
        let client = &target.client;
        let count = plan.uploads_ahead(&target);
        let (plan, opened) = thread::scope(|scope| {
            let opened = scope.spawn(|| client.open_uploads(count));
            let plan = plan.resolve(&target, &LayerNames::new());
            (plan, opened.join().unwrap_or_default())
        });
        match plan {
            Ok(plan) => Ok(execute::execute(&plan, &target, opened)?.0),
            Err(error) => {
                for location in opened.into_iter().flatten() {
                    client.cancel(&location);
                }
                Err(error)
            }
        }
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
    let target = PushTarget::new(reference, client_options, options, context)?;
    let plan = PushPlan::draft(&target, &ImagePush::alone(image, reference))?;
    let target = target.connect(std::slice::from_ref(&plan))?;
    target.watch(|| resolve::dry_run(&plan.resolve(&target, &LayerNames::new())?, &target))
}
