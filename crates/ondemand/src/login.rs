//! Who may ask: users and the digests of their tokens, in a file.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::StatusCode;

use strata_error::{Error, Result, small_file};
use strata_oci::Digest;
use strata_serve::Denied;

/// The largest file, in bytes.
const LARGEST_FILE: u64 = 1 << 20;

/// Users by their names, with the digests of their tokens.
pub(crate) struct Login(BTreeMap<String, Digest>);

impl Login {
    /// The users of a file: lines `NAME:SHA256`, the digest in hexadecimal digits.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let bytes = small_file::read(path, LARGEST_FILE)?;
        Self::parse(&bytes).map_err(|line| Error::Document {
            document: path.display().to_string(),
            message: format!("line {line} is no user"),
            hint: "write NAME:DIGEST; `printf %s TOKEN | sha256sum` gives the digest".to_owned(),
        })
    }

    /// The users of a file; the error is the number of a line that is wrong.
    fn parse(bytes: &[u8]) -> Result<Self, usize> {
        let text = str::from_utf8(bytes).map_err(|_| 1_usize)?;
        let lines = text.lines().zip(1_usize..);
        let lines = lines.filter(|(line, _)| !line.is_empty() && !line.starts_with('#'));
        let users = lines.map(|(line, number)| {
            let (name, digest) = line.split_once(':').ok_or(number)?;
            let digest = format!("sha256:{}", digest.trim());
            Ok((name.to_owned(), digest.parse().map_err(|_| number)?))
        });
        users.collect::<Result<_, _>>().map(Self)
    }

    /// Refuses who does not say who they are, by `Authorization` (RFC 7617).
    pub(crate) fn admit(&self, authorization: Option<&str>) -> Result<(), Denied> {
        let credentials = authorization.and_then(|header| {
            let (scheme, encoded) = header.split_once(' ')?;
            let decoded = BASE64_STANDARD.decode(encoded.trim()).ok()?;
            let decoded = String::from_utf8(decoded).ok()?;
            scheme.eq_ignore_ascii_case("basic").then_some(decoded)
        });
        let is_known = credentials.is_some_and(|credentials| {
            let (name, token) = credentials.split_once(':').unwrap_or_default();
            // How long this takes says something of digests alone.
            self.0.get(name) == Some(&Digest::of(token.as_bytes()))
        });
        if is_known {
            return Ok(());
        }
        let message = "log in first: docker login HOST";
        Err(Denied {
            header: Some((
                "WWW-Authenticate",
                "Basic realm=\"strata registry\", charset=\"UTF-8\"".to_owned(),
            )),
            ..Denied::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_the_token_may_ask() {
        let digest = Digest::of(b"t:ken").hex();
        let login = Login::parse(format!("# users\n\nme:{digest}\n").as_bytes());
        let login = login.unwrap_or_else(|line| panic!("line {line}"));
        let asks = |text: &str| {
            let header = format!("Basic {}", BASE64_STANDARD.encode(text));
            login.admit(Some(&header)).is_ok()
        };
        assert!(asks("me:t:ken"));
        for other in ["me:token", "me:", "me", "you:t:ken", ":", ""] {
            assert!(!asks(other), "{other}");
        }
        for header in [
            None,
            Some("Basic"),
            Some("Basic !"),
            Some("Bearer bWU6dDprZW4="),
        ] {
            let denied = login.admit(header).unwrap_err();
            assert_eq!(denied.status, 401);
            assert_eq!(denied.header.unwrap().0, "WWW-Authenticate");
        }
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        for (text, line) in [("me", 1), ("# x\nme:abc", 2), ("me:\u{e4}", 1)] {
            assert_eq!(Login::parse(text.as_bytes()).err(), Some(line), "{text}");
        }
        assert_eq!(Login::parse(b"\xff").err(), Some(1));
    }
}
