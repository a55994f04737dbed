//! TLS of a server.

use std::io::{self, Read, Write};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::certificates::ClientCertificate;
use crate::tls::TlsError;

/// How TLS is spoken with clients.
#[derive(Clone, Debug)]
pub struct ServerTls(Arc<ServerConfig>);

impl ServerTls {
    /// With this certificate and its key.
    pub fn new(certificate: ClientCertificate) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(certificate.chain, certificate.key)?;
        Ok(Self(Arc::new(config)))
    }

    /// TLS over a connection. The handshake is a part of the first reads and writes.
    pub fn over<S: Read + Write>(&self, stream: S) -> Result<ServerStream<S>, TlsError> {
        let connection = ServerConnection::new(Arc::clone(&self.0))?;
        Ok(ServerStream(StreamOwned::new(connection, stream)))
    }
}

/// A connection with TLS. A read or write that ran out of time can be tried again.
pub struct ServerStream<S: Read + Write>(StreamOwned<ServerConnection, S>);

impl<S: Read + Write> ServerStream<S> {
    /// Tells the client that nothing more comes.
    pub fn close(&mut self) -> io::Result<()> {
        self.0.conn.send_close_notify();
        self.0.flush()
    }
}

impl<S: Read + Write> Read for ServerStream<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<S: Read + Write> Write for ServerStream<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
