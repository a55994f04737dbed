//! The repository of a registry: how it is reached, and trying again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use ureq::http::{Method, StatusCode, Uri};

use crate::auth::{Authorizer, Purpose};
use crate::delays::Delays;
use crate::error::{Failure, Reached, RegistryError};
use crate::http::{Http, LAST_COURTESY};
use crate::options::{Options, Retry};
use crate::request::{Body, Request};
use crate::response::{Response, ResponseReader};
use strata_error::{Error, Result};
use strata_http::url::{is_loopback, resolve, same_origin};
use strata_keychain::Keychain;
use strata_oci::Reference;
use strata_progress::{Cancel, Context};

/// How often somebody who waits looks whether the user gave up, and tells what takes time.
const STEP: Duration = Duration::from_millis(50);

/// The host that answers for a registry. Docker Hub's API is not where its name says.
fn api_host(registry: &str) -> &str {
    match registry {
        "docker.io" => "registry-1.docker.io",
        other => other,
    }
}

/// The repository of one registry.
pub(crate) struct Client {
    /// Its connections.
    http: Http,
    /// The URL of the API: `https://host/v2/`.
    secure: Uri,
    /// The same without TLS.
    plain: Uri,
    is_plain: AtomicBool,
    /// The registry and repository as the user wrote them.
    pub(crate) name: String,
    /// The repository, as the API wants it.
    pub(crate) repository: String,
    purpose: Purpose,
    /// What requests are authorized with.
    pub(crate) authorizer: Authorizer,
    /// What the registry said when it was asked for nothing of it and let us not in.
    refusal: Mutex<Option<RegistryError>>,
    retry: Retry,
    /// What whoever watches is still to be told.
    delays: Arc<Delays>,
    /// Whether blobs have to be sent in chunks.
    pub(crate) in_chunks: AtomicBool,
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
            let connected = receiver.recv_timeout(STEP);
            delays.notify(context);
            match connected {
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
        cancel: &dyn Cancel,
    ) -> Result<Self> {
        let environment = |name: &str| std::env::var_os(name);
        let keychain = if options.anonymous {
            Keychain::default()
        } else {
            Keychain::find(
                options.credentials.as_ref(),
                options.auth_file.as_deref(),
                options.default_auth_file.as_deref(),
                reference,
                &environment,
                cancel,
            )?
        };
        let host = api_host(&reference.registry);
        let operation = format!("cannot reach the registry {}", reference.registry);
        let invalid = || RegistryError::permanent("not a host name", "").during(&operation, 1);
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
            purpose,
            authorizer: Authorizer::new(keychain, purpose, reference),
            refusal: Mutex::default(),
            retry: options.retry,
            delays,
            in_chunks: AtomicBool::new(false),
        };
        let plain_allowed = options
            .tls_verify
            .map_or_else(|| is_loopback(host), |verify| !verify);
        client.retry(&operation, cancel, || {
            // Each time: one that just started may speak TLS.
            client.is_plain.store(false, Ordering::Relaxed);
            let is_plain = plain_allowed && client.speaks_no_tls();
            client.is_plain.store(is_plain, Ordering::Relaxed);
            client.ping()
        })?;
        Ok(client)
    }

    /// The URL of the API.
    pub(crate) fn base(&self) -> &Uri {
        if self.is_plain.load(Ordering::Relaxed) {
            &self.plain
        } else {
            &self.secure
        }
    }

    /// Does `work`, and tells `context` what it waits for. When that says that the user gave up, uploads get
    /// a moment to end, and then whatever waits for the registry ends within a second, with
    /// [`Error::Interrupted`] out of [`Self::retry`].
    pub(crate) fn watch<T>(&self, context: Context<'_>, work: impl FnOnce() -> T) -> T {
        let (working, done) = mpsc::channel::<()>();
        thread::scope(|scope| {
            scope.spawn(move || {
                loop {
                    let waited = done.recv_timeout(STEP);
                    self.delays.notify(context);
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
            Err(Failure::Registry(error)) => {
                matches!(
                    error.reached,
                    Reached::Nobody | Reached::Other | Reached::Connection
                )
            }
            _ => false,
        }
    }

    /// Asks whether this is a registry (distribution specification, end-1), and what it wants for a login. A
    /// public repository can be in one that lets nobody in here: the repository's own answer decides.
    fn ping(&self) -> Result<(), Failure> {
        let response = match self.authorized(Request::new(Method::GET, self.base().clone())) {
            Err(Failure::Registry(error)) if error.reached == Reached::Refusal => {
                return Err(self.refused_login(error));
            }
            Err(Failure::Registry(error)) => {
                // Where nobody is from the beginning, a name or a port is wrong more often than a
                // registry is just starting.
                let there = matches!(error.reached, Reached::Response | Reached::Connection);
                let temporary = error.temporary && (there || self.retry.awaits_start);
                return Err(RegistryError { temporary, ..error }.into());
            }
            other => other?.read()?,
        };
        match response.status {
            // Those who may not ping may still push.
            StatusCode::OK | StatusCode::FORBIDDEN => Ok(()),
            StatusCode::UNAUTHORIZED => {
                let refusal = self.authorizer.refusal(&response);
                // Who tries a wrong password again and again is locked out.
                if self.authorizer.sends_password() {
                    return Err(self.refused_login(refusal));
                }
                let mut kept = self.refusal.lock().unwrap_or_else(PoisonError::into_inner);
                *kept = Some(refusal);
                Ok(())
            }
            StatusCode::NOT_FOUND => Err(RegistryError::permanent(
                "answered 404 Not Found where registries answer (/v2/)",
                "is this a registry?",
            )
            .into()),
            _ => Err(response.error().into()),
        }
    }

    /// That the registry lets us in nowhere.
    fn refused_login(&self, refusal: RegistryError) -> Failure {
        let operation = format!("cannot log in to the registry {}", self.registry());
        Failure::Fatal(self.error(refusal, &operation, 1))
    }

    /// A URL below the repository: `blobs/…`, `manifests/…`.
    pub(crate) fn url(&self, path: &str) -> Result<Uri, Failure> {
        let url = format!("{}{}/{path}", self.base(), self.repository);
        url.parse()
            .map_err(|_| RegistryError::permanent("not a repository name", "").into())
    }

    /// The URL that a response's `Location` leads to, for the next request of an upload.
    pub(crate) fn next_url(
        &self,
        response: &Response,
        location: &str,
    ) -> Result<Uri, RegistryError> {
        let target = resolve(&response.url, location).ok_or_else(|| {
            RegistryError::permanent("answered with a location that is no address", "")
        })?;
        self.http.check_downgrade(&response.url, &target)?;
        Ok(target)
    }

    /// Repeats `attempt` while it fails in a way that may pass. `cancel` is asked often during the
    /// pauses.
    pub(crate) fn retry<T>(
        &self,
        operation: &str,
        cancel: &dyn Cancel,
        mut attempt: impl FnMut() -> Result<T, Failure>,
    ) -> Result<T> {
        let mut pause = self.retry.first_pause;
        let mut tries = 1;
        loop {
            let mut error = match attempt() {
                Ok(result) => return Ok(result),
                Err(Failure::Fatal(error)) => return Err(error),
                Err(Failure::Registry(_)) if self.http.is_interrupted() => {
                    return Err(Error::Interrupted);
                }
                Err(Failure::Registry(error)) => error,
            };
            let asked = error.pause.unwrap_or_default();
            if error.temporary && asked > self.retry.longest_pause {
                error.hint = format!("it asks to wait {} s; try again then", asked.as_secs());
                return Err(self.error(error, operation, tries));
            }
            if !error.temporary || tries >= self.retry.tries {
                return Err(self.error(error, operation, tries));
            }
            tries += 1;
            let wait = pause.max(asked);
            self.delays.add(format!(
                "{}: {}; trying again in {} s ({tries} of {})",
                self.registry(),
                error.message,
                wait.as_secs_f64(),
                self.retry.tries
            ));
            backoff(wait, cancel)?;
            pause = (pause * 2).min(self.retry.longest_pause);
        }
    }

    /// The registry, as the user wrote it.
    pub(crate) fn registry(&self) -> &str {
        self.name.split('/').next().unwrap_or_default()
    }

    /// The error of the whole `operation`. Hints name the flags of `copy`; the commands that pull have
    /// the same without `dest-`. They also name the weaker of the variables for certificates.
    pub(crate) fn error(&self, error: RegistryError, operation: &str, tries: u32) -> Error {
        let hint = match self.purpose {
            Purpose::Push => error.hint,
            Purpose::Pull => error.hint.replace("--dest-", "--"),
        };
        let hint = hint.replace("SSL_CERT_FILE", self.http.certificate_variable());
        RegistryError { hint, ..error }.during(operation, tries)
    }

    /// Sends a request with what the registry wants for authorization; that the user may not do
    /// this is an error, other responses are the caller's to judge.
    pub(crate) fn send(&self, request: Request<'_>) -> Result<Response, Failure> {
        Ok(self.open_response(request)?.read()?)
    }

    /// The same, but the body of the response is still to be read.
    pub(crate) fn open_response(&self, request: Request<'_>) -> Result<ResponseReader, Failure> {
        let response = self.authorized(request)?;
        match response.head.status {
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                let kept = self.refusal.lock().unwrap_or_else(PoisonError::into_inner);
                match kept.as_ref() {
                    Some(refusal) if status == StatusCode::UNAUTHORIZED => {
                        Err(self.refused_login(refusal.clone()))
                    }
                    _ => Err(self.authorizer.refusal(&response.read()?).into()),
                }
            }
            _ => Ok(response),
        }
    }

    /// Sends a request. When the registry wants another authorization (a first or a fresh token),
    /// that is got, and the request is sent once more; one whose body can be read only once fails
    /// instead, to be tried again.
    fn authorized(&self, mut request: Request<'_>) -> Result<ResponseReader, Failure> {
        let trusted = same_origin(&request.url, self.base());
        let streams = matches!(request.body, Body::Stream { .. });
        let url = request.url.clone();
        if trusted {
            request.authorization = self.authorizer.header(&self.http, self.base())?;
        }
        let response = self.http.open(&mut request)?;
        let refused = response.head.status == StatusCode::UNAUTHORIZED;
        if !refused || !trusted || !same_origin(&response.head.url, self.base()) {
            return Ok(response);
        }
        let response = response.read()?;
        let Some(fresh) = self.authorizer.renew(
            &response,
            request.authorization.as_ref(),
            &self.http,
            self.base(),
        )?
        else {
            return Ok(response.into());
        };
        if streams {
            return Err(RegistryError {
                temporary: true,
                ..self.authorizer.refusal(&response)
            }
            .into());
        }
        request.url = url;
        request.authorization = Some(fresh);
        Ok(self.http.open(&mut request)?)
    }
}

/// Waits before the next try, and stops when the user gave up.
fn backoff(pause: Duration, cancel: &dyn Cancel) -> Result<()> {
    let end = Instant::now() + pause;
    loop {
        cancel.check()?;
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
            let client = server.client(purpose);
            let error = client.retry("x", &|| Ok(()), || client.manifest("tag", &[]));
            let error = error.unwrap_err();
            assert!(error.hint().unwrap().contains(flag), "{error:?}");
        }
    }
}
