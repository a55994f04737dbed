//! Blobs and manifests on their way into a repository (distribution specification, "Push").

use std::io::{self, Read};

use ureq::http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use ureq::http::{Method, StatusCode, Uri};

use super::address::with_parameter;
use super::answer::Answer;
use super::client::{Client, Failure};
use super::http::{Body, Request};
use super::problem::Problem;
use crate::image::{Layer, read_layer};
use crate::oci::{Descriptor, Digest};
use crate::transport::blob::Blob;
use crate::{Error, Result};

/// The header in which registries say what they hold.
const CONTENT_DIGEST: &str = "docker-content-digest";
/// The largest manifest that registries take.
const LARGEST_MANIFEST: usize = 4 << 20;

impl Client {
    /// Whether the registry has the blob already. An answer that says neither is taken for no: the
    /// upload will tell what is wrong.
    pub(super) fn has_blob(&self, blob: &Descriptor) -> Result<bool, Failure> {
        let address = self.address(&format!("blobs/{}", blob.digest))?;
        let answer = match self.send(Request::new(Method::HEAD, address)) {
            Ok(answer) => answer,
            Err(Failure::Problem(problem)) if !problem.temporary => return Ok(false),
            Err(failure) => return Err(failure),
        };
        let problem = answer.problem();
        if problem.temporary {
            return Err(problem.into());
        }
        let size = answer
            .header(CONTENT_LENGTH)
            .and_then(|size| size.parse::<u64>().ok());
        Ok(answer.status == StatusCode::OK && size.is_none_or(|size| size == blob.size))
    }

    /// Uploads a blob; `sent` hears how many of its bytes went out. When this fails, the registry
    /// has been asked to forget what it got.
    pub(super) fn upload(
        &self,
        blob: Blob<'_>,
        sent: &dyn Fn(u64) -> Result<()>,
    ) -> Result<(), Failure> {
        let mut location = self.begin_upload()?;
        let result = self.fill_upload(blob, &mut location, sent);
        if result.is_err() {
            // Only courtesy: registries forget uploads by themselves, in days.
            let _ = self.send(Request::new(Method::DELETE, location));
        }
        result
    }

    /// Where to upload the next blob to (end-4a).
    fn begin_upload(&self) -> Result<Uri, Failure> {
        let address = self.address("blobs/uploads/")?;
        let answer = self.send(Request::new(Method::POST, address))?.success()?;
        let location = answer.header(LOCATION).ok_or_else(|| {
            Problem::lasting(
                "opened an upload without saying where",
                "is this a registry?",
            )
        })?;
        Ok(self.next_address(&answer, location)?)
    }

    /// One PATCH with all the bytes, as every registry takes it, and the PUT that ends the upload
    /// (end-5, end-6). `location` stays where the upload is now.
    fn fill_upload(
        &self,
        blob: Blob<'_>,
        location: &mut Uri,
        sent: &dyn Fn(u64) -> Result<()>,
    ) -> Result<(), Failure> {
        let digest = blob.descriptor().digest;
        let answer = match blob {
            Blob::Document(descriptor, mut bytes) => {
                self.send_bytes(descriptor, location, &mut bytes, sent)?
            }
            Blob::Layer(layer) => self.send_layer(layer, location, sent)?,
        };
        if let Some(next) = answer.header(LOCATION) {
            *location = self.next_address(&answer, next)?;
        }
        let end = with_parameter(location, "digest", &digest.to_string())
            .ok_or_else(|| Problem::lasting("answered with a location that is too long", ""))?;
        let request =
            Request::new(Method::PUT, end).header(CONTENT_TYPE, "application/octet-stream");
        let answer = self.send(request)?.success()?;
        check_digest(&answer, &digest)?;
        Ok(())
    }

    /// The PATCH with a layer. A layer that cannot be made, or is not the promised one, is what went
    /// wrong, even if the registry took it.
    fn send_layer(
        &self,
        layer: &dyn Layer,
        location: &Uri,
        sent: &dyn Fn(u64) -> Result<()>,
    ) -> Result<Answer, Failure> {
        let mut failure = None;
        let read = read_layer(layer, |reader| {
            match self.send_bytes(layer.descriptor(), location, reader, sent) {
                Ok(answer) => Ok(Some(answer)),
                Err(Failure::Fatal(error)) if !matches!(error, Error::Interrupted) => Err(error),
                // Then the layer was not read to its end, and what it says to that is no news.
                Err(other) => {
                    failure = Some(other);
                    Ok(None)
                }
            }
        });
        if let Some(failure) = failure {
            return Err(failure);
        }
        read.map_err(Failure::Fatal)?
            .ok_or(Failure::Fatal(Error::Interrupted))
    }

    /// The PATCH.
    fn send_bytes(
        &self,
        blob: &Descriptor,
        location: &Uri,
        reader: &mut dyn Read,
        sent: &dyn Fn(u64) -> Result<()>,
    ) -> Result<Answer, Failure> {
        let mut watched = Watched {
            blob,
            reader,
            left: blob.size,
            sent,
            stopped: None,
        };
        let request = Request::new(Method::PATCH, location.clone())
            .header(CONTENT_TYPE, "application/octet-stream")
            .body(Body::Stream {
                size: blob.size,
                reader: &mut watched,
            });
        let answer = self.send(request);
        if let Some(error) = watched.stopped {
            return Err(Failure::Fatal(error));
        }
        let left = watched.left;
        let answer = answer?.success()?;
        // Reading to the end also lets a layer say that it is not the promised one.
        if left == 0 && reader.read(&mut [0]).is_ok_and(|more| more == 0) {
            Ok(answer)
        } else {
            Err(Failure::Fatal(wrong_size(blob)))
        }
    }

    /// Puts a manifest under a tag or its digest, and makes sure that the registry then has it
    /// (end-7).
    pub(super) fn put_manifest(
        &self,
        name: &str,
        manifest: &Descriptor,
        bytes: &[u8],
    ) -> Result<(), Failure> {
        let address = self.address(&format!("manifests/{name}"))?;
        let request = Request::new(Method::PUT, address.clone())
            .header(CONTENT_TYPE, manifest.media_type.clone())
            .body(Body::Bytes(bytes));
        let answer = self.send(request)?.success()?;
        if check_digest(&answer, &manifest.digest)? {
            return Ok(());
        }
        // Not every registry says what it took; then it is read back.
        let request =
            Request::new(Method::GET, address).header(ACCEPT, manifest.media_type.clone());
        let answer = self
            .send(Request {
                limit: LARGEST_MANIFEST,
                ..request
            })?
            .success()?;
        let found = Digest::of(&answer.body);
        if found == manifest.digest {
            Ok(())
        } else {
            Err(changed(&manifest.digest, &found).into())
        }
    }
}

/// Whether the registry says that it holds `digest`; an error if it says that it holds another.
fn check_digest(answer: &Answer, digest: &Digest) -> Result<bool, Problem> {
    match answer.header(CONTENT_DIGEST).map(str::parse::<Digest>) {
        Some(Ok(found)) if found != *digest => Err(changed(digest, &found)),
        // Another algorithm tells nothing.
        found => Ok(matches!(found, Some(Ok(_)))),
    }
}

fn changed(sent: &Digest, found: &Digest) -> Problem {
    Problem::lasting(
        format!("holds {found} now, and {sent} was sent"),
        "something between here and the registry changes what passes, or somebody else pushed \
         to this tag just now",
    )
}

fn wrong_size(blob: &Descriptor) -> Error {
    Error::Mismatch {
        what: format!("layer {}", blob.digest),
        expected: format!("{} bytes", blob.size),
        found: "another number".to_owned(),
        hint: "build the image again".to_owned(),
    }
}

/// Reads a blob for an upload: exactly its bytes, and no further when the user gave up.
struct Watched<'a> {
    blob: &'a Descriptor,
    reader: &'a mut dyn Read,
    left: u64,
    sent: &'a dyn Fn(u64) -> Result<()>,
    /// Why the upload must stop, when the reason is not the registry.
    stopped: Option<Error>,
}

impl Watched<'_> {
    fn stop(&mut self, error: Error) -> io::Error {
        self.stopped = Some(error);
        io::Error::other("stopped")
    }
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let count = match self.reader.read(&mut buffer[..most]) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => return Err(self.stop(Error::stream("blob")(error))),
        };
        if count == 0 {
            let error = wrong_size(self.blob);
            return Err(self.stop(error));
        }
        self.left -= count as u64;
        (self.sent)(count as u64).map_err(|error| self.stop(error))?;
        Ok(count)
    }
}
