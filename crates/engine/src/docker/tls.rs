//! The certificates of a connection over TCP.

use std::path::Path;

use super::endpoint::TlsFiles;
use strata_error::{Error, Result};
use strata_http::{ClientCertificate, Tls, TrustStore};

/// What to do about files that are not what Docker has.
const HINT: &str = "Docker's certificates are ca.pem, cert.pem and key.pem, in PEM form, in the directory \
                    that DOCKER_CERT_PATH names";

/// How TLS is spoken with an engine that has these files.
pub(super) fn load(files: &TlsFiles) -> Result<Tls> {
    let trust = match &files.authority {
        // An engine's authority is for that engine, so that nobody else's counts.
        Some(file) => TrustStore::read(file, HINT)?,
        None => TrustStore::system(&|name| std::env::var_os(name))?,
    };
    let certificate = files
        .certificate
        .as_ref()
        .map(|(certificate, key)| read_pair(certificate, key))
        .transpose()?;
    let certificates = certificate.into_iter().collect();
    let tls = if files.insecure {
        Tls::insecure(certificates)
    } else {
        Tls::new(trust, certificates)
    };
    tls.map_err(|error| Error::Document {
        document: "certificates of the Docker engine".to_owned(),
        message: error.to_string(),
        hint: HINT.to_owned(),
    })
}

/// A certificate and its key, which must belong together: the engine would not say so.
fn read_pair(certificate: &Path, key: &Path) -> Result<ClientCertificate> {
    let client = ClientCertificate::read((certificate, HINT), (key, HINT))?;
    if client.is_pair() {
        return Ok(client);
    }
    Err(Error::Document {
        document: key.display().to_string(),
        message: format!("not the key of {}", certificate.display()),
        hint: HINT.to_owned(),
    })
}
