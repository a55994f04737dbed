//! A place for something new: the nearest directory above it that is there, open, and what lacks.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;

use super::open_directory::OpenDirectory;
use super::staging::Staging;
use strata_error::{Error, Result};

/// Where something is to appear.
pub(crate) struct Target {
    /// The nearest directory that is there: on the file system where it will be, and found without making
    /// anything yet.
    pub(crate) above: OpenDirectory,
    /// The directories below that are not there, the outer one first.
    missing: Vec<OsString>,
    name: OsString,
}

impl Target {
    /// The place at `path`.
    pub(crate) fn find(path: &Path) -> Result<Self> {
        let failed = Error::io("write", path);
        let Some(name) = path.file_name() else {
            return Err(failed(io::ErrorKind::InvalidInput.into()));
        };
        for ancestor in path.ancestors().skip(1) {
            let shown = if ancestor.as_os_str().is_empty() {
                Path::new(".")
            } else {
                ancestor
            };
            let above = match OpenDirectory::open(shown) {
                Ok(above) => above,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(Error::io("write into", shown)(error)),
            };
            let missing = path.strip_prefix(ancestor).ok().and_then(Path::parent);
            let missing = missing.into_iter().flatten();
            return Ok(Self {
                above,
                missing: missing.map(OsStr::to_owned).collect(),
                name: name.to_owned(),
            });
        }
        Err(failed(io::ErrorKind::NotFound.into()))
    }

    /// Makes the directories that lack and lets `arrive` put something there under its name; all names are
    /// on the disk then.
    pub(crate) fn arrive<T>(
        &self,
        arrive: impl FnOnce(&OpenDirectory, &OsStr) -> Result<T>,
    ) -> Result<T> {
        let mut directories = vec![self.above.try_clone()?];
        for name in &self.missing {
            if let Some(last) = directories.last() {
                directories.push(last.child_or_new(name, 0o777)?);
            }
        }
        let last = directories.last().unwrap_or(&self.above);
        let arrived = arrive(last, &self.name)?;
        for directory in directories.iter().rev() {
            directory.sync();
        }
        Ok(arrived)
    }

    /// Renames the content of `staging` to here, as [`Staging::rename_content`].
    pub(crate) fn rename_content(&self, staging: &Staging<'_>) -> Result<bool> {
        self.arrive(|directory, name| staging.rename_content(directory, name))
    }
}
