//! Whom to trust: the certificate authorities of the system, and those that the user names.

use std::path::{Path, PathBuf};

use ureq::tls::{Certificate, PemItem, RootCerts, parse_pem};

use crate::{Error, Result};

/// The authorities in the `*.crt` files of `directory`, and the system's: the file that
/// `NIX_SSL_CERT_FILE` names, as in Nix's own programs, else `SSL_CERT_FILE` and `SSL_CERT_DIR`, else
/// the operating system's store. A system that has none gets Mozilla's list.
pub(in crate::transport) fn roots(directory: Option<&Path>) -> Result<RootCerts> {
    let mut roots = match std::env::var_os("NIX_SSL_CERT_FILE").map(PathBuf::from) {
        // Nix names a file that does not exist where it wants no network.
        Some(file) if file.is_file() => read(&file)?,
        _ => system(),
    };
    if let Some(directory) = directory {
        roots.extend(read_directory(directory)?);
    }
    Ok(if roots.is_empty() {
        RootCerts::WebPki
    } else {
        RootCerts::from(roots)
    })
}

/// What the system trusts. What it cannot read it does not trust, so errors are no news.
fn system() -> Vec<Certificate<'static>> {
    let found = rustls_native_certs::load_native_certs().certs;
    found
        .iter()
        .map(|certificate| Certificate::from_der(certificate).to_owned())
        .collect()
}

fn read_directory(directory: &Path) -> Result<Vec<Certificate<'static>>> {
    let mut roots = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(Error::io("read", directory))? {
        let path = entry.map_err(Error::io("read", directory))?.path();
        if path.extension().is_some_and(|extension| extension == "crt") {
            roots.extend(read(&path)?);
        }
    }
    Ok(roots)
}

fn read(path: &Path) -> Result<Vec<Certificate<'static>>> {
    let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
    let certificates = certificates(&bytes);
    if certificates.is_empty() {
        return Err(Error::Document {
            document: path.display().to_string(),
            message: "no certificate in it".to_owned(),
            hint: "certificates are expected in PEM form, -----BEGIN CERTIFICATE-----".to_owned(),
        });
    }
    Ok(certificates)
}

/// The certificates among the PEM blocks of `bytes`.
fn certificates(bytes: &[u8]) -> Vec<Certificate<'static>> {
    parse_pem(bytes)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_crt_files_count_and_must_hold_a_certificate() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("notes.txt"), "nothing").unwrap();
        assert!(read_directory(directory.path()).unwrap().is_empty());
        std::fs::write(
            directory.path().join("a.crt"),
            "text\n-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n",
        )
        .unwrap();
        let found = read_directory(directory.path()).unwrap();
        assert_eq!(
            found.iter().map(Certificate::der).collect::<Vec<_>>(),
            [[0, 1, 2]]
        );
        std::fs::write(directory.path().join("b.crt"), "nothing").unwrap();
        let error = read_directory(directory.path()).unwrap_err();
        assert!(error.to_string().contains("b.crt"), "{error}");
    }
}
