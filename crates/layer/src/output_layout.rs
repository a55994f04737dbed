//! The layout in the output of a derivation: small files that Strata wrote itself.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use strata_error::{Error, Result, small_file};
use strata_nix::walk::open_regular;
use strata_oci::{Descriptor, Index, layout};

/// The largest document that is read, in bytes: far above what any image has.
const LARGEST_DOCUMENT: u64 = 64 * 1024 * 1024;

/// The layout in an output, a directory. A file that is not there is an error, for the output is damaged.
pub struct OutputLayout<'a>(pub &'a Path);

impl OutputLayout<'_> {
    /// The entry of the index, which has one; else `message` is what is wrong with it.
    pub fn only_entry(&self, message: &str) -> Result<Descriptor> {
        let path = self.0.join(layout::INDEX_FILE);
        let index: Index = parse(&path, &self.reading(|reader| reader.index())?)?;
        match <[Descriptor; 1]>::try_from(index.manifests) {
            Ok([entry]) => Ok(entry),
            Err(_) => Err(damaged(&path, message)),
        }
    }

    /// The bytes of a document among the blobs, which have its digest and size.
    pub fn blob(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        let wrong = |_| damaged(&self.path_of(descriptor), "does not have its digest");
        self.reading(|reader| reader.blob(descriptor.digest, Some(descriptor.size), wrong))
    }

    /// Where a blob is.
    pub fn path_of(&self, descriptor: &Descriptor) -> PathBuf {
        self.0.join(layout::blob_name(descriptor.digest))
    }

    /// What `get` reads, which is there: a missing file was an error before.
    fn reading(
        &self,
        get: impl FnOnce(layout::Reader<'_>) -> Result<Option<Vec<u8>>>,
    ) -> Result<Vec<u8>> {
        let read = |name: &str| read_document(&self.0.join(name)).map(Some);
        let bytes = get(layout::Reader::new(&read))?;
        bytes.ok_or_else(|| damaged(self.0, "lacks a file"))
    }
}

/// The bytes of a document, of which more than any image has are an error.
pub(super) fn read_document(path: &Path) -> Result<Vec<u8>> {
    // A pipe in the place of one is not waited for.
    let file = open_regular(path)?.file;
    small_file::read_opened(Ok(file), path, LARGEST_DOCUMENT)
}

/// What the document at `path` says.
pub fn parse<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| damaged(path, &error.to_string()))
}

/// The error for a document that is not as a derivation of ours wrote it.
pub fn damaged(path: &Path, message: &str) -> Error {
    Error::Document {
        document: path.display().to_string(),
        message: message.to_owned(),
        hint:
            "the image is damaged: build it again, or nix-store --verify --check-contents --repair"
                .into(),
    }
}
