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
use strata_error::small_file::{self, Found, Settings};
use strata_error::{Error, Result};
use strata_http::Environment;
use strata_oci::Digest;
use strata_progress::Context;

/// The most bytes of a file that are read.
const LARGEST_FILE: u64 = 4 << 20;
/// The name of the engine that no context is about.
const DEFAULT: &str = "default";

/// The fields of `config.json` that matter.
#[derive(Deserialize)]
struct Configuration {
    /// Null is what Go's encoders write of nothing.
    #[serde(default, rename = "currentContext")]
    current_context: Option<String>,
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
pub(super) fn current(
    environment: Environment<'_>,
    context: Context<'_>,
) -> Result<Option<Endpoint>> {
    let Some(directory) = configuration(environment) else {
        return Ok(None);
    };
    let named =
        text(environment, "DOCKER_CONTEXT").map_or_else(|| configured(&directory, context), Ok)?;
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

/// The current context by `config.json`; empty if it names none. A file that cannot be used is told of.
fn configured(directory: &Path, context: Context<'_>) -> Result<String> {
    let file = Settings {
        path: directory.join("config.json"),
        named: false,
    };
    let parse = |bytes: &[u8]| match bytes.trim_ascii() {
        [] => Ok(String::new()),
        bytes => {
            let found: Option<Configuration> = parse(&file.path, bytes)?;
            Ok(found.and_then(|it| it.current_context).unwrap_or_default())
        }
    };
    match file.read(LARGEST_FILE, parse)? {
        Found::Settings(name) => Ok(name),
        Found::Nothing => Ok(String::new()),
        Found::Unusable(error) => {
            let text = format!("warning: {error}; it counts as absent");
            context.progress.warn(&text);
            Ok(String::new())
        }
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
    use std::sync::Mutex;

    use strata_progress::Progress;

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
            let environment = |name: &str| match name {
                "DOCKER_CONFIG" => Some(self.0.path().into()),
                "DOCKER_CONTEXT" => context.map(OsString::from),
                _ => None,
            };
            current(&environment, Context::silent())
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

    /// Told without what is in it.
    struct Told(Mutex<Vec<String>>);

    impl Progress for Told {
        fn warn(&self, text: &str) {
            self.0.lock().unwrap().push(text.to_owned());
        }
    }

    /// Row "Strangers' documents" of issue 11: a default file that cannot be used counts as absent.
    #[test]
    fn a_configuration_that_cannot_be_used_is_none() {
        for (text, is_told) in [
            ("", false),
            ("\n", false),
            ("null", false),
            (r#"{"currentContext":null}"#, false),
            (r#"{"currentContext":["secret"]}"#, true),
            (r#"{"secret"#, true),
            ("7", true),
        ] {
            let scene = Scene::new(&[("config.json", text)]);
            let told = Told(Mutex::default());
            let context = Context::silent().watched_by(&told);
            let environment = |name: &str| (name == "DOCKER_CONFIG").then(|| scene.0.path().into());
            assert_eq!(current(&environment, context).unwrap(), None, "{text}");
            let told = told.0.lock().unwrap();
            assert_eq!(!told.is_empty(), is_told, "{text}: {told:?}");
            assert!(
                told.iter()
                    .all(|text| text.contains("config.json") && !text.contains("secret"))
            );
        }
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
            ([(META, r#"{"Endpoints":"secret"}"#)], "work"),
            ([(META, r#"{"Endpoints":{"docker":{}}}"#)], "work"),
            ([(META, "")], "work"),
        ] {
            let found = Scene::new(&files).current(Some(context));
            let error = found.unwrap_err().to_string();
            assert!(
                error.contains(".json: ") && !error.contains("secret"),
                "{error}"
            );
        }
    }
}
