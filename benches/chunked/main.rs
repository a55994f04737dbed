//! Layers that clients can fetch in parts, beside those of skopeo: how fast they are written, how large they are, and how much
//! of them a client fetches that has an older image. The table is that of the book.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

#[path = "../copy/build.rs"]
mod build;
#[path = "../copy/corpus.rs"]
mod corpus;
#[path = "../digest/measure.rs"]
mod measure;
mod versions;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use serde_json::Value;
use strata_compress::{TableOfContents, TablePosition, refetched};
use strata_oci::Descriptor;
use strata_testing::registry::{Registry, Setup};

use corpus::Corpus;
use measure::{Sample, median, run};
use versions::{Change, Version, version};

/// How many packages there are.
const PACKAGES: u64 = 300;
/// How often each program runs at most, and how long all rounds together may take.
const MOST_ROUNDS: usize = 4;
const MOST_TIME: Duration = Duration::from_mins(8);

// What is measured.
const ZSTD: &str = "strata, zstd";
const ZSTD_4: &str = "strata, zstd:4";
const CHUNKED: &str = "strata, zstd:chunked";
const SKOPEO: &str = "skopeo, zstd:chunked";
const CASES: [(&str, &str); 4] = [
    (ZSTD, "zstd"),
    (ZSTD_4, "zstd:4"),
    (CHUNKED, "zstd:chunked"),
    (SKOPEO, "zstd:chunked"),
];

fn main() -> Result<()> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("copy");
    let corpus = Corpus::open(&directory, PACKAGES, 1)?;
    let old = version(&corpus, Change::None)?;
    let registry = Registry::start(Setup::default());
    let bench = Bench {
        scratch: directory.join("chunked"),
        registry,
    };
    if bench.scratch.exists() {
        fs::remove_dir_all(&bench.scratch)?;
    }
    fs::create_dir_all(&bench.scratch)?;
    bench.speed(&old)?;
    bench.fetched(&corpus, &old)
}

struct Bench {
    scratch: PathBuf,
    registry: Registry,
}

impl Bench {
    /// How fast an image is pushed, and how much that is.
    fn speed(&self, old: &Version) -> Result<()> {
        let layout = self.layout(&old.image)?;
        let mut samples: Vec<(&str, Sample, u64)> = Vec::new();
        let (begin, mut rounds) = (Instant::now(), 0);
        while rounds < MOST_ROUNDS && (rounds == 0 || begin.elapsed() < MOST_TIME) {
            for (number, (case, compression)) in CASES.into_iter().enumerate() {
                let to = format!(
                    "docker://{}/speed-{rounds}-{number}:latest",
                    self.registry.host
                );
                let mut command = if case == SKOPEO {
                    skopeo(&layout, &to)
                } else {
                    self.strata(&old.image, &to, compression)?
                };
                let before = self.registry.bytes_read()?;
                let sample = run(&mut command).context(case)?;
                samples.push((case, sample, self.registry.bytes_read()? - before));
            }
            rounds += 1;
        }
        println!("\nmedians of {rounds} rounds\n");
        println!(
            "| | seconds | processor seconds | MB sent | MB at most |\n|---|---:|---:|---:|---:|"
        );
        for (case, _) in CASES {
            let of_case = samples.iter().filter(|sample| sample.0 == case);
            let sent = of_case.clone().map(|sample| sample.2).max().unwrap_or(0);
            let of_case: Vec<Sample> = of_case.map(|sample| sample.1).collect();
            let Sample { wall, cpu, peak } = median(&of_case);
            println!(
                "| {case} | {:.2} | {:.2} | {:.1} | {:.0} |",
                wall.as_secs_f64(),
                cpu.as_secs_f64(),
                sent as f64 / 1e6,
                peak as f64 / 1e6
            );
        }
        Ok(())
    }

    /// How much is fetched after each update.
    fn fetched(&self, corpus: &Corpus, old: &Version) -> Result<()> {
        println!("\n| what changed | MB of its files | strata | skopeo |\n|---|---:|---:|---:|");
        let before = [self.by_strata(old)?, self.by_skopeo(old)?];
        for (change, name) in Change::UPDATES {
            let new = version(corpus, change)?;
            let after = [self.by_strata(&new)?, self.by_skopeo(&new)?];
            let mut row = format!("| {name} | {:.2} |", new.changed as f64 / 1e6);
            for (before, after) in before.iter().zip(&after) {
                let (bytes, of) = fetched(before, after)?;
                let share = bytes as f64 * 100.0 / of as f64;
                write!(row, " {:.2} MB, {share:.2} % |", bytes as f64 / 1e6)?;
            }
            println!("{row}");
            for directory in after {
                fs::remove_dir_all(directory)?;
            }
        }
        Ok(())
    }

    /// The image as Strata pushes it, in a directory.
    fn by_strata(&self, version: &Version) -> Result<PathBuf> {
        let name = name_of(&version.image)?;
        let reference = format!("{}/fetched:latest", self.registry.host);
        run(&mut self.strata(
            &version.image,
            &format!("docker://{reference}"),
            "zstd:chunked",
        )?)?;
        let directory = self.scratch.join(format!("strata-{name}"));
        run(Command::new(env!("CARGO_BIN_EXE_strata"))
            .args(["pull", "--quiet", "--src-tls-verify=false", &reference])
            .arg(&directory))?;
        Ok(directory)
    }

    /// The image as skopeo writes it, in a directory.
    fn by_skopeo(&self, version: &Version) -> Result<PathBuf> {
        let name = name_of(&version.image)?;
        let directory = self.scratch.join(format!("skopeo-{name}"));
        let layout = self.layout(&version.image)?;
        run(&mut skopeo(
            &layout,
            &format!("dir:{}", directory.display()),
        ))?;
        Ok(directory)
    }

    /// An OCI layout with the layers as tar, as skopeo reads it.
    fn layout(&self, image: &Path) -> Result<String> {
        let directory = self.scratch.join("layout");
        if directory.exists() {
            fs::remove_dir_all(&directory)?;
        }
        let layout = format!("oci:{}:latest", directory.display());
        run(Command::new(env!("CARGO_BIN_EXE_strata"))
            .args(["copy", "--quiet"])
            .arg(image)
            .arg(&layout))?;
        Ok(layout)
    }

    /// Copies an image with Strata, from a machine that has no cache.
    fn strata(&self, image: &Path, destination: &str, compression: &str) -> Result<Command> {
        let home = tempfile::tempdir_in(&self.scratch)?.keep();
        let mut command = Command::new(env!("CARGO_BIN_EXE_strata"));
        command
            .args(["copy", "--quiet", "--compression", compression])
            .arg(image)
            .arg(destination)
            .env("HOME", &home)
            .env("XDG_CACHE_HOME", &home);
        Ok(command)
    }
}

/// Copies a layout with the skopeo of a Debian 13, if there is one (`scripts/test-newer`); older ones write tables that
/// nobody reads.
fn skopeo(layout: &str, destination: &str) -> Command {
    let mut command = match std::env::var_os("STRATA_DEBIAN_ENGINES") {
        None => Command::new("skopeo"),
        Some(root) => {
            // The programs and libraries of that Debian, and all else of this machine.
            let script =
                r#"for name in usr; do mount --bind "$0/$name" "/$name"; done; exec skopeo "$@""#;
            let mut command = Command::new("unshare");
            command.args(["--mount", "sh", "-euc", script]).arg(root);
            command
        }
    };
    command.args([
        "--insecure-policy",
        "copy",
        "--quiet",
        "--dest-tls-verify=false",
        "--dest-compress-format=zstd:chunked",
        "--dest-compress",
    ]);
    command.args([layout, destination]);
    // Without this skopeo has the cache of root in a place that cannot be chosen.
    command.env("_CONTAINERS_ROOTLESS_UID", "1000");
    command
}

fn name_of(image: &Path) -> Result<&str> {
    let name = image.file_name().and_then(|name| name.to_str());
    name.context("outputs have names")
}

/// The layers of an image in a directory of skopeo's form.
fn layers(directory: &Path) -> Result<Vec<Descriptor>> {
    let manifest: Value = serde_json::from_slice(&fs::read(directory.join("manifest.json"))?)?;
    Ok(serde_json::from_value(manifest["layers"].clone())?)
}

fn tables(directory: &Path, layers: &[Descriptor]) -> Result<Vec<Option<TableOfContents>>> {
    let read = |layer: &Descriptor| {
        let Some(position) = TablePosition::of(layer) else {
            return Ok(None);
        };
        let blob = fs::read(directory.join(layer.digest.hex()))?;
        let range = usize::try_from(position.range.start)?..usize::try_from(position.range.end)?;
        let table = TableOfContents::parse(&blob[range], &position);
        table.map(Some).map_err(|message| anyhow!(message))
    };
    layers.iter().map(read).collect()
}

/// How many bytes a client fetches of the image in `after` that has the one in `before`, and how many there are.
fn fetched(before: &Path, after: &Path) -> Result<(u64, u64)> {
    let old = layers(before)?;
    let known: Vec<TableOfContents> = tables(before, &old)?.into_iter().flatten().collect();
    let known_layers: BTreeSet<_> = old.iter().map(|layer| layer.digest).collect();
    let new = layers(after)?;
    let mut bytes = 0;
    for (layer, table) in new.iter().zip(tables(after, &new)?) {
        if !known_layers.contains(&layer.digest) {
            bytes += table.map_or(layer.size, |table| refetched(&known, &table).bytes);
        }
    }
    Ok((bytes, new.iter().map(|layer| layer.size).sum()))
}
