//! `images.json`: which images an index has (docs/internals/formats.md).

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::layers_file::ImageName;
use super::output_layout::read_document;
use strata_error::{Error, Result};
use strata_oci::json;

/// The file's name in the output of a derivation.
pub const IMAGES_FILE: &str = "images.json";
/// The version of the format that this program writes and reads.
const VERSION: u32 = 1;

/// The whole file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImagesFile {
    version: u32,
    /// The store directory that the images are in.
    pub store_dir: String,
    /// What the index is called.
    pub index: ImageName,
    /// The outputs of `buildImage`, in the order of the index.
    pub images: Vec<String>,
}

impl ImagesFile {
    /// A file of this version.
    pub fn new(store_dir: String, index: ImageName, images: Vec<String>) -> Self {
        Self {
            version: VERSION,
            store_dir,
            index,
            images,
        }
    }

    /// Whether this is the output of an index derivation.
    pub fn is_in(directory: &Path) -> bool {
        directory.join(IMAGES_FILE).exists()
    }

    /// Reads the file in the output of a derivation.
    pub fn read(directory: &Path) -> Result<Self> {
        let path = directory.join(IMAGES_FILE);
        Self::parse(&read_document(&path)?, &path.to_string_lossy())
    }

    /// Reads the file's bytes; `document` is its path, for the error.
    pub fn parse(bytes: &[u8], document: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let error = |message: String| Error::Document {
            document: document.to_owned(),
            message,
            hint: "rebuild it with this version of Strata".to_owned(),
        };
        let Version { version } = serde_json::from_slice(bytes)
            .map_err(|source| error(format!("not a list of images: {source}")))?;
        if version != VERSION {
            return Err(error(format!("version {version}, expected {VERSION}")));
        }
        serde_json::from_slice(bytes).map_err(|source| error(source.to_string()))
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        json::to_bytes(self)
    }
}
