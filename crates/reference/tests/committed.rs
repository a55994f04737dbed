//! What is committed in docs/reference is what would be written.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use strata_reference::{FOLDER, pages};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_committed_reference_is_the_generated_one() {
    for (name, text) in pages(&root()).unwrap() {
        let committed = fs::read_to_string(root().join(&name)).unwrap_or_default();
        assert!(
            committed == text,
            "{name} is not what it is about says: run scripts/reference"
        );
    }
}

#[test]
fn there_are_no_other_files() {
    let generated: BTreeSet<PathBuf> = pages(&root())
        .unwrap()
        .into_keys()
        .map(PathBuf::from)
        .collect();
    let mut found = BTreeSet::new();
    let mut folders = vec![PathBuf::from(FOLDER)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            if entry.path().is_dir() {
                folders.push(path);
            } else {
                found.insert(path);
            }
        }
    }
    assert_eq!(found, generated, "remove what nothing generates");
}
