//! What to log in with, and the files in which `docker login` and `podman login` keep it
//! (containers-auth.json(5), Docker's `config.json`).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

use crate::oci::Reference;
use crate::{Error, Result};

/// The largest file that is read, in bytes.
const LARGEST_FILE: u64 = 4 << 20;

/// What to log in with. Its debug form shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A user name and a password (or an access token in its place).
    Basic {
        /// The user name.
        username: String,
        /// The password.
        password: String,
    },
    /// An `OAuth2` refresh token, which some registries give out at login in place of a password.
    IdentityToken(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Basic { .. } => "Basic(…)",
            Self::IdentityToken(_) => "IdentityToken(…)",
        })
    }
}

impl FromStr for Credentials {
    type Err = Error;

    /// Reads `USER:PASSWORD`, as `--dest-creds` takes it. The password may hold colons.
    fn from_str(text: &str) -> Result<Self> {
        match text.split_once(':') {
            Some((username, password)) if !username.is_empty() => Ok(Self::Basic {
                username: username.to_owned(),
                password: password.to_owned(),
            }),
            // The text itself may be the secret, so it is not repeated.
            _ => Err(Error::Name {
                what: "credentials",
                value: "…".to_owned(),
                message: "there is no user name before a colon".to_owned(),
                hint: "write USER:PASSWORD".to_owned(),
            }),
        }
    }
}

/// What was found to log in with.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Login {
    /// The credentials; without them the registry is asked anonymously.
    pub(super) credentials: Option<Credentials>,
    /// Where they are from, for messages.
    pub(super) source: String,
    /// A credential helper that a file names for this registry.
    pub(super) helper: Option<String>,
}

impl Login {
    /// What to log in with to push to `reference`: what was `given`, else the first match in the
    /// files of [`files`].
    pub(super) fn find(
        given: Option<&Credentials>,
        auth_file: Option<&Path>,
        reference: &Reference,
        environment: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self> {
        if let Some(credentials) = given {
            let source = "the command line".to_owned();
            return Ok(Self {
                credentials: Some(credentials.clone()),
                source,
                helper: None,
            });
        }
        let mut login = Self::default();
        for file in files(auth_file, environment) {
            let Some(bytes) = read(&file)? else { continue };
            let document = AuthFile::parse(&file.path.display().to_string(), &bytes)?;
            login.credentials = document.credentials(reference)?;
            login.helper = login.helper.or_else(|| document.helper(reference));
            if login.credentials.is_some() {
                login.source = file.path.display().to_string();
                break;
            }
        }
        Ok(login)
    }
}

/// A file that may hold credentials.
struct Candidate {
    path: PathBuf,
    /// Whether the user named it, so that it has to be there.
    named: bool,
}

/// Where credentials are looked for: the file that the user named (`--authfile`,
/// `REGISTRY_AUTH_FILE`) and no other, or the usual places, podman's before Docker's.
fn files(
    auth_file: Option<&Path>,
    environment: &dyn Fn(&str) -> Option<OsString>,
) -> Vec<Candidate> {
    let variable = |name| {
        environment(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(path) = auth_file
        .map(Path::to_path_buf)
        .or_else(|| variable("REGISTRY_AUTH_FILE"))
    {
        return vec![Candidate { path, named: true }];
    }
    let home = variable("HOME");
    let in_home = |directory: &str| home.as_ref().map(|home| home.join(directory));
    [
        variable("XDG_RUNTIME_DIR").map(|directory| directory.join("containers/auth.json")),
        variable("XDG_CONFIG_HOME")
            .or_else(|| in_home(".config"))
            .map(|directory| directory.join("containers/auth.json")),
        variable("DOCKER_CONFIG")
            .or_else(|| in_home(".docker"))
            .map(|directory| directory.join("config.json")),
    ]
    .into_iter()
    .flatten()
    .map(|path| Candidate { path, named: false })
    .collect()
}

/// The bytes of a file, `None` if it is a usual place where there is none.
fn read(file: &Candidate) -> Result<Option<Vec<u8>>> {
    let path = &file.path;
    let opened = match std::fs::File::open(path) {
        Err(error) if !file.named && error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(None);
        }
        opened => opened.map_err(Error::io("read", path))?,
    };
    let mut bytes = Vec::new();
    opened
        .take(LARGEST_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(Error::io("read", path))?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(bad_file(&path.display().to_string(), "larger than 4 MiB"));
    }
    Ok(Some(bytes))
}

fn bad_file(name: &str, message: &str) -> Error {
    Error::Document {
        document: name.to_owned(),
        message: message.to_owned(),
        hint: "log in again with `docker login` or `podman login`".to_owned(),
    }
}

/// The fields that matter of `auth.json` and `config.json`.
#[derive(Deserialize)]
struct AuthFile {
    #[serde(skip)]
    name: String,
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    #[serde(default, rename = "credHelpers")]
    helpers: BTreeMap<String, String>,
    #[serde(default, rename = "credsStore")]
    store: String,
}

/// What is kept for one registry.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
}

impl AuthFile {
    /// Parses the file `name`.
    fn parse(name: &str, bytes: &[u8]) -> Result<Self> {
        let parsed: Self = serde_json::from_slice(bytes).map_err(|error| {
            // The parser's own message can quote a secret.
            let place = format!("line {}, column {}", error.line(), error.column());
            bad_file(
                name,
                &format!("not a file of registry credentials ({place})"),
            )
        })?;
        Ok(Self {
            name: name.to_owned(),
            ..parsed
        })
    }

    /// The credentials of the longest key that `reference` is below: a whole repository, its
    /// parents, the registry.
    fn credentials(&self, reference: &Reference) -> Result<Option<Credentials>> {
        for scope in scopes(reference) {
            let entries = self.auths.iter().filter(|(key, _)| normalize(key) == scope);
            for (key, entry) in entries {
                if let Some(credentials) = self.entry(key, entry)? {
                    return Ok(Some(credentials));
                }
            }
        }
        Ok(None)
    }

    /// The credentials of one entry; `docker login` leaves it empty when a helper keeps them.
    fn entry(&self, key: &str, entry: &Entry) -> Result<Option<Credentials>> {
        if !entry.identitytoken.is_empty() {
            return Ok(Some(Credentials::IdentityToken(
                entry.identitytoken.clone(),
            )));
        }
        if !entry.auth.is_empty() {
            return decode(&entry.auth).map(Some).ok_or_else(|| {
                let message = format!("auths.{key:?}.auth is not base64 of USER:PASSWORD");
                bad_file(&self.name, &message)
            });
        }
        let Entry {
            username, password, ..
        } = entry;
        Ok((!username.is_empty()).then(|| Credentials::Basic {
            username: username.clone(),
            password: password.clone(),
        }))
    }

    /// The program that keeps the credentials of `reference`.
    fn helper(&self, reference: &Reference) -> Option<String> {
        let named = scopes(reference).into_iter().find_map(|scope| {
            self.helpers
                .iter()
                .find(|(key, _)| normalize(key) == scope)
                .map(|(_, helper)| helper)
        });
        let helper = named.unwrap_or(&self.store);
        (!helper.is_empty()).then(|| format!("docker-credential-{helper}"))
    }
}

/// The keys that `reference` may be kept under, longest first.
fn scopes(reference: &Reference) -> Vec<String> {
    let registry = normalize(&reference.registry);
    let parts: Vec<&str> = reference.repository.split('/').collect();
    (1..=parts.len())
        .rev()
        .map(|length| format!("{registry}/{}", parts[..length].join("/")))
        .chain([registry.clone()])
        .collect()
}

/// A key without the forms that Docker once wrote: a scheme, an API version, Docker Hub's hosts.
fn normalize(key: &str) -> String {
    let key = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"))
        .unwrap_or(key);
    let key = key.trim_end_matches('/');
    let key = key
        .strip_suffix("/v1")
        .or_else(|| key.strip_suffix("/v2"))
        .unwrap_or(key);
    let (registry, path) = key.split_at(key.find('/').unwrap_or(key.len()));
    let registry = match registry {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        other => other,
    };
    format!("{}{path}", registry.to_ascii_lowercase())
}

/// `USER:PASSWORD` in base64.
fn decode(text: &str) -> Option<Credentials> {
    const LENIENT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    const BASE64: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::STANDARD, LENIENT);
    let decoded = String::from_utf8(BASE64.decode(text.trim()).ok()?).ok()?;
    let (username, password) = decoded.split_once(':')?;
    // Docker's own reader drops the padding that some writers leave behind.
    let password = password.trim_end_matches('\0');
    Some(Credentials::Basic {
        username: username.to_owned(),
        password: password.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(username: &str, password: &str) -> Credentials {
        Credentials::Basic {
            username: username.to_owned(),
            password: password.to_owned(),
        }
    }

    fn lookup(document: &str, reference: &str) -> Result<Option<Credentials>> {
        AuthFile::parse("auth.json", document.as_bytes())?
            .credentials(&Reference::parse(reference)?)
    }

    #[test]
    fn the_longest_key_wins() {
        // One user each: registry:x, parent:x, repository:x, hub:x.
        let document = r#"{ "auths": {
            "r.example:5000": { "auth": "cmVnaXN0cnk6eA==" },
            "r.example:5000/a": { "auth": "cGFyZW50Ong=" },
            "r.example:5000/a/b": { "auth": "cmVwb3NpdG9yeTp4" },
            "https://index.docker.io/v1/": { "auth": "aHViOng=" },
            "https://old.example/v2/": { "username": "old", "password": "x" },
            "empty.example": {},
            "token.example": { "auth": "aHViOng=", "identitytoken": "t" }
        }, "unknown": 1 }"#;
        for (reference, found) in [
            ("r.example:5000/c", Some(basic("registry", "x"))),
            ("r.example:5000/ab", Some(basic("registry", "x"))),
            ("r.example:5000/a", Some(basic("parent", "x"))),
            ("r.example:5000/a/c", Some(basic("parent", "x"))),
            ("r.example:5000/a/b:tag", Some(basic("repository", "x"))),
            ("hello", Some(basic("hub", "x"))),
            ("index.docker.io/me/hello", Some(basic("hub", "x"))),
            ("old.example/a", Some(basic("old", "x"))),
            (
                "token.example/a",
                Some(Credentials::IdentityToken("t".to_owned())),
            ),
            ("empty.example/a", None),
            ("r.example/a", None),
        ] {
            assert_eq!(lookup(document, reference).unwrap(), found, "{reference}");
        }
    }

    #[test]
    fn passwords_may_hold_anything() {
        // u:p:w, and u:p with trailing zero bytes, without padding.
        for (auth, password) in [("dTpwOnc=", "p:w"), ("dTpwAAA", "p")] {
            let document = format!(r#"{{"auths":{{"r.example":{{"auth":"{auth}"}}}}}}"#);
            assert_eq!(
                lookup(&document, "r.example/a").unwrap(),
                Some(basic("u", password))
            );
        }
        assert_eq!("u:p:w".parse::<Credentials>().unwrap(), basic("u", "p:w"));
        for text in ["secret", ":secret"] {
            let error = text.parse::<Credentials>().unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        assert!(!format!("{:?}", basic("secret", "secret")).contains("secret"));
    }

    #[test]
    fn a_broken_file_is_named_and_not_quoted() {
        for document in [
            r#"{"auths":{"r.example":{"auth":"secret!"}}}"#,
            r#"{"auths":{"r.example":{"auth":"c2VjcmV0"}}}"#,
            r#"{"auths":{"r.example":"secret"}}"#,
            r#"{"auths":"secret"}"#,
            r#"{"auths":{"secret"#,
        ] {
            let error = lookup(document, "r.example/a").unwrap_err();
            assert!(error.to_string().starts_with("auth.json: "), "{error}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn helpers_are_named() {
        let document = r#"{ "auths": { "ghcr.io": {} }, "credsStore": "desktop",
            "credHelpers": { "gcr.io": "gcloud", "https://index.docker.io/v1/": "pass" } }"#;
        let file = AuthFile::parse("config.json", document.as_bytes()).unwrap();
        for (reference, helper) in [
            ("gcr.io/a/b", "gcloud"),
            ("hello", "pass"),
            ("ghcr.io/a/b", "desktop"),
        ] {
            let reference = Reference::parse(reference).unwrap();
            assert_eq!(
                file.helper(&reference),
                Some(format!("docker-credential-{helper}"))
            );
            assert_eq!(file.credentials(&reference).unwrap(), None);
        }
        let none = AuthFile::parse("config.json", b"{}").unwrap();
        assert_eq!(none.helper(&Reference::parse("hello").unwrap()), None);
    }

    #[test]
    fn files_are_looked_for_in_order() {
        let paths = |auth_file: Option<&str>, variables: &[(&str, &str)]| -> Vec<String> {
            let environment = |name: &str| {
                variables
                    .iter()
                    .find(|(key, _)| *key == name)
                    .map(|(_, value)| (*value).into())
            };
            let found = files(auth_file.map(Path::new), &environment);
            found
                .into_iter()
                .map(|file| file.path.display().to_string())
                .collect()
        };
        let all = [
            ("HOME", "/h"),
            ("XDG_RUNTIME_DIR", "/run"),
            ("REGISTRY_AUTH_FILE", "/r"),
        ];
        assert_eq!(paths(Some("/a"), &all), ["/a"]);
        assert_eq!(paths(None, &all), ["/r"]);
        assert_eq!(
            paths(None, &all[..2]),
            [
                "/run/containers/auth.json",
                "/h/.config/containers/auth.json",
                "/h/.docker/config.json"
            ]
        );
        assert_eq!(
            paths(
                None,
                &[
                    ("HOME", "/h"),
                    ("XDG_CONFIG_HOME", "/c"),
                    ("DOCKER_CONFIG", "/d")
                ]
            ),
            ["/c/containers/auth.json", "/d/config.json"]
        );
        assert_eq!(paths(None, &[("HOME", "")]), [""; 0]);
    }

    #[test]
    fn the_first_file_with_a_match_is_used() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write(
            "runtime/containers/auth.json",
            r#"{"auths":{"a.example":{"auth":"YTp4"}}}"#,
        );
        write(
            "docker/config.json",
            r#"{"auths":{"a.example":{"auth":"Yjp4"},"b.example":{"auth":"Yjp4"}},"credsStore":"pass"}"#,
        );
        let environment = |name: &str| {
            let place = match name {
                "XDG_RUNTIME_DIR" => "runtime",
                "DOCKER_CONFIG" => "docker",
                _ => return None,
            };
            Some(directory.path().join(place).into_os_string())
        };
        let find = |given: Option<&Credentials>, file: Option<&Path>, reference: &str| {
            Login::find(
                given,
                file,
                &Reference::parse(reference).unwrap(),
                &environment,
            )
        };
        let credentials = |reference| find(None, None, reference).unwrap().credentials;
        assert_eq!(credentials("a.example/x"), Some(basic("a", "x")));
        assert_eq!(credentials("b.example/x"), Some(basic("b", "x")));
        let none = find(None, None, "c.example/x").unwrap();
        assert_eq!(
            (none.credentials, none.helper.as_deref()),
            (None, Some("docker-credential-pass"))
        );
        let given = basic("given", "x");
        let missing = directory.path().join("missing");
        assert_eq!(
            find(Some(&given), Some(&missing), "a.example/x")
                .unwrap()
                .credentials,
            Some(given)
        );
        let error = find(None, Some(&missing), "a.example/x").unwrap_err();
        assert!(error.to_string().contains("missing"), "{error}");
    }
}
