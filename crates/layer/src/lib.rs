//! Layers as recipes: what the output of a derivation says of them, and how their bytes are made and
//! digested.

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod base_layer;
mod documents;
mod images_file;
mod layer;
mod layers_file;
mod output_layout;
mod stream;

pub use base_layer::{BaseLayer, BaseRecord, open_stored};
pub use documents::Documents;
pub use images_file::{IMAGES_FILE, ImagesFile};
pub use layer::Layer;
pub use layers_file::{DIGEST_FILE, ImageName, LAYERS_FILE, LayerRecord, LayersFile, PathRule};
pub use output_layout::{OutputLayout, damaged, parse};
pub use stream::{Digested, digest_recipes, piped, read_layer, write_layer};
