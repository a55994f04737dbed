//! How fast `strata copy` is beside `skopeo copy`, which is given an OCI layout of the same image with
//! its layers ready as tar. Both push to a real registry and load into a real Docker engine, in turn,
//! several times; the table shows medians.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

mod corpus;
mod images;
#[path = "../digest/measure.rs"]
mod measure;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Context, Result};
use strata_image::Image;
use tempfile::TempDir;

use corpus::Corpus;
use images::Images;
use measure::{Sample, median, run};
use strata_testing::engines::{self, Docker};
use strata_testing::registry::{Registry, Setup};

/// How often each program runs at most, and how long all rounds together may take: as many are
/// run as fit into that, but one at least.
const MOST_ROUNDS: usize = 5;
const MOST_TIME: Duration = Duration::from_mins(4);
/// Versions of the application: one to begin with, two for each round.
const VERSIONS: usize = 1 + 2 * MOST_ROUNDS;
/// Which packages the large and the small image have: all, or each eighth, which is some 0.2 GB.
const ALL: usize = 1;
const EIGHTH: usize = 8;

const GB: f64 = 1e9;
const MB: f64 = 1e6;

/// What is measured, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Case {
    GzipSkopeo,
    Gzip,
    Zstd,
    PushSkopeo,
    Push,
    PushSmall,
    LoadSkopeo,
    Load,
    LoadSmall,
}

impl Case {
    const ALL: [Self; 9] = [
        Self::GzipSkopeo,
        Self::Gzip,
        Self::Zstd,
        Self::PushSkopeo,
        Self::Push,
        Self::PushSmall,
        Self::LoadSkopeo,
        Self::Load,
        Self::LoadSmall,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::GzipSkopeo => "first push, gzip: skopeo",
            Self::Gzip => "first push, gzip: strata",
            Self::Zstd => "first push, zstd: strata",
            Self::PushSkopeo => "push, application edited: skopeo",
            Self::Push => "push, application edited: strata",
            Self::PushSmall => "push, the same of a small image: strata",
            Self::LoadSkopeo => "load, application edited: skopeo",
            Self::Load => "load, application edited: strata",
            Self::LoadSmall => "load, the same of a small image: strata",
        }
    }

    fn is_strata(self) -> bool {
        !matches!(self, Self::GzipSkopeo | Self::PushSkopeo | Self::LoadSkopeo)
    }
}

fn main() -> Result<()> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("copy");
    let corpus = Corpus::open(&directory, VERSIONS)?;
    let load_before = load()?;
    let begin = Instant::now();
    let mut bench = Bench::new(&corpus, &directory)?;
    let mut rounds = 0;
    let mut longest = Duration::ZERO;
    while rounds < MOST_ROUNDS && begin.elapsed() + longest < MOST_TIME {
        let begin = Instant::now();
        bench.round(rounds)?;
        longest = longest.max(begin.elapsed());
        rounds += 1;
    }
    bench.print_title(rounds, &load_before)?;
    bench.print_table();
    bench.print_targets();
    Ok(())
}

/// A client that was run once.
struct Run {
    case: Case,
    sample: Sample,
    /// What the registry read meanwhile.
    received: u64,
}

struct Bench<'a> {
    scratch: TempDir,
    large: Images<'a>,
    small: Images<'a>,
    registry: Registry,
    docker: &'static Docker,
    runs: Vec<Run>,
}

impl<'a> Bench<'a> {
    /// Brings everything to where the first round begins: the engine knows both images, the registry
    /// the small one.
    fn new(corpus: &'a Corpus, directory: &Path) -> Result<Self> {
        let bench = Self {
            scratch: tempfile::tempdir_in(directory)?,
            large: Images::new(corpus, ALL),
            small: Images::new(corpus, EIGHTH),
            registry: Registry::start(Setup::default()),
            docker: engines::docker(),
            runs: Vec::new(),
        };
        let image = bench.large.with_application(0)?;
        let small = bench.small.with_application(0)?;
        let registry = format!("docker://{}/small:latest", bench.registry.host);
        run(&mut bench.strata(&image, "docker-daemon:large:latest")?)?;
        run(&mut bench.strata(&small, "docker-daemon:small:latest")?)?;
        run(&mut bench.strata(&small, &registry)?)?;
        Ok(bench)
    }

    /// Runs everything once. Repositories, and versions of the application, are new in each round.
    fn round(&mut self, round: usize) -> Result<()> {
        let repository = |name: &str| format!("docker://{}/{name}-{round}", self.registry.host);
        let (peer, gzip, zstd) = (repository("skopeo"), repository("gzip"), repository("zstd"));
        let old = self.large.with_application(0)?;
        let new = self.large.with_application(1 + 2 * round)?;
        let newer = self.large.with_application(2 + 2 * round)?;
        let small = self.small.with_application(1 + 2 * round)?;
        // For the engine, every image must be another one than the last. A tag is new for each push,
        // as in continuous integration; `latest` is what is learned from.
        let tagged = |name: &str, tag: &str| format!("{name}:{tag}");
        let small_tag = format!("docker://{}/small:{round}", self.registry.host);
        let commands = [
            (
                Case::GzipSkopeo,
                self.skopeo(&old, &tagged(&peer, "latest"))?,
            ),
            (Case::Gzip, self.strata(&old, &tagged(&gzip, "latest"))?),
            (Case::Zstd, self.strata(&old, &tagged(&zstd, "latest"))?),
            (Case::PushSkopeo, self.skopeo(&new, &tagged(&peer, "new"))?),
            (Case::Push, self.strata(&new, &tagged(&gzip, "new"))?),
            (Case::PushSmall, self.strata(&small, &small_tag)?),
            (Case::Load, self.strata(&new, "docker-daemon:large:latest")?),
            (
                Case::LoadSmall,
                self.strata(&small, "docker-daemon:small:latest")?,
            ),
            // Last, because the engine is busy with what it loaded for a while.
            (
                Case::LoadSkopeo,
                self.skopeo(&newer, "docker-daemon:large:latest")?,
            ),
        ];
        for (case, mut command) in commands {
            if case == Case::Zstd {
                command.arg("--compression=zstd");
            }
            let before = self.registry.bytes_read()?;
            let sample = run(&mut command)?;
            let received = self.registry.bytes_read()? - before;
            self.runs.push(Run {
                case,
                sample,
                received,
            });
        }
        Ok(())
    }

    /// Copies an image with Strata, from a machine that has no cache.
    fn strata(&self, image: &Path, destination: &str) -> Result<Command> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_strata"));
        command
            .args(["copy", "--quiet"])
            .arg(image)
            .arg(destination);
        self.on_an_empty_machine(&mut command)?;
        Ok(command)
    }

    /// Copies an image with skopeo, from a machine that has an OCI layout of it and nothing else.
    fn skopeo(&self, image: &Path, destination: &str) -> Result<Command> {
        let tag = image.file_name().and_then(|name| name.to_str());
        let tag = tag.context("outputs have names")?;
        let layout = format!("oci:{}:{tag}", self.scratch.path().join("layout").display());
        run(&mut self.strata(image, &layout)?)?;
        let mut command = Command::new("skopeo");
        command.args([
            "--insecure-policy",
            "copy",
            "--quiet",
            "--dest-tls-verify=false",
        ]);
        command.args([&layout, destination]);
        if destination.starts_with("docker-daemon:") {
            command.args(["--dest-daemon-host", self.docker.host()]);
        }
        self.on_an_empty_machine(&mut command)?;
        Ok(command)
    }

    fn on_an_empty_machine(&self, command: &mut Command) -> Result<()> {
        let home = tempfile::tempdir_in(self.scratch.path())?.keep();
        command
            .env_remove("DOCKER_CONTEXT")
            .env("DOCKER_HOST", self.docker.host())
            .env("HOME", &home)
            .env("XDG_CACHE_HOME", &home)
            .env("XDG_DATA_HOME", &home)
            .env("XDG_RUNTIME_DIR", &home)
            // Without this skopeo has the cache of root in a place that cannot be chosen.
            .env("_CONTAINERS_ROOTLESS_UID", "1000");
        Ok(())
    }

    fn print_title(&self, rounds: usize, load_before: &str) -> Result<()> {
        let size = |images: &Images<'_>| -> Result<(usize, f64)> {
            let image = Image::open(&images.with_application(0)?)?;
            let sizes = image.layers.iter().map(|layer| layer.descriptor().size);
            Ok((image.layers.len(), sizes.sum::<u64>() as f64 / GB))
        };
        let ((layers, large), (_, small)) = (size(&self.large)?, size(&self.small)?);
        println!(
            "\n{layers} layers of {large:.2} GB, of {small:.2} GB in the small image; {} cores; \
             load {load_before} to {}; medians of {rounds} rounds\n",
            thread::available_parallelism()?,
            load()?,
        );
        Ok(())
    }

    fn print_table(&self) {
        println!(
            "{:40} {:>8} {:>8} {:>9} {:>8}",
            "", "seconds", "cpu s", "MB sent", "MB peak"
        );
        for case in Case::ALL {
            let (Sample { wall, cpu, peak }, received) = self.median(case);
            let sent = match case {
                Case::LoadSkopeo | Case::Load | Case::LoadSmall => String::new(),
                _ => format!("{:.2}", received as f64 / MB),
            };
            println!(
                "{:40} {:8.3} {:8.3} {sent:>9} {:8.1}",
                case.name(),
                wall.as_secs_f64(),
                cpu.as_secs_f64(),
                peak as f64 / MB,
            );
        }
    }

    fn print_targets(&self) {
        let sample = |case| self.median(case).0;
        let wall = |slow, fast| sample(slow).wall.as_secs_f64() / sample(fast).wall.as_secs_f64();
        let cpu = |slow, fast| sample(slow).cpu.as_secs_f64() / sample(fast).cpu.as_secs_f64();
        let bytes = |one, other| self.median(one).1 as f64 / self.median(other).1 as f64;
        let strata = self.runs.iter().filter(|run| run.case.is_strata());
        let peak = strata.map(|run| run.sample.peak).max().unwrap_or(0) as f64 / MB;
        println!();
        for (what, slow, fast, target) in [
            (
                "first push, gzip: times as fast",
                Case::GzipSkopeo,
                Case::Gzip,
                1.4,
            ),
            (
                "first push, zstd: times as fast",
                Case::GzipSkopeo,
                Case::Zstd,
                3.0,
            ),
            (
                "push of an edit: times as fast",
                Case::PushSkopeo,
                Case::Push,
                20.0,
            ),
            (
                "load of an edit: times as fast",
                Case::LoadSkopeo,
                Case::Load,
                20.0,
            ),
        ] {
            at_least(what, wall(slow, fast), target);
            println!(
                "  {:44} {:7.2}",
                "by the client's processor time",
                cpu(slow, fast)
            );
        }
        at_most(
            "gzip: share of skopeo's bytes",
            bytes(Case::Gzip, Case::GzipSkopeo),
            1.0,
        );
        at_most(
            "zstd: share of skopeo's bytes",
            bytes(Case::Zstd, Case::GzipSkopeo),
            1.0,
        );
        let of_small = [(Case::Push, Case::PushSmall), (Case::Load, Case::LoadSmall)];
        for ((large, small), what) in of_small.into_iter().zip([
            "push of an edit: large to small image",
            "load of an edit: large to small image",
        ]) {
            at_most(what, wall(large, small), 1.25);
        }
        at_most("peak memory of strata, MB", peak, 100.0);
    }

    /// The median times and bytes, and the highest peak.
    fn median(&self, case: Case) -> (Sample, u64) {
        let runs = || self.runs.iter().filter(|run| run.case == case);
        let samples: Vec<Sample> = runs().map(|run| run.sample).collect();
        let mut received: Vec<u64> = runs().map(|run| run.received).collect();
        received.sort_unstable();
        let received = received.get(received.len() / 2).copied().unwrap_or(0);
        (median(&samples), received)
    }
}

fn at_least(what: &str, figure: f64, target: f64) {
    let verdict = if figure >= target { "met" } else { "MISSED" };
    println!("{what:46} {figure:7.2} (at least {target}): {verdict}");
}

fn at_most(what: &str, figure: f64, target: f64) {
    let verdict = if figure <= target { "met" } else { "MISSED" };
    println!("{what:46} {figure:7.2} (at most {target}): {verdict}");
}

/// How many processes wanted to run in the last minute.
fn load() -> Result<String> {
    let load = fs::read_to_string("/proc/loadavg")?;
    Ok(load.split(' ').next().unwrap_or_default().to_owned())
}
