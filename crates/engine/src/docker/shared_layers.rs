//! Which layers need not be sent, because the engine has them in other images. Nothing here makes requests.

use std::collections::BTreeSet;

use strata_image::Image;
use strata_oci::Digest;

/// Where an engine keeps its images, which decides what it can use again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Store {
    /// Docker's own. A layer is known by everything below it and itself (its chain ID, OCI config.md,
    /// "Layer `ChainID`"), so what counts is the longest beginning that one image shares. Images are
    /// known by the digests of their configs.
    Classic,
    /// containerd's. Blobs are known by their digests, so what counts is every layer of every image.
    /// Whether it is compressed there as it is here, and so has the same digest, nobody tells: it is
    /// likely, since it came from here or, below that, from the registry that ours came from. Images
    /// are known by the digests of their manifests.
    Containerd,
}

impl Store {
    /// What `image` is known by.
    pub(super) fn id(self, image: &Image) -> Digest {
        match self {
            Self::Classic => image.manifest.config.digest,
            Self::Containerd => image.manifest_descriptor.digest,
        }
    }
}

/// The layers of an image that an engine has in others, as far as it is known.
pub(super) struct SharedLayers<'a> {
    store: Store,
    image: &'a Image,
    /// For the classic store: how many of the lowest layers are there.
    shared: usize,
    /// For containerd's: the layers that are likely to be.
    blobs: BTreeSet<Digest>,
}

impl<'a> SharedLayers<'a> {
    /// Nothing yet.
    pub(super) fn new(store: Store, image: &'a Image) -> Self {
        Self {
            store,
            image,
            shared: 0,
            blobs: BTreeSet::new(),
        }
    }

    /// Takes note of another image's layers, by their digests when uncompressed, lowest first.
    pub(super) fn add_image(&mut self, other: &[Digest]) {
        let layers = &self.image.layers;
        match self.store {
            Store::Classic => {
                let pairs = layers.iter().zip(other);
                let shared = pairs.take_while(|(ours, theirs)| ours.diff_id() == **theirs);
                self.shared = self.shared.max(shared.count());
            }
            Store::Containerd => {
                let other: BTreeSet<&Digest> = other.iter().collect();
                let shared = layers
                    .iter()
                    .filter(|layer| other.contains(&layer.diff_id()));
                self.blobs
                    .extend(shared.map(|layer| layer.descriptor().digest));
            }
        }
    }

    /// The blobs that need not be sent. The engine must get a blob that is wanted above the shared
    /// layers, even if it is among them too.
    pub(super) fn blobs(&self) -> BTreeSet<Digest> {
        match self.store {
            Store::Containerd => self.blobs.clone(),
            Store::Classic => {
                let mut digests = self
                    .image
                    .layers
                    .iter()
                    .map(|layer| layer.descriptor().digest);
                let below: BTreeSet<Digest> = digests.by_ref().take(self.shared).collect();
                let above = digests.collect();
                below.difference(&above).copied().collect()
            }
        }
    }

    /// How many bytes of layers are left to send.
    pub(super) fn missing(&self) -> u64 {
        let shared = self.blobs();
        let layers = self.image.layers.iter().map(|layer| layer.descriptor());
        let missing = layers.filter(|layer| !shared.contains(&layer.digest));
        missing.map(|layer| layer.size).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strata_testing::image as fixture;

    fn digests(words: &[&str]) -> Vec<Digest> {
        words
            .iter()
            .map(|word| Digest::of(word.as_bytes()))
            .collect()
    }

    /// What need not be sent of an image of the layers `ours`, given the images `others`.
    fn shared(store: Store, ours: &[&str], others: &[&[&str]]) -> (BTreeSet<Digest>, u64) {
        let layers: Vec<&[u8]> = ours.iter().map(|word| word.as_bytes()).collect();
        let image = fixture::image(&layers);
        let mut shared = SharedLayers::new(store, &image);
        for other in others {
            shared.add_image(&digests(other));
        }
        (shared.blobs(), shared.missing())
    }

    #[test]
    fn the_classic_store_shares_beginnings() {
        for (ours, others, expected, missing) in [
            (&["a", "b", "c"][..], &[][..], &[][..], 3),
            (&["a", "b", "c"], &[&["a", "b", "x"][..]], &["a", "b"], 1),
            (
                &["a", "b", "c"],
                &[&["a", "b"], &["a"], &["x", "b"]],
                &["a", "b"],
                1,
            ),
            (&["a", "b", "c"], &[&["x", "a", "b", "c"]], &[], 3),
            (&["a", "b"], &[&["a", "b", "c"]], &["a", "b"], 0),
            // The upper one has another chain ID.
            (&["a", "b", "a"], &[&["a", "b"]], &["b"], 2),
        ] {
            let expected = digests(expected).into_iter().collect();
            assert_eq!(shared(Store::Classic, ours, others), (expected, missing));
        }
    }

    #[test]
    fn containerds_store_shares_blobs() {
        for (ours, others, expected, missing) in [
            (&["a", "b", "c"][..], &[][..], &[][..], 3),
            (&["a", "b", "c"], &[&["x", "c"][..], &["a"]], &["a", "c"], 1),
            (&["a", "b", "a"], &[&["a"]], &["a"], 1),
        ] {
            let expected = digests(expected).into_iter().collect();
            assert_eq!(shared(Store::Containerd, ours, others), (expected, missing));
        }
    }
}
