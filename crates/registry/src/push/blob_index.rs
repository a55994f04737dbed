//! What compressed layers are called, read from manifests and configs that are somewhere already. Pure:
//! whoever fetched the documents gives their bytes.
//!
//! A manifest names the layers of an image as they are compressed, its config names them
//! uncompressed (`rootfs.diff_ids`), both in the same order. Nobody checks that they belong together.

use serde::Deserialize;

use strata_oci::{Descriptor, Digest, media_type};

/// The diff IDs of an image configuration.
pub(crate) fn diff_ids(config: &[u8]) -> Option<Vec<Digest>> {
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
pub(crate) fn pair(
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

/// The layer with OCI's media type. `None` for what is not to be distributed (foreign layers) and what is
/// not known.
pub(crate) fn reusable(layer: &Descriptor) -> Option<Descriptor> {
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
    Some(Descriptor::new(media_type, layer.digest, layer.size))
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
    fn other_configs_teach_nothing() {
        for config in ["", "{}", r#"{"rootfs":{"diff_ids":["x"]}}"#] {
            assert_eq!(diff_ids(config.as_bytes()), None, "{config}");
        }
    }
}
