//! Paths in archives.

/// The longest path, Linux's `PATH_MAX`.
pub(super) const LONGEST_PATH: usize = 4096;

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
