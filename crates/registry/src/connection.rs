//! How connections are made: through which proxy, with TLS, and what is noticed on them. `ureq` takes
//! the parts below as a chain of connectors; that interface may change with its minor versions, which
//! is why `Cargo.toml` pins them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::http::uri::Scheme;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{
    Buffers, ConnectProxyConnector, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout,
    SocksConnector, TcpConnector, Transport, TransportAdapter,
};
use ureq::{Agent, Error, Proxy, Timeout};

/// The servers that kept silent when they were asked to agree to a body first
/// (`Expect: 100-continue`), by host and port. Each such silence costs a second.
#[derive(Clone, Debug, Default)]
pub(super) struct SilentServers(Arc<Mutex<BTreeSet<String>>>);

impl SilentServers {
    /// Whether this is one of them.
    pub(super) fn contains(&self, address: &Uri) -> bool {
        let servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        address
            .authority()
            .is_some_and(|authority| servers.contains(authority.as_str()))
    }

    fn add(&self, authority: &str) {
        let mut servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        servers.insert(authority.to_owned());
    }
}

/// An agent with `config` whose connections are made here.
pub(super) fn agent(config: &Config, tls: &Arc<ClientConfig>, silent: &SilentServers) -> Agent {
    let connector =
        ().chain(PlainProxyConnector(direct(config)))
            .chain(SocksConnector::default())
            .chain(ConnectProxyConnector::default())
            .chain(TcpConnector::default())
            .chain(TlsConnector(Arc::clone(tls)))
            .chain(ListeningConnector(silent.clone()));
    Agent::with_parts(config.clone(), connector, DefaultResolver::default())
}

/// What matters of `config` for a connection to a proxy.
fn direct(config: &Config) -> Config {
    Agent::config_builder()
        .proxy(None)
        .no_delay(config.no_delay())
        .build()
}

/// Sends requests for `http` addresses to an HTTP proxy as a whole, where `ureq` would ask for a
/// tunnel: many proxies open tunnels to port 443 only.
#[derive(Debug)]
struct PlainProxyConnector(Config);

impl<In: Transport> Connector<In> for PlainProxyConnector {
    type Out = Either<In, PlainProxyTransport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        if let Some(transport) = chained {
            return Ok(Some(Either::A(transport)));
        }
        let proxy = details.config.proxy();
        let Some(proxy) = proxy.filter(|proxy| {
            details.uri.scheme() == Some(&Scheme::HTTP)
                && matches!(proxy.uri().scheme_str(), Some("http" | "https"))
        }) else {
            return Ok(None);
        };
        let to_proxy = ConnectionDetails {
            uri: proxy.uri(),
            addrs: details
                .resolver
                .resolve(proxy.uri(), &self.0, details.timeout)?,
            config: &self.0,
            request_level: details.request_level,
            resolver: details.resolver,
            now: details.now,
            timeout: details.timeout,
            current_time: Arc::clone(&details.current_time),
            run_connector: Arc::clone(&details.run_connector),
            register_shutdown: Arc::clone(&details.register_shutdown),
        };
        let authority = details.uri.authority();
        let authority = authority.map_or("", |authority| authority.as_str());
        Ok(Some(Either::B(PlainProxyTransport {
            transport: (details.run_connector)(&to_proxy)?,
            origin: format!("http://{authority}"),
            credentials: credentials(proxy),
            is_used: false,
        })))
    }
}

/// The header with the user and password for a proxy (RFC 9110, section 11.7.2).
fn credentials(proxy: &Proxy) -> String {
    if proxy.username().is_none() && proxy.password().is_none() {
        return String::new();
    }
    let user = proxy.username().unwrap_or_default();
    let password = proxy.password().unwrap_or_default();
    let credentials = BASE64.encode(format!("{user}:{password}"));
    format!("Proxy-Authorization: Basic {credentials}\r\n")
}

/// A connection to an HTTP proxy, for one request in absolute form (RFC 9112, section 3.2.2).
struct PlainProxyTransport {
    transport: Box<dyn Transport>,
    /// What stands before the path.
    origin: String,
    /// A header line, or nothing.
    credentials: String,
    is_used: bool,
}

/// Without the credentials.
impl std::fmt::Debug for PlainProxyTransport {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_tuple("PlainProxyTransport")
            .field(&self.transport)
            .finish()
    }
}

impl Transport for PlainProxyTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.transport.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        if self.is_used {
            return self.transport.transmit_output(amount, timeout);
        }
        self.is_used = true;
        let output = self.transport.buffers().output();
        let head = output.get(..amount).unwrap_or_default();
        let head = absolute_form(head, &self.origin, &self.credentials).ok_or(Error::Other(
            "the head of a request is too large for a proxy".into(),
        ))?;
        let mut rest = head.as_slice();
        while !rest.is_empty() {
            let output = self.transport.buffers().output();
            let (part, after) = rest.split_at(rest.len().min(output.len()));
            if let Some(output) = output.get_mut(..part.len()) {
                output.copy_from_slice(part);
            }
            self.transport.transmit_output(part.len(), timeout)?;
            rest = after;
        }
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.transport.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        // The next request would need another head.
        !self.is_used && self.transport.is_open()
    }
}

/// The head of a request, `METHOD /path HTTP/1.1` and headers, with the whole address in its first
/// line, and one header more.
fn absolute_form(head: &[u8], origin: &str, header: &str) -> Option<Vec<u8>> {
    let path = head.iter().position(|byte| *byte == b' ')? + 1;
    let headers = head.windows(2).position(|pair| pair == b"\r\n")? + 2;
    let (method, rest) = head.split_at_checked(path)?;
    let (line, rest) = rest.split_at_checked(headers.checked_sub(path)?)?;
    Some([method, origin.as_bytes(), line, header.as_bytes(), rest].concat())
}

/// Speaks TLS on what the connectors before it connected.
struct TlsConnector(Arc<ClientConfig>);

impl std::fmt::Debug for TlsConnector {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("TlsConnector")
    }
}

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Either<In, TlsTransport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let Some(transport) = chained else {
            return Ok(None);
        };
        if !details.needs_tls() || transport.is_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let host = details.uri.host().unwrap_or_default();
        let host = host.trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(host).map_err(|_| Error::Tls("not a host name"))?;
        let mut connection = ClientConnection::new(Arc::clone(&self.0), name)?;
        let clock = Arc::clone(&details.current_time);
        let mut socket = TransportAdapter::new(transport.boxed(), clock);
        socket.set_timeout(details.timeout);
        connection.complete_io(&mut socket)?;
        Ok(Some(Either::B(TlsTransport {
            stream: StreamOwned::new(connection, socket),
            buffers: LazyBuffers::new(
                details.config.input_buffer_size(),
                details.config.output_buffer_size(),
            ),
        })))
    }
}

/// A connection with TLS.
struct TlsTransport {
    stream: StreamOwned<ClientConnection, TransportAdapter>,
    buffers: LazyBuffers,
}

impl std::fmt::Debug for TlsTransport {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_tuple("TlsTransport")
            .field(&self.stream.sock.get_ref())
            .finish()
    }
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        use std::io::Write;

        self.stream.sock.set_timeout(timeout);
        let output = self.buffers.output();
        self.stream
            .write_all(output.get(..amount).unwrap_or_default())?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        use std::io::Read;

        self.stream.sock.set_timeout(timeout);
        let count = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(count);
        Ok(count > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

/// Notices which servers keep silent when they are asked to agree to a body first.
#[derive(Debug)]
struct ListeningConnector(SilentServers);

impl<In: Transport> Connector<In> for ListeningConnector {
    type Out = ListeningTransport<In>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let authority = details.uri.authority();
        Ok(chained.map(|transport| ListeningTransport {
            transport,
            authority: authority.map_or("", |name| name.as_str()).to_owned(),
            silent: self.0.clone(),
        }))
    }
}

/// A connection that is listened to.
#[derive(Debug)]
struct ListeningTransport<T> {
    transport: T,
    authority: String,
    silent: SilentServers,
}

impl<T: Transport> Transport for ListeningTransport<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.transport.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.transport.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let result = self.transport.await_input(timeout);
        if matches!(result, Err(Error::Timeout(Timeout::Await100))) {
            self.silent.add(&self.authority);
        }
        result
    }

    fn is_open(&mut self) -> bool {
        self.transport.is_open()
    }

    fn is_tls(&self) -> bool {
        self.transport.is_tls()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_put_into_absolute_form() {
        let head = b"GET /v2/ HTTP/1.1\r\nhost: r\r\n\r\n";
        let header = "Proxy-Authorization: Basic eDp5\r\n";
        assert_eq!(
            absolute_form(head, "http://r:1", header).as_deref(),
            Some(&b"GET http://r:1/v2/ HTTP/1.1\r\nProxy-Authorization: Basic eDp5\r\nhost: r\r\n\r\n"[..])
        );
        for cut in [&b"GET"[..], b"GET /v2/ HTTP", b"GET\r\n /", b""] {
            assert_eq!(absolute_form(cut, "http://r", ""), None);
        }
    }
}
