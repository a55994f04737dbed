//! A registry in this process that misbehaves as it is told. What it is not told to spoil, it does
//! right: it checks digests and refuses manifests with missing blobs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use strata_oci::{Artifact, Digest, Index, Manifest, Referrer, Referrers};

/// A request that was seen.
#[derive(Clone, Debug)]
pub struct Seen {
    /// `GET`, `PATCH` and so on.
    pub method: String,
    /// The path and the query.
    pub target: String,
    /// The headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Which request with this method it is, from 1.
    pub number: usize,
}

impl Seen {
    /// A header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// What it does instead of the right thing.
pub enum Fault {
    /// Answers this before it reads the body, and hangs up if that is long.
    Answer(Reply),
    /// Does the right thing and answers something else.
    Lie(Box<dyn FnOnce(&mut Reply)>),
    /// Answers this after so many bytes of the body (none: before it agrees to one), and then neither reads
    /// nor hangs up.
    Early(usize, Reply),
    /// Says this, piece by piece, in place of agreeing to a body; then reads the body if it was agreed to.
    Say(&'static [&'static str]),
    /// Closes the connection after so many bytes of the body.
    Drop(usize),
    /// Reads the body, throws it away and answers as if it were kept.
    Swallow,
    /// Keeps so many bytes of an upload's body and closes the connection.
    Keep(usize),
    /// Does the right thing and closes the connection without an answer.
    Forget,
    /// Keeps silent for a long time.
    Stall,
    /// Does the right thing and closes the connection in the middle of the answer's body.
    Cut,
    /// Answers 500 and then a body without end.
    Endless,
    /// Does the right thing, but does not say that it wants the body when it is asked.
    Deaf,
    /// Answers 200 and a body of which a byte comes now and then.
    Drip,
}

/// An answer.
#[derive(Clone)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers but for the length.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// An answer without headers and body.
    pub fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// The same with another value of a header.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The same with a body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// An answer with the error document of the specification.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        let body = format!(r#"{{"errors":[{{"code":"{code}","message":"{message}"}}]}}"#);
        Self::new(status).body(body)
    }
}

/// What the registry holds.
#[derive(Default)]
struct State {
    seen: Vec<Seen>,
    blobs: BTreeMap<String, Vec<u8>>,
    manifests: BTreeMap<String, Vec<u8>>,
    uploads: BTreeMap<usize, Vec<u8>>,
    next_upload: usize,
    endless: usize,
    /// How many of what refers to a manifest are in one answer; nothing is listed without.
    page: Option<usize>,
}

type Faults = dyn Fn(&Seen) -> Option<Fault> + Send + Sync;

/// A running registry. Its threads end with the test's process.
pub struct FakeRegistry {
    /// `127.0.0.1:PORT`.
    pub host: String,
    state: Arc<Mutex<State>>,
}

impl FakeRegistry {
    /// Starts one that asks `faults` about each request.
    pub fn start(faults: impl Fn(&Seen) -> Option<Fault> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let state = Arc::new(Mutex::new(State::default()));
        let faults: Arc<Faults> = Arc::new(faults);
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (state, faults) = (Arc::clone(&shared), Arc::clone(&faults));
                thread::spawn(move || serve(&stream, &state, &*faults));
            }
        });
        Self { host, state }
    }

    /// From now on it lists what refers to manifests, so many in an answer.
    pub fn list_referrers(&self, page: usize) {
        self.state.lock().unwrap().page = Some(page);
    }

    /// The requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.state.lock().unwrap().seen.clone()
    }

    /// How many requests with this method there were.
    pub fn count(&self, method: &str) -> usize {
        self.seen()
            .iter()
            .filter(|seen| seen.method == method)
            .count()
    }

    /// The blob of this digest.
    pub fn blob(&self, digest: &Digest) -> Option<Vec<u8>> {
        self.state
            .lock()
            .unwrap()
            .blobs
            .get(&digest.to_string())
            .cloned()
    }

    /// The manifest under a tag.
    pub fn manifest(&self, tag: &str) -> Option<Vec<u8>> {
        self.state.lock().unwrap().manifests.get(tag).cloned()
    }

    /// Holds a blob that nobody uploaded.
    pub fn hold_blob(&self, bytes: &[u8]) {
        let digest = Digest::of(bytes).to_string();
        let mut state = self.state.lock().unwrap();
        state.blobs.insert(digest, bytes.to_vec());
    }

    /// Forgets a blob.
    pub fn lose_blob(&self, digest: &Digest) {
        let mut state = self.state.lock().unwrap();
        state.blobs.remove(&digest.to_string());
    }

    /// Forgets all blobs and manifests.
    pub fn lose_all_blobs(&self) {
        let mut state = self.state.lock().unwrap();
        state.blobs.clear();
        state.manifests.clear();
    }

    /// Holds a manifest that nobody pushed, under a tag and its digest.
    pub fn hold_manifest(&self, tag: &str, manifest: &serde_json::Value) {
        let bytes = manifest.to_string().into_bytes();
        let mut state = self.state.lock().unwrap();
        let digest = Digest::of(&bytes).to_string();
        state.manifests.insert(digest, bytes.clone());
        state.manifests.insert(tag.to_owned(), bytes);
    }

    /// Forgets what was asked so far.
    pub fn forget_requests(&self) {
        self.state.lock().unwrap().seen.clear();
    }

    /// How many bytes of endless answers went out.
    pub fn endless(&self) -> usize {
        self.state.lock().unwrap().endless
    }

    /// The uploads that were begun and neither ended nor cancelled.
    pub fn open_uploads(&self) -> usize {
        self.state.lock().unwrap().uploads.len()
    }
}

fn serve(stream: &TcpStream, state: &Mutex<State>, faults: &Faults) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        if *reader.fill_buf().ok()?.first()? == 0x16 {
            // A TLS handshake.
            reply(stream, &Reply::new(400)).ok()?;
            return None;
        }
        let mut request = read_request(&mut reader)?;
        {
            let mut state = state.lock().unwrap();
            let same = state
                .seen
                .iter()
                .filter(|seen| seen.method == request.method);
            request.number = same.count() + 1;
            state.seen.push(request.clone());
        }
        // Without a length a body is long, as far as anybody knows.
        let chunked = request.header("transfer-encoding") == "chunked";
        let unknown = if chunked { usize::MAX } else { 0 };
        let length = request.header("content-length").parse().unwrap_or(unknown);
        match faults(&request) {
            None => {
                let body = read_body(stream, &mut reader, &request, length)?;
                let answer = state.lock().unwrap().answer(&request, body);
                reply(stream, &answer).ok()?;
            }
            Some(Fault::Lie(change)) => {
                let body = read_body(stream, &mut reader, &request, length)?;
                let mut answer = state.lock().unwrap().answer(&request, body);
                change(&mut answer);
                reply(stream, &answer).ok()?;
            }
            Some(Fault::Cut) => {
                let body = read_body(stream, &mut reader, &request, length)?;
                let answer = state.lock().unwrap().answer(&request, body);
                return reply_in_part(stream, &answer).ok();
            }
            Some(Fault::Answer(answer)) => {
                reply(stream, &answer).ok()?;
                // Servers read what little is on its way, so that the answer is not lost with the
                // connection.
                if length > 256 << 10 {
                    return None;
                }
                if request.header("expect").is_empty() {
                    read_body(stream, &mut reader, &request, length)?;
                }
            }
            Some(Fault::Early(bytes, answer)) => {
                if bytes > 0 {
                    read_body(stream, &mut reader, &request, bytes.min(length))?;
                }
                reply(stream, &answer).ok()?;
                return stall();
            }
            Some(Fault::Say(pieces)) => {
                say(stream, pieces)?;
                let mut agreed = request.clone();
                agreed.headers.remove("expect");
                let body = read_body(stream, &mut reader, &agreed, length)?;
                let answer = state.lock().unwrap().answer(&request, body);
                reply(stream, &answer).ok()?;
            }
            Some(Fault::Drop(bytes)) => {
                read_body(stream, &mut reader, &request, bytes.min(length))?;
                return None;
            }
            Some(Fault::Swallow) => {
                read_body(stream, &mut reader, &request, length)?;
                let mut request = request;
                request.headers.remove("content-range");
                let answer = state.lock().unwrap().answer(&request, Vec::new());
                reply(stream, &answer).ok()?;
            }
            Some(Fault::Keep(bytes)) => {
                let body = read_body(stream, &mut reader, &request, bytes.min(length))?;
                state.lock().unwrap().answer(&request, body);
                return None;
            }
            Some(Fault::Forget) => {
                let body = read_body(stream, &mut reader, &request, length)?;
                state.lock().unwrap().answer(&request, body);
                return None;
            }
            Some(Fault::Stall) => return stall(),
            Some(Fault::Deaf) => {
                let mut unheard = request.clone();
                unheard.headers.remove("expect");
                let body = read_body(stream, &mut reader, &unheard, length)?;
                let answer = state.lock().unwrap().answer(&request, body);
                reply(stream, &answer).ok()?;
            }
            Some(Fault::Drip) => return drip(stream),
            Some(Fault::Endless) => return endless(stream, state),
        }
    }
}

/// Keeps silent for a long time.
fn stall() -> Option<()> {
    thread::sleep(Duration::from_mins(1));
    None
}

/// Says this, piece by piece.
fn say(mut stream: &TcpStream, pieces: &[&str]) -> Option<()> {
    for piece in pieces {
        stream.write_all(piece.as_bytes()).ok()?;
        thread::sleep(Duration::from_millis(50));
    }
    Some(())
}

/// Answers without end.
fn endless(mut stream: &TcpStream, state: &Mutex<State>) -> Option<()> {
    stream
        .write_all(b"HTTP/1.1 500 X\r\nconnection: close\r\n\r\n")
        .ok()?;
    loop {
        stream.write_all(&[b'x'; 4096]).ok()?;
        state.lock().unwrap().endless += 4096;
    }
}

/// Answers a byte now and then.
fn drip(mut stream: &TcpStream) -> Option<()> {
    let head = b"HTTP/1.1 200 X\r\ncontent-length: 100000\r\n\r\n";
    stream.write_all(head).ok()?;
    loop {
        stream.write_all(b" ").ok()?;
        thread::sleep(Duration::from_millis(20));
    }
}

/// Writes an answer without the second half of its body.
fn reply_in_part(mut stream: &TcpStream, answer: &Reply) -> std::io::Result<()> {
    let mut whole = Vec::new();
    reply(&mut whole, answer)?;
    let part = whole.len() - answer.body.len().div_ceil(2);
    stream.write_all(&whole[..part])
}

/// The head of a request.
pub fn read_request(reader: &mut impl BufRead) -> Option<Seen> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    Some(Seen {
        method,
        target,
        headers,
        number: 0,
    })
}

/// The body of a request, or so many bytes of it.
pub fn read_body(
    mut stream: &TcpStream,
    reader: &mut impl BufRead,
    request: &Seen,
    length: usize,
) -> Option<Vec<u8>> {
    if request.header("expect") == "100-continue" {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
    }
    if request.header("transfer-encoding") == "chunked" {
        return read_chunks(reader, length);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(body)
}

/// A chunked body (RFC 9112, section 7.1), or its first `most` bytes.
pub fn read_chunks(reader: &mut impl BufRead, most: usize) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let size = usize::from_str_radix(line.trim_end(), 16).ok()?;
        if body.len() + size > most {
            let start = body.len();
            body.resize(most, 0);
            reader.read_exact(&mut body[start..]).ok()?;
            return Some(body);
        }
        let start = body.len();
        body.resize(start + size, 0);
        reader.read_exact(&mut body[start..]).ok()?;
        reader.read_line(&mut String::new()).ok()?;
        if size == 0 {
            return Some(body);
        }
    }
}

/// Writes an answer.
pub fn reply(mut stream: impl Write, answer: &Reply) -> std::io::Result<()> {
    let mut text = format!("HTTP/1.1 {} X\r\n", answer.status);
    if !answer
        .headers
        .iter()
        .any(|(name, _)| name == "content-length")
    {
        write!(text, "content-length: {}\r\n", answer.body.len()).unwrap();
    }
    for (name, value) in &answer.headers {
        write!(text, "{name}: {value}\r\n").unwrap();
    }
    stream.write_all(text.as_bytes())?;
    stream.write_all(b"\r\n")?;
    stream.write_all(&answer.body)
}

impl State {
    /// What a registry does (OCI distribution specification).
    fn answer(&mut self, request: &Seen, body: Vec<u8>) -> Reply {
        let target = request.target.as_str();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let parts: Vec<&str> = path.trim_start_matches("/v2/").split('/').collect();
        match (request.method.as_str(), parts.as_slice()) {
            ("GET", [""]) => Reply::new(200),
            ("GET", ["token"]) => Reply::new(200).body(r#"{"token":"t"}"#),
            ("HEAD", [_, "blobs", digest]) => match self.blobs.get(*digest) {
                Some(blob) => Reply::new(200).header("content-length", blob.len().to_string()),
                None => Reply::new(404),
            },
            ("GET", [_, "blobs", digest]) => match self.blobs.get(*digest) {
                Some(blob) => Reply::new(200).body(blob.clone()),
                None => Reply::error(404, "BLOB_UNKNOWN", "no such blob"),
            },
            ("GET", [name, "blobs", "uploads", id]) => match self.upload(id) {
                Some(upload) => Reply::new(204)
                    .header("range", format!("0-{}", upload.len().saturating_sub(1)))
                    .header(
                        "location",
                        format!("/v2/{name}/blobs/uploads/{id}?_state=c"),
                    ),
                None => Reply::error(404, "BLOB_UPLOAD_UNKNOWN", "no such upload"),
            },
            ("POST", [name, "blobs", "uploads", ""]) => {
                self.next_upload += 1;
                self.uploads.insert(self.next_upload, Vec::new());
                let location = format!("/v2/{name}/blobs/uploads/{}?_state=a%3D", self.next_upload);
                Reply::new(202).header("location", location)
            }
            ("PATCH", [name, "blobs", "uploads", id]) => match self.upload(id) {
                Some(upload) => {
                    let range = request.header("content-range");
                    let start = range.split('-').next().unwrap_or_default();
                    if !range.is_empty() && start != upload.len().to_string() {
                        return Reply::error(416, "BLOB_UPLOAD_INVALID", "another range");
                    }
                    upload.extend(body);
                    let location = format!("/v2/{name}/blobs/uploads/{id}?_state=b");
                    Reply::new(202).header("location", location)
                }
                None => Reply::error(404, "BLOB_UPLOAD_UNKNOWN", "no such upload"),
            },
            ("PUT", [_, "blobs", "uploads", id]) => self.finish(id, query, body),
            ("DELETE", [_, "blobs", "uploads", id]) => {
                let known = id
                    .parse()
                    .is_ok_and(|id: usize| self.uploads.remove(&id).is_some());
                Reply::new(if known { 204 } else { 404 })
            }
            ("GET", [name, "tags", "list"]) => {
                let tags = self.manifests.keys().filter(|name| !name.contains(':'));
                let tags = tags.collect::<Vec<_>>();
                let list = serde_json::json!({ "name": name, "tags": tags });
                Reply::new(200).body(list.to_string())
            }
            ("GET", [name, "referrers", digest]) => match self.page {
                Some(page) => self.referrers(name, digest, query, page),
                None => Reply::error(404, "UNSUPPORTED", "no such thing"),
            },
            ("PUT", [_, "manifests", name]) => self.tag(name, body),
            ("HEAD", [_, "manifests", name]) => match self.manifests.get(*name) {
                Some(manifest) => {
                    Reply::new(200).header("content-length", manifest.len().to_string())
                }
                None => Reply::new(404),
            },
            ("GET", [_, "manifests", name]) => match self.manifests.get(*name) {
                Some(manifest) => Reply::new(200).body(manifest.clone()),
                None => Reply::error(404, "MANIFEST_UNKNOWN", "no such manifest"),
            },
            _ => Reply::error(404, "UNSUPPORTED", "no such thing"),
        }
    }

    fn upload(&mut self, id: &str) -> Option<&mut Vec<u8>> {
        self.uploads.get_mut(&id.parse().ok()?)
    }

    fn finish(&mut self, id: &str, query: &str, rest: Vec<u8>) -> Reply {
        let Some(mut upload) = id
            .parse()
            .ok()
            .and_then(|id: usize| self.uploads.remove(&id))
        else {
            return Reply::error(404, "BLOB_UPLOAD_UNKNOWN", "no such upload");
        };
        upload.extend(rest);
        let digest = Digest::of(&upload).to_string();
        let parameters = query.replace("%3A", ":");
        if parameters
            .split('&')
            .all(|parameter| parameter != format!("digest={digest}"))
        {
            return Reply::error(400, "DIGEST_INVALID", "another digest");
        }
        self.blobs.insert(digest.clone(), upload);
        Reply::new(201).header("docker-content-digest", digest)
    }

    fn tag(&mut self, name: &str, body: Vec<u8>) -> Reply {
        let is_whole = if let Ok(manifest) = serde_json::from_slice::<Manifest>(&body) {
            let mut blobs = manifest.layers.iter().chain([&manifest.config]);
            blobs.all(|blob| self.blobs.contains_key(&blob.digest.to_string()))
        } else if let Ok(index) = serde_json::from_slice::<Index>(&body) {
            let mut entries = index.manifests.iter();
            entries.all(|entry| self.manifests.contains_key(&entry.digest.to_string()))
        } else {
            return Reply::error(400, "MANIFEST_INVALID", "no manifest");
        };
        if !is_whole {
            return Reply::error(404, "MANIFEST_BLOB_UNKNOWN", "a blob is missing");
        }
        let digest = Digest::of(&body).to_string();
        self.manifests.insert(name.to_owned(), body.clone());
        let subject = serde_json::from_slice::<Artifact>(&body).ok();
        let subject = subject.and_then(|artifact| artifact.subject);
        self.manifests.insert(digest.clone(), body);
        let reply = Reply::new(201).header("docker-content-digest", digest);
        match subject.filter(|_| self.page.is_some()) {
            Some(subject) => reply.header("oci-subject", subject.digest.to_string()),
            None => reply,
        }
    }

    /// What refers to a manifest, a page of it ("Listing Referrers").
    fn referrers(&self, name: &str, digest: &str, query: &str, page: usize) -> Reply {
        let parameter = |wanted: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs
                .find(|(key, _)| *key == wanted)
                .map(|(_, value)| value)
        };
        let wanted = parameter("artifactType");
        let wanted = wanted.map(|it| it.replace("%2F", "/").replace("%2B", "+"));
        let start: usize = parameter("last").map_or(0, |last| last.parse().unwrap());
        let by_digest = self.manifests.iter().filter(|(name, _)| name.contains(':'));
        let all = by_digest.filter_map(|(_, bytes)| {
            let artifact: Artifact = serde_json::from_slice(bytes).ok()?;
            let subject = artifact.subject.as_ref()?.digest.to_string();
            let referrer = Referrer::of(&artifact, bytes);
            let is_meant = wanted
                .as_ref()
                .is_none_or(|it| *it == referrer.artifact_type);
            (subject == digest && is_meant).then_some(referrer)
        });
        let all: Vec<Referrer> = all.collect();
        let list = Referrers {
            manifests: all.iter().skip(start).take(page).cloned().collect(),
            ..Referrers::default()
        };
        let reply = Reply::new(200)
            .header("content-type", "application/vnd.oci.image.index.v1+json")
            .body(strata_oci::json::to_bytes(&list));
        let end = start + page;
        let filter = parameter("artifactType").map(|it| format!("artifactType={it}&"));
        if end >= all.len() {
            return reply;
        }
        let filter = filter.unwrap_or_default();
        let next = format!("</v2/{name}/referrers/{digest}?{filter}last={end}>; rel=\"next\"");
        reply.header("link", next)
    }
}
