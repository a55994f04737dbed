//! TLS before a server that speaks none, with a certificate of our own.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::{Certificate, make_certificate};

/// It ends with the test's process.
pub struct Secured {
    /// `127.0.0.1:PORT`.
    pub host: String,
    directory: tempfile::TempDir,
}

impl Secured {
    /// Stands before a server.
    pub fn start(server: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (certificate, key) = make_certificate(directory.path(), Certificate::Signed);
        let certificate = CertificateDer::from_pem_file(certificate).unwrap();
        let key = PrivateKeyDer::from_pem_file(key).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let server = server.to_owned();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (config, server) = (Arc::clone(&config), server.clone());
                thread::spawn(move || pass_on(client, config, &server));
            }
        });
        Self { host, directory }
    }

    /// The directory with what to trust as `ca.crt`.
    pub fn certificates(&self) -> PathBuf {
        self.directory.path().join("certificates")
    }
}

/// Passes on what both ends say, in turn, until one ends.
fn pass_on(client: TcpStream, config: Arc<ServerConfig>, server: &str) -> Option<()> {
    let mut server = TcpStream::connect(server).ok()?;
    for stream in [&client, &server] {
        stream
            .set_read_timeout(Some(Duration::from_millis(2)))
            .ok()?;
        stream.set_nodelay(true).ok()?;
    }
    let mut client = StreamOwned::new(ServerConnection::new(config).ok()?, client);
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = said(&mut client, &mut buffer)?;
        server.write_all(&buffer[..count]).ok()?;
        let count = said(&mut server, &mut buffer)?;
        client.write_all(&buffer[..count]).ok()?;
    }
}

/// What somebody said in a short time; none if that was the last.
fn said(from: &mut impl Read, buffer: &mut [u8]) -> Option<usize> {
    match from.read(buffer) {
        Ok(0) => None,
        Ok(count) => Some(count),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Some(0)
        }
        Err(_) => None,
    }
}
