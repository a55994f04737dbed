//! A registry far away: a proxy before a real one that answers only when nobody has anything more to ask, so
//! that a test can count round trips instead of measuring time.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::fake_registry::{Reply, Seen, read_body, read_request, reply};

/// How long nobody must have asked before all are answered: much longer than a client needs to send what it
/// sends at once, on a busy machine too.
const QUIET: Duration = Duration::from_millis(250);

/// The proxy. Its threads end with the test's process.
pub struct FarRegistry {
    /// `127.0.0.1:PORT`.
    pub host: String,
    state: Arc<State>,
}

/// Where a token is given.
#[derive(Clone)]
pub enum Token {
    /// Here, at `/token`: without TLS, or with it where answers do not wait and TLS stands before this.
    Here,
    /// At this address.
    At(String),
}

#[derive(Default)]
struct State {
    /// Whether answers wait until nobody asks on.
    waits: bool,
    log: Mutex<Log>,
    answered: Condvar,
}

/// What was asked.
#[derive(Default)]
struct Log {
    requests: Vec<String>,
    round_trips: usize,
    last: Option<Instant>,
    /// How many requests the real registry did not answer yet.
    open: usize,
    /// How many answers wait to be sent.
    waiting: usize,
}

/// What was asked, and how often somebody had to wait for an answer before asking on. The round trip that a
/// connection begins with is not in it.
pub struct Trips {
    /// Methods and targets.
    pub requests: Vec<String>,
    /// How often.
    pub round_trips: usize,
}

impl Trips {
    /// How many requests with this method and this in their target there were.
    pub fn count(&self, method: &str, part: &str) -> usize {
        let asked = self.requests.iter().filter_map(|it| it.split_once(' '));
        asked
            .filter(|(asked, target)| *asked == method && target.contains(part))
            .count()
    }
}

impl FarRegistry {
    /// Starts one before `server`. With `wants_token`, it wants a token, which it gives to everybody.
    pub fn start(server: &str, wants_token: bool) -> Self {
        Self::with(server, wants_token.then_some(Token::Here), true)
    }

    /// One that answers at once. Who wants a token is sent to an address, where it is given to everybody.
    pub fn near(server: &str, token: Option<Token>) -> Self {
        Self::with(server, token, false)
    }

    fn with(server: &str, token: Option<Token>, waits: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let state = Arc::new(State {
            waits,
            ..State::default()
        });
        let ours = Arc::clone(&state);
        thread::spawn(move || {
            loop {
                thread::sleep(Duration::from_millis(10));
                let mut log = ours.log.lock().unwrap();
                let is_quiet = log.last.is_some_and(|last| last.elapsed() > QUIET);
                if is_quiet && log.open == 0 && log.waiting > 0 {
                    log.round_trips += 1;
                    log.waiting = 0;
                    ours.answered.notify_all();
                }
            }
        });
        let (server, theirs) = (server.to_owned(), Arc::clone(&state));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (server, state) = (server.clone(), Arc::clone(&theirs));
                let token = token.clone();
                thread::spawn(move || serve(&client, &server, token.as_ref(), &state));
            }
        });
        Self { host, state }
    }

    /// What was asked since this was called last.
    pub fn take(&self) -> Trips {
        let mut log = self.state.log.lock().unwrap();
        Trips {
            requests: std::mem::take(&mut log.requests),
            round_trips: std::mem::take(&mut log.round_trips),
        }
    }
}

fn serve(client: &TcpStream, server: &str, token: Option<&Token>, state: &State) -> Option<()> {
    let mut reader = BufReader::new(client);
    loop {
        if *reader.fill_buf().ok()?.first()? == 0x16 {
            // A TLS handshake.
            reply(client, &Reply::new(400)).ok()?;
            return None;
        }
        let request = read_request(&mut reader)?;
        let length = request.header("content-length").parse();
        let chunked = request.header("transfer-encoding") == "chunked";
        let unknown = if chunked { usize::MAX } else { 0 };
        let body = read_body(client, &mut reader, &request, length.unwrap_or(unknown))?;
        {
            let mut log = state.log.lock().unwrap();
            let line = format!("{} {}", request.method, request.target);
            log.requests.push(line);
            log.last = Some(Instant::now());
            log.open += 1;
        }
        let answer = answer(&request, &body, server, token, !state.waits);
        if !state.waits {
            state.log.lock().unwrap().open -= 1;
            reply(client, &answer?).ok()?;
            continue;
        }
        let mut log = state.log.lock().unwrap();
        log.open -= 1;
        log.waiting += 1;
        log.last = Some(Instant::now());
        let now = log.round_trips;
        drop(
            state
                .answered
                .wait_while(log, |log| log.round_trips == now)
                .unwrap(),
        );
        reply(client, &answer?).ok()?;
    }
}

fn answer(
    request: &Seen,
    body: &[u8],
    server: &str,
    token: Option<&Token>,
    is_secured: bool,
) -> Option<Reply> {
    let host = request.header("host");
    if request.target.starts_with("/token") {
        return Some(Reply::new(200).body(r#"{"token":"t"}"#));
    }
    if let Some(token) = token
        && request.header("authorization") != "Bearer t"
    {
        let scheme = if is_secured { "https" } else { "http" };
        let address = match token {
            Token::Here => format!("{scheme}://{host}/token"),
            Token::At(address) => address.clone(),
        };
        let challenge = format!("Bearer realm=\"{address}\"");
        return Some(Reply::new(401).header("www-authenticate", challenge));
    }
    ask(request, body, server, is_secured).ok()
}

/// Asks the real registry, in HTTP/1.0: the answer ends with the connection.
fn ask(request: &Seen, body: &[u8], server: &str, is_secured: bool) -> std::io::Result<Reply> {
    let mut stream = TcpStream::connect(server)?;
    write!(stream, "{} {} HTTP/1.0\r\n", request.method, request.target)?;
    if is_secured {
        stream.write_all(b"x-forwarded-proto: https\r\n")?;
    }
    let ours = [
        "connection",
        "content-length",
        "expect",
        "transfer-encoding",
    ];
    for (name, value) in &request.headers {
        if !ours.contains(&name.as_str()) {
            write!(stream, "{name}: {value}\r\n")?;
        }
    }
    write!(stream, "content-length: {}\r\n\r\n", body.len())?;
    stream.write_all(body)?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split_whitespace().nth(1).unwrap_or_default();
    let mut answer = Reply::new(status.parse().unwrap_or(500));
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        if !name.eq_ignore_ascii_case("connection") {
            answer = answer.header(&name.to_ascii_lowercase(), value);
        }
    }
    reader.read_to_end(&mut answer.body)?;
    Ok(answer)
}
