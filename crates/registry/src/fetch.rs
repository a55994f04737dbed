//! Manifests and blobs out of a repository (distribution specification, "Pull").

use std::io::{self, Read};
use std::ops::Range;

use sha2::{Digest as _, Sha256};
use ureq::http::header::{CONTENT_LENGTH, CONTENT_RANGE, RANGE};
use ureq::http::{Method, StatusCode};

use crate::ask::{Ask, LARGEST_MANIFEST};
use crate::client::Client;
use strata_exchange::Request;
use strata_exchange::{Failure, RegistryError};
use strata_oci::{Descriptor, Digest};

/// A manifest or index as a registry holds it.
#[derive(Clone, Debug)]
pub(crate) struct FoundManifest {
    /// The digest of the bytes.
    pub(crate) digest: Digest,
    /// The document.
    pub(crate) bytes: Vec<u8>,
}

impl Client {
    /// The manifest with this tag or digest (end-3), `None` if there is none. `accepted` are the
    /// media types to ask for. A digest is checked.
    pub(crate) fn manifest(
        &self,
        name: &str,
        accepted: &[&str],
    ) -> Result<Option<FoundManifest>, Failure> {
        let response = self.ask(&Ask::manifest(name, accepted))?;
        if response.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let response = response.success()?;
        if response.body.len() > LARGEST_MANIFEST {
            return Err(RegistryError::permanent(
                "answered with a manifest of more than 4 MiB",
                "",
            )
            .into());
        }
        let digest = Digest::of(&response.body);
        if name.parse().is_ok_and(|wanted: Digest| wanted != digest) {
            return Err(RegistryError::temporary(
                format!("answered with {digest} where {name} was asked for"),
                "something between here and the registry changes what passes",
            )
            .into());
        }
        Ok(Some(FoundManifest {
            digest,
            bytes: response.body,
        }))
    }

    /// Opens a blob (end-2), to be read as it comes. The reader gives exactly the bytes of the
    /// descriptor or fails: at its end, if they have another digest.
    pub(crate) fn blob(&self, blob: &Descriptor) -> Result<BlobReader, Failure> {
        Ok(BlobReader {
            reader: self.open_blob(blob, 0)?,
            left: blob.size,
            hasher: Sha256::new(),
            wanted: blob.digest,
        })
    }

    /// Some bytes of a blob (end-2 with a `Range`). A registry that cannot send a part fails.
    pub(crate) fn blob_part(&self, blob: &Digest, range: Range<u64>) -> Result<Vec<u8>, Failure> {
        let length = range.end.saturating_sub(range.start);
        let limit = usize::try_from(length)
            .ok()
            .and_then(|length| length.checked_add(1));
        let (Some(limit), Some(last)) = (limit, range.end.checked_sub(1)) else {
            return Err(RegistryError::permanent("holds less than is asked for", "").into());
        };
        let request = Request {
            limit,
            expected: Some(length),
            ..Request::new(Method::GET, self.url(&format!("blobs/{blob}"))?)
        };
        let start = range.start;
        let request = request.header(RANGE, format!("bytes={start}-{last}"));
        let response = self.send(request)?;
        if response.status == StatusCode::OK {
            return Err(RegistryError::permanent("sends no parts of blobs", "").into());
        }
        let response = response.success()?;
        let found = response.header(CONTENT_RANGE).unwrap_or_default();
        let is_right = found.starts_with(&format!("bytes {start}-{last}"));
        if !is_right || response.body.len() as u64 != length {
            return Err(RegistryError::permanent("answers with another part of a blob", "").into());
        }
        Ok(response.body)
    }

    /// Opens a blob behind its first `skip` bytes; a registry that cannot begin there sends them all.
    pub(crate) fn open_blob(
        &self,
        blob: &Descriptor,
        skip: u64,
    ) -> Result<Box<dyn Read + Send>, Failure> {
        let url = self.url(&format!("blobs/{}", blob.digest))?;
        let mut request = Request {
            expected: Some(blob.size),
            ..Request::new(Method::GET, url)
        };
        if skip > 0 {
            request = request.header(RANGE, format!("bytes={skip}-"));
        }
        let response = self.open_response(request)?;
        let (is_part, left) = match response.head.status {
            StatusCode::OK => (false, blob.size),
            StatusCode::PARTIAL_CONTENT if skip > 0 => (true, blob.size - skip),
            _ => return Err(response.read()?.error().into()),
        };
        let range = response.head.header(CONTENT_RANGE).unwrap_or_default();
        if is_part && !range.starts_with(&format!("bytes {skip}-")) {
            return Err(RegistryError::permanent("answers with another part of a blob", "").into());
        }
        let length = response.head.header(CONTENT_LENGTH);
        let length = length.and_then(|length| length.parse::<u64>().ok());
        if let Some(length) = length.filter(|length| *length != left) {
            let message = format!("has {length} bytes, and {left} were promised");
            return Err(RegistryError::permanent(message, "").into());
        }
        let mut reader = response.into_body();
        if !is_part {
            io::copy(&mut reader.by_ref().take(skip), &mut io::sink())
                .map_err(|error| RegistryError::from(ureq::Error::from(error)))?;
        }
        Ok(reader)
    }
}

/// The bytes of a blob, as they come.
pub(crate) struct BlobReader {
    reader: Box<dyn Read + Send>,
    left: u64,
    hasher: Sha256,
    wanted: Digest,
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let bad = |message| Err(io::Error::new(io::ErrorKind::InvalidData, message));
        if self.left == 0 {
            if self.reader.read(&mut [0])? > 0 {
                return bad("the blob is longer than its descriptor says");
            }
            let found = Digest::from_bytes(self.hasher.clone().finalize().into());
            return if found == self.wanted {
                Ok(0)
            } else {
                bad("the blob is not the one of its digest")
            };
        }
        let most = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let part = &mut buffer[..most];
        let count = self.reader.read(part)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.hasher.update(&part[..count]);
        self.left -= count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Purpose;
    use crate::fixture::{GREETING, Server};

    /// What comes for the blob `promised` if the registry answers this.
    fn fetch(response: &str) -> Result<Vec<u8>, String> {
        let response = response.to_owned();
        let server = Server::start(move |request| {
            let path = format!("/v2/name/blobs/{}", Digest::of(b"promised"));
            match request.target.as_str() {
                GREETING => "404 No\r\ncontent-length: 0\r\n\r\n".into(),
                "/elsewhere" => "200 OK\r\n\r\npromised".into(),
                target => {
                    assert_eq!(target, path);
                    response.clone().into()
                }
            }
        });
        let client = server.client(Purpose::Pull);
        let mut bytes = Vec::new();
        match client.blob(&Descriptor::of("a/b", b"promised")) {
            Ok(mut reader) => reader
                .read_to_end(&mut bytes)
                .map(|_| bytes)
                .map_err(|error| error.to_string()),
            Err(failure) => Err(format!("{failure:?}")),
        }
    }

    #[test]
    fn blobs_are_what_their_descriptors_say() {
        for response in [
            "200 OK\r\n\r\npromised",
            "200 OK\r\ncontent-length: 8\r\n\r\npromised",
            "200 OK\r\ntransfer-encoding: chunked\r\n\r\n8\r\npromised\r\n0\r\n\r\n",
            "307 There\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n",
        ] {
            assert_eq!(
                fetch(response).as_deref(),
                Ok(&b"promised"[..]),
                "{response}"
            );
        }
        for (response, message) in [
            ("200 OK\r\n\r\npromised and more", "longer"),
            ("200 OK\r\n\r\nPROMISED", "not the one of its digest"),
            ("200 OK\r\n\r\nprom", "unexpected end"),
            (
                "200 OK\r\ncontent-length: 9\r\n\r\npromised!",
                "has 9 bytes",
            ),
            (
                "206 Part\r\ncontent-length: 8\r\n\r\npromised",
                "answered 206",
            ),
            ("404 No\r\ncontent-length: 0\r\n\r\n", "answered 404"),
        ] {
            let error = fetch(response).expect_err(response);
            assert!(error.contains(message), "{response}: {error}");
        }
    }

    #[test]
    fn manifests_are_found_and_checked() {
        let server = Server::start(|request| match request.target.as_str() {
            GREETING | "/v2/name/manifests/missing" => "404 No\r\ncontent-length: 0\r\n\r\n".into(),
            "/v2/name/manifests/endless" => {
                let body = "x".repeat(LARGEST_MANIFEST + 1);
                format!("200 OK\r\n\r\n{body}").into()
            }
            _ => "200 OK\r\ncontent-type: a/b\r\ncontent-length: 2\r\n\r\n{}".into(),
        });
        let client = server.client(Purpose::Pull);
        let get = |name: &str| client.manifest(name, &["a/b", "c/d"]);
        let found = get("tag").unwrap().unwrap();
        assert_eq!(found.bytes, b"{}");
        assert_eq!(
            server.requests().last().unwrap().header("accept"),
            "a/b, c/d"
        );
        assert!(get(&Digest::of(b"{}").to_string()).unwrap().is_some());
        assert!(get(&Digest::of(b"other").to_string()).is_err());
        assert!(get("missing").unwrap().is_none());
        assert!(get("endless").is_err());
    }
}
