//! The files in which `docker login` and `podman login` keep credentials (containers-auth.json(5),
//! Docker's `config.json`).

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::auth::credentials::Credentials;
use strata_error::{Error, Result};
use strata_oci::{Reference, go_fields, go_object};

/// An error about the file `name`, without what is in it.
pub(super) fn bad_file(name: &str, message: &str) -> Error {
    Error::Document {
        document: name.to_owned(),
        message: message.to_owned(),
        hint: "log in again with `docker login` or `podman login`".to_owned(),
    }
}

/// The fields that matter of `auth.json` and `config.json`, as Go reads them. Null is what its encoders write of
/// nothing. What is said of each registry is looked at for that one only.
#[derive(Default)]
pub(super) struct AuthFile {
    name: String,
    auths: Map<String, Value>,
    helpers: Map<String, Value>,
    store: Option<String>,
}

/// What is kept for one registry.
#[derive(Default, Deserialize)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

impl AuthFile {
    /// Parses the file `name`. Nothing is in an empty one.
    pub(super) fn parse(name: &str, bytes: &[u8]) -> Result<Self> {
        if bytes.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        let not_one = |place: &str| {
            let message = format!("not a file of registry credentials ({place})");
            bad_file(name, &message)
        };
        let fields = go_object(bytes, &["auths", "credHelpers", "credsStore"]);
        let mut fields = fields.map_err(|error| {
            // The parser's own message can quote a secret.
            not_one(&format!("line {}, column {}", error.line(), error.column()))
        })?;
        let auths = match fields.remove("auths") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(auths)) => auths,
            Some(_) => return Err(not_one("auths")),
        };
        // Whom there is no helper to ask for has credentials of their own.
        let helpers = match fields.remove("credHelpers") {
            Some(Value::Object(helpers)) => helpers,
            _ => Map::new(),
        };
        let store = fields.get("credsStore").and_then(Value::as_str);
        Ok(Self {
            name: name.to_owned(),
            auths,
            helpers,
            store: store.map(str::to_owned),
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
    fn entry(&self, key: &str, entry: &Value) -> Result<Option<Credentials>> {
        let bad_entry = |what: &str| bad_file(&self.name, &format!("auths.{key:?}{what}"));
        let fields = match entry {
            Value::Null => Map::new(),
            Value::Object(fields) => go_fields(
                fields.clone(),
                &["auth", "username", "password", "identitytoken"],
            ),
            _ => return Err(bad_entry(" is not what is kept for a registry")),
        };
        let entry = Option::<Entry>::deserialize(Value::Object(fields))
            // The parser's own message can quote a secret.
            .map_err(|_| bad_entry(" is not what is kept for a registry"))?
            .unwrap_or_default();
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        if let Some(token) = given(entry.identitytoken) {
            return Ok(Some(Credentials::IdentityToken(token)));
        }
        if let Some(auth) = given(entry.auth) {
            return decode(&auth)
                .map(Some)
                .ok_or_else(|| bad_entry(".auth is not base64 of USER:PASSWORD"));
        }
        Ok(given(entry.username).map(|username| Credentials::Basic {
            username,
            password: entry.password.unwrap_or_default(),
        }))
    }

    /// The helper that keeps the credentials of this registry, and of no other (`credHelpers`).
    pub(super) fn helper(&self, reference: &Reference) -> Option<&str> {
        scopes(reference).into_iter().find_map(|scope| {
            let mut meant = self
                .helpers
                .iter()
                .filter(|(key, _)| normalize(key) == scope);
            meant.find_map(|(_, helper)| helper.as_str().filter(|helper| !helper.is_empty()))
        })
    }

    /// The helper that keeps all other credentials (`credsStore`).
    pub(super) fn store(&self) -> Option<&str> {
        self.store.as_deref().filter(|store| !store.is_empty())
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

    /// `auth-json-null` of the small inputs that fail: null is absent, empty is none, and what is wrong
    /// with another registry's entry does not count.
    #[test]
    fn null_is_absent_and_other_entries_do_not_count() {
        let own = r#""r.example":{"auth":"dTpw"}"#;
        let found = Some(basic("u", "p"));
        for (document, found) in [
            (String::new(), None),
            (" \n".to_owned(), None),
            ("null".to_owned(), None),
            (
                r#"{"auths":null,"credHelpers":null,"credsStore":null}"#.to_owned(),
                None,
            ),
            (r#"{"auths":{"r.example":null}}"#.to_owned(), None),
            (
                r#"{"auths":{"r.example":{"auth":null,"username":null,"identitytoken":null}}}"#
                    .to_owned(),
                None,
            ),
            (
                r#"{"auths":{"r.example":{"auth":null,"username":"u","password":"p"}}}"#.to_owned(),
                found.clone(),
            ),
            (
                format!(r#"{{"auths":{{{own},"o.example":null}}}}"#),
                found.clone(),
            ),
            (
                format!(r#"{{"auths":{{{own},"o.example":{{"auth":null}}}}}}"#),
                found.clone(),
            ),
            (
                format!(r#"{{"auths":{{{own},"o.example":{{"auth":"!"}}}}}}"#),
                found.clone(),
            ),
            (
                format!(r#"{{"auths":{{{own},"o.example":[1]}},"credHelpers":{{"o.example":3}}}}"#),
                found.clone(),
            ),
            (
                format!(r#"{{"auths":{{{own}}},"credHelpers":{{"r.example":null}}}}"#),
                found.clone(),
            ),
            // In any case, twice, and with fields of other types, as Go reads them or better.
            (format!(r#"{{"Auths":{{{own}}}}}"#), found.clone()),
            (
                r#"{"auths":{"r.example":{"Auth":"dTpw"}}}"#.to_owned(),
                found.clone(),
            ),
            (
                format!(r#"{{"auths":{{{own}}},"auths":{{"o.example":{{}}}}}}"#),
                found.clone(),
            ),
            (
                format!(r#"{{"auths":{{{own}}},"credsStore":7,"credHelpers":[]}}"#),
                found,
            ),
        ] {
            assert_eq!(
                lookup(&document, "r.example/a").unwrap(),
                found,
                "{document}"
            );
            let file = AuthFile::parse("auth.json", document.as_bytes()).unwrap();
            let reference = Reference::parse("r.example/a").unwrap();
            assert_eq!((file.helper(&reference), file.store()), (None, None));
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
