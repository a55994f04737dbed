//! Images of the store, built by `strata-builder` and cut as it cuts them by itself.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use strata_nix::{ClosureEntry, nar};

use crate::build::build;
use crate::corpus::Corpus;

/// An image with each version of a small application, on the same packages.
pub(crate) struct Images<'a> {
    corpus: &'a Corpus,
    name: &'static str,
    /// The packages. Each refers to two that come before it, as libraries do: the first is needed by all.
    packages: Vec<ClosureEntry>,
    /// The most layers; none for as many as Strata makes by itself.
    max_layers: Option<usize>,
}

impl<'a> Images<'a> {
    /// Images with every so-manieth package of the corpus.
    pub(crate) fn some(corpus: &'a Corpus, name: &'static str, step: usize) -> Self {
        let packages = corpus.closure.iter().step_by(step).cloned();
        Self::new(corpus, name, packages.collect())
    }

    /// Images with all packages so many times: what differs is a file with their number.
    pub(crate) fn several(corpus: &'a Corpus, name: &'static str, times: usize) -> Result<Self> {
        let mut packages = corpus.closure.clone();
        for time in 1..times {
            for entry in &corpus.closure {
                packages.push(again(entry, &format!("copy{time}"))?);
            }
        }
        Ok(Self::new(corpus, name, packages))
    }

    fn new(corpus: &'a Corpus, name: &'static str, mut packages: Vec<ClosureEntry>) -> Self {
        for number in 1..packages.len() {
            let references = needed(number).map(|other| packages[other].path.as_str().into());
            packages[number].references = references.to_vec();
        }
        Self {
            corpus,
            name,
            packages,
            max_layers: None,
        }
    }

    /// The same images in one layer.
    pub(crate) fn in_one_layer(&self) -> Self {
        Self {
            corpus: self.corpus,
            name: "one-layer",
            packages: self.packages.clone(),
            max_layers: Some(1),
        }
    }

    /// Builds the image with this version of the application.
    pub(crate) fn with_application(&self, version: usize) -> Result<PathBuf> {
        self.build(version, &self.packages, &version.to_string())
    }

    /// Builds the image with this version of the application, and a library rebuilt for the so-manieth time, with all
    /// that need it.
    pub(crate) fn with_library(&self, version: usize, rebuilt: usize) -> Result<PathBuf> {
        let mut packages = self.packages.clone();
        let mut is_new = vec![false; packages.len()];
        // Of the later half each is needed by few.
        let library = packages.len() / 2;
        for number in library..packages.len() {
            if number == library || needed(number).iter().any(|other| is_new[*other]) {
                is_new[number] = true;
                let mut new = again(&packages[number], &format!("rebuilt{rebuilt}"))?;
                let references = needed(number).map(|other| packages[other].path.as_str().into());
                new.references = references.to_vec();
                packages[number] = new;
            }
        }
        self.build(version, &packages, &format!("{version}-rebuilt-{rebuilt}"))
    }

    fn build(&self, version: usize, packages: &[ClosureEntry], label: &str) -> Result<PathBuf> {
        let application = self.corpus.applications.get(version);
        let mut application = application.context("there are fewer versions")?.clone();
        application.references = packages
            .iter()
            .map(|entry| entry.path.as_str().into())
            .collect();
        let closure: Vec<&ClosureEntry> = packages.iter().chain([&application]).collect();
        let name = format!("{}-{label}", self.name);
        let store = &self.corpus.store;
        build(store, &name, &application.path, &closure, self.max_layers)
    }
}

/// Which packages the package of this number needs.
fn needed(number: usize) -> [usize; 2] {
    [number / 2, number * 2 / 3]
}

/// A package with the same files, and one more that says what it is.
fn again(entry: &ClosureEntry, what: &str) -> Result<ClosureEntry> {
    let path = PathBuf::from(format!("{}-{what}", entry.path));
    if !path.exists() {
        link_all(Path::new(&entry.path), &path)?;
        fs::write(path.join(what), what)?;
    }
    let nar = nar::hash(&path)?;
    Ok(ClosureEntry {
        path: path.display().to_string(),
        nar_hash: nar.hash,
        nar_size: nar.size,
        references: Vec::new(),
    })
}

/// Hard links to all files of a directory.
fn link_all(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            link_all(&entry.path(), &to)?;
        } else {
            fs::hard_link(entry.path(), to)?;
        }
    }
    Ok(())
}
