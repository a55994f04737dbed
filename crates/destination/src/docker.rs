//! `docker-daemon:[NAME[:TAG]]`: a Docker engine.

use std::fmt;

use super::checks::one_image;
use super::contract::{Copied, Destination, DockerFormat, Options};
use super::names::{self, WholeName, in_engine};
use super::syntax::Transport;
use strata_copy::CopyName;
use strata_engine::docker;
use strata_error::Result;
use strata_image::ManifestOrIndexRef;
use strata_layer::ImageName;
use strata_oci::Platform;
use strata_progress::Context;

pub(super) const DOCKER_DAEMON: Transport = Transport {
    name: "docker-daemon",
    form: Some("docker-daemon:[NAME[:TAG]]"),
    help: Some("a Docker engine"),
    parse: |_, rest| Ok(Box::new(Docker(WholeName::parse_optional(rest)?))),
};

#[derive(Debug)]
struct Docker(Option<WholeName>);

impl fmt::Display for Docker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&in_engine(DOCKER_DAEMON.name, self.0.as_ref()))
    }
}

impl Destination for Docker {
    fn platform(&self, options: &Options, context: Context<'_>) -> Result<Option<Platform>> {
        docker::platform(&options.docker, context).map(Some)
    }

    fn copy_name(&self, own: Option<&ImageName>) -> Result<CopyName> {
        names::whole_or_own(self.0.as_ref(), own)
    }

    fn docker_format(&self) -> DockerFormat {
        DockerFormat::Always
    }

    fn copy(
        &self,
        image: ManifestOrIndexRef<'_>,
        name: &CopyName,
        options: &Options,
        context: Context<'_>,
    ) -> Result<Copied> {
        let image = one_image(image, self)?;
        docker::copy(image, name, &options.docker, context)?;
        Ok(Copied {
            id: Some(image.manifest.config.digest),
            ..image.manifest_descriptor.digest.into()
        })
    }

    fn places(&self, name: &CopyName, _: &Options) -> Vec<String> {
        vec![in_engine(DOCKER_DAEMON.name, name.full.as_ref())]
    }
}
