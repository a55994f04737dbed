//! How a registry is reached: what the user may choose.

use std::path::PathBuf;
use std::time::Duration;

use strata_http::Proxies;
use strata_keychain::Credentials;

/// How to reach a registry.
#[derive(Clone, Debug)]
pub struct Options {
    /// `Some(false)`: certificates are not checked, and a registry that does not speak HTTPS is
    /// reached over plain HTTP (as skopeo does). `None`: certificates are checked, and only a
    /// registry on this machine's loopback interface may speak plain HTTP (as Docker does).
    /// `Some(true)`: HTTPS with a good certificate, without exception.
    pub tls_verify: Option<bool>,
    /// What to log in with. Without it, the files of `docker login` and `podman login` are read.
    pub credentials: Option<Credentials>,
    /// Do not log in: neither with `credentials` nor with what the files say.
    pub anonymous: bool,
    /// The only file to look for credentials in, instead of the usual ones.
    pub auth_file: Option<PathBuf>,
    /// A file to look for credentials in before the usual ones, if it is there.
    pub default_auth_file: Option<PathBuf>,
    /// A directory whose `*.crt` files hold certificate authorities to trust besides the system's, and
    /// `*.cert` with `*.key` client certificates. Without it, those that Docker and podman have for the
    /// registry are read.
    pub certificate_directory: Option<PathBuf>,
    /// The proxies, instead of those that the environment names.
    pub proxies: Option<Proxies>,
    /// The `User-Agent` header.
    pub user_agent: String,
    /// How often to try what may work the next time.
    pub retry: Retry,
    /// How long to wait for a registry.
    pub timeouts: Timeouts,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tls_verify: None,
            credentials: None,
            anonymous: false,
            auth_file: None,
            default_auth_file: None,
            certificate_directory: None,
            proxies: None,
            user_agent: strata_http::USER_AGENT.to_owned(),
            retry: Retry::default(),
            timeouts: Timeouts::default(),
        }
    }
}

/// How often to try what may work the next time: connections that are refused or dropped, time-outs, and
/// the response 408, 429, 500, 502, 503 and 504.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    /// Tries in all, at least one.
    pub tries: u32,
    /// The pause after the first try; it doubles from try to try.
    pub first_pause: Duration,
    /// The longest pause, and the longest `Retry-After` of the registry that is honoured; when it asks for more, the copy
    /// fails at once.
    pub longest_pause: Duration,
    /// Whether a registry that refuses the very first connection is waited for like one that refuses a
    /// later one: it may be about to start. Else that fails at once.
    pub awaits_start: bool,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            // 31 seconds in all, in which a registry can be restarted.
            tries: 6,
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_mins(1),
            awaits_start: false,
        }
    }
}

/// How long to wait for a registry. An upload as a whole may take as long as it needs, a download as
/// long as its size allows.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// To find the host, connect and shake hands.
    pub connect: Duration,
    /// For a response, once the request is sent, and for the whole of its body; also for each read and
    /// write that does not progress.
    pub response: Duration,
    /// For the response to a whole blob: some registries then copy it to where it belongs.
    pub upload_response: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            response: Duration::from_mins(1),
            upload_response: Duration::from_mins(10),
        }
    }
}

/// The slowest that a download may be, in bytes a second, beyond the time for a response.
const SLOWEST: u64 = 16 << 10;

impl Timeouts {
    /// How long the body of a response may take as a whole, if it is `expected` to have so many bytes.
    pub(crate) fn body(&self, expected: Option<u64>) -> Duration {
        self.response + Duration::from_secs(expected.unwrap_or_default() / SLOWEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A registry that is restarted in the middle of a push is away for longer than a few seconds.
    #[test]
    fn a_restart_fits_into_the_pauses() {
        let retry = Retry::default();
        let pauses = (1..retry.tries).map(|try_| retry.first_pause * 2_u32.pow(try_ - 1));
        let sum: Duration = pauses.sum();
        assert!((25..60).contains(&sum.as_secs()), "{sum:?}");
    }
}
