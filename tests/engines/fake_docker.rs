//! A Docker engine in this process that does what real ones were seen to do, as far as copies need
//! it, and misbehaves as it is told.
//!
//! Its containerd store is that of Docker 26 and newer, which no Debian 12 has.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use strata_oci::Digest;

use strata_testing::fake_registry::{Reply, Seen, read_chunks, read_request, reply};

/// What it does instead of the right thing.
pub enum Fault {
    /// Answers this at once and hangs up.
    Answer(Reply),
    /// Answers this after so many bytes of the body, and hangs up.
    AnswerAfter(usize, Reply),
    /// Reads the body, does the right thing, and answers this.
    Lie(Reply),
    /// Reads the body and keeps silent until the client hangs up.
    Silence,
    /// Answers without end.
    Endless,
}

/// How a containerd store speaks about a load that lacks blobs.
#[derive(Clone, Copy, Debug)]
pub enum Partial {
    /// With an error, as Docker 26.
    Error,
    /// With a warning, as Docker 28.
    Warning,
    /// Not at all, as when the layers are unpacked already.
    Silence,
}

/// How it keeps images.
#[derive(Clone, Copy, Debug)]
pub enum Store {
    Classic,
    Containerd(Partial),
}

/// An image.
#[derive(Clone, Debug)]
pub struct FakeImage {
    pub id: String,
    pub layers: Vec<String>,
    pub names: BTreeSet<String>,
    /// Whether all blobs are there.
    pub is_whole: bool,
}

/// What the engine has and was asked.
#[derive(Default)]
pub struct State {
    pub images: Vec<FakeImage>,
    /// The blobs of containerd's store.
    pub blobs: BTreeSet<String>,
    pub seen: Vec<Seen>,
    /// The blobs of each archive.
    pub loads: Vec<BTreeSet<String>>,
    /// How often this began to keep silent.
    pub waiting: usize,
    /// How often a client hung up meanwhile.
    pub hung_up: usize,
}

type Faults = dyn Fn(&Seen) -> Option<Fault> + Send + Sync;

/// A running engine. Its threads end with the test's process.
pub struct FakeDocker {
    directory: tempfile::TempDir,
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    version: &'static str,
    faults: Box<Faults>,
    state: Mutex<State>,
}

impl FakeDocker {
    /// Starts one of this version of the API, which asks `faults` about each request.
    pub fn start(
        store: Store,
        version: &'static str,
        faults: impl Fn(&Seen) -> Option<Fault> + Send + Sync + 'static,
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("socket")).unwrap();
        let shared = Arc::new(Shared {
            store,
            version,
            faults: Box::new(faults),
            state: Mutex::default(),
        });
        let server = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = Arc::clone(&server);
                thread::spawn(move || server.serve(&stream));
            }
        });
        Self { directory, shared }
    }

    /// One that has nothing and does everything right.
    pub fn right(store: Store) -> Self {
        Self::start(store, "1.45", |_| None)
    }

    /// Its address.
    pub fn host(&self) -> String {
        format!("unix://{}/socket", self.directory.path().display())
    }

    /// What it has.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap()
    }

    /// The targets of the requests with this method.
    pub fn asked(&self, method: &str) -> Vec<String> {
        let state = self.state();
        let seen = state.seen.iter().filter(|seen| seen.method == method);
        seen.map(|seen| seen.target.clone()).collect()
    }
}

impl Shared {
    fn serve(&self, stream: &UnixStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        loop {
            let mut request = read_request(&mut reader)?;
            {
                let mut state = self.state.lock().unwrap();
                let same = state
                    .seen
                    .iter()
                    .filter(|seen| seen.method == request.method);
                request.number = same.count() + 1;
                state.seen.push(request.clone());
            }
            match (self.faults)(&request) {
                None => {
                    let body = read_body(&mut reader, &request, usize::MAX)?;
                    reply(stream, &self.answer(&request, &body)).ok()?;
                }
                Some(Fault::Lie(answer)) => {
                    let body = read_body(&mut reader, &request, usize::MAX)?;
                    self.answer(&request, &body);
                    reply(stream, &answer).ok()?;
                }
                Some(Fault::Answer(answer)) => {
                    reply(stream, &answer).ok()?;
                    return None;
                }
                Some(Fault::AnswerAfter(bytes, answer)) => {
                    read_body(&mut reader, &request, bytes)?;
                    reply(stream, &answer).ok()?;
                    return None;
                }
                Some(Fault::Silence) => {
                    read_body(&mut reader, &request, usize::MAX)?;
                    self.state.lock().unwrap().waiting += 1;
                    stream
                        .set_read_timeout(Some(Duration::from_mins(1)))
                        .unwrap();
                    if matches!(reader.read(&mut [0]), Ok(0)) {
                        self.state.lock().unwrap().hung_up += 1;
                    }
                    return None;
                }
                Some(Fault::Endless) => {
                    let mut stream = stream;
                    stream
                        .write_all(b"HTTP/1.1 200 X\r\nconnection: close\r\n\r\n")
                        .ok()?;
                    loop {
                        stream.write_all(&[b' '; 8 << 10]).ok()?;
                    }
                }
            }
        }
    }

    fn answer(&self, request: &Seen, body: &[u8]) -> Reply {
        let mut state = self.state.lock().unwrap();
        let target = request.target.as_str();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        if path == "/_ping" {
            return Reply::new(200)
                .header("api-version", self.version)
                .body("OK");
        }
        let Some((_, path)) = path
            .strip_prefix("/v")
            .and_then(|path| path.split_once('/'))
        else {
            return refusal(404, "page not found");
        };
        match (request.method.as_str(), path) {
            ("GET", "info") => answer(&match self.store {
                Store::Classic => json!({ "DriverStatus": [["Backing Filesystem", "extfs"]] }),
                Store::Containerd(_) => {
                    json!({ "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]] })
                }
            }),
            ("GET", "images/json") => {
                let tells = query.contains("manifests=1");
                let listed = state.images.iter().filter(|image| image.is_whole || tells);
                answer(&listed.map(|image| list(image, tells)).collect())
            }
            ("POST", "images/load") => self.load(&mut state, body),
            (method, path) => {
                let path = path.trim_start_matches("images/");
                let name = path.trim_end_matches("/json").trim_end_matches("/tag");
                let is_it = |image: &FakeImage| image.id == name || image.names.contains(name);
                let Some(number) = state.images.iter().position(is_it) else {
                    return refusal(404, &format!("No such image: {name}"));
                };
                match method {
                    "GET" => answer(&inspect(&state.images[number])),
                    "DELETE" => {
                        state.images.remove(number);
                        answer(&json!([]))
                    }
                    "POST" => {
                        let query = query.trim_start_matches("repo=");
                        let name = query.replace("&tag=", ":");
                        state.images.iter_mut().for_each(|image| {
                            image.names.remove(&name);
                        });
                        state.images[number].names.insert(name);
                        Reply::new(201)
                    }
                    _ => refusal(405, "method not allowed"),
                }
            }
        }
    }

    fn load(&self, state: &mut State, body: &[u8]) -> Reply {
        let files = unpack(body);
        let json = |name: &str| serde_json::from_slice::<Value>(&files[name]).unwrap();
        let blob = |digest: &str| digest.replace("sha256:", "blobs/sha256/");
        let sent: BTreeSet<String> = files
            .keys()
            .filter_map(|name| name.strip_prefix("blobs/sha256/"))
            .map(|hex| format!("sha256:{hex}"))
            .collect();
        state.loads.push(sent.clone());
        let entry = &json("manifest.json")[0];
        assert_eq!(
            entry["RepoTags"],
            json!([]),
            "a name before the image is whole"
        );
        let config = json(entry["Config"].as_str().unwrap());
        let layers: Vec<String> =
            serde_json::from_value(config["rootfs"]["diff_ids"].clone()).unwrap();
        let (id, is_whole) = match self.store {
            Store::Classic => {
                for (number, layer) in layers.iter().enumerate() {
                    let chain = &layers[..=number];
                    let is_known = state
                        .images
                        .iter()
                        .any(|image| image.layers.starts_with(chain));
                    if !is_known && !sent.contains(layer) {
                        let path = blob(layer);
                        let message =
                            format!("open /tmp/docker-import-1/{path}: no such file or directory");
                        return failure(&message);
                    }
                }
                (
                    entry["Config"]
                        .as_str()
                        .unwrap()
                        .replace("blobs/sha256/", "sha256:"),
                    true,
                )
            }
            Store::Containerd(_) => {
                let id = json("index.json")["manifests"][0]["digest"]
                    .as_str()
                    .unwrap()
                    .to_owned();
                state.blobs.extend(sent);
                let manifest = json(&blob(&id));
                let mut wanted = manifest["layers"].as_array().unwrap().iter();
                let is_whole =
                    wanted.all(|it| state.blobs.contains(it["digest"].as_str().unwrap()));
                for image in state.images.iter_mut().filter(|image| image.id == id) {
                    image.is_whole |= is_whole;
                }
                (id, is_whole)
            }
        };
        if state.images.iter().all(|image| image.id != id) {
            state.images.push(FakeImage {
                id: id.clone(),
                layers,
                names: BTreeSet::new(),
                is_whole,
            });
        }
        let loaded = format!("Loaded image ID: {id}\n");
        match self.store {
            Store::Containerd(Partial::Error) if !is_whole => {
                failure("failed to unpack loaded image: content digest: not found")
            }
            Store::Containerd(Partial::Warning) if !is_whole => {
                let warning = format!("Error unpacking image {id}: not found\n");
                let messages = [json!({ "stream": loaded }), json!({ "stream": warning })];
                Reply::new(200).body(messages.map(|it| it.to_string()).join("\r\n"))
            }
            _ => answer(&json!({ "stream": loaded })),
        }
    }
}

fn list(image: &FakeImage, with_manifests: bool) -> Value {
    let mut listed = json!({ "Id": image.id, "RepoTags": image.names });
    if with_manifests {
        listed["Manifests"] = json!([{ "ID": image.id, "Available": image.is_whole }]);
    }
    listed
}

fn inspect(image: &FakeImage) -> Value {
    json!({ "Id": image.id, "RepoTags": image.names, "RootFS": { "Layers": image.layers } })
}

fn answer(value: &Value) -> Reply {
    Reply::new(200).body(value.to_string())
}

/// An answer with an error.
pub fn refusal(status: u16, message: &str) -> Reply {
    Reply::new(status).body(json!({ "message": message }).to_string())
}

/// What a load says that failed: the status was sent long before.
pub fn failure(message: &str) -> Reply {
    answer(&json!({ "errorDetail": { "message": message }, "error": message }))
}

/// The body of a request, or its beginning.
fn read_body(reader: &mut impl BufRead, request: &Seen, most: usize) -> Option<Vec<u8>> {
    if request.header("transfer-encoding") == "chunked" {
        return read_chunks(reader, most);
    }
    let length = request.header("content-length").parse().unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(body)
}

fn unpack(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(archive);
    let files = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_string_lossy().into_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        if let Some(hex) = name
            .strip_prefix("blobs/sha256/")
            .filter(|hex| !hex.is_empty())
        {
            assert_eq!(Digest::of(&content).hex(), hex);
        }
        (name, content)
    });
    files.filter(|(name, _)| !name.ends_with('/')).collect()
}
