//! The code of the workspace, as text: what the other rules are about.

use std::path::{Path, PathBuf};

/// The root of the tree.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folders with the code of each package, relative to the root.
pub fn packages() -> Vec<PathBuf> {
    let crates = std::fs::read_dir(root().join("crates")).unwrap();
    let crates = crates.map(|entry| Path::new("crates").join(entry.unwrap().file_name()));
    let mut packages: Vec<PathBuf> = crates.map(|package| package.join("src")).collect();
    packages.push(PathBuf::from("src"));
    packages.sort();
    assert!(packages.len() > 10, "{packages:?}");
    packages
}

/// The files of Rust that a path is or has below it, sorted; all paths are relative to the root.
pub fn files(path: &Path) -> Vec<PathBuf> {
    let whole = root().join(path);
    if whole.is_file() {
        return vec![path.to_owned()];
    }
    let entries =
        std::fs::read_dir(&whole).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut found: Vec<PathBuf> = entries
        .flat_map(|entry| files(&path.join(entry.unwrap().file_name())))
        .collect();
    found.retain(|file| file.extension().is_some_and(|extension| extension == "rs"));
    found.sort();
    found
}

/// The text of a file.
pub fn read(file: &Path) -> String {
    let text = std::fs::read_to_string(root().join(file));
    text.unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Whether a file is one of unit tests, as a whole.
pub fn is_test(file: &Path) -> bool {
    file.file_stem().is_some_and(|name| name == "tests")
        || file.components().any(|part| part.as_os_str() == "tests")
}

/// A text without its unit tests.
pub fn without_tests(text: &str) -> String {
    let mut pieces = text.split("#[cfg(test)]\nmod ");
    let mut code = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let is_here = piece.lines().next().is_some_and(|line| line.ends_with('{'));
        let end = if is_here { "\n}\n" } else { "\n" };
        code += piece.split_once(end).map_or("", |(_, after)| after);
    }
    code
}

/// The line up to the first `//` that is in no string.
pub fn without_comment(line: &str) -> &str {
    let mut slashes = line.match_indices("//").map(|(place, _)| &line[..place]);
    slashes
        .find(|before| before.matches('"').count().is_multiple_of(2))
        .unwrap_or(line)
}

#[test]
fn tests_are_no_code() {
    let text = "use a;\n#[cfg(test)]\nmod fixture;\nfn f() {}\n#[cfg(test)]\nmod tests {\n    use b;\n}\nuse c;\n";
    assert_eq!(without_tests(text), "use a;\nfn f() {}\nuse c;\n");
}
