//! One exchange with a server, by `ureq`: redirects, limits and time-outs, and no credentials to
//! strangers.

use std::ffi::OsString;
use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ureq::http::header::{CONTENT_LENGTH, EXPECT, LOCATION};
use ureq::http::uri::Scheme;
use ureq::http::{self, Method, StatusCode, Uri};
use ureq::{Agent, AsSendBody, SendBody};

use crate::delays::Delays;
use crate::options::{Options, Timeouts};
use strata_copy::worker_pool::CHECKS;
use strata_error::Result;
use strata_exchange::{Body, Request};
use strata_exchange::{Reached, RegistryError};
use strata_exchange::{Response, ResponseReader};
use strata_http::url::{is_loopback, resolve, same_origin};
use strata_http::{Proxies, Route, Tls, Transport, early_response};
use strata_keychain::Trust;

/// The most redirects that one request may take.
const MOST_REDIRECTS: usize = 5;

/// The most connections that wait for their next request: as many as there are requests at once, else those
/// that follow would begin with a handshake.
const MOST_IDLE: usize = CHECKS;

/// From this size of a body on, in bytes, the server is asked to agree first: else one that answers
/// early and hangs up, to a token that expired or a size above its limit, would not be heard. What is
/// smaller is on its way before a response could be read.
const ASK_FIRST: u64 = 256 << 10;

/// How long to wait at most for a response that does not matter.
const COURTESY: Duration = Duration::from_secs(5);
/// The same for everything about it, and for bodies that end, when the user waits for the end.
pub(crate) const LAST_COURTESY: Duration = Duration::from_secs(1);

/// What was done when certificates cannot be used.
const SETUP: &str = "cannot set up TLS";
/// What to do then.
const SETUP_HINT: &str = "check the client certificate and its key, *.cert and *.key";

/// The connections of one copy.
pub(crate) struct Http {
    agent: Mutex<Agent>,
    transport: Transport,
    proxies: Proxies,
    interrupted: AtomicBool,
    /// How many exchanges end soon by themselves when the user gives up, and tell where an upload is:
    /// those that open one, and bodies without a promised length.
    ending: AtomicUsize,
    timeouts: Timeouts,
    certificate_variable: &'static str,
    /// Whether what begins with HTTPS may go on without.
    may_downgrade: bool,
    /// Where requests are noted.
    noted: Arc<Delays>,
}

impl Http {
    /// Sets up what `options` say about `registry`; connects to nothing yet.
    pub(crate) fn new(
        registry: &str,
        options: &Options,
        environment: &dyn Fn(&str) -> Option<OsString>,
        noted: Arc<Delays>,
    ) -> Result<Self> {
        let directory = options.certificate_directory.as_deref();
        let trust = Trust::find(directory, registry, environment)?;
        let insecure = options.tls_verify == Some(false);
        let tls = if insecure {
            Tls::insecure(trust.clients)
        } else {
            Tls::new(trust.authorities, trust.clients)
        };
        let tls = tls.map_err(|error| {
            RegistryError::permanent(error.to_string(), SETUP_HINT).during(SETUP, 1)
        })?;
        let timeouts = options.timeouts;
        let config = strata_http::config()
            .user_agent(&options.user_agent)
            .max_idle_connections(MOST_IDLE)
            .max_idle_connections_per_host(MOST_IDLE)
            .timeout_connect(Some(timeouts.connect))
            .timeout_resolve(Some(timeouts.connect))
            .timeout_send_request(Some(timeouts.response))
            .timeout_per_write(Some(timeouts.response))
            .timeout_recv_response(Some(timeouts.response))
            .timeout_recv_body(Some(timeouts.response))
            .build();
        let transport = Transport::new(Route::Tcp, Some(tls));
        let transport = if insecure {
            transport
        } else {
            transport.keeping_plain_http_here()
        };
        Ok(Self {
            agent: Mutex::new(transport.agent(config)),
            transport,
            proxies: options
                .proxies
                .clone()
                .unwrap_or_else(|| Proxies::from_environment(environment)),
            interrupted: AtomicBool::new(false),
            ending: AtomicUsize::new(0),
            timeouts,
            certificate_variable: strata_http::certificate_variable(environment),
            may_downgrade: insecure,
            noted,
        })
    }

    /// The variable that names the file of the authorities that are trusted.
    pub(crate) fn certificate_variable(&self) -> &'static str {
        self.certificate_variable
    }

    /// Sends `request`, and again to where redirects lead.
    pub(crate) fn send(&self, request: &mut Request<'_>) -> Result<Response, RegistryError> {
        self.open(request)?.read()
    }

    /// The same, but the body of the response is still to be read.
    pub(crate) fn open(&self, request: &mut Request<'_>) -> Result<ResponseReader, RegistryError> {
        for _ in 0..=MOST_REDIRECTS {
            let reader = self.exchange(request)?;
            if redirect(&reader.head).is_none() {
                return Ok(reader);
            }
            let response = reader.read()?;
            let Some(location) = redirect(&response) else {
                return Ok(response.into());
            };
            self.follow(request, response.status, location)?;
        }
        Err(RegistryError::permanent("redirects without end", ""))
    }

    /// Whether the user gave up, see [`Self::interrupt`].
    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Begins no more exchanges but those that cancel uploads. Gives whether there are some that end soon
    /// by themselves.
    pub(crate) fn refuse(&self) -> bool {
        self.interrupted.store(true, Ordering::Relaxed);
        self.ending.load(Ordering::Relaxed) > 0
    }

    /// Ends every exchange, also those of other threads that wait for a response. After this only
    /// uploads can be cancelled, in a short time.
    pub(crate) fn interrupt(&self) {
        self.refuse();
        let fresh = self.transport.agent(self.agent().config().clone());
        let mut agent = self.agent.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *agent, fresh).shutdown();
    }

    fn agent(&self) -> Agent {
        self.agent
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Turns `request` into the one that a redirect asks for.
    fn follow(
        &self,
        request: &mut Request<'_>,
        status: StatusCode,
        location: &str,
    ) -> Result<(), RegistryError> {
        let target = resolve(&request.url, location)
            .ok_or_else(|| RegistryError::permanent("redirects to what is not an address", ""))?;
        let reads = matches!(request.method, Method::GET | Method::HEAD);
        let repeats = matches!(status.as_u16(), 307 | 308)
            && matches!(request.body, Body::Empty | Body::Bytes(_));
        if !reads && !repeats {
            let host = target.host().unwrap_or_default();
            return Err(RegistryError::permanent(
                format!(
                    "answered {} and redirects a write to {host}",
                    status.as_u16()
                ),
                "name the host that it redirects to",
            ));
        }
        self.check_downgrade(&request.url, &target)?;
        if !same_origin(&request.url, &target) {
            if request.is_secret {
                return Err(RegistryError::permanent(
                    format!(
                        "redirects what is meant for it alone to {}",
                        target.host().unwrap_or_default()
                    ),
                    "an identity token is sent to nobody else; pass --dest-creds USER:PASSWORD",
                ));
            }
            request.authorization = None;
        }
        request.url = target;
        Ok(())
    }

    /// Refuses to leave HTTPS, unless the user does not care.
    pub(crate) fn check_downgrade(&self, from: &Uri, to: &Uri) -> Result<(), RegistryError> {
        let leaves = from.scheme() == Some(&Scheme::HTTPS) && to.scheme() != Some(&Scheme::HTTPS);
        if leaves && !self.may_downgrade {
            return Err(RegistryError::permanent(
                format!(
                    "leads from https to http at {}",
                    to.host().unwrap_or_default()
                ),
                "a proxy before the registry must tell it the scheme (X-Forwarded-Proto)",
            ));
        }
        Ok(())
    }

    /// Refuses to show a secret to who is asked without TLS on another machine, unless the user does not
    /// care. That names of this machine lead to it, connecting sees to.
    fn check_plain(&self, request: &Request<'_>) -> Result<(), RegistryError> {
        let has_secret = request.is_secret || request.authorization.is_some();
        let host = request.url.host().unwrap_or_default();
        let is_plain = request.url.scheme() != Some(&Scheme::HTTPS);
        if has_secret && is_plain && !is_loopback(host) && !self.may_downgrade {
            return Err(RegistryError::permanent(
                format!("{host} would get a password or a token without TLS"),
                "if nobody can listen in, pass --dest-tls-verify=false",
            ));
        }
        Ok(())
    }

    /// One request, one response.
    fn exchange(&self, request: &mut Request<'_>) -> Result<ResponseReader, RegistryError> {
        // In this order: an interruption from here on shuts this agent down, one before is seen.
        let agent = self.agent();
        if self.is_interrupted() && request.method != Method::DELETE {
            return Err(RegistryError::permanent("was not asked: interrupted", ""));
        }
        self.check_plain(request)?;
        let mut builder = http::Request::builder()
            .method(request.method.clone())
            .uri(request.url.clone());
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        if let Some(authorization) = &request.authorization {
            builder = builder.header(http::header::AUTHORIZATION, authorization);
        }
        let mut bytes: &[u8] = &[];
        // How long the body is, about how long, and the body.
        let (length, about, reader): (Option<u64>, u64, &mut dyn Read) = match &mut request.body {
            // Some registries want to see the length of nothing.
            Body::Empty if matches!(request.method, Method::POST | Method::PUT) => {
                (Some(0), 0, &mut bytes)
            }
            Body::Empty => {
                let response = self.run(&agent, builder, (), request.expected)?;
                return Ok(ResponseReader::new(response, request));
            }
            Body::Bytes(content) => {
                bytes = content;
                let length = bytes.len() as u64;
                (Some(length), length, &mut bytes)
            }
            Body::Stream {
                size,
                expected,
                reader,
            } => (*size, *expected, &mut **reader),
        };
        if about > ASK_FIRST && !self.transport.is_silent(&request.url) {
            builder = builder.header(EXPECT, "100-continue");
        }
        if let Some(length) = length {
            builder = builder.header(CONTENT_LENGTH, length);
        }
        let body = SendBody::from_reader(reader);
        let ending = usize::from(length.is_none() || request.method == Method::POST);
        self.ending.fetch_add(ending, Ordering::Relaxed);
        let response = self.run(&agent, builder, body, request.expected);
        self.ending.fetch_sub(ending, Ordering::Relaxed);
        Ok(ResponseReader::new(response?, request))
    }

    fn run(
        &self,
        agent: &Agent,
        builder: http::request::Builder,
        body: impl AsSendBody,
        expected: Option<u64>,
    ) -> Result<http::Response<ureq::Body>, RegistryError> {
        let request = builder.body(body).map_err(ureq::Error::from)?;
        let response = match *request.method() {
            Method::PATCH | Method::PUT => self.timeouts.upload_response,
            Method::DELETE => self.timeouts.response.min(COURTESY),
            _ => self.timeouts.response,
        };
        let proxy = self
            .proxies
            .choose(request.uri())
            .map_err(|error| RegistryError::permanent(error.to_string(), error.hint()))?;
        let is_courtesy = request.method() == Method::DELETE;
        let mut config = agent
            .configure_request(request)
            .proxy(proxy.as_ref().map(|(proxy, _)| proxy.clone()))
            .timeout_recv_response(Some(response))
            .timeout_per_read(Some(response))
            .timeout_recv_body(Some(self.timeouts.body(expected)));
        if is_courtesy && self.is_interrupted() {
            config = config.timeout_global(Some(LAST_COURTESY));
        }
        let request = config.build();
        let shown = format!("{} {}", request.method(), shown(request.uri()));
        let started = Instant::now();
        let result = agent.run(request).or_else(early_response);
        let end = match &result {
            Ok(response) => response.status().as_u16().to_string(),
            Err(error) => error.to_string(),
        };
        let milliseconds = started.elapsed().as_millis();
        self.noted
            .add_request(format!("{shown}: {end} after {milliseconds} ms"));
        result.map_err(|error| {
            let error = RegistryError::from(error);
            match &proxy {
                // Nobody else was asked.
                Some((proxy, variable)) if error.reached == Reached::Nobody => {
                    error.of_proxy(proxy.host(), proxy.port(), variable)
                }
                _ => error,
            }
        })
    }
}

/// An address without what may be a secret in it: a password, and the query, which has states and signatures.
fn shown(url: &Uri) -> String {
    let host = url.authority().map_or("", |authority| {
        let whole = authority.as_str();
        whole.rsplit('@').next().unwrap_or(whole)
    });
    let query = if url.query().is_some() { "?…" } else { "" };
    format!(
        "{}://{host}{}{query}",
        url.scheme_str().unwrap_or_default(),
        url.path()
    )
}

/// Where a response leads, if it is a redirect.
fn redirect(response: &Response) -> Option<&str> {
    matches!(response.status.as_u16(), 301 | 302 | 303 | 307 | 308)
        .then(|| response.header(LOCATION))
        .flatten()
}
