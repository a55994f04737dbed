//! Answering a registry that asks who we are: passwords, and tokens from an authorization server
//! (distribution's `docs/spec/auth/token.md`, and its `oauth.md` for identity tokens).

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use ureq::http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use ureq::http::{HeaderValue, Method, StatusCode, Uri};

use crate::address::with_parameter;
use crate::auth::challenge::Challenge;
use crate::auth::keychain::{COMMAND_LINE, Credentials};
use crate::client::{Client, Failure, Purpose};
use crate::error::{Problem, Reached};
use crate::response::Answer;
use crate::transport::{Body, Request};
use strata_error::percent_encode;

/// Tokens are used for no longer than this part of their life.
const TOKEN_LIFE_USED: f64 = 0.8;
/// How long a token lives that does not say it, in seconds, and the least for all (token protocol,
/// `expires_in`).
const LEAST_TOKEN_LIFE: u64 = 60;
/// The longest that a token is believed to live, in seconds.
const MOST_TOKEN_LIFE: u64 = 24 * 60 * 60;
/// The largest answer of an authorization server.
const TOKEN_LIMIT: usize = 1 << 20;

/// How requests are authorized, once the registry said how it wants it.
pub(crate) struct Authorization {
    header: HeaderValue,
    challenge: Challenge,
    /// When to get another token.
    expires: Option<Instant>,
}

impl Authorization {
    fn is_fresh(&self, now: Instant) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

impl Client {
    /// Says which other repositories of the registry blobs will be mounted from, so that tokens allow
    /// to read them. Some registries want that in the token that allows to write (Docker Hub).
    pub(crate) fn mounts_from(&self, repositories: impl IntoIterator<Item = String>) {
        let others = repositories
            .into_iter()
            .filter(|other| *other != self.repository);
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let before = sources.len();
        sources.extend(others);
        let more = sources.len() > before;
        drop(sources);
        let mut state = self
            .authorization
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // The next request gets a token that says so.
        if let Some(current) = state.as_mut()
            && more
            && matches!(current.challenge, Challenge::Bearer { .. })
        {
            current.expires = Some(Instant::now());
        }
    }

    /// What to tell a user whom the registry does not let in.
    pub(crate) fn refusal(&self, answer: &Answer) -> Problem {
        let Problem { message, .. } = answer.problem();
        let registry = self.registry();
        let how = format!("pass --dest-creds USER:PASSWORD, or run `docker login {registry}`");
        let login = &self.login;
        let how = if login.source == COMMAND_LINE {
            "check the user and the password, or the token, of --dest-creds and its like".to_owned()
        } else {
            how
        };
        let (reason, hint) = match &login.credentials {
            None if !login.troubles.is_empty() => (
                "no credentials were sent".to_owned(),
                format!("{}; {how}", login.troubles.join("; ")),
            ),
            None => (
                "no credentials were sent, since none were found".to_owned(),
                how,
            ),
            Some(_) if answer.status == StatusCode::FORBIDDEN => (
                format!("the credentials from {} do not allow this", login.source),
                match self.purpose {
                    Purpose::Push => {
                        format!("check that they may push to {}, or {how}", self.name)
                    }
                    Purpose::Pull => format!("check that they may pull {}, or {how}", self.name),
                },
            ),
            Some(_) => (
                format!(
                    "the registry does not take the credentials from {}",
                    login.source
                ),
                match self.purpose {
                    Purpose::Push => how,
                    Purpose::Pull => {
                        format!("what is public is read without any, after a logout; else {how}")
                    }
                },
            ),
        };
        Problem {
            reached: Reached::Refusal,
            ..Problem::lasting(format!("{message}: {reason}"), hint)
        }
    }

    /// The header for the next request, with a token that will not expire on the way.
    pub(crate) fn authorization(&self) -> Result<Option<HeaderValue>, Failure> {
        let mut state = self
            .authorization
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let Some(current) = state.as_ref() else {
            return Ok(None);
        };
        if current.is_fresh(Instant::now()) {
            return Ok(Some(current.header.clone()));
        }
        let challenge = current.challenge.clone();
        let fresh = self.authorize(challenge)?;
        let header = fresh.as_ref().map(|fresh| fresh.header.clone());
        *state = fresh;
        Ok(header)
    }

    /// A header that answers the challenge of a refusal, if there is one that was not just `used`.
    pub(crate) fn renew(
        &self,
        answer: &Answer,
        used: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>, Failure> {
        let mut state = self
            .authorization
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(current) = state.as_ref()
            && used.is_some_and(|used| *used != current.header)
        {
            // Another thread was faster.
            return Ok(Some(current.header.clone()));
        }
        let headers = answer.headers.get_all(WWW_AUTHENTICATE);
        let challenge = Challenge::choose(headers.iter().filter_map(|value| value.to_str().ok()));
        let Some(challenge) = challenge else {
            return Ok(None);
        };
        let fresh = self.authorize(challenge)?;
        let header = fresh.as_ref().map(|fresh| fresh.header.clone());
        *state = fresh;
        Ok(header.filter(|header| used != Some(header)))
    }

    /// Follows a challenge. `None` if there is nothing to answer it with.
    fn authorize(&self, challenge: Challenge) -> Result<Option<Authorization>, Failure> {
        let (text, expires) = match (&challenge, &self.login.credentials) {
            (_, Some(Credentials::RegistryToken(token))) => (format!("Bearer {token}"), None),
            (Challenge::Basic, None) => return Ok(None),
            (Challenge::Basic, Some(Credentials::Basic { username, password })) => {
                (basic(username, password), None)
            }
            (Challenge::Basic, Some(Credentials::IdentityToken(_))) => {
                return Err(Problem::lasting(
                    "wants a password, and there is only an identity token",
                    "pass --dest-creds USER:PASSWORD",
                )
                .into());
            }
            (
                Challenge::Bearer {
                    realm,
                    service,
                    scope,
                },
                _,
            ) => {
                let token = self.token(realm, service.as_deref(), scope.as_deref())?;
                let expires = Instant::now() + token.life();
                (format!("Bearer {}", token.text()), Some(expires))
            }
        };
        Ok(Some(Authorization {
            header: secret_header(&text)?,
            challenge,
            expires,
        }))
    }

    /// A token for all that this client does (token protocol).
    fn token(
        &self,
        realm: &str,
        service: Option<&str>,
        asked: Option<&str>,
    ) -> Result<Token, Failure> {
        let sources = self
            .sources
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let scopes = self.scopes(&sources, asked);
        match self.request_token(realm, service, &scopes) {
            // A server should allow less then, but some refuse. Mounts can fail, the rest cannot.
            Err(Failure::Problem(problem)) if !problem.temporary && !sources.is_empty() => {
                let scopes = self.scopes(&BTreeSet::new(), asked);
                let token = self.request_token(realm, service, &scopes)?;
                self.sources
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clear();
                Ok(token)
            }
            other => other,
        }
    }

    /// What a token must allow: what this client is for, to read where blobs are mounted from, and
    /// what the registry `asked` for.
    fn scopes(&self, sources: &BTreeSet<String>, asked: Option<&str>) -> Vec<String> {
        let actions = match self.purpose {
            Purpose::Pull => "pull",
            Purpose::Push => "pull,push",
        };
        let mut scopes = vec![format!("repository:{}:{actions}", self.repository)];
        scopes.extend(
            sources
                .iter()
                .map(|source| format!("repository:{source}:pull")),
        );
        for scope in asked.into_iter().flat_map(str::split_whitespace) {
            if !scopes.iter().any(|known| known == scope) {
                scopes.push(scope.to_owned());
            }
        }
        scopes
    }

    /// Asks the authorization server for one token with all of `scopes`.
    fn request_token(
        &self,
        realm: &str,
        service: Option<&str>,
        scopes: &[String],
    ) -> Result<Token, Failure> {
        let TokenRequest {
            address,
            authorization,
            form,
        } = self.token_request(realm, service, scopes)?;
        let mut request = if form.is_empty() {
            Request::new(Method::GET, address)
        } else {
            Request::new(Method::POST, address)
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(Body::Bytes(form.as_bytes()))
        };
        request.authorization = authorization;
        request.limit = TOKEN_LIMIT;
        let server = request.address.clone();
        let answer = self
            .http
            .send(&mut request)
            .map_err(|problem| problem.of_authorization_server(&server))?;
        if matches!(
            answer.status,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
        ) {
            return Err(self.refusal(&answer).into());
        }
        let answer = answer.success().map_err(|problem| Problem {
            message: format!("its authorization server {}", problem.message),
            ..problem
        })?;
        let token = serde_json::from_slice::<Token>(&answer.body).ok();
        token
            .filter(|token| !token.text().is_empty())
            .ok_or_else(|| {
                Problem::lasting("its authorization server answered without a token", "").into()
            })
    }

    /// The request for a token: a GET, or a POST in its `OAuth2` form for identity tokens.
    fn token_request(
        &self,
        realm: &str,
        service: Option<&str>,
        scopes: &[String],
    ) -> Result<TokenRequest, Problem> {
        let bad_realm = || Problem::lasting("names an authorization server that is no address", "");
        let mut address: Uri = realm.parse().map_err(|_| bad_realm())?;
        if !matches!(address.scheme_str(), Some("http" | "https")) || address.host().is_none() {
            return Err(bad_realm());
        }
        self.http.check_downgrade(self.base(), &address)?;
        let service = service.map(|service| ("service", service));
        if let Some(Credentials::IdentityToken(refresh)) = &self.login.credentials {
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
            return Ok(TokenRequest {
                address,
                authorization: None,
                form: form.join("&"),
            });
        }
        let scopes = scopes.iter().map(|scope| ("scope", scope.as_str()));
        let parameters = service.into_iter().chain(scopes);
        for (name, value) in parameters {
            address = with_parameter(&address, name, value).ok_or_else(bad_realm)?;
        }
        let authorization = match &self.login.credentials {
            Some(Credentials::Basic { username, password }) => {
                Some(secret_header(&basic(username, password))?)
            }
            _ => None,
        };
        Ok(TokenRequest {
            address,
            authorization,
            form: String::new(),
        })
    }
}

/// What to ask an authorization server.
struct TokenRequest {
    address: Uri,
    authorization: Option<HeaderValue>,
    /// The body of a POST; empty for a GET.
    form: String,
}

/// What an authorization server hands out.
#[derive(Deserialize)]
struct Token {
    /// The token, under the first of its two names.
    #[serde(default, rename = "token")]
    docker: String,
    /// The token, under the name that it has in `OAuth2`.
    #[serde(default, rename = "access_token")]
    oauth2: String,
    /// How long it is good, in seconds.
    expires_in: Option<u64>,
}

impl Token {
    /// How long it is used.
    fn life(&self) -> Duration {
        let seconds = self.expires_in.unwrap_or_default();
        Duration::from_secs(seconds.clamp(LEAST_TOKEN_LIFE, MOST_TOKEN_LIFE))
            .mul_f64(TOKEN_LIFE_USED)
    }

    fn text(&self) -> &str {
        if self.docker.is_empty() {
            &self.oauth2
        } else {
            &self.docker
        }
    }
}

/// The header of basic authentication (RFC 7617).
fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", BASE64.encode(format!("{username}:{password}")))
}

/// A header that debug output does not show.
fn secret_header(text: &str) -> Result<HeaderValue, Problem> {
    let mut header = HeaderValue::from_str(text)
        .map_err(|_| Problem::lasting("its authorization server answered with an odd token", ""))?;
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Server;

    fn token(document: &str) -> Token {
        serde_json::from_str(document).unwrap()
    }

    #[test]
    fn a_token_is_not_used_until_it_expires() {
        for (document, seconds) in [
            (r#"{"token":"t"}"#, 48),
            (r#"{"token":"t","expires_in":0}"#, 48),
            (r#"{"token":"t","expires_in":300}"#, 240),
            (r#"{"token":"t","expires_in":18446744073709551615}"#, 69_120),
        ] {
            assert_eq!(
                token(document).life(),
                Duration::from_secs(seconds),
                "{document}"
            );
        }
        let now = Instant::now();
        let expiring = |expires| Authorization {
            header: HeaderValue::from_static("Bearer t"),
            challenge: Challenge::Basic,
            expires,
        };
        assert!(expiring(None).is_fresh(now));
        assert!(expiring(Some(now + Duration::from_secs(1))).is_fresh(now));
        assert!(!expiring(Some(now)).is_fresh(now));
    }

    #[test]
    fn one_token_allows_everything() {
        let server = Server::start(|request| {
            if request.target.starts_with("/token") {
                return "200 OK\r\ncontent-length: 13\r\n\r\n{\"token\":\"t\"}".into();
            }
            let header = "www-authenticate: Bearer realm=\"http://HOST/token\",scope=\"a:b:c\"";
            match request.header("authorization") {
                "Bearer t" => "200 OK\r\ncontent-length: 0\r\n\r\n".into(),
                _ => format!("401 No\r\n{header}\r\ncontent-length: 0\r\n\r\n").into(),
            }
        });
        let targets = || -> Vec<String> {
            let requests = server.requests().into_iter();
            let tokens = requests.filter(|request| request.target.starts_with("/token"));
            tokens
                .map(|request| request.target.replace("%3A", ":"))
                .collect()
        };
        let client = server.client(Purpose::Push);
        let own = "/token?scope=repository:name:pull%2Cpush";
        assert_eq!(targets(), [format!("{own}&scope=a:b:c")]);
        client.mounts_from(["name", "base", "other"].map(str::to_owned));
        client.mounts_from(["base".to_owned()]);
        client.manifest("tag", &[]).unwrap();
        client.manifest("tag", &[]).unwrap();
        let sources = "scope=repository:base:pull&scope=repository:other:pull";
        assert_eq!(targets()[1..], [format!("{own}&{sources}&scope=a:b:c")]);

        server.client(Purpose::Pull);
        assert_eq!(
            targets()[2..],
            ["/token?scope=repository:name:pull&scope=a:b:c"]
        );
    }

    /// A token without mounts is better than none.
    #[test]
    fn sources_that_are_refused_are_left_out() {
        let server = Server::start(|request| {
            if request.target.contains("base") {
                return "403 No\r\ncontent-length: 0\r\n\r\n".into();
            }
            if request.target.starts_with("/token") {
                return "200 OK\r\ncontent-length: 13\r\n\r\n{\"token\":\"t\"}".into();
            }
            let header = "www-authenticate: Bearer realm=\"http://HOST/token\"";
            match request.header("authorization") {
                "Bearer t" if request.target == "/v2/" => {
                    "200 OK\r\ncontent-length: 0\r\n\r\n".into()
                }
                "Bearer t" => "404 No\r\ncontent-length: 0\r\n\r\n".into(),
                _ => format!("401 No\r\n{header}\r\ncontent-length: 0\r\n\r\n").into(),
            }
        });
        let client = server.client(Purpose::Push);
        client.mounts_from(["base".to_owned()]);
        assert!(client.manifest("tag", &[]).unwrap().is_none());
        assert!(client.sources.lock().unwrap().is_empty());
    }

    #[test]
    fn both_names_of_a_token_are_known() {
        assert_eq!(token(r#"{"token":"a","access_token":"b"}"#).text(), "a");
        assert_eq!(token(r#"{"access_token":"b","issued_at":"x"}"#).text(), "b");
    }
}
