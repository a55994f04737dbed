//! Discovers what registries call layers when they are compressed, and where blobs can be mounted from.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::Read;
use std::thread;

use crate::ask::Ask;
use crate::auth::Purpose;
use crate::client::Client;
use crate::options::Options;
use crate::push::blob_index::{BlobIndex, diff_ids, pair, reusable};
use crate::push::options::PushOptions;
use strata_error::{Error, Result};
use strata_exchange::{Failure, RegistryError};
use strata_oci::media_type::DOCUMENTS;
use strata_oci::{Descriptor, Digest, Document, IndexEntry, Platform, Reference};
use strata_progress::Context;

/// The most documents that are read of one name: an index may lead to others.
const MOST_DOCUMENTS: usize = 8;
/// The most tags that are asked without being named.
const MOST_OTHER_TAGS: usize = 3;
/// The tag that is asked besides those that are written.
pub(super) const LATEST: &str = "latest";
/// The largest config that is read, in bytes.
const LARGEST_CONFIG: u64 = 4 << 20;

/// What registries say.
#[derive(Default)]
pub(super) struct Discovery {
    /// What their blobs may be.
    pub(super) blobs: BlobIndex,
    /// The platforms of the indexes under tags that are to be written, as far as they are said.
    pub(super) indexes: Vec<(String, Vec<Option<Platform>>)>,
    /// The manifests and indexes that the repository has.
    pub(super) manifests: BTreeSet<Digest>,
    /// What the tags that are to be written lead to.
    pub(super) tagged: BTreeMap<String, Digest>,
    /// The image that the first of these tags leads to, or the one of it that is for the platform.
    pub(super) older: Option<Older>,
    /// What could not be discovered although it was asked for.
    pub(super) warnings: Vec<String>,
}

/// An image that a tag leads to before it is written.
pub(super) struct Older {
    /// Its name, with the registry.
    pub(super) name: String,
    /// Its layers, as far as they are of a kind that is known.
    pub(super) layers: Vec<Descriptor>,
}

/// A name in a registry.
struct DiscoverySource<'a> {
    client: &'a Client,
    /// A tag or a digest.
    name: String,
    /// The repository to mount from, if it is another one of the registry.
    repository: Option<String>,
    /// Whether it is in the repository that is pushed to.
    is_own: bool,
    /// Whether the image will be written there.
    is_target: bool,
    /// Whether the user named it to be asked.
    is_asked_for: bool,
}

/// What one source says.
#[derive(Default)]
struct Discovered {
    /// The digests of the manifests and indexes, the one with the source's name first.
    manifests: Vec<Digest>,
    /// The layers of the manifests, and which diff ID each has as far as that is known.
    layers: Vec<Descriptor>,
    pairs: Vec<(Digest, Descriptor)>,
    /// The platforms, if it is an index.
    platforms: Option<Vec<Option<Platform>>>,
}

/// Which platform is wanted, and whether the names of layers are.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// What the image is for.
    pub(super) platform: &'a Platform,
    /// Whether a layer will be compressed whose name is not known.
    pub(super) names: bool,
    /// The digest and the bytes of the config of the image, which need not be fetched.
    pub(super) config: (&'a Digest, &'a [u8]),
}

impl Discovery {
    /// What the image will be written under, for [`Self::discover`].
    pub(super) fn names(reference: &Reference, tags: &[String]) -> Vec<String> {
        match reference.digest {
            Some(digest) if tags.is_empty() => vec![digest.to_string()],
            _ => tags.to_vec(),
        }
    }

    /// Asks everybody at once. `names` are those that the image will be written under. Only an
    /// interruption is an error: what cannot be discovered is done without.
    pub(super) fn discover(
        client: &Client,
        names: &[String],
        client_options: &Options,
        options: &PushOptions,
        wanted: Wanted<'_>,
        context: Context<'_>,
    ) -> Result<Self> {
        let mut discovery = Self::default();
        let others = connect(
            client,
            client_options,
            options,
            context,
            &mut discovery.warnings,
        )?;
        let mut sources: Vec<DiscoverySource<'_>> = names
            .iter()
            .map(|name| DiscoverySource::own(client, name, true))
            .collect();
        if wanted.names && !options.no_reuse && !names.iter().any(|name| name == LATEST) {
            sources.push(DiscoverySource::own(client, LATEST, false));
        }
        sources.extend(others.iter().map(|(reference, other)| {
            DiscoverySource {
                client: other,
                name: name(reference),
                repository: (is_same_registry(other, client)
                    && other.repository != client.repository)
                    .then(|| other.repository.clone()),
                is_own: false,
                is_target: false,
                is_asked_for: true,
            }
        }));
        discovery.ask(&sources, options, wanted, context)?;
        Ok(discovery)
    }

    /// Lists the other tags of the repository, and asks the last few: where names or dates grow,
    /// those are the newest, and else any image shares layers with this one. That a registry has no list,
    /// or keeps it to itself, is nobody's problem. `tags` are those that were asked before.
    pub(super) fn add_other_tags(
        &mut self,
        client: &Client,
        tags: &[String],
        options: &PushOptions,
        wanted: Wanted<'_>,
        context: Context<'_>,
    ) -> Result<()> {
        let listed = client.list_tags();
        context.check()?;
        let mut others = listed.unwrap_or_default();
        others.retain(|tag| tag != LATEST && !tags.contains(tag));
        let last = others.iter().rev().take(MOST_OTHER_TAGS);
        let sources: Vec<DiscoverySource<'_>> = last
            .map(|tag| DiscoverySource::own(client, tag, false))
            .collect();
        self.ask(&sources, options, wanted, context)
    }

    /// Asks all of `sources` at once.
    fn ask(
        &mut self,
        sources: &[DiscoverySource<'_>],
        options: &PushOptions,
        wanted: Wanted<'_>,
        context: Context<'_>,
    ) -> Result<()> {
        let all = thread::scope(|scope| {
            let asked: Vec<_> = sources
                .iter()
                .map(|source| scope.spawn(move || source.ask(wanted, context)))
                .collect();
            let discovered = |thread: thread::ScopedJoinHandle<'_, _>| {
                let nothing = (Discovered::default(), Err(Error::Interrupted));
                thread.join().unwrap_or(nothing)
            };
            asked.into_iter().map(discovered).collect::<Vec<_>>()
        });
        for (source, (discovered, ended)) in sources.iter().zip(all) {
            // What was read before a failure is as good as the rest.
            self.add(source, discovered, options);
            match ended {
                Err(Error::Interrupted) => return Err(Error::Interrupted),
                Err(error) if source.is_asked_for => {
                    self.warnings.push(format!("nothing is reused: {error}"));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    fn add(&mut self, source: &DiscoverySource<'_>, found: Discovered, options: &PushOptions) {
        if let Some(platforms) = found.platforms.filter(|_| source.is_target) {
            self.indexes.push((source.name.clone(), platforms));
        }
        if let Some(first) = found.manifests.first()
            && source.is_target
        {
            self.tagged.insert(source.name.clone(), *first);
        }
        if source.is_target && self.older.is_none() && !found.layers.is_empty() {
            self.older = Some(Older {
                name: source.shown(),
                layers: found.layers.clone(),
            });
        }
        if source.is_own {
            self.manifests.extend(found.manifests);
        }
        if options.no_reuse {
            return;
        }
        if let Some(repository) = &source.repository {
            for layer in found.layers {
                self.blobs.add_repository(layer.digest, repository.clone());
            }
        }
        for (diff_id, blob) in found.pairs {
            let repository = source.repository.as_ref();
            self.blobs.add(diff_id, blob, source.shown(), repository);
        }
    }
}

fn is_same_registry(one: &Client, other: &Client) -> bool {
    one.base() == other.base()
}

/// Clients for `--reuse-from`. What is meant for the target does not go to other registries.
fn connect(
    client: &Client,
    client_options: &Options,
    options: &PushOptions,
    context: Context<'_>,
    warnings: &mut Vec<String>,
) -> Result<Vec<(Reference, Client)>> {
    let mut clients = Vec::new();
    for reference in &options.reuse_from {
        let is_here = client.name.starts_with(&format!("{}/", reference.registry));
        let elsewhere = Options {
            tls_verify: None,
            credentials: None,
            certificate_directory: None,
            ..client_options.clone()
        };
        let client_options = if is_here { client_options } else { &elsewhere };
        let first = Ask::manifest(&name(reference), &DOCUMENTS);
        let other = Client::new(reference, Purpose::Pull, client_options, context)
            .and_then(|other| other.connect(first, Vec::new(), context));
        match other {
            Ok(other) => clients.push((reference.clone(), other)),
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            Err(error) => warnings.push(format!("nothing is reused from {reference}: {error}")),
        }
    }
    Ok(clients)
}

/// What a reference names in its repository.
fn name(reference: &Reference) -> String {
    match (&reference.tag, &reference.digest) {
        (_, Some(digest)) => digest.to_string(),
        _ => reference.tag_or_latest().to_owned(),
    }
}

impl<'a> DiscoverySource<'a> {
    /// A tag of the repository that is pushed to.
    fn own(client: &'a Client, tag: &str, is_target: bool) -> Self {
        Self {
            client,
            name: tag.to_owned(),
            repository: None,
            is_own: true,
            is_target,
            is_asked_for: false,
        }
    }

    fn shown(&self) -> String {
        let separator = if self.name.contains(':') { '@' } else { ':' };
        format!("{}{separator}{}", self.client.name, self.name)
    }

    /// What the source says, as far as it could be read.
    fn ask(&self, wanted: Wanted<'_>, context: Context<'_>) -> (Discovered, Result<()>) {
        let mut discovered = Discovered::default();
        let mut read = || self.read(wanted, context, &mut discovered);
        // The target's own client is watched already, for as long as the push takes.
        let ended = if self.is_asked_for {
            self.client.watch(context, read)
        } else {
            read()
        };
        (discovered, ended)
    }

    fn read(
        &self,
        wanted: Wanted<'_>,
        context: Context<'_>,
        discovered: &mut Discovered,
    ) -> Result<()> {
        let mut names = VecDeque::from([self.name.clone()]);
        for number in 0..MOST_DOCUMENTS {
            let Some(name) = names.pop_front() else {
                break;
            };
            let found = self.retry(context, || self.client.manifest(&name, &DOCUMENTS))?;
            discovered
                .manifests
                .extend(found.as_ref().map(|found| found.digest));
            let document = found.and_then(|found| Document::parse(&found.bytes).ok());
            match document.map(|(_, document)| document) {
                Some(Document::Index(mut entries)) => {
                    entries.retain(|entry| !entry.is_attestation());
                    if number == 0 {
                        let platforms = entries.iter().map(IndexEntry::platform);
                        discovered.platforms = Some(platforms.collect());
                    }
                    let ours = entries.into_iter().filter(|entry| {
                        let platform = entry.platform();
                        platform.is_none_or(|platform| platform.fits(wanted.platform))
                    });
                    names.extend(ours.map(|entry| entry.digest.to_string()));
                }
                Some(Document::Image { config, layers }) => {
                    let layers: Vec<_> = layers.iter().map(reusable).collect();
                    discovered.layers.extend(layers.iter().flatten().cloned());
                    let (own, bytes) = wanted.config;
                    if config.digest == *own {
                        let diff_ids = diff_ids(bytes).unwrap_or_default();
                        discovered.pairs.extend(pair(diff_ids, layers));
                    } else if wanted.names && config.size <= LARGEST_CONFIG {
                        let bytes = self.retry(context, || self.document(&config))?;
                        let diff_ids = diff_ids(&bytes).unwrap_or_default();
                        discovered.pairs.extend(pair(diff_ids, layers));
                    }
                }
                None if number == 0 && self.is_asked_for => {
                    return Err(Error::Registry {
                        operation: format!("cannot read {}", self.shown()),
                        message: "there is no image".to_owned(),
                        codes: Vec::new(),
                        hint: String::new(),
                    });
                }
                None => {}
            }
        }
        Ok(())
    }

    fn document(&self, descriptor: &Descriptor) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        self.client
            .blob(descriptor)?
            .read_to_end(&mut bytes)
            .map_err(|error| RegistryError::temporary(format!("cannot be read: {error}"), ""))?;
        Ok(bytes)
    }

    fn retry<T>(
        &self,
        context: Context<'_>,
        attempt: impl FnMut() -> Result<T, Failure>,
    ) -> Result<T> {
        let operation = format!("cannot read {}", self.shown());
        self.client.retry(&operation, context.cancel, attempt)
    }
}
