//! Whom to trust, and what to show: the authorities of the system, and the directories of Docker and
//! podman with the certificates of one registry (containers-certs.d(5)).

use std::path::{Path, PathBuf};

use strata_error::{Error, Result};
use strata_http::{CERTIFICATE_HINT, ClientCertificate, Environment, TrustStore};

/// Where directories that are called like a registry lie, after the one of the user.
const SYSTEM_DIRECTORIES: [&str; 2] = ["/etc/containers/certs.d", "/etc/docker/certs.d"];

/// What to do about a file without a key.
const KEY_HINT: &str =
    "keys are expected in PEM form and without a password, -----BEGIN PRIVATE KEY-----";

/// What is known about one registry.
#[derive(Default)]
pub struct Trust {
    /// The authorities to trust.
    pub authorities: TrustStore,
    /// The certificates to show to a registry that asks for one.
    pub clients: Vec<ClientCertificate>,
}

impl Trust {
    /// What to trust and to show to `registry`: what is in `directory`, or else in the first of the
    /// usual directories that there is; and the authorities of the system.
    pub fn find(
        directory: Option<&Path>,
        registry: &str,
        environment: Environment<'_>,
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
        trust.authorities.extend(TrustStore::system(environment)?);
        Ok(trust)
    }
}

/// Where a directory for `registry` may be, the user's first.
fn usual_directories(registry: &str, environment: Environment<'_>) -> Vec<PathBuf> {
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
            Some("crt") => {
                let authorities = TrustStore::read(path, CERTIFICATE_HINT)?;
                trust.authorities.extend(authorities);
            }
            Some("cert") => trust.clients.push(ClientCertificate::read(
                (path, CERTIFICATE_HINT),
                (&beside("key"), KEY_HINT),
            )?),
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
