//! Image layouts (OCI image-layout.md): what is where in one, and what reading and writing one promises.
//!
//! Nothing here touches a file. A layout may be a directory, one that is staged and renamed when it is
//! whole, or an archive; whoever has it gives [`Reader`] and [`Writer`] the way to its files. Names are
//! relative to the layout.

use serde_json::Value;

use super::{Digest, Index, json};
use strata_error::{Error, Result};

/// The file that marks a layout ("oci-layout file").
pub const MARKER_FILE: &str = "oci-layout";
/// What it says: the version of the layout.
pub const MARKER: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
/// The file that lists the images of a layout ("index.json file").
pub const INDEX_FILE: &str = "index.json";
/// The directory of the blobs ("Blobs"), under their hex digits.
pub const BLOBS: &str = "blobs/sha256";
/// The directories of a layout, the outer one first.
pub const DIRECTORIES: [&str; 2] = ["blobs", BLOBS];

/// The name of a blob.
pub fn blob_name(digest: Digest) -> String {
    format!("{BLOBS}/{}", digest.hex())
}

/// Whether the bytes of a marker say that the layout is as this module knows it.
pub fn is_version_1(marker: &[u8]) -> bool {
    let marker = serde_json::from_slice::<Value>(marker);
    marker.is_ok_and(|marker| {
        let version = marker["imageLayoutVersion"].as_str();
        version.is_some_and(|version| version.starts_with("1."))
    })
}

/// Gives the bytes of the file of this name; `None` if there is none. It bounds how much it reads, as it
/// knows whom it trusts.
type ReadFile<'a> = &'a dyn Fn(&str) -> Result<Option<Vec<u8>>>;

/// Reads a layout.
///
/// `Ok(None)` says that a file is not there, and nothing else: a layout of one platform may keep the
/// index of all, so it is the caller who knows whether that is an error. What a method says of a blob
/// holds for the bytes that it gives, whatever is on the disk afterwards.
pub struct Reader<'a> {
    read: ReadFile<'a>,
}

impl<'a> Reader<'a> {
    /// Reads what `read` gives.
    pub fn new(read: ReadFile<'a>) -> Self {
        Self { read }
    }

    /// The bytes of the index, for which nothing vouches.
    pub fn index(&self) -> Result<Option<Vec<u8>>> {
        (self.read)(INDEX_FILE)
    }

    /// A blob, whose bytes have this digest and, where the caller knows it, this size; else
    /// the error is the one that `wrong` makes of the digest that was found.
    pub fn blob(
        &self,
        digest: Digest,
        size: Option<u64>,
        wrong: impl FnOnce(Digest) -> Error,
    ) -> Result<Option<Vec<u8>>> {
        self.blob_at(&blob_name(digest), digest, size, wrong)
    }

    /// The same for a blob that has another name, as in skopeo's `dir:`.
    pub fn blob_at(
        &self,
        name: &str,
        digest: Digest,
        size: Option<u64>,
        wrong: impl FnOnce(Digest) -> Error,
    ) -> Result<Option<Vec<u8>>> {
        let Some(bytes) = (self.read)(name)? else {
            return Ok(None);
        };
        let found = Digest::of(&bytes);
        let has_size = size.is_none_or(|size| size == bytes.len() as u64);
        if found == digest && has_size {
            Ok(Some(bytes))
        } else {
            Err(wrong(found))
        }
    }
}

/// Writes the file of this name, whose directory is there. After `Ok` the bytes are where they belong, and
/// on the disk if the destination promises that.
type WriteFile<'a> = &'a mut dyn FnMut(&str, &[u8]) -> Result<()>;

/// Writes a layout into new [`DIRECTORIES`].
///
/// `Ok` says what it says of the one file that a method writes. A layout is whole when its blobs, the
/// index and the marker are written, in whatever order; after an error it is not, and whoever made the
/// place takes it away again. Blobs too large for memory are written by the caller, at [`blob_name`].
pub struct Writer<'a> {
    write: WriteFile<'a>,
}

impl<'a> Writer<'a> {
    /// Writes through `write`.
    pub fn new(write: WriteFile<'a>) -> Self {
        Self { write }
    }

    /// Writes a document as a blob; gives its digest.
    pub fn blob(&mut self, bytes: &[u8]) -> Result<Digest> {
        let digest = Digest::of(bytes);
        (self.write)(&blob_name(digest), bytes)?;
        Ok(digest)
    }

    /// Writes the index.
    pub fn index(&mut self, index: &Index) -> Result<()> {
        (self.write)(INDEX_FILE, &json::to_bytes(index))
    }

    /// Writes the marker.
    pub fn marker(&mut self) -> Result<()> {
        (self.write)(MARKER_FILE, MARKER)
    }

    /// Writes a file that is no part of the layout and lies beside it.
    pub fn beside(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        (self.write)(name, bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    use super::*;

    fn wrong(found: Digest) -> Error {
        Error::Document {
            document: "blob".to_owned(),
            message: found.to_string(),
            hint: String::new(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let files = RefCell::new(BTreeMap::new());
        let mut write = |name: &str, bytes: &[u8]| {
            let before = files.borrow_mut().insert(name.to_owned(), bytes.to_vec());
            assert_eq!(before, None, "{name}");
            Ok(())
        };
        let mut writer = Writer::new(&mut write);
        let digest = writer.blob(b"one").unwrap();
        writer.index(&Index::new(Vec::new())).unwrap();
        writer.marker().unwrap();
        writer.beside("digest", b"x").unwrap();
        let names: Vec<String> = files.borrow().keys().cloned().collect();
        let blob = format!("blobs/sha256/{}", Digest::of(b"one").hex());
        assert_eq!(names, [blob.as_str(), "digest", "index.json", "oci-layout"]);

        let read = |name: &str| Ok(files.borrow().get(name).cloned());
        let reader = Reader::new(&read);
        let index = json::to_bytes(&Index::new(Vec::new()));
        assert_eq!(reader.index().unwrap(), Some(index));
        assert_eq!(
            reader.blob(digest, Some(3), wrong).unwrap(),
            Some(b"one".to_vec())
        );
        assert_eq!(
            reader.blob(digest, None, wrong).unwrap(),
            Some(b"one".to_vec())
        );
        assert!(is_version_1(&files.borrow()[MARKER_FILE]));
    }

    #[test]
    fn blobs_are_what_they_are_called() {
        let read = |name: &str| Ok((name != "none").then(|| b"two".to_vec()));
        let reader = Reader::new(&read);
        let (one, two) = (Digest::of(b"one"), Digest::of(b"two"));
        let error = reader.blob(one, None, wrong).unwrap_err();
        assert_eq!(error.to_string(), format!("blob: {two}"));
        assert!(reader.blob(two, Some(4), wrong).is_err());
        assert_eq!(reader.blob_at("none", one, None, wrong).unwrap(), None);
        let found = reader.blob_at("a", two, Some(3), wrong).unwrap();
        assert_eq!(found, Some(b"two".to_vec()));
    }

    #[test]
    fn markers() {
        assert!(is_version_1(MARKER));
        assert!(is_version_1(br#"{"imageLayoutVersion":"1.1.0","more":1}"#));
        for bad in [
            "",
            "{}",
            "[]",
            r#"{"imageLayoutVersion":1}"#,
            r#"{"imageLayoutVersion":"2.0.0"}"#,
        ] {
            assert!(!is_version_1(bad.as_bytes()), "{bad}");
        }
    }
}
