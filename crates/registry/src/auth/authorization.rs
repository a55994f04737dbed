//! Answering a registry that asks who we are: passwords, and tokens from an authorization server
//! (distribution's `docs/spec/auth/token.md`, and its `oauth.md` for identity tokens).

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use ureq::http::header::WWW_AUTHENTICATE;
use ureq::http::{HeaderValue, StatusCode, Uri};

use crate::auth::token::{Token, TokenRequest, basic, secret_header};
use crate::http::Http;
use strata_exchange::Response;
use strata_exchange::{Failure, Reached, RegistryError};
use strata_http::Challenge;
use strata_keychain::{COMMAND_LINE, Credentials, Keychain};
use strata_oci::{Digest, Reference};

/// What a client is for, which is what it asks authorization servers to allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To read a repository.
    Pull,
    /// To read and to write it.
    Push,
}

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

/// Authorizes the requests of one client.
pub(crate) struct Authorizer {
    /// What to log in with.
    keychain: Keychain,
    purpose: Purpose,
    /// The registry as the user wrote it.
    registry: String,
    /// The repository.
    repository: String,
    /// Other repositories of the registry, which tokens must allow to read.
    sources: Mutex<BTreeSet<String>>,
    /// What the next request is authorized with.
    current: Mutex<Option<Authorization>>,
    /// What an authorization server said that does not know us.
    denial: Mutex<Option<RegistryError>>,
}

impl Authorizer {
    /// Knows nothing yet of how the registry of `reference` wants to be asked.
    pub(crate) fn new(keychain: Keychain, purpose: Purpose, reference: &Reference) -> Self {
        Self {
            keychain,
            purpose,
            registry: reference.registry.clone(),
            repository: reference.repository.clone(),
            sources: Mutex::default(),
            current: Mutex::default(),
            denial: Mutex::default(),
        }
    }

    /// Says, before anything is asked, which other repositories of the registry blobs will be mounted from,
    /// so that the token allows to read them. Some registries want that in the token that allows to write
    /// (Docker Hub).
    pub(crate) fn mounts_from(&self, repositories: impl IntoIterator<Item = String>) {
        let others = repositories
            .into_iter()
            .filter(|other| *other != self.repository);
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.extend(others);
    }

    /// Who we are for the registry, as far as that can be told; nothing if we are nobody. No secret.
    pub(crate) fn user(&self) -> String {
        match &self.keychain.credentials {
            None => String::new(),
            Some(Credentials::Basic { username, .. }) => username.clone(),
            Some(Credentials::IdentityToken(token) | Credentials::RegistryToken(token)) => {
                Digest::of(token.as_bytes()).to_string()
            }
        }
    }

    /// Whether requests are authorized with a password.
    pub(crate) fn sends_password(&self) -> bool {
        let state = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let current = state.as_ref();
        current.is_some_and(|current| matches!(current.challenge, Challenge::Basic))
    }

    /// What to tell a user whom the registry does not let in.
    pub(crate) fn refusal(&self, response: &Response) -> RegistryError {
        let RegistryError { message, .. } = response.error();
        let registry = &self.registry;
        let name = format!("{registry}/{}", self.repository);
        let how = format!("pass --dest-creds USER:PASSWORD, or run `docker login {registry}`");
        let keychain = &self.keychain;
        let how = if keychain.source == COMMAND_LINE {
            "check the user and the password, or the token, of --dest-creds and its like".to_owned()
        } else {
            how
        };
        let (reason, hint) = match &keychain.credentials {
            None if !keychain.troubles.is_empty() => (
                "no credentials were sent".to_owned(),
                format!("{}; {how}", keychain.troubles.join("; ")),
            ),
            None => (
                "no credentials were sent, since none were found".to_owned(),
                how,
            ),
            Some(_) if response.status == StatusCode::FORBIDDEN => (
                format!("the credentials from {} do not allow this", keychain.source),
                match self.purpose {
                    Purpose::Push => {
                        format!("check that they may push to {name}, or {how}")
                    }
                    Purpose::Pull => format!("check that they may pull {name}, or {how}"),
                },
            ),
            Some(_) => (
                format!(
                    "the registry does not take the credentials from {}",
                    keychain.source
                ),
                match self.purpose {
                    Purpose::Push => how,
                    Purpose::Pull => {
                        format!("what is public is read without any, after a logout; else {how}")
                    }
                },
            ),
        };
        RegistryError {
            reached: Reached::Refusal,
            ..RegistryError::permanent(format!("{message}: {reason}"), hint)
        }
    }

    /// The header for the next request, with a token that will not expire on the way.
    pub(crate) fn header(&self, http: &Http, base: &Uri) -> Result<Option<HeaderValue>, Failure> {
        let mut state = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(current) = state.as_ref() else {
            return Ok(None);
        };
        if current.is_fresh(Instant::now()) {
            return Ok(Some(current.header.clone()));
        }
        let challenge = current.challenge.clone();
        let fresh = self.authorize(challenge, http, base)?;
        let header = fresh.as_ref().map(|fresh| fresh.header.clone());
        *state = fresh;
        Ok(header)
    }

    /// A header that answers the challenge of a refusal, if there is one that was not just `used`.
    pub(crate) fn renew(
        &self,
        response: &Response,
        used: Option<&HeaderValue>,
        http: &Http,
        base: &Uri,
    ) -> Result<Option<HeaderValue>, Failure> {
        let mut state = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(current) = state.as_ref()
            && used != Some(&current.header)
        {
            // Another thread was faster.
            return Ok(Some(current.header.clone()));
        }
        let headers = response.headers.get_all(WWW_AUTHENTICATE);
        let challenge = Challenge::choose(headers.iter().filter_map(|value| value.to_str().ok()));
        let Some(challenge) = challenge else {
            return Ok(None);
        };
        // Who shows a wrong password again and again is locked out.
        let mut denial = self.denial.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = denial.as_ref() {
            return Err(error.clone().into());
        }
        let fresh = self.authorize(challenge, http, base);
        if let Err(Failure::Registry(error)) = &fresh
            && error.reached == Reached::Refusal
        {
            *denial = Some(error.clone());
        }
        let fresh = fresh?;
        let header = fresh.as_ref().map(|fresh| fresh.header.clone());
        *state = fresh;
        Ok(header.filter(|header| used != Some(header)))
    }

    /// Follows a challenge. `None` if there is nothing to answer it with.
    fn authorize(
        &self,
        challenge: Challenge,
        http: &Http,
        base: &Uri,
    ) -> Result<Option<Authorization>, Failure> {
        let (text, expires) = match (&challenge, &self.keychain.credentials) {
            (_, Some(Credentials::RegistryToken(token))) => (format!("Bearer {token}"), None),
            (Challenge::Basic, None) => return Ok(None),
            (Challenge::Basic, Some(Credentials::Basic { username, password })) => {
                (basic(username, password), None)
            }
            (Challenge::Basic, Some(Credentials::IdentityToken(_))) => {
                return Err(RegistryError::permanent(
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
                let token = self.token(realm, service.as_deref(), scope.as_deref(), http, base)?;
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
        http: &Http,
        base: &Uri,
    ) -> Result<Token, Failure> {
        let sources = self
            .sources
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let scopes = self.scopes(&sources, asked);
        match self.request_token(realm, service, &scopes, http, base) {
            // A server should allow less then, but some refuse. Mounts can fail, the rest cannot.
            Err(Failure::Registry(error)) if !error.temporary && !sources.is_empty() => {
                let scopes = self.scopes(&BTreeSet::new(), asked);
                let token = self.request_token(realm, service, &scopes, http, base)?;
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
        http: &Http,
        base: &Uri,
    ) -> Result<Token, Failure> {
        let credentials = self.keychain.credentials.as_ref();
        let request = TokenRequest::new(realm, service, scopes, credentials)?;
        http.check_downgrade(base, &request.url)?;
        let response = http
            .send(&mut request.as_request())
            .map_err(|error| error.of_authorization_server(&request.url))?;
        if matches!(
            response.status,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
        ) {
            return Err(self.refusal(&response).into());
        }
        let response = response.success().map_err(|error| RegistryError {
            message: format!("its authorization server {}", error.message),
            ..error
        })?;
        Token::parse(&response.body).ok_or_else(|| {
            RegistryError::permanent("its authorization server answered without a token", "").into()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fixture::{Server, greet};

    #[test]
    fn what_expires_is_renewed() {
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
        let client = server.stranger(1, Purpose::Push).unwrap();
        client
            .authorizer
            .mounts_from(["name", "base", "other"].map(str::to_owned));
        client.authorizer.mounts_from(["base".to_owned()]);
        let client = greet(client).unwrap();
        client.manifest("tag", &[]).unwrap();
        client.manifest("tag", &[]).unwrap();
        let own = "/token?scope=repository:name:pull%2Cpush";
        let sources = "scope=repository:base:pull&scope=repository:other:pull";
        assert_eq!(targets(), [format!("{own}&{sources}&scope=a:b:c")]);

        server.client(Purpose::Pull);
        assert_eq!(
            targets()[1..],
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
                "Bearer t" => "404 No\r\ncontent-length: 0\r\n\r\n".into(),
                _ => format!("401 No\r\n{header}\r\ncontent-length: 0\r\n\r\n").into(),
            }
        });
        let client = server.stranger(1, Purpose::Push).unwrap();
        client.authorizer.mounts_from(["base".to_owned()]);
        let client = greet(client).unwrap();
        assert!(client.manifest("tag", &[]).unwrap().is_none());
        assert!(client.authorizer.sources.lock().unwrap().is_empty());
    }
}
