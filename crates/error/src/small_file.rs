//! Reading files that are small unless something is wrong: documents, credentials, certificates.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

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

/// A file of settings that need not be there: in a usual place, or one that the user named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where it is.
    pub path: PathBuf,
    /// Whether the user named it, so that it has to be there and to be right.
    pub named: bool,
}

/// What there is of such a file.
#[derive(Debug)]
pub enum Found<T> {
    /// What it says.
    Settings(T),
    /// It is in a usual place, and not there.
    Nothing,
    /// It is in a usual place, and cannot be used, for this reason: another user's, or a broken one. It counts as
    /// absent.
    Unusable(Error),
}

impl Settings {
    /// Reads the file with `parse`, which may be handed an empty one. Whether what is wrong with it is an error depends
    /// on who named it, and nothing else: this is the one place for that.
    pub fn read<T>(&self, limit: u64, parse: impl FnOnce(&[u8]) -> Result<T>) -> Result<Found<T>> {
        if self.named {
            return parse(&read(&self.path, limit)?).map(Found::Settings);
        }
        let parsed = match read_usual(&self.path, limit) {
            Ok(None) => return Ok(Found::Nothing),
            Ok(Some(bytes)) => parse(&bytes),
            Err(error) => Err(error),
        };
        Ok(parsed.map_or_else(Found::Unusable, Found::Settings))
    }
}

/// Whether a file is not there; some have no home but `/dev/null`.
fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
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
    fn what_is_in_a_usual_place_need_not_be_usable() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("right"), "1").unwrap();
        std::fs::write(path("empty"), "").unwrap();
        std::fs::write(path("large"), "12345").unwrap();
        let parse = |bytes: &[u8]| match bytes {
            b"1" => Ok(1),
            _ => Err(Error::io("read", "x")(io::ErrorKind::InvalidData.into())),
        };
        for (name, usual) in [
            ("right", "settings"),
            ("absent", "nothing"),
            ("right/below", "nothing"),
            ("empty", "unusable"),
            ("large", "unusable"),
            (".", "unusable"),
        ] {
            let read = |named| {
                Settings {
                    path: path(name),
                    named,
                }
                .read(4, parse)
            };
            let found = match read(false).unwrap() {
                Found::Settings(1) => "settings",
                Found::Settings(_) => "others",
                Found::Nothing => "nothing",
                Found::Unusable(_) => "unusable",
            };
            assert_eq!(found, usual, "{name}");
            assert_eq!(read(true).is_ok(), name == "right", "{name}");
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
