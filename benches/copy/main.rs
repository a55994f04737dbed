//! How fast `strata copy` is beside `skopeo copy`, which is given an OCI layout of the same image with
//! its layers ready as tar. Both push to a real registry and load into real engines, in turn, several times; the table,
//! which is that of the book, shows medians. With `--quick` it is small: to see that it runs.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

mod build;
mod corpus;
mod images;
mod limit;
#[path = "../digest/measure.rs"]
mod measure;
mod report;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use corpus::Corpus;
use images::Images;
use measure::{Sample, run};
use report::Report;
use strata_testing::engines::{self, Docker};
use strata_testing::keeper::Keeper;
use strata_testing::registry::{Registry, Setup};

/// How often each program runs at most, and how long all rounds together may take: as many are
/// run as fit into that, but one at least.
const MOST_ROUNDS: usize = 5;
const MOST_TIME: Duration = Duration::from_mins(8);
/// Versions of the application: one to begin with, two for each round.
const VERSIONS: usize = 1 + 2 * MOST_ROUNDS;
/// The small image has each eighth package, the large one all three times.
const SMALL: usize = 8;
const LARGE: usize = 3;
/// How many packages there are, and how many where it is to be quick.
const PACKAGES: u64 = 300;
const QUICK_PACKAGES: u64 = 32;

// What is measured.
const GZIP_SKOPEO: &str = "first push, gzip: skopeo";
const GZIP: &str = "first push, gzip: strata";
const GZIP_LIMIT: &str = "compressing and hashing alone, gzip";
const ZSTD: &str = "first push, zstd: strata";
const ZSTD_LIMIT: &str = "compressing and hashing alone, zstd";
const PUSH_SKOPEO: &str = "push, application edited: skopeo";
const PUSH: &str = "push, application edited: strata";
const PUSH_ONE_LAYER: &str = "push, application edited, one layer: strata";
const PUSH_SMALL: &str = "push, application edited, small image: strata";
const PUSH_LARGE: &str = "push, application edited, large image: strata";
const PUSH_LIBRARY_SKOPEO: &str = "push, library rebuilt: skopeo";
const PUSH_LIBRARY: &str = "push, library rebuilt: strata";
const LOAD_SKOPEO: &str = "load into Docker, application edited: skopeo";
const LOAD: &str = "load into Docker, application edited: strata";
const LOAD_ONE_LAYER: &str = "load into Docker, application edited, one layer: strata";
const LOAD_SMALL: &str = "load into Docker, application edited, small image: strata";
const LOAD_LARGE: &str = "load into Docker, application edited, large image: strata";
const LOAD_LIBRARY: &str = "load into Docker, library rebuilt: strata";
const PODMAN_SKOPEO: &str = "load into podman, application edited: skopeo";
const PODMAN: &str = "load into podman, application edited: strata";
const PODMAN_LIBRARY: &str = "load into podman, library rebuilt: strata";

/// With this and two more arguments it only compresses and hashes, in a process of its own.
const LIMIT: &str = "--limit";

/// What is measured, in the order of the table.
const CASES: [&str; 21] = [
    GZIP_SKOPEO,
    GZIP,
    GZIP_LIMIT,
    ZSTD,
    ZSTD_LIMIT,
    PUSH_SKOPEO,
    PUSH,
    PUSH_ONE_LAYER,
    PUSH_SMALL,
    PUSH_LARGE,
    PUSH_LIBRARY_SKOPEO,
    PUSH_LIBRARY,
    LOAD_SKOPEO,
    LOAD,
    LOAD_ONE_LAYER,
    LOAD_SMALL,
    LOAD_LARGE,
    LOAD_LIBRARY,
    PODMAN_SKOPEO,
    PODMAN,
    PODMAN_LIBRARY,
];

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, compression, layout] = arguments.as_slice()
        && flag == LIMIT
    {
        return limit::run(compression, Path::new(layout));
    }
    let is_quick = std::env::args().any(|argument| argument == "--quick");
    let (name, packages, most_rounds) = if is_quick {
        ("copy-quick", QUICK_PACKAGES, 1)
    } else {
        ("copy", PACKAGES, MOST_ROUNDS)
    };
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let corpus = Corpus::open(&directory, packages, VERSIONS)?;
    let load_before = report::load()?;
    let begin = Instant::now();
    let mut bench = Bench::new(&corpus, &directory)?;
    let mut rounds = 0;
    let mut longest = Duration::ZERO;
    while rounds < most_rounds && (rounds == 0 || begin.elapsed() + longest < MOST_TIME) {
        let begin = Instant::now();
        bench.round(rounds)?;
        longest = longest.max(begin.elapsed());
        rounds += 1;
    }
    let images =
        [&bench.usual, &bench.small, &bench.large].map(|images| images.with_application(0));
    let [usual, small, large] = images;
    bench
        .report
        .print([usual?, small?, large?], rounds, &load_before)
}

struct Bench<'a> {
    /// Takes away `scratch` and what podman mounts in it.
    _keeper: Keeper,
    scratch: PathBuf,
    usual: Images<'a>,
    one_layer: Images<'a>,
    small: Images<'a>,
    large: Images<'a>,
    registry: Registry,
    docker: &'static Docker,
    /// The file that says where podman's storage is.
    storage: PathBuf,
    report: Report,
}

impl<'a> Bench<'a> {
    /// Brings everything to where the first round begins: engines know all images, the registry those that are not
    /// pushed anew in each round.
    fn new(corpus: &'a Corpus, directory: &Path) -> Result<Self> {
        let scratch = tempfile::tempdir_in(directory)?.keep();
        let usual = Images::some(corpus, "usual", 1);
        let bench = Self {
            storage: storage(&scratch)?,
            _keeper: Keeper::daemon(scratch.clone(), &[]),
            scratch,
            one_layer: usual.in_one_layer(),
            usual,
            small: Images::some(corpus, "small", SMALL),
            large: Images::several(corpus, "large", LARGE)?,
            registry: Registry::start(Setup::default()),
            docker: engines::docker(),
            report: Report::default(),
        };
        let images = [
            ("usual", &bench.usual),
            ("one-layer", &bench.one_layer),
            ("small", &bench.small),
            ("large", &bench.large),
        ];
        for (name, images) in images {
            let image = images.with_application(0)?;
            run(&mut bench.strata(&image, &format!("docker-daemon:{name}:latest"))?)?;
            if name == "usual" {
                run(&mut bench.strata(&image, "containers-storage:usual:latest")?)?;
            } else {
                let registry = bench.repository(name) + ":latest";
                run(&mut bench.strata(&image, &registry)?)?;
            }
        }
        Ok(bench)
    }

    /// Runs everything once. Repositories, and versions of the application, are new in each round.
    fn round(&mut self, round: usize) -> Result<()> {
        let repository = |name: &str| self.repository(&format!("{name}-{round}"));
        let (peer, gzip, zstd) = (repository("skopeo"), repository("gzip"), repository("zstd"));
        let (version, next) = (1 + 2 * round, 2 + 2 * round);
        let old = self.usual.with_application(0)?;
        let new = self.usual.with_application(version)?;
        let newer = self.usual.with_application(next)?;
        let rebuilt = self.usual.with_library(version, round)?;
        let one_layer = self.one_layer.with_application(version)?;
        let small = self.small.with_application(version)?;
        let large = self.large.with_application(version)?;
        // For an engine, every image must be another one than the last. A tag is new for each push,
        // as in continuous integration; `latest` is what is learned from.
        let of_round = |name: &str| format!("{}:{round}", self.repository(name));
        let docker = |name: &str| format!("docker-daemon:{name}:latest");
        let podman = "containers-storage:usual:latest".to_owned();
        let work = [
            (GZIP_SKOPEO, &old, format!("{peer}:latest")),
            (GZIP, &old, format!("{gzip}:latest")),
            (GZIP_LIMIT, &old, "gzip".to_owned()),
            (ZSTD, &old, format!("{zstd}:latest")),
            (ZSTD_LIMIT, &old, "zstd".to_owned()),
            (PUSH_SKOPEO, &new, format!("{peer}:new")),
            (PUSH, &new, format!("{gzip}:new")),
            (PUSH_LIBRARY_SKOPEO, &rebuilt, format!("{peer}:rebuilt")),
            (PUSH_LIBRARY, &rebuilt, format!("{gzip}:rebuilt")),
            (PUSH_ONE_LAYER, &one_layer, of_round("one-layer")),
            (PUSH_SMALL, &small, of_round("small")),
            (PUSH_LARGE, &large, of_round("large")),
            (LOAD, &new, docker("usual")),
            (LOAD_SMALL, &small, docker("small")),
            (LOAD_LARGE, &large, docker("large")),
            (LOAD_LIBRARY, &rebuilt, docker("usual")),
            (PODMAN, &new, podman.clone()),
            (PODMAN_LIBRARY, &rebuilt, podman.clone()),
            (PODMAN_SKOPEO, &newer, podman),
            // Last, because the engine is busy with what it loaded for a while.
            (LOAD_ONE_LAYER, &one_layer, docker("one-layer")),
            (LOAD_SKOPEO, &newer, docker("usual")),
        ];
        for (case, image, destination) in work {
            let mut command = if matches!(case, GZIP_LIMIT | ZSTD_LIMIT) {
                self.limit(image, &destination)?
            } else if case.ends_with("skopeo") {
                self.skopeo(image, &destination)?
            } else {
                self.strata(image, &destination)?
            };
            if case == ZSTD {
                command.arg("--compression=zstd");
            }
            let before = self.registry.bytes_read()?;
            let sample: Sample = run(&mut command).with_context(|| case)?;
            let received = self.registry.bytes_read()? - before;
            let is_push = destination.starts_with("docker://");
            self.report.add(case, sample, is_push.then_some(received));
        }
        Ok(())
    }

    fn repository(&self, name: &str) -> String {
        format!("docker://{}/{name}", self.registry.host)
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
        let layout = format!("oci:{}:{tag}", self.scratch.join("layout").display());
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

    /// Compresses and hashes the layers of an image, and sends nothing.
    fn limit(&self, image: &Path, compression: &str) -> Result<Command> {
        let layout = self.scratch.path().join("limit");
        if !layout.exists() {
            let destination = format!("oci:{}:latest", layout.display());
            run(&mut self.strata(image, &destination)?)?;
        }
        let mut command = Command::new(std::env::current_exe()?);
        command.args([LIMIT, compression]).arg(layout);
        Ok(command)
    }

    fn on_an_empty_machine(&self, command: &mut Command) -> Result<()> {
        let home = tempfile::tempdir_in(&self.scratch)?.keep();
        command
            .env_remove("DOCKER_CONTEXT")
            .env("DOCKER_HOST", self.docker.host())
            .env("CONTAINERS_STORAGE_CONF", &self.storage)
            .env("HOME", &home)
            .env("XDG_CACHE_HOME", &home)
            .env("XDG_DATA_HOME", &home)
            .env("XDG_RUNTIME_DIR", &home);
        if command.get_program() == "skopeo" && !goes_to_podman(command) {
            // Without this skopeo has the cache of root in a place that cannot be chosen.
            command.env("_CONTAINERS_ROOTLESS_UID", "1000");
        }
        Ok(())
    }
}

fn goes_to_podman(command: &Command) -> bool {
    let mut arguments = command.get_args().map(OsString::from);
    arguments.any(|argument| {
        argument
            .to_string_lossy()
            .starts_with("containers-storage:")
    })
}

/// Where podman has its images during the benchmark.
fn storage(directory: &Path) -> Result<PathBuf> {
    let at = |name: &str| directory.join(name).display().to_string();
    let text = format!(
        "[storage]\ndriver = \"overlay\"\nrunroot = \"{}\"\ngraphroot = \"{}\"\n",
        at("containers-run"),
        at("containers-root"),
    );
    let file = directory.join("storage.conf");
    fs::write(&file, text)?;
    Ok(file)
}
