//! An image as a thing to copy.

use std::sync::Arc;

use strata_layer::{ImageName, Layer};
use strata_oci::{Descriptor, ImageConfig, Manifest};

/// An image that can be copied.
pub struct Image {
    /// What the image is called, if its builder said so.
    pub name: Option<ImageName>,
    /// The manifest.
    pub manifest: Manifest,
    /// The manifest's bytes, of which `manifest_descriptor` holds the digest.
    pub manifest_bytes: Vec<u8>,
    /// The manifest's media type, digest and size.
    pub manifest_descriptor: Descriptor,
    /// The config.
    pub config: ImageConfig,
    /// The config's bytes.
    pub config_bytes: Vec<u8>,
    /// The layers, lowest first, one for each of the manifest's.
    pub layers: Vec<Arc<dyn Layer>>,
}
