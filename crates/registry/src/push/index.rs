//! An index: its images one after the other under their digests, and then the index under its names,
//! so that a name never leads to images that are not there.

use std::collections::BTreeMap;

use crate::options::Options;
use crate::push::blob_upload::stays_as_it_is;
use crate::push::execute::{Pushed, execute};
use crate::push::forms::{Form, no_docker_format};
use crate::push::manifest::put_document;
use crate::push::options::{ManifestFormat, PushOptions, tags};
use crate::push::plan::{ImagePush, LayerNames, PushPlan, PushTarget, check_reference};
use crate::push::resolve::{Plan, dry_run};
use strata_error::Result;
use strata_image::ImageIndex;
use strata_oci::{Descriptor, Digest, Platform, Reference, json, media_type};
use strata_progress::{Context, Outcome};

/// Pushes `index` and its images as [`super::push`] does one. What images share is sent once.
pub fn push_index(
    index: &ImageIndex,
    reference: &Reference,
    client_options: &Options,
    options: &PushOptions,
    context: Context<'_>,
) -> Result<Pushed> {
    let target = PushTarget::new(reference, client_options, options, context)?;
    let platforms = platforms(index);
    let plans = draft(index, &platforms, &target)?;
    let target = target.connect(&plans)?;
    target.watch(|| {
        let mut known = LayerNames::new();
        let (mut manifests, mut warnings) = (Vec::new(), Vec::new());
        let mut tagged = BTreeMap::new();
        for plan in plans {
            let plan = plan.resolve(&target, &known)?;
            let (pushed, names) = execute(&plan, &target, Vec::new())?;
            tagged = plan.tagged;
            known.extend(names);
            manifests.push(pushed.manifest);
            for warning in pushed.warnings {
                if !warnings.contains(&warning) {
                    warnings.push(warning);
                }
            }
        }
        let manifest = put_index(index, &manifests, &tagged, &target)?;
        Ok(Pushed { manifest, warnings })
    })
}

/// Says what [`push_index`] would do for each image, and writes nothing.
pub fn plan_index(
    index: &ImageIndex,
    reference: &Reference,
    client_options: &Options,
    options: &PushOptions,
    context: Context<'_>,
) -> Result<Vec<Plan>> {
    let target = PushTarget::new(reference, client_options, options, context)?;
    let platforms = platforms(index);
    let plans = draft(index, &platforms, &target)?;
    let target = target.connect(&plans)?;
    target.watch(|| {
        let none = LayerNames::new();
        plans
            .into_iter()
            .map(|plan| dry_run(&plan.resolve(&target, &none)?, &target))
            .collect()
    })
}

/// Makes the index of what was pushed and pushes it, under those of its names one after the other that do not
/// lead to it yet.
fn put_index(
    index: &ImageIndex,
    manifests: &[Descriptor],
    tagged: &BTreeMap<String, Digest>,
    target: &PushTarget<'_>,
) -> Result<Descriptor> {
    let PushTarget {
        client,
        reference,
        options,
        context,
        ..
    } = target;
    let pushed = index.index.with_manifests(manifests.iter());
    // A registry that wants its images in Docker's format wants that of their index, too.
    let is_docker = |image: &Descriptor| image.media_type == media_type::DOCKER_MANIFEST;
    let pushed = if options.format == ManifestFormat::Docker || manifests.iter().all(is_docker) {
        pushed.in_docker_format().ok_or_else(no_docker_format)?
    } else {
        pushed
    };
    let bytes = if pushed == index.index {
        index.index_bytes.clone()
    } else {
        json::to_bytes(&pushed)
    };
    let descriptor = Descriptor::of(&pushed.media_type, &bytes);
    // Whoever watches knows the index's own.
    let shown = &index.descriptor;
    check_reference(reference, &descriptor.digest, &shown.digest)?;
    let mut tags = tags(reference, options);
    if !tags.is_empty() {
        tags.retain(|tag| tagged.get(tag) != Some(&descriptor.digest));
        if tags.is_empty() {
            context.progress.begin(shown);
            context.progress.finish(shown, Outcome::Present);
            return Ok(descriptor);
        }
    }
    let forms = [Form { descriptor, bytes }];
    let form = put_document(client, &tags, &forms, shown, *context)?;
    Ok(form.descriptor.clone())
}

/// Refuses a digest that the index cannot have, where that is known before anything is sent.
fn check_early(index: &ImageIndex, reference: &Reference, options: &PushOptions) -> Result<()> {
    let own = &index.descriptor.digest;
    let mut images = index.images.iter();
    if images.all(|image| stays_as_it_is(image, options)) {
        check_reference(reference, own, own)?;
    }
    Ok(())
}

fn platforms(index: &ImageIndex) -> Vec<Platform> {
    let images = index.images.iter();
    images.map(|image| image.config.platform()).collect()
}

/// What is known of the images without asking anybody.
fn draft<'a>(
    index: &'a ImageIndex,
    platforms: &'a [Platform],
    target: &PushTarget<'_>,
) -> Result<Vec<PushPlan<'a>>> {
    check_early(index, target.reference, target.options)?;
    let images = index.images.iter().map(|image| ImagePush {
        image,
        as_it_is: target.reference.digest == Some(index.descriptor.digest),
        is_named: false,
        platforms,
    });
    images
        .map(|image| PushPlan::draft(target, &image))
        .collect()
}
