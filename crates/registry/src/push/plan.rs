//! What a push does for an image, decided before anything of it is sent: its blobs, what they may be
//! called in the registry, its tags, and whether these may be written.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use ureq::http::StatusCode;

use crate::ask::Ask;
use crate::auth::Purpose;
use crate::client::Client;
use crate::options::Options;
use crate::push::blob_index::BlobCandidate;
use crate::push::blob_upload::{
    BlobUpload, ResolvedBlob, present, stays_as_it_is, warning_about_compressed,
};
use crate::push::discover::{Discovery, LATEST, Older, Wanted};
use crate::push::forms::{Form, forms, no_docker_format};
use crate::push::options::{ManifestFormat, PushOptions, tags};
use strata_copy::cache::Cache;
use strata_error::{Error, Result};
use strata_exchange::Response;
use strata_image::Image;
use strata_oci::{Compression, Descriptor, Digest, Document, Platform, Reference, media_type};
use strata_progress::Context;

/// The annotation that names the base image (OCI image specification, annotations.md).
const BASE_NAME: &str = "org.opencontainers.image.base.name";

/// The most repositories that blobs are mounted from without being named: the token has to name each.
const MOST_REMEMBERED: usize = 4;

/// A repository that is written to, and how.
pub(super) struct PushTarget<'a> {
    pub(super) client: Client,
    pub(super) reference: &'a Reference,
    client_options: &'a Options,
    pub(super) options: &'a PushOptions,
    pub(super) context: Context<'a>,
    /// What this user pushed before.
    pub(super) cache: Option<Cache>,
}

impl<'a> PushTarget<'a> {
    /// Finds out what to log in with; nothing is asked yet.
    pub(super) fn new(
        reference: &'a Reference,
        client_options: &'a Options,
        options: &'a PushOptions,
        context: Context<'a>,
    ) -> Result<Self> {
        let client = Client::new(reference, Purpose::Push, client_options, context)?;
        let user = client.authorizer.user();
        let cache = options.cache.as_deref();
        Ok(Self {
            cache: cache.map(|cache| Cache::new(cache, &reference.registry, &user)),
            client,
            reference,
            client_options,
            options,
            context,
        })
    }

    /// Reaches the registry, with all that there is to ask for `plans` and that does not depend on an answer.
    pub(super) fn connect(self, plans: &[PushPlan<'_>]) -> Result<Self> {
        let reused = self.options.reuse_from.iter();
        let reused = reused.filter(|other| other.registry == self.reference.registry);
        let sources = plans.iter().flat_map(PushPlan::sources);
        self.client.authorizer.mounts_from(
            reused
                .map(|other| other.repository.clone())
                .chain(sources.cloned()),
        );
        let mut names = tags(self.reference, self.options);
        if let Some(digest) = self.reference.digest.filter(|_| names.is_empty()) {
            names.push(digest.to_string());
        }
        let mut names = names
            .iter()
            .map(|name| Ask::manifest(name, &media_type::DOCUMENTS));
        let latest = || Ask::manifest(LATEST, &media_type::DOCUMENTS);
        let first = names.next().unwrap_or_else(latest);
        let others = names.chain(plans.iter().flat_map(|plan| plan.asks(self.options)));
        let client = self.client.connect(first, others.collect(), self.context)?;
        Ok(Self { client, ..self })
    }

    /// Does `work` while the user's interruptions are heard.
    pub(super) fn watch<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.client.watch(self.context, work)
    }

    /// The forms that the manifest of an image can be pushed in, see [`forms()`].
    pub(super) fn forms(
        &self,
        image: &Image,
        names: &BTreeMap<Digest, &Descriptor>,
    ) -> Result<Vec<Form>> {
        let Self {
            reference, options, ..
        } = self;
        let keeps_digest =
            reference.digest.is_some() || options.compression == Some(Compression::None);
        forms(image, names, options.format, keeps_digest)
    }

    /// The cache, unless it is not to be believed; it is written all the same.
    fn believed_cache(&self) -> Option<&Cache> {
        self.cache.as_ref().filter(|_| !self.options.no_reuse)
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
}

impl<'a> ImagePush<'a> {
    /// An image that is all that is pushed.
    pub(super) fn alone(image: &'a Image, reference: &Reference) -> Self {
        Self {
            image,
            as_it_is: reference.digest == Some(image.manifest_descriptor.digest),
            is_named: true,
            platforms: &[],
        }
    }
}

/// What a push does for an image. What there is to do for each of its blobs is asked when it is its turn
/// (resolve.rs), so that the first is sent before the last is asked for.
pub(super) struct PushPlan<'a> {
    /// The image.
    pub(super) image: &'a Image,
    /// The blobs that the registry must have: those without any name first, of those the largest first.
    pub(super) blobs: Vec<BlobUpload<'a>>,
    /// The tags of the reference and the options, the most important first.
    pub(super) tags: Vec<String>,
    /// Whether the manifest gets them; else it is known by its digest only.
    pub(super) is_named: bool,
    /// Every platform that the tags will have, if they will be an index.
    platforms: &'a [Platform],
    /// The repository of the registry that has each blob, as this user put it there; by their digests in the
    /// registry.
    pub(super) remembered: BTreeMap<Digest, String>,
    /// Other repositories of the registry that layers may be mounted from, as the user says.
    pub(super) mount_from: Vec<String>,
    /// The one of the base, which is likely to have its layers still.
    pub(super) base: Option<String>,
    /// The manifest, if each name of its layers is known before anything is asked.
    own: Option<Descriptor>,
    /// What the tags lead to now.
    pub(super) tagged: BTreeMap<String, Digest>,
    /// The image that the first of them leads to now.
    pub(super) older: Option<Older>,
    /// If the registry has the manifest already.
    pub(super) there: Option<There>,
    /// What the user should know.
    pub(super) warnings: Vec<String>,
}

/// A manifest that the registry has by its digest, and so all that it names.
pub(super) struct There {
    /// What each blob is called, in the order of the plan.
    pub(super) blobs: Vec<ResolvedBlob>,
    /// The tags that do not lead to it yet.
    pub(super) tags: Vec<String>,
}

impl<'a> PushPlan<'a> {
    /// What is known without asking anybody. Refuses what may not be pushed.
    pub(super) fn draft(target: &PushTarget<'_>, push: &ImagePush<'a>) -> Result<Self> {
        let PushTarget {
            client,
            reference,
            options,
            ..
        } = target;
        let image = push.image;
        if push.is_named && stays_as_it_is(image, options) {
            let own = &image.manifest_descriptor.digest;
            check_reference(reference, own, own)?;
        }
        let cache = target.believed_cache();
        let blobs = BlobUpload::all(image, push.as_it_is, options, cache);
        let is_docker = options.format == ManifestFormat::Docker;
        if is_docker && blobs.iter().any(BlobUpload::has_no_docker_name) {
            return Err(no_docker_format());
        }
        let mut plan = Self {
            image,
            tags: tags(reference, options),
            is_named: push.is_named,
            platforms: push.platforms,
            remembered: remembered(&blobs, target.cache.as_ref(), &client.repository),
            mount_from: options.mount_from.clone(),
            base: base_repository(image, reference),
            own: None,
            tagged: BTreeMap::new(),
            older: None,
            there: None,
            warnings: warning_about_compressed(image, options)
                .into_iter()
                .collect(),
            blobs,
        };
        let own = plan.form(target)?;
        plan.own = own.map(|form| form.descriptor);
        Ok(plan)
    }

    /// The repositories that blobs may be mounted from.
    fn sources(&self) -> impl Iterator<Item = &String> {
        let others = self.mount_from.iter().chain(&self.base);
        self.remembered.values().chain(others)
    }

    /// What can be asked before anything is known.
    fn asks(&self, options: &PushOptions) -> Vec<Ask> {
        let own = self.own.as_ref();
        let own = own.map(|own| Ask::has_manifest(&own.digest, &own.media_type));
        let config = Ask::has_blob(&self.image.manifest.config.digest);
        let is_learned = self.lacks_names() && !options.no_reuse;
        let is_asked = is_learned && !self.tags.iter().any(|tag| tag == LATEST);
        let latest = is_asked.then(|| Ask::manifest(LATEST, &media_type::DOCUMENTS));
        [config].into_iter().chain(own).chain(latest).collect()
    }

    /// Whether a layer will be compressed whose name is not known.
    fn lacks_names(&self) -> bool {
        self.blobs.iter().any(|blob| blob.candidates.is_empty())
    }

    /// How many uploads will be needed, as far as that is likely before any layer is looked for: for the config
    /// if it is not there, and then for a layer whose name nobody knew and that nobody else may give. None
    /// where a tag leads to what may not be replaced.
    pub(super) fn uploads_ahead(&self, target: &PushTarget<'_>) -> usize {
        let is_missing = |response: &Response| response.status == StatusCode::NOT_FOUND;
        let is_free = |response: &Response| {
            let document = || Document::parse(&response.body);
            is_missing(response) || matches!(document(), Ok((_, Document::Image { .. })))
        };
        let client = &target.client;
        let mut tags = self.tags.iter();
        let are_free = tags.all(|tag| {
            let ask = Ask::manifest(tag, &media_type::DOCUMENTS);
            client.answered(&ask, is_free).unwrap_or_default()
        });
        let config = self.image.manifest.config.digest;
        let lacks_config = client.answered(&Ask::has_blob(&config), is_missing);
        if !are_free || lacks_config != Some(true) || self.remembered.contains_key(&config) {
            return 0;
        }
        let may_be_mounted = !target.options.reuse_from.is_empty() || self.sources().count() > 0;
        1 + usize::from(self.lacks_names() && !may_be_mounted)
    }

    /// Asks registries what they know of the image's layers, beside what is `known` of them already.
    pub(super) fn resolve(mut self, target: &PushTarget<'_>, known: &LayerNames) -> Result<Self> {
        let PushTarget {
            client,
            client_options,
            options,
            context,
            ..
        } = target;
        let platform = self.image.config.platform();
        let wanted = Wanted {
            platform: &platform,
            names: self.lacks_names(),
            config: (&self.image.manifest.config.digest, &self.image.config_bytes),
        };
        let names = Discovery::names(target.reference, &self.tags);
        let mut discovery =
            Discovery::discover(client, &names, client_options, options, wanted, *context)?;
        if !options.overwrite_index {
            check_indexes(client, &discovery, &platform, self.platforms)?;
        }
        for (diff_id, blob) in known {
            discovery.blobs.add_known(*diff_id, blob.clone());
        }
        for blob in &mut self.blobs {
            blob.find_candidates(&discovery.blobs);
        }
        if !options.no_reuse && knows_little(&self.blobs) {
            discovery.add_other_tags(client, &self.tags, options, wanted, *context)?;
            let unknown = self.blobs.iter_mut();
            for blob in unknown.filter(|blob| blob.candidates.is_empty()) {
                blob.find_candidates(&discovery.blobs);
            }
        }
        // What has to be sent for certain begins before anything more is asked.
        self.blobs.sort_by_key(|blob| !blob.candidates.is_empty());
        self.there = self.there(target, &discovery)?;
        self.tagged = discovery.tagged;
        self.older = discovery.older;
        self.warnings.extend(discovery.warnings);
        Ok(self)
    }

    /// If the registry has the manifest by its digest, it says that it has everything of it
    /// (go-containerregistry takes it so, too).
    fn there(&self, target: &PushTarget<'_>, discovery: &Discovery) -> Result<Option<There>> {
        let candidates = || self.blobs.iter().filter_map(|blob| blob.candidates.first());
        let Some(form) = self.form(target)? else {
            return Ok(None);
        };
        let digest = form.descriptor.digest;
        let is_own = self.own.as_ref().is_some_and(|own| own.digest == digest);
        let is_there = discovery.manifests.contains(&digest)
            || (is_own && target.client.has_manifest(&form.descriptor));
        let is_believed =
            |candidate: &BlobCandidate| candidate.is_cached || candidate.origin.is_some();
        if !is_there || (target.options.verify_reused && candidates().any(is_believed)) {
            return Ok(None);
        }
        let leads_there = |tag: &&String| discovery.tagged.get(*tag) == Some(&digest);
        let tags = self.tags.iter().filter(|tag| !leads_there(tag));
        Ok(Some(There {
            blobs: candidates().map(present).collect(),
            tags: tags.filter(|_| self.is_named).cloned().collect(),
        }))
    }

    /// The manifest in its best form, if each name of its layers is known.
    fn form(&self, target: &PushTarget<'_>) -> Result<Option<Form>> {
        let mut names = BTreeMap::new();
        for blob in &self.blobs {
            let Some(candidate) = blob.candidates.first() else {
                return Ok(None);
            };
            names.insert(blob.source.descriptor().digest, &candidate.blob);
        }
        Ok(target.forms(self.image, &names)?.into_iter().next())
    }
}

/// The repositories that this user pushed blobs of these to, by the blobs; few in all, those with the most.
fn remembered(
    blobs: &[BlobUpload<'_>],
    cache: Option<&Cache>,
    own: &str,
) -> BTreeMap<Digest, String> {
    let Some(cache) = cache else {
        return BTreeMap::new();
    };
    let candidates = blobs.iter().flat_map(|blob| &blob.candidates);
    let places: BTreeMap<Digest, Vec<String>> = candidates
        .map(|candidate| {
            let digest = candidate.blob.digest;
            let mut repositories = cache.repositories(&digest);
            repositories.retain(|repository| repository != own);
            (digest, repositories)
        })
        .collect();
    let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
    for repository in places.values().flatten() {
        *counts.entry(repository).or_default() += 1;
    }
    let mut best: Vec<(&String, usize)> = counts.into_iter().collect();
    best.sort_by_key(|(_, count)| Reverse(*count));
    best.truncate(MOST_REMEMBERED);
    let chosen = places.iter().filter_map(|(blob, repositories)| {
        let mut best = best.iter().map(|(repository, _)| *repository);
        let repository = best.find(|repository| repositories.contains(repository))?;
        Some((*blob, repository.clone()))
    });
    chosen.collect()
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

/// The repository that the image's base comes from, if it is in the same registry.
fn base_repository(image: &Image, reference: &Reference) -> Option<String> {
    let name = image.manifest.annotations.get(BASE_NAME)?;
    let base = Reference::parse(name).ok()?;
    (base.registry == reference.registry).then_some(base.repository)
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
