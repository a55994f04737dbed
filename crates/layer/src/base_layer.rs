//! Layers of a base image that Strata did not make: their blobs lie in the base, as they are.

use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Layer;
use strata_archive::{open_archive, write_error};
use strata_error::{Error, Result};
use strata_nix::Store;
use strata_nix::walk::open_regular;
use strata_oci::{Compression, Descriptor, Digest, HashingWriter};
use strata_tree::Recipe;

/// How much of a blob is read at a time, in bytes.
const BUFFER: usize = 128 * 1024;

/// A layer whose blob is kept in a base image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BaseRecord {
    /// Media type, digest and size of the blob.
    pub blob: Descriptor,
    /// How the blob is to be compressed where it goes to a registry, or is in `compressed`, if it is
    /// not compressed and somebody said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// What the compressed blob is called, in an image that promises that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compressed: Option<Descriptor>,
    /// The digest of the uncompressed layer.
    pub diff_id: Digest,
    /// The file that the blob is, or the archive that it is in: a path at or below a store path.
    pub path: String,
    /// Where in the archive it begins, when the archive is decompressed; null for a file.
    pub offset: Option<u64>,
}

impl BaseRecord {
    /// Where the file is; the error is that it is not in `store`.
    pub fn located(&self, store: &Store) -> Result<PathBuf> {
        let located = store.locate_inside(&self.path);
        located.map_err(|message| Error::Document {
            document: "layers.json".to_owned(),
            message: format!("a layer of the base image: {message}"),
            hint: "rebuild the image; its files name only what is in the store".to_owned(),
        })
    }

    /// The layer as the manifest lists it.
    pub fn descriptor(&self) -> Descriptor {
        self.compressed.as_ref().unwrap_or(&self.blob).clone()
    }
}

/// Opens a blob of `size` bytes that lies in the file `path`: at `offset` of the archive that the
/// file is, compressed or not, or the whole file.
pub fn open_stored(path: &Path, offset: Option<u64>, size: u64) -> Result<impl Read> {
    let file = open_regular(path)?.file;
    let file = BufReader::with_capacity(BUFFER, file);
    let reader: Box<dyn Read> = match offset {
        None => Box::new(file),
        Some(offset) => {
            let (_, mut archive) = open_archive(file).map_err(Error::io("read", path))?;
            io::copy(&mut archive.by_ref().take(offset), &mut io::sink())
                .map_err(Error::io("read", path))?;
            archive
        }
    };
    Ok(reader.take(size))
}

/// A layer whose bytes are a blob of a base image.
pub struct BaseLayer {
    /// What the blob is.
    pub record: BaseRecord,
    /// Where the file is.
    pub path: PathBuf,
}

impl Layer for BaseLayer {
    fn descriptor(&self) -> &Descriptor {
        &self.record.blob
    }

    fn diff_id(&self) -> Digest {
        self.record.diff_id
    }

    fn recipe(&self) -> Option<&Recipe> {
        None
    }

    fn compression(&self) -> Option<Compression> {
        self.record.compression
    }

    fn write_to(&self, writer: &mut dyn Write) -> Result<()> {
        let Descriptor { digest, size, .. } = self.record.blob;
        let reader = open_stored(&self.path, self.record.offset, size)?;
        let mut reader = Named {
            reader,
            path: &self.path,
        };
        let mut writer = HashingWriter::new(writer);
        io::copy(&mut reader, &mut writer).map_err(write_error("a layer"))?;
        let found = writer.finish();
        if found == (digest, size) {
            return Ok(());
        }
        Err(Error::Mismatch {
            what: format!("layer {digest} of the base image {}", self.path.display()),
            expected: format!("{digest}, {size} bytes"),
            found: format!("{}, {} bytes", found.0, found.1),
            hint: "the store is damaged: nix-store --verify --check-contents --repair".into(),
        })
    }
}

/// A reader whose errors name the file.
struct Named<'a, R> {
    reader: R,
    path: &'a Path,
}

impl<R: Read> Read for Named<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.reader.read(buffer) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                Err(io::Error::other(Error::io("read", self.path)(error)))
            }
            result => result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strata_oci::media_type;

    fn layer(path: &Path, offset: Option<u64>, bytes: &[u8]) -> BaseLayer {
        BaseLayer {
            record: BaseRecord {
                blob: Descriptor::of(media_type::LAYER_TAR, bytes),
                compression: None,
                compressed: None,
                diff_id: Digest::of(bytes),
                path: path.to_string_lossy().into_owned(),
                offset,
            },
            path: path.to_owned(),
        }
    }

    #[test]
    fn a_blob_is_read_from_where_it_lies() {
        let directory = tempfile::tempdir().unwrap();
        let [plain, packed] = ["plain", "packed"].map(|name| directory.path().join(name));
        std::fs::write(&plain, "before blob after").unwrap();
        std::fs::write(
            &packed,
            zstd::encode_all(&b"before blob after"[..], 1).unwrap(),
        )
        .unwrap();
        let whole: (&Path, Option<u64>, &[u8]) = (&plain, None, b"before blob after");
        for (path, offset, bytes) in [
            whole,
            (&plain, Some(7), b"blob"),
            (&packed, Some(7), b"blob"),
        ] {
            let mut written = Vec::new();
            layer(path, offset, bytes).write_to(&mut written).unwrap();
            assert_eq!(written, bytes);
        }
    }

    #[test]
    fn other_bytes_are_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("base.tar");
        std::fs::write(&path, "before blub after").unwrap();
        for offset in [7, 14, 99] {
            let error = layer(&path, Some(offset), b"blob").write_to(&mut Vec::new());
            assert!(matches!(error, Err(Error::Mismatch { .. })), "{error:?}");
        }
        let error = layer(directory.path(), None, b"").write_to(&mut Vec::new());
        assert!(error.unwrap_err().to_string().starts_with("cannot read"));
    }
}
