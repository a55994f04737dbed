//! The real registry (Debian's `docker-registry`), on a free port of 127.0.0.1.

pub mod far;
pub mod lockstep;
pub mod secured;

use std::fmt::Write;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The only user of a registry with a password.
pub const USERNAME: &str = "tester";
/// The password.
pub const PASSWORD: &str = "correct-horse";

/// How a registry is set up.
#[derive(Clone, Copy, Default)]
pub struct Setup {
    /// Whether it wants [`USERNAME`] and [`PASSWORD`].
    pub password: bool,
    /// The certificate with which it speaks TLS.
    pub tls: Option<Certificate>,
    /// What it takes for its own scheme, when a proxy is said to stand before it.
    pub said_scheme: Option<&'static str>,
    /// Whether it wants a client certificate, see [`Registry::client`].
    pub wants_client: bool,
    /// Whether it listens on `[::1]` and not on `127.0.0.1`.
    pub ipv6: bool,
}

/// The certificate of a registry. In each case `ca.crt` is what to trust.
#[derive(Clone, Copy)]
pub enum Certificate {
    /// One that an authority of our own signed.
    Signed,
    /// One that it signed itself, and that is no authority's.
    SelfSigned,
    /// The authority's own, as plain `openssl req -x509` makes it.
    Authority,
}

/// A running registry. It ends, and its data with it, when this is dropped.
pub struct Registry {
    process: Child,
    directory: tempfile::TempDir,
    /// `127.0.0.1:PORT`.
    pub host: String,
}

/// The name that certificates have besides `localhost` and the loopback addresses.
pub const NAME: &str = "registry.example";

impl Registry {
    /// Starts one.
    pub fn start(setup: Setup) -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Another process can take the port between here and there.
        for _ in 0..5 {
            let address = if setup.ipv6 { "[::1]" } else { "127.0.0.1" };
            let listener = TcpListener::bind(format!("{address}:0")).unwrap();
            let port = listener.local_addr().unwrap().port();
            drop(listener);
            let host = format!("{address}:{port}");
            configure(directory.path(), &host, setup);
            let mut process = Command::new("docker-registry")
                .arg("serve")
                .arg(directory.path().join("config.yml"))
                .stdout(Stdio::null())
                .stderr(std::fs::File::create(directory.path().join("log")).unwrap())
                .spawn()
                .expect("docker-registry (Debian package docker-registry) is needed");
            if answers(&mut process, &host) {
                return Self {
                    process,
                    directory,
                    host,
                };
            }
        }
        panic!(
            "docker-registry does not start: {}",
            read(&directory.path().join("log"))
        );
    }

    /// The directory with its certificate as `ca.crt`.
    pub fn certificates(&self) -> PathBuf {
        self.directory.path().join("certificates")
    }

    /// The files of a client certificate that it takes, and of its key.
    pub fn client(&self) -> [PathBuf; 2] {
        ["client.cert", "client.key"].map(|name| self.directory.path().join(name))
    }

    /// The uploads that were begun and neither ended nor cancelled.
    pub fn open_uploads(&self, repository: &str) -> usize {
        let uploads = format!("data/docker/registry/v2/repositories/{repository}/_uploads");
        let uploads = std::fs::read_dir(self.directory.path().join(uploads));
        let uploads = uploads.into_iter().flatten().flatten();
        // Of those that are cancelled it keeps a state without bytes.
        let is_open = |upload: &std::fs::DirEntry| upload.path().join("startedat").exists();
        uploads.filter(is_open).count()
    }

    /// How many bytes there are of uploads that are not finished.
    pub fn uploaded_bytes(&self, repository: &str) -> u64 {
        let uploads = format!("data/docker/registry/v2/repositories/{repository}/_uploads");
        let uploads = std::fs::read_dir(self.directory.path().join(uploads));
        let uploads = uploads.into_iter().flatten().flatten();
        let sizes = uploads.filter_map(|upload| upload.path().join("data").metadata().ok());
        sizes.map(|data| data.len()).sum()
    }

    /// How many bytes it has read in its life: little but what it was sent.
    pub fn bytes_read(&self) -> std::io::Result<u64> {
        let counts = std::fs::read_to_string(format!("/proc/{}/io", self.process.id()))?;
        let read = counts.lines().find_map(|line| line.strip_prefix("rchar: "));
        let read = read.and_then(|count| count.parse().ok());
        read.ok_or_else(|| std::io::Error::other("/proc does not count what processes read"))
    }

    /// A fresh file in the registry's directory.
    pub fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn configure(directory: &Path, host: &str, setup: Setup) {
    let at = |name: &str| directory.join(name).display().to_string();
    let mut config = format!(
        "version: 0.1\nlog: {{level: error}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\n  \
         delete: {{enabled: true}}\nhttp:\n  addr: \"{host}\"\n  secret: x\n",
        at("data")
    );
    if let Some(scheme) = setup.said_scheme {
        writeln!(config, "  host: {scheme}://{host}").unwrap();
    }
    if let Some(certificate) = setup.tls {
        let (certificate, key) = make_certificate(directory, certificate);
        let mut clients = String::new();
        if setup.wants_client {
            make_client(directory);
            clients = format!(", clientcas: [{}]", at("clients.crt"));
        }
        writeln!(
            config,
            "  tls: {{certificate: {certificate}, key: {key}{clients}}}"
        )
        .unwrap();
    }
    if setup.password {
        let entry = run(Command::new("htpasswd").args(["-Bbn", "-C", "4", USERNAME, PASSWORD]));
        std::fs::write(at("htpasswd"), entry).unwrap();
        writeln!(
            config,
            "auth: {{htpasswd: {{realm: r, path: {}}}}}",
            at("htpasswd")
        )
        .unwrap();
    }
    std::fs::write(at("config.yml"), config).unwrap();
}

/// Makes a certificate and its key.
fn openssl(subject: &str, key: &str, certificate: &str, arguments: &[&str]) {
    run(Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec"])
        .args(["-pkeyopt", "ec_paramgen_curve:P-256"])
        .args(["-nodes", "-days", "2", "-subj", subject])
        .args(["-keyout", key, "-out", certificate])
        .args(arguments));
}

/// Makes an authority of clients and the certificate of one.
fn make_client(directory: &Path) {
    let at = |name: &str| directory.join(name).display().to_string();
    let (authority, key) = (at("clients.crt"), at("clients.key"));
    openssl("/CN=clients", &key, &authority, &[]);
    let signed = ["-CA", &authority, "-CAkey", &key];
    let usage = ["-addext", "basicConstraints=critical,CA:FALSE"];
    openssl(
        "/CN=client",
        &at("client.key"),
        &at("client.cert"),
        &[signed.as_slice(), &usage].concat(),
    );
}

/// The files of a certificate and its key.
fn make_certificate(directory: &Path, kind: Certificate) -> (String, String) {
    std::fs::create_dir_all(directory.join("certificates")).unwrap();
    let at = |name: &str| directory.join(name).display().to_string();
    let (authority, certificate) = (at("certificates/ca.crt"), at("certificate"));
    let names = format!("subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1,DNS:{NAME}");
    let make = openssl;
    let no_authority = [
        "-addext",
        "basicConstraints=critical,CA:FALSE",
        "-addext",
        &names,
    ];
    match kind {
        Certificate::Authority => make("/CN=test", &at("key"), &authority, &["-addext", &names]),
        Certificate::SelfSigned => make("/CN=test", &at("key"), &authority, &no_authority),
        Certificate::Signed => {
            make("/CN=authority", &at("ca.key"), &authority, &[]);
            let signed = ["-CA", &authority, "-CAkey", &at("ca.key")];
            make(
                "/CN=test",
                &at("key"),
                &certificate,
                &[&signed[..], &no_authority].concat(),
            );
            return (certificate, at("key"));
        }
    }
    (authority, at("key"))
}

/// Whether something listens before the process ends or ten seconds are over.
fn answers(process: &mut Child, host: &str) -> bool {
    let end = Instant::now() + Duration::from_secs(10);
    while Instant::now() < end && process.try_wait().unwrap().is_none() {
        if TcpStream::connect(host).is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = process.kill();
    let _ = process.wait();
    false
}

fn read(path: &Path) -> String {
    let mut text = String::new();
    let _ = std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text));
    text
}

/// The standard output of a command that must succeed.
pub fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}
