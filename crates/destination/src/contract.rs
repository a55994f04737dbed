//! What every destination can do, and what it is handed for that.

use std::fmt;
use std::io::Write;
use std::path::Path;

use serde_json::Value;

use strata_copy::CopyName;
use strata_engine::{containerd, docker};
use strata_error::Result;
use strata_image::ManifestOrIndexRef;
use strata_layer::ImageName;
use strata_oci::{Digest, Platform, Reference};
use strata_progress::Context;
use strata_registry::PushOptions;

/// Where a copy goes. It is displayed as it can be typed again.
///
/// The methods stand in the order in which `strata copy` calls them.
pub trait Destination: fmt::Debug + fmt::Display {
    /// The name in a registry, if it is one: what flags about pushes refer to.
    fn reference(&self) -> Option<&Reference> {
        None
    }

    /// Refuses what is right in itself and wrong here: for the copy of the `image` at this path, by a
    /// command whose standard output is a terminal or not.
    fn check(&self, _image: &Path, _to_terminal: bool) -> Result<()> {
        Ok(())
    }

    /// The platform that it runs, if it takes one image and no index.
    fn platform(&self, _options: &Options, _context: Context<'_>) -> Result<Option<Platform>> {
        Ok(None)
    }

    /// What a copy would do, for each image and then for an index of them. The flag for it is refused
    /// where [`Destination::reference`] is none.
    fn dry_run(
        &self,
        _image: ManifestOrIndexRef<'_>,
        _options: &Options,
        _context: Context<'_>,
    ) -> Result<Vec<DryRun>> {
        Ok(Vec::new())
    }

    /// What the copy of an image is called here: what was typed, and the image's `own` name where
    /// nothing was; nothing where copies have no names.
    fn copy_name(&self, _own: Option<&ImageName>) -> Result<CopyName> {
        Ok(CopyName::default())
    }

    /// Whether manifests can be Docker's here.
    fn docker_format(&self) -> DockerFormat {
        DockerFormat::Never
    }

    /// Copies an image or an index under its name of [`Destination::copy_name`].
    fn copy(
        &self,
        image: ManifestOrIndexRef<'_>,
        name: &CopyName,
        options: &Options,
        context: Context<'_>,
    ) -> Result<Copied>;

    /// Whether standard output is the copy, so that nothing else goes there.
    fn is_standard_output(&self) -> bool {
        false
    }

    /// Where the copy is found afterwards, first what was asked for.
    fn places(&self, _name: &CopyName, _options: &Options) -> Vec<String> {
        vec![self.to_string()]
    }
}

/// Whether manifests can be in Docker's format at a destination, and who sees to that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DockerFormat {
    /// They are, since there are no others.
    Always,
    /// The push writes them ([`PushOptions::format`]).
    Pushed,
    /// They can be; the image or index is handed over so.
    Possible,
    /// They are OCI's.
    Never,
    /// They are OCI's, and those who read them take from the config whatever is in it.
    Indifferent,
}

/// What destinations take from the command line.
#[derive(Clone)]
pub struct Options {
    /// How to reach a registry.
    pub registry: strata_registry::Options,
    /// What goes to a registry, and how.
    pub push: PushOptions,
    /// How to reach a Docker engine.
    pub docker: docker::Options,
    /// How to reach containerd.
    pub containerd: containerd::Options,
    /// Opens standard output; while nobody reads it, the context is asked whether to go on.
    pub stdout: fn(Context<'_>) -> Box<dyn Write + '_>,
}

/// A copy that was made.
pub struct Copied {
    /// The manifest or index that is there now.
    pub digest: Digest,
    /// What an engine calls it that does not keep the manifest, and so does not know the digest.
    pub id: Option<Digest>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

impl From<Digest> for Copied {
    fn from(digest: Digest) -> Self {
        Self {
            digest,
            id: None,
            warnings: Vec::new(),
        }
    }
}

/// What would be done for an image or an index.
pub struct DryRun {
    /// What the user should know.
    pub warnings: Vec<String>,
    /// Lines for people to read.
    pub text: String,
    /// The same for programs, of an image; docs/cli.md describes it.
    pub json: Option<Value>,
}
