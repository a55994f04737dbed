//! What only skopeo knows, as it was typed: `ostree:`, `sif:`, and a storage in brackets after
//! `containers-storage:`.

use std::fmt;

use super::checks::one_image;
use super::contract::{Copied, Destination, Options};
use super::platform::of_this_machine;
use super::syntax::Transport;
use strata_copy::CopyName;
use strata_engine::skopeo;
use strata_error::Result;
use strata_image::ManifestOrIndexRef;
use strata_oci::Platform;
use strata_progress::Context;

pub(super) const OSTREE: Transport = Transport {
    name: "ostree",
    form: None,
    help: None,
    parse: |text, _| Ok(Box::new(Skopeo::new(text))),
};

pub(super) const SIF: Transport = Transport {
    name: "sif",
    form: None,
    help: None,
    parse: |text, _| Ok(Box::new(Skopeo::new(text))),
};

#[derive(Debug)]
pub(super) struct Skopeo(String);

impl Skopeo {
    pub(super) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for Skopeo {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Destination for Skopeo {
    /// It runs here.
    fn platform(&self, _: &Options, _: Context<'_>) -> Result<Option<Platform>> {
        Ok(Some(of_this_machine()))
    }

    fn copy(
        &self,
        image: ManifestOrIndexRef<'_>,
        _: &CopyName,
        _: &Options,
        context: Context<'_>,
    ) -> Result<Copied> {
        let image = one_image(image, self)?;
        skopeo::copy(image, &self.0, context).map(Copied::from)
    }
}
