//! One client: request after request, until one of both has enough.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::ops::Range;
use std::time::{Duration, Instant};

use ::http::StatusCode;

use super::api::{Answer, Body, answer};
use super::catalog::Catalog;
use super::http::{self, LONGEST_HEAD, Method, Refusal, Request};
use super::listener::{Clients, Limits, Observer};
use super::window::Window;
use strata_copy::Blob;
use strata_error::Error;

/// How a client begins that speaks TLS (RFC 8446, section 5.1: a handshake record).
const TLS_HANDSHAKE: u8 = 0x16;
/// Such clients take any answer of HTTP for a reason to go on without TLS.
const NO_TLS: &[u8] = b"HTTP/1.0 400 Bad Request\r\nConnection: close\r\n\r\n\
                        this registry speaks http, not https\n";
/// How long to listen to a client to which everything was said, so that it gets to read that.
const FAREWELL: Duration = Duration::from_secs(2);

/// What a connection works with.
pub(super) struct Connection<'s> {
    pub(super) stream: &'s TcpStream,
    pub(super) catalog: &'s Catalog<'s>,
    pub(super) observer: Observer<'s>,
    pub(super) limits: Limits,
    /// Who else is there, and whether the server ends.
    pub(super) clients: &'s Clients,
    /// Which of them this is.
    pub(super) number: u64,
}

/// What a client sent.
enum Heard {
    Request(Request),
    Refused(Refusal),
    Tls,
    /// Nothing more, or too slowly.
    Nothing,
}

impl Connection<'_> {
    /// Answers requests until the connection ends. What fails, fails because of the client.
    pub(super) fn run(&self) {
        let _ = self.stream.set_nodelay(true);
        let _ = self.stream.set_write_timeout(Some(self.limits.stall));
        let mut buffer = Vec::new();
        loop {
            self.clients.waits(self.number, Some(Instant::now()));
            let heard = self.hear(&mut buffer);
            self.clients.waits(self.number, None);
            match heard {
                Heard::Nothing => return,
                Heard::Tls => {
                    let mut stream = self.stream;
                    let _ = stream.write_all(NO_TLS);
                    return self.part();
                }
                Heard::Refused(refusal) => {
                    let _ = self.say(Answer::from(refusal), Method::Get, false);
                    return self.part();
                }
                Heard::Request(request) => {
                    let answer = answer(self.catalog, &request);
                    if self
                        .say(answer, request.method, request.keep_alive)
                        .is_err()
                    {
                        // Half an answer must not look like a whole one.
                        let _ = self.stream.shutdown(Shutdown::Both);
                        return;
                    }
                    if !request.keep_alive {
                        return self.part();
                    }
                }
            }
        }
    }

    /// Reads the head of the next request. What follows it stays in `buffer`.
    fn hear(&self, buffer: &mut Vec<u8>) -> Heard {
        // Between two requests a client may take its time, in the middle of one it may not.
        let mut end = Instant::now() + self.limits.idle;
        let mut has_begun = false;
        loop {
            if !buffer.is_empty() && !has_begun {
                has_begun = true;
                end = Instant::now() + self.limits.head;
            }
            if buffer.first() == Some(&TLS_HANDSHAKE) {
                return Heard::Tls;
            }
            match Request::parse(buffer) {
                Ok(Some((request, length))) => {
                    buffer.drain(..length);
                    return Heard::Request(request);
                }
                Ok(None) => {}
                Err(refusal) => return Heard::Refused(refusal),
            }
            match self.read_until(end, LONGEST_HEAD - buffer.len().min(LONGEST_HEAD), buffer) {
                Ok(1..) => {}
                Err(error) if is_timeout(&error) && has_begun => {
                    return Heard::Refused(Refusal {
                        status: StatusCode::REQUEST_TIMEOUT,
                        message: "the request did not come in time",
                    });
                }
                Ok(0) | Err(_) => return Heard::Nothing,
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

    fn say(&self, answer: Answer<'_>, method: Method, keep_alive: bool) -> io::Result<()> {
        let Answer {
            status,
            mut fields,
            body,
        } = answer;
        if status != StatusCode::NOT_MODIFIED {
            fields.push(("Content-Length", body.length().to_string()));
        }
        if !keep_alive {
            fields.push(("Connection", "close".to_owned()));
        }
        let mut message = http::head(status, &fields);
        let mut stream = self.stream;
        match body {
            _ if method == Method::Head => stream.write_all(&message),
            Body::Bytes(bytes) => {
                message.extend(bytes);
                stream.write_all(&message)
            }
            Body::Blob(blob, part) => {
                stream.write_all(&message)?;
                self.send(&blob, &part)
            }
        }
    }

    /// Makes a blob and sends a part of it.
    fn send(&self, blob: &Blob<'_>, part: &Range<u64>) -> io::Result<()> {
        let is_stopping = || self.clients.is_stopping();
        let check = || {
            if is_stopping() {
                return Err(io::Error::other("the server ends"));
            }
            Ok(())
        };
        let mut window = Window::new(self.stream, part, check);
        match blob.write_to(&mut window, self.observer.context) {
            Ok(()) => window.finish(),
            // It refused more than was asked for.
            Err(_) if window.is_full() && part.end < blob.descriptor().size => window.finish(),
            Err(_) if window.is_broken() => Err(io::ErrorKind::BrokenPipe.into()),
            Err(error) => {
                if !is_stopping() && !matches!(error, Error::Interrupted) {
                    (self.observer.failed)(error);
                }
                Err(io::Error::other("the blob could not be made"))
            }
        }
    }

    /// Says goodbye. Who closes while there is something to read takes back what it said last.
    fn part(&self) {
        if self.stream.shutdown(Shutdown::Write).is_err() {
            return;
        }
        let end = Instant::now() + FAREWELL;
        let mut unheard = Vec::new();
        while unheard.len() < LONGEST_HEAD {
            if !matches!(self.read_until(end, LONGEST_HEAD, &mut unheard), Ok(1..)) {
                return;
            }
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    // Which of both depends on the system.
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}
