//! Carries out the plan for an image: the blobs that the registry lacks, a few at once, and then the
//! manifest.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ureq::http::Uri;

use crate::push::blob_index::BlobCandidate;
use crate::push::blob_source::BlobSource;
use crate::push::blob_upload::BlobUpload;
use crate::push::manifest::{Form, is_missing_blob, put_document};
use crate::push::mount::Mount;
use crate::push::options::ManifestFormat;
use crate::push::plan::{LayerNames, PushPlan, PushTarget, check_reference, no_docker_format};
use crate::push::resolve::{Action, ResolvedBlob, Resolver, by_digest, mounted, operation};
use crate::push::upload::Upload;
use strata_copy::worker_pool;
use strata_error::{Error, Result};
use strata_oci::{Compression, Descriptor, Digest, json, media_type};
use strata_progress::{Context, Detail, Outcome, Progress};

/// What the registry holds after a push.
#[derive(Clone, Debug)]
pub struct Pushed {
    /// The manifest. Its digest is not the image's own if layers were compressed on the way.
    pub manifest: Descriptor,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// What to say of a health check that not everybody will see.
const HEALTH_CHECK: &str = "the image has a Healthcheck, which podman does not read from OCI manifests; --format docker keeps it";

/// What to say of an image whose manifest a registry wants otherwise.
const FELL_BACK: &str = "the registry refuses OCI manifests; this one went out in Docker's format, as with --format docker";

/// Sends what the registry lacks, and the manifest under its tags. Gives also what compressed layers are
/// called now. Uploads that are open in the end are cancelled.
pub(super) fn execute(
    plan: &PushPlan<'_>,
    target: &PushTarget<'_>,
) -> Result<(Pushed, LayerNames)> {
    let execution = Execution {
        plan,
        target,
        resolver: Resolver::new(plan, target),
        open_uploads: Mutex::default(),
    };
    let executed = execution.run();
    execution.cancel_open_uploads();
    let (manifest, blobs) = executed?;
    let is_docker = manifest.media_type == media_type::DOCKER_MANIFEST;
    let names = plan.blobs.iter().zip(&blobs);
    let names = names.filter_map(|(blob, resolved)| match blob.source {
        BlobSource::Compressed(layer, _) => Some((layer.diff_id(), resolved.blob.clone())),
        BlobSource::Config(..) | BlobSource::Layer(_) => None,
    });
    let mut warnings = execution.resolver.into_warnings();
    let was_docker = plan.image.manifest.media_type == media_type::DOCKER_MANIFEST;
    if is_docker && !was_docker && target.options.format == ManifestFormat::Any {
        warnings.push(FELL_BACK.to_owned());
    }
    if !is_docker && plan.image.has_health_check() {
        warnings.push(HEALTH_CHECK.to_owned());
    }
    let pushed = Pushed { manifest, warnings };
    Ok((pushed, names.collect()))
}

struct Execution<'a> {
    plan: &'a PushPlan<'a>,
    target: &'a PushTarget<'a>,
    resolver: Resolver<'a>,
    /// Where uploads are open that a refused mount opened, by the digests of the blobs in the image.
    open_uploads: Mutex<BTreeMap<Digest, Uri>>,
}

impl Execution<'_> {
    /// Pushes; gives the manifest, and what was done for each blob.
    fn run(&self) -> Result<(Descriptor, Vec<ResolvedBlob>)> {
        let mut blobs = worker_pool::run(
            &self.plan.blobs,
            self.target.context,
            |blob, context| self.find(blob, context),
            |blob, context| self.upload(blob, context),
        )?;
        let manifest = match self.put_manifest(&blobs) {
            // What a registry said that it had, it can have lost; then it gets everything.
            Err(Error::Registry { codes, .. })
                if codes.iter().any(|code| is_missing_blob(code)) =>
            {
                blobs = self.upload_found(&blobs)?;
                self.put_manifest(&blobs)?
            }
            other => other?,
        };
        if let Some(cache) = &self.plan.cache {
            cache.prune();
        }
        Ok((manifest, blobs))
    }

    /// Whether the registry has the blob, or takes it from another repository.
    fn find(&self, blob: &BlobUpload<'_>, context: Context<'_>) -> Result<Option<ResolvedBlob>> {
        let found = self.resolver.find(blob, context)?;
        let (found, outcome) = match found.as_ref().map(|found| &found.action) {
            Some(Action::Present { .. }) => (found, Outcome::Present),
            Some(Action::Mounted { .. }) => (self.mount(blob, context)?, Outcome::Mounted),
            Some(Action::Sent | Action::Compressed(_)) | None => (None, Outcome::Copied),
        };
        if found.is_some() {
            let source = blob.source.descriptor();
            context.progress.begin(source);
            context.progress.finish(source, outcome);
        }
        Ok(found)
    }

    /// Tries to mount the blob. `None` if no repository has it.
    fn mount(&self, blob: &BlobUpload<'_>, context: Context<'_>) -> Result<Option<ResolvedBlob>> {
        let client = &self.target.client;
        for (candidate, from) in self.resolver.mounts(blob) {
            let mount = self.mount_from(blob, candidate, from, context)?;
            let said = match &mount {
                Mount::Mounted => "mounted",
                Mount::Accepted(_) | Mount::Refused => "not mounted",
            };
            let digest = blob.source.descriptor().digest;
            let name = candidate.named(digest);
            let text = format!("{digest}: {said} from {from}: {name}");
            context.progress.explain(Detail::Decision, &text);
            match mount {
                Mount::Mounted if self.resolver.is_trusted(blob, candidate, context)? => {
                    return Ok(Some(mounted(candidate, from)));
                }
                Mount::Accepted(location) => {
                    let digest = blob.source.descriptor().digest;
                    let before = self.open_uploads().insert(digest, location);
                    if let Some(before) = before {
                        client.cancel(&before);
                    }
                }
                Mount::Mounted | Mount::Refused => {}
            }
        }
        Ok(None)
    }

    fn mount_from(
        &self,
        blob: &BlobUpload<'_>,
        candidate: &BlobCandidate,
        from: &str,
        context: Context<'_>,
    ) -> Result<Mount> {
        let client = &self.target.client;
        let mounted = client.retry(&operation(client, blob), context.cancel, || {
            client.mount(&candidate.blob.digest, from)
        });
        match mounted {
            Err(Error::Interrupted) => Err(Error::Interrupted),
            // It can still be sent.
            Err(_) => Ok(Mount::Refused),
            Ok(mount) => Ok(mount),
        }
    }

    /// Sends a blob.
    fn upload(&self, blob: &BlobUpload<'_>, context: Context<'_>) -> Result<ResolvedBlob> {
        let client = &self.target.client;
        let source = blob.source.descriptor();
        let how = match blob.source {
            BlobSource::Compressed(_, compression) => {
                format!("sent, compressed with {compression}")
            }
            BlobSource::Config(..) | BlobSource::Layer(_) => "sent as it is".to_owned(),
        };
        let text = format!("{}: {how}", source.digest);
        context.progress.explain(Detail::Decision, &text);
        let once = Once::new(context.progress);
        context.progress.begin(source);
        let mut upload = Upload::new(client, blob.source, self.take_open_upload(blob));
        let sent = client.retry(&operation(client, blob), context.cancel, || {
            once.start_over();
            upload.attempt(context.watched_by(&once))
        });
        let sent = sent.inspect_err(|_| upload.cancel())?;
        let (outcome, action) = match blob.source {
            BlobSource::Compressed(layer, compression) => {
                if let Some(cache) = &self.plan.cache {
                    cache.keep(layer.diff_id(), compression, &sent);
                }
                let size = sent.size;
                (
                    Outcome::Compressed { size },
                    Action::Compressed(compression),
                )
            }
            BlobSource::Config(..) | BlobSource::Layer(_) => (Outcome::Copied, Action::Sent),
        };
        context.progress.finish(source, outcome);
        Ok(ResolvedBlob { blob: sent, action })
    }

    /// Sends also those blobs that the registry said to have.
    fn upload_found(&self, blobs: &[ResolvedBlob]) -> Result<Vec<ResolvedBlob>> {
        let blobs: Vec<_> = self.plan.blobs.iter().zip(blobs).collect();
        worker_pool::run(
            &blobs,
            self.target.context,
            |(_, before), _| Ok((!before.action.is_found()).then(|| (*before).clone())),
            |(blob, _), context| self.upload(blob, context),
        )
    }

    /// Makes the manifest and pushes it, under its names one after the other.
    fn put_manifest(&self, blobs: &[ResolvedBlob]) -> Result<Descriptor> {
        let Self { plan, target, .. } = self;
        let image = plan.image;
        let by_digest = by_digest(plan, blobs);
        let layers = image.layers.iter().map(|layer| {
            let source = layer.descriptor().clone();
            match by_digest.get(&source.digest) {
                // Layers of one digest are one blob, but each has its own annotations.
                Some(ResolvedBlob { blob, .. }) => Descriptor {
                    media_type: blob.media_type.clone(),
                    digest: blob.digest,
                    size: blob.size,
                    ..source
                },
                None => source,
            }
        });
        let manifest = image.manifest.with_layers(layers.collect());
        let format = target.options.format;
        let in_docker = || {
            let manifest = manifest.in_docker_format()?;
            let bytes = json::to_bytes(&manifest);
            Some(Form {
                descriptor: Descriptor::of(&manifest.media_type, &bytes),
                bytes,
            })
        };
        let as_it_is = || {
            let bytes = if manifest == image.manifest {
                image.manifest_bytes.clone()
            } else {
                json::to_bytes(&manifest)
            };
            Form {
                descriptor: Descriptor::of(&manifest.media_type, &bytes),
                bytes,
            }
        };
        let forms: Vec<Form> = match format {
            ManifestFormat::Oci => vec![as_it_is()],
            ManifestFormat::Docker => vec![in_docker().ok_or_else(no_docker_format)?],
            ManifestFormat::Any => {
                let keeps_digest = target.reference.digest.is_some()
                    || target.options.compression == Some(Compression::None);
                let other = in_docker().filter(|_| !keeps_digest);
                [as_it_is()].into_iter().chain(other).collect()
            }
        };
        // Whoever watches knows the image's own.
        let shown = &image.manifest_descriptor;
        let tags: &[String] = if plan.is_named {
            if let Some(first) = forms.first() {
                check_reference(target.reference, &first.descriptor.digest, &shown.digest)?;
            }
            &plan.tags
        } else {
            &[]
        };
        let (client, context) = (&target.client, target.context);
        let form = put_document(client, tags, &forms, shown, context)?;
        Ok(form.descriptor.clone())
    }

    fn cancel_open_uploads(&self) {
        let blobs = self.plan.blobs.iter();
        for location in blobs.filter_map(|blob| self.take_open_upload(blob)) {
            self.target.client.cancel(&location);
        }
    }

    fn take_open_upload(&self, blob: &BlobUpload<'_>) -> Option<Uri> {
        self.open_uploads().remove(&blob.source.descriptor().digest)
    }

    fn open_uploads(&self) -> MutexGuard<'_, BTreeMap<Digest, Uri>> {
        self.open_uploads
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells once of the bytes of a blob, however often they are made.
struct Once<'a> {
    progress: &'a dyn Progress,
    /// How many bytes this try made.
    made: AtomicU64,
    /// How many were told of.
    told: AtomicU64,
}

impl<'a> Once<'a> {
    fn new(progress: &'a dyn Progress) -> Self {
        Self {
            progress,
            made: AtomicU64::new(0),
            told: AtomicU64::new(0),
        }
    }

    /// Another try makes the bytes again.
    fn start_over(&self) {
        self.made.store(0, Ordering::Relaxed);
    }
}

impl Progress for Once<'_> {
    fn begin(&self, blob: &Descriptor) {
        self.progress.begin(blob);
    }

    fn advance(&self, blob: &Descriptor, bytes: u64) {
        let made = self.made.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let told = self.told.fetch_max(made, Ordering::Relaxed);
        self.progress.advance(blob, made.saturating_sub(told));
    }

    fn finish(&self, blob: &Descriptor, outcome: Outcome) {
        self.progress.finish(blob, outcome);
    }

    fn warn(&self, text: &str) {
        self.progress.warn(text);
    }

    fn explain(&self, detail: Detail, text: &str) {
        self.progress.explain(detail, text);
    }
}
