//! What is sent to a server.

use std::io::Read;

use ureq::http::{HeaderName, HeaderValue, Method, Uri};

/// What is sent after the headers.
pub enum Body<'a> {
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
pub struct Request<'a> {
    /// The method.
    pub method: Method,
    /// The whole URL.
    pub url: Uri,
    /// The headers but for `Authorization` and those of the body's length.
    pub headers: Vec<(HeaderName, String)>,
    /// The `Authorization` header; it goes to the origin of `url` only.
    pub authorization: Option<HeaderValue>,
    /// What follows the headers.
    pub body: Body<'a>,
    /// Whether the body is for the origin of `url` only.
    pub is_secret: bool,
    /// The most bytes of a response's body to keep.
    pub limit: usize,
    /// How many bytes the response's body will have, if it is read as it comes. It decides how long that
    /// may take.
    pub expected: Option<u64>,
}

impl<'a> Request<'a> {
    /// The most bytes that are kept of a response whose body only matters if it is an error.
    pub const ERROR_LIMIT: usize = 64 << 10;

    /// A request without headers and body.
    pub fn new(method: Method, url: Uri) -> Self {
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
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same with a body.
    #[must_use]
    pub fn body(mut self, body: Body<'a>) -> Self {
        self.body = body;
        self
    }
}
