//! `containerd:[NAME[:TAG]]` and the same for clusters: `k3s:`, `kind:`, `minikube:`.

use std::fmt;

use super::checks::one_image;
use super::contract::{Copied, Destination, DockerFormat, Options};
use super::names::{self, WholeName, in_engine};
use super::platform::of_this_machine;
use super::syntax::Transport;
use strata_copy::CopyName;
use strata_engine::containerd::{self, Runner};
use strata_error::Result;
use strata_image::ManifestOrIndexRef;
use strata_layer::ImageName;
use strata_oci::Platform;
use strata_progress::Context;

pub(super) const CONTAINERD: Transport = Transport {
    name: containerd::CONTAINERD.transport,
    form: Some("containerd:[NAME[:TAG]]"),
    help: Some("containerd; also k3s:, kind:, minikube:"),
    parse: |_, rest| parse(&containerd::CONTAINERD, rest),
};

pub(super) const K3S: Transport = Transport {
    name: containerd::K3S.transport,
    form: Some("k3s:[NAME[:TAG]]"),
    help: None,
    parse: |_, rest| parse(&containerd::K3S, rest),
};

pub(super) const KIND: Transport = Transport {
    name: containerd::KIND.transport,
    form: Some("kind:[NAME[:TAG]]"),
    help: None,
    parse: |_, rest| parse(&containerd::KIND, rest),
};

pub(super) const MINIKUBE: Transport = Transport {
    name: containerd::MINIKUBE.transport,
    form: Some("minikube:[NAME[:TAG]]"),
    help: None,
    parse: |_, rest| parse(&containerd::MINIKUBE, rest),
};

fn parse(runner: &'static Runner, rest: &str) -> Result<Box<dyn Destination>> {
    let name = WholeName::parse_optional(rest)?;
    Ok(Box::new(Containerd { runner, name }))
}

#[derive(Debug)]
struct Containerd {
    runner: &'static Runner,
    name: Option<WholeName>,
}

impl fmt::Display for Containerd {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&in_engine(self.runner.transport, self.name.as_ref()))
    }
}

impl Destination for Containerd {
    /// It runs here, or its nodes do.
    fn platform(&self, _: &Options, _: Context<'_>) -> Result<Option<Platform>> {
        Ok(Some(of_this_machine()))
    }

    fn copy_name(&self, own: Option<&ImageName>) -> Result<CopyName> {
        names::whole_or_own(self.name.as_ref(), own)
    }

    fn docker_format(&self) -> DockerFormat {
        DockerFormat::Indifferent
    }

    fn copy(
        &self,
        image: ManifestOrIndexRef<'_>,
        name: &CopyName,
        options: &Options,
        context: Context<'_>,
    ) -> Result<Copied> {
        let image = one_image(image, self)?;
        containerd::copy(image, self.runner, name, &options.containerd, context)?;
        Ok(image.manifest_descriptor.digest.into())
    }

    fn places(&self, name: &CopyName, _: &Options) -> Vec<String> {
        vec![in_engine(self.runner.transport, name.full.as_ref())]
    }
}
