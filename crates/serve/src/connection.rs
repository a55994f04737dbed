//! The connection of one client: request after request, until one of both ends it.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use http::{Method, StatusCode};

use crate::api::respond;
use crate::catalog::Catalog;
use crate::clients::Clients;
use crate::limits::Limits;
use crate::observer::Observer;
use crate::request::{LONGEST_HEAD, Refusal, Request};
use crate::response::{Body, Parts, Response, head};
use crate::sending::{Sending, is_timeout};
use crate::window::Window;
use strata_copy::Blob;
use strata_error::Error;
use strata_progress::Detail;

/// How a client begins that speaks TLS (RFC 8446, section 5.1: a handshake record).
const TLS_HANDSHAKE: u8 = 0x16;
/// Such clients take any response of HTTP for a reason to go on without TLS.
const NO_TLS: &[u8] = b"HTTP/1.0 400 Bad Request\r\nConnection: close\r\n\r\n\
                        this registry speaks http, not https\n";
/// How long to read from a client after the last response, so that it gets to read that.
const LINGER: Duration = Duration::from_secs(2);

/// What a connection works with.
pub(crate) struct Connection<'s> {
    pub(crate) stream: &'s TcpStream,
    pub(crate) catalog: &'s Catalog<'s>,
    pub(crate) observer: Observer<'s>,
    pub(crate) limits: Limits,
    /// Who else is there, and whether the server ends.
    pub(crate) clients: &'s Clients,
    /// Which of them this is.
    pub(crate) number: u64,
}

/// What a client sent.
enum Received {
    Request(Request),
    Refused(Refusal),
    Tls,
    /// Nothing more, or too slowly.
    Nothing,
}

impl Connection<'_> {
    /// Responds to requests until the connection ends. What fails, fails because of the client.
    pub(crate) fn run(&self) {
        let _ = self.stream.set_nodelay(true);
        let mut buffer = Vec::new();
        loop {
            self.clients.waits(self.number, Some(Instant::now()));
            let received = self.read_request(&mut buffer);
            self.clients.waits(self.number, None);
            match received {
                Received::Nothing => return,
                Received::Tls => {
                    let _ = self.writer().write_all(NO_TLS);
                    return self.linger();
                }
                Received::Refused(refusal) => {
                    let _ = self.write_response(Response::from(refusal), &Method::GET, false);
                    return self.linger();
                }
                Received::Request(request) => {
                    let response = respond(self.catalog, &request);
                    let (status, started) = (response.status, Instant::now());
                    if self
                        .write_response(response, &request.method, request.keep_alive)
                        .is_err()
                    {
                        // Half a response must not look like a whole one.
                        let _ = self.stream.shutdown(Shutdown::Both);
                        return;
                    }
                    let milliseconds = started.elapsed().as_millis();
                    let (method, target) = (&request.method, &request.path);
                    let text = format!("{method} {target}: {status} after {milliseconds} ms");
                    let progress = self.observer.context.progress;
                    progress.explain(Detail::Request, &text);
                    if !request.keep_alive {
                        return self.linger();
                    }
                }
            }
        }
    }

    /// Reads the head of the next request. What follows it stays in `buffer`.
    fn read_request(&self, buffer: &mut Vec<u8>) -> Received {
        // Between two requests a client may take its time, in the middle of one it may not.
        let mut end = Instant::now() + self.limits.idle;
        let mut has_begun = false;
        loop {
            if !buffer.is_empty() && !has_begun {
                has_begun = true;
                end = Instant::now() + self.limits.head;
            }
            if buffer.first() == Some(&TLS_HANDSHAKE) {
                return Received::Tls;
            }
            match Request::parse(buffer) {
                Ok(Some((request, length))) => {
                    buffer.drain(..length);
                    return Received::Request(request);
                }
                Ok(None) => {}
                Err(refusal) => return Received::Refused(refusal),
            }
            match self.read_until(end, LONGEST_HEAD - buffer.len().min(LONGEST_HEAD), buffer) {
                Ok(1..) => {}
                Err(error) if is_timeout(&error) && has_begun => {
                    return Received::Refused(Refusal {
                        status: StatusCode::REQUEST_TIMEOUT,
                        message: "the request did not come in time",
                    });
                }
                Ok(0) | Err(_) => return Received::Nothing,
            }
        }
    }

    /// Reads once, at most `most` bytes, and no longer than until `end`.
    fn read_until(&self, end: Instant, most: usize, buffer: &mut Vec<u8>) -> io::Result<usize> {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        let mut piece = [0; 4096];
        let most = most.min(piece.len());
        let mut stream = self.stream;
        let count = stream.read(&mut piece[..most])?;
        buffer.extend_from_slice(&piece[..count]);
        Ok(count)
    }

    fn write_response(
        &self,
        response: Response<'_>,
        method: &Method,
        keep_alive: bool,
    ) -> io::Result<()> {
        let Response {
            status,
            mut headers,
            body,
        } = response;
        if status != StatusCode::NOT_MODIFIED {
            headers.push(("Content-Length", body.length().to_string()));
        }
        if !keep_alive {
            headers.push(("Connection", "close".to_owned()));
        }
        let mut message = head(status, &headers);
        let mut stream = self.writer();
        match body {
            _ if method == Method::HEAD => stream.write_all(&message),
            Body::Bytes(bytes) => {
                message.extend(bytes);
                stream.write_all(&message)
            }
            Body::Blob(blob, parts) => {
                stream.write_all(&message)?;
                self.send(&blob, parts)
            }
        }
    }

    fn writer(&self) -> Sending<'_> {
        Sending::new(self.stream, self.clients, self.number, &self.limits)
    }

    /// Makes a blob, once, and sends parts of it.
    fn send(&self, blob: &Blob<'_>, parts: Parts) -> io::Result<()> {
        let is_stopping = || self.clients.is_stopping();
        let check = || {
            if is_stopping() {
                return Err(io::Error::other("the server ends"));
            }
            Ok(())
        };
        let end = parts.end();
        let mut window = Window::new(self.writer(), parts, check);
        match blob.write_to(&mut window, self.observer.context) {
            Ok(()) => window.finish(),
            // It refused more than was asked for.
            Err(_) if window.is_full() && end < blob.descriptor().size => window.finish(),
            Err(_) if window.is_broken() => Err(io::ErrorKind::BrokenPipe.into()),
            Err(error) => {
                if !is_stopping() && !matches!(error, Error::Interrupted) {
                    (self.observer.failed)(error);
                }
                Err(io::Error::other("the blob could not be made"))
            }
        }
    }

    /// Closes the connection when the client did, or has had time to read the last response: who closes
    /// while there is something to read takes that back.
    fn linger(&self) {
        if self.stream.shutdown(Shutdown::Write).is_err() {
            return;
        }
        let end = Instant::now() + LINGER;
        let mut ignored = Vec::new();
        while ignored.len() < LONGEST_HEAD {
            if !matches!(self.read_until(end, LONGEST_HEAD, &mut ignored), Ok(1..)) {
                return;
            }
        }
    }
}
