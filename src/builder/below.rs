//! The base image of an image.

use crate::base::{self, Base};
use crate::nix::Store;
use crate::plan::{BaseLayers, CheckedImage};
use crate::{Error, Result};

/// Reads the image below `image`, which must be for the same platform.
pub(super) fn read(image: &CheckedImage, store: &Store) -> Result<Option<Base>> {
    let Some(request) = &image.base else {
        return Ok(None);
    };
    let mut base = base::read(
        &request.path,
        &request.selection,
        &image.architecture,
        store,
    )?;
    let error = |message: String, hint: &str| Error::Attribute {
        attribute: "fromImage".into(),
        message,
        hint: hint.to_owned(),
    };
    let found = &mut base.config;
    // Images that were made from nothing may not say.
    if found.architecture.is_empty() {
        found.architecture.clone_from(&image.architecture);
    }
    if found.os.is_empty() {
        "linux".clone_into(&mut found.os);
    }
    if found.os != "linux" {
        return Err(error(
            format!("{} is for {}", request.path, found.os),
            "images of Strata are for linux",
        ));
    }
    if found.architecture != image.architecture {
        return Err(error(
            format!(
                "{} is for {}, but the image is for {}",
                request.path, found.architecture, image.architecture
            ),
            "take the base for the other one, or set arch",
        ));
    }
    Ok(Some(base))
}

/// What whoever builds on `base` should know.
pub(super) fn remarks(base: &Base) -> Vec<String> {
    let mut remarks = Vec::new();
    let triggers = base.config.config.get("OnBuild");
    if triggers
        .and_then(|triggers| triggers.as_array())
        .is_some_and(|list| !list.is_empty())
    {
        remarks.push(
            "warning: the base image has ONBUILD instructions, which are not run\n\
             hint: do what they say in copyToRoot and config"
                .to_owned(),
        );
    }
    if base.is_compressed {
        remarks.push(
            "warning: the base image is an archive that is compressed as a whole, so that each \
             copy of one of its layers decompresses everything before it\n\
             hint: decompress it, or build it with compressor = \"none\""
                .to_owned(),
        );
    }
    remarks
}

/// What the plan depends on.
pub(super) fn layers(base: &Base) -> BaseLayers<'_> {
    BaseLayers {
        count: base.blobs.len() + base.layers.len(),
        own: &base.layers,
    }
}
