//! Servers that say nothing when they are asked to agree to a body first.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use ureq::http::Uri;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};
use ureq::{Error, Timeout};

/// The servers that kept silent when they were asked to agree to a body first
/// (`Expect: 100-continue`), by host and port. Each such silence costs a second.
#[derive(Clone, Debug, Default)]
pub(crate) struct SilentServers(Arc<Mutex<BTreeSet<String>>>);

impl SilentServers {
    /// Whether this is one of them.
    pub(crate) fn contains(&self, url: &Uri) -> bool {
        let servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        url.authority()
            .is_some_and(|authority| servers.contains(authority.as_str()))
    }

    fn add(&self, authority: &str) {
        let mut servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        servers.insert(authority.to_owned());
    }
}

/// Notices which servers keep silent when they are asked to agree to a body first.
#[derive(Debug)]
pub(crate) struct SilenceConnector(pub(crate) SilentServers);

impl<In: Transport> Connector<In> for SilenceConnector {
    type Out = SilenceTransport<In>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let authority = details.uri.authority();
        Ok(chained.map(|transport| SilenceTransport {
            transport,
            authority: authority.map_or("", |name| name.as_str()).to_owned(),
            silent: self.0.clone(),
        }))
    }
}

/// A connection that is listened to.
#[derive(Debug)]
pub(crate) struct SilenceTransport<T> {
    transport: T,
    authority: String,
    silent: SilentServers,
}

impl<T: Transport> Transport for SilenceTransport<T> {
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
