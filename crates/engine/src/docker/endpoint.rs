//! Where a Docker engine is and how its connections are encrypted, and how that is written.

use std::path::{Path, PathBuf};

use ureq::http::uri::Authority;

use strata_error::{Error, Result};
use strata_http::Ssh;
use strata_oci::without_password;

/// Where the engine of the whole machine listens.
pub(super) const SOCKET: &str = "/var/run/docker.sock";
/// The port of an engine that speaks TLS, and of one that does not.
const PORTS: [u16; 2] = [2376, 2375];

/// An engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// How it was named, for messages: `unix:///var/run/docker.sock`.
    pub(super) host: String,
    /// How it is reached.
    pub(super) address: Address,
    /// How its connections are encrypted; only those over TCP are.
    pub(super) tls: Option<TlsFiles>,
}

/// How an engine is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// `unix://`: a socket on this machine.
    Unix(PathBuf),
    /// `tcp://`: a host and a port.
    Tcp(Authority),
    /// `ssh://`: by the program `ssh`.
    Ssh(Ssh),
}

/// The files of a TLS connection, in PEM form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TlsFiles {
    /// The authority to trust; without it, those of the system.
    pub(super) authority: Option<PathBuf>,
    /// Our certificate and its key.
    pub(super) certificate: Option<(PathBuf, PathBuf)>,
    /// Whether anybody's certificate is good enough.
    pub(super) insecure: bool,
}

impl TlsFiles {
    /// What there is of `ca.pem`, `cert.pem` and `key.pem` in a directory.
    pub(super) fn in_directory(directory: &Path) -> Self {
        let file = |name| Some(directory.join(name)).filter(|file| file.exists());
        Self {
            authority: file("ca.pem"),
            certificate: file("cert.pem").zip(file("key.pem")),
            insecure: false,
        }
    }
}

impl Endpoint {
    /// The engine at `host`, with `tls` if it is one that is encrypted.
    pub(super) fn new(host: &str, tls: Option<TlsFiles>) -> Result<Self> {
        let address = parse(host, tls.is_some())?;
        let tls = tls.filter(|_| matches!(address, Address::Tcp(_)));
        Ok(Self {
            host: host.to_owned(),
            address,
            tls,
        })
    }

    /// The engine at a socket of this machine.
    pub(super) fn unix(socket: PathBuf) -> Self {
        Self {
            host: format!("unix://{}", socket.display()),
            address: Address::Unix(socket),
            tls: None,
        }
    }
}

/// Understands the address of an engine.
fn parse(host: &str, encrypted: bool) -> Result<Address> {
    let error = |message: &str, hint: &str| Error::Name {
        what: "address of a Docker engine",
        value: without_password(host),
        message: message.to_owned(),
        hint: hint.to_owned(),
    };
    let Some((scheme, rest)) = host.split_once("://") else {
        return Err(error(
            "no scheme",
            "write unix:///PATH, tcp://HOST:PORT or ssh://HOST",
        ));
    };
    match scheme {
        "unix" if rest.is_empty() => Ok(Address::Unix(SOCKET.into())),
        "unix" if rest.starts_with('/') => Ok(Address::Unix(rest.into())),
        "unix" => Err(error("not an absolute path", "write unix:///PATH, with three slashes")),
        "tcp" => tcp(rest, encrypted)
            .map(Address::Tcp)
            .ok_or_else(|| error("not a host and a port", "write tcp://HOST:PORT")),
        "ssh" => ssh(rest).map(Address::Ssh).ok_or_else(|| {
            let hint = "write ssh://[USER@]HOST[:PORT][/SOCKET]; keys and passwords are ssh's own business";
            error("not something that ssh can be asked for", hint)
        }),
        "fd" => Err(error(
            "a socket that systemd hands to the engine",
            "write unix:// and the path of that socket",
        )),
        "npipe" => Err(error(
            "named pipes are there on Windows only",
            "write unix:// and the path that Docker's socket has on this side",
        )),
        "http" | "https" => Err(error(
            "the scheme is tcp",
            "write tcp://HOST:PORT; with DOCKER_TLS_VERIFY=1 it is encrypted",
        )),
        _ => Err(error("unknown scheme", "write unix://, tcp:// or ssh://")),
    }
}

/// `HOST[:PORT]`, with the usual port if there is none.
fn tcp(text: &str, encrypted: bool) -> Option<Authority> {
    let [with_tls, without] = PORTS;
    let port = if encrypted { with_tls } else { without };
    let text = text.strip_suffix('/').unwrap_or(text);
    let authority: Authority = text.parse().ok()?;
    if authority.host().is_empty() || text.contains('@') {
        return None;
    }
    if text == authority.host() {
        return format!("{text}:{port}").parse().ok();
    }
    authority.port_u16().map(|_| authority)
}

/// `[USER@]HOST[:PORT][/SOCKET]`.
fn ssh(text: &str) -> Option<Ssh> {
    let (machine, socket) = match text.split_once('/') {
        Some((machine, "")) => (machine, None),
        Some((machine, socket)) => (machine, Some(format!("/{socket}"))),
        None => (text, None),
    };
    let (user, place) = match machine.rsplit_once('@') {
        Some((user, place)) => (Some(user.to_owned()), place),
        None => (None, machine),
    };
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (
                host,
                port.strip_prefix(':').or(port.is_empty().then_some("")),
            )
        }
        None => place
            .split_once(':')
            .map_or((place, Some("")), |(host, port)| (host, Some(port))),
    };
    let port = match port? {
        "" => None,
        port => Some(port.parse().ok()?),
    };
    let is_word = |word: &str| {
        !word.is_empty()
            && !word.starts_with('-')
            && word
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "._-:%".contains(c))
    };
    // A shell on the other side reads the path.
    let is_path = |path: &String| {
        path.chars()
            .all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c))
    };
    // A colon in it would be a password.
    let is_user = |user: &String| is_word(user) && !user.contains(':');
    let is_good =
        is_word(host) && user.as_ref().is_none_or(is_user) && socket.as_ref().is_none_or(is_path);
    is_good.then(|| Ssh {
        user,
        host: host.to_owned(),
        port,
        command: dial_stdio(socket.as_deref()),
    })
}

/// The command by which Docker's own command line reaches an engine on another machine, at its usual
/// socket or another one.
fn dial_stdio(socket: Option<&str>) -> Vec<String> {
    let host = socket.map(|socket| ["--host".to_owned(), format!("unix://{socket}")]);
    let host = host.into_iter().flatten();
    let dial = ["system", "dial-stdio"].map(str::to_owned);
    ["docker".to_owned()]
        .into_iter()
        .chain(host)
        .chain(dial)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(host: &str) -> Address {
        parse(host, false).unwrap_or_else(|error| panic!("{host}: {error}"))
    }

    #[test]
    fn addresses_are_understood() {
        let unix = |path: &str| Address::Unix(path.into());
        let tcp = |authority: &'static str| Address::Tcp(Authority::from_static(authority));
        for (host, expected) in [
            ("unix:///run/d.sock", unix("/run/d.sock")),
            ("unix://", unix(SOCKET)),
            ("tcp://h.x:1", tcp("h.x:1")),
            ("tcp://h.x", tcp("h.x:2375")),
            ("tcp://[::1]:1/", tcp("[::1]:1")),
        ] {
            assert_eq!(address(host), expected);
        }
        assert_eq!(parse("tcp://h.x", true).unwrap(), tcp("h.x:2376"));
        let usual = "docker system dial-stdio";
        let other = "docker --host unix:///run/d.sock system dial-stdio";
        for (host, user, name, port, command) in [
            ("ssh://h", None, "h", None, usual),
            ("ssh://me@h.x:22/", Some("me"), "h.x", Some(22), usual),
            ("ssh://h/run/d.sock", None, "h", None, other),
            (
                "ssh://[fe80::1%eth0]:22",
                None,
                "fe80::1%eth0",
                Some(22),
                usual,
            ),
        ] {
            let expected = Ssh {
                user: user.map(str::to_owned),
                host: name.to_owned(),
                port,
                command: command.split(' ').map(str::to_owned).collect(),
            };
            assert_eq!(address(host), Address::Ssh(expected));
        }
    }

    #[test]
    fn other_addresses_are_refused() {
        for host in [
            "/run/d.sock",
            "unix://run/d.sock",
            "tcp://",
            "tcp://me@h.x:1",
            "tcp://h.x:1/path",
            "tcp://h.x:99999",
            "ssh://",
            "ssh://-oProxyCommand=x",
            "ssh://-l@h",
            "ssh://h;x",
            "ssh://me:secret@h",
            "ssh://h/$(x)",
            "ssh://h:x",
            "ssh://[::1",
            "ssh://[::1]x",
            "fd://",
            "npipe:////./pipe/docker_engine",
            "https://h.x",
            "ftp://h.x",
        ] {
            let error = parse(host, false).unwrap_err();
            assert!(error.hint().is_some(), "{host}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
