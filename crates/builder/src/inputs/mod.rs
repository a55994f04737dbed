//! What a request names and has to be read before anything is planned: what lies below, files with arguments, the
//! clock.

pub(super) mod base_image;
pub(super) mod known_layers;
pub(super) mod parent_layers;
pub(super) mod pipeline_file;
pub(super) mod tar_layers;
pub(super) mod times;
