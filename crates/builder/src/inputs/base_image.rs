//! The base image of an image.

use std::collections::BTreeSet;

use strata_base::Base;
use strata_error::{Error, Result};
use strata_nix::Store;
use strata_oci::{Compression, ImageConfig, Platform, media_type};
use strata_plan::{CheckedImage, CheckedRequest, LayerSpec, history_of_whiteouts};
use strata_tree::{BaseEntry, ImagePath};

/// The base image of an image; the default is none.
#[derive(Default)]
pub(crate) struct BaseImage {
    /// The base, whose tree lacks what is hidden.
    pub(crate) base: Base,
    /// What is hidden of it, sorted.
    pub(crate) hidden: Vec<ImagePath>,
}

/// Reads the base image of `image`, which must be for the same platform.
pub(crate) fn read(image: &CheckedImage, store: &Store) -> Result<BaseImage> {
    let Some(request) = &image.base else {
        return Ok(BaseImage::default());
    };
    let mut base = strata_base::read(
        &request.path,
        &request.selection,
        &image.platform.architecture,
        store,
    )?;
    if let Some(config) = &mut base.config {
        check_platform(config, &request.path, &image.platform)?;
    }
    let hidden = hide(&mut base, &request.remove)?;
    Ok(BaseImage { base, hidden })
}

/// A layer that hides something.
pub(crate) fn hiding(whiteouts: Vec<ImagePath>, request: &CheckedRequest) -> LayerSpec {
    let history = request.history.clone();
    let history = history.unwrap_or_else(|| history_of_whiteouts(&whiteouts));
    LayerSpec {
        whiteouts,
        ..LayerSpec::new(history, request.compression)
    }
}

fn check_platform(found: &mut ImageConfig, path: &str, wanted: &Platform) -> Result<()> {
    // Images that were made from nothing may not say.
    if found.architecture.is_empty() {
        found.architecture.clone_from(&wanted.architecture);
    }
    if found.os.is_empty() {
        found.os.clone_from(&wanted.os);
    }
    if found.variant.is_none() && found.architecture == wanted.architecture {
        found.variant.clone_from(&wanted.variant);
    }
    if found.platform().fits(wanted) {
        return Ok(());
    }
    Err(Error::Attribute {
        attribute: "fromImage".into(),
        message: format!(
            "{path} is for {}, but the image is for {wanted}",
            found.platform()
        ),
        hint: "take the base for the other one, or set platform".into(),
    })
}

/// What whoever builds on `base` should know.
pub(crate) fn warnings(base: &Base) -> Vec<String> {
    let mut warnings = Vec::new();
    let triggers = base
        .config
        .as_ref()
        .and_then(|config| config.config.get("OnBuild"));
    if triggers
        .and_then(|triggers| triggers.as_array())
        .is_some_and(|list| !list.is_empty())
    {
        warnings.push(
            "warning: the base image has ONBUILD instructions, which are not run\n\
             hint: do what they say in copyToRoot and config"
                .to_owned(),
        );
    }
    if base.is_compressed {
        warnings.push(
            "warning: the base image is an archive that is compressed as a whole, so that each \
             copy of one of its layers decompresses everything before it\n\
             hint: decompress it, or build it with compressor = \"none\""
                .to_owned(),
        );
    }
    warnings
}

/// Asks for a compression where the base does not say and is not compressed.
pub(crate) fn compress(base: &mut Base, compression: Option<Compression>) {
    let blobs = base.blobs.iter_mut();
    let tars = blobs.filter(|record| record.blob.media_type == media_type::LAYER_TAR);
    let wishes = tars.map(|record| &mut record.compression);
    let layers = base.layers.iter_mut();
    for wish in wishes.chain(layers.map(|record| &mut record.compression)) {
        *wish = wish.or(compression);
    }
}

/// Hides `remove` of the base's tree; gives the places, which lead through no symlink.
fn hide(base: &mut Base, remove: &[ImagePath]) -> Result<Vec<ImagePath>> {
    let mut places = BTreeSet::new();
    for (number, path) in remove.iter().enumerate() {
        let (directory, name) = path.split();
        let place = base.tree.directory(&directory).ok();
        let place = place.map(|directory| directory.join(name));
        let is_there = |place: &ImagePath| base.tree.at(place) != BaseEntry::Nothing;
        let Some(place) = place.filter(is_there) else {
            return Err(Error::Attribute {
                attribute: format!("remove[{number}]"),
                message: format!("/{path} is not in the base image"),
                hint: "leave it out, or look for the right path in the base".into(),
            });
        };
        places.insert(place);
    }
    for place in &places {
        base.tree.remove(place);
    }
    Ok(places.into_iter().collect())
}
