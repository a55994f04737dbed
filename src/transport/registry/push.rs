//! A whole image: the blobs that the registry lacks, a few at once, and then the manifest.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::Options;
use super::client::{Client, Purpose};
use super::content::Content;
use super::stages::in_two_stages;
use super::upload::Upload;
use crate::image::{Image, Layer};
use crate::oci::{Compression, Descriptor, Digest, Reference, json, media_type};
use crate::transport::{Outcome, Progress};
use crate::{Error, Result};

/// What is pushed, and how.
#[derive(Clone, Debug, Default)]
pub struct PushOptions {
    /// How to compress layers that are not compressed in the image. Without it each layer's own wish
    /// counts, or else the default.
    pub compression: Option<Compression>,
}

/// What the registry holds after a push.
#[derive(Clone, Debug)]
pub struct Pushed {
    /// The manifest. Its digest is not the image's own if layers were compressed on the way.
    pub manifest: Descriptor,
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
    progress: &dyn Progress,
) -> Result<Pushed> {
    let interrupted = || progress.interrupted();
    let client = Client::connect(reference, Purpose::Push, options, &interrupted)?;
    let push = Push {
        image,
        client: &client,
        reference,
        stop: AtomicBool::new(false),
        progress,
    };
    client.watch(&interrupted, || {
        let jobs = push.jobs(what);
        let ask = |number: usize| jobs.get(number).map_or(Ok(false), |job| push.ask(job));
        let transfer = |number: usize| jobs.get(number).map_or(Ok(()), |job| push.transfer(job));
        in_two_stages(jobs.len(), ask, transfer, &push.stop)?;
        push.finish(jobs)
    })
}

/// One push.
struct Push<'a> {
    image: &'a Image,
    client: &'a Client,
    reference: &'a Reference,
    stop: AtomicBool,
    progress: &'a dyn Progress,
}

/// A blob that the registry must have in the end.
struct Job<'a> {
    content: Content<'a>,
    /// How the registry describes it, once it has it.
    result: Mutex<Option<Descriptor>>,
}

impl<'a> Push<'a> {
    /// Each blob once, the largest first: what takes longest must not begin last. An image may hold
    /// the same layer twice.
    fn jobs(&self, what: &PushOptions) -> Vec<Job<'a>> {
        let image = self.image;
        let config = Content::Document(&image.manifest.config, &image.config_bytes);
        let as_it_is = self.reference.digest == Some(image.manifest_descriptor.digest);
        let layers = image.layers.iter().map(|layer| {
            let layer = layer.as_ref();
            match compression(layer, what.compression) {
                Compression::None => Content::Layer(layer),
                _ if as_it_is => Content::Layer(layer),
                compression => Content::Compressed(layer, compression),
            }
        });
        let contents: BTreeMap<Digest, Content<'a>> = layers
            .chain([config])
            .map(|content| (content.source().digest, content))
            .collect();
        let mut contents: Vec<Content<'a>> = contents.into_values().collect();
        contents.sort_by_key(|content| Reverse(content.source().size));
        let job = |content| Job {
            content,
            result: Mutex::new(None),
        };
        contents.into_iter().map(job).collect()
    }

    /// Whether a blob must be sent.
    fn ask(&self, job: &Job<'_>) -> Result<bool> {
        let Some(blob) = job.content.known() else {
            return Ok(true);
        };
        let source = job.content.source();
        let operation = format!("cannot push {} to {}", source.digest, self.client.name);
        let is_there = self
            .client
            .persist(&operation, &|| self.go_on(source, 0), || {
                self.client.has_blob(blob)
            })?;
        if is_there {
            self.progress.begin(source);
            self.progress.finish(source, Outcome::Present);
            job.done(blob.clone());
        }
        Ok(!is_there)
    }

    /// Sends a blob.
    fn transfer(&self, job: &Job<'_>) -> Result<()> {
        let source = job.content.source();
        let operation = format!("cannot push {} to {}", source.digest, self.client.name);
        let interrupted = || self.go_on(source, 0);
        let reported = AtomicU64::new(0);
        self.progress.begin(source);
        let mut upload = Upload::new(self.client, job.content, None);
        let sent = self.client.persist(&operation, &interrupted, || {
            let count = AtomicU64::new(0);
            upload.attempt(&|bytes| {
                // What is made for the second time is no progress.
                let now = count.fetch_add(bytes, Ordering::Relaxed) + bytes;
                let before = reported.fetch_max(now, Ordering::Relaxed);
                self.go_on(source, now.saturating_sub(before))
            })
        });
        let blob = sent.inspect_err(|_| upload.cancel())?;
        let outcome = match job.content {
            Content::Compressed(..) => Outcome::Compressed { size: blob.size },
            _ => Outcome::Copied,
        };
        self.progress.finish(source, outcome);
        job.done(blob);
        Ok(())
    }

    /// Reports progress, and says whether to go on: neither the user nor another blob stopped the
    /// copy.
    fn go_on(&self, blob: &Descriptor, bytes: u64) -> Result<()> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        self.progress.advance(blob, bytes)
    }

    /// Makes the manifest and pushes it.
    fn finish(&self, jobs: Vec<Job<'_>>) -> Result<Pushed> {
        let results: BTreeMap<Digest, Descriptor> = jobs
            .into_iter()
            .filter_map(|job| Some((job.content.source().digest, job.into_result()?)))
            .collect();
        let layers = self.image.layers.iter().map(|layer| {
            let source = layer.descriptor();
            results.get(&source.digest).unwrap_or(source).clone()
        });
        let manifest = self.image.manifest.with_layers(layers.collect());
        let bytes = if manifest == self.image.manifest {
            self.image.manifest_bytes.clone()
        } else {
            json::to_bytes(&manifest)
        };
        let descriptor = Descriptor::of(&manifest.media_type, &bytes);
        check_reference(self.reference, &descriptor.digest)?;
        self.push_manifest(&descriptor, &bytes)?;
        Ok(Pushed {
            manifest: descriptor,
        })
    }

    fn push_manifest(&self, manifest: &Descriptor, bytes: &[u8]) -> Result<()> {
        let name = match (&self.reference.tag, &self.reference.digest) {
            (None, Some(digest)) => digest.to_string(),
            _ => self.reference.tag_or_latest().to_owned(),
        };
        let operation = format!("cannot push the manifest to {}:{name}", self.client.name);
        // Whoever watches knows the image's own.
        let shown = &self.image.manifest_descriptor;
        self.progress.begin(shown);
        self.client
            .persist(&operation, &|| self.progress.advance(shown, 0), || {
                self.client.put_manifest(&name, manifest, bytes)
            })?;
        self.progress.advance(shown, shown.size)?;
        self.progress.finish(shown, Outcome::Copied);
        Ok(())
    }
}

impl Job<'_> {
    fn done(&self, blob: Descriptor) {
        *self.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(blob);
    }

    fn into_result(self) -> Option<Descriptor> {
        self.result
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a layer is compressed on its way; one that is compressed already is not.
fn compression(layer: &dyn Layer, wanted: Option<Compression>) -> Compression {
    if media_type::is_uncompressed(&layer.descriptor().media_type) {
        wanted.or(layer.compression()).unwrap_or_default()
    } else {
        Compression::None
    }
}

/// A reference with a digest can only mean one image.
fn check_reference(reference: &Reference, digest: &Digest) -> Result<()> {
    match &reference.digest {
        Some(wanted) if wanted != digest => Err(Error::Name {
            what: "destination",
            value: reference.to_string(),
            message: format!("the image's digest is {digest}"),
            hint: "leave the digest out; it follows from the image".to_owned(),
        }),
        _ => Ok(()),
    }
}
