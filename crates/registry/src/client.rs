//! The repository of a registry: how it is reached, and trying again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use ureq::http::{HeaderValue, StatusCode, Uri};

use crate::ask::Ask;
use crate::auth::{Authorizer, Purpose};
use crate::delays::Delays;
use crate::http::{Http, LAST_COURTESY};
use crate::options::{Options, Retry};
use strata_error::{Error, Result};
use strata_exchange::{Body, Request};
use strata_exchange::{Failure, Reached, RegistryError};
use strata_exchange::{Response, ResponseReader};
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
    /// Whether it may be one that speaks no TLS.
    plain_allowed: bool,
    /// The registry and repository as the user wrote them.
    pub(crate) name: String,
    /// The repository, as the API wants it.
    pub(crate) repository: String,
    purpose: Purpose,
    /// What requests are authorized with.
    pub(crate) authorizer: Authorizer,
    /// What the registry answered to what was asked ahead, by method and path.
    answers: Mutex<BTreeMap<(String, String), Response>>,
    retry: Retry,
    /// What whoever watches is still to be told.
    delays: Arc<Delays>,
    /// Whether blobs have to be sent in chunks.
    pub(crate) in_chunks: AtomicBool,
    /// Whether it refused a small blob that came with the request that ends its upload.
    pub(crate) in_patches: AtomicBool,
}

impl Client {
    /// Finds out what to log in with; asks nobody yet but credential helpers, which end when the user gives
    /// up.
    pub(crate) fn new(
        reference: &Reference,
        purpose: Purpose,
        options: &Options,
        context: Context<'_>,
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
                context.cancel,
            )?
        };
        let host = api_host(&reference.registry);
        let base = |scheme: &str| {
            let base = format!("{scheme}://{host}/v2/").parse();
            base.map_err(|_| {
                let error = RegistryError::permanent("not a host name", "");
                error.during(&cannot_reach(&reference.registry), 1)
            })
        };
        let delays = Arc::<Delays>::default();
        Ok(Self {
            http: Http::new(
                &reference.registry,
                options,
                &environment,
                Arc::clone(&delays),
            )?,
            secure: base("https")?,
            plain: base("http")?,
            is_plain: AtomicBool::new(false),
            plain_allowed: options
                .tls_verify
                .map_or_else(|| is_loopback(host), |verify| !verify),
            name: format!("{}/{}", reference.registry, reference.repository),
            repository: reference.repository.clone(),
            purpose,
            authorizer: Authorizer::new(keychain, purpose, reference),
            answers: Mutex::default(),
            retry: options.retry,
            delays,
            in_chunks: AtomicBool::new(false),
            in_patches: AtomicBool::new(false),
        })
    }

    /// Reaches the registry with what there is to ask of it first, all at once, and logs in if it wants
    /// that. The answers are there when they are asked for again, once each. Whether there is a registry that
    /// lets us in, the answer to `first` tells; that others fail is no matter yet. Ends at once when the user
    /// gives up.
    pub(crate) fn connect(
        self,
        first: Ask,
        others: Vec<Ask>,
        context: Context<'_>,
    ) -> Result<Self> {
        // On a thread of its own, because nothing else ends a wait for the name service or for a
        // host that does not answer. It ends by itself, after the time-outs.
        let gave_up = Arc::new(AtomicBool::new(false));
        let (sender, receiver) = mpsc::channel();
        let stop = Arc::clone(&gave_up);
        let delays = Arc::clone(&self.delays);
        thread::spawn(move || {
            let stopped = || {
                if stop.load(Ordering::Relaxed) {
                    return Err(Error::Interrupted);
                }
                Ok(())
            };
            let operation = cannot_reach(self.registry());
            let met = self.retry(&operation, &stopped, || self.meet(&first, &others));
            // Nobody listens any more if the user gave up.
            let _ = sender.send(met.map(|()| self));
        });
        loop {
            let connected = receiver.recv_timeout(STEP);
            delays.notify(context);
            match connected {
                Ok(client) => return client,
                Err(RecvTimeoutError::Timeout) => context
                    .check()
                    .inspect_err(|_| gave_up.store(true, Ordering::Relaxed))?,
                Err(RecvTimeoutError::Disconnected) => return Err(Error::Interrupted),
            }
        }
    }

    /// Sends the first requests, and the refused ones again with what the registry wants to see.
    fn meet(&self, first: &Ask, others: &[Ask]) -> Result<(), Failure> {
        let asks: Vec<&Ask> = [first].into_iter().chain(others).collect();
        let mut answers = self.knock(&asks);
        if let Some(Ok(response)) = answers.first()
            && is_refused(response)
            && self.renewed(response)?.is_some()
        {
            // Who shows a wrong password again and again is locked out: the first goes alone with it.
            let alone = usize::from(self.authorizer.sends_password());
            for group in [0..alone, alone..asks.len()] {
                if group.start > 0 && answers.first().is_some_and(is_refusal) {
                    break;
                }
                self.ask_again(&asks[group.clone()], &mut answers[group])?;
            }
        }
        let mut answers = answers.into_iter();
        let first_answer = self.judge(answers.next())?;
        let mut kept = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(key(first), first_answer);
        for (ask, answer) in others.iter().zip(answers) {
            if !is_refusal(&answer)
                && let Ok(response) = answer
            {
                kept.insert(key(ask), response);
            }
        }
        Ok(())
    }

    /// Sends those requests again that were refused, with what the registry wants to see.
    fn ask_again(
        &self,
        asks: &[&Ask],
        answers: &mut [Result<Response, RegistryError>],
    ) -> Result<(), Failure> {
        let refused = asks
            .iter()
            .zip(answers)
            .filter(|(_, answer)| is_refusal(answer));
        let (asks, answers): (Vec<&Ask>, Vec<_>) = refused.unzip();
        let again = at_once(&asks, |ask| {
            let request = self.request(self.base(), ask)?;
            Ok(self.authorized(request)?.read()?)
        });
        for (answer, again) in answers.into_iter().zip(again) {
            *answer = match again {
                Err(Failure::Fatal(error)) => return Err(Failure::Fatal(error)),
                Err(Failure::Registry(error)) => Err(error),
                Ok(response) => Ok(response),
            };
        }
        Ok(())
    }

    /// Sends requests that nobody is authorized for yet, with TLS or without, as the registry speaks.
    fn knock(&self, asks: &[&Ask]) -> Vec<Result<Response, RegistryError>> {
        let knock_at = |base: &Uri| {
            at_once(asks, |ask| {
                let mut request = self.request(base, ask)?;
                self.http.send(&mut request)
            })
        };
        // Each time: one that just started may speak TLS.
        self.is_plain.store(false, Ordering::Relaxed);
        if !self.plain_allowed {
            return knock_at(&self.secure);
        }
        let (secure, plain) = if is_loopback(self.secure.host().unwrap_or_default()) {
            thread::scope(|scope| {
                let plain = scope.spawn(|| knock_at(&self.plain));
                (knock_at(&self.secure), plain.join().ok())
            })
        } else {
            (knock_at(&self.secure), None)
        };
        // Whether there is nobody to speak HTTPS with.
        let speaks_no_tls = matches!(secure.first(), Some(Err(error)) if matches!(
            error.reached,
            Reached::Nobody | Reached::Other | Reached::Connection
        ));
        if !speaks_no_tls {
            return secure;
        }
        self.is_plain.store(true, Ordering::Relaxed);
        plain.unwrap_or_else(|| knock_at(&self.plain))
    }

    /// What the first answer of a registry says of it. A repository that is not there yet, or not to be read,
    /// can still be written to.
    fn judge(&self, answer: Option<Result<Response, RegistryError>>) -> Result<Response, Failure> {
        let silent = || RegistryError::temporary("was not asked", "");
        match answer.unwrap_or_else(|| Err(silent())) {
            Err(error) => Err(self.judge_error(error)),
            Ok(response) if is_refused(&response) => {
                Err(self.refused_login(self.authorizer.refusal(&response)))
            }
            Ok(response) => {
                let error = response.error();
                if error.temporary {
                    return Err(error.into());
                }
                Ok(response)
            }
        }
    }

    fn judge_error(&self, error: RegistryError) -> Failure {
        if error.reached == Reached::Refusal {
            return self.refused_login(error);
        }
        // Where nobody is from the beginning, a name or a port is wrong more often than a registry is just
        // starting.
        let there = matches!(error.reached, Reached::Response | Reached::Connection);
        let temporary = error.temporary && (there || self.retry.awaits_start);
        RegistryError { temporary, ..error }.into()
    }

    /// Answers the challenge of the first refusal. `None` if there is nothing to answer it with.
    fn renewed(&self, response: &Response) -> Result<Option<HeaderValue>, Failure> {
        let renewed = self
            .authorizer
            .renew(response, None, &self.http, self.base());
        renewed.map_err(|failure| match failure {
            Failure::Registry(error) => self.judge_error(error),
            fatal @ Failure::Fatal(_) => fatal,
        })
    }

    /// Asks about the repository; what was asked ahead is answered already.
    pub(crate) fn ask(&self, ask: &Ask) -> Result<Response, Failure> {
        let ahead = {
            let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            answers.remove(&key(ask))
        };
        match ahead {
            Some(response) => Ok(self.admitted(response.into())?.read()?),
            None => self.send(self.request(self.base(), ask)?),
        }
    }

    /// What the registry answered to what was asked ahead, if that was not asked for again yet.
    pub(crate) fn answered<T>(&self, ask: &Ask, look: impl FnOnce(&Response) -> T) -> Option<T> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.get(&key(ask)).map(look)
    }

    fn request<'b>(&self, base: &Uri, ask: &Ask) -> Result<Request<'b>, RegistryError> {
        Ok(Request {
            headers: ask.headers.clone(),
            limit: ask.limit,
            ..Request::new(ask.method.clone(), self.below(base, &ask.path)?)
        })
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

    /// That the registry lets us in nowhere.
    fn refused_login(&self, refusal: RegistryError) -> Failure {
        let operation = format!("cannot log in to the registry {}", self.registry());
        Failure::Fatal(self.error(refusal, &operation, 1))
    }

    /// A URL below the repository: `blobs/…`, `manifests/…`.
    pub(crate) fn url(&self, path: &str) -> Result<Uri, Failure> {
        Ok(self.below(self.base(), path)?)
    }

    fn below(&self, base: &Uri, path: &str) -> Result<Uri, RegistryError> {
        let url = format!("{base}{}/{path}", self.repository);
        url.parse()
            .map_err(|_| RegistryError::permanent("not a repository name", ""))
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
        self.admitted(response)
    }

    /// The response, unless it is that the user may not do this.
    fn admitted(&self, response: ResponseReader) -> Result<ResponseReader, Failure> {
        match response.head.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(self.authorizer.refusal(&response.read()?).into())
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

/// What answers are kept by.
fn key(ask: &Ask) -> (String, String) {
    (ask.method.to_string(), ask.path.clone())
}

/// What cannot be done before there was any answer.
fn cannot_reach(registry: &str) -> String {
    format!("cannot reach the registry {registry}")
}

fn is_refused(response: &Response) -> bool {
    response.status == StatusCode::UNAUTHORIZED
}

fn is_refusal(answer: &Result<Response, RegistryError>) -> bool {
    answer.as_ref().is_ok_and(is_refused)
}

/// Does `work` for all of `items` at once; gives the results in their order.
pub(crate) fn at_once<I: Sync, T: Send>(items: &[I], work: impl Fn(&I) -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let work = &work;
        let started: Vec<_> = items
            .iter()
            .map(|item| scope.spawn(move || work(item)))
            .collect();
        let ended = started.into_iter().map(|thread| {
            let panicked = |panic| std::panic::resume_unwind(panic);
            thread.join().unwrap_or_else(panicked)
        });
        ended.collect()
    })
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
            let error = server.connect(1, purpose).err().unwrap();
            assert!(error.hint().unwrap().contains(flag), "{error:?}");
        }
    }
}
