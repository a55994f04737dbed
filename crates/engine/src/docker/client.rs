//! Requests to an engine's API, over whatever connection leads there.

use std::io::{self, Read};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use serde::de::DeserializeOwned;
use ureq::http::header::CONTENT_TYPE;
use ureq::http::{Request, StatusCode, Uri};
use ureq::{Agent, SendBody, Timeout};

use super::endpoint::{Address, Endpoint};
use super::message::{self, Info, Inspected, Listed, failure_of_load, message};
use super::tls;
use strata_error::{Error, Result, printable};
use strata_http::{Route, Transport};
use strata_oci::{Digest, Platform};
use strata_progress::Context;

/// The newest version of the API that this was written for.
const NEWEST: Version = Version(1, 51);
/// The version of an engine that does not say which it has.
const OLDEST: Version = Version(1, 24);
/// The first version whose lists say which blobs are there.
const TELLS_BLOBS: Version = Version(1, 47);

/// For a connection.
const CONNECT: Duration = Duration::from_secs(30);
/// For the answer to a question.
const ANSWER: Duration = Duration::from_mins(1);
/// For each piece of an archive that the engine does not take.
const WRITE: Duration = Duration::from_mins(5);
/// For the answer to a load: the engine unpacks the layers before it says anything.
const LOAD: Duration = Duration::from_hours(1);
/// How often to look whether the user wants to stop.
const LOOK: Duration = Duration::from_millis(100);

/// The most bytes of an answer: a list of very many images.
const LARGEST_ANSWER: u64 = 64 << 20;

/// A version of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32, u32);

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        Some(Self(major.parse().ok()?, minor.parse().ok()?))
    }
}

/// An engine that answers.
pub(super) struct Client<'a> {
    agent: Agent,
    /// How the engine is called in messages.
    host: &'a str,
    /// The beginning of every address.
    base: String,
    version: Version,
    transport: Transport,
    context: Context<'a>,
}

struct Answer {
    status: StatusCode,
    /// What the engine says of itself: the header `Api-Version`.
    version: Option<Version>,
    body: Vec<u8>,
}

/// The verbs that are needed.
enum Ask<'r> {
    Get,
    Post,
    Delete,
    Upload(&'r mut dyn Read),
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
        // An engine that refuses an archive answers in its middle.
        let transport = Transport::new(route, tls).reading_after_hang_up();
        let config = strata_http::config()
            .timeout_connect(Some(CONNECT))
            .timeout_resolve(Some(CONNECT))
            .timeout_send_request(Some(ANSWER))
            .timeout_recv_body(Some(ANSWER))
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
        let answer = self.ask("be asked for its version", Ask::Get, "/_ping")?;
        Ok(answer.version.unwrap_or(OLDEST).min(NEWEST))
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
    pub(super) fn images(&self) -> Result<Vec<Listed>> {
        let manifests = if self.version >= TELLS_BLOBS {
            "&manifests=1"
        } else {
            ""
        };
        self.get("list its images", &format!("/images/json?all=1{manifests}"))
    }

    /// An image by its name or ID; `None` if there is none.
    pub(super) fn inspect(&self, name: &str) -> Result<Option<Inspected>> {
        let operation = "be asked for an image";
        let answer = self.ask_any(operation, Ask::Get, &format!("/images/{name}/json"))?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        self.accept(operation, &answer)?;
        self.parse(operation, &answer).map(Some)
    }

    /// Gives the image `id` a name, which another image may have had.
    pub(super) fn tag(&self, id: Digest, repository: &str, tag: &str) -> Result<()> {
        let path = format!("/images/{id}/tag?repo={repository}&tag={tag}");
        self.ask("name the image", Ask::Post, &path).map(|_| ())
    }

    /// Removes an image that has no name.
    pub(super) fn remove(&self, id: Digest) -> Result<()> {
        let path = format!("/images/{id}?noprune=1");
        self.ask("remove an image", Ask::Delete, &path).map(|_| ())
    }

    /// Loads an archive, whose end is that of `archive`.
    pub(super) fn load(&self, archive: &mut dyn Read) -> Result<()> {
        let operation = "load the image";
        let answer = self.ask(operation, Ask::Upload(archive), "/images/load?quiet=1")?;
        match failure_of_load(&answer.body) {
            None => Ok(()),
            Some(failure) => Err(self.refused(operation, &failure)),
        }
    }

    fn get<T: DeserializeOwned>(&self, operation: &str, path: &str) -> Result<T> {
        let answer = self.ask(operation, Ask::Get, path)?;
        self.parse(operation, &answer)
    }

    fn parse<T: DeserializeOwned>(&self, operation: &str, answer: &Answer) -> Result<T> {
        serde_json::from_slice(&answer.body).map_err(|error| {
            let message = format!("answered what Docker does not: {error}");
            self.error(operation, message, "is that a Docker engine?")
        })
    }

    /// An answer that is not an error.
    fn ask(&self, operation: &str, ask: Ask<'_>, path: &str) -> Result<Answer> {
        let answer = self.ask_any(operation, ask, path)?;
        self.accept(operation, &answer)?;
        Ok(answer)
    }

    fn accept(&self, operation: &str, answer: &Answer) -> Result<()> {
        if answer.status.is_success() {
            return Ok(());
        }
        let said = message(&answer.body);
        let said = if said.is_empty() {
            answer.status.to_string()
        } else {
            said
        };
        Err(self.refused(operation, &said))
    }

    /// An answer, whatever it is.
    fn ask_any(&self, operation: &str, ask: Ask<'_>, path: &str) -> Result<Answer> {
        self.context.check()?;
        let result = self.watched(|| self.exchange(ask, &format!("{}{path}", self.base)));
        result.map_err(|error| match self.context.check() {
            Err(interrupted) => interrupted,
            Ok(()) => self.unreached(operation, error),
        })
    }

    /// Runs a request, and ends its connection when the user wants to stop: an engine can take
    /// minutes to answer.
    fn watched<T>(&self, request: impl FnOnce() -> T) -> T {
        let (end, ended) = channel::<()>();
        thread::scope(|scope| {
            let (agent, context) = (self.agent.clone(), self.context);
            scope.spawn(move || {
                while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(LOOK) {
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

    fn exchange(&self, ask: Ask<'_>, address: &str) -> Result<Answer, ureq::Error> {
        let uri: Uri = address.parse().map_err(ureq::http::Error::from)?;
        let request = Request::builder().uri(uri);
        let response = match ask {
            Ask::Get => self.run(request.method("GET").body(())?, ANSWER),
            Ask::Post => self.run(request.method("POST").body(SendBody::none())?, ANSWER),
            Ask::Delete => self.run(request.method("DELETE").body(())?, ANSWER),
            Ask::Upload(archive) => {
                let mut archive = UntilHangUp {
                    archive,
                    transport: &self.transport,
                };
                let request = request
                    .method("POST")
                    .header(CONTENT_TYPE, "application/x-tar");
                self.run(request.body(SendBody::from_reader(&mut archive))?, LOAD)
            }
        }?;
        let (parts, mut body) = response.into_parts();
        let mut bytes = Vec::new();
        body.as_reader()
            .take(LARGEST_ANSWER)
            .read_to_end(&mut bytes)?;
        let version = parts.headers.get("api-version");
        Ok(Answer {
            status: parts.status,
            version: version.and_then(|version| Version::parse(version.to_str().ok()?)),
            body: bytes,
        })
    }

    fn run(
        &self,
        request: Request<impl ureq::AsSendBody>,
        answer: Duration,
    ) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
        let configured = self.agent.configure_request(request);
        let request = configured.timeout_recv_response(Some(answer)).build();
        self.agent.run(request)
    }

    /// The engine said no.
    fn refused(&self, operation: &str, said: &str) -> Error {
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
        let hint = hint.iter().find(|(words, _)| said.contains(words));
        self.error(
            operation,
            said.to_owned(),
            hint.map_or("", |(_, hint)| hint),
        )
    }

    /// The engine could not be asked, or did not answer.
    fn unreached(&self, operation: &str, error: ureq::Error) -> Error {
        if let Some(stderr) = self.transport.ssh_stderr() {
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

/// An archive that ends when the engine does not listen any more, so that its answer is read.
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
