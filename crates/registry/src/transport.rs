//! One exchange with a server, by `ureq`: redirects, limits and time-outs, and no credentials to
//! strangers.

use std::ffi::OsString;
use std::io::{Cursor, Read};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::ClientConfig;
use ureq::http::header::{CONTENT_LENGTH, EXPECT, LOCATION};
use ureq::http::uri::Scheme;
use ureq::http::{self, HeaderName, HeaderValue, Method, StatusCode, Uri};
use ureq::{Agent, AsSendBody, SendBody};

use crate::address::{resolve, same_origin};
use crate::certificates::{self, Trust};
use crate::connection::{self, SilentServers};
use crate::error::{Problem, Reached};
use crate::proxy::Proxies;
use crate::response::Answer;
use crate::{Options, Timeouts, tls};
use strata_error::Result;

/// The most redirects that one request may take.
const MOST_REDIRECTS: usize = 5;

/// From this size of a body on, in bytes, the server is asked to agree first: else one that answers
/// early and hangs up, to a token that expired or a size above its limit, would not be heard. What is
/// smaller is on its way before an answer could be read.
const ASK_FIRST: u64 = 256 << 10;

/// How long to wait at most for an answer that does not matter.
const COURTESY: Duration = Duration::from_secs(5);
/// The same for everything about it, and for bodies that end, when the user waits for the end.
pub(crate) const LAST_COURTESY: Duration = Duration::from_secs(1);

/// What was done when certificates cannot be used.
const SETUP: &str = "cannot set up TLS";
/// What to do then.
const SETUP_HINT: &str = "check the client certificate and its key, *.cert and *.key";

/// What is sent after the headers.
pub(crate) enum Body<'a> {
    /// Nothing.
    Empty,
    /// What can be sent again.
    Bytes(&'a [u8]),
    /// What can be read once.
    Stream {
        /// Its length in bytes, if that is known; else it is sent in chunks (RFC 9112, section 7.1).
        size: Option<u64>,
        /// About how many bytes it will have.
        expected: u64,
        /// Its bytes, exactly so many.
        reader: &'a mut dyn Read,
    },
}

/// A request.
pub(crate) struct Request<'a> {
    /// The method.
    pub(crate) method: Method,
    /// The whole address.
    pub(crate) address: Uri,
    /// The headers but for `Authorization` and those of the body's length.
    pub(crate) headers: Vec<(HeaderName, String)>,
    /// The `Authorization` header; it goes to the origin of `address` only.
    pub(crate) authorization: Option<HeaderValue>,
    /// What follows the headers.
    pub(crate) body: Body<'a>,
    /// The most bytes of an answer's body to keep.
    pub(crate) limit: usize,
    /// How many bytes the answer's body will have, if it is read as it comes. It decides how long that
    /// may take.
    pub(crate) expected: Option<u64>,
}

impl<'a> Request<'a> {
    /// The most bytes that are kept of an answer whose body only matters if it is an error.
    pub(crate) const ERROR_LIMIT: usize = 64 << 10;

    /// A request without headers and body.
    pub(crate) fn new(method: Method, address: Uri) -> Self {
        Self {
            method,
            address,
            headers: Vec::new(),
            authorization: None,
            body: Body::Empty,
            limit: Self::ERROR_LIMIT,
            expected: None,
        }
    }

    /// The same with a header.
    pub(crate) fn header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same with a body.
    pub(crate) fn body(mut self, body: Body<'a>) -> Self {
        self.body = body;
        self
    }
}

/// The connections of one copy.
pub(crate) struct Http {
    agent: Mutex<Agent>,
    tls: Arc<ClientConfig>,
    proxies: Proxies,
    silent: SilentServers,
    interrupted: AtomicBool,
    /// How many exchanges end soon by themselves when the user gives up, and tell where an upload is:
    /// those that open one, and bodies without a promised length.
    ending: AtomicUsize,
    timeouts: Timeouts,
    certificate_variable: &'static str,
    /// Whether what begins with HTTPS may go on without.
    may_downgrade: bool,
}

impl Http {
    /// Sets up what `options` say about `registry`; connects to nothing yet.
    pub(crate) fn new(
        registry: &str,
        options: &Options,
        environment: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self> {
        let directory = options.certificate_directory.as_deref();
        let trust = Trust::find(directory, registry, environment)?;
        let insecure = options.tls_verify == Some(false);
        let tls = tls::configuration(trust, insecure)
            .map_err(|error| Problem::lasting(error.to_string(), SETUP_HINT).during(SETUP, 1))?;
        let timeouts = options.timeouts;
        let config = Agent::config_builder()
            .user_agent(&options.user_agent)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_idle_connections_per_host(8)
            .proxy(None)
            .timeout_connect(Some(timeouts.connect))
            .timeout_resolve(Some(timeouts.connect))
            .timeout_send_request(Some(timeouts.answer))
            .timeout_per_write(Some(timeouts.answer))
            .timeout_recv_response(Some(timeouts.answer))
            .timeout_recv_body(Some(timeouts.answer))
            .build();
        let silent = SilentServers::default();
        Ok(Self {
            agent: Mutex::new(connection::agent(&config, &tls, &silent)),
            tls,
            proxies: options
                .proxies
                .clone()
                .unwrap_or_else(|| Proxies::from_environment(environment)),
            silent,
            interrupted: AtomicBool::new(false),
            ending: AtomicUsize::new(0),
            timeouts,
            certificate_variable: certificates::variable(environment),
            may_downgrade: insecure,
        })
    }

    /// The variable that names the file of the authorities that are trusted.
    pub(crate) fn certificate_variable(&self) -> &'static str {
        self.certificate_variable
    }

    /// Sends `request`, and again to where redirects lead.
    pub(crate) fn send(&self, request: &mut Request<'_>) -> Result<Answer, Problem> {
        self.open(request)?.read()
    }

    /// The same, but the body of the answer is still to be read.
    pub(crate) fn open(&self, request: &mut Request<'_>) -> Result<Opened, Problem> {
        for _ in 0..=MOST_REDIRECTS {
            let opened = self.exchange(request)?;
            if redirect(&opened.answer).is_none() {
                return Ok(opened);
            }
            let answer = opened.read()?;
            let Some(location) = redirect(&answer) else {
                return Ok(answer.into());
            };
            self.follow(request, answer.status, location)?;
        }
        Err(Problem::lasting("redirects without end", ""))
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

    /// Ends every exchange, also those of other threads that wait for an answer. After this only
    /// uploads can be cancelled, in a short time.
    pub(crate) fn interrupt(&self) {
        self.refuse();
        let fresh = connection::agent(self.agent().config(), &self.tls, &self.silent);
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
    ) -> Result<(), Problem> {
        let target = resolve(&request.address, location)
            .ok_or_else(|| Problem::lasting("redirects to what is not an address", ""))?;
        let reads = matches!(request.method, Method::GET | Method::HEAD);
        let repeats = matches!(status.as_u16(), 307 | 308)
            && matches!(request.body, Body::Empty | Body::Bytes(_));
        if !reads && !repeats {
            let host = target.host().unwrap_or_default();
            return Err(Problem::lasting(
                format!(
                    "answered {} and redirects a write to {host}",
                    status.as_u16()
                ),
                "name the host that it redirects to",
            ));
        }
        self.check_downgrade(&request.address, &target)?;
        if !same_origin(&request.address, &target) {
            request.authorization = None;
        }
        request.address = target;
        Ok(())
    }

    /// Refuses to leave HTTPS, unless the user does not care.
    pub(crate) fn check_downgrade(&self, from: &Uri, to: &Uri) -> Result<(), Problem> {
        let leaves = from.scheme() == Some(&Scheme::HTTPS) && to.scheme() != Some(&Scheme::HTTPS);
        if leaves && !self.may_downgrade {
            return Err(Problem::lasting(
                format!(
                    "leads from https to http at {}",
                    to.host().unwrap_or_default()
                ),
                "a proxy before the registry must tell it the scheme (X-Forwarded-Proto)",
            ));
        }
        Ok(())
    }

    /// One request, one answer.
    fn exchange(&self, request: &mut Request<'_>) -> Result<Opened, Problem> {
        // In this order: an interruption from here on shuts this agent down, one before is seen.
        let agent = self.agent();
        if self.is_interrupted() && request.method != Method::DELETE {
            return Err(Problem::lasting("was not asked: interrupted", ""));
        }
        let mut builder = http::Request::builder()
            .method(request.method.clone())
            .uri(request.address.clone());
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        if let Some(authorization) = &request.authorization {
            builder = builder.header(http::header::AUTHORIZATION, authorization);
        }
        let mut bytes: &[u8] = &[];
        let (length, reader): (Option<u64>, &mut dyn Read) = match &mut request.body {
            // Some registries want to see the length of nothing.
            Body::Empty if matches!(request.method, Method::POST | Method::PUT) => {
                (Some(0), &mut bytes)
            }
            Body::Empty => {
                let response = self.run(&agent, builder, (), request.expected)?;
                return Ok(Opened::new(response, request));
            }
            Body::Bytes(content) => {
                bytes = content;
                (Some(bytes.len() as u64), &mut bytes)
            }
            Body::Stream {
                size,
                expected,
                reader,
            } => {
                if *expected > ASK_FIRST && !self.silent.contains(&request.address) {
                    builder = builder.header(EXPECT, "100-continue");
                }
                (*size, &mut **reader)
            }
        };
        if let Some(length) = length {
            builder = builder.header(CONTENT_LENGTH, length);
        }
        let body = SendBody::from_reader(reader);
        let ending = usize::from(length.is_none() || request.method == Method::POST);
        self.ending.fetch_add(ending, Ordering::Relaxed);
        let response = self.run(&agent, builder, body, request.expected);
        self.ending.fetch_sub(ending, Ordering::Relaxed);
        Ok(Opened::new(response?, request))
    }

    fn run(
        &self,
        agent: &Agent,
        builder: http::request::Builder,
        body: impl AsSendBody,
        expected: Option<u64>,
    ) -> Result<http::Response<ureq::Body>, Problem> {
        let request = builder.body(body).map_err(ureq::Error::from)?;
        let answer = match *request.method() {
            Method::PATCH | Method::PUT => self.timeouts.upload_answer,
            Method::DELETE => self.timeouts.answer.min(COURTESY),
            _ => self.timeouts.answer,
        };
        let proxy = self.proxies.choose(request.uri())?;
        let is_courtesy = request.method() == Method::DELETE;
        let mut config = agent
            .configure_request(request)
            .proxy(proxy.as_ref().map(|(proxy, _)| proxy.clone()))
            .timeout_recv_response(Some(answer))
            .timeout_per_read(Some(answer))
            .timeout_recv_body(Some(self.timeouts.body(expected)));
        if is_courtesy && self.is_interrupted() {
            config = config.timeout_global(Some(LAST_COURTESY));
        }
        agent.run(config.build()).map_err(|error| {
            let problem = Problem::from(error);
            match &proxy {
                // Nobody else was asked.
                Some((proxy, variable)) if problem.reached == Reached::Nobody => {
                    problem.of_proxy(proxy.host(), proxy.port(), variable)
                }
                _ => problem,
            }
        })
    }
}

/// Where an answer leads, if it is a redirect.
fn redirect(answer: &Answer) -> Option<&str> {
    matches!(answer.status.as_u16(), 301 | 302 | 303 | 307 | 308)
        .then(|| answer.header(LOCATION))
        .flatten()
}

/// An answer whose body is still to be read.
pub(crate) struct Opened {
    /// The answer without its body.
    pub(crate) answer: Answer,
    /// The body, unless it is in the answer already.
    body: Option<ureq::Body>,
    limit: usize,
    /// Whether the body is what was asked for; elsewhere the status says enough.
    matters: bool,
}

impl Opened {
    fn new(response: http::Response<ureq::Body>, request: &Request<'_>) -> Self {
        let (parts, body) = response.into_parts();
        Self {
            answer: Answer {
                address: request.address.clone(),
                status: parts.status,
                headers: parts.headers,
                body: Vec::new(),
            },
            body: Some(body),
            limit: request.limit,
            matters: request.method == Method::GET && parts.status.is_success(),
        }
    }

    /// The answer with its body, cut at the limit of the request.
    pub(crate) fn read(mut self) -> Result<Answer, Problem> {
        if let Some(mut body) = self.body {
            let mut reader = body.as_reader().take(self.limit as u64);
            let received = reader.read_to_end(&mut self.answer.body);
            if let Err(error) = received
                && self.matters
            {
                return Err(ureq::Error::from(error).into());
            }
        }
        Ok(self.answer)
    }

    /// The body, to be read as it comes.
    pub(crate) fn into_reader(self) -> Box<dyn Read + Send> {
        match self.body {
            Some(body) => Box::new(body.into_reader()),
            None => Box::new(Cursor::new(self.answer.body)),
        }
    }
}

impl From<Answer> for Opened {
    fn from(answer: Answer) -> Self {
        Self {
            answer,
            body: None,
            limit: 0,
            matters: false,
        }
    }
}
