//! Blobs on their way into a repository (distribution specification, "Push"): check, initiate, stream,
//! commit.
//!
//! Small ones are made first and go with the PUT that ends the upload:
//!
//! ```text
//!  POST ──> PUT ?digest=, all bytes ──> refused: as a large one
//! ```
//!
//! Large ones are made while they are sent:
//!
//! ```text
//!  POST ──> PATCH, all bytes ──────> PUT ?digest=
//!             │ breaks off             │ not now
//!             v                        v
//!           GET: what is there?      PUT again
//!             │    │ no more         │ not now
//!             │    v                 v
//!             │  DELETE, and   <── GET: is all there?
//!             v  all over again        │ yes
//!           PATCH, the rest            └──> PUT again
//! ```

use std::io::Read;
use std::sync::atomic::Ordering;

use ureq::http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE};
use ureq::http::{Method, StatusCode, Uri};

use crate::ask::Ask;
use crate::client::{Client, at_once};
use crate::push::blob_source::{BlobSource, SMALL, UploadReader};
use crate::push::manifest::check_digest;
use strata_error::{Error, Result};
use strata_exchange::Response;
use strata_exchange::{Body, Request};
use strata_exchange::{Failure, RegistryError};
use strata_http::url::with_parameter;
use strata_oci::Descriptor;
use strata_progress::Context;

/// The media type of bytes on their way.
const BYTES: &str = "application/octet-stream";
/// The largest piece in bytes for a registry that does not take a blob at once: what GHCR takes.
const CHUNK: usize = SMALL;

impl Client {
    /// Whether the registry has the blob already. A response that says neither is taken for no: the
    /// upload will tell what is wrong.
    pub(crate) fn has_blob(&self, blob: &Descriptor) -> Result<bool, Failure> {
        let response = match self.ask(&Ask::has_blob(&blob.digest)) {
            Ok(response) => response,
            Err(Failure::Registry(error)) if !error.temporary => return Ok(false),
            Err(failure) => return Err(failure),
        };
        let error = response.error();
        if error.temporary {
            return Err(error.into());
        }
        let size = response
            .header(CONTENT_LENGTH)
            .and_then(|size| size.parse::<u64>().ok());
        Ok(response.status == StatusCode::OK && size.is_none_or(|size| size == blob.size))
    }

    /// Asks the registry to forget an upload. Only courtesy, as registries forget them by themselves, in
    /// days; but an interruption may have cut off the first request.
    pub(super) fn cancel(&self, location: &Uri) {
        let cancel = || self.send(Request::new(Method::DELETE, location.clone()));
        let _ = cancel().or_else(|_| cancel());
    }

    /// Begins so many uploads of blobs that are still to be chosen, all at once. What fails is told to the
    /// first who uploads.
    pub(super) fn open_uploads(&self, count: usize) -> Vec<Opened> {
        at_once(&vec![(); count], |()| self.initiate_upload())
    }

    /// Where to upload the next blob to (end-4a).
    fn initiate_upload(&self) -> Result<Uri, Failure> {
        let url = self.url("blobs/uploads/")?;
        let response = self.send(Request::new(Method::POST, url))?.success()?;
        self.upload_location(&response)
    }

    /// Where a response says that an upload is.
    pub(super) fn upload_location(&self, response: &Response) -> Result<Uri, Failure> {
        let location = response.header(LOCATION).ok_or_else(|| {
            RegistryError::permanent(
                "opened an upload without saying where",
                "is this a registry?",
            )
        })?;
        Ok(self.next_url(response, location)?)
    }
}

/// An upload that was begun ahead: where it is, or why not.
pub(crate) type Opened = Result<Uri, Failure>;

/// How the sending of a blob ended.
enum Sent {
    /// All of it went out.
    All,
    /// The registry does not take so much at once.
    TooMuch,
}

/// How often the PUT that ends an upload was answered with what may pass.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// It was not sent, or something else is wrong.
    Never,
    /// Once: it is sent again as it is.
    Once,
    /// More often: the registry is asked what it has.
    Often,
}

/// What registries say of an upload that they forgot (distribution specification, "Error Codes").
const UPLOAD_UNKNOWN: &str = "BLOB_UPLOAD_UNKNOWN";

/// One blob on its way, in as many tries as it takes.
pub(crate) struct Upload<'a> {
    client: &'a Client,
    source: BlobSource<'a>,
    /// What the registry will hold, once that is known.
    blob: Option<Descriptor>,
    /// What was begun ahead, until it is needed.
    opened: Option<Opened>,
    /// Where the upload is now, if one is open.
    location: Option<Uri>,
    /// How many bytes the registry said that the open upload has.
    offset: u64,
    /// How many bytes went out to the open upload.
    sent: u64,
    /// How the end of the open upload went, of which all was sent.
    ending: Ending,
    /// Whether what broke off may go on; not any more once that went wrong.
    resumable: bool,
    /// Whether there was a try.
    tried: bool,
}

impl<'a> Upload<'a> {
    /// Nothing is sent yet.
    pub(crate) fn new(client: &'a Client, source: BlobSource<'a>, opened: Option<Opened>) -> Self {
        Self {
            client,
            source,
            blob: source.known().cloned(),
            opened,
            location: None,
            offset: 0,
            sent: 0,
            ending: Ending::Never,
            resumable: true,
            tried: false,
        }
    }

    /// One try; gives what the registry holds then. `context` hears how many bytes of the blob were
    /// made, before they are compressed.
    ///
    /// After a failure that may pass, an upload may be open, to go on with the next time; whoever does
    /// not try again cancels it.
    pub(crate) fn attempt(&mut self, context: Context<'_>) -> Result<Descriptor, Failure> {
        if std::mem::replace(&mut self.tried, true)
            && let Some(blob) = self.there_after_all()?
        {
            return Ok(blob);
        }
        if let Some(blob) = self.send_whole(context)? {
            return Ok(blob);
        }
        let streamed = match self.is_whole()? {
            Some(blob) => Ok(blob),
            None => self.initiate().and_then(|()| self.stream(context)),
        };
        let resumed = self.offset > 0;
        let result = streamed.and_then(|blob| {
            self.blob = Some(blob.clone());
            self.end(&blob).map(|()| blob)
        });
        match result {
            // It has to begin again.
            Err(Failure::Registry(error)) if error.codes.iter().any(|it| it == UPLOAD_UNKNOWN) => {
                self.cancel();
                let temporary = true;
                Err(RegistryError { temporary, ..error }.into())
            }
            // ECR takes what is sent after the first PATCH, and forgets it.
            Err(Failure::Registry(error)) if resumed && !error.temporary => {
                self.resumable = false;
                self.cancel();
                let temporary = true;
                Err(RegistryError { temporary, ..error }.into())
            }
            Err(Failure::Registry(error)) if error.temporary => Err(error.into()),
            Err(failure) => {
                self.cancel();
                Err(failure)
            }
            Ok(blob) => Ok(blob),
        }
    }

    /// Sends a small blob in one request. `None` if it is none, or the registry does not take it so.
    fn send_whole(&mut self, context: Context<'_>) -> Result<Option<Descriptor>, Failure> {
        let client = self.client;
        if !self.source.is_small() || client.in_patches.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let Some((bytes, blob)) = self.bytes(context)? else {
            return Ok(None);
        };
        self.blob = Some(blob.clone());
        let sent = self
            .initiate()
            .and_then(|()| self.put(&blob, Body::Bytes(&bytes)));
        match sent {
            Ok(response) if response.status.is_success() => {
                check_digest(&response, &blob.digest)?;
                Ok(Some(blob))
            }
            Ok(response) => {
                self.cancel();
                let error = response.error();
                // It forgot the upload, or can do nothing now.
                let is_passing =
                    error.temporary || error.codes.iter().any(|it| it == UPLOAD_UNKNOWN);
                if is_passing {
                    let temporary = true;
                    return Err(RegistryError { temporary, ..error }.into());
                }
                // In another way it has as many bytes.
                if response.status == StatusCode::PAYLOAD_TOO_LARGE {
                    return Err(error.into());
                }
                client.in_patches.store(true, Ordering::Relaxed);
                Ok(None)
            }
            Err(failure) => {
                self.cancel();
                Err(failure)
            }
        }
    }

    /// The whole blob, unless it is not as small as it said.
    fn bytes(&self, context: Context<'_>) -> Result<Option<(Vec<u8>, Descriptor)>, Failure> {
        // What does not become smaller becomes a little larger.
        let most = (SMALL + SMALL / 8) as u64;
        let known = self.source.known();
        let made = self.source.read(context, |reader| {
            let mut reader = UploadReader::new(reader, known);
            let mut bytes = Vec::new();
            // What is wrong with it, the reader says itself.
            let read = reader.by_ref().take(most).read_to_end(&mut bytes);
            let is_all = read.is_ok() && reader.is_at_end();
            reader.check()?;
            Ok(is_all.then_some(bytes))
        });
        match made {
            Ok((bytes, blob)) => Ok(bytes.map(|bytes| (bytes, blob))),
            Err(error) => Err(Failure::Fatal(error)),
        }
    }

    /// Gives up what the registry got.
    pub(crate) fn cancel(&mut self) {
        let opened = self.opened.take().and_then(Result::ok);
        for location in self.location.take().into_iter().chain(opened) {
            self.client.cancel(&location);
        }
        (self.offset, self.sent) = (0, 0);
        self.ending = Ending::Never;
    }

    /// Ends the upload, of which all was sent. It stays open if that may work the next time.
    fn end(&mut self, blob: &Descriptor) -> Result<(), Failure> {
        let ended = self.commit(blob);
        match &ended {
            Ok(()) => {}
            Err(Failure::Registry(error)) if error.temporary => {
                self.ending = match self.ending {
                    Ending::Never => Ending::Once,
                    Ending::Once | Ending::Often => Ending::Often,
                };
            }
            Err(_) => self.cancel(),
        }
        ended
    }

    /// The blob, if all of it was sent to an upload that only has to be ended. One that lacks something after all
    /// is given up.
    fn is_whole(&mut self) -> Result<Option<Descriptor>, Failure> {
        let Some(blob) = self.blob.clone().filter(|_| self.ending != Ending::Never) else {
            return Ok(None);
        };
        if self.ending == Ending::Often {
            match self.state()? {
                Some((location, size)) if size == blob.size => self.location = Some(location),
                _ => {
                    self.cancel();
                    return Ok(None);
                }
            }
        }
        Ok(Some(blob))
    }

    /// The blob, if the registry has it although the last try failed: a response can be lost.
    fn there_after_all(&mut self) -> Result<Option<Descriptor>, Failure> {
        let Some(blob) = self.blob.clone() else {
            return Ok(None);
        };
        if !self.client.has_blob(&blob)? {
            return Ok(None);
        }
        self.cancel();
        Ok(Some(blob))
    }

    /// Makes sure that an upload is open: the one that broke off if it can go on, else a fresh one.
    fn initiate(&mut self) -> Result<(), Failure> {
        if self.sent > 0 {
            match self.arrived()? {
                Some((location, offset)) => {
                    self.location = Some(location);
                    (self.offset, self.sent) = (offset, offset);
                    return Ok(());
                }
                None => self.cancel(),
            }
        }
        if self.location.is_none() {
            self.location = Some(match self.opened.take() {
                Some(opened) => opened?,
                None => self.client.initiate_upload()?,
            });
        }
        Ok(())
    }

    /// Where to go on, and how much of the blob arrived. `None` unless that is more than before, and no
    /// more than was sent.
    fn arrived(&self) -> Result<Option<(Uri, u64)>, Failure> {
        if !self.resumable {
            return Ok(None);
        }
        let plausible = self.offset + 1..=self.sent;
        let state = self.state()?;
        Ok(state.filter(|(_, offset)| plausible.contains(offset)))
    }

    /// Asks how many bytes of the upload there are, and where it is now (end-13). `None` if that is not known.
    fn state(&self) -> Result<Option<(Uri, u64)>, Failure> {
        let Some(location) = self.location.clone() else {
            return Ok(None);
        };
        let response = match self
            .client
            .send(Request::new(Method::GET, location.clone()))
        {
            Ok(response) => response,
            Err(Failure::Registry(error)) if !error.temporary => return Ok(None),
            Err(failure) => return Err(failure),
        };
        let offset = response.header(RANGE).and_then(end_of_range);
        let Some(offset) = offset.filter(|_| response.status.is_success()) else {
            return Ok(None);
        };
        let location = match response.header(LOCATION) {
            Some(next) => self.client.next_url(&response, next)?,
            None => location,
        };
        Ok(Some((location, offset)))
    }

    /// Sends what the registry lacks; in chunks if it wants that.
    fn stream(&mut self, context: Context<'_>) -> Result<Descriptor, Failure> {
        if !self.client.in_chunks.load(Ordering::Relaxed) {
            if let Some(blob) = self.make(context, Self::patch)? {
                return Ok(blob);
            }
            self.client.in_chunks.store(true, Ordering::Relaxed);
            self.cancel();
            self.initiate()?;
        }
        let blob = self.make(context, Self::patches)?;
        blob.ok_or_else(|| RegistryError::permanent("takes no blob of any size", "").into())
    }

    /// Makes the blob and lets `send` read what the registry lacks. `None` if that is too much for it.
    fn make(
        &mut self,
        context: Context<'_>,
        send: impl FnOnce(&mut Self, &mut UploadReader<'_>) -> Result<Sent, Failure>,
    ) -> Result<Option<Descriptor>, Failure> {
        let blob = self.source;
        let mut outcome = None;
        let made = blob.read(context, |reader| {
            let mut reader = UploadReader::new(reader, blob.known());
            let result = match reader.skip(self.offset) {
                Ok(()) => send(self, &mut reader),
                Err(error) => Err(Failure::Fatal(Error::stream("a blob")(error))),
            };
            self.sent = reader.position();
            reader.check()?;
            outcome = Some(result);
            Ok(())
        });
        match (outcome, made) {
            (Some(Ok(Sent::All)), Ok(((), blob))) => Ok(Some(blob)),
            (_, Err(Error::Interrupted)) | (None, Ok(_)) => Err(Failure::Fatal(Error::Interrupted)),
            // What a layer says to not being read to its end is no news.
            (Some(Ok(Sent::TooMuch)), _) => Ok(None),
            (Some(Err(failure)), _) => Err(failure),
            (_, Err(error)) => Err(Failure::Fatal(error)),
        }
    }

    /// One PATCH with all that is left, as every registry takes it first (end-5).
    fn patch(&mut self, reader: &mut UploadReader<'_>) -> Result<Sent, Failure> {
        let size = reader.left();
        let mut request = self.patch_request()?.body(Body::Stream {
            size,
            expected: size.unwrap_or(self.source.descriptor().size),
            reader,
        });
        if let Some(size) = size
            && self.offset > 0
        {
            let range = format!("{}-{}", self.offset, self.offset + size.saturating_sub(1));
            request = request.header(CONTENT_RANGE, range);
        }
        let response = self.client.send(request)?;
        let limits = matches!(response.status.as_u16(), 413 | 416);
        if limits && self.source.descriptor().size > CHUNK as u64 {
            return Ok(Sent::TooMuch);
        }
        self.moved(&response.success()?)?;
        if reader.is_at_end() {
            Ok(Sent::All)
        } else {
            Err(RegistryError::temporary("answered before it had the whole blob", "").into())
        }
    }

    /// A PATCH for each piece, with its range.
    fn patches(&mut self, reader: &mut UploadReader<'_>) -> Result<Sent, Failure> {
        let mut piece = Vec::new();
        loop {
            let start = reader.position();
            piece.clear();
            reader
                .by_ref()
                .take(CHUNK as u64)
                .read_to_end(&mut piece)
                .map_err(|error| Failure::Fatal(Error::stream("a blob")(error)))?;
            let Some(last) = piece.len().checked_sub(1) else {
                // Whoever makes the blob has something to say until it ends.
                return if reader.is_at_end() {
                    Ok(Sent::All)
                } else {
                    Err(RegistryError::temporary("did not get the whole blob", "").into())
                };
            };
            let range = format!("{start}-{}", start + last as u64);
            let request = self.patch_request()?.header(CONTENT_RANGE, range);
            let response = self.client.send(request.body(Body::Bytes(&piece)))?;
            self.moved(&response.success()?)?;
        }
    }

    fn patch_request<'b>(&self) -> Result<Request<'b>, Failure> {
        Ok(Request::new(Method::PATCH, self.here()?).header(CONTENT_TYPE, BYTES))
    }

    /// Where the upload is.
    fn here(&self) -> Result<Uri, RegistryError> {
        let none = || RegistryError::temporary("forgot where the upload is", "");
        self.location.clone().ok_or_else(none)
    }

    /// Follows the upload to where a response says that it is now.
    fn moved(&mut self, response: &Response) -> Result<(), Failure> {
        if let Some(next) = response.header(LOCATION) {
            self.location = Some(self.client.next_url(response, next)?);
        }
        Ok(())
    }

    /// The PUT that ends the upload (end-6), with what is left of the blob.
    fn put(&self, blob: &Descriptor, rest: Body<'_>) -> Result<Response, Failure> {
        let end =
            with_parameter(&self.here()?, "digest", &blob.digest.to_string()).ok_or_else(|| {
                RegistryError::permanent("answered with a location that is too long", "")
            })?;
        let request = Request::new(Method::PUT, end).header(CONTENT_TYPE, BYTES);
        self.client.send(request.body(rest))
    }

    /// Ends the upload.
    fn commit(&self, blob: &Descriptor) -> Result<(), Failure> {
        let response = self.put(blob, Body::Empty)?;
        if response.status.is_success() {
            check_digest(&response, &blob.digest)?;
            return Ok(());
        }
        let error = response.error();
        // Some registries are done when they have answered 201 to the PATCH.
        if !error.temporary && self.client.has_blob(blob)? {
            return Ok(());
        }
        Err(error.into())
    }
}

/// How many bytes a `Range` header says that there are: `0-99` and `bytes=0-99` are 100. `0-0` is
/// also what registries say of nothing.
fn end_of_range(text: &str) -> Option<u64> {
    let text = text.strip_prefix("bytes=").unwrap_or(text);
    let last: u64 = text.strip_prefix("0-")?.trim().parse().ok()?;
    (last > 0).then(|| last.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_every_form_are_read() {
        for (text, bytes) in [
            ("0-99", Some(100)),
            ("bytes=0-99", Some(100)),
            ("0-0", None),
            ("1-99", None),
            ("0-", None),
            ("99", None),
            ("-1", None),
            ("0-99999999999999999999999", None),
        ] {
            assert_eq!(end_of_range(text), bytes, "{text}");
        }
    }
}
