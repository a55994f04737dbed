//! Responses, and their heads as bytes.

use std::ops::Range;

use http::StatusCode;
use serde_json::{Value, json};

use crate::contents::Content;
use crate::request::Refusal;
use strata_oci::json as canonical;

/// What every JSON but manifests is.
pub(crate) const JSON: &str = "application/json";

/// A response.
pub(crate) struct Response<'a> {
    /// The status.
    pub(crate) status: StatusCode,
    /// The headers, but for those about the connection.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// The body.
    pub(crate) body: Body<'a>,
}

/// What follows the head of a response.
pub(crate) enum Body<'a> {
    /// These bytes.
    Bytes(Vec<u8>),
    /// Parts of a blob, of which some are made when they are sent.
    Content(Box<Content<'a>>, Parts),
}

/// Parts of a blob, in its order, and what is sent besides.
#[derive(Default)]
pub(crate) struct Parts {
    /// What comes before each, and the part.
    pub(crate) parts: Vec<(Vec<u8>, Range<u64>)>,
    /// What comes behind the last.
    pub(crate) after: Vec<u8>,
}

impl Parts {
    /// One part, or the whole blob, and nothing besides.
    pub(crate) fn one(part: Range<u64>) -> Self {
        Self {
            parts: vec![(Vec::new(), part)],
            after: Vec::new(),
        }
    }

    /// Parts of a blob of `size` bytes as `multipart/byteranges` (RFC 9110, section 14.6); `boundary` is in none.
    pub(crate) fn several(
        ranges: Vec<Range<u64>>,
        size: u64,
        content_type: &str,
        boundary: &str,
    ) -> Self {
        let parts = ranges.into_iter().map(|part| {
            let range = content_range(&part, size);
            let head = format!(
                "\r\n--{boundary}\r\nContent-Type: {content_type}\r\nContent-Range: {range}\r\n\r\n"
            );
            (head.into_bytes(), part)
        });
        Self {
            parts: parts.collect(),
            after: format!("\r\n--{boundary}--\r\n").into_bytes(),
        }
    }

    /// Where the last part ends.
    pub(crate) fn end(&self) -> u64 {
        self.parts.last().map_or(0, |(_, part)| part.end)
    }
}

/// The value of `Content-Range` for a part of a blob.
pub(crate) fn content_range(part: &Range<u64>, size: u64) -> String {
    format!("bytes {}-{}/{size}", part.start, part.end.saturating_sub(1))
}

impl Body<'_> {
    /// Its length in bytes.
    pub(crate) fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Content(_, Parts { parts, after }) => {
                let parts = parts.iter().map(|(before, part)| {
                    before.len() as u64 + part.end.saturating_sub(part.start)
                });
                parts.sum::<u64>() + after.len() as u64
            }
        }
    }
}

impl Response<'_> {
    /// A JSON document.
    pub(crate) fn json(content_type: &str, value: &Value) -> Self {
        Self {
            status: StatusCode::OK,
            headers: vec![("Content-Type", content_type.to_owned())],
            body: Body::Bytes(canonical::to_bytes(value)),
        }
    }

    /// An error in the form of the specification ("Error Codes").
    pub(crate) fn error(status: StatusCode, code: &str, message: &str) -> Self {
        let error = json!({ "code": code, "message": message, "detail": null });
        Self {
            status,
            ..Self::json(JSON, &json!({ "errors": [error] }))
        }
    }

    /// The error that there is no such thing.
    pub(crate) fn not_found(code: &str, message: &str) -> Self {
        Self::error(StatusCode::NOT_FOUND, code, message)
    }

    /// The same with a header.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl From<Refusal> for Response<'_> {
    fn from(Refusal { status, message }: Refusal) -> Self {
        Self::error(status, "UNSUPPORTED", message)
    }
}

/// The head of a response (RFC 9112, section 4).
pub(crate) fn head(status: StatusCode, headers: &[(&str, String)]) -> Vec<u8> {
    let reason = status.canonical_reason().unwrap_or_default();
    let mut head = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16());
    for (name, value) in headers {
        // A line break would be the end of the header, whatever it was made from.
        let value: String = value.chars().filter(|one| !one.is_control()).collect();
        head.extend([name, ": ", &value, "\r\n"]);
    }
    head.push_str("\r\n");
    head.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_have_no_other_lines_than_theirs() {
        let head = head(StatusCode::NOT_FOUND, &[("A", "b\r\nC: d".to_owned())]);
        assert_eq!(head, b"HTTP/1.1 404 Not Found\r\nA: bC: d\r\n\r\n");
    }
}
