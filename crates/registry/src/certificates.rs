//! Whom to trust, and what to show: the certificate authorities of the system, and the directories of
//! Docker and podman with those of one registry (containers-certs.d(5)).

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use ureq::tls::{Certificate, RootCerts};

use strata_error::{Error, Result, small_file};

/// The largest file that is read, in bytes.
const LARGEST_FILE: u64 = 4 << 20;

/// Where directories that are called like a registry lie, after the one of the user.
const SYSTEM_DIRECTORIES: [&str; 2] = ["/etc/containers/certs.d", "/etc/docker/certs.d"];

/// The variable that Nix's own programs read.
const NIX_VARIABLE: &str = "NIX_SSL_CERT_FILE";
/// The variable that all others read.
const VARIABLE: &str = "SSL_CERT_FILE";

/// What is known about one registry.
#[derive(Default)]
pub struct Trust {
    /// The authorities to trust. Without any, Mozilla's list is meant.
    pub authorities: Vec<CertificateDer<'static>>,
    /// The certificates to show to a registry that asks for one.
    pub clients: Vec<ClientCertificate>,
}

/// A client certificate.
pub struct ClientCertificate {
    /// The certificate, and those that lead to its authority.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its private key.
    pub key: PrivateKeyDer<'static>,
}

impl Trust {
    /// What to trust and to show to `registry`: what is in `directory`, or else in the first of the
    /// usual directories that there is; and the authorities of the system: the file that
    /// `NIX_SSL_CERT_FILE` names, as in Nix's own programs, else `SSL_CERT_FILE` and `SSL_CERT_DIR`,
    /// else the operating system's store.
    pub fn find(
        directory: Option<&Path>,
        registry: &str,
        environment: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self> {
        let mut trust = match directory {
            Some(directory) => read_directory(directory)?,
            None => match usual_directories(registry, environment)
                .into_iter()
                .find(|directory| directory.is_dir())
            {
                Some(directory) => read_directory(&directory)?,
                None => Self::default(),
            },
        };
        trust.authorities.extend(system(environment)?);
        Ok(trust)
    }
}

/// The variable that decides which file the authorities of the system are in.
pub fn variable(environment: &dyn Fn(&str) -> Option<OsString>) -> &'static str {
    nix_file(environment).map_or(VARIABLE, |_| NIX_VARIABLE)
}

/// The authorities of the system, for others who speak TLS.
pub fn system_roots() -> Result<RootCerts> {
    let authorities = system(&|name| std::env::var_os(name))?;
    if authorities.is_empty() {
        return Ok(RootCerts::WebPki);
    }
    let certificates = authorities
        .iter()
        .map(|authority| Certificate::from_der(authority).to_owned());
    Ok(RootCerts::from(certificates.collect::<Vec<_>>()))
}

/// What the system trusts.
fn system(environment: &dyn Fn(&str) -> Option<OsString>) -> Result<Vec<CertificateDer<'static>>> {
    match nix_file(environment) {
        Some(file) => read_certificates(&file),
        // What cannot be read there is not trusted, so errors are no news.
        None => Ok(rustls_native_certs::load_native_certs().certs),
    }
}

/// The file of authorities that Nix's variable names. Where Nix wants no network, it names one that does
/// not exist.
fn nix_file(environment: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let file = environment(NIX_VARIABLE).map(PathBuf::from);
    file.filter(|file| file.is_file())
}

/// Where a directory for `registry` may be, the user's first.
fn usual_directories(
    registry: &str,
    environment: &dyn Fn(&str) -> Option<OsString>,
) -> Vec<PathBuf> {
    let home = environment("HOME").filter(|home| !home.is_empty());
    home.map(|home| Path::new(&home).join(".config/containers/certs.d"))
        .into_iter()
        .chain(SYSTEM_DIRECTORIES.map(PathBuf::from))
        .map(|directory| directory.join(registry))
        .collect()
}

/// `*.crt` are authorities; `*.cert` with the `*.key` of the same name are client certificates.
fn read_directory(directory: &Path) -> Result<Trust> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(Error::io("read", directory))? {
        paths.push(entry.map_err(Error::io("read", directory))?.path());
    }
    paths.sort();
    let mut trust = Trust::default();
    for path in &paths {
        let beside = |extension: &str| path.with_extension(extension);
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("crt") => trust.authorities.extend(read_certificates(path)?),
            Some("cert") => trust.clients.push(ClientCertificate {
                chain: read_certificates(path)?,
                key: read_key(&beside("key"))?,
            }),
            // One alone is a mistake that would otherwise show as a refusal of the registry.
            Some("key") if !paths.contains(&beside("cert")) => {
                return Err(Error::Document {
                    document: path.display().to_string(),
                    message: format!("there is no {} for this key", beside("cert").display()),
                    hint: "authorities are called *.crt, client certificates *.cert".to_owned(),
                });
            }
            _ => {}
        }
    }
    Ok(trust)
}

/// The certificates of a file, at least one.
fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let certificates = certificates(&small_file::read(path, LARGEST_FILE)?);
    if certificates.is_empty() {
        return Err(Error::Document {
            document: path.display().to_string(),
            message: "no certificate in it".to_owned(),
            hint: "certificates are expected in PEM form, -----BEGIN CERTIFICATE-----".to_owned(),
        });
    }
    Ok(certificates)
}

/// The private key of a file.
fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>> {
    // What the parser says could quote the key.
    PrivateKeyDer::from_pem_slice(&small_file::read(path, LARGEST_FILE)?).map_err(|_| {
        Error::Document {
            document: path.display().to_string(),
            message: "no private key in it".to_owned(),
            hint:
                "keys are expected in PEM form and without a password, -----BEGIN PRIVATE KEY-----"
                    .to_owned(),
        }
    })
}

/// The certificates among the PEM blocks of `bytes`.
fn certificates(bytes: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(bytes)
        .filter_map(std::result::Result::ok)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CERTIFICATE: &str =
        "text\n-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n";
    const KEY: &str = "-----BEGIN PRIVATE KEY-----\nAAEC\n-----END PRIVATE KEY-----\n";

    /// What a directory with these files says, or the error.
    fn read_files(files: &[(&str, &str)]) -> std::result::Result<(usize, usize), String> {
        let directory = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(directory.path().join(name), content).unwrap();
        }
        read_directory(directory.path())
            .map(|trust| (trust.authorities.len(), trust.clients.len()))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn endings_say_what_files_are() {
        let two = CERTIFICATE.repeat(2);
        for (files, found) in [
            (&[("notes.txt", "nothing")][..], (0, 0)),
            (&[("a.crt", &two), ("b.crt", CERTIFICATE)], (3, 0)),
            (&[("a.cert", CERTIFICATE), ("a.key", KEY)], (0, 1)),
        ] {
            assert_eq!(read_files(files), Ok(found), "{files:?}");
        }
        for (files, message) in [
            (&[("a.crt", "nothing")][..], "a.crt: no certificate"),
            (&[("a.cert", CERTIFICATE)], "a.key"),
            (
                &[("a.cert", CERTIFICATE), ("a.key", "secret")],
                "a.key: no private key",
            ),
            (&[("a.cert", ""), ("a.key", KEY)], "a.cert: no certificate"),
            (&[("a.key", KEY)], "a.cert for this key"),
        ] {
            let error = read_files(files).unwrap_err();
            assert!(
                error.contains(message) && !error.contains("secret"),
                "{error}"
            );
        }
    }

    /// Half of a bundle would be trusted in part.
    #[test]
    fn files_that_are_too_large_are_not_cut() {
        let large = CERTIFICATE.repeat(100_000);
        let error = read_files(&[("a.crt", &large)]).unwrap_err();
        assert!(error.contains("larger than 4 MiB"), "{error}");
    }

    #[test]
    fn the_directory_of_the_user_comes_first() {
        let environment = |name: &str| (name == "HOME").then(|| "/h".into());
        let found = usual_directories("r.example:5000", &environment);
        let found: Vec<_> = found.iter().map(|path| path.to_str().unwrap()).collect();
        assert_eq!(
            found,
            [
                "/h/.config/containers/certs.d/r.example:5000",
                "/etc/containers/certs.d/r.example:5000",
                "/etc/docker/certs.d/r.example:5000",
            ]
        );
        assert_eq!(usual_directories("r", &|_| None).len(), 2);
    }
}
