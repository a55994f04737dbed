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

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, bail};
use serde_json::json;
use strata::image::{LAYERS_FILE, LayersFile};
use strata::nix::ClosureEntry;

use corpus::Corpus;
use measure::{Sample, median, run};

/// How often each program runs, and how often the one that has nothing to do.
const ROUNDS: usize = 5;
const STARTS: usize = 200;

const GB: f64 = 1e9;
const MB: f64 = 1e6;

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
        [] | ["--bench"] => Bench::new(directory)?.run()?,
        _ => bail!("usage: cargo bench --bench digest"),
    }
    Ok(())
}

struct Bench {
    directory: PathBuf,
    corpus: Corpus,
    programs: Vec<Program>,
}

/// A row of the table.
struct Program {
    name: String,
    command: Command,
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
    fn new(directory: PathBuf) -> Result<Self> {
        let corpus = Corpus::open(&directory)?;
        Ok(Self {
            directory,
            corpus,
            programs: Vec::new(),
        })
    }

    fn run(mut self) -> Result<()> {
        let load_before = load()?;
        let cores = thread::available_parallelism()?.to_string();
        let closure = self.corpus.closure.clone();
        let [half, other_half] = self.corpus.small.clone();
        let half = [half];
        let whole = [half[0].clone(), other_half];
        let huge = [self.corpus.huge.clone()];

        let one = self.strata("strata, 1 layer", &closure, 1, "deps")?;
        let many = self.strata("strata, 100 layers", &closure, 100, "deps")?;
        let most = self.strata("strata, 320 layers", &closure, closure.len(), "deps")?;
        let bytes = self.programs[one].bytes;
        let size = bytes.to_string();
        let hash = self.limit("SHA-256 in memory, 1 core", &["sha256", "1", &size], bytes)?;
        self.limit(
            "SHA-256 in memory, all cores",
            &["sha256", &cores, &size],
            bytes,
        )?;
        let read = ["read-and-hash", &cores];
        let limit = self.limit("files read and hashed, all cores", &read, bytes)?;
        self.tar("tar | sha256sum, 1 layer", one, &cores)?;
        self.tar("tar | sha256sum, 100 layers", many, &cores)?;
        let huge = self.strata("strata, a file of 2 GB", &huge, 1, "deps")?;
        let in_store = [
            self.strata("strata, 50,000 files", &half, 1, "deps")?,
            self.strata("strata, 100,000 files", &whole, 1, "deps")?,
        ];
        let at_root = [
            self.strata("strata, 50,000 files at /", &half, 1, "copyToRoot")?,
            self.strata("strata, 100,000 files at /", &whole, 1, "copyToRoot")?,
        ];

        for _ in 0..ROUNDS {
            for program in &mut self.programs {
                remove(&self.directory.join("out"))?;
                program.samples.push(run(&mut program.command)?);
            }
        }
        let start = self.start()?;

        println!(
            "\n{} store paths, {} files, {:.2} GB in layers; {cores} cores; load {load_before} to {}; \
             medians of {ROUNDS} rounds\n",
            closure.len(),
            self.corpus.files,
            bytes as f64 / GB,
            load()?,
        );
        self.print_table();

        let seconds = |program: usize| self.programs[program].seconds();
        let ratio = |program, other| seconds(program) / seconds(other);
        let largest = self.largest_layer(many)? as f64 / bytes as f64;
        let strata = [one, many, most, huge]
            .into_iter()
            .chain(in_store)
            .chain(at_root);
        let peak = strata
            .map(|program| median(&self.programs[program].samples).peak)
            .max();
        println!();
        at_least(
            "320 layers: share of files read and hashed",
            100.0 * ratio(limit, most),
            90.0,
            "%",
        );
        at_least(
            "1 layer: share of one core's SHA-256",
            100.0 * ratio(hash, one),
            80.0,
            "%",
        );
        // One layer of the hundred holds what is not popular, nearly everything, and takes longest.
        let share = 100.0 * largest * ratio(hash, many);
        at_least(
            "100 layers: share of the largest one's SHA-256",
            share,
            80.0,
            "%",
        );
        at_most("peak memory", peak.unwrap_or(0) as f64 / MB, 64.0, "MB");
        at_most(
            "twice as many files",
            ratio(in_store[1], in_store[0]),
            2.2,
            "times",
        );
        at_most(
            "twice as many files at /",
            ratio(at_root[1], at_root[0]),
            2.2,
            "times",
        );
        at_most(
            "start and end of strata-builder",
            1000.0 * start.wall.as_secs_f64(),
            5.0,
            "ms",
        );
        Ok(())
    }

    /// Adds `strata-builder` with an image whose argument `argument` is `closure`. A first run warms
    /// the cache and tells the size.
    fn strata(
        &mut self,
        name: &str,
        closure: &[ClosureEntry],
        max_layers: usize,
        argument: &str,
    ) -> Result<usize> {
        let number = self.programs.len();
        let mut command =
            self.builder(&format!("attrs-{number}"), closure, max_layers, argument)?;
        remove(&self.directory.join("out"))?;
        run(&mut command)?;
        remove(&self.image(number))?;
        fs::rename(self.directory.join("out"), self.image(number))?;
        let bytes = self
            .layers(number)?
            .layers
            .iter()
            .map(|layer| layer.size)
            .sum();
        Ok(self.add(name, command, bytes))
    }

    fn builder(
        &self,
        name: &str,
        closure: &[ClosureEntry],
        max_layers: usize,
        argument: &str,
    ) -> Result<Command> {
        let paths: Vec<&str> = closure.iter().map(|entry| entry.path.as_str()).collect();
        let attrs = json!({
            "outputs": { "out": self.directory.join("out") },
            "closure": closure,
            "request": {
                "version": 1,
                "storeDir": self.corpus.store,
                argument: paths,
                "maxLayers": max_layers,
                "image": {
                    "name": "bench", "tag": "1", "arch": "amd64", "created": "1970-01-01T00:00:01Z",
                },
            },
        });
        let file = self.directory.join(format!("{name}.json"));
        fs::write(&file, serde_json::to_vec(&attrs)?)?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_strata-builder"));
        command.arg(file);
        Ok(command)
    }

    /// Adds this program with other arguments.
    fn limit(&mut self, name: &str, arguments: &[&str], bytes: u64) -> Result<usize> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments);
        Ok(self.add(name, command, bytes))
    }

    /// Adds GNU tar and sha256sum for each layer of an image, as many layers at a time as there are
    /// cores.
    fn tar(&mut self, name: &str, image: usize, cores: &str) -> Result<usize> {
        let lists = self.directory.join(format!("layers-{image}"));
        remove(&lists)?;
        fs::create_dir_all(&lists)?;
        for (number, layer) in self.layers(image)?.layers.iter().enumerate() {
            let paths = layer
                .recipe
                .sources
                .iter()
                .map(|source| source.store_path.as_str());
            fs::write(
                lists.join(format!("{number:03}")),
                paths.collect::<Vec<_>>().join("\n"),
            )?;
        }
        let pipe = "tar --create --absolute-names --sort=name --mtime=@1 --owner=0 --group=0 \
                    --numeric-owner --hard-dereference --files-from={} | sha256sum";
        let script = format!("ls -d \"$PWD\"/* | xargs -P {cores} -I {{}} sh -c '{pipe}'");
        let mut command = Command::new("sh");
        command.args(["-c", &script]).current_dir(lists);
        let bytes = self.programs[image].bytes;
        Ok(self.add(name, command, bytes))
    }

    fn add(&mut self, name: &str, command: Command, bytes: u64) -> usize {
        self.programs.push(Program {
            name: name.to_owned(),
            command,
            bytes,
            samples: Vec::new(),
        });
        self.programs.len() - 1
    }

    /// Where the image of a program is kept.
    fn image(&self, program: usize) -> PathBuf {
        self.directory.join(format!("image-{program}"))
    }

    fn layers(&self, program: usize) -> Result<LayersFile> {
        let bytes = fs::read(self.image(program).join(LAYERS_FILE))?;
        Ok(LayersFile::parse(&bytes, LAYERS_FILE)?)
    }

    fn largest_layer(&self, program: usize) -> Result<u64> {
        let layers = self.layers(program)?.layers;
        layers
            .iter()
            .map(|layer| layer.size)
            .max()
            .context("an image without layers")
    }

    /// What an image of nothing takes.
    fn start(&self) -> Result<Sample> {
        let mut command = self.builder("attrs-empty", &[], 1, "deps")?;
        let mut samples = Vec::new();
        for _ in 0..STARTS {
            remove(&self.directory.join("out"))?;
            samples.push(run(&mut command)?);
        }
        Ok(median(&samples))
    }

    fn print_table(&self) {
        println!(
            "{:34} {:>8} {:>8} {:>8} {:>8}",
            "", "seconds", "cpu s", "GB/s", "MB peak"
        );
        for program in &self.programs {
            let Sample { cpu, peak, .. } = median(&program.samples);
            println!(
                "{:34} {:8.3} {:8.3} {:8.2} {:8.1}",
                program.name,
                program.seconds(),
                cpu.as_secs_f64(),
                program.bytes as f64 / program.seconds() / GB,
                peak as f64 / MB,
            );
        }
    }
}

fn at_least(what: &str, figure: f64, target: f64, unit: &str) {
    let verdict = if figure >= target { "met" } else { "MISSED" };
    println!("{what:47} {figure:6.1} {unit:5} (at least {target}): {verdict}");
}

fn at_most(what: &str, figure: f64, target: f64, unit: &str) {
    let verdict = if figure <= target { "met" } else { "MISSED" };
    println!("{what:47} {figure:6.1} {unit:5} (at most {target}): {verdict}");
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
