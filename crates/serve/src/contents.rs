//! What a server has, as it is asked for it.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use strata_copy::Blob;
use strata_layer::Layer;
use strata_oci::{Descriptor, Digest};

/// What a server has. It is asked at each request, by the thread of its client, and may take its time.
pub trait Contents: Sync {
    /// The names that are behind `last`, in their order.
    fn names(&self, last: Option<&str>) -> Vec<String>;

    /// Whether there may be an image of this name.
    fn check(&self, name: &str) -> Result<(), Denied>;

    /// The tags of a name that are behind `last`, in their order.
    fn tags(&self, name: &str, last: Option<&str>) -> Result<Vec<String>, Denied>;

    /// The manifest or index that a name and a tag or digest stand for.
    fn manifest(&self, name: &str, reference: ManifestReference<'_>)
    -> Result<Content<'_>, Denied>;

    /// A config or layer of an image of this name.
    fn blob(&self, name: &str, digest: Digest) -> Result<Content<'_>, Denied>;

    /// Whether a client may ask, by what it says of itself.
    fn admit(&self, _visit: &Visit<'_>) -> Result<(), Denied> {
        Ok(())
    }

    /// What is at a path that is none of a registry.
    fn page(&self, _visit: &Visit<'_>) -> Option<Page> {
        None
    }

    /// Is told what was answered.
    fn answered(&self, _answer: &Answered<'_>) {}
}

/// A request, as pages and logins need it.
#[derive(Clone, Copy, Debug)]
pub struct Visit<'r> {
    /// The path, decoded.
    pub path: &'r str,
    /// The parameters behind the question mark, decoded.
    pub query: &'r BTreeMap<String, String>,
    /// What the client calls this server.
    pub host: Option<&'r str>,
    /// What the client says of itself.
    pub authorization: Option<&'r str>,
}

/// A page, for people or for programs that watch.
#[derive(Clone, Debug)]
pub struct Page {
    /// The status.
    pub status: StatusCode,
    /// The media type.
    pub content_type: &'static str,
    /// More headers.
    pub headers: Vec<(&'static str, String)>,
    /// The page.
    pub body: Vec<u8>,
}

/// What was answered to a request.
#[derive(Clone, Copy, Debug)]
pub struct Answered<'r> {
    /// The method.
    pub method: &'r str,
    /// The path, decoded: what a client sent.
    pub path: &'r str,
    /// The status.
    pub status: u16,
    /// The bytes of the body.
    pub bytes: u64,
    /// Whether all of it was sent.
    pub is_whole: bool,
    /// How long it took, from the request to the last byte.
    pub time: Duration,
}

/// Which manifest of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManifestReference<'r> {
    /// The one that has this tag now. The text is what was asked for, of whatever form.
    Tag(&'r str),
    /// The one of this digest.
    Digest(Digest),
}

/// What is sent to a client.
pub enum Content<'a> {
    /// A blob of an image, made while it is sent.
    Blob(Blob<'a>),
    /// The same of a layer that nobody else keeps.
    Layer(Arc<dyn Layer>),
    /// Bytes that are there.
    Document(Descriptor, Arc<[u8]>),
    /// A file that has the whole blob in it and is not written to any more.
    File(Descriptor, File),
}

impl Content<'_> {
    /// Its media type, digest and size.
    pub fn descriptor(&self) -> &Descriptor {
        match self {
            Self::Blob(blob) => blob.descriptor(),
            Self::Layer(layer) => layer.descriptor(),
            Self::Document(descriptor, _) | Self::File(descriptor, _) => descriptor,
        }
    }
}

/// Why a client does not get what it asked for (distribution specification, "Error Codes").
#[derive(Clone, Debug)]
pub struct Denied {
    /// The status.
    pub status: StatusCode,
    /// The code.
    pub code: &'static str,
    /// What people read.
    pub message: String,
    /// A header that belongs to it, such as `Retry-After`.
    pub header: Option<(&'static str, String)>,
}

impl Denied {
    /// An error without a header.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            header: None,
        }
    }

    /// The error that there is no such thing.
    pub fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }
}
