//! `oci:PATH[:TAG]`: a directory, an OCI image layout.

use std::fmt;
use std::path::{Path, PathBuf};

use super::checks;
use super::contract::{Copied, Destination, Options};
use super::names::{self, GivenName, named};
use super::syntax::{Transport, split_path};
use strata_copy::{CopyName, layout};
use strata_error::Result;
use strata_image::ManifestOrIndexRef;
use strata_layer::ImageName;
use strata_progress::Context;

const FORM: &str = "oci:PATH[:TAG]";

pub(super) const OCI: Transport = Transport {
    name: "oci",
    form: Some(FORM),
    help: Some("a directory, an OCI image layout; keeps its other images"),
    parse: |text, rest| Ok(Box::new(Layout::parse(text, rest)?)),
};

#[derive(Debug)]
struct Layout {
    path: PathBuf,
    name: Option<GivenName>,
}

impl Layout {
    fn parse(text: &str, rest: &str) -> Result<Self> {
        let (path, name) = split_path(text, rest, FORM)?;
        Ok(Self {
            path: path.into(),
            name: name.map(GivenName::parse).transpose()?,
        })
    }

    fn place(&self) -> String {
        format!("oci:{}", self.path.display())
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&named(&self.place(), self.name.as_ref()))
    }
}

impl Destination for Layout {
    fn check(&self, image: &Path, _: bool) -> Result<()> {
        checks::is_not_image(self, &self.path, image)
    }

    fn copy_name(&self, own: Option<&ImageName>) -> Result<CopyName> {
        names::in_layout(self.name.as_ref(), own)
    }

    fn copy(
        &self,
        image: ManifestOrIndexRef<'_>,
        name: &CopyName,
        _: &Options,
        context: Context<'_>,
    ) -> Result<Copied> {
        layout::write(image, &self.path, name, context)?;
        Ok(image.digest().into())
    }

    fn places(&self, name: &CopyName, _: &Options) -> Vec<String> {
        vec![named(&self.place(), name.reference.as_ref())]
    }
}
