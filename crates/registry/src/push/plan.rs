//! What there is to do for an image, before anything of it is sent: its blobs, what they may be called in
//! the registry, and whether its tags may be written.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::Options;
use crate::client::{Client, Purpose};
use crate::push::blob_upload::{Job, stays_as_it_is, warning_about_compressed};
use crate::push::cache::Cache;
use crate::push::discover::{Knowledge, Wanted};
use crate::push::execute::{Push, PushOptions, check_reference};
use strata_error::{Error, Result};
use strata_image::Image;
use strata_oci::{Descriptor, Digest, Platform, Reference};
use strata_progress::Context;

/// The annotation that names the base image (OCI image specification, annotations.md).
const BASE_NAME: &str = "org.opencontainers.image.base.name";

/// A repository, and how it is written to.
#[derive(Clone, Copy)]
pub(crate) struct Destination<'a> {
    pub(crate) client: &'a Client,
    pub(crate) reference: &'a Reference,
    pub(crate) options: &'a Options,
    pub(crate) what: &'a PushOptions,
    pub(crate) context: Context<'a>,
}

/// An image that is pushed, alone or with others.
pub(crate) struct Part<'a> {
    pub(crate) image: &'a Image,
    /// Whether it goes as it is, without being compressed.
    pub(crate) as_it_is: bool,
    /// Whether the manifest gets the tags; else it is known by its digest only.
    pub(crate) is_named: bool,
    /// Every platform that the tags will have, if they will be an index.
    pub(crate) platforms: &'a [Platform],
    /// What layers that are compressed were called before, by their diff IDs.
    pub(crate) names: BTreeMap<Digest, Descriptor>,
}

impl<'a> Part<'a> {
    /// An image that is all that is pushed.
    pub(crate) fn whole(image: &'a Image, destination: &Destination<'_>) -> Self {
        Self {
            image,
            as_it_is: destination.reference.digest == Some(image.manifest_descriptor.digest),
            is_named: true,
            platforms: &[],
            names: BTreeMap::new(),
        }
    }
}

/// Does `work` with a repository while the user's interruptions are heard.
pub(crate) fn connected<T>(
    reference: &Reference,
    options: &Options,
    what: &PushOptions,
    context: Context<'_>,
    work: impl FnOnce(&Destination<'_>) -> Result<T>,
) -> Result<T> {
    let client = Client::connect(reference, Purpose::Push, options, context)?;
    let destination = Destination {
        client: &client,
        reference,
        options,
        what,
        context,
    };
    client.watch(context, || work(&destination))
}

/// Whether most of what is to be compressed, by its bytes, is nowhere by any name. Where most of it is,
/// the rest is new, and asking more places would cost time at every push.
fn knows_little(jobs: &[Job<'_>]) -> bool {
    let made = jobs.iter().filter(|job| job.content.known().is_none());
    let (mut unknown, mut known) = (0_u64, 0_u64);
    for job in made {
        let bytes = if job.candidates.is_empty() {
            &mut unknown
        } else {
            &mut known
        };
        *bytes = bytes.saturating_add(job.content.source().size);
    }
    unknown > known
}

/// Does `work` for a part, when it is known what there is to do. Uploads that are open then are
/// cancelled.
pub(crate) fn prepare<T>(
    destination: &Destination<'_>,
    part: &Part<'_>,
    work: impl FnOnce(&Push<'_>, &[Job<'_>]) -> Result<T>,
) -> Result<T> {
    let Destination {
        client,
        reference,
        options,
        what,
        context,
    } = *destination;
    let image = part.image;
    let what = &with_base(what, image, reference);
    if part.is_named && stays_as_it_is(image, what) {
        let own = &image.manifest_descriptor.digest;
        check_reference(reference, own, own)?;
    }
    let mut jobs = Job::all(image, part.as_it_is, what);
    let tags = tags(reference, what);
    let platform = image.config.platform();
    let wanted = Wanted {
        platform: &platform,
        names: jobs.iter().any(|job| job.content.known().is_none()),
    };
    let mut knowledge = Knowledge::gather(client, &tags, options, what, wanted, context)?;
    if !what.overwrite_index {
        check_indexes(client, &knowledge, &platform, part.platforms)?;
    }
    for (diff_id, blob) in &part.names {
        let candidate = knowledge.candidate(blob.clone());
        let names = knowledge.names.entry(*diff_id).or_default();
        names.insert(0, candidate);
    }
    let cache = what.cache.as_deref().map(Cache::new);
    let mut consider = |knowledge: &Knowledge| {
        for job in jobs.iter_mut().filter(|job| job.candidates.is_empty()) {
            job.consider(knowledge, cache.as_ref());
        }
        knows_little(&jobs)
    };
    if consider(&knowledge) && !what.no_reuse {
        knowledge.gather_from_others(client, &tags, what, wanted, context)?;
        consider(&knowledge);
    }
    knowledge
        .warnings
        .extend(warning_about_compressed(image, what));
    let push = Push {
        image,
        client,
        reference,
        is_named: part.is_named,
        tags,
        what,
        cache,
        warnings: Mutex::new(knowledge.warnings),
        context,
    };
    let result = work(&push, &jobs);
    for location in jobs.iter().filter_map(Job::take_opened) {
        client.cancel(&location);
    }
    result
}

/// The same, with the repository that the image's base comes from, if it is in the same registry: it
/// is likely to have the base's layers still.
fn with_base(what: &PushOptions, image: &Image, reference: &Reference) -> PushOptions {
    let mut what = what.clone();
    let base = image.manifest.annotations.get(BASE_NAME);
    let base = base.and_then(|name| Reference::parse(name).ok());
    if let Some(base) = base.filter(|base| base.registry == reference.registry)
        && !what.mount_from.contains(&base.repository)
    {
        what.mount_from.push(base.repository);
    }
    what
}

/// The tags that the manifest is pushed under, the most important first.
pub fn tags(reference: &Reference, what: &PushOptions) -> Vec<String> {
    let mut tags = Vec::new();
    let own = (reference.tag.is_some() || reference.digest.is_none())
        .then(|| reference.tag_or_latest().to_owned());
    let all = own
        .iter()
        .chain(&what.additional_tags)
        .chain(&what.reuse_tag);
    for tag in all {
        if !tags.contains(tag) {
            tags.push(tag.clone());
        }
    }
    tags
}

/// Images for other platforms must not disappear unasked.
fn check_indexes(
    client: &Client,
    knowledge: &Knowledge,
    platform: &Platform,
    ours: &[Platform],
) -> Result<()> {
    let this = match ours {
        [] => format!("this image is for {platform}"),
        ours => format!("this one of images for {}", list(ours.iter())),
    };
    let is_ours = |other: &Platform| {
        let mut ours = ours.iter().chain([platform]);
        ours.any(|platform| platform.is_same(other))
    };
    for (tag, platforms) in &knowledge.indexes {
        if !platforms
            .iter()
            .all(|other| other.as_ref().is_some_and(is_ours))
        {
            let shown = |other: &Option<Platform>| match other {
                Some(platform) => platform.to_string(),
                None => "unknown".to_owned(),
            };
            return Err(Error::Registry {
                operation: format!("cannot replace {}:{tag}", client.name),
                message: format!(
                    "it is an index of images for {}, and {this}",
                    list(platforms.iter().map(shown))
                ),
                codes: Vec::new(),
                hint: "push to another tag, or replace it with --overwrite-index".to_owned(),
            });
        }
    }
    Ok(())
}

fn list<T: ToString>(items: impl Iterator<Item = T>) -> String {
    items
        .map(|item| item.to_string())
        .collect::<Vec<_>>()
        .join(", ")
}
