//! Heads of requests and of answers (RFC 9112), as bytes.

use std::collections::BTreeMap;

use ::http::StatusCode;

/// The longest head of a request, in bytes.
pub(super) const LONGEST_HEAD: usize = 16 << 10;
/// The most header fields.
const MOST_FIELDS: usize = 100;

/// The head of a request.
#[derive(Debug)]
pub(super) struct Request {
    /// The method.
    pub(super) method: Method,
    /// The path, decoded: `/v2/`.
    pub(super) path: String,
    /// The parameters after the question mark, decoded.
    pub(super) query: BTreeMap<String, String>,
    /// The header fields by their lower-case names, several of one name joined by commas.
    pub(super) fields: BTreeMap<String, String>,
    /// Whether the client wants to ask more on this connection.
    pub(super) keep_alive: bool,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// The thing itself.
    Get,
    /// Its description.
    Head,
    /// A change, or something unheard of.
    Other,
}

/// A head that cannot be answered properly, and how it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) message: &'static str,
}

impl Request {
    /// Parses the head at the beginning of `bytes`; gives it with its length, or nothing if there is
    /// more to come.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Refusal> {
        let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
        let mut request = httparse::Request::new(&mut fields);
        let length = match request.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if bytes.len() < LONGEST_HEAD => return Ok(None),
            Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
                return Err(Refusal {
                    status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                    message: "the head of the request is too long",
                });
            }
            Err(httparse::Error::Version) => {
                return Err(Refusal {
                    status: StatusCode::HTTP_VERSION_NOT_SUPPORTED,
                    message: "only HTTP/1.0 and HTTP/1.1 are understood",
                });
            }
            Err(_) => return Err(bad("this is not a request of HTTP/1.1")),
        };
        Self::new(&request).map(|request| Some((request, length)))
    }

    fn new(request: &httparse::Request<'_, '_>) -> Result<Self, Refusal> {
        let mut fields = BTreeMap::<String, String>::new();
        let mut hosts = 0;
        for field in request.headers.iter() {
            let name = field.name.to_ascii_lowercase();
            let value = String::from_utf8_lossy(field.value);
            hosts += usize::from(name == "host");
            fields
                .entry(name)
                .and_modify(|joined| joined.extend([", ", &value]))
                .or_insert_with(|| value.to_string());
        }
        let is_1_1 = request.version == Some(1);
        // RFC 9112, section 3.2.
        if hosts > 1 || is_1_1 && hosts == 0 {
            return Err(bad("a request has one Host"));
        }
        let target = request.path.unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = decode(origin_form(path)).ok_or(bad("the path is not UTF-8"))?;
        let query = query.split('&').filter(|part| !part.is_empty());
        let query = query
            .map(|part| {
                let (name, value) = part.split_once('=').unwrap_or((part, ""));
                Some((decode(name)?, decode(value)?))
            })
            .collect::<Option<_>>()
            .ok_or(bad("the parameters are not UTF-8"))?;
        let wants_close = fields
            .get("connection")
            .is_some_and(|value| list(value).any(|option| option.eq_ignore_ascii_case("close")));
        Ok(Self {
            method: match request.method {
                Some("GET") => Method::Get,
                Some("HEAD") => Method::Head,
                _ => Method::Other,
            },
            path,
            query,
            keep_alive: is_1_1 && !wants_close && !has_body(&fields),
            fields,
        })
    }

    /// Whether bytes follow that belong to the request, or might.
    pub(super) fn has_body(&self) -> bool {
        has_body(&self.fields)
    }
}

/// The elements of a list in a header field (RFC 9110, section 5.6.1). Quoted commas are not known.
pub(super) fn list(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim)
}

fn has_body(fields: &BTreeMap<String, String>) -> bool {
    fields.contains_key("transfer-encoding")
        || fields
            .get("content-length")
            .is_some_and(|length| length != "0")
}

fn bad(message: &'static str) -> Refusal {
    Refusal {
        status: StatusCode::BAD_REQUEST,
        message,
    }
}

/// The path alone, also if the whole address was given (RFC 9112, section 3.2.2).
fn origin_form(target: &str) -> &str {
    let Some(rest) = target.strip_prefix("http://") else {
        return target;
    };
    rest.find('/').map_or("/", |at| &rest[at..])
}

/// Undoes percent-encoding (RFC 3986, section 2.1), if that gives text.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        match rest {
            [b'%', high, low, after @ ..] => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let value = digit(*high)? * 16 + digit(*low)?;
                bytes.push(u8::try_from(value).ok()?);
                rest = after;
            }
            [b'%', ..] => return None,
            [byte, after @ ..] => {
                bytes.push(*byte);
                rest = after;
            }
            [] => return String::from_utf8(bytes).ok(),
        }
    }
}

/// The head of an answer.
pub(super) fn head(status: StatusCode, fields: &[(&str, String)]) -> Vec<u8> {
    let reason = status.canonical_reason().unwrap_or_default();
    let mut head = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16());
    for (name, value) in fields {
        // A line break would be the end of the field, whatever it was made from.
        let value: String = value.chars().filter(|one| !one.is_control()).collect();
        head.extend([name, ": ", &value, "\r\n"]);
    }
    head.push_str("\r\n");
    head.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Request {
        let (request, length) = Request::parse(text.as_bytes()).unwrap().unwrap();
        assert_eq!(length, text.len());
        request
    }

    fn refusal(text: &str) -> u16 {
        Request::parse(text.as_bytes()).unwrap_err().status.as_u16()
    }

    #[test]
    fn heads_are_taken_apart() {
        let request = parse(
            "GET /v2/a/b%2Fc/tags/list?n=2&last=x%20y&flag HTTP/1.1\r\nhost: h\r\n\
             Accept: a/b\r\nACCEPT: c/d\r\n\r\n",
        );
        assert_eq!(request.method, Method::Get);
        assert_eq!(request.path, "/v2/a/b/c/tags/list");
        let query: Vec<(&str, &str)> = request
            .query
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(query, [("flag", ""), ("last", "x y"), ("n", "2")]);
        assert_eq!(request.fields["accept"], "a/b, c/d");
        assert!(request.keep_alive && !request.has_body());
        assert_eq!(
            parse("HEAD http://h:1/v2/ HTTP/1.1\r\nHost: h\r\n\r\n").path,
            "/v2/"
        );
        assert_eq!(parse("PUT / HTTP/1.0\r\n\r\n").method, Method::Other);
    }

    #[test]
    fn connections_stay_open_where_the_end_of_the_request_is_certain() {
        let keeps =
            |fields: &str| parse(&format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n")).keep_alive;
        assert!(keeps("") && keeps("Content-Length: 0\r\n") && keeps("Connection: keep-alive\r\n"));
        for fields in [
            "Connection: Close\r\n",
            "Content-Length: 1\r\n",
            "Content-Length: +0\r\n",
            "Content-Length: 0\r\nContent-Length: 7\r\n",
            "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: identity\r\n",
        ] {
            assert!(!keeps(fields), "{fields}");
        }
        assert!(!parse("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").keep_alive);
    }

    #[test]
    fn half_a_head_is_waited_for() {
        for text in ["", "GET", "GET / HTTP/1.1\r\nHost: h\r\n"] {
            assert!(Request::parse(text.as_bytes()).unwrap().is_none(), "{text}");
        }
        let two = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\n";
        let (request, length) = Request::parse(two).unwrap().unwrap();
        assert_eq!(
            (request.path.as_str(), &two[length..]),
            ("/a", &b"GET /b HTTP/1.1\r\n"[..])
        );
    }

    #[test]
    fn what_is_not_http_is_refused() {
        for text in [
            "\u{16}\u{3}\u{1}",
            "GET /\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
            "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /%ff HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /?a=% HTTP/1.1\r\nHost: a\r\n\r\n",
        ] {
            assert_eq!(refusal(text), 400, "{text:?}");
        }
        assert_eq!(refusal("PRI * HTTP/2.0\r\n\r\n"), 505);
        let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(LONGEST_HEAD));
        assert_eq!(refusal(&long), 431);
        let many = format!("GET / HTTP/1.1\r\n{}", "a: b\r\n".repeat(MOST_FIELDS + 1));
        assert_eq!(refusal(&many), 431);
    }

    #[test]
    fn answers_have_no_other_lines_than_theirs() {
        let head = head(StatusCode::NOT_FOUND, &[("A", "b\r\nC: d".to_owned())]);
        assert_eq!(head, b"HTTP/1.1 404 Not Found\r\nA: bC: d\r\n\r\n");
        assert_eq!(decode("a%20b%2F%C3%A9").unwrap(), "a b/\u{e9}");
    }
}
