//! What is in a directory.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// What is below a directory: paths with targets, texts, or nothing for directories.
pub fn listing(directory: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut todo = vec![directory.to_path_buf()];
    while let Some(parent) = todo.pop() {
        for entry in fs::read_dir(&parent).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(directory).unwrap().to_str().unwrap();
            let kind = fs::symlink_metadata(&path).unwrap().file_type();
            let content = if kind.is_symlink() {
                format!(" -> {}", fs::read_link(&path).unwrap().display())
            } else if kind.is_dir() {
                todo.push(path.clone());
                "/".to_owned()
            } else {
                format!(": {:?}", fs::read_to_string(&path).unwrap())
            };
            found.insert(name.to_owned(), content);
        }
    }
    found
}
