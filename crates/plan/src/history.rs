//! What `docker history` says of a layer that nobody described: the packages that most of it is.

use std::cmp::Reverse;

use strata_oci::History;
use strata_tree::{FileRecord, ImagePath, Source};

/// As many names as fit in a line of a terminal beside the other columns, and tell a layer from others.
const NAMES: usize = 3;

/// The entry of a layer of files: its largest store paths, by name and without the hash, so that it stays the same
/// over rebuilds.
pub(super) fn of_sources(sources: &[Source]) -> History {
    entry(&main_packages(sources))
}

/// The names of the largest store paths.
pub fn main_packages(sources: &[Source]) -> String {
    let name = |source: &Source| {
        (
            Reverse(source.nar_size),
            name_of(&source.store_path).to_owned(),
        )
    };
    let mut names: Vec<_> = sources.iter().map(name).collect();
    names.sort_unstable();
    // A path may be in its place and at the root.
    names.dedup();
    shortened(names.iter().map(|(_, name)| name.as_str()), NAMES)
}

/// What follows the hash.
fn name_of(store_path: &str) -> &str {
    let base = store_path
        .rsplit_once('/')
        .map_or(store_path, |(_, base)| base);
    base.split_once('-').map_or(base, |(_, name)| name)
}

/// The entry of a layer that scripts made, with store paths beside it if there are any.
pub(super) fn of_scripts(sources: &[Source]) -> History {
    let packages = main_packages(sources);
    if packages.is_empty() {
        entry("what scripts made")
    } else {
        entry(&format!("what scripts made, {packages}"))
    }
}

/// The entry of a layer that hides paths of a base image.
pub fn of_whiteouts(whiteouts: &[ImagePath]) -> History {
    let names: Vec<String> = whiteouts.iter().map(ToString::to_string).collect();
    entry(&format!(
        "without {}",
        shortened(names.iter().map(String::as_str), NAMES)
    ))
}

/// The entry of a layer with the places of so many store paths that will be mounted.
pub fn of_mounts(count: usize) -> History {
    entry(&format!("places of {count} store paths"))
}

/// The entry of a layer of files that are described one by one.
pub fn of_files(files: &[FileRecord]) -> History {
    let names: Vec<String> = files.iter().map(|file| format!("/{}", file.path)).collect();
    entry(&shortened(names.iter().map(String::as_str), NAMES))
}

fn entry(created_by: &str) -> History {
    History {
        created_by: Some(format!("strata: {created_by}")),
        ..History::default()
    }
}

/// The first `most` names, and how many there are besides.
pub fn shortened<'a>(names: impl ExactSizeIterator<Item = &'a str>, most: usize) -> String {
    let more = names.len().saturating_sub(most);
    let shown: Vec<&str> = names.take(most).collect();
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    shown.join(", ") + &more
}

#[cfg(test)]
mod tests {
    use super::*;

    fn created_by(sources: &[(&str, u64)]) -> String {
        let source = |(name, size): &(&str, u64)| Source {
            store_path: format!("/nix/store/{}-{name}", "0".repeat(32)),
            nar_hash: String::new(),
            nar_size: *size,
            references: Vec::new(),
            to_root: false,
            without: Vec::new(),
            rules: Vec::new(),
        };
        let sources: Vec<Source> = sources.iter().map(source).collect();
        of_sources(&sources).created_by.unwrap()
    }

    #[test]
    fn the_largest_paths_are_named_without_their_hashes() {
        assert_eq!(created_by(&[("hello-2.10", 1)]), "strata: hello-2.10");
        let sources = [("a-1", 1), ("b", 3), ("c", 2), ("d", 1), ("e", 1)];
        assert_eq!(created_by(&sources), "strata: b, c, a-1 and 2 more");
        // In its place and at the root.
        assert_eq!(created_by(&[("a", 1), ("a", 1)]), "strata: a");
    }

    #[test]
    fn what_is_hidden_is_named() {
        let hidden = [ImagePath::from("/usr/share/doc")];
        let entry = of_whiteouts(&hidden).created_by.unwrap();
        assert_eq!(entry, "strata: without usr/share/doc");
    }
}
