//! HTTP proxies for what is not encrypted.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ureq::config::Config;
use ureq::http::uri::Scheme;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, NextTimeout, Transport,
};
use ureq::{Agent, Error, Proxy};

/// Sends requests for `http` URLs to an HTTP proxy as a whole, where `ureq` would ask for a
/// tunnel: many proxies open tunnels to port 443 only.
#[derive(Debug)]
pub(crate) struct PlainProxyConnector(Config);

impl PlainProxyConnector {
    /// Connects to proxies with what matters of `config` for that.
    pub(crate) fn new(config: &Config) -> Self {
        let direct = Agent::config_builder()
            .proxy(None)
            .no_delay(config.no_delay())
            .build();
        Self(direct)
    }
}

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
pub(crate) struct PlainProxyTransport {
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

/// The head of a request, `METHOD /path HTTP/1.1` and headers, with the whole URL in its first
/// line, and one header more.
fn absolute_form(head: &[u8], origin: &str, header: &str) -> Option<Vec<u8>> {
    let path = head.iter().position(|byte| *byte == b' ')? + 1;
    let headers = head.windows(2).position(|pair| pair == b"\r\n")? + 2;
    let (method, rest) = head.split_at_checked(path)?;
    let (line, rest) = rest.split_at_checked(headers.checked_sub(path)?)?;
    Some([method, origin.as_bytes(), line, header.as_bytes(), rest].concat())
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
