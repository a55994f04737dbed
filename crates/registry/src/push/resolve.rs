//! Whether a blob has to be sent: the registry has it, or takes it from another repository.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::client::Client;
use crate::push::blob_index::BlobCandidate;
use crate::push::blob_source::BlobSource;
use crate::push::blob_upload::{Action, BlobUpload, ResolvedBlob, present};
use crate::push::fetched::{Fetched, fetched_layers};
use crate::push::plan::{PushPlan, PushTarget};
use strata_copy::worker_pool::{self, Transfers};
use strata_error::{Error, Result};
use strata_oci::Digest;
use strata_progress::{Context, Detail};

/// The most repositories that a blob is tried to be mounted from.
const MOST_MOUNTS: usize = 4;

/// What a push would do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The image's layers, lowest first.
    pub layers: Vec<PlannedLayer>,
    /// The registry and repository.
    pub repository: String,
    /// The tags that the manifest would get; none if it is pushed to its digest.
    pub tags: Vec<String>,
    /// The name of the older image, which the first of the tags leads to now.
    pub older: Option<String>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// What would be done for a layer.
#[derive(Clone, Debug)]
pub struct PlannedLayer {
    /// The digest that the layer has in the image.
    pub digest: Digest,
    /// The size that it has in the image, in bytes.
    pub size: u64,
    /// What would be done.
    pub action: Action,
    /// What a client fetches of it that has the older image; none if there is no older one.
    pub fetched: Option<Fetched>,
}

/// Resolves all blobs of a plan, and writes nothing. Where a mount would be tried, it is taken for
/// granted.
pub(super) fn dry_run(plan: &PushPlan<'_>, target: &PushTarget<'_>) -> Result<Plan> {
    let resolver = Resolver::new(plan, target);
    let blobs = match &plan.there {
        Some(there) => there.blobs.clone(),
        None => worker_pool::run(
            &plan.blobs,
            Transfers::default(),
            target.context,
            |_| true,
            |blob, context| resolver.find(blob, context),
            |blob, _| Ok(to_be_sent(blob)),
        )?,
    };
    let by_digest = by_digest(plan, &blobs);
    let (mut fetched, unread) = fetched_layers(plan, target, &by_digest)?;
    let layers = plan.image.layers.iter().map(|layer| {
        let source = layer.descriptor();
        let action = by_digest.get(&source.digest).map(|blob| &blob.action);
        PlannedLayer {
            digest: source.digest,
            size: source.size,
            action: action.cloned().unwrap_or(Action::Sent),
            fetched: fetched.remove(&source.digest),
        }
    });
    Ok(Plan {
        layers: layers.collect(),
        repository: target.client.name.clone(),
        tags: plan.tags.clone(),
        older: plan.older.as_ref().map(|older| older.name.clone()),
        warnings: [resolver.into_warnings(), unread].concat(),
    })
}

/// What was done for the blobs of a plan, by their digests in the image.
pub(super) fn by_digest<'b>(
    plan: &PushPlan<'_>,
    blobs: &'b [ResolvedBlob],
) -> BTreeMap<Digest, &'b ResolvedBlob> {
    let digests = plan
        .blobs
        .iter()
        .map(|blob| blob.source.descriptor().digest);
    digests.zip(blobs).collect()
}

/// A blob that the registry does not have.
fn to_be_sent(blob: &BlobUpload<'_>) -> ResolvedBlob {
    ResolvedBlob {
        blob: blob.source.descriptor().clone(),
        action: match blob.source {
            BlobSource::Compressed(_, compression) => Action::Compressed(compression),
            BlobSource::Config(..) | BlobSource::Layer(_) => Action::Sent,
        },
    }
}

/// Asks a registry about the blobs of a plan.
pub(super) struct Resolver<'a> {
    plan: &'a PushPlan<'a>,
    client: &'a Client,
    verify_reused: bool,
    warnings: Mutex<Vec<String>>,
}

impl<'a> Resolver<'a> {
    /// Nothing is asked yet.
    pub(super) fn new(plan: &'a PushPlan<'a>, target: &'a PushTarget<'_>) -> Self {
        Self {
            plan,
            client: &target.client,
            verify_reused: target.options.verify_reused,
            warnings: Mutex::new(plan.warnings.clone()),
        }
    }

    /// What the user should know now.
    pub(super) fn into_warnings(self) -> Vec<String> {
        let warnings = self.warnings.into_inner();
        warnings.unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the registry has the blob, or else where it may be mounted from first. `None` if it has to
    /// be sent.
    pub(super) fn find(
        &self,
        blob: &BlobUpload<'_>,
        context: Context<'_>,
    ) -> Result<Option<ResolvedBlob>> {
        let digest = blob.source.descriptor().digest;
        let explain = |text: &str| {
            let text = format!("{digest}: {text}");
            context.progress.explain(Detail::Decision, &text);
        };
        if blob.candidates.is_empty() {
            explain("nobody says what it is called when it is compressed");
        }
        for candidate in &blob.candidates {
            let name = candidate.named(digest);
            if self.is_present(blob, candidate, context)? {
                explain(&format!("reused, the registry has {name}"));
                return Ok(Some(present(candidate)));
            }
            explain(&format!("the registry does not have {name}"));
        }
        let source = self.mounts(blob).next();
        Ok(source.map(|source| mounted(&source)))
    }

    /// What the blob may be mounted as, and from which repositories, in the order to try them in.
    pub(super) fn mounts<'b>(
        &'b self,
        blob: &'b BlobUpload<'_>,
    ) -> impl Iterator<Item = MountSource<'b>> {
        let is_layer = !matches!(blob.source, BlobSource::Config(..));
        let plan = self.plan;
        blob.candidates.iter().flat_map(move |candidate| {
            let remembered = plan.remembered.get(&candidate.blob.digest).into_iter();
            let named = plan.mount_from.iter().filter(move |_| is_layer);
            let base = plan.base.iter().filter(move |_| is_layer);
            let sources = (remembered.map(|from| (from, false)))
                .chain(candidate.repositories.iter().map(|from| (from, true)))
                .chain(named.map(|from| (from, true)))
                .chain(base.map(|from| (from, false)));
            sources
                .filter(|(from, _)| **from != self.client.repository)
                .take(MOST_MOUNTS)
                .map(move |(from, is_named)| MountSource {
                    candidate,
                    from,
                    is_named,
                })
        })
    }

    fn is_present(
        &self,
        blob: &BlobUpload<'_>,
        candidate: &BlobCandidate,
        context: Context<'_>,
    ) -> Result<bool> {
        let operation = operation(self.client, blob);
        let is_there = self.client.retry(&operation, context.cancel, || {
            self.client.has_blob(&candidate.blob)
        })?;
        Ok(is_there && self.is_trusted(blob, candidate, context)?)
    }

    /// Whether to believe who says that what the registry has is this layer.
    pub(super) fn is_trusted(
        &self,
        blob: &BlobUpload<'_>,
        candidate: &BlobCandidate,
        context: Context<'_>,
    ) -> Result<bool> {
        let origin = match &candidate.origin {
            Some(origin) => origin,
            None if candidate.is_cached => "the cache",
            None => return Ok(true),
        };
        let BlobSource::Compressed(layer, _) = blob.source else {
            return Ok(true);
        };
        if !self.verify_reused {
            return Ok(true);
        }
        let (diff_id, size) = (layer.diff_id(), layer.descriptor().size);
        let found = &candidate.blob;
        let operation = format!("cannot verify {}", found.digest);
        let verified = self.client.retry(&operation, context.cancel, || {
            self.client.is_layer(found, diff_id, size)
        });
        let reason = match verified {
            Ok(true) => return Ok(true),
            Ok(false) => format!(
                "{} is not the layer {diff_id}, as {origin} says",
                found.digest
            ),
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            Err(error) => error.to_string(),
        };
        let warnings = self.warnings.lock();
        let mut warnings = warnings.unwrap_or_else(PoisonError::into_inner);
        warnings.push(format!("not reused: {reason}"));
        Ok(false)
    }
}

/// Where a blob may be mounted from, and as what.
pub(super) struct MountSource<'a> {
    pub(super) candidate: &'a BlobCandidate,
    /// The repository.
    pub(super) from: &'a str,
    /// Whether the user named it; else it is tried only while the registry mounts.
    pub(super) is_named: bool,
}

/// A blob that the registry takes from another repository.
pub(super) fn mounted(source: &MountSource<'_>) -> ResolvedBlob {
    ResolvedBlob {
        blob: source.candidate.blob.clone(),
        action: Action::Mounted {
            from: source.from.to_owned(),
        },
    }
}

/// What cannot be done when the registry fails over a blob.
pub(super) fn operation(client: &Client, blob: &BlobUpload<'_>) -> String {
    let digest = blob.source.descriptor().digest;
    format!("cannot push {digest} to {}", client.name)
}
