//! What a registry answered, and what its error documents say.

use std::io::{Cursor, Read};
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::Value;
use ureq::http::{self, HeaderMap, Method, StatusCode, Uri, header};

use crate::error::{Reached, RegistryError};
use crate::request::Request;
use strata_error::printable;

/// The most errors of one response that are shown.
const MOST_ERRORS: usize = 3;

/// A response, with as much of its body as was asked for.
pub struct Response {
    /// The URL that answered, after redirects.
    pub url: Uri,
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, cut at the limit of the request.
    pub body: Vec<u8>,
}

impl Response {
    /// A header's text.
    pub fn header(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The response if it is a success (2xx), else what went wrong.
    pub fn success(self) -> Result<Self, RegistryError> {
        if self.status.is_success() {
            Ok(self)
        } else {
            Err(self.error())
        }
    }

    /// What this response means as a failure.
    pub fn error(&self) -> RegistryError {
        let mut message = format!("answered {}", self.status.as_u16());
        if let Some(reason) = self.status.canonical_reason() {
            message.push(' ');
            message.push_str(reason);
        }
        let document = serde_json::from_slice::<Document>(&self.body).ok();
        if let Some(details) = describe(document.as_ref(), &self.body) {
            message.push_str(": ");
            message.push_str(&details);
        }
        let errors = document.map(|document| document.errors).unwrap_or_default();
        RegistryError {
            message,
            codes: errors.into_iter().map(|entry| entry.code).collect(),
            hint: hint(self.status).to_owned(),
            temporary: is_temporary(self.status),
            reached: Reached::Response,
            pause: self
                .header(header::RETRY_AFTER)
                .and_then(|text| retry_after(text, SystemTime::now())),
        }
    }
}

/// A response whose body is still to be read.
pub struct ResponseReader {
    /// The response without its body.
    pub head: Response,
    /// The body, unless it is in the response already.
    body: Option<ureq::Body>,
    limit: usize,
    /// Whether the body is what was asked for; elsewhere the status says enough.
    matters: bool,
}

impl ResponseReader {
    /// What came back for this request; of the body nothing is read yet.
    pub fn new(response: http::Response<ureq::Body>, request: &Request<'_>) -> Self {
        let (parts, body) = response.into_parts();
        Self {
            head: Response {
                url: request.url.clone(),
                status: parts.status,
                headers: parts.headers,
                body: Vec::new(),
            },
            body: Some(body),
            limit: request.limit,
            matters: request.method == Method::GET && parts.status.is_success(),
        }
    }

    /// The response with its body, cut at the limit of the request.
    pub fn read(mut self) -> Result<Response, RegistryError> {
        if let Some(mut body) = self.body {
            let mut reader = body.as_reader().take(self.limit as u64);
            let received = reader.read_to_end(&mut self.head.body);
            if let Err(error) = received
                && self.matters
            {
                return Err(ureq::Error::from(error).into());
            }
        }
        Ok(self.head)
    }

    /// The body, to be read as it comes.
    pub fn into_body(self) -> Box<dyn Read + Send> {
        match self.body {
            Some(body) => Box::new(body.into_reader()),
            None => Box::new(Cursor::new(self.head.body)),
        }
    }
}

impl From<Response> for ResponseReader {
    fn from(response: Response) -> Self {
        Self {
            head: response,
            body: None,
            limit: 0,
            matters: false,
        }
    }
}

/// Responses that the next try may not get.
fn is_temporary(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}

/// The way out, as far as the status tells.
fn hint(status: StatusCode) -> &'static str {
    match status.as_u16() {
        404 => "check the repository's name; some registries want it created first",
        407 => "the proxy wants a user and a password: http://USER:PASSWORD@HOST:PORT",
        413 => {
            "the registry or a proxy before it limits uploads (nginx: client_max_body_size); smaller \
             layers (maxLayers) may pass"
        }
        429 => "wait a while; logged in, the limit is often higher",
        500..=599 => "the registry's own log says more; try again later",
        _ => "",
    }
}

/// How long from `now` a `Retry-After` header asks to wait, with seconds or a date (RFC 9110, section 10.2.3).
fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text.trim()).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// The `errors` of a response (distribution specification, "Error Codes"), or what authorization
/// servers and proxies say instead.
#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    errors: Vec<Entry>,
    details: Option<Value>,
    error_description: Option<Value>,
    message: Option<Value>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// What a body says, for a message.
fn describe(document: Option<&Document>, body: &[u8]) -> Option<String> {
    let text = match document {
        Some(document) if document.errors.is_empty() => [
            &document.details,
            &document.error_description,
            &document.message,
            &document.error,
        ]
        .into_iter()
        .flatten()
        .find_map(|value| value.as_str().map(str::to_owned))?,
        Some(document) => {
            let shown = document.errors.iter().take(MOST_ERRORS);
            let shown = shown.map(
                |entry| match (entry.code.as_str(), entry.message.as_str()) {
                    (code, "") => code.to_owned(),
                    ("", message) => message.to_owned(),
                    (code, message) => format!("{code}: {message}"),
                },
            );
            shown.collect::<Vec<_>>().join("; ")
        }
        // A page for browsers helps nobody here.
        None => std::str::from_utf8(body)
            .ok()
            .filter(|text| !text.contains('<'))?
            .to_owned(),
    };
    let text = printable(&text);
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use strata_error::LONGEST_TEXT;

    fn response(status: u16, headers: &[(&'static str, &str)], body: &str) -> Response {
        Response {
            url: Uri::from_static("http://r/"),
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .collect(),
            body: body.into(),
        }
    }

    #[test]
    fn errors_are_read_in_each_dialect() {
        for (body, message) in [
            (
                r#"{"errors":[{"code":"DENIED","message":"no","detail":{"a":[1]}},{"code":"X"}]}"#,
                "answered 403 Forbidden: DENIED: no; X",
            ),
            (
                r#"{"details":"incorrect username or password"}"#,
                "answered 403 Forbidden: incorrect username or password",
            ),
            (
                r#"{"error":{"a":1},"message":"m"}"#,
                "answered 403 Forbidden: m",
            ),
            (
                "plain\ntext\u{1b}[31m",
                "answered 403 Forbidden: plain text [31m",
            ),
            ("<html>nginx</html>", "answered 403 Forbidden"),
            ("", "answered 403 Forbidden"),
            ("{}", "answered 403 Forbidden"),
            (
                r#"{"errors":"odd"}"#,
                r#"answered 403 Forbidden: {"errors":"odd"}"#,
            ),
        ] {
            assert_eq!(response(403, &[], body).error().message, message, "{body}");
        }
        let long = response(500, &[], &"é".repeat(70_000)).error().message;
        assert_eq!(
            long.chars().count(),
            "answered 500 Internal Server Error: …".chars().count() + LONGEST_TEXT
        );
    }

    #[test]
    fn only_some_responses_are_worth_another_try() {
        for (status, temporary) in [
            (500, true),
            (503, true),
            (429, true),
            (400, false),
            (404, false),
            (501, false),
        ] {
            assert_eq!(
                response(status, &[], "").error().temporary,
                temporary,
                "{status}"
            );
        }
        let pause = |value| response(429, &[("retry-after", value)], "").error().pause;
        assert_eq!(pause("2"), Some(Duration::from_secs(2)));
        assert_eq!(pause("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert!(pause("Fri, 31 Dec 9999 23:59:59 GMT") > Some(Duration::from_hours(1)));
        assert_eq!(pause("-1"), None);
        assert_eq!(pause("soon"), None);
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_770);
        assert_eq!(
            retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now),
            Some(Duration::from_secs(7))
        );
    }
}
