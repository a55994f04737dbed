//! The files in which `docker login` and `podman login` keep credentials (containers-auth.json(5),
//! Docker's `config.json`).

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

use crate::auth::credentials::Credentials;
use strata_error::{Error, Result};
use strata_oci::Reference;

/// An error about the file `name`, without what is in it.
pub(super) fn bad_file(name: &str, message: &str) -> Error {
    Error::Document {
        document: name.to_owned(),
        message: message.to_owned(),
        hint: "log in again with `docker login` or `podman login`".to_owned(),
    }
}

/// The fields that matter of `auth.json` and `config.json`.
#[derive(Deserialize)]
pub(super) struct AuthFile {
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
    pub(super) fn parse(name: &str, bytes: &[u8]) -> Result<Self> {
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
    pub(super) fn credentials(&self, reference: &Reference) -> Result<Option<Credentials>> {
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

    /// The helper that keeps the credentials of this registry, and of no other (`credHelpers`).
    pub(super) fn helper(&self, reference: &Reference) -> Option<&str> {
        scopes(reference).into_iter().find_map(|scope| {
            self.helpers
                .iter()
                .find(|(key, _)| normalize(key) == scope)
                .map(|(_, helper)| helper.as_str())
        })
    }

    /// The helper that keeps all other credentials (`credsStore`).
    pub(super) fn store(&self) -> Option<&str> {
        (!self.store.is_empty()).then_some(self.store.as_str())
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
            ("gcr.io/a/b", Some("gcloud")),
            ("hello", Some("pass")),
            ("ghcr.io/a/b", None),
        ] {
            let reference = Reference::parse(reference).unwrap();
            assert_eq!(file.helper(&reference), helper);
            assert_eq!(file.credentials(&reference).unwrap(), None);
        }
        assert_eq!(file.store(), Some("desktop"));
        let none = AuthFile::parse("config.json", b"{}").unwrap();
        assert_eq!(none.helper(&Reference::parse("hello").unwrap()), None);
        assert_eq!(none.store(), None);
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
    }
}
