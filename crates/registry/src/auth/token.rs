//! Tokens, and how an authorization server is asked for one.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;
use ureq::http::header::CONTENT_TYPE;
use ureq::http::{HeaderValue, Method, Uri};

use strata_exchange::RegistryError;
use strata_exchange::{Body, Request};
use strata_http::percent_encode;
use strata_http::url::with_parameter;
use strata_keychain::Credentials;
use strata_oci::go_object;

/// Tokens are used for no longer than this part of their life.
const TOKEN_LIFE_USED: f64 = 0.8;
/// How long a token lives that does not say it, in seconds, and the least for all (token protocol,
/// `expires_in`).
const LEAST_TOKEN_LIFE: u64 = 60;
/// The longest that a token is believed to live, in seconds.
const MOST_TOKEN_LIFE: u64 = 24 * 60 * 60;
/// The largest response of an authorization server.
const TOKEN_LIMIT: usize = 1 << 20;

/// What to ask an authorization server.
pub(super) struct TokenRequest {
    /// The URL, with what is asked for as parameters if there is no form.
    pub(super) url: Uri,
    authorization: Option<HeaderValue>,
    /// The body of a POST; empty for a GET.
    form: String,
}

impl TokenRequest {
    /// The request for a token: a GET, or a POST in its `OAuth2` form for identity tokens.
    pub(super) fn new(
        realm: &str,
        service: Option<&str>,
        scopes: &[String],
        credentials: Option<&Credentials>,
    ) -> Result<Self, RegistryError> {
        let bad_realm =
            || RegistryError::permanent("names an authorization server that is no address", "");
        let mut url: Uri = realm.parse().map_err(|_| bad_realm())?;
        if !matches!(url.scheme_str(), Some("http" | "https")) || url.host().is_none() {
            return Err(bad_realm());
        }
        let service = service.map(|service| ("service", service));
        if let Some(Credentials::IdentityToken(refresh)) = credentials {
            let scope = scopes.join(" ");
            let form = [
                ("grant_type", "refresh_token"),
                ("client_id", "strata"),
                ("refresh_token", refresh.as_str()),
                ("scope", &scope),
            ];
            let form: Vec<String> = form
                .into_iter()
                .chain(service)
                .map(|(name, value)| format!("{name}={}", percent_encode(value)))
                .collect();
            return Ok(Self {
                url,
                authorization: None,
                form: form.join("&"),
            });
        }
        let scopes = scopes.iter().map(|scope| ("scope", scope.as_str()));
        let parameters = service.into_iter().chain(scopes);
        for (name, value) in parameters {
            url = with_parameter(&url, name, value).ok_or_else(bad_realm)?;
        }
        let authorization = match credentials {
            Some(Credentials::Basic { username, password }) => {
                Some(secret_header(&basic(username, password))?)
            }
            _ => None,
        };
        Ok(Self {
            url,
            authorization,
            form: String::new(),
        })
    }

    /// It as it is sent.
    pub(super) fn as_request(&self) -> Request<'_> {
        let url = self.url.clone();
        let request = if self.form.is_empty() {
            Request::new(Method::GET, url)
        } else {
            Request::new(Method::POST, url)
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(Body::Bytes(self.form.as_bytes()))
        };
        Request {
            authorization: self.authorization.clone(),
            is_secret: !self.form.is_empty(),
            limit: TOKEN_LIMIT,
            ..request
        }
    }
}

/// What an authorization server hands out.
pub(super) struct Token {
    text: String,
    /// How long it is good, in seconds.
    expires_in: u64,
}

impl Token {
    /// Reads an answer, as Go's programs do; none if there is no token in it.
    pub(super) fn parse(answer: &[u8]) -> Option<Self> {
        let fields = go_object(answer, &["token", "access_token", "expires_in"]).ok()?;
        let text = |name: &str| {
            let text = fields.get(name).and_then(Value::as_str);
            text.filter(|text| !text.is_empty())
        };
        // The second is its name in OAuth2.
        let text = text("token").or_else(|| text("access_token"))?;
        // What is no number of seconds, or one of the past, is not known.
        let expires_in = fields.get("expires_in").and_then(Value::as_u64);
        Some(Self {
            text: text.to_owned(),
            expires_in: expires_in.unwrap_or_default(),
        })
    }

    /// How long it is used.
    pub(super) fn life(&self) -> Duration {
        Duration::from_secs(self.expires_in.clamp(LEAST_TOKEN_LIFE, MOST_TOKEN_LIFE))
            .mul_f64(TOKEN_LIFE_USED)
    }

    /// The token itself.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

/// The header of basic authentication (RFC 7617).
pub(super) fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", BASE64.encode(format!("{username}:{password}")))
}

/// A header that debug output does not show.
pub(super) fn secret_header(text: &str) -> Result<HeaderValue, RegistryError> {
    let mut header = HeaderValue::from_str(text).map_err(|_| {
        RegistryError::permanent("its authorization server answered with an odd token", "")
    })?;
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(document: &str) -> Token {
        Token::parse(document.as_bytes()).unwrap()
    }

    #[test]
    fn a_token_is_not_used_until_it_expires() {
        for (document, seconds) in [
            (r#"{"token":"t"}"#, 48),
            (r#"{"token":"t","expires_in":0}"#, 48),
            (r#"{"token":"t","expires_in":300}"#, 240),
            (r#"{"token":"t","expires_in":null}"#, 48),
            (r#"{"token":"t","expires_in":-1}"#, 48),
            (r#"{"token":"t","expires_in":300.5}"#, 48),
            (r#"{"token":"t","expires_in":"300"}"#, 48),
            (r#"{"token":"t","expires_in":18446744073709551615}"#, 69_120),
        ] {
            assert_eq!(
                token(document).life(),
                Duration::from_secs(seconds),
                "{document}"
            );
        }
    }

    #[test]
    fn both_names_of_a_token_are_known() {
        assert_eq!(token(r#"{"token":"a","access_token":"b"}"#).text(), "a");
        assert_eq!(token(r#"{"access_token":"b","issued_at":"x"}"#).text(), "b");
        // Kind "Strangers' documents": null, and keys in another case, as Go reads them.
        for document in [
            r#"{"token":null,"access_token":"b","refresh_token":null}"#,
            r#"{"token":"","access_token":"b"}"#,
            r#"{"Token":"b","issued_at":null}"#,
            r#"{"token":"a","token":"b"}"#,
        ] {
            assert_eq!(token(document).text(), "b", "{document}");
        }
        for document in [
            "",
            "null",
            "{}",
            r#"{"token":null}"#,
            r#"{"token":7}"#,
            "[]",
        ] {
            assert!(Token::parse(document.as_bytes()).is_none(), "{document}");
        }
    }
}
