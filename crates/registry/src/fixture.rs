//! For unit tests: a server that answers what it is told.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::ask::Ask;
use crate::auth::Purpose;
use crate::client::Client;
use crate::options::{Options, Retry};
use strata_error::Result;
use strata_oci::Reference;
use strata_progress::Context;

/// The head of a request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The path and the query.
    pub(crate) target: String,
    /// The lines of the headers.
    headers: Vec<String>,
}

impl Request {
    /// The value of a header, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut headers = self.headers.iter().filter_map(|line| line.split_once(':'));
        headers
            .find(|(other, _)| other.eq_ignore_ascii_case(name))
            .map_or("", |(_, value)| value.trim())
    }
}

/// What a client asks first.
pub(crate) const GREETING: &str = "/v2/name/manifests/greeting";

type Handler = dyn Fn(&Request) -> Vec<u8> + Send + Sync;

/// A server whose threads end with the test's process.
pub(crate) struct Server {
    /// `127.0.0.1:PORT`.
    pub(crate) host: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Starts one that answers requests without bodies: the status with its reason, headers and body.
    /// In what it answers, `HOST` is its own name. It hangs up after each response.
    pub(crate) fn start(handler: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, handler): (_, Arc<Handler>) = (Arc::clone(&requests), Arc::new(handler));
        let own = host.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, handler, own) = (seen.clone(), handler.clone(), own.clone());
                thread::spawn(move || serve(&stream, &seen, &*handler, &own));
            }
        });
        Self { host, requests }
    }

    /// The requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// A client that is connected to it, for the repository `name`.
    pub(crate) fn client(&self, purpose: Purpose) -> Client {
        self.client_that_tries(1, purpose)
    }

    /// The same, but it tries so often what may pass.
    pub(crate) fn client_that_tries(&self, tries: u32, purpose: Purpose) -> Client {
        self.connect(tries, purpose).unwrap()
    }

    /// The same, if it can be connected.
    pub(crate) fn connect(&self, tries: u32, purpose: Purpose) -> Result<Client> {
        greet(self.stranger(tries, purpose)?)
    }

    /// A client that has asked nothing yet.
    pub(crate) fn stranger(&self, tries: u32, purpose: Purpose) -> Result<Client> {
        let reference = Reference::parse(&format!("{}/name", self.host)).unwrap();
        let retry = Retry {
            tries,
            first_pause: Duration::from_millis(1),
            ..Retry::default()
        };
        let options = Options {
            anonymous: true,
            retry,
            ..Options::default()
        };
        Client::new(&reference, purpose, &options, Context::silent())
    }
}

/// The client, connected.
pub(crate) fn greet(client: Client) -> Result<Client> {
    client.connect(
        Ask::manifest("greeting", &[]),
        Vec::new(),
        Context::silent(),
    )
}

fn serve(
    mut stream: &TcpStream,
    seen: &Mutex<Vec<Request>>,
    handler: &Handler,
    host: &str,
) -> Option<()> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next()?.ok()?;
    let target = first.split_whitespace().nth(1)?.to_owned();
    let headers = lines.map_while(Result::ok);
    let headers = headers.take_while(|line| !line.is_empty()).collect();
    let request = Request { target, headers };
    seen.lock().unwrap().push(request.clone());
    let response = handler(&request);
    // Else the client sends its next request to where nobody listens any more.
    let own = String::from_utf8_lossy(&response)
        .replace("HOST", host)
        .replacen("\r\n", "\r\nconnection: close\r\n", 1);
    stream.write_all(b"HTTP/1.1 ").ok()?;
    stream.write_all(own.as_bytes()).ok()
}
