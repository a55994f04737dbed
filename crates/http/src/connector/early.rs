//! Servers that answer before they have the whole request: in place of `100 Continue`, or in the middle of a
//! body (RFC 9110, sections 9.3 and 10.1.1).
//!
//! `ureq` waits for more where such a response is the first of its connection and has come whole, and does
//! not listen while it sends. Here the response is read before it is asked for, and ends the request as an
//! error that [`early_response`] makes a response again.

use std::time::{Duration, Instant};

use ureq::http::{self, HeaderName, HeaderValue, StatusCode};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, NextTimeout, Transport, time,
};
use ureq::{Body, Error, Timeout};

/// The most bytes of a response's head, and the most headers.
const LARGEST_HEAD: usize = 64 << 10;
const MOST_HEADERS: usize = 128;
/// The most bytes of a response's body that are kept, and how long it is waited for.
const LARGEST_BODY: usize = 64 << 10;
const BODY_WAIT: Duration = Duration::from_secs(1);
/// How long to wait for the rest of a response that has begun, where nothing else limits it.
const HEAD_WAIT: Duration = Duration::from_mins(1);

/// A response that came before the request was sent.
#[derive(Debug, thiserror::Error)]
#[error("a response that came early")]
struct EarlyResponse {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Vec<u8>,
}

/// The response that is in an error, if it came early.
///
/// # Errors
///
/// Gives back what is another error.
pub fn early_response(error: Error) -> Result<http::Response<Body>, Error> {
    let early = match error {
        Error::Other(other) => other.downcast::<EarlyResponse>().map_err(Error::Other)?,
        other => return Err(other),
    };
    let mut response = http::Response::new(Body::builder().data(early.body));
    *response.status_mut() = early.status;
    for (name, value) in early.headers {
        response.headers_mut().append(name, value);
    }
    Ok(response)
}

/// Hears responses that come early, where it is wanted.
#[derive(Debug)]
pub(crate) struct EarlyResponseConnector {
    pub(crate) is_wanted: bool,
}

impl<In: Transport> Connector<In> for EarlyResponseConnector {
    type Out = Either<In, EarlyResponseTransport<In>>;

    fn connect(
        &self,
        _: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        Ok(chained.map(|transport| {
            if !self.is_wanted {
                return Either::A(transport);
            }
            Either::B(EarlyResponseTransport {
                transport,
                is_sending: false,
                is_unseen: false,
            })
        }))
    }
}

/// A connection on which responses that come early are heard.
#[derive(Debug)]
pub(crate) struct EarlyResponseTransport<T> {
    transport: T,
    /// Whether a part of a request is sent and no response was waited for since.
    is_sending: bool,
    /// Whether there is input that was read while sending, and that nobody was told of.
    is_unseen: bool,
}

/// What a server said so far.
enum Heard {
    /// Nothing, or not enough to know.
    Nothing,
    /// That it wants the body.
    Continue,
    /// What is no HTTP, or not for us to understand.
    Other,
}

impl<T: Transport> EarlyResponseTransport<T> {
    /// Looks, without waiting, whether there is a response.
    fn look(&mut self) -> Result<(), Error> {
        let now = NextTimeout {
            after: time::Duration::from_millis(0),
            reason: Timeout::PerRead,
            per_read: None,
            per_write: None,
        };
        // What is wrong with the connection, the next to use it will hear.
        if let Ok(true) = self.transport.await_input(now) {
            self.is_unseen = true;
            self.hear(true)?;
        }
        Ok(())
    }

    /// Waits for what a server says that was asked to agree to a body. Timing out means to send it.
    fn await_consent(&mut self, mut timeout: NextTimeout) -> Result<bool, Error> {
        let end = Instant::now() + *timeout.after;
        loop {
            match self.transport.await_input(timeout) {
                Ok(true) => match self.hear(false)? {
                    Heard::Continue => return Err(Error::Timeout(Timeout::Await100)),
                    Heard::Other => return Ok(true),
                    Heard::Nothing => {}
                },
                Ok(false) => {
                    let kind = std::io::ErrorKind::UnexpectedEof;
                    return Err(Error::Io(kind.into()));
                }
                // One that has begun to answer is not silent.
                Err(Error::Timeout(Timeout::Await100))
                    if !self.transport.buffers().input().is_empty() =>
                {
                    timeout.reason = Timeout::PerRead;
                    timeout.after = timeout.per_read.unwrap_or(from(HEAD_WAIT));
                    continue;
                }
                Err(error) => return Err(error),
            }
            if timeout.reason == Timeout::Await100 {
                timeout.after = from(end.saturating_duration_since(Instant::now()));
            }
        }
    }

    /// Understands what is there. What is to be followed by more is consumed; a response ends the
    /// request, but for a good one that comes `during` the body: it may mean what it has not got yet.
    fn hear(&mut self, during: bool) -> Result<Heard, Error> {
        loop {
            let input = self.transport.buffers().input();
            let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
            let mut head = httparse::Response::new(&mut headers);
            let length = match head.parse(input) {
                Ok(httparse::Status::Complete(length)) => length,
                Ok(httparse::Status::Partial) if input.len() <= LARGEST_HEAD => {
                    return Ok(Heard::Nothing);
                }
                Ok(httparse::Status::Partial) => {
                    return Err(Error::LargeResponseHeader(input.len(), LARGEST_HEAD));
                }
                Err(_) => return Ok(Heard::Other),
            };
            let Some(status) = head.code.and_then(|code| StatusCode::from_u16(code).ok()) else {
                return Ok(Heard::Other);
            };
            if status == StatusCode::SWITCHING_PROTOCOLS || during && status.is_success() {
                return Ok(Heard::Other);
            }
            if !status.is_informational() {
                let headers = head.headers.iter().filter_map(|header| {
                    let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
                    Some((name, HeaderValue::from_bytes(header.value).ok()?))
                });
                let headers: Vec<_> = headers.collect();
                self.transport.buffers().input_consume(length);
                let body = self.body(&headers);
                let response = EarlyResponse {
                    status,
                    headers,
                    body,
                };
                return Err(Error::Other(Box::new(response)));
            }
            self.transport.buffers().input_consume(length);
            if status == StatusCode::CONTINUE && !during {
                return Ok(Heard::Continue);
            }
        }
    }

    /// The body of a response, as far as it comes soon.
    fn body(&mut self, headers: &[(HeaderName, HeaderValue)]) -> Vec<u8> {
        let value = |wanted: HeaderName| {
            let mut found = headers.iter().filter(|(name, _)| *name == wanted);
            found.find_map(|(_, value)| value.to_str().ok())
        };
        let is_chunked = value(http::header::TRANSFER_ENCODING)
            .is_some_and(|encoding| encoding.eq_ignore_ascii_case("chunked"));
        let length = value(http::header::CONTENT_LENGTH)
            .and_then(|length| length.parse().ok())
            .filter(|_| !is_chunked)
            .unwrap_or(usize::MAX);
        let most = length.min(LARGEST_BODY);
        let end = Instant::now() + BODY_WAIT;
        let mut received = Vec::new();
        loop {
            let buffers = self.transport.buffers();
            let input = buffers.input();
            received.extend_from_slice(input);
            let amount = input.len();
            buffers.input_consume(amount);
            let chunks = is_chunked.then(|| unchunk(&received));
            let is_whole = match &chunks {
                Some((_, is_whole)) => *is_whole,
                None => received.len() >= most,
            };
            let left = end.saturating_duration_since(Instant::now());
            let timeout = NextTimeout {
                after: from(left),
                reason: Timeout::PerRead,
                per_read: None,
                per_write: None,
            };
            let ends = is_whole || received.len() >= LARGEST_BODY || left.is_zero();
            if ends || !matches!(self.transport.await_input(timeout), Ok(true)) {
                let mut body = chunks.map_or(received, |(body, _)| body);
                body.truncate(most);
                return body;
            }
        }
    }
}

/// What is in chunks (RFC 9112, section 7.1), as far as they are whole, and whether that is all.
fn unchunk(mut bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Ok(httparse::Status::Complete((start, size))) = httparse::parse_chunk_size(bytes)
        else {
            return (body, false);
        };
        let end = usize::try_from(size)
            .ok()
            .and_then(|size| start.checked_add(size));
        let chunk = end.and_then(|end| bytes.get(start..end).zip(bytes.get(end.checked_add(2)?..)));
        match chunk {
            Some(([], _)) => return (body, true),
            Some((chunk, rest)) => {
                body.extend_from_slice(chunk);
                bytes = rest;
            }
            None => return (body, size == 0),
        }
    }
}

/// A duration as `ureq` has it.
fn from(duration: Duration) -> time::Duration {
    time::Duration::Exact(duration)
}

impl<T: Transport> Transport for EarlyResponseTransport<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.transport.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        if self.is_sending {
            self.look()?;
        }
        self.is_sending = true;
        let result = self.transport.transmit_output(amount, timeout);
        if result.is_err() {
            // Some say why before they hang up.
            self.look()?;
        }
        result
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        if timeout.reason == Timeout::Await100 {
            return self.await_consent(timeout);
        }
        self.is_sending = false;
        if std::mem::take(&mut self.is_unseen) && !self.transport.buffers().input().is_empty() {
            return Ok(true);
        }
        self.transport.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.transport.is_open()
    }

    fn is_tls(&self) -> bool {
        self.transport.is_tls()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_put_together() {
        for (bytes, body, is_whole) in [
            ("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "abcde", true),
            ("3\r\nabc\r\n2\r\nd", "abc", false),
            ("3\r\nabc\r\n0\r\n", "abc", true),
            ("ffffffffffffffff\r\nx", "", false),
            ("x", "", false),
            ("", "", false),
        ] {
            assert_eq!(
                unchunk(bytes.as_bytes()),
                (body.into(), is_whole),
                "{bytes}"
            );
        }
    }
}
