//! The error of every crate, with the place where it happened and the way out.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use super::text::visible_line;

/// The result of everything in this library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure of the library. One variant for each thing that a user would fix in a different place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused something: a missing store path, a full disk, a closed pipe.
    #[error("cannot {operation} {}", path.display())]
    Io {
        /// The verb, as in "cannot read PATH".
        operation: &'static str,
        /// The file or directory that was worked on.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },

    /// Writing to a stream failed that has no path: standard output, a hasher, a socket.
    #[error("cannot write {what}")]
    Stream {
        /// What was being written, as in "layer sha256:…".
        what: String,
        /// What the operating system said.
        source: io::Error,
    },

    /// An attribute of a derivation, that is an argument of a Nix function, is wrong.
    #[error("attribute {attribute}: {message}")]
    Attribute {
        /// The argument, as the user wrote it: `perms[2].mode`.
        attribute: String,
        /// What is wrong with it.
        message: String,
        /// The way out.
        hint: String,
    },

    /// Two sources want different things at one path of the image.
    #[error("conflict at /{path}: {first} and {second} disagree about {about}")]
    Conflict {
        /// The path in the image, without the leading slash.
        path: String,
        /// One source, with its store path.
        first: String,
        /// The other.
        second: String,
        /// What differs: the content, the kind, the mode and so on.
        about: String,
        /// The rule or argument that would settle it.
        hint: String,
    },

    /// A document (of Nix, of OCI, of ours) does not parse or does not say what it must.
    #[error("{document}: {message}")]
    Document {
        /// Its path or name.
        document: String,
        /// What is wrong with it.
        message: String,
        /// The way out.
        hint: String,
    },

    /// Bytes are not those that were promised: a layer changed since the image was built.
    #[error("{what}: expected {expected}, found {found}")]
    Mismatch {
        /// The layer or store path.
        what: String,
        /// The digest or size that was recorded.
        expected: String,
        /// The digest or size that there is now.
        found: String,
        /// The way out.
        hint: String,
    },

    /// A reference or destination that the user typed is not one.
    #[error("{what} {value:?}: {message}")]
    Name {
        /// What it should have been: "image name", "tag", "destination".
        what: &'static str,
        /// What was typed.
        value: String,
        /// What is wrong with it.
        message: String,
        /// The way out.
        hint: String,
    },

    /// A registry refused, failed or could not be reached.
    #[error("{operation}: {message}")]
    Registry {
        /// What was asked of which registry.
        operation: String,
        /// What it answered.
        message: String,
        /// The codes of its errors, as far as it answered with some (distribution specification, "Error
        /// Codes").
        codes: Vec<String>,
        /// The way out.
        hint: String,
    },

    /// A container engine refused, failed or could not be reached.
    #[error("{operation}: {message}")]
    Engine {
        /// What was asked of which engine.
        operation: String,
        /// What it answered.
        message: String,
        /// The way out.
        hint: String,
    },

    /// Another program that does a part of the work failed or is missing.
    #[error("{command}: {message}")]
    Command {
        /// The program with its arguments.
        command: String,
        /// What it said about it.
        message: String,
        /// The way out.
        hint: String,
    },

    /// The user interrupted the work.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// An [`Error::Io`] for `map_err`.
    pub fn io(operation: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| Self::Io {
            operation,
            path,
            source,
        }
    }

    /// An [`Error::Stream`] for `map_err`.
    pub fn stream(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Stream { what, source }
    }

    /// The way out, if one is known. Shown by the printer as `hint: …`.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Attribute { hint, .. }
            | Self::Conflict { hint, .. }
            | Self::Document { hint, .. }
            | Self::Mismatch { hint, .. }
            | Self::Name { hint, .. }
            | Self::Registry { hint, .. }
            | Self::Engine { hint, .. }
            | Self::Command { hint, .. } => (!hint.is_empty()).then(|| hint.clone()),
            Self::Io { path, source, .. } => match source.kind() {
                io::ErrorKind::NotFound => {
                    let store_path = path.ancestors().find(|at| is_store_path(at))?;
                    let path = store_path.display();
                    Some(format!(
                        "`nix-store --realise {path}` brings it back if it is missing"
                    ))
                }
                io::ErrorKind::PermissionDenied => {
                    Some("check the permissions of this path and the user that runs this".into())
                }
                io::ErrorKind::StorageFull => Some("free some space on that disk".into()),
                io::ErrorKind::FileTooLarge => Some(
                    "`ulimit -f` says how large files may be that this shell's programs write"
                        .into(),
                ),
                _ => None,
            },
            Self::Stream { source, .. } => (source.kind() == io::ErrorKind::StorageFull)
                .then(|| "free some space on that disk".into()),
            Self::Interrupted => None,
        }
    }

    /// All of it as lines for people: the message with its causes, which are one line whatever names and texts of
    /// others are in them, then the hint.
    pub fn report(&self) -> String {
        let mut text = format!("error: {self}");
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.extend([": ", &error.to_string()]);
            cause = error.source();
        }
        let mut text = visible_line(&text).into_owned();
        if let Some(hint) = self.hint() {
            text.extend(["\nhint: ", &hint]);
        }
        text
    }

    /// Whether the reader of our output went away, which is no failure of ours.
    pub fn is_broken_pipe(&self) -> bool {
        match self {
            Self::Io { source, .. } | Self::Stream { source, .. } => {
                source.kind() == io::ErrorKind::BrokenPipe
            }
            _ => false,
        }
    }
}

/// Whether a path looks like a store path, as far as a hint needs that: a name that begins with a hash
/// in Nix's base 32, in a directory that is not the root.
fn is_store_path(path: &Path) -> bool {
    const HASH_LENGTH: usize = 32;
    let is_hash = |hash: &[u8]| {
        let mut digits = hash.iter();
        digits.all(|digit| b"0123456789abcdfghijklmnpqrsvwxyz".contains(digit))
    };
    let name = path.file_name().map(OsStr::as_encoded_bytes);
    let parts = name.and_then(|name| name.split_at_checked(HASH_LENGTH));
    path.is_absolute()
        && path.parent().is_some_and(|store| store.parent().is_some())
        && parts.is_some_and(|(hash, rest)| is_hash(hash) && rest.len() > 1 && rest[0] == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Issue 11, "Reliability and security" 16: no name of a file looks like another line of ours.
    #[test]
    fn row_16_a_message_is_one_line() {
        let error = Error::io("read", "a\nhint: b")(io::ErrorKind::NotFound.into());
        let report = error.report();
        assert!(
            report.starts_with("error: cannot read a\\nhint: b: "),
            "{report}"
        );
        assert_eq!(report.lines().count(), 1, "{report}");
    }

    #[test]
    fn only_store_paths_are_brought_back() {
        let hint = |path: &str| Error::io("read", path)(io::ErrorKind::NotFound.into()).hint();
        let store_path = "/mnt/nix/store/0123456789abcdfghijklmnpqrsvwxyz-a-1";
        for path in [store_path, &format!("{store_path}/bin/a")] {
            assert!(hint(path).unwrap().contains("nix-store --realise"));
        }
        for path in ["auth.json", "/nix/store", "/home/me/image.lock.json"] {
            assert_eq!(hint(path), None, "{path}");
        }
    }
}
