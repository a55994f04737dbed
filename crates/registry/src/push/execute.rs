//! A whole image: the blobs that the registry lacks, a few at once, and then the manifest.
//!
//! ```text
//!  learn ──> jobs ──> find ───────────────> transfer ──────> finish
//!  names     one for  is it there? may it   make, compress,  manifest,
//!            a blob   be mounted?           send             tags
//! ```

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::Options;
use crate::client::Client;
use crate::push::blob_source::Content;
use crate::push::blob_upload::{Done, How, Job};
use crate::push::cache::Cache;
use crate::push::dry_run::{Plan, PlannedLayer};
use crate::push::plan::{Part, connected, prepare};
use crate::push::upload::Upload;
use crate::worker_pool::in_two_stages;
use strata_error::{Error, Result};
use strata_image::Image;
use strata_oci::{Compression, Descriptor, Digest, Reference, json};
use strata_progress::{Context, Outcome};

/// What is pushed, and how.
#[derive(Clone, Debug, Default)]
pub struct PushOptions {
    /// How to compress layers that are not compressed in the image. Without it each layer's own wish
    /// counts, or else the default.
    pub compression: Option<Compression>,
    /// More tags in the same repository for the manifest.
    pub additional_tags: Vec<String>,
    /// Images in registries whose manifests and configs say what compressed layers are called. What is
    /// in the same registry can be mounted from there.
    pub reuse_from: Vec<Reference>,
    /// A tag that is learned from like `reuse_from`, and that the manifest is pushed under too.
    pub reuse_tag: Option<String>,
    /// Do not learn from registries what layers are called.
    pub no_reuse: bool,
    /// Fetch and digest the blobs that a registry says are layers of the image.
    pub verify_reused: bool,
    /// Other repositories of the registry that blobs may be mounted from.
    pub mount_from: Vec<String>,
    /// The directory that remembers what compressed layers are called.
    pub cache: Option<PathBuf>,
    /// Whether an index of other platforms under a tag may be replaced.
    pub overwrite_index: bool,
}

/// What the registry holds after a push.
#[derive(Clone, Debug)]
pub struct Pushed {
    /// The manifest. Its digest is not the image's own if layers were compressed on the way.
    pub manifest: Descriptor,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Pushes `image` to `reference`: to its tag, to its digest if there is only that, else to `latest`.
///
/// When this succeeds, the registry has answered for each blob and for the manifest with its digest.
/// Blobs that it has already are not sent. What cannot be pushed leaves no open upload behind, as
/// far as the registry still answers.
pub fn push(
    image: &Image,
    reference: &Reference,
    options: &Options,
    what: &PushOptions,
    context: Context<'_>,
) -> Result<Pushed> {
    connected(reference, options, what, context, |destination| {
        let part = Part::whole(image, destination);
        prepare(destination, &part, run).map(|(pushed, _)| pushed)
    })
}

/// Says what [`push`] would do, and writes nothing.
pub fn plan(
    image: &Image,
    reference: &Reference,
    options: &Options,
    what: &PushOptions,
    context: Context<'_>,
) -> Result<Plan> {
    connected(reference, options, what, context, |destination| {
        let part = Part::whole(image, destination);
        prepare(destination, &part, foresee)
    })
}

/// One push.
pub(crate) struct Push<'a> {
    pub(crate) image: &'a Image,
    pub(crate) client: &'a Client,
    pub(crate) reference: &'a Reference,
    /// Whether the manifest gets the tags.
    pub(crate) is_named: bool,
    pub(crate) tags: Vec<String>,
    pub(crate) what: &'a PushOptions,
    pub(crate) cache: Option<Cache>,
    pub(crate) warnings: Mutex<Vec<String>>,
    pub(crate) context: Context<'a>,
}

/// What a layer that was compressed is called, by its diff ID.
pub(crate) type Names = BTreeMap<Digest, Descriptor>;

/// Pushes; gives also what compressed layers are called now.
pub(crate) fn run(push: &Push<'_>, jobs: &[Job<'_>]) -> Result<(Pushed, Names)> {
    push.work(jobs, |job, stop| push.find(job, stop), true)?;
    let manifest = match push.finish(jobs) {
        // What a registry said that it had, it can have lost; then it gets everything.
        Err(Error::Registry { codes, .. }) if codes.iter().any(|code| is_missing_blob(code)) => {
            let found = |job: &Job<'_>| {
                let result = job.result();
                result.is_some_and(|done| done.how.is_found())
            };
            push.work(jobs, |job, _| Ok(!found(job)), true)?;
            push.finish(jobs)?
        }
        other => other?,
    };
    if let Some(cache) = &push.cache {
        cache.prune();
    }
    let names = jobs.iter().filter_map(|job| match job.content {
        Content::Compressed(layer, _) => Some((layer.diff_id(), job.result()?.blob)),
        Content::Document(..) | Content::Layer(_) => None,
    });
    let pushed = Pushed {
        manifest,
        warnings: std::mem::take(&mut *push.warnings()),
    };
    Ok((pushed, names.collect()))
}

pub(crate) fn foresee(push: &Push<'_>, jobs: &[Job<'_>]) -> Result<Plan> {
    push.work(jobs, |job, stop| push.foresee(job, stop), false)?;
    let results = results(jobs);
    let layers = push.image.layers.iter().map(|layer| {
        let source = layer.descriptor();
        let result = results.get(&source.digest);
        PlannedLayer {
            digest: source.digest,
            size: source.size,
            how: result.map_or(How::Sent, |done| done.how.clone()),
        }
    });
    Ok(Plan {
        layers: layers.collect(),
        repository: push.client.name.clone(),
        tags: push.tags.clone(),
        warnings: std::mem::take(&mut *push.warnings()),
    })
}

impl Push<'_> {
    /// Asks about each blob with `found`, and sends those for which the answer is no.
    fn work(
        &self,
        jobs: &[Job<'_>],
        found: impl Fn(&Job<'_>, &AtomicBool) -> Result<bool> + Sync,
        send: bool,
    ) -> Result<()> {
        let stop = AtomicBool::new(false);
        let ask = |number: usize| match jobs.get(number) {
            Some(job) => Ok(!found(job, &stop)? && send),
            None => Ok(false),
        };
        let transfer = |number: usize| match jobs.get(number) {
            Some(job) => self.transfer(job, &stop),
            None => Ok(()),
        };
        in_two_stages(jobs.len(), ask, transfer, &stop)
    }

    /// Sends a blob.
    fn transfer(&self, job: &Job<'_>, stop: &AtomicBool) -> Result<()> {
        let source = job.content.source();
        let interrupted = || self.go_on(stop);
        let reported = AtomicU64::new(0);
        self.context.progress.begin(source);
        let mut upload = Upload::new(self.client, job.content, job.take_opened());
        let sent = self
            .client
            .persist(&self.operation(source), &interrupted, || {
                let count = AtomicU64::new(0);
                upload.attempt(&|bytes| {
                    // What is made for the second time is no context.
                    let now = count.fetch_add(bytes, Ordering::Relaxed) + bytes;
                    let before = reported.fetch_max(now, Ordering::Relaxed);
                    self.go_on(stop)?;
                    let new = now.saturating_sub(before);
                    self.context.advance(source, new)
                })
            });
        let blob = sent.inspect_err(|_| upload.cancel())?;
        let (outcome, how) = match job.content {
            Content::Compressed(layer, compression) => {
                if let Some(cache) = &self.cache {
                    cache.keep(layer.diff_id(), compression, &blob);
                }
                let size = blob.size;
                (Outcome::Compressed { size }, How::Compressed(compression))
            }
            _ => (Outcome::Copied, How::Sent),
        };
        self.context.progress.finish(source, outcome);
        job.done(blob, how);
        Ok(())
    }

    /// Whether to go on: neither the user nor another blob stopped the copy.
    pub(crate) fn go_on(&self, stop: &AtomicBool) -> Result<()> {
        if stop.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        self.context.check()
    }

    pub(crate) fn operation(&self, blob: &Descriptor) -> String {
        format!("cannot push {} to {}", blob.digest, self.client.name)
    }

    /// Makes the manifest and pushes it, under its names one after the other.
    fn finish(&self, jobs: &[Job<'_>]) -> Result<Descriptor> {
        let results = results(jobs);
        let layers = self.image.layers.iter().map(|layer| {
            let source = layer.descriptor().clone();
            match results.get(&source.digest) {
                // Layers of one digest are one blob, but each has its own annotations.
                Some(Done { blob, .. }) => Descriptor {
                    media_type: blob.media_type.clone(),
                    digest: blob.digest,
                    size: blob.size,
                    ..source
                },
                None => source,
            }
        });
        let manifest = self.image.manifest.with_layers(layers.collect());
        let bytes = if manifest == self.image.manifest {
            self.image.manifest_bytes.clone()
        } else {
            json::to_bytes(&manifest)
        };
        let descriptor = Descriptor::of(&manifest.media_type, &bytes);
        let tags: &[String] = if self.is_named {
            check_reference(
                self.reference,
                &descriptor.digest,
                &self.image.manifest_descriptor.digest,
            )?;
            &self.tags
        } else {
            &[]
        };
        // Whoever watches knows the image's own.
        let shown = &self.image.manifest_descriptor;
        put(self.client, tags, &descriptor, &bytes, shown, self.context)?;
        Ok(descriptor)
    }

    pub(crate) fn warnings(&self) -> MutexGuard<'_, Vec<String>> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts a manifest or index under its tags one after the other, or under its digest if there are none.
/// It is `shown` to whoever watches.
pub(crate) fn put(
    client: &Client,
    tags: &[String],
    document: &Descriptor,
    bytes: &[u8],
    shown: &Descriptor,
    context: Context<'_>,
) -> Result<()> {
    let by_digest = tags.is_empty().then(|| document.digest.to_string());
    context.progress.begin(shown);
    for name in tags.iter().chain(&by_digest) {
        let separator = if tags.is_empty() { '@' } else { ':' };
        let operation = format!(
            "cannot push the manifest to {}{separator}{name}",
            client.name
        );
        client.persist(&operation, &|| context.check(), || {
            client.put_manifest(name, document, bytes)
        })?;
    }
    context.advance(shown, shown.size)?;
    context.progress.finish(shown, Outcome::Copied);
    Ok(())
}

/// Whether a registry says with this that it lacks a blob that a manifest names (distribution
/// specification, code-1 and code-5).
fn is_missing_blob(code: &str) -> bool {
    matches!(code, "BLOB_UNKNOWN" | "MANIFEST_BLOB_UNKNOWN")
}

fn results(jobs: &[Job<'_>]) -> BTreeMap<Digest, Done> {
    let results = jobs
        .iter()
        .filter_map(|job| Some((job.content.source().digest, job.result()?)));
    results.collect()
}

/// A reference with a digest can only mean one image: this one has `digest`, or `own` if its layers are not
/// compressed on the way.
pub(crate) fn check_reference(reference: &Reference, digest: &Digest, own: &Digest) -> Result<()> {
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
        what: "destination",
        value: reference.to_string(),
        message: format!("the image's digest is {own}{compressed}"),
        hint: format!("leave the digest out, or push the image as it is to {right}"),
    })
}
