//! Heads of requests (RFC 9112), from bytes.

use std::collections::BTreeMap;

use http::{Method, StatusCode};
use strata_http::percent_decode;

/// The longest head of a request, in bytes.
pub(crate) const LONGEST_HEAD: usize = 64 << 10;
/// The most header headers.
const MOST_HEADERS: usize = 100;

/// The head of a request.
#[derive(Debug)]
pub(crate) struct Request {
    /// The method.
    pub(crate) method: Method,
    /// The path, decoded: `/v2/`.
    pub(crate) path: String,
    /// The parameters after the question mark, decoded.
    pub(crate) query: BTreeMap<String, String>,
    /// The header headers by their lower-case names, several of one name joined by commas.
    pub(crate) headers: BTreeMap<String, String>,
    /// Whether the client wants to ask more on this connection.
    pub(crate) keep_alive: bool,
}

/// A head that gets no proper response, and which one instead.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) message: &'static str,
}

impl Request {
    /// Parses the head at the beginning of `bytes`; gives it with its length, or nothing if there is
    /// more to come.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Refusal> {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
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
        let mut headers = BTreeMap::<String, String>::new();
        let mut hosts = 0;
        for header in request.headers.iter() {
            let name = header.name.to_ascii_lowercase();
            let value = String::from_utf8_lossy(header.value);
            hosts += usize::from(name == "host");
            headers
                .entry(name)
                .and_modify(|joined| joined.extend([", ", &value]))
                .or_insert_with(|| value.to_string());
        }
        let method = request.method.unwrap_or_default();
        let method = method
            .parse()
            .map_err(|_| bad("this is not a request of HTTP/1.1"))?;
        let is_1_1 = request.version == Some(1);
        // RFC 9112, section 3.2.
        if hosts > 1 || is_1_1 && hosts == 0 {
            return Err(bad("a request has one Host"));
        }
        let target = request.path.unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = percent_decode(origin_form(path)).ok_or(bad("the path is not UTF-8"))?;
        let query = query.split('&').filter(|part| !part.is_empty());
        let query = query
            .map(|part| {
                let (name, value) = part.split_once('=').unwrap_or((part, ""));
                Some((percent_decode(name)?, percent_decode(value)?))
            })
            .collect::<Option<_>>()
            .ok_or(bad("the parameters are not UTF-8"))?;
        let wants_close = headers
            .get("connection")
            .is_some_and(|value| list(value).any(|option| option.eq_ignore_ascii_case("close")));
        Ok(Self {
            method,
            path,
            query,
            keep_alive: is_1_1 && !wants_close && !has_body(&headers),
            headers,
        })
    }

    /// Whether bytes follow that belong to the request, or might.
    pub(crate) fn has_body(&self) -> bool {
        has_body(&self.headers)
    }
}

/// The elements of a list in a header (RFC 9110, section 5.6.1). Quoted commas are not known.
pub(crate) fn list(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim)
}

fn has_body(headers: &BTreeMap<String, String>) -> bool {
    headers.contains_key("transfer-encoding")
        || headers
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
        assert_eq!(request.method, Method::GET);
        assert_eq!(request.path, "/v2/a/b/c/tags/list");
        let query: Vec<(&str, &str)> = request
            .query
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(query, [("flag", ""), ("last", "x y"), ("n", "2")]);
        assert_eq!(request.headers["accept"], "a/b, c/d");
        assert!(request.keep_alive && !request.has_body());
        assert_eq!(
            parse("HEAD http://h:1/v2/ HTTP/1.1\r\nHost: h\r\n\r\n").path,
            "/v2/"
        );
        assert_eq!(parse("PUT / HTTP/1.0\r\n\r\n").method, Method::PUT);
    }

    #[test]
    fn connections_stay_open_where_the_end_of_the_request_is_certain() {
        let keeps = |headers: &str| {
            parse(&format!("GET / HTTP/1.1\r\nHost: h\r\n{headers}\r\n")).keep_alive
        };
        assert!(keeps("") && keeps("Content-Length: 0\r\n") && keeps("Connection: keep-alive\r\n"));
        for headers in [
            "Connection: Close\r\n",
            "Content-Length: 1\r\n",
            "Content-Length: +0\r\n",
            "Content-Length: 0\r\nContent-Length: 7\r\n",
            "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: identity\r\n",
        ] {
            assert!(!keeps(headers), "{headers}");
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
        let many = format!("GET / HTTP/1.1\r\n{}", "a: b\r\n".repeat(MOST_HEADERS + 1));
        assert_eq!(refusal(&many), 431);
    }
}
