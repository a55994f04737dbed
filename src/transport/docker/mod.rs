//! `docker-daemon:`: a Docker engine, by its API.

use super::Progress;
use super::destination::CopyName;
use crate::image::Image;
use crate::{Error, Result};

/// How to reach it.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The engine's address: `unix://`, `tcp://` or `ssh://`; else what the environment and the current
    /// context say.
    pub host: Option<String>,
}

/// Copies `image` there.
pub fn copy(
    _image: &Image,
    _name: &CopyName,
    _options: &Options,
    _progress: &dyn Progress,
) -> Result<()> {
    Err(Error::Name {
        what: "destination",
        value: "docker-daemon:".to_owned(),
        message: "not there yet".to_owned(),
        hint: String::new(),
    })
}
