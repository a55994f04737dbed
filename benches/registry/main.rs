//! How many pulls `strata registry` answers beside a `docker-registry` with the same blobs on its disk: 200 clients at
//! once, 20 images. First nothing is built: each image is built once, and no blob differs. Then both are warm and take
//! turns; the table, which is that of the book, shows medians.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

mod client;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use client::{Check, pull};
use strata_testing::nix::{ROOT, nix, offline_nixpkgs_with_nix};
use strata_testing::program;
use strata_testing::registry::{Registry, Setup, run};

/// How many clients pull at a time, and how often each does where it is measured.
const CLIENTS: usize = 200;
const PULLS: usize = 5;
/// How often each server is measured.
const ROUNDS: usize = 5;

/// The images: each of these packages alone, and with a shell.
const PACKAGES: [&str; 10] = [
    "hello",
    "gnugrep",
    "gzip",
    "less",
    "which",
    "7zz",
    "busybox",
    "findutils",
    "gnutar",
    "python3packages.flask",
];

fn main() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let mut server = Server::start(directory.path())?;
    let images: Vec<String> = PACKAGES
        .iter()
        .flat_map(|package| [(*package).to_owned(), format!("shell/{package}")])
        .collect();

    // Each image ten times at once, none of which is built.
    let begun = Instant::now();
    let digests = Mutex::new(BTreeMap::new());
    let cold = pulls(&server.host, &images, 1, &Check::Digests(&digests))?;
    let first = begun.elapsed();
    let builds = server.metric("strata_registry_builds_total{outcome=\"built\"}")?;
    ensure!(builds == images.len() as u64, "{builds} builds");
    println!(
        "{} first pulls of {} images that nobody had built, {} clients at once: {:.1} s, {builds} builds,\n\
         every blob has its digest\n",
        cold.len(),
        images.len(),
        CLIENTS,
        first.as_secs_f64(),
    );

    let registry = Registry::start(Setup::default());
    for image in &images {
        let tls = [
            "--src-tls-verify=false",
            "--dest-tls-verify=false",
            "--preserve-digests",
        ];
        run(Command::new("skopeo")
            .args(["copy", "--quiet"])
            .args(tls)
            .arg(format!("docker://{}/{image}", server.host))
            .arg(format!("docker://{}/{image}", registry.host)));
    }
    println!("| warm, {CLIENTS} clients | pulls a second | p50, ms | p99, ms |\n|---|---|---|---|");
    let hosts = [
        ("docker-registry", &registry.host),
        ("strata registry", &server.host),
    ];
    let mut measured: BTreeMap<&str, Vec<(f64, f64, f64)>> = BTreeMap::new();
    for round in 0..=ROUNDS {
        for (name, host) in hosts {
            let begun = Instant::now();
            let mut times = pulls(host, &images, PULLS, &Check::Lengths)?;
            let seconds = begun.elapsed().as_secs_f64();
            // The first round warms up.
            if round > 0 {
                times.sort();
                let at = |part: usize| times[(times.len() * part / 100).min(times.len() - 1)];
                let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
                measured.entry(name).or_default().push((
                    times.len() as f64 / seconds,
                    milliseconds(at(50)),
                    milliseconds(at(99)),
                ));
            }
        }
    }
    for (name, _) in hosts {
        let rounds = &measured[name];
        let median = |of: fn(&(f64, f64, f64)) -> f64| {
            let mut values: Vec<f64> = rounds.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        println!(
            "| {name} | {:.0} | {:.0} | {:.0} |",
            median(|it| it.0),
            median(|it| it.1),
            median(|it| it.2)
        );
    }
    println!("\nstrata registry had {} MB at most", server.peak()? / 1000);
    server.process.kill()?;
    server.process.wait()?;
    Ok(())
}

/// Pulls images with all clients at once, each so often; gives how long each pull took.
fn pulls(host: &str, images: &[String], each: usize, check: &Check<'_>) -> Result<Vec<Duration>> {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let work = || {
            let mut times = Vec::new();
            for _ in 0..each {
                let image = &images[next.fetch_add(1, Ordering::Relaxed) % images.len()];
                let begun = Instant::now();
                pull(host, image, check).with_context(|| format!("pull {host}/{image}"))?;
                times.push(begun.elapsed());
            }
            Ok(times)
        };
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(work)).collect();
        let mut all = Vec::new();
        for client in clients {
            let times: Result<Vec<Duration>> = client
                .join()
                .map_err(|_| anyhow::anyhow!("a client panicked"))?;
            all.extend(times?);
        }
        Ok(all)
    })
}

/// A `strata registry` with the package set of the tests.
struct Server {
    process: Child,
    host: String,
}

impl Server {
    fn start(directory: &std::path::Path) -> Result<Self> {
        let set = offline_nixpkgs_with_nix();
        let functions = directory.join("strata.nix");
        let text = format!(
            "import {ROOT}/nix {{ pkgs = import {} {{ system = \"x86_64-linux\"; }}; }}",
            set.display()
        );
        fs::write(&functions, text)?;
        let mut command = nix(&program("strata"));
        command.args(["registry", "--quiet", "--listen", "127.0.0.1:0", "--source"]);
        command.arg(format!("path:{}", set.display()));
        command.arg("--functions").arg(functions);
        fs::create_dir(directory.join("state"))?;
        command.arg("--state").arg(directory.join("state"));
        let mut process = command.stdout(Stdio::piped()).spawn()?;
        let output = process.stdout.take().context("no output")?;
        let mut address = String::new();
        BufReader::new(output).read_line(&mut address)?;
        let host = address
            .trim()
            .strip_prefix("http://")
            .context("no address")?;
        Ok(Self {
            host: host.to_owned(),
            process,
        })
    }

    /// A count of its metrics.
    fn metric(&self, name: &str) -> Result<u64> {
        let text = client::get(&self.host, "/metrics")?;
        let text = String::from_utf8(text)?;
        let value = text.lines().find_map(|line| line.strip_prefix(name));
        Ok(value.context("no such metric")?.trim().parse()?)
    }

    /// The most memory that it had, in kB.
    fn peak(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|peak| peak.trim().strip_suffix(" kB"));
        Ok(peak.context("no peak")?.trim().parse()?)
    }
}
