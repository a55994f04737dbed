//! What compressing and hashing alone takes: the layers of a layout, as tar, on all cores, and nothing is sent.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use rayon::prelude::*;
use strata_compress::{Compressor, PIECE};
use strata_oci::{Compression, Hasher, HashingWriter};

/// Compresses and hashes each piece of each blob of the layout in a directory, before and after, as a push does.
pub(crate) fn run(compression: &str, layout: &Path) -> Result<()> {
    let compression: Compression = compression.parse().map_err(|error| anyhow!("{error}"))?;
    let mut pieces: Vec<(PathBuf, u64, usize)> = Vec::new();
    for entry in fs::read_dir(layout.join("blobs/sha256"))? {
        let (path, size) = (
            entry.as_ref().map(fs::DirEntry::path),
            entry.as_ref().map(fs::DirEntry::metadata),
        );
        let (Ok(path), Ok(size)) = (path, size) else {
            continue;
        };
        let size = size?.len();
        for start in (0..size).step_by(PIECE) {
            let length = usize::try_from(size - start)?.min(PIECE);
            pieces.push((path.clone(), start, length));
        }
    }
    pieces.par_iter().try_for_each(|(path, start, length)| {
        let mut piece = vec![0; *length];
        File::open(path)?.read_exact_at(&mut piece, *start)?;
        let mut hasher = Hasher::default();
        hasher.write_all(&piece)?;
        let hashing = HashingWriter::new(io::sink());
        let mut compressor = Compressor::new(hashing, compression);
        compressor.write_all(&piece)?;
        compressor.finish()?.finish();
        Ok(())
    })
}
