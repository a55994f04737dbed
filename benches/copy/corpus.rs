//! A store of real files: programs, libraries and what belongs to them, from all over this machine.
//! How fast compressors are, and how much they make of something, differs too much with what it is
//! for a made-up one.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use strata_nix::{ClosureEntry, nar};

/// Changes with what is chosen, so that an older corpus is not taken for this one.
const VERSION: &str = "4";

const KB: u64 = 1_000;
const MB: u64 = 1_000_000;

/// Where programs are; on some machines only in the second.
const ROOTS: [&str; 2] = ["/usr", "/nix/store"];
/// The mean size of one, in bytes.
const PATH: u64 = 5 * MB;
/// The largest file, in bytes. With a larger one the small image would not be small.
const FILE: u64 = 30 * MB;
/// The same of the application.
const SMALL_FILE: u64 = 50 * KB;

/// The store on disk.
#[derive(Serialize, Deserialize)]
pub(crate) struct Corpus {
    /// The store directory.
    pub(crate) store: PathBuf,
    /// About 5 MB each, if the machine has as much; no path refers to another.
    pub(crate) closure: Vec<ClosureEntry>,
    /// Versions of a small application, of which an image has one.
    pub(crate) applications: Vec<ClosureEntry>,
}

impl Corpus {
    /// The corpus in `directory` with so many `paths` and `versions` of the application, collected if it is not
    /// there.
    pub(crate) fn open(directory: &Path, paths: u64, versions: usize) -> Result<Self> {
        let list = directory.join(format!("corpus-{VERSION}-{paths}-{versions}.json"));
        if let Ok(bytes) = fs::read(&list) {
            return Ok(serde_json::from_slice(&bytes)?);
        }
        if directory.exists() {
            fs::remove_dir_all(directory)?;
        }
        let store = directory.join("store");
        let mut machine = Machine::new(paths)?;
        let closure = (0..paths).map(|number| {
            let files = machine.part(number);
            entry(&store, &format!("{number:032}-package"), &files, None)
        });
        let closure = closure.collect::<Result<_>>()?;
        let files = machine.small(MB);
        let applications = (0..versions).map(|version| {
            let name = format!("{:032}-application", paths + version as u64);
            entry(&store, &name, &files, Some(version))
        });
        let corpus = Self {
            closure,
            applications: applications.collect::<Result<_>>()?,
            store: store.clone(),
        };
        fs::write(list, serde_json::to_vec(&corpus)?)?;
        Ok(corpus)
    }
}

/// A file of this machine.
struct Source {
    path: PathBuf,
    size: u64,
}

/// The files of this machine, those of a directory beside each other.
struct Machine {
    /// How many parts it is cut into.
    parts: u64,
    files: Vec<Source>,
    size: u64,
    /// How many files were passed, and their bytes.
    passed: usize,
    offset: u64,
    /// How many bytes of them were taken.
    taken: u64,
}

impl Machine {
    fn new(parts: u64) -> Result<Self> {
        let mut files = Vec::new();
        for root in ROOTS.map(Path::new) {
            if root.exists() {
                find(root, &mut files)?;
            }
        }
        Ok(Self {
            parts,
            size: files.iter().map(|file| file.size).sum(),
            files,
            passed: 0,
            offset: 0,
            taken: 0,
        })
    }

    /// Files for the store path of this number. All paths together are spread evenly over the machine.
    fn part(&mut self, number: u64) -> Vec<&Source> {
        while self.offset < self.size / self.parts * number && self.passed < self.files.len() {
            self.pass();
        }
        let begin = self.passed;
        let wanted = (PATH * (number + 1)).max(self.taken + 1);
        while self.taken < wanted && self.passed < self.files.len() {
            self.taken += self.pass();
        }
        self.files[begin..self.passed].iter().collect()
    }

    /// Small files of so many bytes, from where none was taken yet if there are such.
    fn small(&self, bytes: u64) -> Vec<&Source> {
        let mut taken = 0;
        let small = self
            .files
            .iter()
            .rev()
            .filter(|file| file.size <= SMALL_FILE);
        let enough = small.take_while(|file| {
            taken += file.size;
            taken <= bytes
        });
        enough.collect()
    }

    fn pass(&mut self) -> u64 {
        let size = self.files[self.passed].size;
        self.passed += 1;
        self.offset += size;
        size
    }
}

/// Adds the files in `directory` that can be read and can be in a layer, sorted by their names.
fn find(directory: &Path, files: &mut Vec<Source>) -> Result<()> {
    let entries = fs::read_dir(directory).with_context(|| directory.display().to_string())?;
    let mut entries = entries.collect::<std::io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, kind) = (entry.path(), entry.file_type()?);
        // What engines leave on a machine; in a layer it would hide another file.
        if entry.file_name().as_encoded_bytes().starts_with(b".wh.") {
            continue;
        }
        if kind.is_dir() {
            find(&path, files)?;
        } else if kind.is_file() && File::open(&path).is_ok() {
            let size = entry.metadata()?.len();
            if size <= FILE {
                files.push(Source { path, size });
            }
        }
    }
    Ok(())
}

/// A store path with copies of `files`, and with a file that tells its version if it has one.
fn entry(
    store: &Path,
    name: &str,
    files: &[&Source],
    version: Option<usize>,
) -> Result<ClosureEntry> {
    let path = store.join(name);
    fs::create_dir_all(&path)?;
    for Source { path: source, .. } in files {
        let copy = path.join(source.strip_prefix("/")?);
        fs::create_dir_all(copy.parent().context("files are in directories")?)?;
        fs::copy(source, copy).with_context(|| source.display().to_string())?;
    }
    if let Some(version) = version {
        fs::write(path.join("version"), version.to_string())?;
    }
    let nar = nar::hash(&path)?;
    Ok(ClosureEntry {
        path: path.display().to_string(),
        nar_hash: nar.hash,
        nar_size: nar.size,
        references: Vec::new(),
    })
}
