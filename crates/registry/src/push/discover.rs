//! Asking registries what layers are called when they are compressed, and where blobs can be mounted
//! from.

use std::collections::{BTreeMap, VecDeque};
use std::io::Read;
use std::thread;

use crate::client::{Client, Failure, Purpose};
use crate::error::Problem;
use crate::push::blob_index::{diff_ids, pair, reusable};
use crate::{Options, PushOptions};
use strata_error::{Error, Result};
use strata_oci::media_type::DOCUMENTS;
use strata_oci::{Descriptor, Digest, Document, IndexEntry, Platform, Reference};
use strata_progress::Context;

/// The most documents that are read of one name: an index may lead to others.
const MOST_DOCUMENTS: usize = 8;
/// The most tags that are learned from without being named.
const MOST_OTHER_TAGS: usize = 3;
/// The tag that is learned from besides those that are written.
const LATEST: &str = "latest";
/// The largest config that is read, in bytes.
const LARGEST_CONFIG: u64 = 4 << 20;

/// A blob that a registry may have, and which layer it may be.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// The blob.
    pub(crate) blob: Descriptor,
    /// Who says so: a name in a registry. `None` if nobody needs to be believed.
    pub(crate) origin: Option<String>,
    /// Repositories of the same registry that have it.
    pub(crate) repositories: Vec<String>,
}

/// What registries say.
#[derive(Default)]
pub(crate) struct Knowledge {
    /// What layers are called when they are compressed, by their diff IDs; the best first.
    pub(crate) names: BTreeMap<Digest, Vec<Candidate>>,
    /// Other repositories of the registry that have a blob.
    pub(crate) repositories: BTreeMap<Digest, Vec<String>>,
    /// The platforms of the indexes under tags that are to be written, as far as they are said.
    pub(crate) indexes: Vec<(String, Vec<Option<Platform>>)>,
    /// What could not be learned although it was asked for.
    pub(crate) warnings: Vec<String>,
}

/// A name in a registry.
struct Place<'a> {
    client: &'a Client,
    /// A tag or a digest.
    name: String,
    /// The repository to mount from, if it is another one of the registry.
    repository: Option<String>,
    /// Whether the image will be written there.
    is_target: bool,
    /// Whether the user named it to be learned from.
    is_asked_for: bool,
}

/// What one place says.
#[derive(Default)]
struct Lesson {
    /// The layers of the manifests, and which diff ID each has as far as that is known.
    layers: Vec<Descriptor>,
    pairs: Vec<(Digest, Descriptor)>,
    /// The platforms, if it is an index.
    platforms: Option<Vec<Option<Platform>>>,
}

/// Which platform is wanted, and whether the names of layers are.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// What the image is for.
    pub(crate) platform: &'a Platform,
    /// Whether a layer will be compressed whose name is not known.
    pub(crate) names: bool,
}

impl Knowledge {
    /// Asks everybody at once. `tags` are those that the image will be written under. Only an
    /// interruption is an error: what cannot be learned is done without.
    pub(crate) fn gather(
        client: &Client,
        tags: &[String],
        options: &Options,
        what: &PushOptions,
        wanted: Wanted<'_>,
        context: Context<'_>,
    ) -> Result<Self> {
        let mut knowledge = Self::default();
        let others = connect(client, options, what, context, &mut knowledge.warnings)?;
        let repositories = others
            .iter()
            .filter(|(_, other)| other.same_registry(client));
        let repositories = repositories.map(|(_, other)| other.repository.clone());
        client.mounts_from(repositories.chain(what.mount_from.iter().cloned()));
        let mut places: Vec<Place<'_>> = tags
            .iter()
            .map(|tag| Place::own(client, tag, true))
            .collect();
        if wanted.names && !what.no_reuse && !tags.iter().any(|tag| tag == LATEST) {
            places.push(Place::own(client, LATEST, false));
        }
        places.extend(others.iter().map(|(reference, other)| {
            Place {
                client: other,
                name: name(reference),
                repository: (other.same_registry(client) && other.repository != client.repository)
                    .then(|| other.repository.clone()),
                is_target: false,
                is_asked_for: true,
            }
        }));
        knowledge.ask(&places, what, wanted, context)?;
        Ok(knowledge)
    }

    /// Asks for other tags of the repository, and learns from the last few: where names or dates grow,
    /// those are the newest, and else any image shares layers with this one. That a registry has no list,
    /// or keeps it to itself, is nobody's problem. `tags` are those that were asked before.
    pub(crate) fn gather_from_others(
        &mut self,
        client: &Client,
        tags: &[String],
        what: &PushOptions,
        wanted: Wanted<'_>,
        context: Context<'_>,
    ) -> Result<()> {
        let listed = client.tags();
        context.check()?;
        let mut others = listed.unwrap_or_default();
        others.retain(|tag| tag != LATEST && !tags.contains(tag));
        let last = others.iter().rev().take(MOST_OTHER_TAGS);
        let places: Vec<Place<'_>> = last.map(|tag| Place::own(client, tag, false)).collect();
        self.ask(&places, what, wanted, context)
    }

    /// Asks all of `places` at once.
    fn ask(
        &mut self,
        places: &[Place<'_>],
        what: &PushOptions,
        wanted: Wanted<'_>,
        context: Context<'_>,
    ) -> Result<()> {
        let lessons = thread::scope(|scope| {
            let asked: Vec<_> = places
                .iter()
                .map(|place| scope.spawn(move || place.ask(wanted, context)))
                .collect();
            let lesson = |thread: thread::ScopedJoinHandle<'_, _>| {
                let nothing = (Lesson::default(), Err(Error::Interrupted));
                thread.join().unwrap_or(nothing)
            };
            asked.into_iter().map(lesson).collect::<Vec<_>>()
        });
        for (place, (lesson, ended)) in places.iter().zip(lessons) {
            // What was read before a failure is as good as the rest.
            self.add(place, lesson, what);
            match ended {
                Err(Error::Interrupted) => return Err(Error::Interrupted),
                Err(error) if place.is_asked_for => {
                    self.warnings.push(format!("nothing is reused: {error}"));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// A blob whose name nobody has to be believed for.
    pub(crate) fn candidate(&self, blob: Descriptor) -> Candidate {
        let repositories = self.repositories.get(&blob.digest);
        Candidate {
            origin: None,
            repositories: repositories.cloned().unwrap_or_default(),
            blob,
        }
    }

    fn add(&mut self, place: &Place<'_>, lesson: Lesson, what: &PushOptions) {
        if let Some(platforms) = lesson.platforms.filter(|_| place.is_target) {
            self.indexes.push((place.name.clone(), platforms));
        }
        if what.no_reuse {
            return;
        }
        if let Some(repository) = &place.repository {
            for layer in lesson.layers {
                let repositories = self.repositories.entry(layer.digest).or_default();
                repositories.push(repository.clone());
            }
        }
        for (diff_id, blob) in lesson.pairs {
            let names = self.names.entry(diff_id).or_default();
            match names
                .iter_mut()
                .find(|known| known.blob.digest == blob.digest)
            {
                Some(known) => known.repositories.extend(place.repository.clone()),
                None => names.push(Candidate {
                    blob,
                    origin: Some(place.shown()),
                    repositories: place.repository.iter().cloned().collect(),
                }),
            }
        }
    }
}

impl Client {
    fn same_registry(&self, other: &Self) -> bool {
        self.base() == other.base()
    }
}

/// Clients for `--reuse-from`. What is meant for the destination does not go to other registries.
fn connect(
    client: &Client,
    options: &Options,
    what: &PushOptions,
    context: Context<'_>,
    warnings: &mut Vec<String>,
) -> Result<Vec<(Reference, Client)>> {
    let mut clients = Vec::new();
    for reference in &what.reuse_from {
        let is_here = client.name.starts_with(&format!("{}/", reference.registry));
        let elsewhere = Options {
            tls_verify: None,
            credentials: None,
            certificate_directory: None,
            ..options.clone()
        };
        let options = if is_here { options } else { &elsewhere };
        match Client::connect(reference, Purpose::Pull, options, context) {
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

impl<'a> Place<'a> {
    /// A tag of the repository that is pushed to.
    fn own(client: &'a Client, tag: &str, is_target: bool) -> Self {
        Self {
            client,
            name: tag.to_owned(),
            repository: None,
            is_target,
            is_asked_for: false,
        }
    }

    fn shown(&self) -> String {
        let separator = if self.name.contains(':') { '@' } else { ':' };
        format!("{}{separator}{}", self.client.name, self.name)
    }

    /// What the place says, as far as it could be read.
    fn ask(&self, wanted: Wanted<'_>, context: Context<'_>) -> (Lesson, Result<()>) {
        let mut lesson = Lesson::default();
        let mut read = || self.read(wanted, context, &mut lesson);
        // The destination's own client is watched already, for as long as the push takes.
        let ended = if self.is_asked_for {
            self.client.watch(context, read)
        } else {
            read()
        };
        (lesson, ended)
    }

    fn read(&self, wanted: Wanted<'_>, context: Context<'_>, lesson: &mut Lesson) -> Result<()> {
        let mut names = VecDeque::from([self.name.clone()]);
        for number in 0..MOST_DOCUMENTS {
            let Some(name) = names.pop_front() else {
                break;
            };
            let found = self.persist(context, || self.client.manifest(&name, &DOCUMENTS))?;
            let document = found.and_then(|found| Document::parse(&found.bytes).ok());
            match document.map(|(_, document)| document) {
                Some(Document::Index(mut entries)) => {
                    entries.retain(|entry| !entry.is_attestation());
                    if number == 0 {
                        let platforms = entries.iter().map(IndexEntry::platform);
                        lesson.platforms = Some(platforms.collect());
                    }
                    let ours = entries.into_iter().filter(|entry| {
                        let platform = entry.platform();
                        platform.is_none_or(|platform| platform.fits(wanted.platform))
                    });
                    names.extend(ours.map(|entry| entry.digest.to_string()));
                }
                Some(Document::Image { config, layers }) => {
                    let layers: Vec<_> = layers.iter().map(reusable).collect();
                    lesson.layers.extend(layers.iter().flatten().cloned());
                    if wanted.names && config.size <= LARGEST_CONFIG {
                        let bytes = self.persist(context, || self.document(&config))?;
                        let diff_ids = diff_ids(&bytes).unwrap_or_default();
                        lesson.pairs.extend(pair(diff_ids, layers));
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
            .map_err(|error| Problem::passing(format!("cannot be read: {error}"), ""))?;
        Ok(bytes)
    }

    fn persist<T>(
        &self,
        context: Context<'_>,
        attempt: impl FnMut() -> Result<T, Failure>,
    ) -> Result<T> {
        let operation = format!("cannot read {}", self.shown());
        self.client
            .persist(&operation, &|| context.check(), attempt)
    }
}
