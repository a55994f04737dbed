//! Requests to an engine's API, over whatever connection leads there.

use std::io::{self, Read, Write};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use ureq::http::header::CONTENT_TYPE;
use ureq::http::{Method, Request, StatusCode, Uri};
use ureq::{Agent, SendBody, Timeout};

use super::endpoint::{Address, Endpoint};
use super::message::{self, ImageInspect, ImageSummary, Info, failure_of_load, message};
use super::tls;
use strata_error::{Error, Result, printable};
use strata_http::{Route, Transport};
use strata_oci::{Digest, Platform};
use strata_progress::{Context, Detail};

/// The newest version of the API that this was written for.
const NEWEST: Version = Version(1, 51);
/// The version of an engine that does not say which it has.
const OLDEST: Version = Version(1, 24);
/// The first version whose lists say which blobs are there.
const TELLS_BLOBS: Version = Version(1, 47);

/// For a connection.
const CONNECT: Duration = Duration::from_secs(30);
/// For the response to a query.
const RESPONSE: Duration = Duration::from_mins(1);
/// For each piece of an archive that the engine does not take.
const WRITE: Duration = Duration::from_mins(5);
/// For the response to a load: the engine unpacks the layers before it says anything.
const LOAD: Duration = Duration::from_hours(1);
/// How often to look whether the user wants to stop.
const POLL: Duration = Duration::from_millis(100);

/// The most bytes of a response: a list of very many images.
const LARGEST_RESPONSE: u64 = 64 << 20;

/// A version of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32, u32);

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        Some(Self(major.parse().ok()?, minor.parse().ok()?))
    }
}

/// An engine that responds.
pub(super) struct Client<'a> {
    agent: Agent,
    /// How the engine is called in messages.
    host: &'a str,
    /// The beginning of every URL.
    base: String,
    version: Version,
    transport: Transport,
    context: Context<'a>,
}

struct Response {
    status: StatusCode,
    /// What the engine says of itself: the header `Api-Version`.
    version: Option<Version>,
    body: Vec<u8>,
}

/// What came of asking for an archive.
enum Saved {
    /// It came, and was written or not.
    Written(io::Result<()>),
    /// The engine said no.
    Refused(Response),
}

/// What a request sends after its head.
enum Body<'r> {
    Empty,
    Archive(&'r mut dyn Read),
}

impl<'a> Client<'a> {
    /// Connects, and agrees on a version of the API unless `version` (`DOCKER_API_VERSION`) says it.
    pub(super) fn connect(
        endpoint: &'a Endpoint,
        version: Option<&str>,
        context: Context<'a>,
    ) -> Result<Self> {
        let tls = endpoint.tls.as_ref().map(tls::load).transpose()?;
        let route = match &endpoint.address {
            Address::Unix(path) => Route::Unix(path.clone()),
            Address::Tcp(_) => Route::Tcp,
            Address::Ssh(ssh) => Route::Ssh(ssh.clone()),
        };
        // An engine that refuses an archive responds in its middle.
        let transport = Transport::new(route, tls).reading_after_hang_up();
        let config = strata_http::config()
            .timeout_connect(Some(CONNECT))
            .timeout_resolve(Some(CONNECT))
            .timeout_send_request(Some(RESPONSE))
            .timeout_recv_body(Some(RESPONSE))
            .timeout_per_write(Some(WRITE))
            .build();
        let scheme = if endpoint.tls.is_some() {
            "https"
        } else {
            "http"
        };
        let authority = match &endpoint.address {
            Address::Tcp(authority) => authority.as_str(),
            // The name goes nowhere, and newer engines want one.
            Address::Unix(_) | Address::Ssh(_) => "localhost",
        };
        let mut client = Self {
            agent: transport.agent(config),
            host: &endpoint.host,
            base: format!("{scheme}://{authority}"),
            version: NEWEST,
            transport,
            context,
        };
        client.version = match version {
            Some(text) => {
                Version::parse(text.trim_start_matches('v')).ok_or_else(|| Error::Name {
                    what: "DOCKER_API_VERSION",
                    value: text.to_owned(),
                    message: "not a version".to_owned(),
                    hint: "write something like 1.44, or unset it".to_owned(),
                })?
            }
            None => client.negotiate()?,
        };
        let Version(major, minor) = client.version;
        client.base = format!("{}/v{major}.{minor}", client.base);
        Ok(client)
    }

    fn negotiate(&self) -> Result<Version> {
        let response = self.request(
            "be asked for its version",
            &Method::GET,
            "/_ping",
            Body::Empty,
        )?;
        Ok(response.version.unwrap_or(OLDEST).min(NEWEST))
    }

    /// What the engine says of itself.
    pub(super) fn info(&self) -> Result<Info> {
        self.get("be asked how it keeps images", "/info")
    }

    /// What the engine runs on.
    pub(super) fn platform(&self) -> Result<Platform> {
        let version: message::Version = self.get("be asked what it runs on", "/version")?;
        Ok(Platform {
            architecture: version.arch,
            os: version.os,
            variant: None,
        })
    }

    /// Every image, with the intermediate ones.
    pub(super) fn images(&self) -> Result<Vec<ImageSummary>> {
        let manifests = if self.version >= TELLS_BLOBS {
            "&manifests=1"
        } else {
            ""
        };
        self.get("list its images", &format!("/images/json?all=1{manifests}"))
    }

    /// An image by its name or ID; `None` if there is none.
    pub(super) fn inspect(&self, name: &str) -> Result<Option<ImageInspect>> {
        let operation = "be asked for an image";
        let path = format!("/images/{name}/json");
        let response = self.send(operation, &Method::GET, &path, Body::Empty)?;
        if response.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        self.check_status(operation, &response)?;
        self.parse(operation, &response).map(Some)
    }

    /// Gives the image `id` a name, which another image may have had.
    pub(super) fn tag(&self, id: Digest, repository: &str, tag: &str) -> Result<()> {
        let path = format!("/images/{id}/tag?repo={repository}&tag={tag}");
        self.request("name the image", &Method::POST, &path, Body::Empty)
            .map(|_| ())
    }

    /// Removes an image that has no name.
    pub(super) fn remove(&self, id: Digest) -> Result<()> {
        let path = format!("/images/{id}?noprune=1");
        self.request("remove an image", &Method::DELETE, &path, Body::Empty)
            .map(|_| ())
    }

    /// Loads an archive, whose end is that of `archive`.
    pub(super) fn load(&self, archive: &mut dyn Read) -> Result<()> {
        let operation = "load the image";
        let path = "/images/load?quiet=1";
        let response = self.request(operation, &Method::POST, path, Body::Archive(archive))?;
        match failure_of_load(&response.body) {
            None => Ok(()),
            Some(failure) => Err(self.refused(operation, &failure)),
        }
    }

    /// Writes the archive of the image `name`, as `docker save` does.
    pub(super) fn save(&self, name: &str, output: &mut dyn Write) -> Result<()> {
        let operation = format!("save the image {name}");
        self.context.check()?;
        let url = format!("{}/images/{name}/get", self.base);
        let saved = self.watched(|| -> Result<Saved, ureq::Error> {
            let uri: Uri = url.parse().map_err(ureq::http::Error::from)?;
            let request = Request::builder().uri(uri).method(Method::GET);
            let configured = self.agent.configure_request(request.body(())?);
            let request = configured
                .timeout_recv_response(Some(LOAD))
                .timeout_recv_body(Some(LOAD))
                .build();
            let (parts, mut body) = self.agent.run(request)?.into_parts();
            if !parts.status.is_success() {
                let mut bytes = Vec::new();
                let reader = body.as_reader();
                reader.take(LARGEST_RESPONSE).read_to_end(&mut bytes)?;
                return Ok(Saved::Refused(Response {
                    status: parts.status,
                    version: None,
                    body: bytes,
                }));
            }
            let copied = io::copy(&mut body.as_reader(), output);
            Ok(Saved::Written(copied.map(|_| ())))
        });
        match saved {
            Ok(Saved::Written(Ok(()))) => Ok(()),
            Ok(Saved::Written(Err(error))) => {
                self.context.check()?;
                Err(self.error(&operation, printable(&error.to_string()), ""))
            }
            Ok(Saved::Refused(response)) => self.check_status(&operation, &response),
            Err(error) => {
                self.context.check()?;
                Err(self.unreached(&operation, error))
            }
        }
    }

    fn get<T: DeserializeOwned>(&self, operation: &str, path: &str) -> Result<T> {
        let response = self.request(operation, &Method::GET, path, Body::Empty)?;
        self.parse(operation, &response)
    }

    fn parse<T: DeserializeOwned>(&self, operation: &str, response: &Response) -> Result<T> {
        serde_json::from_slice(&response.body).map_err(|error| {
            let message = format!("answered what Docker does not: {error}");
            self.error(operation, message, "is that a Docker engine?")
        })
    }

    /// Sends a request whose response is no error.
    fn request(
        &self,
        operation: &str,
        method: &Method,
        path: &str,
        body: Body<'_>,
    ) -> Result<Response> {
        let response = self.send(operation, method, path, body)?;
        self.check_status(operation, &response)?;
        Ok(response)
    }

    fn check_status(&self, operation: &str, response: &Response) -> Result<()> {
        if response.status.is_success() {
            return Ok(());
        }
        let reason = message(&response.body);
        let reason = if reason.is_empty() {
            response.status.to_string()
        } else {
            reason
        };
        Err(self.refused(operation, &reason))
    }

    /// Sends a request; the status of its response is the caller's to judge.
    fn send(
        &self,
        operation: &str,
        method: &Method,
        path: &str,
        body: Body<'_>,
    ) -> Result<Response> {
        self.context.check()?;
        let url = format!("{}{path}", self.base);
        let started = Instant::now();
        let result = self.watched(|| self.exchange(method, &url, body));
        let end = match &result {
            Ok(response) => response.status.as_u16().to_string(),
            Err(error) => error.to_string(),
        };
        let milliseconds = started.elapsed().as_millis();
        let text = format!(
            "{}: {method} {path}: {end} after {milliseconds} ms",
            self.host
        );
        self.context.progress.explain(Detail::Request, &text);
        result.map_err(|error| match self.context.check() {
            Err(interrupted) => interrupted,
            Ok(()) => self.unreached(operation, error),
        })
    }

    /// Runs a request, and ends its connection when the user wants to stop: an engine can take
    /// minutes to respond.
    fn watched<T>(&self, request: impl FnOnce() -> T) -> T {
        let (end, ended) = channel::<()>();
        thread::scope(|scope| {
            let (agent, context) = (self.agent.clone(), self.context);
            scope.spawn(move || {
                while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(POLL) {
                    if context.check().is_err() {
                        return agent.shutdown();
                    }
                }
            });
            let result = request();
            drop(end);
            result
        })
    }

    fn exchange(
        &self,
        method: &Method,
        url: &str,
        body: Body<'_>,
    ) -> Result<Response, ureq::Error> {
        let uri: Uri = url.parse().map_err(ureq::http::Error::from)?;
        let request = Request::builder().uri(uri).method(method);
        let response = match body {
            Body::Empty if *method == Method::POST => {
                self.run(request.body(SendBody::none())?, RESPONSE)
            }
            Body::Empty => self.run(request.body(())?, RESPONSE),
            Body::Archive(archive) => {
                let mut archive = UntilHangUp {
                    archive,
                    transport: &self.transport,
                };
                let request = request.header(CONTENT_TYPE, "application/x-tar");
                self.run(request.body(SendBody::from_reader(&mut archive))?, LOAD)
            }
        }?;
        let (parts, mut body) = response.into_parts();
        let mut bytes = Vec::new();
        body.as_reader()
            .take(LARGEST_RESPONSE)
            .read_to_end(&mut bytes)?;
        let version = parts.headers.get("api-version");
        Ok(Response {
            status: parts.status,
            version: version.and_then(|version| Version::parse(version.to_str().ok()?)),
            body: bytes,
        })
    }

    fn run(
        &self,
        request: Request<impl ureq::AsSendBody>,
        timeout: Duration,
    ) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
        let configured = self.agent.configure_request(request);
        let request = configured.timeout_recv_response(Some(timeout)).build();
        self.agent.run(request)
    }

    /// The engine said no.
    fn refused(&self, operation: &str, reason: &str) -> Error {
        let hint = [
            (
                "no space left",
                "free some space where the engine keeps images: docker system df",
            ),
            (
                "max depth exceeded",
                "the engine stacks no more layers: give the image fewer, with a smaller maxLayers",
            ),
            (
                "client version",
                "set DOCKER_API_VERSION to a version that the engine has",
            ),
            (
                "HTTP request to an HTTPS server",
                "the engine wants TLS: set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH",
            ),
        ];
        let hint = hint.iter().find(|(words, _)| reason.contains(words));
        self.error(
            operation,
            reason.to_owned(),
            hint.map_or("", |(_, hint)| hint),
        )
    }

    /// The engine could not be reached, or did not respond.
    fn unreached(&self, operation: &str, error: ureq::Error) -> Error {
        if let Some(stderr) = self.transport.ssh_stderr_text() {
            let hint = "try it by hand: ssh HOST docker system dial-stdio";
            return self.error(operation, format!("ssh: {}", printable(&stderr)), hint);
        }
        let (message, hint) = match error {
            ureq::Error::Io(error) => describe(&error),
            ureq::Error::Timeout(Timeout::Connect) => (
                "connection timed out".to_owned(),
                "check the engine's address",
            ),
            ureq::Error::Timeout(_) => (
                "no answer in time".to_owned(),
                "is the engine busy or stuck?",
            ),
            ureq::Error::HostNotFound => ("no such host".to_owned(), "check the engine's address"),
            ureq::Error::Protocol(_) => (
                "the answer is not HTTP".to_owned(),
                "is that a Docker engine? one that wants TLS needs DOCKER_TLS_VERIFY=1",
            ),
            other => (printable(&other.to_string()), ""),
        };
        self.error(operation, message, hint)
    }

    /// An error of the engine.
    pub(super) fn error(&self, operation: &str, message: String, hint: &str) -> Error {
        Error::Engine {
            operation: format!("Docker at {} cannot {operation}", self.host),
            message,
            hint: hint.to_owned(),
        }
    }
}

/// What the operating system or TLS said, and the way out.
fn describe(error: &io::Error) -> (String, &'static str) {
    let hint = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            "start Docker (systemctl start docker), or say where it is with --dest-daemon-host or DOCKER_HOST"
        }
        io::ErrorKind::PermissionDenied => {
            "become a member of the group docker (usermod -aG docker USER, then log in again), or do it as root"
        }
        io::ErrorKind::InvalidData => {
            "certificates are those that DOCKER_CERT_PATH or the context has; is the address the one in the engine's own?"
        }
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
            "the engine hung up; its log may tell why"
        }
        _ => "check the engine's address",
    };
    (printable(&error.to_string()), hint)
}

/// An archive that ends when the engine does not read any more, so that its response is read.
struct UntilHangUp<'r> {
    archive: &'r mut dyn Read,
    transport: &'r Transport,
}

impl Read for UntilHangUp<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.transport.is_hung_up() {
            return Ok(0);
        }
        self.archive.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers() {
        assert_eq!(Version::parse("1.41"), Some(Version(1, 41)));
        assert!(Version(1, 9) < Version(1, 41));
        for text in ["", "1", "1.x", "1.41/..", "1.41.2"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }
}
