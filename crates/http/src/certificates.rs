//! Certificates and keys in PEM form (RFC 7468), and the certificate authorities that the system trusts.

use std::path::{Path, PathBuf};

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use strata_error::{Error, Result, small_file};

use crate::environment::Environment;

/// The largest file that is read, in bytes.
const LARGEST_FILE: u64 = 4 << 20;

/// The variable that Nix's own programs read.
const NIX_VARIABLE: &str = "NIX_SSL_CERT_FILE";
/// The variable that all others read.
const VARIABLE: &str = "SSL_CERT_FILE";

/// What to do about a file without certificates, where nobody knows better.
pub const CERTIFICATE_HINT: &str =
    "certificates are expected in PEM form, -----BEGIN CERTIFICATE-----";

/// The certificate authorities to trust.
#[derive(Clone, Debug, Default)]
pub struct TrustStore(pub(crate) Vec<CertificateDer<'static>>);

impl TrustStore {
    /// The authorities of the system: the file that `NIX_SSL_CERT_FILE` names, as in Nix's own
    /// programs, else `SSL_CERT_FILE` and `SSL_CERT_DIR`, else the operating system's store.
    pub fn system(environment: Environment<'_>) -> Result<Self> {
        match nix_file(environment) {
            Some(file) => Self::read(&file, CERTIFICATE_HINT),
            // What cannot be read there is not trusted, so errors are no news.
            None => Ok(Self(rustls_native_certs::load_native_certs().certs)),
        }
    }

    /// The certificates of a file, at least one. `hint` says what to do if there is none.
    pub fn read(path: &Path, hint: &str) -> Result<Self> {
        read_certificates(path, hint).map(Self)
    }

    /// Trusts those of `other` too.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The variable that decides which file the authorities of the system are in.
pub fn certificate_variable(environment: Environment<'_>) -> &'static str {
    nix_file(environment).map_or(VARIABLE, |_| NIX_VARIABLE)
}

/// The file of authorities that Nix's variable names. Where Nix wants no network, it names one that does
/// not exist.
fn nix_file(environment: Environment<'_>) -> Option<PathBuf> {
    let file = environment(NIX_VARIABLE).map(PathBuf::from);
    file.filter(|file| file.is_file())
}

/// A certificate to show to a server that asks for one.
#[derive(Debug)]
pub struct ClientCertificate {
    /// The certificate, and those that lead to its authority.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    /// Its private key.
    pub(crate) key: PrivateKeyDer<'static>,
}

impl ClientCertificate {
    /// The certificates of one file and the private key of another. The hints say what to do if they
    /// have none.
    pub fn read(
        (chain, chain_hint): (&Path, &str),
        (key, key_hint): (&Path, &str),
    ) -> Result<Self> {
        Ok(Self {
            chain: read_certificates(chain, chain_hint)?,
            key: read_key(key, key_hint)?,
        })
    }

    /// Whether the key is that of the certificate.
    pub fn is_pair(&self) -> bool {
        let key = self.key.clone_key();
        CertifiedKey::from_der(self.chain.clone(), key, &ring::default_provider()).is_ok()
    }
}

/// The certificates of a file, at least one.
fn read_certificates(path: &Path, hint: &str) -> Result<Vec<CertificateDer<'static>>> {
    let bytes = small_file::read(path, LARGEST_FILE)?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&bytes)
        .filter_map(std::result::Result::ok)
        .collect();
    if certificates.is_empty() {
        return Err(invalid(path, "no certificate in it", hint));
    }
    Ok(certificates)
}

/// The private key of a file.
fn read_key(path: &Path, hint: &str) -> Result<PrivateKeyDer<'static>> {
    let bytes = small_file::read(path, LARGEST_FILE)?;
    // What the parser says could quote the key.
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| invalid(path, "no private key in it", hint))
}

fn invalid(path: &Path, message: &str, hint: &str) -> Error {
    Error::Document {
        document: path.display().to_string(),
        message: message.to_owned(),
        hint: hint.to_owned(),
    }
}
