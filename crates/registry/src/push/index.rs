//! An index: its images one after the other under their digests, and then the index under its names,
//! so that a name never leads to images that are not there.

use std::collections::BTreeMap;

use crate::Options;
use crate::push::blob_upload::stays_as_it_is;
use crate::push::dry_run::Plan;
use crate::push::execute::{Names, PushOptions, Pushed, check_reference, foresee, put, run};
use crate::push::plan::{Part, connected, prepare, tags};
use strata_error::Result;
use strata_image::ImageIndex;
use strata_oci::{Descriptor, Digest, Platform, Reference, json, media_type};
use strata_progress::Context;

/// Pushes `index` and its images as [`crate::push::execute`] does one. What images share is sent once.
pub fn push_index(
    index: &ImageIndex,
    reference: &Reference,
    options: &Options,
    what: &PushOptions,
    context: Context<'_>,
) -> Result<Pushed> {
    connected(reference, options, what, context, |destination| {
        check_early(index, reference, what)?;
        let mut names = Names::new();
        let (mut manifests, mut warnings) = (Vec::new(), Vec::new());
        let platforms = platforms(index);
        for part in parts(index, reference, &platforms) {
            let part = Part {
                names: names.clone(),
                ..part
            };
            let (pushed, learned) = prepare(destination, &part, run)?;
            names.extend(learned);
            manifests.push(pushed.manifest);
            for warning in pushed.warnings {
                if !warnings.contains(&warning) {
                    warnings.push(warning);
                }
            }
        }
        let pushed = index.index.with_manifests(manifests.iter());
        let bytes = if pushed == index.index {
            index.index_bytes.clone()
        } else {
            json::to_bytes(&pushed)
        };
        let manifest = Descriptor::of(media_type::INDEX, &bytes);
        check_reference(reference, &manifest.digest, &index.descriptor.digest)?;
        let tags = tags(reference, what);
        put(
            destination.client,
            &tags,
            &manifest,
            &bytes,
            &index.descriptor,
            context,
        )?;
        Ok(Pushed { manifest, warnings })
    })
}

/// Says what [`push_index`] would do for each image, and writes nothing.
pub fn plan_index(
    index: &ImageIndex,
    reference: &Reference,
    options: &Options,
    what: &PushOptions,
    context: Context<'_>,
) -> Result<Vec<Plan>> {
    connected(reference, options, what, context, |destination| {
        check_early(index, reference, what)?;
        let platforms = platforms(index);
        parts(index, reference, &platforms)
            .map(|part| prepare(destination, &part, foresee))
            .collect()
    })
}

/// Refuses a digest that the index cannot have, where that is known before anything is sent.
fn check_early(index: &ImageIndex, reference: &Reference, what: &PushOptions) -> Result<()> {
    let own = &index.descriptor.digest;
    let mut images = index.images.iter();
    if images.all(|image| stays_as_it_is(image, what)) {
        check_reference(reference, own, own)?;
    }
    Ok(())
}

fn platforms(index: &ImageIndex) -> Vec<Platform> {
    let images = index.images.iter();
    images.map(|image| image.config.platform()).collect()
}

fn parts<'a>(
    index: &'a ImageIndex,
    reference: &Reference,
    platforms: &'a [Platform],
) -> impl Iterator<Item = Part<'a>> {
    let wanted: Option<Digest> = reference.digest;
    index.images.iter().map(move |image| Part {
        image,
        as_it_is: wanted == Some(index.descriptor.digest),
        is_named: false,
        platforms,
        names: BTreeMap::new(),
    })
}
