//! Which layers stay, and which are sent.

use std::collections::BTreeSet;

use strata_oci::{Digest, media_type};

use crate::contents::{Contents, Layer};

/// What becomes of layers, by their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LayerChanges {
    /// The layers of the new image that the old one has, too.
    pub kept: Vec<usize>,
    /// The layers of the new image that the old one has not.
    pub sent: Vec<usize>,
    /// The layers of the old image that the new one has not.
    pub dropped: Vec<usize>,
    /// The bytes of the layers that are kept, each once.
    pub kept_size: u64,
    /// The bytes of the layers that are sent, each once.
    pub sent_size: u64,
    /// Those of them that are not compressed yet: a registry gets fewer.
    pub sent_uncompressed: u64,
}

/// Compares layers by what is in them, however they are compressed.
pub fn layers(old: &Contents, new: &Contents) -> LayerChanges {
    let ids = |contents: &Contents| -> BTreeSet<Digest> {
        contents.layers.iter().map(|layer| layer.diff_id).collect()
    };
    let (before, after) = (ids(old), ids(new));
    let mut changes = LayerChanges::default();
    let mut counted = BTreeSet::new();
    for (number, layer) in new.layers.iter().enumerate() {
        let is_first = counted.insert(layer.diff_id);
        let size = if is_first { layer.size } else { 0 };
        if before.contains(&layer.diff_id) {
            changes.kept.push(number);
            changes.kept_size += size;
        } else {
            changes.sent.push(number);
            changes.sent_size += size;
            if !is_compressed(layer) {
                changes.sent_uncompressed += size;
            }
        }
    }
    let dropped = old.layers.iter().enumerate();
    let dropped = dropped.filter(|(_, layer)| !after.contains(&layer.diff_id));
    changes.dropped = dropped.map(|(number, _)| number).collect();
    changes
}

fn is_compressed(layer: &Layer) -> bool {
    ![media_type::LAYER_TAR, media_type::DOCKER_LAYER_TAR].contains(&layer.media_type.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contents::fixture::{layer, package};

    #[test]
    fn layers_are_the_same_by_what_is_in_them() {
        let one = |name: &str, size: u64| layer(vec![package(name, size, &[])]);
        let old = Contents::new(vec![one("a", 1), one("b", 2)], &[]).unwrap();
        let mut compressed = one("a", 1);
        compressed.digest = Digest::of(b"gzip");
        compressed.media_type = media_type::LAYER_TAR_GZIP.to_owned();
        let new = Contents::new(vec![compressed, one("c", 4), one("c", 4)], &[]).unwrap();
        let expected = LayerChanges {
            kept: vec![0],
            sent: vec![1, 2],
            dropped: vec![1],
            kept_size: 1,
            // A layer that is there twice is sent once.
            sent_size: 4,
            sent_uncompressed: 4,
        };
        assert_eq!(layers(&old, &new), expected);
    }
}
