//! A whole image: the blobs that the registry lacks, a few at once, and then the manifest.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::Options;
use super::client::{Client, Purpose};
use crate::image::Image;
use crate::oci::{Descriptor, Digest, Reference};
use crate::transport::blob::{Blob, blobs};
use crate::transport::{Outcome, Progress};
use crate::{Error, Result};

/// The most blobs in flight. More hardly fill a line better, and registries limit requests.
const MOST_AT_ONCE: usize = 4;

/// Pushes `image` to `reference`: to its tag, to its digest if there is only that, else to `latest`.
/// Gives the digest of the manifest.
///
/// When this succeeds, the registry has answered for each blob and for the manifest with its digest.
/// Blobs that it has already are not sent. What cannot be pushed leaves no open upload behind, as
/// far as the registry still answers.
pub fn push(
    image: &Image,
    reference: &Reference,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Digest> {
    let manifest = &image.manifest_descriptor;
    check_reference(reference, &manifest.digest)?;
    let interrupted = || progress.interrupted();
    let client = Client::connect(reference, Purpose::Push, options, &interrupted)?;
    client.watch(&interrupted, || {
        let mut blobs = blobs(image);
        blobs.remove(&manifest.digest);
        push_blobs(&client, &blobs, progress)?;
        push_manifest(&client, image, reference, progress)
    })?;
    Ok(manifest.digest)
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

fn push_blobs(
    client: &Client,
    blobs: &BTreeMap<Digest, Blob<'_>>,
    progress: &dyn Progress,
) -> Result<()> {
    let blobs: Vec<Blob<'_>> = blobs.values().copied().collect();
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let first_error = Mutex::new(None);
    let work = || {
        while !stop.load(Ordering::Relaxed)
            && let Some(blob) = blobs.get(next.fetch_add(1, Ordering::Relaxed))
        {
            if let Err(error) = push_blob(client, *blob, &stop, progress) {
                stop.store(true, Ordering::Relaxed);
                let mut first = first_error.lock().unwrap_or_else(PoisonError::into_inner);
                first.get_or_insert(error);
            }
        }
    };
    // Making a layer keeps a core busy; asking whether it is there does not, so two are the least.
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let workers = cores.clamp(2, MOST_AT_ONCE).min(blobs.len());
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(work);
        }
    });
    match first_error
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
    {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

fn push_blob(
    client: &Client,
    blob: Blob<'_>,
    stop: &AtomicBool,
    progress: &dyn Progress,
) -> Result<()> {
    let descriptor = blob.descriptor();
    let interrupted = || go_on(descriptor, stop, progress, 0);
    let operation = format!("cannot push {} to {}", descriptor.digest, client.name);
    let reported = AtomicU64::new(0);
    let mut outcome = Outcome::Present;
    progress.begin(descriptor);
    client.persist(&operation, &interrupted, || {
        // An upload whose last answer was lost may have succeeded, so each try asks first.
        if client.has_blob(descriptor)? {
            return Ok(());
        }
        outcome = Outcome::Copied;
        let count = AtomicU64::new(0);
        client.upload(blob, &|bytes| {
            // What is sent for the second time is no progress.
            let now = count.fetch_add(bytes, Ordering::Relaxed) + bytes;
            let before = reported.fetch_max(now, Ordering::Relaxed);
            go_on(descriptor, stop, progress, now.saturating_sub(before))
        })
    })?;
    progress.finish(descriptor, outcome);
    Ok(())
}

/// Reports progress, and says whether to go on: neither the user nor another blob stopped the copy.
fn go_on(blob: &Descriptor, stop: &AtomicBool, progress: &dyn Progress, bytes: u64) -> Result<()> {
    if stop.load(Ordering::Relaxed) {
        return Err(Error::Interrupted);
    }
    progress.advance(blob, bytes)
}

fn push_manifest(
    client: &Client,
    image: &Image,
    reference: &Reference,
    progress: &dyn Progress,
) -> Result<()> {
    let manifest = &image.manifest_descriptor;
    let name = match (&reference.tag, &reference.digest) {
        (None, Some(digest)) => digest.to_string(),
        _ => reference.tag_or_latest().to_owned(),
    };
    let operation = format!("cannot push the manifest to {}:{name}", client.name);
    progress.begin(manifest);
    client.persist(&operation, &|| progress.advance(manifest, 0), || {
        client.put_manifest(&name, manifest, &image.manifest_bytes)
    })?;
    progress.advance(manifest, manifest.size)?;
    progress.finish(manifest, Outcome::Copied);
    Ok(())
}
