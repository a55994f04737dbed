//! A registry: how it is reached, and trying again.

use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use ureq::http::{Method, StatusCode, Uri};

use super::address::{api_host, is_loopback, resolve, same_origin};
use super::answer::Answer;
use super::authorization::Authorization;
use super::credentials::Login;
use super::http::{Body, Http, Request};
use super::problem::{Problem, Reached};
use super::{Options, Retry};
use crate::oci::Reference;
use crate::{Error, Result};

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
    /// Its connections.
    pub(super) http: Http,
    /// The address of the API: `https://host/v2/`.
    pub(super) base: Uri,
    /// The registry and repository as the user wrote them.
    pub(super) name: String,
    /// The repository, as the API wants it.
    pub(super) repository: String,
    /// What to log in with.
    pub(super) login: Login,
    retry: Retry,
    /// What the next request is authorized with.
    pub(super) authorization: Mutex<Option<Authorization>>,
    /// Whether blobs have to be sent in pieces.
    pub(super) pieces: AtomicBool,
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
            pieces: AtomicBool::new(false),
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
            pause = (pause * 2).min(self.retry.longest_pause);
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
