//! Questions about a repository whose answers do not depend on each other: they can be sent before anything
//! is known of the registry, all at once.

use ureq::http::header::ACCEPT;
use ureq::http::{HeaderName, Method};

use strata_exchange::Request;
use strata_oci::Digest;

/// The largest manifest or index that registries take, in bytes.
pub(crate) const LARGEST_MANIFEST: usize = 4 << 20;

/// A request without a body to what is below a repository.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// The method.
    pub(crate) method: Method,
    /// Where, below the repository.
    pub(crate) path: String,
    /// The headers.
    pub(crate) headers: Vec<(HeaderName, String)>,
    /// The most bytes of a response's body to keep.
    pub(crate) limit: usize,
}

impl Ask {
    fn new(method: Method, path: String) -> Self {
        Self {
            method,
            path,
            headers: Vec::new(),
            limit: Request::ERROR_LIMIT,
        }
    }

    /// For the manifest with this tag or digest (end-3). `accepted` are the media types to ask for.
    pub(crate) fn manifest(name: &str, accepted: &[&str]) -> Self {
        Self {
            headers: vec![(ACCEPT, accepted.join(", "))],
            limit: LARGEST_MANIFEST + 1,
            ..Self::new(Method::GET, format!("manifests/{name}"))
        }
    }

    /// Whether there is a manifest with this digest (end-3), of this media type.
    pub(crate) fn has_manifest(digest: &Digest, media_type: &str) -> Self {
        Self {
            headers: vec![(ACCEPT, media_type.to_owned())],
            ..Self::new(Method::HEAD, format!("manifests/{digest}"))
        }
    }

    /// Whether there is a blob, and how long it is (end-2).
    pub(crate) fn has_blob(digest: &Digest) -> Self {
        Self::new(Method::HEAD, format!("blobs/{digest}"))
    }

    /// For what there is at a path, in at most so many bytes.
    pub(crate) fn at(path: &str, limit: usize) -> Self {
        Self {
            limit,
            ..Self::new(Method::GET, path.to_owned())
        }
    }

    /// For the first `most` tags (end-8), in at most so many bytes.
    pub(crate) fn tags(most: usize, limit: usize) -> Self {
        Self {
            limit,
            ..Self::new(Method::GET, format!("tags/list?n={most}"))
        }
    }
}
