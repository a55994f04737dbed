//! Docker's contexts: engines that `docker context create` gave names to.
//!
//! `config.json` names the current one, `contexts/meta/DIGEST/meta.json` says where it is, and
//! `contexts/tls/DIGEST/docker/` has its certificates, where DIGEST is the SHA-256 of its name
//! (docker/cli, package `context/store`).

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;

use serde::Deserialize;

use super::endpoint::{Endpoint, TlsFiles};
use super::environment::{configuration, text};
use strata_error::{Error, Result, small_file};
use strata_http::Environment;
use strata_oci::Digest;

/// The most bytes of a file that are read.
const LARGEST_FILE: u64 = 4 << 20;
/// The name of the engine that no context is about.
const DEFAULT: &str = "default";

/// The fields of `config.json` that matter.
#[derive(Deserialize)]
struct Configuration {
    #[serde(default, rename = "currentContext")]
    current_context: String,
}

/// The fields of `meta.json` that matter.
#[derive(Deserialize)]
struct Metadata {
    #[serde(default, rename = "Endpoints")]
    endpoints: BTreeMap<String, MetadataEndpoint>,
}

#[derive(Deserialize)]
struct MetadataEndpoint {
    #[serde(default, rename = "Host")]
    host: String,
    #[serde(default, rename = "SkipTLSVerify")]
    insecure: bool,
}

/// The engine of the context that `DOCKER_CONTEXT`, else Docker's configuration names; `None` if
/// that is the default one.
pub(super) fn current(environment: Environment<'_>) -> Result<Option<Endpoint>> {
    let Some(directory) = configuration(environment) else {
        return Ok(None);
    };
    let named = text(environment, "DOCKER_CONTEXT").map_or_else(|| configured(&directory), Ok)?;
    if named.is_empty() || named == DEFAULT {
        return Ok(None);
    }
    let digest = Digest::of(named.as_bytes()).hex();
    let contexts = directory.join("contexts");
    let file = contexts.join("meta").join(&digest).join("meta.json");
    let Some(bytes) = read(&file)? else {
        return Err(Error::Name {
            what: "Docker context",
            value: named,
            message: format!("not found in {}", contexts.display()),
            hint: "`docker context ls` lists them; unset DOCKER_CONTEXT, or `docker context use default`"
                .to_owned(),
        });
    };
    let Metadata { mut endpoints } = parse(&file, &bytes)?;
    let Some(endpoint) = endpoints.remove("docker").filter(|it| !it.host.is_empty()) else {
        return Err(broken(&file, "has no Docker engine"));
    };
    let mut tls = TlsFiles::in_directory(&contexts.join("tls").join(&digest).join("docker"));
    tls.insecure = endpoint.insecure;
    let is_encrypted = tls != TlsFiles::default();
    Endpoint::new(&endpoint.host, is_encrypted.then_some(tls)).map(Some)
}

/// The current context by `config.json`; empty if it names none.
fn configured(directory: &Path) -> Result<String> {
    let file = directory.join("config.json");
    match read(&file)? {
        Some(bytes) => parse(&file, &bytes).map(|it: Configuration| it.current_context),
        None => Ok(String::new()),
    }
}

/// The bytes of a file, `None` if there is none.
fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => small_file::read_opened(opened, path, LARGEST_FILE).map(Some),
    }
}

fn parse<T: for<'a> Deserialize<'a>>(path: &Path, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| {
        // The parser's own message can quote a password that is kept here.
        let (line, column) = (error.line(), error.column());
        broken(
            path,
            &format!("not what Docker writes (line {line}, column {column})"),
        )
    })
}

fn broken(path: &Path, message: &str) -> Error {
    Error::Document {
        document: path.display().to_string(),
        message: message.to_owned(),
        hint: "name the engine with --dest-daemon-host or DOCKER_HOST, or repair the file"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    struct Scene(tempfile::TempDir);

    impl Scene {
        fn new(files: &[(&str, &str)]) -> Self {
            let scene = Self(tempfile::tempdir().unwrap());
            for (name, text) in files {
                let path = scene
                    .0
                    .path()
                    .join(name.replace("NAME", &Digest::of(b"work").hex()));
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            scene
        }

        fn current(&self, context: Option<&str>) -> Result<Option<Endpoint>> {
            current(&|name| match name {
                "DOCKER_CONFIG" => Some(self.0.path().into()),
                "DOCKER_CONTEXT" => context.map(OsString::from),
                _ => None,
            })
        }
    }

    const META: &str = "contexts/meta/NAME/meta.json";

    #[test]
    fn the_current_context_is_followed() {
        let files = [
            (
                "config.json",
                r#"{"currentContext":"work","auths":{"x":{}}}"#,
            ),
            (
                META,
                r#"{"Name":"work","Endpoints":{"docker":{"Host":"tcp://h:1"}}}"#,
            ),
        ];
        let scene = Scene::new(&files);
        let endpoint = scene.current(None).unwrap().unwrap();
        assert_eq!((endpoint.host.as_str(), endpoint.tls), ("tcp://h:1", None));
        assert_eq!(scene.current(Some("default")).unwrap(), None);
        let error = scene.current(Some("absent")).unwrap_err().to_string();
        assert!(
            error.starts_with("Docker context \"absent\": not found"),
            "{error}"
        );
        let none = Scene::new(&[]);
        assert_eq!(none.current(None).unwrap(), None);
        let scene = Scene::new(&files[1..]);
        assert!(scene.current(Some("work")).unwrap().is_some());
    }

    #[test]
    fn certificates_belong_to_the_context() {
        let scene = Scene::new(&[
            (
                META,
                r#"{"Endpoints":{"docker":{"Host":"tcp://h:1","SkipTLSVerify":true}}}"#,
            ),
            ("contexts/tls/NAME/docker/ca.pem", ""),
            ("contexts/tls/NAME/docker/cert.pem", ""),
            ("contexts/tls/NAME/docker/key.pem", ""),
        ]);
        let tls = scene.current(Some("work")).unwrap().unwrap().tls.unwrap();
        assert!(tls.insecure && tls.authority.is_some() && tls.certificate.is_some());
    }

    #[test]
    fn broken_files_are_named_and_not_quoted() {
        for (files, context) in [
            ([("config.json", r#"{"currentContext":["secret"]}"#)], None),
            ([("config.json", r#"{"secret"#)], None),
            ([(META, r#"{"Endpoints":"secret"}"#)], Some("work")),
            ([(META, r#"{"Endpoints":{"docker":{}}}"#)], Some("work")),
        ] {
            let error = Scene::new(&files).current(context).unwrap_err().to_string();
            assert!(
                error.contains(".json: ") && !error.contains("secret"),
                "{error}"
            );
        }
    }
}
