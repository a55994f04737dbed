//! `containers-storage:`: podman, on this machine or another.

use super::Progress;
use super::destination::CopyName;
use crate::image::Image;
use crate::{Error, Result};

/// How to reach it.
#[derive(Clone, Debug, Default)]
pub struct Options {}

/// Copies `image` there.
pub fn copy(
    _image: &Image,
    _name: &CopyName,
    _options: &Options,
    _progress: &dyn Progress,
) -> Result<()> {
    Err(Error::Name {
        what: "destination",
        value: "containers-storage:".to_owned(),
        message: "not there yet".to_owned(),
        hint: String::new(),
    })
}
