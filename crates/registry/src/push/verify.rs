//! Whether a blob of a registry is the layer that it is said to be.

use std::io::{self, Read};

use crate::client::Client;
use strata_archive::decompress;
use strata_exchange::{Failure, RegistryError};
use strata_oci::{Descriptor, Digest, Hasher};

impl Client {
    /// Fetches a blob, decompresses it and compares it with the layer that has this diff ID and so many
    /// bytes.
    pub(super) fn is_layer(
        &self,
        blob: &Descriptor,
        diff_id: Digest,
        size: u64,
    ) -> Result<bool, Failure> {
        let mut fetched = Fetched {
            reader: self.blob(blob)?,
            failed: None,
        };
        let found = digest(&mut fetched, &blob.media_type, size);
        if let Some(error) = fetched.failed {
            let message = format!("cannot be read: {error}");
            return Err(RegistryError::temporary(message, "").into());
        }
        Ok(found.is_ok_and(|found| found == (diff_id, size)))
    }
}

/// The digest of what is compressed in `reader`, and how much of it there is; no more than one byte
/// beyond `size` is decompressed.
fn digest(reader: &mut dyn Read, media_type: &str, size: u64) -> io::Result<(Digest, u64)> {
    let (format, mut reader) = decompress(reader)?;
    if format.layer_media_type() != media_type {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut hasher = Hasher::default();
    io::copy(
        &mut reader.by_ref().take(size.saturating_add(1)),
        &mut hasher,
    )?;
    Ok(hasher.finish())
}

/// A reader that remembers that it failed: the decoders say everything in their own words.
struct Fetched<R> {
    reader: R,
    failed: Option<String>,
}

impl<R: Read> Read for Fetched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = self.reader.read(buffer);
        if let Err(error) = &result
            && error.kind() != io::ErrorKind::Interrupted
        {
            self.failed = Some(error.to_string());
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use strata_compress::Compressor;
    use strata_oci::Compression;

    #[test]
    fn layers_are_digested_through_their_compression() {
        let layer = b"a layer".repeat(300_000);
        let size = layer.len() as u64;
        for compression in [Compression::None, Compression::GZIP, Compression::ZSTD] {
            let mut compressor = Compressor::new(Vec::new(), compression);
            compressor.write_all(&layer).unwrap();
            let blob = compressor.finish().unwrap();
            let media_type = compression.media_type();
            let found = digest(&mut blob.as_slice(), media_type, size).unwrap();
            assert_eq!(found, (Digest::of(&layer), size), "{compression}");
            // What is longer than it should be is not read to its end.
            let found = digest(&mut blob.as_slice(), media_type, 10).unwrap();
            assert_eq!(found.1, 11, "{compression}");
            let mut cut = &blob[..blob.len() - 1];
            let found = digest(&mut cut, media_type, size);
            assert!(found.is_err() || found.unwrap().1 < size, "{compression}");
        }
        for other in ["application/x-other", Compression::GZIP.media_type()] {
            assert!(digest(&mut &layer[..], other, size).is_err());
        }
    }
}
