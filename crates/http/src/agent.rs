//! An agent of `ureq` whose connections are made by our connectors.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use ureq::Agent;
use ureq::config::{Config, ConfigBuilder};
use ureq::http::Uri;
use ureq::http::uri::Scheme;
use ureq::typestate::AgentScope;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{ConnectProxyConnector, Connector, NextTimeout, SocksConnector};

use crate::connector::{
    EarlyResponseConnector, HangUp, HangUpConnector, PlainProxyConnector, SilenceConnector,
    SilentServers, Socket, SocketConnector, Ssh, SshStderr, TcpConnector, TlsConnector,
};
use crate::tls::Tls;
use crate::url::is_loopback;

/// The `User-Agent` header.
pub const USER_AGENT: &str = concat!("strata/", env!("CARGO_PKG_VERSION"));

/// Where connections lead.
#[derive(Clone, Debug)]
pub enum Route {
    /// To the host and port of each request, or to the proxy in its configuration.
    Tcp,
    /// To a socket of this machine, whatever the host.
    Unix(PathBuf),
    /// To a program that `ssh` starts on another machine.
    Ssh(Ssh),
}

/// How connections are made, and what was noticed on them.
#[derive(Clone, Debug)]
pub struct Transport {
    route: Route,
    tls: Option<Tls>,
    silent: SilentServers,
    hang_up: Option<HangUp>,
    keeps_plain_here: bool,
    stderr: SshStderr,
}

impl Transport {
    /// Connections by this route. Without `tls`, there is no HTTPS. A response that comes before the request is
    /// sent is an error, which [`early_response`](crate::early_response) makes a response.
    pub fn new(route: Route, tls: Option<Tls>) -> Self {
        Self {
            route,
            tls,
            silent: SilentServers::default(),
            hang_up: None,
            keeps_plain_here: false,
            stderr: SshStderr::default(),
        }
    }

    /// The same, where a request goes on although its server reads no more: it may have answered
    /// before. [`Self::is_hung_up`] tells.
    #[must_use]
    pub fn reading_after_hang_up(self) -> Self {
        Self {
            hang_up: Some(HangUp::default()),
            ..self
        }
    }

    /// The same, where a name that means this machine, such as `x.localhost`, is only reached without TLS if
    /// that is where its addresses lead: not every resolver keeps RFC 6761. Else it fails with [`NotThisMachine`].
    #[must_use]
    pub fn keeping_plain_http_here(self) -> Self {
        Self {
            keeps_plain_here: true,
            ..self
        }
    }

    /// An agent that makes its connections so.
    pub fn agent(&self, config: Config) -> Agent {
        let (socket, has_hosts) = match &self.route {
            Route::Tcp => (None, true),
            Route::Unix(path) => (Some(Socket::Unix(path.clone())), false),
            Route::Ssh(ssh) => (Some(Socket::Ssh(ssh.clone(), self.stderr.clone())), false),
        };
        let connector = ()
            .chain(SocketConnector(socket))
            .chain(PlainProxyConnector::new(&config))
            .chain(SocksConnector::default())
            .chain(ConnectProxyConnector::default())
            .chain(TcpConnector)
            .chain(HangUpConnector(self.hang_up.clone()))
            .chain(TlsConnector(
                self.tls.as_ref().map(|tls| Arc::clone(&tls.0)),
            ))
            .chain(SilenceConnector(self.silent.clone()))
            .chain(EarlyResponseConnector {
                is_wanted: self.hang_up.is_none(),
            });
        let resolver = HostResolver {
            has_hosts,
            keeps_plain_here: self.keeps_plain_here,
        };
        Agent::with_parts(config, connector, resolver)
    }

    /// Whether the server of an URL kept silent when it was asked to agree to a body first
    /// (`Expect: 100-continue`).
    pub fn is_silent(&self, url: &Uri) -> bool {
        self.silent.contains(url)
    }

    /// Whether the server of the latest connection reads no more.
    pub fn is_hung_up(&self) -> bool {
        self.hang_up.as_ref().is_some_and(HangUp::is_set)
    }

    /// What the latest `ssh` wrote to its standard error, once it ended.
    pub fn ssh_stderr_text(&self) -> Option<String> {
        self.stderr.take()
    }
}

/// The configuration that all agents begin with: statuses, redirects and proxies are the caller's.
pub fn config() -> ConfigBuilder<AgentScope> {
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .user_agent(USER_AGENT)
}

/// Asks for the addresses of hosts, where there are any.
#[derive(Debug)]
struct HostResolver {
    has_hosts: bool,
    keeps_plain_here: bool,
}

/// A name that means this machine, and an address that does not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} is {address} here, which is not this machine")]
pub struct NotThisMachine {
    name: String,
    address: IpAddr,
}

impl NotThisMachine {
    /// The way out.
    pub fn hint(&self) -> &'static str {
        "others could listen in without TLS; --dest-tls-verify=false does not mind, another resolver may know better"
    }
}

/// Refuses addresses elsewhere of a name that means this machine, where nothing is encrypted.
fn check_plain(
    url: &Uri,
    mut addresses: impl Iterator<Item = IpAddr>,
) -> Result<(), NotThisMachine> {
    let name = url.host().unwrap_or_default();
    if url.scheme() != Some(&Scheme::HTTP) || !is_loopback(name) {
        return Ok(());
    }
    match addresses.find(|address| !address.to_canonical().is_loopback()) {
        None => Ok(()),
        Some(address) => Err(NotThisMachine {
            name: name.to_owned(),
            address,
        }),
    }
}

impl Resolver for HostResolver {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let resolver = DefaultResolver::default();
        if self.has_hosts {
            let addresses = resolver.resolve(uri, config, timeout)?;
            if self.keeps_plain_here {
                check_plain(uri, addresses.iter().map(SocketAddr::ip))
                    .map_err(|error| ureq::Error::Other(Box::new(error)))?;
            }
            Ok(addresses)
        } else {
            Ok(resolver.empty())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row 18: what carries passwords without TLS is judged by the address connected to, not by the name.
    #[test]
    fn plain_http_to_this_machine_stays_on_it() {
        let check = |url: &str, addresses: &[&str]| {
            let addresses = addresses.iter().map(|address| address.parse().unwrap());
            check_plain(&url.parse().unwrap(), addresses).is_ok()
        };
        let here = ["127.0.0.1", "::1", "127.8.9.1", "::ffff:127.0.0.1"];
        assert!(check("http://x.localhost:5000/", &here));
        assert!(check("http://127.0.0.1/", &["127.0.0.1"]));
        for elsewhere in ["10.0.0.1", "192.0.2.1", "::2", "0.0.0.0", "::ffff:10.0.0.1"] {
            assert!(!check("http://x.localhost/", &[elsewhere]), "{elsewhere}");
            assert!(!check("http://LOCALHOST:1/", &["127.0.0.1", elsewhere]));
            // With TLS it is who it says it is; without, another name was asked for by its user.
            assert!(check("https://x.localhost/", &[elsewhere]));
            assert!(check("http://r.example/", &[elsewhere]));
        }
    }
}
