//! A made-up store that compresses about as real closures do, the same on every machine.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::{Deserialize, Serialize};
use strata::nix::{ClosureEntry, base32, nar};
use strata::oci::Digest;

use crate::random::Random;

/// Changes with what is generated, so that an older corpus is not taken for this one.
const VERSION: &str = "1";

const KB: u64 = 1_000;
const MB: u64 = 1_000_000;

/// How many store paths there are.
const PATHS: u64 = 300;
/// How many words the files are made of.
const WORDS: u64 = 2048;

/// The store on disk.
#[derive(Serialize, Deserialize)]
pub(crate) struct Corpus {
    /// The store directory.
    pub(crate) store: PathBuf,
    /// About 1.5 GB in files of up to a megabyte; no path refers to another.
    pub(crate) closure: Vec<ClosureEntry>,
    /// Versions of a small application, of which an image has one.
    pub(crate) applications: Vec<ClosureEntry>,
}

impl Corpus {
    /// The corpus in `directory` with so many `versions` of the application, generated if it is not
    /// there.
    pub(crate) fn open(directory: &Path, versions: usize) -> Result<Self> {
        let list = directory.join(format!("corpus-{VERSION}-{versions}.json"));
        if let Ok(bytes) = fs::read(&list) {
            return Ok(serde_json::from_slice(&bytes)?);
        }
        if directory.exists() {
            fs::remove_dir_all(directory)?;
        }
        let store = directory.join("store");
        let mut generator = Generator::new(store.clone());
        let closure = (0..PATHS).map(|number| {
            // Their mean is 5 MB.
            let size = generator.random.size(100 * KB, 28 * MB);
            generator.path(&format!("package-{number}"), size)
        });
        let closure = closure.collect::<Result<_>>()?;
        let applications =
            (0..versions).map(|version| generator.path(&format!("app-{version}"), MB));
        let corpus = Self {
            closure,
            applications: applications.collect::<Result<_>>()?,
            store,
        };
        fs::write(list, serde_json::to_vec(&corpus)?)?;
        Ok(corpus)
    }
}

impl Corpus {
    /// Where an output of this name belongs.
    pub(crate) fn output(&self, name: &str) -> PathBuf {
        let hash = base32::encode(&Digest::of(name.as_bytes()).as_bytes()[..20]);
        self.store.join(format!("{hash}-{name}"))
    }
}

struct Generator {
    store: PathBuf,
    random: Random,
    words: Vec<Vec<u8>>,
    paths: u64,
}

impl Generator {
    fn new(store: PathBuf) -> Self {
        let mut random = Random::new(1);
        let words = (0..WORDS).map(|_| {
            let length = 2 + random.below(12);
            let byte = |_| {
                // Some bytes are more frequent than others.
                let most = 1 + random.below(64);
                random.below(most) as u8 * 4 + random.below(2) as u8
            };
            (0..length).map(byte).collect()
        });
        let words = words.collect();
        Self {
            store,
            random,
            words,
            paths: 0,
        }
    }

    /// A store path with about `size` bytes of files.
    fn path(&mut self, name: &str, size: u64) -> Result<ClosureEntry> {
        let path = self.store.join(format!("{:032}-{name}", self.paths));
        self.paths += 1;
        fs::create_dir_all(&path)?;
        let mut left = size;
        let mut number = 0;
        while left > 0 {
            let size = self.random.size(KB, MB).min(left);
            left -= size;
            fs::write(path.join(format!("file-{number}")), self.content(size))?;
            number += 1;
        }
        let nar = nar::hash(&path)?;
        Ok(ClosureEntry {
            path: path.display().to_string(),
            nar_hash: nar.hash,
            nar_size: nar.size,
            references: Vec::new(),
        })
    }

    /// Words, of which some are frequent, repetitions from near and far, and noise. The shares are
    /// such that gzip and Zstandard make as little of it, and as fast, as of programs and libraries.
    fn content(&mut self, size: u64) -> Vec<u8> {
        let size = size as usize;
        let mut bytes: Vec<u8> = Vec::with_capacity(size + 128);
        while bytes.len() < size {
            match self.random.below(100) {
                0..4 if bytes.len() > 4096 => self.repeat(&mut bytes, 1 << 20, 60),
                4..52 if bytes.len() > 4096 => self.repeat(&mut bytes, 1 << 14, 20),
                52..62 => {
                    let count = 1 + self.random.below(8) as usize;
                    bytes.extend(&self.random.next().to_le_bytes()[..count]);
                }
                _ => {
                    let most = 1 + self.random.below(WORDS);
                    let most = 1 + self.random.below(most);
                    bytes.extend(&self.words[self.random.below(most) as usize]);
                }
            }
        }
        bytes.truncate(size);
        bytes
    }

    /// Repeats at most `4 + most` bytes that are at most `reach` back.
    fn repeat(&mut self, bytes: &mut Vec<u8>, reach: usize, most: u64) {
        let reach = bytes.len().min(reach) as u64;
        let length = 4 + self.random.below(most) as usize;
        let begin = bytes.len() - 100 - self.random.below(reach - 100) as usize;
        bytes.extend_from_within(begin..begin + length);
    }
}
