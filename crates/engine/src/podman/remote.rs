//! podman on another machine, which loads an archive.

use std::collections::BTreeSet;
use std::io::Write;

use super::client::{Podman, command};
use crate::process;
use strata_copy::{CopyName, archive};
use strata_error::{Error, Result};
use strata_image::Image;
use strata_oci::Digest;

/// How many images to ask about at once: a command line has an end.
const AT_ONCE: usize = 200;

/// Lets podman load the image without the layers that it has, and whole if it does not take that.
pub(super) fn load(podman: &Podman<'_>, image: &Image, name: &CopyName) -> Result<()> {
    let known = known_layers(podman)?;
    let layers = image.layers.iter();
    let known: BTreeSet<Digest> = layers
        .filter(|layer| known.contains(&layer.diff_id()))
        .map(|layer| layer.descriptor().digest)
        .collect();
    let load = |leave_out: &BTreeSet<Digest>| {
        let input = |writer: &mut dyn Write| {
            archive::stream(image, writer, name, leave_out, podman.context)
        };
        let load = command(&["load", "--quiet"]);
        process::run_with_input(load, Box::new(input), "", podman.context).map(|_| ())
    };
    match load(&known) {
        Err(Error::Command { .. }) if !known.is_empty() => load(&BTreeSet::new()),
        result => result,
    }
}

/// The diff IDs of all layers of all images. What cannot be learned is not known.
fn known_layers(podman: &Podman<'_>) -> Result<BTreeSet<Digest>> {
    let list = ["image", "list", "--all", "--quiet", "--no-trunc"];
    let images = podman.query(&list)?;
    let mut images: Vec<&str> = images.split_whitespace().collect();
    images.sort_unstable();
    images.dedup();
    let mut known = BTreeSet::new();
    for some in images.chunks(AT_ONCE) {
        let inspect = ["image", "inspect", "--format", "{{json .RootFS.Layers}}"];
        let layers = match podman.query(&[&inspect, some].concat()) {
            // One of them may have gone meanwhile.
            Err(Error::Command { .. }) => continue,
            layers => layers?,
        };
        // A line for each image, null for one without layers.
        let lists = layers.lines().map(serde_json::from_str::<Vec<Digest>>);
        known.extend(lists.flatten().flatten());
    }
    Ok(known)
}
