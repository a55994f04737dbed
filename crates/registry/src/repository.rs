//! Small documents and blobs of a repository, as they are: what belongs to images and is none.

use ureq::http::StatusCode;
use ureq::http::header::LINK;

use crate::ask::Ask;
use crate::auth::Purpose;
use crate::client::Client;
use crate::options::Options;
use crate::push::{BlobSource, Put, Upload};
use strata_error::{Error, Result};
use strata_exchange::RegistryError;
use strata_oci::{Descriptor, Digest, Reference, media_type};
use strata_progress::Context;

/// The most bytes of a blob that is held in memory.
const LARGEST_BLOB: u64 = 64 << 20;
/// The most bytes of an answer.
const LARGEST_ANSWER: usize = 4 << 20;

/// A repository of a registry.
pub struct Repository(Client);

/// A manifest or index as a registry has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDocument {
    /// The digest of the bytes.
    pub digest: Digest,
    /// The document.
    pub bytes: Vec<u8>,
}

/// What a registry answered that is neither a manifest nor a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The body.
    pub bytes: Vec<u8>,
    /// The header `Link`, which leads to the rest.
    pub link: Option<String>,
}

impl Repository {
    /// Reaches the repository of `reference` to read it, and logs in if the registry wants that. What the reference
    /// means is asked for first.
    pub fn to_read(reference: &Reference, options: &Options, context: Context<'_>) -> Result<Self> {
        Self::connect(reference, Purpose::Pull, options, context)
    }

    /// The same to write it, too.
    pub fn to_write(
        reference: &Reference,
        options: &Options,
        context: Context<'_>,
    ) -> Result<Self> {
        Self::connect(reference, Purpose::Push, options, context)
    }

    fn connect(
        reference: &Reference,
        purpose: Purpose,
        options: &Options,
        context: Context<'_>,
    ) -> Result<Self> {
        let name = match &reference.digest {
            Some(digest) => digest.to_string(),
            None => reference.tag_or_latest().to_owned(),
        };
        let client = Client::new(reference, purpose, options, context)?;
        let first = Ask::manifest(&name, &media_type::DOCUMENTS);
        client.connect(first, Vec::new(), context).map(Self)
    }

    /// The registry and the repository.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The manifest or index with this tag or digest; none if there is none.
    pub fn document(&self, name: &str, context: Context<'_>) -> Result<Option<StoredDocument>> {
        let operation = format!("cannot read {name} of {}", self.name());
        let found = self.watched(&operation, context, || {
            self.0.manifest(name, &media_type::DOCUMENTS)
        })?;
        Ok(found.map(|found| StoredDocument {
            digest: found.digest,
            bytes: found.bytes,
        }))
    }

    /// Puts a manifest or index under a tag or its digest. Gives the digest of what it refers to, if the registry says
    /// that it keeps such references.
    pub fn put_document(
        &self,
        name: &str,
        document: &Descriptor,
        bytes: &[u8],
        context: Context<'_>,
    ) -> Result<Option<String>> {
        let operation = format!("cannot push {name} to {}", self.name());
        let put = self.watched(&operation, context, || {
            self.0.put_manifest(name, document, bytes)
        })?;
        match put {
            Put::Taken(subject) => Ok(subject),
            Put::Refused(error) => Err(self.0.error(
                RegistryError {
                    hint: "it takes images only; another registry takes what belongs to them"
                        .to_owned(),
                    ..error
                },
                &operation,
                1,
            )),
        }
    }

    /// The bytes of a small blob.
    pub fn blob(&self, blob: &Descriptor, context: Context<'_>) -> Result<Vec<u8>> {
        if blob.size > LARGEST_BLOB {
            return Err(Error::Registry {
                operation: format!("cannot fetch {} from {}", blob.digest, self.name()),
                message: format!("it has {} bytes, more than {LARGEST_BLOB}", blob.size),
                codes: Vec::new(),
                hint: "documents about images are smaller; oras copies larger ones".to_owned(),
            });
        }
        let mut bytes = Vec::new();
        self.0
            .watch(context, || self.0.download(blob, &mut bytes, context))?;
        Ok(bytes)
    }

    /// Sends a small blob, unless it is there.
    pub fn put_blob(&self, blob: &Descriptor, bytes: &[u8], context: Context<'_>) -> Result<()> {
        let operation = format!("cannot push {} to {}", blob.digest, self.name());
        let mut upload = Upload::new(&self.0, BlobSource::Config(blob, bytes), None);
        let sent = self.watched(&operation, context, || {
            if self.0.has_blob(blob)? {
                return Ok(());
            }
            upload.attempt(context).map(drop)
        });
        sent.inspect_err(|_| upload.cancel())
    }

    /// What there is at a path below the repository; none if the registry knows no such thing.
    pub fn get(&self, path: &str, context: Context<'_>) -> Result<Option<Answer>> {
        let operation = format!("cannot read {path} of {}", self.name());
        self.watched(&operation, context, || {
            let response = self.0.ask(&Ask::at(path, LARGEST_ANSWER))?;
            let unknown = [
                StatusCode::NOT_FOUND,
                StatusCode::METHOD_NOT_ALLOWED,
                StatusCode::NOT_IMPLEMENTED,
            ];
            if unknown.contains(&response.status) {
                return Ok(None);
            }
            let response = response.success()?;
            Ok(Some(Answer {
                link: response.header(LINK).map(str::to_owned),
                bytes: response.body,
            }))
        })
    }

    fn watched<T>(
        &self,
        operation: &str,
        context: Context<'_>,
        attempt: impl FnMut() -> Result<T, strata_exchange::Failure>,
    ) -> Result<T> {
        self.0
            .watch(context, || self.0.retry(operation, context.cancel, attempt))
    }
}
