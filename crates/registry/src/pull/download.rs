//! Whole blobs out of a repository, to where they are kept (distribution specification, "Pull").

use std::io::{self, Write};

use ureq::http::StatusCode;
use ureq::http::header::CONTENT_LENGTH;

use crate::ask::Ask;
use crate::client::Client;
use strata_error::{Error, Result};
use strata_exchange::{Failure, RegistryError};
use strata_oci::{Descriptor, Digest, Hasher};
use strata_progress::Context;

/// Bytes that are read at once.
const BUFFER: usize = 128 << 10;

impl Client {
    /// Fetches a blob to `writer`, which gets each byte once, also where a connection breaks off and
    /// the rest is asked for. Other bytes than the descriptor promises are an error, which is known
    /// after the last one. `context` hears how many bytes came, and may stop it.
    pub(crate) fn download(
        &self,
        blob: &Descriptor,
        writer: &mut dyn Write,
        context: Context<'_>,
    ) -> Result<()> {
        let mut received = 0;
        let mut hasher = Hasher::default();
        let mut buffer = vec![0; BUFFER];
        let operation = format!("cannot fetch {} from {}", blob.digest, self.name);
        self.retry(&operation, context.cancel, || {
            let mut reader = self.open_blob(blob, received)?;
            loop {
                let count = match reader.read(&mut buffer) {
                    Ok(count) => count,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => return Err(RegistryError::from(ureq::Error::from(error)).into()),
                };
                let part = buffer.get(..count).unwrap_or_default();
                if count == 0 {
                    break;
                }
                if received + count as u64 > blob.size {
                    let message = format!("sends more than the {} bytes of it", blob.size);
                    return Err(RegistryError::permanent(message, "").into());
                }
                // Hashing goes to memory and cannot fail.
                let _ = hasher.write_all(part);
                writer
                    .write_all(part)
                    .map_err(|error| Failure::Fatal(Error::stream("a blob")(error)))?;
                received += count as u64;
                context
                    .advance(blob, count as u64)
                    .map_err(Failure::Fatal)?;
            }
            if received < blob.size {
                let message = format!("ended after {received} of {} bytes", blob.size);
                return Err(RegistryError::temporary(message, "").into());
            }
            Ok(())
        })?;
        let (found, _) = hasher.finish();
        if found == blob.digest {
            return Ok(());
        }
        Err(Error::Mismatch {
            what: format!("blob of {}", self.name),
            expected: blob.digest.to_string(),
            found: found.to_string(),
            hint: "the registry, or something before it, has a damaged blob".to_owned(),
        })
    }

    /// How many bytes a blob has (end-2 with `HEAD`).
    pub(crate) fn blob_size(&self, digest: &Digest) -> Result<u64, Failure> {
        let response = self.ask(&Ask::has_blob(digest))?;
        if response.status != StatusCode::OK {
            return Err(response.error().into());
        }
        let size = response.header(CONTENT_LENGTH);
        size.and_then(|size| size.parse().ok()).ok_or_else(|| {
            RegistryError::permanent(format!("does not say how long {digest} is"), "").into()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Purpose;
    use crate::fixture::{GREETING, Server};

    /// What is written for the blob `promised` if the registry answers the first request with one and
    /// others, which come with a range, with the other; and how many requests there were.
    fn fetch(first: &str, next: &str) -> (Result<String, String>, usize) {
        let (first, next) = (first.to_owned(), next.to_owned());
        let server = Server::start(move |request| {
            match (request.target.as_str(), request.header("range")) {
                (GREETING, _) => "404 No\r\ncontent-length: 0\r\n\r\n".into(),
                (_, "") => first.clone().into(),
                (_, "bytes=4-") => next.clone().into(),
                other => panic!("{other:?}"),
            }
        });
        let client = server.client_that_tries(3, Purpose::Pull);
        let blob = Descriptor::of("a/b", b"promised");
        let mut bytes = Vec::new();
        let result = client.download(&blob, &mut bytes, Context::silent());
        let text = String::from_utf8(bytes).unwrap();
        let count = server.requests().len() - 1;
        (
            result.map(|()| text).map_err(|error| error.to_string()),
            count,
        )
    }

    #[test]
    fn a_blob_that_breaks_off_goes_on() {
        let broken = "200 OK\r\ncontent-length: 8\r\n\r\nprom";
        let rest = "206 Part\r\ncontent-length: 4\r\ncontent-range: bytes 4-7/8\r\n\r\nised";
        assert_eq!(fetch(broken, rest), (Ok("promised".to_owned()), 2));
        // A registry that knows no ranges.
        let whole = "200 OK\r\ncontent-length: 8\r\n\r\npromised";
        assert_eq!(fetch(broken, whole), (Ok("promised".to_owned()), 2));
        let busy = "503 Busy\r\ncontent-length: 0\r\n\r\n";
        let (result, count) = fetch(broken, busy);
        assert!(result.unwrap_err().contains("answered 503"));
        assert_eq!(count, 3);
    }

    #[test]
    fn other_bytes_are_refused() {
        let broken = "200 OK\r\ncontent-length: 8\r\n\r\nprom";
        for (first, next, message) in [
            ("200 OK\r\n\r\nPROMISED", "", "expected sha256:"),
            (
                "200 OK\r\n\r\npromised and more",
                "",
                "more than the 8 bytes",
            ),
            (
                "200 OK\r\ncontent-length: 9\r\n\r\npromised!",
                "",
                "has 9 bytes, and 8 were",
            ),
            ("404 No\r\ncontent-length: 0\r\n\r\n", "", "answered 404"),
            (
                broken,
                "206 Part\r\ncontent-range: bytes 3-7/8\r\n\r\nmised",
                "another part",
            ),
            (
                broken,
                "206 Part\r\ncontent-range: bytes 4-7/8\r\n\r\nISED",
                "expected sha256:",
            ),
        ] {
            let error = fetch(first, next).0.expect_err(first);
            assert!(error.contains(message), "{first}: {error}");
        }
    }
}
