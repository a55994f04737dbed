//! All that belongs to an image, into another repository.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::attach::put;
use crate::list::list;
use crate::tags::cosign_tags;
use strata_error::{Error, Result};
use strata_oci::{Artifact, Descriptor, Digest, media_type};
use strata_progress::{Context, Detail};
use strata_registry::{Repository, StoredDocument};

/// How many documents may refer to each other in a row: a signature of a bill of an image has two.
const DEEPEST: usize = 4;
/// The most documents.
const MOST: usize = 1_000;

/// Copies what belongs to the manifest `subject` from one repository to another that has the manifest: what refers to
/// it, what refers to that, and what cosign keeps under tags. Gives how many documents these are.
pub fn copy(
    from: &Repository,
    to: &Repository,
    subject: &Digest,
    context: Context<'_>,
) -> Result<usize> {
    let copying = Copying { from, to, context };
    let mut seen = BTreeSet::new();
    let mut todo = vec![(*subject, 0)];
    while let Some((subject, depth)) = todo.pop() {
        for referrer in list(from, &subject, None, context)? {
            if !seen.insert(referrer.digest) {
                continue;
            }
            if seen.len() > MOST {
                return Err(copying.error(&subject, "more than 1,000 documents belong to it"));
            }
            let found = copying.document(&referrer.digest.to_string())?;
            let found = found.ok_or_else(|| {
                let message = format!("{} is listed and not there", referrer.digest);
                copying.error(&subject, &message)
            })?;
            copying.artifact(&found)?;
            if depth < DEEPEST {
                todo.push((referrer.digest, depth + 1));
            }
        }
        for tag in cosign_tags(&subject) {
            if let Some(found) = copying.document(&tag)?
                && seen.insert(found.digest)
            {
                copying.tagged(&tag, &found)?;
            }
        }
    }
    Ok(seen.len())
}

struct Copying<'a> {
    from: &'a Repository,
    to: &'a Repository,
    context: Context<'a>,
}

impl Copying<'_> {
    fn document(&self, name: &str) -> Result<Option<StoredDocument>> {
        self.from.document(name, self.context)
    }

    /// Copies what refers to something, which is an artifact and no index.
    fn artifact(&self, document: &StoredDocument) -> Result<()> {
        let artifact = self.blobs(document)?;
        put(self.to, &artifact, &document.bytes, self.context)?;
        self.tell(&document.digest.to_string());
        Ok(())
    }

    /// Copies what is under a tag.
    fn tagged(&self, tag: &str, document: &StoredDocument) -> Result<()> {
        let artifact = self.blobs(document)?;
        let descriptor = Descriptor::new(
            &artifact.media_type,
            document.digest,
            document.bytes.len() as u64,
        );
        self.to
            .put_document(tag, &descriptor, &document.bytes, self.context)?;
        self.tell(tag);
        Ok(())
    }

    fn tell(&self, what: &str) {
        let text = format!("{what}: copied along from {}", self.from.name());
        self.context.progress.explain(Detail::Decision, &text);
    }

    /// Copies the blobs of a manifest.
    fn blobs(&self, document: &StoredDocument) -> Result<Artifact> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Kind {
            media_type: Option<String>,
        }
        let kind = serde_json::from_slice::<Kind>(&document.bytes).ok();
        let kind = kind.and_then(|kind| kind.media_type);
        if kind.is_some_and(|kind| kind == media_type::INDEX) {
            let message = "an index belongs to it, and only single documents are copied along";
            return Err(self.error(&document.digest, message));
        }
        let mut artifact: Artifact = serde_json::from_slice(&document.bytes)
            .map_err(|error| self.error(&document.digest, &format!("not a manifest: {error}")))?;
        if artifact.media_type.is_empty() {
            media_type::MANIFEST.clone_into(&mut artifact.media_type);
        }
        for blob in [&artifact.config].into_iter().chain(&artifact.layers) {
            let bytes = self.from.blob(blob, self.context)?;
            self.to.put_blob(blob, &bytes, self.context)?;
        }
        Ok(artifact)
    }

    fn error(&self, about: &Digest, message: &str) -> Error {
        Error::Registry {
            operation: format!("cannot copy what belongs to {}@{about}", self.from.name()),
            message: message.to_owned(),
            codes: Vec::new(),
            hint: "copy the image without it: --no-referrers".to_owned(),
        }
    }
}
