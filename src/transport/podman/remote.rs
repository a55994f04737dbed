//! podman on another machine, which loads an archive.

use std::collections::BTreeSet;

use super::Podman;
use crate::Result;
use crate::image::Image;
use crate::oci::Digest;
use crate::transport::archive;
use crate::transport::destination::CopyName;

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
        podman.feed(&["load", "--quiet"], |writer| {
            archive::stream(image, writer, name, leave_out, podman.progress)
        })
    };
    let ended = load(&known)?;
    if ended.succeeded() || known.is_empty() {
        return ended.success("").map(|_| ());
    }
    load(&BTreeSet::new())?.success("").map(|_| ())
}

/// The diff IDs of all layers of all images. What cannot be learned is not known.
fn known_layers(podman: &Podman<'_>) -> Result<BTreeSet<Digest>> {
    let list = ["image", "list", "--all", "--quiet", "--no-trunc"];
    let images = podman.run(&list)?;
    let mut images: Vec<&str> = images.output.split_whitespace().collect();
    images.sort_unstable();
    images.dedup();
    let mut known = BTreeSet::new();
    for some in images.chunks(AT_ONCE) {
        let inspect = ["image", "inspect", "--format", "{{json .RootFS.Layers}}"];
        let layers = podman.run(&[&inspect, some].concat())?;
        // A line for each image, null for one without layers.
        let lines = layers.output.lines();
        let lists = lines.filter_map(|line| serde_json::from_str::<Vec<Digest>>(line).ok());
        known.extend(lists.flatten());
    }
    Ok(known)
}
