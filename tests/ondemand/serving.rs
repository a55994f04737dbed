//! A registry that runs, with a package set that has some packages to fail with.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;
use strata_testing::nix::{ROOT, nix, offline_nixpkgs_with_nix};
use strata_testing::program;

/// What the package set has besides that of the tests. `unique` makes derivations that nobody has built.
const PACKAGES: &str = r#"
  { system ? "x86_64-linux", ... }:
  let
    set = import @SET@ { system = "x86_64-linux"; };
    pkgs =
      if system == "aarch64-linux" then
        set.pkgsCross.aarch64-multiplatform
      else
        set;
    fib = n: if n < 2 then n else fib (n - 1) + fib (n - 2);
    unique = name: script: pkgs.runCommand name { unique = "@UNIQUE@"; } script;
    repeat = list: builtins.concatStringsSep "" list;
  in
  pkgs
  // {
    inherit system;
    refuses = throw "refuses is broken on purpose";
    endless = pkgs.hello // { outPath = toString (fib 60); };
    huge = pkgs.hello // { outPath = repeat (builtins.genList toString 1000000000); };
    fails = unique "fails" "echo a reason >&2; exit 1";
    slow = unique "slow" "sleep 60; touch $out";
    word = unique "word" "sleep 1; mkdir -p $out/bin; echo word > $out/bin/word";
    chatty = unique "chatty" ''
      head -c 100000000 /dev/zero | tr '\0' '\n'
      mkdir -p $out/bin
      echo said > $out/bin/chatty
    '';
    imports = import (unique "imports" "echo 1 > $out");
  }
"#;

/// A registry that runs in a directory of its own.
pub struct Serving {
    process: Child,
    /// `127.0.0.1:PORT`.
    pub host: String,
    directory: Arc<tempfile::TempDir>,
    events: Arc<Mutex<Vec<Value>>>,
    marks: AtomicUsize,
}

/// What an answer was.
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The code and the message of its error.
    pub fn error(&self) -> (String, String) {
        let error = &self.json()["errors"][0];
        let text = |name: &str| error[name].as_str().unwrap().to_owned();
        (text("code"), text("message"))
    }
}

impl Serving {
    /// Starts one; `settings` is more of the configuration, in TOML.
    pub fn start(settings: &str) -> Self {
        Self::start_in(Arc::new(tempfile::tempdir().unwrap()), settings)
    }

    /// The same with the state of another one.
    pub fn start_in(directory: Arc<tempfile::TempDir>, settings: &str) -> Self {
        Self::start_with(directory, settings, |_| {})
    }

    /// The same with more for the command.
    pub fn start_with(
        directory: Arc<tempfile::TempDir>,
        settings: &str,
        change: impl FnOnce(&mut Command),
    ) -> Self {
        let config = write_files(directory.path(), settings);
        let mut command = nix(&program("strata"));
        command.args(["registry", "--config"]).arg(config);
        change(&mut command);
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let events = Arc::new(Mutex::new(Vec::new()));
        let (kept, errors) = (Arc::clone(&events), process.stderr.take().unwrap());
        thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                match serde_json::from_str(&line) {
                    Ok(event) => kept.lock().unwrap().push(event),
                    Err(_) => eprintln!("{line}"),
                }
            }
        });
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let address = lines.next().expect("an address").unwrap();
        let (_, host) = address.split_once("://").unwrap();
        Self {
            host: host.to_owned(),
            process,
            directory,
            events,
            marks: AtomicUsize::new(0),
        }
    }

    /// Asks as clients do; gives what was answered.
    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[])
    }

    /// The same with another method and more headers.
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        ask(&self.host, method, path, headers)
    }

    /// The manifest of `NAME:latest`.
    pub fn manifest(&self, name: &str) -> Answer {
        self.get(&format!("/v2/{name}/manifests/latest"))
    }

    /// The names of images that were built, and what came of it.
    pub fn builds(&self) -> Vec<(String, String)> {
        // Behind all that was told before, so that it is read, too.
        let path = format!("/mark/{}", self.marks.fetch_add(1, Ordering::Relaxed));
        self.get(&path);
        let is_mark = |event: &Value| event["path"] == path.as_str();
        while !self.events.lock().unwrap().iter().any(is_mark) {
            thread::yield_now();
        }
        let events = self.events.lock().unwrap();
        let builds = events.iter().filter(|event| event["event"] == "build");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        builds
            .map(|event| (text(&event["image"]), text(&event["outcome"])))
            .collect()
    }

    /// The directory of its state.
    pub fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// Everything that it has on the disk, for the next one.
    pub fn directory(&self) -> Arc<tempfile::TempDir> {
        Arc::clone(&self.directory)
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Ends it as systemd does; gives the exit code.
    pub fn stop(self) -> Option<i32> {
        signal(self.process.id(), "TERM");
        self.wait()
    }

    /// Waits for its end; gives the exit code.
    pub fn wait(mut self) -> Option<i32> {
        self.process.wait().unwrap().code()
    }

    /// Ends it as a power failure does.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub fn signal(pid: u32, name: &str) {
    let status = Command::new("kill")
        .args(["-s", name, &pid.to_string()])
        .status();
    assert!(status.unwrap().success());
}

/// The configuration in a directory, with the package set and the functions that it names.
pub fn write_files(directory: &Path, settings: &str) -> PathBuf {
    let set = offline_nixpkgs_with_nix();
    let write = |name: &str, text: &str| {
        let path = directory.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let unique = directory.display().to_string();
    let packages = PACKAGES.replace("@SET@", &set.display().to_string());
    let packages = write("packages.nix", &packages.replace("@UNIQUE@", &unique));
    let functions = write(
        "strata.nix",
        &format!(
            "import {ROOT}/nix {{ pkgs = import {} {{ system = \"x86_64-linux\"; }}; }}",
            set.display()
        ),
    );
    let config = format!(
        "{settings}\n{}",
        [
            format!("[sources.default]\ntype = \"path\"\nreference = \"{}\"", packages.display()),
            format!(
                "[sources.both]\ntype = \"path\"\nreference = \"{}\"\nsystems = [\"x86_64-linux\", \"aarch64-linux\"]",
                packages.display()
            ),
        ]
        .join("\n")
    );
    let head = format!(
        "listen = \"127.0.0.1:0\"\nstate = \"{}\"\nfunctions = \"{}\"\n",
        directory.join("state").display(),
        functions.display()
    );
    std::fs::create_dir_all(directory.join("state")).unwrap();
    write("registry.toml", &(head + &config))
}

/// Asks a server; a status is no error.
pub fn ask(host: &str, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .build();
    let request = headers.iter().fold(
        ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://{host}{path}")),
        |request, (name, value)| request.header(*name, *value),
    );
    let response = ureq::Agent::new_with_config(config).run(request.body(()).unwrap());
    let (parts, body) = response.unwrap().into_parts();
    let mut bytes = Vec::new();
    body.into_reader().read_to_end(&mut bytes).unwrap();
    let headers = parts.headers.iter();
    let headers =
        headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    Answer {
        status: parts.status.as_u16(),
        headers: headers.collect(),
        body: bytes,
    }
}
