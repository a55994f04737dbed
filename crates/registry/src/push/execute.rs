//! Carries out the plan for an image: the blobs that the registry lacks, a few at once, and then the
//! manifest.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ureq::http::Uri;

use crate::push::blob_source::BlobSource;
use crate::push::blob_upload::{Action, BlobUpload, ResolvedBlob};
use crate::push::manifest::{is_missing_blob, put_document};
use crate::push::mount::Mount;
use crate::push::options::ManifestFormat;
use crate::push::plan::{LayerNames, PushPlan, PushTarget, check_reference};
use crate::push::resolve::{Resolver, by_digest, mounted, operation};
use crate::push::upload::{Opened, Upload};
use strata_copy::worker_pool::{self, Transfers};
use strata_error::{Error, Result};
use strata_oci::{Descriptor, Digest, media_type};
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
/// called now. Uploads that are open in the end, also of those that were `opened` ahead, are cancelled.
pub(super) fn execute(
    plan: &PushPlan<'_>,
    target: &PushTarget<'_>,
    opened: Vec<Opened>,
) -> Result<(Pushed, LayerNames)> {
    let execution = Execution {
        plan,
        target,
        resolver: Resolver::new(plan, target),
        open_uploads: Mutex::default(),
        opened: Mutex::new(opened),
        mounts: AtomicBool::new(true),
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
    /// What was begun ahead for whatever is sent first.
    opened: Mutex<Vec<Opened>>,
    /// Whether blobs may be mounted from where nobody said: until the registry refuses one.
    mounts: AtomicBool,
}

impl Execution<'_> {
    /// Pushes; gives the manifest, and what was done for each blob.
    fn run(&self) -> Result<(Descriptor, Vec<ResolvedBlob>)> {
        let Self { plan, target, .. } = self;
        let (mut blobs, tags) = match &plan.there {
            Some(there) => {
                let text = "the registry has the manifest, and so all that is in it";
                target.context.progress.explain(Detail::Decision, text);
                for blob in &plan.blobs {
                    tell(target.context, blob.source.descriptor(), Outcome::Present);
                }
                (there.blobs.clone(), &there.tags)
            }
            None => (self.run_blobs()?, &plan.tags),
        };
        let is_done = plan.there.is_some() && tags.is_empty();
        let manifest = match self.put_manifest(&blobs, tags, is_done) {
            // What a registry said that it had, it can have lost; then it gets everything.
            Err(Error::Registry { codes, .. })
                if codes.iter().any(|code| is_missing_blob(code)) =>
            {
                blobs = self.upload_found(&blobs)?;
                self.put_manifest(&blobs, &plan.tags, false)?
            }
            other => other?,
        };
        if let Some(cache) = &target.cache {
            for blob in &blobs {
                cache.keep_repository(&blob.blob.digest, &target.client.repository);
            }
            cache.prune();
        }
        Ok((manifest, blobs))
    }

    /// Finds or sends each blob.
    fn run_blobs(&self) -> Result<Vec<ResolvedBlob>> {
        worker_pool::run(
            &self.plan.blobs,
            self.transfers(),
            self.target.context,
            |blob| blob.source.is_small(),
            |blob, context| self.find(blob, context),
            |blob, context| self.upload(blob, context),
        )
    }

    fn transfers(&self) -> Transfers {
        let jobs = self.target.options.jobs;
        jobs.map_or_else(Transfers::default, Transfers::limited_to)
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
            tell(context, blob.source.descriptor(), outcome);
        }
        Ok(found)
    }

    /// Tries to mount the blob, once from each repository. `None` if none gives it. Where nobody named a
    /// repository, the first refusal is the last.
    fn mount(&self, blob: &BlobUpload<'_>, context: Context<'_>) -> Result<Option<ResolvedBlob>> {
        let client = &self.target.client;
        let digest = blob.source.descriptor().digest;
        let mut is_refused = false;
        for source in self.resolver.mounts(blob) {
            if !source.is_named && (is_refused || !self.mounts.load(Ordering::Relaxed)) {
                continue;
            }
            context.check()?;
            let operation = operation(client, blob);
            let mount = client.retry(&operation, context.cancel, || {
                client.mount(&source.candidate.blob.digest, source.from)
            })?;
            let said = match &mount {
                Mount::Mounted => "mounted",
                Mount::Accepted(_) | Mount::Refused => "not mounted",
            };
            let name = source.candidate.named(digest);
            let text = format!("{digest}: {said} from {}: {name}", source.from);
            context.progress.explain(Detail::Decision, &text);
            match mount {
                Mount::Mounted if self.resolver.is_trusted(blob, source.candidate, context)? => {
                    return Ok(Some(mounted(&source)));
                }
                Mount::Accepted(location) => {
                    let digest = blob.source.descriptor().digest;
                    let before = self.open_uploads().insert(digest, location);
                    if let Some(before) = before {
                        client.cancel(&before);
                    }
                }
                Mount::Mounted => {}
                Mount::Refused => self.mounts.store(false, Ordering::Relaxed),
            }
            is_refused = true;
        }
        Ok(None)
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
        let opened = self.take_open_upload(blob).map(Ok);
        let opened = opened.or_else(|| self.opened().pop());
        let mut upload = Upload::new(client, blob.source, opened);
        let sent = client.retry(&operation(client, blob), context.cancel, || {
            once.start_over();
            upload.attempt(context.watched_by(&once))
        });
        let sent = sent.inspect_err(|_| upload.cancel())?;
        let (outcome, action) = match blob.source {
            BlobSource::Compressed(layer, compression) => {
                if let Some(cache) = &self.target.cache {
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
            self.transfers(),
            self.target.context,
            |(blob, _)| blob.source.is_small(),
            |(_, before), _| Ok((!before.action.is_found()).then(|| (*before).clone())),
            |(blob, _), context| self.upload(blob, context),
        )
    }

    /// Makes the manifest and pushes it under `tags`, one after the other, unless it is done already.
    fn put_manifest(
        &self,
        blobs: &[ResolvedBlob],
        tags: &[String],
        is_done: bool,
    ) -> Result<Descriptor> {
        let Self { plan, target, .. } = self;
        let by_digest = by_digest(plan, blobs);
        let names = by_digest.iter().map(|(digest, it)| (*digest, &it.blob));
        let mut forms = target.forms(plan.image, &names.collect())?;
        // Whoever watches knows the image's own.
        let shown = &plan.image.manifest_descriptor;
        let first = forms.first().map(|form| form.descriptor.clone());
        if let Some(first) = first.as_ref().filter(|_| plan.is_named) {
            check_reference(target.reference, &first.digest, &shown.digest)?;
        }
        if let Some(first) = first.filter(|_| is_done) {
            tell(target.context, shown, Outcome::Present);
            return Ok(first);
        }
        if plan.there.is_some() {
            // The registry has this one.
            forms.truncate(1);
        }
        let tags = if plan.is_named { tags } else { &[] };
        let (client, context) = (&target.client, target.context);
        let form = put_document(client, tags, &forms, shown, context)?;
        Ok(form.descriptor.clone())
    }

    fn cancel_open_uploads(&self) {
        let blobs = self.plan.blobs.iter();
        let refused = blobs.filter_map(|blob| self.take_open_upload(blob));
        let opened = std::mem::take(&mut *self.opened());
        for location in refused.chain(opened.into_iter().flatten()) {
            self.target.client.cancel(&location);
        }
    }

    fn opened(&self) -> MutexGuard<'_, Vec<Opened>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
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

/// Tells of a blob that does not have to be sent.
fn tell(context: Context<'_>, blob: &Descriptor, outcome: Outcome) {
    context.progress.begin(blob);
    context.progress.finish(blob, outcome);
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
