//! Crates and folders are no larger than what somebody can find the way in.

use std::path::{Path, PathBuf};

use crate::source::{files, is_test, packages, read, root, without_tests};

const LINES_OF_A_CRATE: usize = 6500;
const FILES_OF_A_FOLDER: usize = 15;

#[test]
fn crates_are_small() {
    let sizes = packages().into_iter().map(|package| {
        let code = files(&package).into_iter().filter(|file| !is_test(file));
        let lines = code.map(|file| without_tests(&read(&file)).lines().count());
        (package, lines.sum::<usize>())
    });
    let large: Vec<(PathBuf, usize)> = sizes
        .filter(|(_, lines)| *lines > LINES_OF_A_CRATE)
        .collect();
    assert!(
        large.is_empty(),
        "more than {LINES_OF_A_CRATE} lines: {large:?}"
    );
}

#[test]
fn folders_are_small() {
    let mut todo = ["benches", "crates", "src", "tests"]
        .map(PathBuf::from)
        .to_vec();
    let mut large = Vec::new();
    while let Some(folder) = todo.pop() {
        let (folders, files) = entries(&folder);
        if files > FILES_OF_A_FOLDER {
            large.push((folder, files));
        }
        todo.extend(folders);
    }
    assert!(
        large.is_empty(),
        "more than {FILES_OF_A_FOLDER} files: {large:?}"
    );
}

/// The folders in a folder, and how many files there are beside them but for the one that the folder is as a
/// module.
fn entries(folder: &Path) -> (Vec<PathBuf>, usize) {
    let entries = std::fs::read_dir(root().join(folder)).unwrap();
    let (folders, files): (Vec<PathBuf>, Vec<PathBuf>) = entries
        .map(|entry| folder.join(entry.unwrap().file_name()))
        .partition(|path| root().join(path).is_dir());
    let is_folder = |file: &&PathBuf| file.file_name().is_some_and(|name| name == "mod.rs");
    let own = files.iter().filter(is_folder).count();
    (folders, files.len() - own)
}
