//! Layers as recipes: what the output of a derivation says of them, and how their bytes are made and
//! digested.
//!
//! Whoever has a [`Layer`] need not know whether its bytes come from the store, from a base image or from
//! a file. What is read of an output is checked against its digests; nothing is written but to the writer
//! that a caller gives.
//!
//! - `layer`: the trait
//! - `layers_file`, `images_file`: `layers.json` and `images.json` of an output
//! - `layers_lock`: `layers.lock.json`, the store paths of each layer, for later plans
//! - `output_layout`, `documents`: the image layout of an output, and all its documents together
//! - `base_layer`: a layer that lies in a base image as it is
//! - `tar_layer`: a layer that is a tar in the store, or has one in it
//! - `stream`: making the bytes of layers, on several threads

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod base_layer;
mod documents;
mod images_file;
mod layer;
mod layers_file;
mod layers_lock;
mod output_layout;
mod stream;
mod tar_layer;

pub use base_layer::{BaseLayer, BaseRecord, open_stored};
pub use documents::Documents;
pub use images_file::{IMAGES_FILE, ImagesFile};
pub use layer::Layer;
pub use layers_file::{
    DIGEST_FILE, ImageName, LAYERS_FILE, LayerRecord, LayersFile, NamedPath, PathRule,
};
pub use layers_lock::LayersLock;
pub use output_layout::{OutputLayout, damaged, parse};
pub use stream::{Digested, digest_recipes, piped, read_layer, write_layer};
pub use tar_layer::{Described, read_tar, visit_beside};
