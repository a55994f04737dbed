//! Packages by their names: added, removed, updated and rebuilt.

use std::collections::{BTreeMap, BTreeSet};

use strata_oci::Digest;

use crate::contents::Contents;

/// A package of which the two images have not the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageChange {
    /// Its name, without versions and outputs.
    pub name: String,
    /// What became of it.
    pub kind: PackageChangeKind,
    /// The versions in the old image, each once; one that is not said is empty.
    pub old_versions: Vec<String>,
    /// The versions in the new image.
    pub new_versions: Vec<String>,
    /// The bytes of all its store paths in the old image.
    pub old_size: u64,
    /// The bytes of all its store paths in the new image.
    pub new_size: u64,
    /// The numbers of those that only the old image has.
    pub old_only: Vec<u32>,
    /// The numbers of those that only the new image has.
    pub new_only: Vec<u32>,
}

/// What became of a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PackageChangeKind {
    /// Only the new image has it.
    Added,
    /// Only the old image has it.
    Removed,
    /// The versions are others.
    Updated,
    /// The versions are the same, and the store paths are not: something that it was built from changed.
    Rebuilt,
}

impl PackageChangeKind {
    /// The word for it in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Updated => "updated",
            Self::Rebuilt => "rebuilt",
        }
    }
}

impl PackageChange {
    /// How many bytes more there are; fewer, if it is negative.
    pub fn growth(&self) -> i128 {
        i128::from(self.new_size) - i128::from(self.old_size)
    }
}

/// The packages of one name in one image.
#[derive(Default)]
struct Group {
    versions: BTreeSet<String>,
    size: u64,
    paths: BTreeMap<String, u32>,
    /// Those that are only in layers that the other image has, too.
    shared: BTreeSet<String>,
}

/// The packages that differ, by name. What one of them has only in layers that both have is in both, whether or not
/// somebody knows that it is: the content of a package at `/` has no name in an image of others.
pub fn packages(old: &Contents, new: &Contents) -> Vec<PackageChange> {
    let (in_old, in_new) = (layers(old), layers(new));
    let (old, new) = (groups(old, &in_new), groups(new, &in_old));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let none = Group::default();
    let changes = names.into_iter().filter_map(|name| {
        let (before, after) = (old.get(name), new.get(name));
        let kind = match (before, after) {
            (None, _) => PackageChangeKind::Added,
            (_, None) => PackageChangeKind::Removed,
            (Some(before), Some(after)) if before.versions != after.versions => {
                PackageChangeKind::Updated
            }
            _ => PackageChangeKind::Rebuilt,
        };
        let (before, after) = (before.unwrap_or(&none), after.unwrap_or(&none));
        let change = PackageChange {
            name: name.clone(),
            kind,
            old_versions: before.versions.iter().cloned().collect(),
            new_versions: after.versions.iter().cloned().collect(),
            old_size: before.size,
            new_size: after.size,
            old_only: only(before, after),
            new_only: only(after, before),
        };
        let differs = !change.old_only.is_empty() || !change.new_only.is_empty();
        differs.then_some(change)
    });
    changes.collect()
}

fn layers(contents: &Contents) -> BTreeSet<Digest> {
    contents.layers.iter().map(|layer| layer.diff_id).collect()
}

fn groups(contents: &Contents, others: &BTreeSet<Digest>) -> BTreeMap<String, Group> {
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for (number, package) in contents.numbers().zip(&contents.packages) {
        let name = package.name();
        let group = groups.entry(name.name.to_owned()).or_default();
        group.versions.insert(name.version.to_owned());
        group.size = group.size.saturating_add(package.size);
        group.paths.insert(package.path.clone(), number);
        let mut own = package
            .layers
            .iter()
            .map(|layer| contents.layers[*layer].diff_id);
        if own.all(|layer| others.contains(&layer)) {
            group.shared.insert(package.path.clone());
        }
    }
    groups
}

fn only(group: &Group, other: &Group) -> Vec<u32> {
    let paths = group.paths.iter();
    let is_in_both = |path: &String| other.paths.contains_key(path) || group.shared.contains(path);
    let only = paths.filter(|(path, _)| !is_in_both(path));
    only.map(|(_, number)| *number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contents::fixture::{layer, package};

    #[test]
    fn what_is_in_a_layer_of_both_is_in_both() {
        let known = layer(vec![package("root", 1, &[])]);
        let mut unknown = known.clone();
        unknown.packages.clear();
        let more = layer(vec![package("new-1", 1, &[])]);
        let old = Contents::new(vec![unknown], &[]).unwrap();
        let new = Contents::new(vec![known, more], &[]).unwrap();
        let changes = packages(&old, &new);
        let names: Vec<&str> = changes.iter().map(|change| change.name.as_str()).collect();
        assert_eq!(names, ["new"]);
    }

    #[test]
    fn packages_are_compared_by_name() {
        let contents = |packages: &[(&str, u64)]| {
            let packages = packages.iter();
            let packages = packages.map(|(name, size)| package(name, *size, &[]));
            Contents::new(vec![layer(packages.collect())], &[]).unwrap()
        };
        let old = contents(&[
            ("a-1", 1),
            ("b-1", 2),
            ("c-1", 4),
            ("c-1-dev", 8),
            ("e-1", 1),
        ]);
        let mut new = contents(&[
            ("a-2", 3),
            ("c-1", 4),
            ("c-1-dev", 8),
            ("d", 16),
            ("e-1", 1),
        ]);
        // The same version at another path.
        for package in &mut new.packages {
            if package.full_name() == "e-1" {
                package.path = package.path.replace("/0", "/1");
            }
        }
        let changes = packages(&old, &new);
        let shown: Vec<(&str, PackageChangeKind, i128)> = changes
            .iter()
            .map(|change| (change.name.as_str(), change.kind, change.growth()))
            .collect();
        assert_eq!(
            shown,
            [
                ("a", PackageChangeKind::Updated, 2),
                ("b", PackageChangeKind::Removed, -2),
                ("d", PackageChangeKind::Added, 16),
                ("e", PackageChangeKind::Rebuilt, 0),
            ]
        );
        assert_eq!(changes[0].old_versions, ["1"]);
        assert_eq!(changes[2].new_versions, [""]);
        assert!(packages(&old, &old).is_empty());
    }
}
