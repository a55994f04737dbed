//! What is in an image.

use std::collections::{BTreeMap, BTreeSet};

use crate::known::KnownPackages;
use crate::package::Package;
use crate::package_url::package_url;
use crate::system::System;
use strata_image::Image;
use strata_nix::{PackageName, StorePath, hash_of};
use strata_oci::{Digest, Platform, Reference, rfc3339, seconds_of};

/// What is in an image.
#[derive(Clone, Debug)]
pub struct Bill {
    /// The image's name without its tag.
    pub(crate) name: String,
    /// Its tag.
    pub(crate) tag: Option<String>,
    /// Its digest.
    pub(crate) digest: Digest,
    /// What it runs on.
    pub(crate) platform: Platform,
    /// When it was made, RFC 3339.
    pub(crate) created: String,
    /// What is in it, sorted by id.
    pub(crate) packages: Vec<Package>,
}

/// When images are made that do not say when, or that it was before there were any.
const BEGINNING: &str = "1970-01-01T00:00:01Z";

impl Bill {
    /// The bill of an image whose manifest has this `digest` where it is, which is another one than its own if layers
    /// are compressed. `known` is what Nix knew of packages, `system` what a base image's package manager lists.
    pub fn of(image: &Image, digest: Digest, known: &KnownPackages, system: &System) -> Self {
        let mut packages: BTreeMap<String, Package> = BTreeMap::new();
        for (number, layer) in image.layers.iter().enumerate() {
            let Some(recipe) = layer.recipe() else {
                continue;
            };
            let layer = format!("{} {}", number + 1, layer.diff_id());
            let sources = recipe.sources.iter();
            let whole = sources.map(|source| (source.store_path.as_str(), Some(source)));
            // A part of a store path stands for it; a source with the whole one knows more.
            let parts = recipe.store_contents().map(|content| (content.path, None));
            let tar = recipe.tar.iter().map(|tar| (tar.as_str(), None));
            for (path, source) in whole.chain(parts).chain(tar) {
                let Some(store_path) = store_path_of(path) else {
                    continue;
                };
                let id = store_path.as_str().to_owned();
                let package = packages
                    .entry(id)
                    .or_insert_with(|| of_store_path(&store_path, known, &layer));
                if let Some(source) = source.filter(|source| source.store_path == package.id) {
                    package.hash = hash_of(&source.nar_hash);
                    package
                        .properties
                        .insert("nix:narSize".to_owned(), source.nar_size.to_string());
                    package.dependencies = source
                        .references
                        .iter()
                        .map(ToString::to_string)
                        .filter(|reference| *reference != package.id)
                        .collect();
                }
            }
        }
        for package in system.packages() {
            packages.insert(package.id.clone(), package);
        }
        let ids: BTreeSet<String> = packages.keys().cloned().collect();
        for package in packages.values_mut() {
            package.dependencies.retain(|id| ids.contains(id));
            package.dependencies.sort();
            package.dependencies.dedup();
        }
        let (name, tag) = match &image.name {
            Some(name) => (name.name.clone(), Some(name.tag.clone())),
            None => ("image".to_owned(), None),
        };
        Self {
            name,
            tag,
            digest,
            platform: image.config.platform(),
            created: created(image.config.created.as_deref()),
            packages: packages.into_values().collect(),
        }
    }

    /// The same for the image where a registry has it.
    #[must_use]
    pub fn at(self, reference: &Reference) -> Self {
        Self {
            name: format!("{}/{}", reference.registry, reference.repository),
            tag: reference.tag.clone(),
            ..self
        }
    }

    /// What is in the image, sorted by id.
    pub fn packages(&self) -> &[Package] {
        &self.packages
    }

    /// The image's package URL.
    pub(crate) fn url(&self) -> String {
        let last = self.name.rsplit('/').next().unwrap_or(&self.name);
        let is_in_registry = last != self.name;
        package_url(
            "oci",
            &[last],
            &self.digest.to_string(),
            &[
                ("arch", &self.platform.architecture),
                (
                    "repository_url",
                    if is_in_registry { &self.name } else { "" },
                ),
                ("tag", self.tag.as_deref().unwrap_or_default()),
            ],
        )
    }

    /// An identifier for the bill that follows from what is in it (RFC 9562, version 8).
    pub(crate) fn uuid(&self) -> String {
        let about = format!("{self:?}");
        let hex = Digest::of(about.as_bytes()).hex();
        let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
        format!(
            "{}-{}-8{}-8{}-{}",
            part(0, 8),
            part(8, 12),
            part(12, 15),
            part(15, 18),
            part(18, 30)
        )
    }
}

/// A time in the only form that SPDX takes: in UTC, to the second.
fn created(time: Option<&str>) -> String {
    let seconds = time.and_then(seconds_of);
    let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
    seconds.map_or_else(|| BEGINNING.to_owned(), rfc3339)
}

/// The store path that a path is at or below. Which directory the store is, the image's documents said.
fn store_path_of(path: &str) -> Option<StorePath> {
    let parts = path.match_indices('/').map(|(place, _)| place);
    let mut ends: Vec<usize> = parts.collect();
    ends.push(path.len());
    ends.windows(2).find_map(|pair| {
        let [start, end] = pair else { return None };
        StorePath::parse(path.get(..*start)?, path.get(..*end)?).ok()
    })
}

/// What a store path is, in the layer that holds it.
fn of_store_path(path: &StorePath, known: &KnownPackages, layer: &str) -> Package {
    let base = path.base_name();
    let (_, text) = base.split_once('-').unwrap_or(("", base));
    let said = PackageName::parse(text);
    let known = known.get(path.as_str()).cloned().unwrap_or_default();
    let name = known.name.unwrap_or_else(|| said.name.to_owned());
    let version = known.version.unwrap_or_else(|| said.version.to_owned());
    let mut properties = BTreeMap::from([
        ("nix:storePath".to_owned(), path.as_str().to_owned()),
        ("strata:layer".to_owned(), layer.to_owned()),
    ]);
    if !said.output.is_empty() {
        properties.insert("nix:output".to_owned(), said.output.to_owned());
    }
    Package {
        id: path.as_str().to_owned(),
        url: package_url("nix", &[&name], &version, &[]),
        name,
        version,
        cpe: known.cpe,
        licences: known.licences,
        description: known.description,
        homepage: known.homepage,
        is_program: known.is_program,
        properties,
        ..Package::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_one_form() {
        for (time, expected) in [
            (
                Some("2024-05-06T07:08:09.123+01:00"),
                "2024-05-06T06:08:09Z",
            ),
            (Some("0001-01-01T00:00:00Z"), BEGINNING),
            (Some("yesterday"), BEGINNING),
            (None, BEGINNING),
        ] {
            assert_eq!(created(time), expected);
        }
    }

    #[test]
    fn store_paths_are_found_in_any_store() {
        let hash = "0123456789abcdfghijklmnpqrsvwxyz";
        for (path, expected) in [
            (format!("/nix/store/{hash}-a"), Some("/nix/store")),
            (
                format!("/home/me/store/{hash}-a/bin/x"),
                Some("/home/me/store"),
            ),
            ("/etc/passwd".to_owned(), None),
            (String::new(), None),
        ] {
            let found = store_path_of(&path);
            let whole = expected.map(|store| format!("{store}/{hash}-a"));
            assert_eq!(found.map(|it| it.as_str().to_owned()), whole);
        }
    }
}
