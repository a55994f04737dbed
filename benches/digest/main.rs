//! How fast `strata-builder` digests a closure, beside what this machine can do at best and beside
//! `tar | sha256sum`. All run as processes of their own, in turn, several times; the table shows
//! medians.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "figures for people, and sizes far below the limits"
)]

mod corpus;
mod limits;
mod measure;
mod random;

use std::path::Path;
use std::process::Command;
use std::{fs, thread};

use anyhow::{Context, Result, bail};
use serde_json::json;
use strata_layer::{LAYERS_FILE, LayerRecord, LayersFile};
use strata_nix::ClosureEntry;
use tempfile::TempDir;

use corpus::Corpus;
use measure::{Sample, median, run};

/// How often each program runs, and how often the one that has nothing to do.
const ROUNDS: usize = 5;
const STARTS: usize = 200;

const GB: f64 = 1e9;
const MB: f64 = 1e6;

// The programs that others are compared with.
const DEFAULT: &str = "strata, cut by default";
const ONE_LAYER: &str = "strata, 1 layer";
const SOME_LAYERS: &str = "strata, 100 layers";
const MANY_LAYERS: &str = "strata, 320 layers";
const HASH: &str = "SHA-256 in memory, 1 core";
const HASH_ON_ALL: &str = "SHA-256 in memory, all cores";
const READ_AND_HASH: &str = "files read and hashed, all cores";
const FILES: &str = "strata, 50,000 files";
const TWICE_THE_FILES: &str = "strata, 100,000 files";
const FILES_AT_ROOT: &str = "strata, 50,000 files at /";
const TWICE_THE_FILES_AT_ROOT: &str = "strata, 100,000 files at /";

fn main() -> Result<()> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("digest");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["sha256", threads, bytes] => limits::sha256(threads.parse()?, bytes.parse()?),
        ["read-and-hash", threads] => {
            let closure = Corpus::open(&directory)?.closure;
            limits::read_and_hash(&closure, threads.parse()?)?;
        }
        [] | ["--bench"] => Bench::new(&directory)?.run()?,
        _ => bail!("usage: cargo bench --bench digest"),
    }
    Ok(())
}

struct Bench {
    corpus: Corpus,
    /// For requests and outputs.
    scratch: TempDir,
    cores: String,
    programs: Vec<Program>,
}

/// A row of the table.
struct Program {
    name: &'static str,
    command: Command,
    /// The layers that it makes, of `strata-builder`.
    layers: Vec<LayerRecord>,
    /// The size of what it digests.
    bytes: u64,
    samples: Vec<Sample>,
}

impl Program {
    fn seconds(&self) -> f64 {
        median(&self.samples).wall.as_secs_f64()
    }
}

impl Bench {
    fn new(directory: &Path) -> Result<Self> {
        Ok(Self {
            corpus: Corpus::open(directory)?,
            scratch: tempfile::tempdir_in(directory)?,
            cores: thread::available_parallelism()?.to_string(),
            programs: Vec::new(),
        })
    }

    fn run(mut self) -> Result<()> {
        let load_before = load()?;
        self.add_programs()?;
        for _ in 0..ROUNDS {
            for program in &mut self.programs {
                remove(&self.scratch.path().join("out"))?;
                program.samples.push(run(&mut program.command)?);
            }
        }
        println!(
            "\n{} store paths, {} files; {} cores; load {load_before} to {}; medians of {ROUNDS} rounds\n",
            self.corpus.closure.len(),
            self.corpus.files,
            self.cores,
            load()?,
        );
        self.print_table();
        self.print_targets()
    }

    fn add_programs(&mut self) -> Result<()> {
        let closure = self.corpus.closure.clone();
        self.strata(DEFAULT, &closure, None, "deps")?;
        let bytes = self.strata(ONE_LAYER, &closure, Some(1), "deps")?;
        self.strata(SOME_LAYERS, &closure, Some(100), "deps")?;
        self.strata(MANY_LAYERS, &closure, Some(closure.len()), "deps")?;

        let (cores, size) = (self.cores.clone(), bytes.to_string());
        self.limit(HASH, &["sha256", "1", &size], bytes)?;
        self.limit(HASH_ON_ALL, &["sha256", &cores, &size], bytes)?;
        self.limit(READ_AND_HASH, &["read-and-hash", &cores], bytes)?;
        self.tar("tar | sha256sum, 1 layer", ONE_LAYER)?;
        self.tar("tar | sha256sum, 100 layers", SOME_LAYERS)?;

        let huge = [self.corpus.huge.clone()];
        self.strata("strata, a file of 2 GB", &huge, Some(1), "deps")?;
        let all = self.corpus.small.clone();
        let half = &all[..1];
        self.strata(FILES, half, Some(1), "deps")?;
        self.strata(TWICE_THE_FILES, &all, Some(1), "deps")?;
        self.strata(FILES_AT_ROOT, half, Some(1), "copyToRoot")?;
        self.strata(TWICE_THE_FILES_AT_ROOT, &all, Some(1), "copyToRoot")?;
        Ok(())
    }

    /// The table as the book has it.
    fn print_table(&self) {
        println!(
            "| | seconds | processor seconds | GB/s | MB at most |\n|---|---:|---:|---:|---:|"
        );
        for program in &self.programs {
            let Sample { cpu, peak, .. } = median(&program.samples);
            println!(
                "| {} | {:.2} | {:.2} | {:.2} | {:.0} |",
                program.name.replace('|', "\\|"),
                program.seconds(),
                cpu.as_secs_f64(),
                program.bytes as f64 / program.seconds() / GB,
                peak as f64 / MB,
            );
        }
    }

    fn print_targets(&self) -> Result<()> {
        let seconds = |name| self.program(name).map(Program::seconds);
        let percent =
            |limit, name| Ok::<_, anyhow::Error>(100.0 * seconds(limit)? / seconds(name)?);
        let times = |more, name| Ok::<_, anyhow::Error>(seconds(more)? / seconds(name)?);

        let cut = self.program(DEFAULT)?;
        let largest = cut.layers.iter().map(|layer| layer.size).max().unwrap_or(0);
        let share = largest as f64 / cut.bytes as f64;
        println!(
            "\nOf the {} layers of the default one has {:.0} % of the bytes; its SHA-256 alone takes {:.3} s.\n",
            cut.layers.len(),
            100.0 * share,
            share * seconds(HASH)?,
        );

        let strata = self
            .programs
            .iter()
            .filter(|program| program.name.starts_with("strata"));
        let peak = strata
            .map(|program| median(&program.samples).peak)
            .max()
            .unwrap_or(0);
        let start = 1000.0 * self.start()?.wall.as_secs_f64();
        let whole = times(DEFAULT, READ_AND_HASH)?;
        at_most(
            "cut by default, to files read and hashed",
            whole,
            1.15,
            "times",
        );
        let many = percent(READ_AND_HASH, MANY_LAYERS)?;
        at_least(
            "320 layers: share of files read and hashed",
            many,
            90.0,
            "%",
        );
        at_least(
            "1 layer: share of SHA-256 on 1 core",
            percent(HASH, ONE_LAYER)?,
            80.0,
            "%",
        );
        at_most("peak memory", peak as f64 / MB, 64.0, "MB");
        at_most(
            "twice as many files",
            times(TWICE_THE_FILES, FILES)?,
            2.2,
            "times",
        );
        let at_root = times(TWICE_THE_FILES_AT_ROOT, FILES_AT_ROOT)?;
        at_most("twice as many files at /", at_root, 2.2, "times");
        at_most("strata-builder from start to end", start, 5.0, "ms");
        Ok(())
    }

    /// Adds `strata-builder`, with at most so many layers or as many as it makes by itself, with an image whose argument `argument` is `closure`. A first run warms
    /// the cache and shows the layers; gives their size.
    fn strata(
        &mut self,
        name: &'static str,
        closure: &[ClosureEntry],
        max_layers: Option<usize>,
        argument: &str,
    ) -> Result<u64> {
        let mut command = self.builder(closure, max_layers, argument)?;
        let out = self.scratch.path().join("out");
        remove(&out)?;
        run(&mut command)?;
        let layers = LayersFile::parse(&fs::read(out.join(LAYERS_FILE))?, LAYERS_FILE)?.layers;
        let bytes = layers.iter().map(|layer| layer.size).sum();
        self.add(name, command, layers, bytes);
        Ok(bytes)
    }

    /// The command that builds an image in the directory `out`.
    fn builder(
        &self,
        closure: &[ClosureEntry],
        max_layers: Option<usize>,
        argument: &str,
    ) -> Result<Command> {
        let paths: Vec<&str> = closure.iter().map(|entry| entry.path.as_str()).collect();
        let mut request = json!({
            "version": 1,
            "storeDir": self.corpus.store,
            argument: paths,
            "image": {
                "name": "bench", "tag": "1", "arch": "amd64", "created": "1970-01-01T00:00:01Z",
            },
        });
        if let Some(layers) = max_layers {
            request["maxLayers"] = json!(layers);
        }
        let attrs = json!({
            "outputs": { "out": self.scratch.path().join("out") },
            "closure": closure,
            "request": request,
        });
        let number = self.programs.len();
        let file = self.scratch.path().join(format!("attrs-{number}.json"));
        fs::write(&file, serde_json::to_vec(&attrs)?)?;
        let mut command = Command::new(strata_testing::program("strata-builder"));
        command.arg(file);
        Ok(command)
    }

    /// Adds this program with other arguments.
    fn limit(&mut self, name: &'static str, arguments: &[&str], bytes: u64) -> Result<()> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments);
        self.add(name, command, Vec::new(), bytes);
        Ok(())
    }

    /// Adds GNU tar and sha256sum for each layer of an image, as many layers at a time as there are
    /// cores. Most of their time is the hash: Debian's sha256sum uses no SHA instructions.
    fn tar(&mut self, name: &'static str, image: &str) -> Result<()> {
        let lists = self
            .scratch
            .path()
            .join(format!("layers-{}", self.programs.len()));
        fs::create_dir(&lists)?;
        let image = self.program(image)?;
        for (number, layer) in image.layers.iter().enumerate() {
            let paths = layer.recipe.sources.iter();
            let paths: Vec<&str> = paths.map(|source| source.store_path.as_str()).collect();
            fs::write(lists.join(number.to_string()), paths.join("\n"))?;
        }
        let pipe = "tar --create --absolute-names --sort=name --mtime=@1 --owner=0 --group=0 \
                    --numeric-owner --hard-dereference --files-from={} | sha256sum";
        let script = format!("ls | xargs -P {} -I {{}} sh -c '{pipe}'", self.cores);
        let mut command = Command::new("sh");
        command.args(["-c", &script]).current_dir(lists);
        let bytes = image.bytes;
        self.add(name, command, Vec::new(), bytes);
        Ok(())
    }

    fn add(&mut self, name: &'static str, command: Command, layers: Vec<LayerRecord>, bytes: u64) {
        self.programs.push(Program {
            name,
            command,
            layers,
            bytes,
            samples: Vec::new(),
        });
    }

    fn program(&self, name: &str) -> Result<&Program> {
        let mut programs = self.programs.iter();
        programs
            .find(|program| program.name == name)
            .with_context(|| format!("no program is called {name}"))
    }

    /// What an image of nothing takes.
    fn start(&self) -> Result<Sample> {
        let mut command = self.builder(&[], Some(1), "deps")?;
        let mut samples = Vec::new();
        for _ in 0..STARTS {
            remove(&self.scratch.path().join("out"))?;
            samples.push(run(&mut command)?);
        }
        Ok(median(&samples))
    }
}

fn at_least(what: &str, figure: f64, target: f64, unit: &str) {
    let verdict = if figure >= target { "met" } else { "MISSED" };
    println!("{what:47} {figure:6.2} {unit:5} (at least {target}): {verdict}");
}

fn at_most(what: &str, figure: f64, target: f64, unit: &str) {
    let verdict = if figure <= target { "met" } else { "MISSED" };
    println!("{what:47} {figure:6.2} {unit:5} (at most {target}): {verdict}");
}

fn remove(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory)?;
    }
    Ok(())
}

/// How many processes wanted to run in the last minute.
fn load() -> Result<String> {
    let load = fs::read_to_string("/proc/loadavg")?;
    Ok(load.split(' ').next().unwrap_or_default().to_owned())
}
