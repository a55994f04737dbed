//! What is sent to a server.

use std::io::Read;

use ureq::http::{HeaderName, HeaderValue, Method, Uri};

/// What is sent after the headers.
pub(crate) enum Body<'a> {
    /// Nothing.
    Empty,
    /// What can be sent again.
    Bytes(&'a [u8]),
    /// What can be read once.
    Stream {
        /// Its length in bytes, if that is known; else it is sent in chunks (RFC 9112, section 7.1).
        size: Option<u64>,
        /// About how many bytes it will have.
        expected: u64,
        /// Its bytes, exactly so many.
        reader: &'a mut dyn Read,
    },
}

/// A request.
pub(crate) struct Request<'a> {
    /// The method.
    pub(crate) method: Method,
    /// The whole URL.
    pub(crate) url: Uri,
    /// The headers but for `Authorization` and those of the body's length.
    pub(crate) headers: Vec<(HeaderName, String)>,
    /// The `Authorization` header; it goes to the origin of `url` only.
    pub(crate) authorization: Option<HeaderValue>,
    /// What follows the headers.
    pub(crate) body: Body<'a>,
    /// Whether the body is for the origin of `url` only.
    pub(crate) is_secret: bool,
    /// The most bytes of a response's body to keep.
    pub(crate) limit: usize,
    /// How many bytes the response's body will have, if it is read as it comes. It decides how long that
    /// may take.
    pub(crate) expected: Option<u64>,
}

impl<'a> Request<'a> {
    /// The most bytes that are kept of a response whose body only matters if it is an error.
    pub(crate) const ERROR_LIMIT: usize = 64 << 10;

    /// A request without headers and body.
    pub(crate) fn new(method: Method, url: Uri) -> Self {
        Self {
            method,
            url,
            headers: Vec::new(),
            authorization: None,
            body: Body::Empty,
            is_secret: false,
            limit: Self::ERROR_LIMIT,
            expected: None,
        }
    }

    /// The same with a header.
    pub(crate) fn header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same with a body.
    pub(crate) fn body(mut self, body: Body<'a>) -> Self {
        self.body = body;
        self
    }
}
