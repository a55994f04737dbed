//! A made-up store: the same files on every machine, as many and as large as in real closures.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use strata_nix::{ClosureEntry, nar};

use crate::random::Random;

/// Changes with what is generated, so that an older corpus is not taken for this one.
const VERSION: &str = "1";

const KB: u64 = 1_000;
const MB: u64 = 1_000_000;

/// The store paths of the closure, and about how many files they have.
const PATHS: u64 = 320;
const FILES: u64 = 22_000;
/// How many files each of the two trees of small files has.
const SMALL_FILES: u64 = 50_000;
/// How many files are in a directory at most.
const DIRECTORY: u64 = 24;

/// The store on disk.
#[derive(Serialize, Deserialize)]
pub(crate) struct Corpus {
    /// The store directory.
    pub(crate) store: PathBuf,
    /// A closure with many small files, some of megabytes, and few of more than 100 MB.
    pub(crate) closure: Vec<ClosureEntry>,
    /// Two store paths of 50,000 small files each.
    pub(crate) small: [ClosureEntry; 2],
    /// A store path of one file of 2 GB.
    pub(crate) huge: ClosureEntry,
    /// The number of files in the closure.
    pub(crate) files: u64,
}

impl Corpus {
    /// The corpus in `directory`, generated if it is not there.
    pub(crate) fn open(directory: &Path) -> Result<Self> {
        let list = directory.join(format!("corpus-{VERSION}.json"));
        if let Ok(bytes) = fs::read(&list) {
            return Ok(serde_json::from_slice(&bytes)?);
        }
        if directory.exists() {
            fs::remove_dir_all(directory)?;
        }
        let store = directory.join("store");
        fs::create_dir_all(&store)?;
        let corpus = Generator {
            store,
            random: Random::new(1),
            files: 0,
        }
        .generate()?;
        fs::write(list, serde_json::to_vec(&corpus)?)?;
        Ok(corpus)
    }
}

struct Generator {
    store: PathBuf,
    random: Random,
    files: u64,
}

impl Generator {
    fn generate(mut self) -> Result<Corpus> {
        let weight = |number: u64| 1.0 / (number * 37 % PATHS + 8) as f64;
        let weights: f64 = (0..PATHS).map(weight).sum();
        let mut closure = Vec::new();
        for number in 0..PATHS {
            let count = 2 + (weight(number) / weights * FILES as f64) as u64;
            let path = self.store_path(number);
            for file in 0..count {
                let size = self.random.size(64, 128 * KB);
                self.file(&path, file, size)?;
            }
            // Libraries and data: one path in five has something of megabytes, three much more.
            let large = match number {
                5 => 250 * MB,
                101 => 150 * MB,
                203 => 100 * MB,
                number if number % 5 == 0 => self.random.size(MB, 16 * MB),
                _ => 0,
            };
            if large > 0 {
                self.file(&path, count, large)?;
            }
            symlink("file-0", path.join("link"))?;
            let later = PATHS - number - 1;
            let references: Vec<_> = (0..later.min(6))
                .map(|_| number + 1 + self.random.below(later))
                .collect();
            let references = references.iter().map(|number| self.store_path(*number));
            let references = references.map(|path| path.display().to_string().into());
            closure.push(entry(&path, references.collect())?);
        }
        let files = self.files;

        let mut small = Vec::new();
        for number in [PATHS, PATHS + 1] {
            let path = self.store_path(number);
            for file in 0..SMALL_FILES {
                let size = self.random.size(64, 4 * KB);
                self.file(&path.join(format!("tree-{number}")), file, size)?;
            }
            small.push(entry(&path, Vec::new())?);
        }
        let small = small
            .try_into()
            .ok()
            .context("there are two trees of small files")?;

        let path = self.store_path(PATHS + 2);
        fs::create_dir_all(&path)?;
        fs::File::create(path.join("file"))?.set_len(2_000 * MB)?;
        let huge = entry(&path, Vec::new())?;
        Ok(Corpus {
            store: self.store,
            closure,
            small,
            huge,
            files,
        })
    }

    fn store_path(&self, number: u64) -> PathBuf {
        self.store.join(format!("{number:032}-package-{number}"))
    }

    fn file(&mut self, directory: &Path, number: u64, size: u64) -> Result<()> {
        let directory = match number / DIRECTORY {
            0 => directory.to_owned(),
            part => directory.join(format!("share/part-{part}")),
        };
        if number.is_multiple_of(DIRECTORY) {
            fs::create_dir_all(&directory)?;
        }
        let mode = if number.is_multiple_of(10) {
            0o555
        } else {
            0o444
        };
        let file = directory.join(format!("file-{number}"));
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(file)?;
        let mut block = [0; 8192];
        self.random.fill(&mut block);
        let mut left = size;
        while left > 0 {
            let count = left.min(block.len() as u64);
            file.write_all(&block[..count as usize])?;
            left -= count;
        }
        self.files += 1;
        Ok(())
    }
}

fn entry(path: &Path, references: Vec<Arc<str>>) -> Result<ClosureEntry> {
    let nar = nar::hash(path)?;
    let path = path.display().to_string();
    Ok(ClosureEntry {
        path,
        nar_hash: nar.hash,
        nar_size: nar.size,
        references,
    })
}
