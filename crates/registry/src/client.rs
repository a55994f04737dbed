//! A registry: how it is reached, and trying again.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ureq::http::{Method, StatusCode, Uri};

use crate::address::{api_host, is_loopback, resolve, same_origin};
use crate::auth::authorization::Authorization;
use crate::auth::keychain::Login;
use crate::delays::Delays;
use crate::error::{Problem, Reached};
use crate::response::Answer;
use crate::transport::{Body, Http, LAST_COURTESY, Opened, Request};
use crate::{Options, Retry};
use strata_error::{Error, Result};
use strata_oci::Reference;
use strata_progress::Context;

/// How often somebody who waits looks whether the user gave up, and tells what takes time.
const STEP: Duration = Duration::from_millis(50);

/// What a client is for, which is what it asks authorization servers to allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To read a repository.
    Pull,
    /// To read and to write it.
    Push,
}

/// Says with [`Error::Interrupted`] that the user gave up.
pub(crate) type Interrupted<'a> = dyn Fn() -> Result<()> + Sync + 'a;

/// Why an attempt failed.
#[derive(Debug)]
pub(crate) enum Failure {
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
pub(crate) struct Client {
    /// Its connections.
    pub(crate) http: Http,
    /// The address of the API: `https://host/v2/`.
    secure: Uri,
    /// The same without TLS.
    plain: Uri,
    is_plain: AtomicBool,
    /// The registry and repository as the user wrote them.
    pub(crate) name: String,
    /// The repository, as the API wants it.
    pub(crate) repository: String,
    /// What to log in with.
    pub(crate) login: Login,
    /// What it may do there.
    pub(crate) purpose: Purpose,
    /// Other repositories of the registry, which tokens must allow to read.
    pub(crate) sources: Mutex<BTreeSet<String>>,
    retry: Retry,
    /// What the next request is authorized with.
    pub(crate) authorization: Mutex<Option<Authorization>>,
    /// What whoever watches is still to be told.
    delays: Arc<Delays>,
    /// Whether blobs have to be sent in pieces.
    pub(crate) pieces: AtomicBool,
}

impl Client {
    /// Finds out how the registry of `reference` is reached, and logs in if it asks for that. Ends at
    /// once when the user gives up.
    pub(crate) fn connect(
        reference: &Reference,
        purpose: Purpose,
        options: &Options,
        context: Context<'_>,
    ) -> Result<Self> {
        // On a thread of its own, because nothing else ends a wait for the name service or for a
        // host that does not answer. It ends by itself, after the time-outs.
        let gave_up = Arc::new(AtomicBool::new(false));
        let (sender, receiver) = mpsc::channel();
        let (reference, options, stop) = (reference.clone(), options.clone(), gave_up.clone());
        let delays = Arc::new(Delays::default());
        let noted = Arc::clone(&delays);
        thread::spawn(move || {
            let stopped = || {
                if stop.load(Ordering::Relaxed) {
                    return Err(Error::Interrupted);
                }
                Ok(())
            };
            // Nobody listens any more if the user gave up.
            let _ = sender.send(Self::open(&reference, purpose, &options, noted, &stopped));
        });
        loop {
            let opened = receiver.recv_timeout(STEP);
            delays.tell(context);
            match opened {
                Ok(client) => return client,
                Err(RecvTimeoutError::Timeout) => context.check().inspect_err(|_| {
                    gave_up.store(true, Ordering::Relaxed);
                    // Long enough to end a credential helper.
                    let _ = receiver.recv_timeout(2 * STEP);
                })?,
                Err(RecvTimeoutError::Disconnected) => return Err(Error::Interrupted),
            }
        }
    }

    fn open(
        reference: &Reference,
        purpose: Purpose,
        options: &Options,
        delays: Arc<Delays>,
        interrupted: &Interrupted<'_>,
    ) -> Result<Self> {
        let environment = |name: &str| std::env::var_os(name);
        let login = if options.anonymous {
            Login::default()
        } else {
            Login::find(
                options.credentials.as_ref(),
                options.auth_file.as_deref(),
                options.default_auth_file.as_deref(),
                reference,
                &environment,
                interrupted,
            )?
        };
        let host = api_host(&reference.registry);
        let operation = format!("cannot reach the registry {}", reference.registry);
        let invalid = || Problem::lasting("not a host name", "").during(&operation, 1);
        let base = |scheme: &str| {
            format!("{scheme}://{host}/v2/")
                .parse()
                .map_err(|_| invalid())
        };
        let client = Self {
            http: Http::new(&reference.registry, options, &environment)?,
            secure: base("https")?,
            plain: base("http")?,
            is_plain: AtomicBool::new(false),
            name: format!("{}/{}", reference.registry, reference.repository),
            repository: reference.repository.clone(),
            login,
            purpose,
            sources: Mutex::default(),
            retry: options.retry,
            authorization: Mutex::new(None),
            delays,
            pieces: AtomicBool::new(false),
        };
        let plain_allowed = options
            .tls_verify
            .map_or_else(|| is_loopback(host), |verify| !verify);
        client.persist(&operation, interrupted, || {
            // Each time: one that just started may speak TLS.
            client.is_plain.store(false, Ordering::Relaxed);
            let is_plain = plain_allowed && client.speaks_no_tls();
            client.is_plain.store(is_plain, Ordering::Relaxed);
            client.ping()
        })?;
        Ok(client)
    }

    /// The address of the API.
    pub(crate) fn base(&self) -> &Uri {
        if self.is_plain.load(Ordering::Relaxed) {
            &self.plain
        } else {
            &self.secure
        }
    }

    /// Does `work`, and tells `progress` what it waits for. When that says that the user gave up, uploads get a moment to end, and then
    /// whatever waits for the registry ends within a second, with [`Error::Interrupted`] out of [`Self::persist`].
    pub(crate) fn watch<T>(&self, context: Context<'_>, work: impl FnOnce() -> T) -> T {
        let (working, done) = mpsc::channel::<()>();
        thread::scope(|scope| {
            scope.spawn(move || {
                loop {
                    let waited = done.recv_timeout(STEP);
                    self.delays.tell(context);
                    if waited != Err(RecvTimeoutError::Timeout) {
                        return;
                    }
                    if context.check().is_err() {
                        if self.http.refuse() {
                            let _ = done.recv_timeout(LAST_COURTESY);
                        }
                        return self.http.interrupt();
                    }
                }
            });
            let result = work();
            drop(working);
            result
        })
    }

    /// Whether there is nobody to speak HTTPS with.
    fn speaks_no_tls(&self) -> bool {
        match self.ping() {
            Err(Failure::Problem(problem)) => {
                matches!(
                    problem.reached,
                    Reached::Nobody | Reached::Other | Reached::Connection
                )
            }
            _ => false,
        }
    }

    /// Asks whether this is a registry (distribution specification, end-1), and logs in.
    fn ping(&self) -> Result<(), Failure> {
        let refused = |problem| {
            let operation = format!("cannot log in to the registry {}", self.registry());
            Err(Failure::Fatal(self.error(problem, &operation, 1)))
        };
        let answer = match self.authorized(Request::new(Method::GET, self.base().clone())) {
            Err(Failure::Problem(problem)) if problem.reached == Reached::Refusal => {
                return refused(problem);
            }
            Err(Failure::Problem(problem)) => {
                // Where nobody is from the beginning, a name or a port is wrong more often than a
                // registry is just starting.
                let there = matches!(problem.reached, Reached::Answer | Reached::Connection);
                let temporary = problem.temporary && (there || self.retry.awaits_start);
                return Err(Problem {
                    temporary,
                    ..problem
                }
                .into());
            }
            other => other?.read()?,
        };
        match answer.status {
            // Those who may not ping may still push.
            StatusCode::OK | StatusCode::FORBIDDEN => Ok(()),
            StatusCode::UNAUTHORIZED => refused(self.refusal(&answer)),
            StatusCode::NOT_FOUND => Err(Problem::lasting(
                "answered 404 Not Found where registries answer (/v2/)",
                "is this a registry?",
            )
            .into()),
            _ => Err(answer.problem().into()),
        }
    }

    /// An address below the repository: `blobs/…`, `manifests/…`.
    pub(crate) fn address(&self, path: &str) -> Result<Uri, Failure> {
        let address = format!("{}{}/{path}", self.base(), self.repository);
        address
            .parse()
            .map_err(|_| Problem::lasting("not a repository name", "").into())
    }

    /// The address that an answer's `Location` leads to, for the next request of an upload.
    pub(crate) fn next_address(&self, answer: &Answer, location: &str) -> Result<Uri, Problem> {
        let target = resolve(&answer.address, location)
            .ok_or_else(|| Problem::lasting("answered with a location that is no address", ""))?;
        self.http.check_downgrade(&answer.address, &target)?;
        Ok(target)
    }

    /// Repeats `attempt` while it fails in a way that may pass. `interrupted` is asked often during
    /// the pauses.
    pub(crate) fn persist<T>(
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
                Err(Failure::Problem(_)) if self.http.is_interrupted() => {
                    return Err(Error::Interrupted);
                }
                Err(Failure::Problem(problem)) => problem,
            };
            let asked = problem.pause.unwrap_or_default();
            if problem.temporary && asked > self.retry.longest_pause {
                problem.hint = format!("it asks to wait {} s; try again then", asked.as_secs());
                return Err(self.error(problem, operation, tries));
            }
            if !problem.temporary || tries >= self.retry.tries {
                return Err(self.error(problem, operation, tries));
            }
            tries += 1;
            let rests = pause.max(asked);
            self.delays.add(format!(
                "{}: {}; trying again in {} s ({tries} of {})",
                self.registry(),
                problem.message,
                rests.as_secs_f64(),
                self.retry.tries
            ));
            rest(rests, interrupted)?;
            pause = (pause * 2).min(self.retry.longest_pause);
        }
    }

    /// The registry, as the user wrote it.
    pub(crate) fn registry(&self) -> &str {
        self.name.split('/').next().unwrap_or_default()
    }

    /// The error of the whole `operation`. Hints name the flags of `copy`; the verbs that pull have
    /// the same without `dest-`. They also name the weaker of the variables for certificates.
    fn error(&self, problem: Problem, operation: &str, tries: u32) -> Error {
        let hint = match self.purpose {
            Purpose::Push => problem.hint,
            Purpose::Pull => problem.hint.replace("--dest-", "--"),
        };
        let hint = hint.replace("SSL_CERT_FILE", self.http.certificate_variable());
        Problem { hint, ..problem }.during(operation, tries)
    }

    /// Sends a request with what the registry wants for authorization; that the user may not do
    /// this is an error, other answers are the caller's to judge.
    pub(crate) fn send(&self, request: Request<'_>) -> Result<Answer, Failure> {
        Ok(self.open_answer(request)?.read()?)
    }

    /// The same, but the body of the answer is still to be read.
    pub(crate) fn open_answer(&self, request: Request<'_>) -> Result<Opened, Failure> {
        let opened = self.authorized(request)?;
        match opened.answer.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(self.refusal(&opened.read()?).into())
            }
            _ => Ok(opened),
        }
    }

    /// Sends a request. When the registry wants another authorization (a first or a fresh token),
    /// that is got, and the request is sent once more; one whose body can be read only once fails
    /// instead, to be tried again.
    fn authorized(&self, mut request: Request<'_>) -> Result<Opened, Failure> {
        let trusted = same_origin(&request.address, self.base());
        let streams = matches!(request.body, Body::Stream { .. });
        let address = request.address.clone();
        if trusted {
            request.authorization = self.authorization()?;
        }
        let opened = self.http.open(&mut request)?;
        let refused = opened.answer.status == StatusCode::UNAUTHORIZED;
        if !refused || !trusted || !same_origin(&opened.answer.address, self.base()) {
            return Ok(opened);
        }
        let answer = opened.read()?;
        let Some(fresh) = self.renew(&answer, request.authorization.as_ref())? else {
            return Ok(answer.into());
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
        Ok(self.http.open(&mut request)?)
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
        thread::sleep(left.min(STEP));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Server;

    /// The flags of `pull` and `lock` are not called like those of `copy`.
    #[test]
    fn hints_name_the_flags_that_there_are() {
        let server = Server::start(|_| {
            let header = "www-authenticate: Basic realm=\"r\"\r\ncontent-length: 0";
            format!("401 No\r\n{header}\r\n\r\n").into()
        });
        for (purpose, flag) in [
            (Purpose::Push, "pass --dest-creds "),
            (Purpose::Pull, "pass --creds "),
        ] {
            let error = server.connect(1, purpose).err().unwrap();
            assert!(error.hint().unwrap().contains(flag), "{error:?}");
        }
    }
}
