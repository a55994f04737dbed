//! A registry that was reached: logging in, trying again.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use ureq::http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use ureq::http::{HeaderValue, Method, StatusCode, Uri};

use super::address::{api_host, is_loopback, percent_encode, resolve, same_origin, with_parameter};
use super::answer::Answer;
use super::challenge::Challenge;
use super::credentials::{Credentials, Login};
use super::http::{Body, Http, Request};
use super::problem::{Problem, Reached};
use super::{Options, Retry};
use crate::oci::Reference;
use crate::{Error, Result};

/// Tokens are used for no longer than this part of their life.
const TOKEN_LIFE_USED: f64 = 0.8;
/// How long a token lives that does not say it (token protocol, `expires_in`).
const DEFAULT_TOKEN_LIFE: u64 = 60;
/// The largest answer of an authorization server.
const TOKEN_LIMIT: usize = 1 << 20;
/// How often a pause looks whether the user gave up.
const PAUSE_STEP: Duration = Duration::from_millis(50);

/// Why an attempt failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The registry or the way to it; perhaps not the next time.
    Problem(Problem),
    /// Something else, which another try does not mend: the layer cannot be made, the user
    /// interrupted.
    Fatal(Error),
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

/// The repository of one registry.
pub(super) struct Client {
    http: Http,
    /// The address of the API: `https://host/v2/`.
    base: Uri,
    /// The registry and repository as the user wrote them.
    pub(super) name: String,
    repository: String,
    login: Login,
    retry: Retry,
    authorization: Mutex<Option<Authorization>>,
}

/// How requests are authorized, once the registry said how it wants it.
struct Authorization {
    header: HeaderValue,
    challenge: Challenge,
    /// When to get another token.
    expires: Option<Instant>,
}

impl Client {
    /// Finds out how the registry of `reference` is reached, and logs in if it asks for that.
    pub(super) fn connect(reference: &Reference, options: &Options) -> Result<Self> {
        let environment = |name: &str| std::env::var_os(name);
        let login = if options.anonymous {
            Login::default()
        } else {
            Login::find(
                options.credentials.as_ref(),
                options.auth_file.as_deref(),
                reference,
                &environment,
            )?
        };
        let host = api_host(&reference.registry);
        let operation = format!("cannot reach the registry {}", reference.registry);
        let invalid = || Problem::lasting("not a host name", "").during(&operation, 1);
        let mut client = Self {
            http: Http::new(options)?,
            base: format!("https://{host}/v2/")
                .parse()
                .map_err(|_| invalid())?,
            name: format!("{}/{}", reference.registry, reference.repository),
            repository: reference.repository.clone(),
            login,
            retry: options.retry,
            authorization: Mutex::new(None),
        };
        let plain_allowed = options
            .tls_verify
            .map_or_else(|| is_loopback(host), |verify| !verify);
        if plain_allowed && client.speaks_no_tls() {
            client.base = format!("http://{host}/v2/")
                .parse()
                .map_err(|_| invalid())?;
        }
        client.persist(&operation, &|| Ok(()), || client.ping())?;
        Ok(client)
    }

    /// Whether there is nobody to speak HTTPS with.
    fn speaks_no_tls(&self) -> bool {
        match self.ping() {
            Err(Failure::Problem(problem)) => {
                matches!(problem.reached, Reached::Nobody | Reached::Connection)
            }
            _ => false,
        }
    }

    /// Asks whether this is a registry (distribution specification, end-1), and logs in.
    fn ping(&self) -> Result<(), Failure> {
        let answer = match self.exchange(Request::new(Method::GET, self.base.clone())) {
            Err(Failure::Problem(problem)) => {
                // Nobody there: that will not change within seconds.
                let there = matches!(problem.reached, Reached::Answer | Reached::Connection);
                let temporary = problem.temporary && there;
                return Err(Problem {
                    temporary,
                    ..problem
                }
                .into());
            }
            other => other?,
        };
        match answer.status {
            // Those who may not ping may still push.
            StatusCode::OK | StatusCode::FORBIDDEN => Ok(()),
            StatusCode::UNAUTHORIZED => Err(self.refusal(&answer).into()),
            StatusCode::NOT_FOUND => Err(Problem::lasting(
                "answered 404 Not Found where registries answer (/v2/)",
                "is this a registry?",
            )
            .into()),
            _ => Err(answer.problem().into()),
        }
    }

    /// An address below the repository: `blobs/…`, `manifests/…`.
    pub(super) fn address(&self, path: &str) -> Result<Uri, Failure> {
        let address = format!("{}{}/{path}", self.base, self.repository);
        address
            .parse()
            .map_err(|_| Problem::lasting("not a repository name", "").into())
    }

    /// The address that an answer's `Location` leads to, for the next request of an upload.
    pub(super) fn next_address(&self, answer: &Answer, location: &str) -> Result<Uri, Problem> {
        let target = resolve(&answer.address, location)
            .ok_or_else(|| Problem::lasting("answered with a location that is no address", ""))?;
        self.http.check_downgrade(&answer.address, &target)?;
        Ok(target)
    }

    /// Repeats `attempt` while it fails in a way that may pass. `interrupted` is asked often during
    /// the pauses.
    pub(super) fn persist<T>(
        &self,
        operation: &str,
        interrupted: &dyn Fn() -> Result<()>,
        mut attempt: impl FnMut() -> Result<T, Failure>,
    ) -> Result<T> {
        let mut pause = self.retry.first_pause;
        let mut tries = 1;
        loop {
            let mut problem = match attempt() {
                Ok(result) => return Ok(result),
                Err(Failure::Fatal(error)) => return Err(error),
                Err(Failure::Problem(problem)) => problem,
            };
            let asked = problem.pause.unwrap_or_default();
            if problem.temporary && asked > self.retry.longest_pause {
                problem.hint = format!("it asks to wait {} s; try again then", asked.as_secs());
                return Err(problem.during(operation, tries));
            }
            if !problem.temporary || tries >= self.retry.tries {
                return Err(problem.during(operation, tries));
            }
            rest(pause.max(asked), interrupted)?;
            pause *= 2;
            tries += 1;
        }
    }

    /// Sends a request with what the registry wants for authorization; that the user may not do
    /// this is an error, other answers are the caller's to judge.
    pub(super) fn send(&self, request: Request<'_>) -> Result<Answer, Failure> {
        let answer = self.exchange(request)?;
        match answer.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(self.refusal(&answer).into()),
            _ => Ok(answer),
        }
    }

    /// Sends a request. When the registry wants another authorization (a first or a fresh token),
    /// that is got, and the request is sent once more; one whose body can be read only once fails
    /// instead, to be tried again.
    fn exchange(&self, mut request: Request<'_>) -> Result<Answer, Failure> {
        let trusted = same_origin(&request.address, &self.base);
        let streams = matches!(request.body, Body::Stream { .. });
        let address = request.address.clone();
        if trusted {
            request.authorization = self.authorization()?;
        }
        let answer = self.http.send(&mut request)?;
        let refused = answer.status == StatusCode::UNAUTHORIZED;
        if !refused || !trusted || !same_origin(&answer.address, &self.base) {
            return Ok(answer);
        }
        let Some(fresh) = self.renew(&answer, request.authorization.as_ref())? else {
            return Ok(answer);
        };
        if streams {
            return Err(Problem {
                temporary: true,
                ..self.refusal(&answer)
            }
            .into());
        }
        request.address = address;
        request.authorization = Some(fresh);
        Ok(self.http.send(&mut request)?)
    }

    /// What to tell a user whom the registry does not let in.
    fn refusal(&self, answer: &Answer) -> Problem {
        let Problem { message, .. } = answer.problem();
        let registry = self.name.split('/').next().unwrap_or_default();
        let how = format!("pass --dest-creds USER:PASSWORD, or run `docker login {registry}`");
        let login = &self.login;
        let (reason, hint) = match (&login.credentials, &login.helper) {
            (None, Some(helper)) => (
                "no credentials were sent".to_owned(),
                format!("they are kept by {helper}, which Strata does not ask yet: {how}"),
            ),
            (None, None) => (
                "no credentials were sent, since none were found".to_owned(),
                how,
            ),
            (Some(_), _) if answer.status == StatusCode::FORBIDDEN => (
                format!("the credentials from {} do not allow this", login.source),
                format!("check that they may push to {}, or {how}", self.name),
            ),
            (Some(_), _) => (
                format!(
                    "the registry does not take the credentials from {}",
                    login.source
                ),
                how,
            ),
        };
        Problem::lasting(format!("{message}: {reason}"), hint)
    }

    /// The header for the next request, with a token that will not expire on the way.
    fn authorization(&self) -> Result<Option<HeaderValue>, Failure> {
        let mut state = self
            .authorization
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let Some(current) = state.as_ref() else {
            return Ok(None);
        };
        if current
            .expires
            .is_none_or(|expires| Instant::now() < expires)
        {
            return Ok(Some(current.header.clone()));
        }
        let challenge = current.challenge.clone();
        let fresh = self.authorize(challenge)?;
        let header = fresh.as_ref().map(|fresh| fresh.header.clone());
        *state = fresh;
        Ok(header)
    }

    /// A header that answers the challenge of a refusal, if there is one that was not just `used`.
    fn renew(
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
        let (text, expires) = match &challenge {
            Challenge::Basic => {
                let Some(credentials) = &self.login.credentials else {
                    return Ok(None);
                };
                let Credentials::Basic { username, password } = credentials else {
                    return Err(Problem::lasting(
                        "wants a password, and there is only an identity token",
                        "pass --dest-creds USER:PASSWORD",
                    )
                    .into());
                };
                (basic(username, password), None)
            }
            Challenge::Bearer {
                realm,
                service,
                scope,
            } => {
                let token = self.token(realm, service.as_deref(), scope.as_deref())?;
                let life = Duration::from_secs(token.expires_in.unwrap_or(DEFAULT_TOKEN_LIFE));
                (
                    format!("Bearer {}", token.text()),
                    Some(Instant::now() + life.mul_f64(TOKEN_LIFE_USED)),
                )
            }
        };
        Ok(Some(Authorization {
            header: secret_header(&text)?,
            challenge,
            expires,
        }))
    }

    /// Asks the authorization server for a token that allows to push (token protocol, and its
    /// `OAuth2` form for identity tokens).
    fn token(
        &self,
        realm: &str,
        service: Option<&str>,
        scope: Option<&str>,
    ) -> Result<Token, Failure> {
        let TokenRequest {
            address,
            authorization,
            form,
        } = self.token_request(realm, service, scope)?;
        let mut request = if form.is_empty() {
            Request::new(Method::GET, address)
        } else {
            Request::new(Method::POST, address)
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(Body::Bytes(form.as_bytes()))
        };
        request.authorization = authorization;
        request.limit = TOKEN_LIMIT;
        let answer = self.http.send(&mut request)?;
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

    fn token_request(
        &self,
        realm: &str,
        service: Option<&str>,
        scope: Option<&str>,
    ) -> Result<TokenRequest, Problem> {
        let bad_realm = || Problem::lasting("names an authorization server that is no address", "");
        let mut address: Uri = realm.parse().map_err(|_| bad_realm())?;
        if !matches!(address.scheme_str(), Some("http" | "https")) || address.host().is_none() {
            return Err(bad_realm());
        }
        self.http.check_downgrade(&self.base, &address)?;
        let wanted = format!("repository:{}:pull,push", self.repository);
        let asked = scope.filter(|scope| *scope != wanted);
        let parameters: Vec<(&str, &str)> = service
            .map(|service| ("service", service))
            .into_iter()
            .chain([("scope", wanted.as_str())])
            .chain(asked.map(|scope| ("scope", scope)))
            .collect();
        if let Some(Credentials::IdentityToken(refresh)) = &self.login.credentials {
            let form = [
                ("grant_type", "refresh_token"),
                ("client_id", "strata"),
                ("refresh_token", refresh.as_str()),
            ];
            let form = form.iter().chain(&parameters);
            let form: Vec<String> = form
                .map(|(name, value)| format!("{name}={}", percent_encode(value)))
                .collect();
            return Ok(TokenRequest {
                address,
                authorization: None,
                form: form.join("&"),
            });
        }
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

/// Waits, and stops when the user gave up.
fn rest(pause: Duration, interrupted: &dyn Fn() -> Result<()>) -> Result<()> {
    let end = Instant::now() + pause;
    loop {
        interrupted()?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(PAUSE_STEP));
    }
}
