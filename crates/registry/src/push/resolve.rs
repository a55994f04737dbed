//! Finding out whether a blob has to be sent: the registry has it, or takes it from another repository.

use std::sync::atomic::AtomicBool;

use crate::push::blob_source::Content;
use crate::push::blob_upload::{How, Job};
use crate::push::discover::Candidate;
use crate::push::execute::Push;
use crate::push::mount::Mount;
use strata_error::{Error, Result};
use strata_progress::Outcome;

/// The most repositories that a blob is tried to be mounted from.
const MOST_MOUNTS: usize = 4;

impl Push<'_> {
    /// Whether the registry has the blob, or takes it from another repository.
    pub(crate) fn find(&self, job: &Job<'_>, stop: &AtomicBool) -> Result<bool> {
        if self.is_present(job, stop)? {
            return Ok(true);
        }
        for candidate in &job.candidates {
            for from in self.sources(job, candidate) {
                match self.mount(job, candidate, from, stop)? {
                    Mount::Mounted if self.is_trusted(job, candidate, stop)? => {
                        let from = from.to_owned();
                        self.found(job, candidate, How::Mounted { from }, Outcome::Mounted);
                        return Ok(true);
                    }
                    Mount::Opened(location) => {
                        if let Some(before) = job.opened(location) {
                            self.client.cancel(&before);
                        }
                    }
                    Mount::Mounted | Mount::Refused => {}
                }
            }
        }
        Ok(false)
    }

    /// The same without writing: a mount is foreseen where one would be tried.
    pub(crate) fn foresee(&self, job: &Job<'_>, stop: &AtomicBool) -> Result<bool> {
        if self.is_present(job, stop)? {
            return Ok(true);
        }
        for candidate in &job.candidates {
            if let Some(from) = self.sources(job, candidate).next() {
                let from = from.to_owned();
                job.done(candidate.blob.clone(), How::Mounted { from });
                return Ok(true);
            }
        }
        let how = match job.content {
            Content::Compressed(_, compression) => How::Compressed(compression),
            Content::Document(..) | Content::Layer(_) => How::Sent,
        };
        job.done(job.content.source().clone(), how);
        Ok(false)
    }

    fn is_present(&self, job: &Job<'_>, stop: &AtomicBool) -> Result<bool> {
        let source = job.content.source();
        for candidate in &job.candidates {
            let is_there =
                self.client
                    .persist(&self.operation(source), &|| self.go_on(stop), || {
                        self.client.has_blob(&candidate.blob)
                    })?;
            if is_there && self.is_trusted(job, candidate, stop)? {
                let known_from = candidate.origin.clone();
                self.found(
                    job,
                    candidate,
                    How::Present { known_from },
                    Outcome::Present,
                );
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Other repositories that may have the blob.
    fn sources<'b>(
        &'b self,
        job: &Job<'_>,
        candidate: &'b Candidate,
    ) -> impl Iterator<Item = &'b str> {
        let anywhere = match job.content {
            Content::Document(..) => &[][..],
            _ => self.what.mount_from.as_slice(),
        };
        let sources = candidate.repositories.iter().chain(anywhere);
        sources
            .map(String::as_str)
            .filter(|other| *other != self.client.repository)
            .take(MOST_MOUNTS)
    }

    fn mount(
        &self,
        job: &Job<'_>,
        candidate: &Candidate,
        from: &str,
        stop: &AtomicBool,
    ) -> Result<Mount> {
        let source = job.content.source();
        let mounted = self
            .client
            .persist(&self.operation(source), &|| self.go_on(stop), || {
                self.client.mount(&candidate.blob.digest, from)
            });
        match mounted {
            Err(Error::Interrupted) => Err(Error::Interrupted),
            // It can still be sent.
            Err(_) => Ok(Mount::Refused),
            Ok(mount) => Ok(mount),
        }
    }

    /// Whether to believe who says that the blob is this layer.
    fn is_trusted(&self, job: &Job<'_>, candidate: &Candidate, stop: &AtomicBool) -> Result<bool> {
        let (Some(origin), Content::Compressed(layer, _)) = (&candidate.origin, job.content) else {
            return Ok(true);
        };
        if !self.what.verify_reused {
            return Ok(true);
        }
        let (diff_id, size) = (layer.diff_id(), layer.descriptor().size);
        let blob = &candidate.blob;
        let verified = self.client.persist(
            &format!("cannot verify {}", blob.digest),
            &|| self.go_on(stop),
            || self.client.is_layer(blob, diff_id, size),
        );
        let reason = match verified {
            Ok(true) => return Ok(true),
            Ok(false) => format!(
                "{} is not the layer {diff_id}, as {origin} says",
                blob.digest
            ),
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            Err(error) => error.to_string(),
        };
        self.warnings().push(format!("not reused: {reason}"));
        Ok(false)
    }

    fn found(&self, job: &Job<'_>, candidate: &Candidate, how: How, outcome: Outcome) {
        let source = job.content.source();
        self.context.progress.begin(source);
        self.context.progress.finish(source, outcome);
        job.done(candidate.blob.clone(), how);
    }
}
