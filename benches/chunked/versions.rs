//! Versions of one image of 300 packages, whose files name the store paths that they need, as linkers write them.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use strata_nix::{ClosureEntry, nar};

use crate::build::build;
use crate::corpus::Corpus;

/// The package that all need, one that few need, and the one that needs all.
const LIBC: usize = 0;
/// A file of so many bytes has a store path in it for each of these.
const PER_PATH: u64 = 100_000;

/// What is another than in the first version.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing.
    None,
    /// Every store path, and nothing else.
    Cascade,
    /// A library, and the store paths of all that need it.
    Security,
    /// A package that few need.
    Release,
    /// One small file of what nothing needs.
    Edit,
}

impl Change {
    /// All that are updates, with what the table calls them.
    pub(crate) const UPDATES: [(Self, &str); 4] = [
        (Self::Cascade, "every store path, nothing else"),
        (
            Self::Security,
            "a library, and the store paths of all that use it",
        ),
        (
            Self::Release,
            "a package that none uses, in another release",
        ),
        (Self::Edit, "one file of the application"),
    ];

    /// The package that is rebuilt for it.
    fn rebuilt(self, count: usize) -> Option<usize> {
        match self {
            Self::None => None,
            Self::Cascade => Some(LIBC),
            Self::Security => Some(count / 2),
            Self::Release => Some(count - 2),
            Self::Edit => Some(count - 1),
        }
    }
}

/// An image.
pub(crate) struct Version {
    /// The output of its derivation.
    pub(crate) image: PathBuf,
    /// How many bytes the files have whose content is another than in the first, beside store paths.
    pub(crate) changed: u64,
}

/// Which packages the package of this number needs.
fn needed(number: usize) -> BTreeSet<usize> {
    [number / 2, number * 2 / 3]
        .into_iter()
        .filter(|other| *other != number)
        .collect()
}

/// Builds a version.
pub(crate) fn version(corpus: &Corpus, change: Change) -> Result<Version> {
    let count = corpus.closure.len();
    let rebuilt = change.rebuilt(count);
    let store = corpus.store.with_file_name("store-of-versions");
    let mut packages: Vec<ClosureEntry> = Vec::new();
    let mut is_new: Vec<bool> = Vec::new();
    let mut changed = 0;
    for number in 0..count {
        let needs = needed(number);
        let is_last = number + 1 == count;
        let is_rebuilt = rebuilt == Some(number)
            || needs.iter().any(|other| is_new[*other])
            || (is_last && rebuilt.is_some());
        is_new.push(is_rebuilt);
        let label = if is_rebuilt { change as u64 } else { 0 };
        let path = store.join(format!("{:032}-package", label * 1_000_000 + number as u64));
        let mut references: Vec<String> = if is_last {
            packages.iter().map(|entry| entry.path.clone()).collect()
        } else {
            needs
                .iter()
                .map(|other| packages[*other].path.clone())
                .collect()
        };
        references.push(path.display().to_string());
        let is_other = rebuilt == Some(number) && change != Change::Cascade;
        // The whole package, or a file of it, is another: what the one of another number has.
        let from = if is_other && change != Change::Edit {
            &corpus.closure[number - 1]
        } else {
            &corpus.closure[number]
        };
        if !path.exists() {
            copy(Path::new(&from.path), &path, &references)?;
        }
        if is_other {
            let edited = path.join("edited");
            if change == Change::Edit {
                fs::write(&edited, change_text())?;
                changed += change_text().len() as u64;
            } else {
                changed += from.nar_size;
            }
        }
        let nar = nar::hash(&path)?;
        packages.push(ClosureEntry {
            path: path.display().to_string(),
            nar_hash: nar.hash,
            nar_size: nar.size,
            references: references.iter().map(|path| path.as_str().into()).collect(),
        });
    }
    let closure: Vec<&ClosureEntry> = packages.iter().collect();
    let root = &packages[count - 1].path;
    let name = format!("version-{}", change as u64);
    Ok(Version {
        image: build(&store, &name, root, &closure, None)?,
        changed,
    })
}

fn change_text() -> String {
    "edited\n".repeat(300)
}

/// Copies a directory; large files get the paths at places that depend on their size alone.
fn copy(from: &Path, to: &Path, paths: &[String]) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to, paths)?;
            continue;
        }
        fs::copy(entry.path(), &to)?;
        let size = entry.metadata()?.len();
        let named = paths
            .iter()
            .rev()
            .take(usize::try_from(size / PER_PATH)?)
            .take(4);
        let text: Vec<String> = named.map(|path| format!("{path}/lib")).collect();
        if !text.is_empty() {
            let file = fs::OpenOptions::new().write(true).open(&to)?;
            file.write_all_at(text.join(":").as_bytes(), size / 3)?;
        }
    }
    Ok(())
}
