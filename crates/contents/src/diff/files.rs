//! File by file.

use std::collections::{BTreeMap, BTreeSet};

use crate::contents::Contents;
use crate::found::{FoundFile, FoundKind};
use crate::visible::Visible;

/// A file that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileChange {
    /// Where it is in the old image, if it is there.
    pub old_path: Option<String>,
    /// Where it is in the new image, if it is there.
    pub new_path: Option<String>,
    /// The bytes of its content in the old image.
    pub old_size: u64,
    /// The bytes of its content in the new image.
    pub new_size: u64,
    /// What differs where both have it: `type`, `content`, `target`, `mode`, `owner`.
    pub about: Vec<&'static str>,
}

/// The files that differ, in the order of the new image's paths; none where a layer was not looked at. Files of a
/// package are compared with those of the one of the same name and output in the other image, if there is one.
pub fn files(old: &Contents, new: &Contents) -> Option<Vec<FileChange>> {
    let counterparts = counterparts(old, new);
    let keyed = |contents: &Contents| -> Option<BTreeMap<String, (String, FoundFile)>> {
        let visible = Visible::new(contents)?;
        let files = visible.files.into_iter();
        let files = files.map(|(path, (_, file))| {
            let path = format!("/{path}");
            (key(&path, contents, &counterparts), (path, file.clone()))
        });
        Some(files.collect())
    };
    let (old, new) = (keyed(old)?, keyed(new)?);
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let changes = keys.into_iter().filter_map(|key| {
        let (before, after) = (old.get(key), new.get(key));
        let about = match (before, after) {
            (Some((_, before)), Some((_, after))) => about(before, after),
            _ => Vec::new(),
        };
        let differs = !about.is_empty() || before.is_none() || after.is_none();
        let path = |found: Option<&(String, FoundFile)>| found.map(|(path, _)| path.clone());
        let size = |found: Option<&(String, FoundFile)>| found.map_or(0, |(_, file)| file.size);
        differs.then(|| FileChange {
            old_path: path(before),
            new_path: path(after),
            old_size: size(before),
            new_size: size(after),
            about,
        })
    });
    Some(changes.collect())
}

/// What packages are called that each image has one of, by store path.
fn counterparts(old: &Contents, new: &Contents) -> BTreeMap<String, String> {
    let mut names: BTreeMap<(String, String), [Vec<String>; 2]> = BTreeMap::new();
    for (side, contents) in [old, new].into_iter().enumerate() {
        for package in &contents.packages {
            let name = package.name();
            let key = (name.name.to_owned(), name.output.to_owned());
            names.entry(key).or_default()[side].push(package.path.clone());
        }
    }
    let mut counterparts = BTreeMap::new();
    for ((name, output), paths) in names {
        if let [[one], [other]] = paths.each_ref().map(Vec::as_slice) {
            // No path of an image begins so.
            let called = format!("\0{name}\0{output}");
            counterparts.insert(one.clone(), called.clone());
            counterparts.insert(other.clone(), called);
        }
    }
    counterparts
}

/// What a path is compared by.
fn key(path: &str, contents: &Contents, counterparts: &BTreeMap<String, String>) -> String {
    let package = contents.containing(path);
    let package = package.map(|number| contents.package(number).path.as_str());
    match package.and_then(|package| Some((package, counterparts.get(package)?))) {
        Some((package, called)) => format!("{called}{}", &path[package.len()..]),
        None => path.to_owned(),
    }
}

fn about(old: &FoundFile, new: &FoundFile) -> Vec<&'static str> {
    let mut about = Vec::new();
    match (&old.kind, &new.kind) {
        (FoundKind::Symlink(before), FoundKind::Symlink(after))
        | (FoundKind::HardLink(before), FoundKind::HardLink(after))
            if before != after =>
        {
            about.push("target");
        }
        (before, after) if before != after => about.push("type"),
        (FoundKind::File, _) => {
            let is_same = match (old.content, new.content) {
                (Some(before), Some(after)) => before == after,
                _ => old.size == new.size,
            };
            if !is_same {
                about.push("content");
            }
        }
        _ => {}
    }
    if old.mode != new.mode {
        about.push("mode");
    }
    if (old.uid, old.gid) != (new.uid, new.gid) {
        about.push("owner");
    }
    about
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contents::fixture::{layer, package, path};
    use strata_oci::Digest;

    fn file(path: &str, content: &str) -> FoundFile {
        FoundFile {
            path: path.trim_start_matches('/').to_owned(),
            kind: FoundKind::File,
            size: content.len() as u64,
            mode: 0o644,
            uid: 0,
            gid: 0,
            content: Some(Digest::of(content.as_bytes())),
        }
    }

    #[test]
    fn files_of_an_updated_package_are_compared() {
        let contents = |version: &str, files: Vec<FoundFile>| {
            let mut layer = layer(vec![package(&format!("app-{version}"), 1, &[])]);
            layer.files = Some(files);
            Contents::new(vec![layer], &[]).unwrap()
        };
        let [one, two] = ["app-1", "app-2"].map(path);
        let mut owned = file("etc/owned", "");
        owned.uid = 7;
        let old = contents(
            "1",
            vec![
                file(&format!("{one}/same"), "x"),
                file(&format!("{one}/other"), "x"),
                file("etc/gone", "x"),
                file("etc/owned", ""),
            ],
        );
        let new = contents(
            "2",
            vec![
                file(&format!("{two}/same"), "x"),
                file(&format!("{two}/other"), "y"),
                file(&format!("{two}/new"), "yy"),
                owned,
            ],
        );
        let changes = files(&old, &new).unwrap();
        let shown: Vec<(Option<&str>, Option<&str>, &[&str])> = changes
            .iter()
            .map(|change| {
                let about: &[&str] = &change.about;
                (
                    change.old_path.as_deref(),
                    change.new_path.as_deref(),
                    about,
                )
            })
            .collect();
        let [other_one, other_two, new_two] = [(&one, "other"), (&two, "other"), (&two, "new")]
            .map(|(path, name)| format!("{path}/{name}"));
        let expected: [(Option<&str>, Option<&str>, &[&str]); 4] = [
            (None, Some(&new_two), &[]),
            (Some(&other_one), Some(&other_two), &["content"]),
            (Some("/etc/gone"), None, &[]),
            (Some("/etc/owned"), Some("/etc/owned"), &["owner"]),
        ];
        assert_eq!(shown, expected);
    }
}
