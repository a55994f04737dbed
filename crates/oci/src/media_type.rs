//! Media types of the OCI image specification, "Media Types" (media-types.md), and those of Docker (Image
//! Manifest Version 2, Schema 2).

/// An image index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// An image manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// An image configuration.
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// An empty object, the config of what needs none.
pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// An uncompressed layer.
pub const LAYER_TAR: &str = "application/vnd.oci.image.layer.v1.tar";
/// A layer compressed with gzip.
pub const LAYER_TAR_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// A layer compressed with zstd.
pub const LAYER_TAR_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// An index, as Docker calls it.
pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// A manifest, as Docker calls it.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// A configuration, as Docker calls it.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// An uncompressed layer, as Docker calls it.
pub const DOCKER_LAYER_TAR: &str = "application/vnd.docker.image.rootfs.diff.tar";
/// A layer compressed with gzip, as Docker calls it.
pub const DOCKER_LAYER_TAR_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/// A layer compressed with zstd, as Docker calls it.
pub const DOCKER_LAYER_TAR_ZSTD: &str = "application/vnd.docker.image.rootfs.diff.tar.zstd";

/// Manifests and indexes, what one asks a registry for.
pub const DOCUMENTS: [&str; 4] = [MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_INDEX];

/// What Docker calls what is called `media_type` here: the names of schema 2. `None` if that has none for it, as of
/// Zstandard, which its readers do not know.
pub fn in_docker(media_type: &str) -> Option<&'static str> {
    Some(match media_type {
        INDEX | DOCKER_INDEX => DOCKER_INDEX,
        MANIFEST | DOCKER_MANIFEST => DOCKER_MANIFEST,
        CONFIG | DOCKER_CONFIG => DOCKER_CONFIG,
        LAYER_TAR | DOCKER_LAYER_TAR => DOCKER_LAYER_TAR,
        LAYER_TAR_GZIP | DOCKER_LAYER_TAR_GZIP => DOCKER_LAYER_TAR_GZIP,
        _ => return None,
    })
}
