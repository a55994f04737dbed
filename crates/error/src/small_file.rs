//! Reading files that are small unless something is wrong: documents, credentials, certificates.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::{Error, Result};

/// The bytes of the file at `path`. More than `limit` bytes are an error.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>> {
    read_opened(File::open(path), path, limit)
}

/// The bytes of a file that is read where it usually is, and that nobody named; none if there is no file. What is no
/// regular file, such as a pipe that nobody writes to, is an error and not waited for.
pub fn read_usual(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    match path.metadata() {
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(Error::io("open", path)(error)),
        Ok(about) if about.is_file() => read(path, limit).map(Some),
        Ok(_) => Err(Error::Document {
            document: path.display().to_string(),
            message: "not a regular file".to_owned(),
            hint: String::new(),
        }),
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// The same for a file that the caller opened, or could not open; errors name `path`.
pub fn read_opened(opened: io::Result<File>, path: &Path, limit: u64) -> Result<Vec<u8>> {
    let file = opened.map_err(Error::io("open", path))?;
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(Error::io("read", path))?;
    if bytes.len() as u64 > limit {
        return Err(Error::Document {
            document: path.display().to_string(),
            message: match limit % (1 << 20) {
                0 => format!("larger than {} MiB", limit >> 20),
                _ => format!("larger than {limit} bytes"),
            },
            hint: "files of this kind are small; look whether it is the right one".to_owned(),
        });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kind "Strangers' documents": an unusable default file is told, and waited for by nobody.
    #[test]
    fn usual_files_are_regular_ones() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::write(at("file"), "abc").unwrap();
        std::os::unix::fs::symlink("file", at("link")).unwrap();
        std::os::unix::fs::symlink("loop", at("loop")).unwrap();
        std::os::unix::fs::symlink("nothing", at("dangling")).unwrap();
        let mut pipe = std::process::Command::new("mkfifo");
        assert!(pipe.arg(at("pipe")).status().unwrap().success());
        for name in ["file", "link"] {
            assert_eq!(read_usual(&at(name), 3).unwrap().unwrap(), b"abc");
        }
        for name in ["nothing", "file/x", "dangling"] {
            assert_eq!(read_usual(&at(name), 3).unwrap(), None);
        }
        for name in ["pipe", "loop", ""] {
            assert!(read_usual(&at(name), 3).is_err(), "{name}");
        }
    }

    #[test]
    fn what_is_large_is_refused_and_not_cut() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, "abc").unwrap();
        assert_eq!(read(&path, 3).unwrap(), b"abc");
        let error = read(&path, 2).unwrap_err().to_string();
        assert_eq!(error, format!("{}: larger than 2 bytes", path.display()));
        // What has no length may still have no end.
        let error = read(Path::new("/dev/zero"), 2).unwrap_err().to_string();
        assert_eq!(error, "/dev/zero: larger than 2 bytes");
        let error = read(&directory.path().join("none"), 2).unwrap_err();
        assert!(error.to_string().starts_with("cannot open "), "{error}");
    }
}
