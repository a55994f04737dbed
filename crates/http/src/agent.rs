//! An agent of `ureq` whose connections are made by our connectors.

use std::path::PathBuf;
use std::sync::Arc;

use ureq::Agent;
use ureq::config::{Config, ConfigBuilder};
use ureq::http::Uri;
use ureq::typestate::AgentScope;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{ConnectProxyConnector, Connector, NextTimeout, SocksConnector};

use crate::connector::{
    EarlyResponseConnector, HangUp, HangUpConnector, PlainProxyConnector, SilenceConnector,
    SilentServers, Socket, SocketConnector, Ssh, SshStderr, TcpConnector, TlsConnector,
};
use crate::tls::Tls;

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
        Agent::with_parts(config, connector, HostResolver { has_hosts })
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
            resolver.resolve(uri, config, timeout)
        } else {
            Ok(resolver.empty())
        }
    }
}
