//! What a push would do.

pub use crate::push::blob_upload::How;
use strata_oci::Digest;

/// What a push would do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The image's layers, lowest first.
    pub layers: Vec<PlannedLayer>,
    /// The registry and repository.
    pub repository: String,
    /// The tags that the manifest would get; none if it is pushed to its digest.
    pub tags: Vec<String>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// What would be done for a layer.
#[derive(Clone, Debug)]
pub struct PlannedLayer {
    /// The digest that the layer has in the image.
    pub digest: Digest,
    /// The size that it has in the image, in bytes.
    pub size: u64,
    /// What would be done.
    pub how: How,
}

impl How {
    /// Whether the registry has the blob without being sent it.
    pub fn is_found(&self) -> bool {
        matches!(self, Self::Present { .. } | Self::Mounted { .. })
    }
}
