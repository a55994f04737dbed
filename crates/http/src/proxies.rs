//! Which proxy stands before a host: the variables that curl and Go's programs read, and Go's rules
//! for `NO_PROXY` (`golang.org/x/net/http/httpproxy`).

use std::fmt;
use std::net::IpAddr;

use ureq::Proxy;
use ureq::http::Uri;
use ureq::http::uri::Scheme;

use crate::environment::Environment;
use crate::url::is_loopback;

/// The proxies of a user. Their URLs can hold passwords, which the debug form does not show.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    https: Option<Setting>,
    http: Option<Setting>,
    all: Option<Setting>,
    except: String,
}

/// The variable that names a proxy, and its value.
#[derive(Clone, PartialEq, Eq)]
struct Setting {
    variable: &'static str,
    url: String,
}

/// The value of a variable that should be the URL of a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable} is not the address of a proxy")]
pub struct InvalidProxy {
    /// The variable.
    pub variable: &'static str,
}

impl InvalidProxy {
    /// The way out.
    pub fn hint(self) -> &'static str {
        "write http://[USER:PASSWORD@]HOST:PORT; https, socks4 and socks5 are known too"
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = [&self.https, &self.http, &self.all].into_iter().flatten();
        let variables = settings.map(|setting| setting.variable);
        formatter.debug_set().entries(variables).finish()
    }
}

impl Proxies {
    /// Those that the variables `HTTPS_PROXY`, `HTTP_PROXY` and `ALL_PROXY` name, and the hosts in
    /// `NO_PROXY` that need none. Each may also be written in lower case.
    pub fn from_environment(environment: Environment<'_>) -> Self {
        let text = |name| {
            let value = environment(name)?.into_string().ok()?;
            (!value.trim().is_empty()).then_some(value)
        };
        let setting = |names: [&'static str; 2]| {
            names.into_iter().find_map(|variable| {
                let url = text(variable)?.trim().to_owned();
                Some(Setting { variable, url })
            })
        };
        Self {
            https: setting(["HTTPS_PROXY", "https_proxy"]),
            // A CGI program finds the header `Proxy` of a request in HTTP_PROXY (CVE-2016-5385).
            http: setting(["HTTP_PROXY", "http_proxy"])
                .filter(|_| environment("REQUEST_METHOD").is_none()),
            all: setting(["ALL_PROXY", "all_proxy"]),
            except: text("NO_PROXY")
                .or_else(|| text("no_proxy"))
                .unwrap_or_default(),
        }
    }

    /// The proxy for `target`, and the variable that names it. This machine is reached without any.
    pub fn choose(&self, target: &Uri) -> Result<Option<(Proxy, &'static str)>, InvalidProxy> {
        let is_https = target.scheme() == Some(&Scheme::HTTPS);
        let own = if is_https { &self.https } else { &self.http };
        let Some(setting) = own.as_ref().or(self.all.as_ref()) else {
            return Ok(None);
        };
        let host = target.host().unwrap_or_default();
        let port = target.port_u16().unwrap_or(if is_https { 443 } else { 80 });
        if is_loopback(host) || is_excepted(&self.except, host, port) {
            return Ok(None);
        }
        // The parser's own message can quote a password.
        let variable = setting.variable;
        let proxy = Proxy::new(&setting.url).map_err(|_| InvalidProxy { variable })?;
        Ok(Some((proxy, variable)))
    }
}

/// Whether an entry of `NO_PROXY` speaks of this host.
fn is_excepted(except: &str, host: &str, port: u16) -> bool {
    let host = host
        .trim_matches(['[', ']'])
        .trim_end_matches('.')
        .to_ascii_lowercase();
    let entries = except.split(|character: char| character == ',' || character.is_whitespace());
    entries
        .filter(|entry| !entry.is_empty())
        .any(|entry| entry == "*" || matches(&entry.to_ascii_lowercase(), &host, port))
}

/// One entry: an address or a range of them, or a domain with (`a.b`) or without (`.a.b`, `*.a.b`)
/// itself; but for ranges, with or without a port.
fn matches(entry: &str, host: &str, port: u16) -> bool {
    if let Some((network, bits)) = entry.split_once('/') {
        let range = network.parse().ok().zip(bits.parse().ok());
        return range
            .zip(host.parse().ok())
            .is_some_and(|((network, bits), address)| is_within(address, network, bits));
    }
    let (name, wanted) = split_port(entry);
    if wanted.is_some_and(|wanted| wanted != port) {
        return false;
    }
    let name = name.trim_matches(['[', ']']);
    if let Ok(address) = name.parse::<IpAddr>() {
        return host
            .parse::<IpAddr>()
            .is_ok_and(|host| host.to_canonical() == address.to_canonical());
    }
    let name = name.strip_prefix('*').unwrap_or(name);
    match name.strip_prefix('.') {
        Some(_) => host.ends_with(name),
        None => {
            !name.is_empty()
                && host
                    .strip_suffix(name)
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        }
    }
}

/// A name and its port; an IPv6 address with a port is in brackets.
fn split_port(entry: &str) -> (&str, Option<u16>) {
    match entry.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => match port.parse() {
            Ok(port) => (name, Some(port)),
            Err(_) => (entry, None),
        },
        _ => (entry, None),
    }
}

/// Whether the first `bits` of both addresses are the same.
fn is_within(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    match (address.to_canonical(), network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let mask = u32::MAX
                .checked_shl(32_u32.saturating_sub(bits))
                .unwrap_or(0);
            bits <= 32 && address.to_bits() & mask == network.to_bits() & mask
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let mask = u128::MAX
                .checked_shl(128_u32.saturating_sub(bits))
                .unwrap_or(0);
            bits <= 128 && address.to_bits() & mask == network.to_bits() & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Proxies {
        Proxies::from_environment(&|name| {
            let found = variables.iter().find(|(other, _)| *other == name);
            found.map(|(_, value)| (*value).into())
        })
    }

    /// Host and port of the proxy for `target`.
    fn choose(variables: &[(&str, &str)], target: &str) -> Option<String> {
        let proxy = proxies(variables).choose(&target.parse().unwrap()).unwrap();
        proxy.map(|(proxy, _)| format!("{}:{}", proxy.host(), proxy.port()))
    }

    #[test]
    fn the_scheme_decides() {
        let both = [("HTTPS_PROXY", "http://s:1"), ("HTTP_PROXY", "p:2")];
        let all = [("http_proxy", "http://p"), ("all_proxy", "socks5://a")];
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(choose(&both, "https://r.example/v2/"), text("s:1"));
        assert_eq!(choose(&both, "http://r.example/v2/"), text("p:2"));
        assert_eq!(choose(&all, "https://r.example/v2/"), text("a:1080"));
        assert_eq!(choose(&all, "http://r.example/v2/"), text("p:80"));
        assert_eq!(choose(&[], "http://r.example/v2/"), None);
        let upper_first = [("HTTPS_PROXY", "u:1"), ("https_proxy", "l:1")];
        assert_eq!(choose(&upper_first, "https://r.example"), text("u:1"));
        let empty = [("HTTPS_PROXY", ""), ("https_proxy", "l:1")];
        assert_eq!(choose(&empty, "https://r.example"), text("l:1"));
        let cgi = [("HTTP_PROXY", "p:2"), ("REQUEST_METHOD", "GET")];
        assert_eq!(choose(&cgi, "http://r.example"), None);
    }

    #[test]
    fn this_machine_needs_no_proxy() {
        for host in ["localhost:5000", "127.0.0.1:5000", "[::1]:5000"] {
            assert_eq!(
                choose(&[("ALL_PROXY", "p:1")], &format!("http://{host}/")),
                None
            );
        }
    }

    /// The rules of Go's `httpproxy`.
    #[test]
    fn exceptions_are_known() {
        for (entry, target, excepted) in [
            ("*", "https://r.example", true),
            ("r.example", "https://r.example", true),
            ("r.example", "https://R.EXAMPLE", true),
            ("R.Example", "https://r.example", true),
            ("r.example", "https://a.r.example", true),
            ("r.example", "https://ar.example", false),
            (".r.example", "https://a.r.example", true),
            (".r.example", "https://r.example", false),
            ("*.r.example", "https://a.r.example", true),
            ("*.r.example", "https://r.example", false),
            ("r.example:443", "https://r.example", true),
            ("r.example:80", "https://r.example", false),
            ("r.example:5000", "http://r.example:5000", true),
            ("a, b r.example", "https://r.example", true),
            ("10.0.0.0/8", "https://10.1.2.3", true),
            ("10.0.0.0/8", "https://11.1.2.3", false),
            ("0.0.0.0/0", "https://11.1.2.3", true),
            ("10.0.0.0/33", "https://10.0.0.0", false),
            ("10.0.0.0/8", "https://r.example", false),
            ("10.1.2.3", "https://10.1.2.3:5000", true),
            ("10.1.2.3:5000", "https://10.1.2.3:5000", true),
            ("10.1.2.3:5001", "https://10.1.2.3:5000", false),
            ("fe80::/10", "https://[fe80::1]", true),
            ("fe80::1", "https://[fe80::1]:5000", true),
            ("[fe80::1]:5000", "https://[fe80::1]:5000", true),
            ("[fe80::1]:5000", "https://[fe80::1]", false),
            (":5000", "http://r.example:5000", false),
            (",,", "https://r.example", false),
            ("", "https://r.example", false),
        ] {
            let variables = [("ALL_PROXY", "p:1"), ("no_proxy", entry)];
            assert_eq!(
                choose(&variables, target).is_none(),
                excepted,
                "{entry} {target}"
            );
        }
    }

    #[test]
    fn passwords_of_proxies_are_not_shown() {
        for url in ["http://me:secret@p:1", "me:secret@", "ftp://secret"] {
            let proxies = proxies(&[("HTTPS_PROXY", url)]);
            assert_eq!(format!("{proxies:?}"), r#"{"HTTPS_PROXY"}"#);
            match proxies.choose(&"https://r.example".parse().unwrap()) {
                Ok(proxy) => assert_eq!(proxy.unwrap().0.password(), Some("secret")),
                Err(error) => assert_eq!(
                    error.to_string(),
                    "HTTPS_PROXY is not the address of a proxy"
                ),
            }
        }
    }
}
