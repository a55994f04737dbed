//! `dir:PATH`: skopeo's directory of blobs.

use std::fmt;
use std::path::{Path, PathBuf};

use super::checks;
use super::contract::{Copied, Destination, DockerFormat, Options};
use super::syntax::{Transport, no_path};
use strata_copy::{CopyName, directory};
use strata_error::Result;
use strata_image::ManifestOrIndexRef;
use strata_progress::Context;

const FORM: &str = "dir:PATH";

pub(super) const DIR: Transport = Transport {
    name: "dir",
    form: Some(FORM),
    help: Some("a directory of blobs, in skopeo's form"),
    parse: |text, rest| Ok(Box::new(Directory::parse(text, rest)?)),
};

#[derive(Debug, PartialEq, Eq)]
struct Directory {
    path: PathBuf,
}

impl Directory {
    /// Unlike other paths, this one may have colons in it: nothing follows it.
    fn parse(text: &str, rest: &str) -> Result<Self> {
        if rest.is_empty() {
            return Err(no_path(text, FORM));
        }
        Ok(Self { path: rest.into() })
    }
}

impl fmt::Display for Directory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "dir:{}", self.path.display())
    }
}

impl Destination for Directory {
    fn check(&self, image: &Path, _: bool) -> Result<()> {
        checks::is_not_image(self, &self.path, image)
    }

    fn docker_format(&self) -> DockerFormat {
        DockerFormat::Possible
    }

    fn copy(
        &self,
        image: ManifestOrIndexRef<'_>,
        _: &CopyName,
        _: &Options,
        context: Context<'_>,
    ) -> Result<Copied> {
        directory::write(image, &self.path, context)?;
        Ok(image.digest().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As in skopeo.
    #[test]
    fn slashes_belong_to_the_path() {
        let parsed = Directory::parse("dir:///tmp/x", "///tmp/x").unwrap();
        let path = "/tmp/x".into();
        assert_eq!(parsed, Directory { path });
    }
}
