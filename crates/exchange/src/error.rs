//! What goes wrong with a registry, before it is known during which operation.

use std::io;
use std::time::Duration;

use ureq::http::Uri;

use strata_error::{Error, printable};
use strata_http::NotThisMachine;

/// How far a request came that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// There was a response: we may not in, or not do that.
    Refusal,
    /// There was a response, or at least what stood for one.
    Response,
    /// There was a connection, and it broke.
    Connection,
    /// Nobody spoke to us: no such host, no listener.
    Nobody,
    /// Somebody with whom there is no common TLS, or a proxy that does not lead further.
    Other,
    /// Somebody whose certificate is not trusted.
    Stranger,
}

/// A registry that refused, failed or could not be reached.
#[derive(Clone, Debug)]
pub struct RegistryError {
    /// What happened. No secrets, no addresses with their parameters (those can be signed).
    pub message: String,
    /// The codes of the registry's errors, as far as it answered with some.
    pub codes: Vec<String>,
    /// The way out.
    pub hint: String,
    /// Whether the next try may succeed.
    pub temporary: bool,
    /// How far the request came.
    pub reached: Reached,
    /// How long the registry asks to wait before the next try.
    pub pause: Option<Duration>,
}

impl RegistryError {
    /// A failure that no further try mends.
    pub fn permanent(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            codes: Vec::new(),
            hint: hint.into(),
            temporary: false,
            reached: Reached::Response,
            pause: None,
        }
    }

    /// A failure that the next try may mend.
    pub fn temporary(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            temporary: true,
            ..Self::permanent(message, hint)
        }
    }

    /// The same, where it was the proxy that a variable names which could not be reached.
    #[must_use]
    pub fn of_proxy(self, host: &str, port: u16, variable: &str) -> Self {
        Self {
            message: format!("the proxy {host}:{port} ({variable}): {}", self.message),
            hint: format!("is the proxy running? check {variable}; hosts in NO_PROXY need none"),
            ..self
        }
    }

    /// The same, where it was the authorization server at `url` that did not answer.
    #[must_use]
    pub fn of_authorization_server(self, url: &Uri) -> Self {
        // Not the whole authority, in which a password can be.
        let host = url.host().unwrap_or_default();
        let port = url
            .port()
            .map_or_else(String::new, |port| format!(":{port}"));
        let hint = match self.reached {
            Reached::Nobody if !self.message.starts_with("the proxy") => {
                "the registry names it (www-authenticate); it must be reachable from here too"
                    .to_owned()
            }
            _ => self.hint,
        };
        Self {
            message: format!("its authorization server {host}{port}: {}", self.message),
            hint,
            ..self
        }
    }

    /// The error of the whole `operation`, after so many tries.
    pub fn during(self, operation: &str, tries: u32) -> Error {
        let message = match tries {
            0 | 1 => self.message,
            _ => format!("{} ({tries} tries)", self.message),
        };
        Error::Registry {
            operation: operation.to_owned(),
            message,
            codes: self.codes,
            hint: self.hint,
        }
    }
}

/// Why an attempt failed.
#[derive(Debug)]
pub enum Failure {
    /// The registry or the way to it; perhaps not the next time.
    Registry(RegistryError),
    /// Something else, which another try does not mend: the layer cannot be made, the user
    /// interrupted.
    Fatal(Error),
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        Self::Registry(error)
    }
}

impl From<ureq::Error> for RegistryError {
    fn from(error: ureq::Error) -> Self {
        match error {
            ureq::Error::Io(error) => from_io(&error),
            ureq::Error::HostNotFound => Self {
                reached: Reached::Nobody,
                ..Self::permanent("no such host", LOOKUP_HINT)
            },
            ureq::Error::Timeout(which) => Self {
                reached: match which {
                    ureq::Timeout::Connect | ureq::Timeout::Resolve => Reached::Nobody,
                    _ => Reached::Connection,
                },
                ..Self::temporary(
                    format!("did not answer in time ({which})"),
                    "the registry or the network is slow; try again",
                )
            },
            ureq::Error::Protocol(error) => Self::temporary(
                printable(&format!("answered what is not HTTP: {error}")),
                "is this a registry?",
            ),
            ureq::Error::LargeResponseHeader(..) => {
                Self::permanent("answered with endless headers", "is this a registry?")
            }
            ureq::Error::Tls(message) => Self {
                reached: Reached::Other,
                ..Self::permanent(message, "check the registry's name")
            },
            ureq::Error::Rustls(error) => from_tls(&error.to_string()),
            ureq::Error::ConnectProxyFailed(reason) => Self {
                reached: Reached::Other,
                ..Self::permanent(
                    printable(&format!("the proxy refused the connection: {reason}")),
                    "check HTTPS_PROXY, ALL_PROXY and NO_PROXY",
                )
            },
            ureq::Error::Other(error) => {
                let hint = error.downcast_ref().map_or("", NotThisMachine::hint);
                Self::permanent(printable(&error.to_string()), hint)
            }
            // Their texts can hold URLes.
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => Self::permanent(
                "the address is not one that can be asked",
                "check the registry's name",
            ),
            other => Self::permanent(printable(&other.to_string()), ""),
        }
    }
}

/// How `std` begins what it says about a name that the resolver could not find.
const LOOKUP: &str = "failed to lookup address information";
/// How the resolvers of glibc and musl say that the next time may be different (`EAI_AGAIN`).
const LOOK_AGAIN: [&str; 2] = ["Temporary failure in name resolution", "Try again"];
/// What to do about a name that is not found.
const LOOKUP_HINT: &str = "check the registry's name and the network";

fn from_io(error: &io::Error) -> RegistryError {
    let text = error.to_string();
    if text.starts_with(LOOKUP) {
        return RegistryError {
            reached: Reached::Nobody,
            temporary: LOOK_AGAIN.iter().any(|again| text.contains(again)),
            ..RegistryError::permanent(printable(&text), LOOKUP_HINT)
        };
    }
    match error.kind() {
        // How rustls reports through a stream.
        io::ErrorKind::InvalidData => from_tls(&text),
        io::ErrorKind::ConnectionRefused => RegistryError {
            reached: Reached::Nobody,
            ..RegistryError::temporary(
                "connection refused",
                "is the registry running, and on this port?",
            )
        },
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => RegistryError {
            reached: Reached::Connection,
            ..RegistryError::temporary(
                "dropped the connection",
                "the registry or a proxy before it may limit the size or the time of an upload; \
                 its log says more",
            )
        },
        _ => RegistryError {
            reached: Reached::Nobody,
            ..RegistryError::temporary(
                printable(&text),
                "check the network and the registry's name",
            )
        },
    }
}

fn from_tls(text: &str) -> RegistryError {
    let (reached, hint) = if ["CertificateRequired", "BadCertificate"]
        .iter()
        .any(|alert| text.contains(alert))
    {
        (
            Reached::Stranger,
            "the registry wants another client certificate, or any: name a directory with NAME.cert \
             and NAME.key with --dest-cert-dir",
        )
    } else if text.contains("CaUsedAsEndEntity") {
        (
            Reached::Stranger,
            "the registry shows an authority's own certificate; copy exactly that one into the directory \
             that --dest-cert-dir names, as *.crt, or into the file that SSL_CERT_FILE names",
        )
    } else if text.contains("certificate") {
        (
            Reached::Stranger,
            "name a directory with the registry's certificate authority (*.crt) with \
             --dest-cert-dir, or the file with SSL_CERT_FILE; --dest-tls-verify=false trusts anybody",
        )
    } else {
        (
            Reached::Other,
            "if the registry speaks plain HTTP, pass --dest-tls-verify=false",
        )
    };
    RegistryError {
        reached,
        ..RegistryError::permanent(printable(&format!("TLS: {text}")), hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name server that is not there may be there soon; that a name is unknown, it said.
    #[test]
    fn unknown_hosts_stay_unknown() {
        for (text, temporary) in [
            ("Name or service not known", false),
            ("Name does not resolve", false),
            ("Temporary failure in name resolution", true),
            ("Try again", true),
        ] {
            let error = io::Error::other(format!("{LOOKUP}: {text}"));
            let error = RegistryError::from(ureq::Error::Io(error));
            assert_eq!(error.temporary, temporary, "{text}");
            assert_eq!(error.reached, Reached::Nobody);
        }
    }
}
