//! The certificates of a connection over TCP.

use std::path::Path;

use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

use super::endpoint::Tls;
use strata_error::{Error, Result, small_file};
use strata_registry::certificates;

/// The most bytes of a file that are read.
const LARGEST_FILE: u64 = 4 << 20;

/// What `ureq` needs to know.
pub(super) fn config(tls: &Tls) -> Result<TlsConfig> {
    let roots = match &tls.authority {
        // An engine's authority is for that engine, so that nobody else's counts.
        Some(file) => RootCerts::from(read_certificates(file)?),
        None => certificates::system_roots()?,
    };
    let certificate = tls
        .certificate
        .as_ref()
        .map(|(certificate, key)| read_pair(certificate, key))
        .transpose()?;
    Ok(TlsConfig::builder()
        .root_certs(roots)
        .client_cert(certificate)
        .disable_verification(tls.insecure)
        .build())
}

/// A certificate and its key. `ureq` panics when they do not belong together, so that is found out
/// here.
fn read_pair(certificate: &Path, key: &Path) -> Result<ClientCert> {
    let chain = read_certificates(certificate)?;
    let bytes = small_file::read(key, LARGEST_FILE)?;
    // What a parser says about a key is not repeated.
    let private = PrivateKey::from_pem(&bytes).map_err(|_| broken(key, "no private key in it"))?;
    let chain_der = chain
        .iter()
        .map(|it| CertificateDer::from(it.der().to_vec()));
    let key_der = PrivateKeyDer::try_from(private.der().to_vec())
        .map_err(|_| broken(key, "not a private key"))?;
    CertifiedKey::from_der(chain_der.collect(), key_der, &ring::default_provider())
        .map_err(|_| broken(key, &format!("not the key of {}", certificate.display())))?;
    Ok(ClientCert::new_with_certs(&chain, private))
}

fn read_certificates(file: &Path) -> Result<Vec<Certificate<'static>>> {
    let bytes = small_file::read(file, LARGEST_FILE)?;
    let found: Vec<_> = parse_pem(&bytes)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if found.is_empty() {
        return Err(broken(file, "no certificate in it"));
    }
    Ok(found)
}

fn broken(file: &Path, message: &str) -> Error {
    Error::Document {
        document: file.display().to_string(),
        message: message.to_owned(),
        hint: "Docker's certificates are ca.pem, cert.pem and key.pem, in PEM form, in the \
               directory that DOCKER_CERT_PATH names"
            .to_owned(),
    }
}
