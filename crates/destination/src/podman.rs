//! `containers-storage:[NAME[:TAG]]`, also `podman:`: podman.

use std::fmt;

use super::checks::one_image;
use super::contract::{Copied, Destination, DockerFormat, Options};
use super::names::{self, WholeName, in_engine};
use super::skopeo::Skopeo;
use super::syntax::Transport;
use strata_copy::CopyName;
use strata_engine::podman;
use strata_error::Result;
use strata_image::ManifestOrIndexRef;
use strata_layer::ImageName;
use strata_oci::Platform;
use strata_progress::Context;

pub(super) const PODMAN: Transport = Transport {
    name: "podman",
    form: Some("podman:[NAME[:TAG]]"),
    help: Some("podman; also containers-storage:"),
    parse: |_, rest| Ok(Box::new(Podman(WholeName::parse_optional(rest)?))),
};

pub(super) const CONTAINERS_STORAGE: Transport = Transport {
    name: "containers-storage",
    form: Some("containers-storage:[NAME[:TAG]]"),
    help: None,
    parse: |text, rest| {
        // A storage of its own, which podman is not asked for.
        if rest.starts_with('[') {
            return Ok(Box::new(Skopeo::new(text)));
        }
        (PODMAN.parse)(text, rest)
    },
};

#[derive(Debug)]
struct Podman(Option<WholeName>);

impl fmt::Display for Podman {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&in_engine(CONTAINERS_STORAGE.name, self.0.as_ref()))
    }
}

impl Destination for Podman {
    fn platform(&self, _: &Options, context: Context<'_>) -> Result<Option<Platform>> {
        podman::platform(context).map(Some)
    }

    fn copy_name(&self, own: Option<&ImageName>) -> Result<CopyName> {
        names::whole_or_own(self.0.as_ref(), own)
    }

    fn docker_format(&self) -> DockerFormat {
        DockerFormat::Possible
    }

    fn copy(
        &self,
        image: ManifestOrIndexRef<'_>,
        name: &CopyName,
        _: &Options,
        context: Context<'_>,
    ) -> Result<Copied> {
        let image = one_image(image, self)?;
        podman::copy(image, name, context).map(Copied::from)
    }

    fn places(&self, name: &CopyName, _: &Options) -> Vec<String> {
        vec![in_engine(CONTAINERS_STORAGE.name, name.full.as_ref())]
    }
}
