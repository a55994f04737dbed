//! `oci-archive:PATH[:TAG]` and `docker-archive:PATH[:NAME[:TAG]]`: a tar file. Both are read by the same
//! programs; in the second no layer is compressed, as `docker save` writes it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

use super::checks::refused;
use super::contract::{Copied, Destination, DockerFormat, Options};
use super::names::{self, GivenName, WholeName, named};
use super::syntax::{Transport, split_path};
use strata_copy::{CopyName, archive, plain};
use strata_error::{Error, Result};
use strata_image::{ManifestOrIndex, ManifestOrIndexRef};
use strata_layer::ImageName;
use strata_progress::Context;

const OCI_FORM: &str = "oci-archive:PATH[:TAG]";
const DOCKER_FORM: &str = "docker-archive:PATH[:NAME[:TAG]]";

pub(super) const OCI_ARCHIVE: Transport = Transport {
    name: "oci-archive",
    form: Some(OCI_FORM),
    help: Some("the same with layers as they are, to be named by a tag"),
    parse: |text, rest| Ok(Box::new(Archive::parse_oci(text, rest)?)),
};

pub(super) const DOCKER_ARCHIVE: Transport = Transport {
    name: "docker-archive",
    form: Some(DOCKER_FORM),
    help: Some("a file for `docker load` and others; - is standard output"),
    parse: |text, rest| Ok(Box::new(Archive::parse_docker(text, rest)?)),
};

#[derive(Debug, PartialEq, Eq)]
struct Archive {
    target: Target,
    name: Name,
}

#[derive(Debug, PartialEq, Eq)]
enum Target {
    /// `-` or `/dev/stdout`.
    Stdout,
    /// A file, a named pipe or a device.
    Path(PathBuf),
}

/// What follows the path, after `oci-archive:` and after `docker-archive:`.
#[derive(Debug, PartialEq, Eq)]
enum Name {
    Oci(Option<GivenName>),
    Docker(Option<WholeName>),
}

impl Archive {
    fn parse_oci(text: &str, rest: &str) -> Result<Self> {
        let (path, name) = split_path(text, rest, OCI_FORM)?;
        Ok(Self {
            target: path.into(),
            name: Name::Oci(name.map(GivenName::parse).transpose()?),
        })
    }

    fn parse_docker(text: &str, rest: &str) -> Result<Self> {
        let (path, name) = split_path(text, rest, DOCKER_FORM)?;
        Ok(Self {
            target: path.into(),
            name: Name::Docker(name.map(WholeName::parse).transpose()?),
        })
    }

    fn place(&self) -> String {
        let transport = match self.name {
            Name::Oci(_) => OCI_ARCHIVE.name,
            Name::Docker(_) => DOCKER_ARCHIVE.name,
        };
        format!("{transport}:{}", self.target)
    }
}

impl From<&str> for Target {
    fn from(path: &str) -> Self {
        if is_stdout(Path::new(path)) {
            Self::Stdout
        } else {
            Self::Path(path.into())
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => formatter.write_str("-"),
            Self::Path(path) => path.display().fmt(formatter),
        }
    }
}

impl fmt::Display for Archive {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.place();
        formatter.write_str(&match &self.name {
            Name::Oci(name) => named(&place, name.as_ref()),
            Name::Docker(name) => named(&place, name.as_ref()),
        })
    }
}

impl Destination for Archive {
    fn check(&self, _: &Path, to_terminal: bool) -> Result<()> {
        match &self.target {
            Target::Stdout if to_terminal => Err(refused(
                self,
                "an archive is not written to a terminal",
                "pipe it, as in: strata copy IMAGE docker-archive:- | docker load",
            )),
            Target::Stdout => Ok(()),
            Target::Path(path) => {
                check_archive_name("destination", path)?;
                check_directory("destination", path)
            }
        }
    }

    fn copy_name(&self, own: Option<&ImageName>) -> Result<CopyName> {
        match &self.name {
            Name::Oci(name) => names::in_layout(name.as_ref(), own),
            Name::Docker(name) => names::whole_or_own(name.as_ref(), own),
        }
    }

    fn docker_format(&self) -> DockerFormat {
        match self.name {
            Name::Oci(_) => DockerFormat::Never,
            Name::Docker(_) => DockerFormat::Always,
        }
    }

    fn copy(
        &self,
        image: ManifestOrIndexRef<'_>,
        name: &CopyName,
        options: &Options,
        context: Context<'_>,
    ) -> Result<Copied> {
        let plain = match self.name {
            Name::Oci(_) => None,
            Name::Docker(_) => plain(image, context)?,
        };
        let image = plain.as_ref().map_or(image, ManifestOrIndex::borrowed);
        match &self.target {
            Target::Path(path) => archive::write(image, path, name, context)?,
            Target::Stdout => {
                let mut writer = (options.stdout)(context);
                archive::stream_all(&[(image, name)], &mut writer, &BTreeSet::new(), context)?;
                writer.flush().map_err(Error::stream("standard output"))?;
            }
        }
        Ok(image.digest().into())
    }

    fn is_standard_output(&self) -> bool {
        self.target == Target::Stdout
    }

    fn places(&self, name: &CopyName, _: &Options) -> Vec<String> {
        let name = match self.name {
            Name::Oci(_) => &name.reference,
            Name::Docker(_) => &name.familiar,
        };
        vec![named(&self.place(), name.as_ref())]
    }
}

/// Refuses a file in a directory that is not there: a slip of the pen should not make one.
pub fn check_directory(what: &'static str, path: &Path) -> Result<()> {
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    match directory {
        Some(directory) if !directory.exists() => Err(Error::Name {
            what,
            value: path.display().to_string(),
            message: format!("there is no directory {}", directory.display()),
            hint: format!("make it first: mkdir -p {}", directory.display()),
        }),
        _ => Ok(()),
    }
}

/// Whether a path stands for standard output: `-` or `/dev/stdout`.
pub fn is_stdout(path: &Path) -> bool {
    [Path::new("-"), Path::new("/dev/stdout")].contains(&path)
}

/// What files of other kinds are called.
const OTHER_ARCHIVES: [&str; 11] = [
    "7z", "bz2", "cpio", "lz4", "rar", "tbz2", "tgz", "txz", "tzst", "xz", "zip",
];

/// Refuses to write an archive under the name of something else. `what` the path is, as the error says.
pub fn check_archive_name(what: &'static str, path: &Path) -> Result<()> {
    let extension = path.extension().and_then(OsStr::to_str);
    match extension.filter(|extension| OTHER_ARCHIVES.contains(extension)) {
        Some(extension) => Err(Error::Name {
            what,
            value: path.display().to_string(),
            message: format!("what is written is not .{extension}"),
            hint: "end it with .tar, or with .tar.gz or .tar.zst to compress it".to_owned(),
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_paths_are_standard_output() {
        let parse = |rest| Archive::parse_docker("", rest).unwrap();
        assert_eq!(parse("/dev/stdout"), parse("-"));
        assert!(parse("-:hello:1").is_standard_output());
        assert!(!parse("./-").is_standard_output());
    }
}
