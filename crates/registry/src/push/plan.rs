//! What a push does for an image, decided before anything of it is sent: its blobs, what they may be
//! called in the registry, its tags, and whether these may be written.

use std::collections::BTreeMap;

use crate::auth::Purpose;
use crate::client::Client;
use crate::options::Options;
use crate::push::blob_upload::{BlobUpload, stays_as_it_is, warning_about_compressed};
use crate::push::cache::Cache;
use crate::push::discover::{Discovery, Wanted};
use crate::push::options::{ManifestFormat, PushOptions, tags};
use strata_error::{Error, Result};
use strata_image::Image;
use strata_oci::{Descriptor, Digest, Platform, Reference};
use strata_progress::Context;

/// The annotation that names the base image (OCI image specification, annotations.md).
const BASE_NAME: &str = "org.opencontainers.image.base.name";

/// A repository that is written to, and how.
pub(super) struct PushTarget<'a> {
    pub(super) client: Client,
    pub(super) reference: &'a Reference,
    client_options: &'a Options,
    pub(super) options: &'a PushOptions,
    pub(super) context: Context<'a>,
}

impl<'a> PushTarget<'a> {
    /// Reaches the registry, and logs in if it asks for that.
    pub(super) fn connect(
        reference: &'a Reference,
        client_options: &'a Options,
        options: &'a PushOptions,
        context: Context<'a>,
    ) -> Result<Self> {
        Ok(Self {
            client: Client::connect(reference, Purpose::Push, client_options, context)?,
            reference,
            client_options,
            options,
            context,
        })
    }

    /// Does `work` while the user's interruptions are heard.
    pub(super) fn watch<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.client.watch(self.context, work)
    }
}

/// What layers that were compressed are called, by their diff IDs.
pub(super) type LayerNames = BTreeMap<Digest, Descriptor>;

/// An image that is pushed, alone or with others.
pub(super) struct ImagePush<'a> {
    /// The image.
    pub(super) image: &'a Image,
    /// Whether it goes as it is, without being compressed.
    pub(super) as_it_is: bool,
    /// Whether the manifest gets the tags; else it is known by its digest only.
    pub(super) is_named: bool,
    /// Every platform that the tags will have, if they will be an index.
    pub(super) platforms: &'a [Platform],
    /// What layers that are compressed were called before, by their diff IDs.
    pub(super) known: LayerNames,
}

impl<'a> ImagePush<'a> {
    /// An image that is all that is pushed.
    pub(super) fn alone(image: &'a Image, reference: &Reference) -> Self {
        Self {
            image,
            as_it_is: reference.digest == Some(image.manifest_descriptor.digest),
            is_named: true,
            platforms: &[],
            known: LayerNames::new(),
        }
    }
}

/// What a push does for an image. What there is to do for each of its blobs is asked when it is its turn
/// (resolve.rs), so that the first is sent before the last is asked for.
pub(super) struct PushPlan<'a> {
    /// The image.
    pub(super) image: &'a Image,
    /// The blobs that the registry must have, the largest first.
    pub(super) blobs: Vec<BlobUpload<'a>>,
    /// The tags of the reference and the options, the most important first.
    pub(super) tags: Vec<String>,
    /// Whether the manifest gets them; else it is known by its digest only.
    pub(super) is_named: bool,
    /// Other repositories of the registry that layers may be mounted from.
    pub(super) mount_from: Vec<String>,
    /// What remembers what compressed layers are called.
    pub(super) cache: Option<Cache>,
    /// What the user should know.
    pub(super) warnings: Vec<String>,
}

impl<'a> PushPlan<'a> {
    /// Asks registries what they know of the image's layers, and refuses what may not be pushed.
    pub(super) fn resolve(target: &PushTarget<'_>, push: &ImagePush<'a>) -> Result<Self> {
        let PushTarget {
            client,
            reference,
            client_options,
            options,
            context,
        } = target;
        let image = push.image;
        let options = &with_base(options, image, reference);
        if push.is_named && stays_as_it_is(image, options) {
            let own = &image.manifest_descriptor.digest;
            check_reference(reference, own, own)?;
        }
        let mut blobs = BlobUpload::all(image, push.as_it_is, options);
        let is_docker = options.format == ManifestFormat::Docker;
        if is_docker && blobs.iter().any(BlobUpload::has_no_docker_name) {
            return Err(no_docker_format());
        }
        let tags = tags(reference, options);
        let platform = image.config.platform();
        let wanted = Wanted {
            platform: &platform,
            names: blobs.iter().any(|blob| blob.source.known().is_none()),
        };
        let mut discovery =
            Discovery::discover(client, &tags, client_options, options, wanted, *context)?;
        if !options.overwrite_index {
            check_indexes(client, &discovery, &platform, push.platforms)?;
        }
        for (diff_id, blob) in &push.known {
            discovery.blobs.add_known(*diff_id, blob.clone());
        }
        let cache = options.cache.as_deref().map(Cache::new);
        // It is written, but not believed.
        let believed = cache.as_ref().filter(|_| !options.no_reuse);
        find_candidates(&mut blobs, &discovery, believed);
        if !options.no_reuse && knows_little(&blobs) {
            discovery.add_other_tags(client, &tags, options, wanted, *context)?;
            find_candidates(&mut blobs, &discovery, believed);
        }
        let mut warnings = discovery.warnings;
        warnings.extend(warning_about_compressed(image, options));
        Ok(Self {
            image,
            blobs,
            tags,
            is_named: push.is_named,
            mount_from: options.mount_from.clone(),
            cache,
            warnings,
        })
    }
}

/// That Docker's format cannot say what an image holds.
pub fn no_docker_format() -> Error {
    Error::Name {
        what: "format",
        value: "docker".to_owned(),
        message: "Docker's manifests hold layers that are plain or in gzip, and no others".to_owned(),
        hint: "leave out compression = \"zstd\" of the image or --compression=zstd, or push it with --format oci"
            .to_owned(),
    }
}

/// Finds out what the blobs may be called for which nothing was found yet.
fn find_candidates(blobs: &mut [BlobUpload<'_>], discovery: &Discovery, cache: Option<&Cache>) {
    for blob in blobs.iter_mut().filter(|blob| blob.candidates.is_empty()) {
        blob.find_candidates(&discovery.blobs, cache);
    }
}

/// Whether most of what is to be compressed, by its bytes, is nowhere by any name. Where most of it is,
/// the rest is new, and asking more places would cost time at every push.
fn knows_little(blobs: &[BlobUpload<'_>]) -> bool {
    let made = blobs.iter().filter(|blob| blob.source.known().is_none());
    let (mut unknown, mut known) = (0_u64, 0_u64);
    for blob in made {
        let bytes = if blob.candidates.is_empty() {
            &mut unknown
        } else {
            &mut known
        };
        *bytes = bytes.saturating_add(blob.source.descriptor().size);
    }
    unknown > known
}

/// The options with the repository that the image's base comes from, if it is in the same registry: it
/// is likely to have the base's layers still.
fn with_base(options: &PushOptions, image: &Image, reference: &Reference) -> PushOptions {
    let mut options = options.clone();
    let base = image.manifest.annotations.get(BASE_NAME);
    let base = base.and_then(|name| Reference::parse(name).ok());
    if let Some(base) = base.filter(|base| base.registry == reference.registry)
        && !options.mount_from.contains(&base.repository)
    {
        options.mount_from.push(base.repository);
    }
    options
}

/// A reference with a digest can only mean one image: this one has `digest`, or `own` if its layers are not
/// compressed on the way.
pub(super) fn check_reference(reference: &Reference, digest: &Digest, own: &Digest) -> Result<()> {
    if reference.digest.is_none_or(|wanted| wanted == *digest) {
        return Ok(());
    }
    let compressed = if digest == own {
        String::new()
    } else {
        format!(", and {digest} with its layers compressed")
    };
    let right = Reference {
        digest: Some(*own),
        ..reference.clone()
    };
    Err(Error::Name {
        what: "target",
        value: reference.to_string(),
        message: format!("the image's digest is {own}{compressed}"),
        hint: format!("leave the digest out, or push the image as it is to {right}"),
    })
}

/// Images for other platforms must not disappear unasked.
fn check_indexes(
    client: &Client,
    discovery: &Discovery,
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
    for (tag, platforms) in &discovery.indexes {
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
