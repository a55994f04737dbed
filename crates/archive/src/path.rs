//! Paths in archives.

/// The longest path, Linux's `PATH_MAX`.
pub(super) const LONGEST_PATH: usize = 4096;

/// The longest name, which all file systems of Linux have room for.
const LONGEST_NAME: usize = 255;

/// The path of an entry of an archive, as [`clean_path`] has it, in which `..` takes back the name before it, as
/// for engines (Go's `filepath.Clean`).
pub(super) fn clean_entry_path(path: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut names: Vec<&[u8]> = Vec::new();
    for name in path.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." if names.last().is_some_and(|last| *last != b"..") => {
                names.pop();
            }
            name => names.push(name),
        }
    }
    clean_path(&names.join(&b'/'))
}

/// A path relative to `/` without names that mean nothing; the error is that it leads elsewhere.
pub fn clean_path(path: &[u8]) -> Result<Vec<u8>, &'static str> {
    if path.len() > LONGEST_PATH {
        return Err("the path is longer than 4096 bytes");
    }
    if path.contains(&0) {
        return Err("the path has a null in it");
    }
    let mut clean = Vec::with_capacity(path.len());
    for name in path.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => return Err("the path leads out of the archive"),
            name if name.len() > LONGEST_NAME => {
                return Err("a name in it is longer than 255 bytes");
            }
            name => {
                if !clean.is_empty() {
                    clean.push(b'/');
                }
                clean.extend_from_slice(name);
            }
        }
    }
    Ok(clean)
}
