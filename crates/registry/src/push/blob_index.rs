//! Which blobs of a registry may be which layers. Pure: whoever fetched the documents gives their bytes.
//!
//! A manifest names the layers of an image as they are compressed, its config names them
//! uncompressed (`rootfs.diff_ids`), both in the same order. Nobody checks that they belong together.

use std::collections::BTreeMap;

use serde::Deserialize;

use strata_oci::{Descriptor, Digest, media_type};

/// A blob that a registry may have, and which layer it may be.
#[derive(Clone, Debug)]
pub(super) struct BlobCandidate {
    /// The blob.
    pub(super) blob: Descriptor,
    /// Who says so: a name in a registry. `None` if nobody needs to be believed.
    pub(super) origin: Option<String>,
    /// Whether a file of the user's says so.
    pub(super) is_cached: bool,
    /// Repositories of the same registry that have it.
    pub(super) repositories: Vec<String>,
}

impl BlobCandidate {
    /// The blob of the layer that has this digest in the image, and who says that it is that, for people.
    pub(super) fn named(&self, layer: Digest) -> String {
        let digest = self.blob.digest;
        match &self.origin {
            None if digest == layer => "it".to_owned(),
            Some(origin) => format!("{digest}, as {origin} calls it"),
            None if self.is_cached => format!("{digest}, as the cache calls it"),
            None => digest.to_string(),
        }
    }
}

/// What is known of the blobs of a registry.
#[derive(Default)]
pub(super) struct BlobIndex {
    /// What layers are called when they are compressed, by their diff IDs; the best first.
    layers: BTreeMap<Digest, Vec<BlobCandidate>>,
    /// Other repositories of the registry that have a blob.
    repositories: BTreeMap<Digest, Vec<String>>,
}

impl BlobIndex {
    /// What a layer may be called that is compressed, the best first.
    pub(super) fn candidates(&self, diff_id: Digest) -> &[BlobCandidate] {
        self.layers.get(&diff_id).map_or(&[], Vec::as_slice)
    }

    /// A blob whose name nobody has to be believed for.
    pub(super) fn candidate(&self, blob: Descriptor) -> BlobCandidate {
        let repositories = self.repositories.get(&blob.digest);
        BlobCandidate {
            origin: None,
            is_cached: false,
            repositories: repositories.cloned().unwrap_or_default(),
            blob,
        }
    }

    /// Adds what a layer is called for certain; that is the best.
    pub(super) fn add_known(&mut self, diff_id: Digest, blob: Descriptor) {
        let candidate = self.candidate(blob);
        self.layers.entry(diff_id).or_default().insert(0, candidate);
    }

    /// Adds that `origin` says that a blob is a layer; it can be mounted if it is in another
    /// `repository` of the registry.
    pub(super) fn add(
        &mut self,
        diff_id: Digest,
        blob: Descriptor,
        origin: String,
        repository: Option<&String>,
    ) {
        let candidates = self.layers.entry(diff_id).or_default();
        let mut known = candidates.iter_mut();
        match known.find(|known| known.blob.digest == blob.digest) {
            Some(known) => known.repositories.extend(repository.cloned()),
            None => candidates.push(BlobCandidate {
                blob,
                origin: Some(origin),
                is_cached: false,
                repositories: repository.into_iter().cloned().collect(),
            }),
        }
    }

    /// Adds that another repository of the registry has a blob.
    pub(super) fn add_repository(&mut self, blob: Digest, repository: String) {
        self.repositories.entry(blob).or_default().push(repository);
    }
}

/// The diff IDs of an image configuration.
pub(super) fn diff_ids(config: &[u8]) -> Option<Vec<Digest>> {
    #[derive(Deserialize)]
    struct Config {
        rootfs: RootFs,
    }
    #[derive(Deserialize)]
    struct RootFs {
        diff_ids: Vec<Digest>,
    }
    let config: Config = serde_json::from_slice(config).ok()?;
    Some(config.rootfs.diff_ids)
}

/// Which blob is which layer. Nothing if the two lists cannot belong together.
pub(super) fn pair(
    diff_ids: Vec<Digest>,
    layers: Vec<Option<Descriptor>>,
) -> Vec<(Digest, Descriptor)> {
    if diff_ids.len() != layers.len() {
        return Vec::new();
    }
    let pairs = diff_ids.into_iter().zip(layers);
    pairs
        .filter_map(|(diff_id, layer)| Some((diff_id, layer?)))
        .collect()
}

/// The layer with OCI's media type, and where its table is if it has one. `None` for what is not to be distributed (foreign layers) and what is
/// not known.
pub(super) fn reusable(layer: &Descriptor) -> Option<Descriptor> {
    let media_type = match layer.media_type.as_str() {
        media_type::LAYER_TAR | media_type::DOCKER_LAYER_TAR => media_type::LAYER_TAR,
        media_type::LAYER_TAR_GZIP | media_type::DOCKER_LAYER_TAR_GZIP => {
            media_type::LAYER_TAR_GZIP
        }
        media_type::LAYER_TAR_ZSTD | media_type::DOCKER_LAYER_TAR_ZSTD => {
            media_type::LAYER_TAR_ZSTD
        }
        _ => return None,
    };
    let mut blob = Descriptor::new(media_type, layer.digest, layer.size);
    blob.set_table_annotations(layer.table_annotations());
    Some(blob)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn layers_are_paired_with_diff_ids() {
        let layers = [
            (media_type::DOCKER_LAYER_TAR_GZIP, "a"),
            (
                "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
                "b",
            ),
            (media_type::LAYER_TAR_ZSTD, "c"),
            (
                "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
                "d",
            ),
            (media_type::LAYER_TAR, "e"),
            ("application/x-unknown", "f"),
        ];
        let layers = layers.map(|(kind, name)| reusable(&Descriptor::of(kind, name.as_bytes())));
        let ids: Vec<Digest> = (0..6_u8).map(|number| Digest::of(&[number])).collect();
        let document = json!({ "rootfs": { "type": "layers", "diff_ids": ids } });
        let read = diff_ids(document.to_string().as_bytes()).unwrap();
        assert_eq!(read, ids);
        let named = |number: usize, media_type, name: &str| {
            (ids[number], Descriptor::of(media_type, name.as_bytes()))
        };
        assert_eq!(
            pair(read, layers.to_vec()),
            [
                named(0, media_type::LAYER_TAR_GZIP, "a"),
                named(2, media_type::LAYER_TAR_ZSTD, "c"),
                named(4, media_type::LAYER_TAR, "e"),
            ]
        );
        assert_eq!(pair(ids[1..].to_vec(), layers.to_vec()), []);
    }

    #[test]
    fn other_configs_say_nothing() {
        for config in ["", "{}", r#"{"rootfs":{"diff_ids":["x"]}}"#] {
            assert_eq!(diff_ids(config.as_bytes()), None, "{config}");
        }
    }
}
