//! URLs: hosts, origins, and what a response refers to.

use ureq::http::Uri;
use ureq::http::uri::Scheme;

use crate::percent::percent_encode;

/// Whether `host[:port]` is this machine, so that nobody else can listen in: `localhost`, names
/// below it (RFC 6761, section 6.3) and the loopback addresses.
pub fn is_loopback(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let host = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_ascii_lowercase();
    host == "localhost"
        || host.ends_with(".localhost")
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Whether what is meant for one may be sent to the other: same scheme, host and port.
pub fn same_origin(one: &Uri, other: &Uri) -> bool {
    fn origin(uri: &Uri) -> (Option<&str>, Option<String>, Option<u16>) {
        let default = if uri.scheme() == Some(&Scheme::HTTPS) {
            443
        } else {
            80
        };
        let host = uri.host().map(str::to_ascii_lowercase);
        (
            uri.scheme_str(),
            host,
            Some(uri.port_u16().unwrap_or(default)),
        )
    }
    origin(one) == origin(other)
}

/// The URL that a `Location` header means (RFC 3986, section 5): absolute, without a scheme, an
/// absolute path or a path beside the request's.
pub fn resolve(request: &Uri, location: &str) -> Option<Uri> {
    let scheme = request.scheme_str()?;
    let authority = request.authority()?;
    let absolute = if location.contains("://") && !location.starts_with(['/', '?']) {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else if location.starts_with('?') {
        format!("{scheme}://{authority}{}{location}", request.path())
    } else {
        let directory = request
            .path()
            .rsplit_once('/')
            .map_or("", |(directory, _)| directory);
        format!("{scheme}://{authority}{directory}/{location}")
    };
    let uri: Uri = absolute.parse().ok()?;
    (matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some()).then_some(uri)
}

/// `url` with one parameter more; those that it has stay as they are, since the server made them.
pub fn with_parameter(url: &Uri, name: &str, value: &str) -> Option<Uri> {
    let text = url.to_string();
    let separator = if text.contains('?') { '&' } else { '?' };
    format!("{text}{separator}{name}={}", percent_encode(value))
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        text.parse().unwrap()
    }

    #[test]
    fn loopback_is_this_machine_only() {
        for host in [
            "localhost",
            "localhost:5000",
            "LOCALHOST",
            "a.localhost:1",
            "127.0.0.1:5000",
            "127.8.9.1",
            "[::1]:80",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "10.0.0.1:5000",
            "localhost.example.com",
            "example.com",
            "192.168.0.1",
            "0.0.0.0",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn locations_of_every_form_are_resolved() {
        let request = uri("https://r.example:5000/v2/a/blobs/uploads/?x=1");
        for (location, resolved) in [
            ("https://other.example/u?s=1", "https://other.example/u?s=1"),
            ("//other.example/u", "https://other.example/u"),
            (
                "/v2/a/blobs/uploads/1?_state=ab%3D",
                "https://r.example:5000/v2/a/blobs/uploads/1?_state=ab%3D",
            ),
            (
                "/v2/x?next=http://y/z",
                "https://r.example:5000/v2/x?next=http://y/z",
            ),
            ("1234", "https://r.example:5000/v2/a/blobs/uploads/1234"),
            (
                "?_state=2",
                "https://r.example:5000/v2/a/blobs/uploads/?_state=2",
            ),
        ] {
            assert_eq!(
                resolve(&request, location),
                Some(uri(resolved)),
                "{location}"
            );
        }
        for location in [
            "ftp://a/b",
            "http://",
            "https:///x",
            "/a b",
            "file:///etc/passwd",
        ] {
            assert_eq!(resolve(&request, location), None, "{location}");
        }
    }

    #[test]
    fn credentials_stay_with_one_origin() {
        let base = uri("https://r.example/v2/");
        for same in ["https://R.example/x", "https://r.example:443/"] {
            assert!(same_origin(&base, &uri(same)), "{same}");
        }
        for other in [
            "http://r.example/",
            "https://r.example:5000/",
            "https://a.r.example/",
        ] {
            assert!(!same_origin(&base, &uri(other)), "{other}");
        }
    }

    #[test]
    fn parameters_are_appended() {
        let digest = "sha256:ab";
        for (url, result) in [
            ("http://r/u", "http://r/u?digest=sha256%3Aab"),
            (
                "http://r/u?_state=a%2Bb==",
                "http://r/u?_state=a%2Bb==&digest=sha256%3Aab",
            ),
        ] {
            assert_eq!(
                with_parameter(&uri(url), "digest", digest),
                Some(uri(result))
            );
        }
    }
}
