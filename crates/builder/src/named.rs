//! What the arguments name, and what is in the layers because of that: for whoever asks why something is there.

use std::collections::{BTreeMap, BTreeSet};

use super::{accounts, database};
use strata_base::Base;
use strata_contents::named_by_config;
use strata_layer::{LayerRecord, LayersFile, NamedPath};
use strata_nix::{Closure, StorePath};
use strata_plan::CheckedRequest;

/// What is left out of an image by `ignore`, or is in it as something else than a store path, leads to other paths that
/// are in it.
struct Graph<'a> {
    closure: &'a Closure,
    paths: BTreeMap<&'a str, &'a StorePath>,
    /// The store paths in the layers.
    there: BTreeSet<&'a str>,
}

/// Where something is.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// The store directory.
    pub(super) store_dir: &'a str,
    /// The output itself.
    pub(super) out: &'a str,
}

/// The store paths in `records`, and in the layers of `base`, that an argument of the request names, or one of its
/// `parents`, or of the base.
pub(super) fn named(
    request: &CheckedRequest,
    closure: &Closure,
    parents: &[LayersFile],
    base: &Base,
    records: &[LayerRecord],
    Place { store_dir, out }: Place<'_>,
) -> Vec<NamedPath> {
    let records = records.iter().chain(&base.layers);
    let sources = records.flat_map(|record| &record.recipe.sources);
    let graph = Graph {
        closure,
        paths: closure
            .iter()
            .map(|(path, _)| (path.as_str(), path))
            .collect(),
        there: sources.map(|source| source.store_path.as_str()).collect(),
    };
    let mut named = BTreeSet::new();
    let mut add = |argument: &str, path: &str| {
        for path in graph.leads_to(path) {
            named.insert(NamedPath {
                argument: argument.to_owned(),
                path,
            });
        }
    };
    let config = request.image.as_ref().map(|image| {
        let is_named = |path: &str| request.deps.iter().any(|dep| dep.as_str() == path);
        named_by_config(&image.config, store_dir, &is_named)
    });
    let config = config.unwrap_or_default();
    for found in &config {
        add(&found.argument, &found.path);
    }
    for tar in &request.tar_layers {
        let whole = request
            .deps
            .iter()
            .find(|dep| tar.starts_with(dep.as_str()));
        if let Some(whole) = whole {
            add("tarLayers", whole.as_str());
        }
    }
    for path in &request.copy_to_root {
        add("copyToRoot", path.as_str());
    }
    for file in &request.files {
        if let Some(source) = file.source() {
            add(
                &format!("files.\"/{}\"", file.path),
                source.store_path.as_str(),
            );
        }
    }
    let said: BTreeSet<&str> = config.iter().map(|found| found.path.as_str()).collect();
    let is_tar = |path: &str| request.tar_layers.iter().any(|tar| tar.starts_with(path));
    let deps = request.deps.iter().map(StorePath::as_str);
    for path in deps.filter(|path| !said.contains(path) && !is_tar(path)) {
        add(
            if request.image.is_some() {
                "files"
            } else {
                "deps"
            },
            path,
        );
    }
    // What the builder makes itself.
    add(
        "initializeNixDatabase",
        &format!("{out}/{}", database::DIRECTORY),
    );
    add("system", &format!("{out}/{}", accounts::DIRECTORY));
    for parent in parents.iter().flat_map(|file| &file.named) {
        add(&format!("{} of layers", parent.argument), &parent.path);
    }
    for of_base in &base.named {
        add(&format!("{} of fromImage", of_base.argument), &of_base.path);
    }
    named.extend(graph.behind_ignored(&named));
    Vec::from_iter(named)
}

impl Graph<'_> {
    /// The path itself, if it is in the layers; else what is in them of all that it leads to, and is reached through
    /// nothing that is.
    fn leads_to(&self, path: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut todo = vec![path.to_owned()];
        while let Some(path) = todo.pop() {
            if self.there.contains(path.as_str()) {
                found.insert(path);
            } else if seen.insert(path.clone())
                && let Some(entry) = self.paths.get(path.as_str())
                && let Some(entry) = self.closure.get(entry)
            {
                todo.extend(entry.references.iter().map(ToString::to_string));
            }
        }
        found
    }

    /// What only paths mention that are left out.
    fn behind_ignored(&self, named: &BTreeSet<NamedPath>) -> Vec<NamedPath> {
        let is_there = |path: &str| self.there.contains(path);
        let mut mentioned: BTreeSet<&str> = named.iter().map(|named| named.path.as_str()).collect();
        let (members, ignored): (Vec<_>, Vec<_>) =
            (self.closure.iter()).partition(|(path, _)| is_there(path.as_str()));
        for (path, entry) in members {
            let others = entry.references.iter().map(|other| &**other);
            mentioned.extend(others.filter(|other| *other != path.as_str()));
        }
        let behind = ignored.iter().flat_map(|(_, entry)| &entry.references);
        let behind: BTreeSet<&str> = behind.map(|path| &**path).collect();
        let behind = behind.into_iter();
        let behind = behind.filter(|path| is_there(path) && !mentioned.contains(path));
        behind
            .map(|path| NamedPath {
                argument: "what ignore leaves out".to_owned(),
                path: path.to_owned(),
            })
            .collect()
    }
}
