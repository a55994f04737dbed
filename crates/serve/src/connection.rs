//! The connection of one client: request after request, until one of both ends it.

use std::fs::File;
use std::io::{self, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use rustix::net::sockopt::set_socket_keepalive;

use crate::api::respond;
use crate::clients::Clients;
use crate::contents::{Answered, Content, Contents};
use crate::limits::Limits;
use crate::observer::Observer;
use crate::request::{LONGEST_HEAD, Refusal, Request};
use crate::response::{Body, Parts, Response, head};
use crate::sending::{Sending, Transport, Window, is_timeout};
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
    pub(crate) transport: Transport<'s>,
    pub(crate) contents: &'s dyn Contents,
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

impl<'s> Connection<'s> {
    /// Responds to requests until the connection ends. What fails, fails because of the client.
    pub(crate) fn run(&self) {
        let _ = self.transport.stream().set_nodelay(true);
        // What is between may forget a connection on which nothing is said while an image is built.
        let _ = set_socket_keepalive(self.transport.stream(), true);
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
                    if self.answer(&request).is_err() {
                        // Half a response must not look like a whole one.
                        let _ = self.transport.stream().shutdown(Shutdown::Both);
                        return;
                    }
                    if !request.keep_alive || self.clients.is_closing() {
                        return self.linger();
                    }
                }
            }
        }
    }

    /// Answers a request, and tells who wants to know.
    fn answer(&self, request: &Request) -> io::Result<()> {
        let started = Instant::now();
        let response = respond(self.contents, request);
        let status = response.status;
        let bytes = match request.method {
            Method::HEAD => 0,
            _ => response.body.length(),
        };
        let keep_alive = request.keep_alive && !self.clients.is_closing();
        let written = self.write_response(response, &request.method, keep_alive);
        let time = started.elapsed();
        let (method, path) = (&request.method, &request.path);
        self.contents.answered(&Answered {
            method: method.as_str(),
            path,
            status: status.as_u16(),
            bytes,
            is_whole: written.is_ok(),
            time,
        });
        let milliseconds = time.as_millis();
        let text = format!("{method} {path}: {status} after {milliseconds} ms");
        let progress = self.observer.context.progress;
        progress.explain(Detail::Request, &text);
        written
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
            if buffer.first() == Some(&TLS_HANDSHAKE) && !self.transport.is_encrypted() {
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
        self.transport.stream().set_read_timeout(Some(left))?;
        let mut piece = [0; 4096];
        let most = most.min(piece.len());
        let count = self.transport.read(&mut piece[..most])?;
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
            _ if method == Method::HEAD => stream.write_all(&message)?,
            Body::Bytes(bytes) => {
                message.extend(bytes);
                stream.write_all(&message)?;
            }
            Body::Content(content, parts) => {
                stream.write_all(&message)?;
                match content.as_ref() {
                    Content::Blob(blob) => self.send_made(blob, parts)?,
                    Content::Layer(layer) => self.send_made(&Blob::Layer(layer.as_ref()), parts)?,
                    Content::Document(_, bytes) => self.send_bytes(bytes, &parts)?,
                    Content::File(_, file) => self.send_file(file, &parts)?,
                }
            }
        }
        stream.flush()
    }

    fn writer(&self) -> Sending<'_, 's> {
        Sending::new(&self.transport, self.clients, self.number, &self.limits)
    }

    /// Sends parts of what is in memory.
    fn send_bytes(&self, bytes: &[u8], Parts { parts, after }: &Parts) -> io::Result<()> {
        let mut stream = self.writer();
        for (before, part) in parts {
            let at = |place: u64| usize::try_from(place).unwrap_or(usize::MAX);
            let part = bytes.get(at(part.start)..at(part.end));
            stream.write_all(before)?;
            stream.write_all(part.ok_or(io::ErrorKind::UnexpectedEof)?)?;
        }
        stream.write_all(after)
    }

    /// Sends parts of a file.
    fn send_file(&self, file: &File, Parts { parts, after }: &Parts) -> io::Result<()> {
        let mut stream = self.writer();
        for (before, part) in parts {
            stream.write_all(before)?;
            stream.write_file(file, part.clone())?;
        }
        stream.write_all(after)
    }

    /// Makes a blob, once, and sends parts of it.
    fn send_made(&self, blob: &Blob<'_>, parts: Parts) -> io::Result<()> {
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
        if self.transport.close().is_err() {
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
