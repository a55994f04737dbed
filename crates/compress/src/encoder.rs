//! Compressing one piece.

use std::cell::RefCell;
use std::io;
use std::thread::LocalKey;

use libdeflater::CompressionLvl;

use strata_oci::Compression;

/// Compresses `piece` to something that has a beginning and an end of its own.
///
/// gzip is libdeflate's, whose output is the same on all machines, and so is that of Zstandard up to level 4. From
/// level 5 Zstandard 1.5.7 cuts blocks by what it finds in them, and reads that in the byte order of the machine:
/// what changes its kind within a block becomes other bytes on big-endian machines. Of 150 MB of programs,
/// libraries and what belongs to them one core made in seconds of its time, with 1 MiB pieces:
///
/// | | MB | s | | MB | s |
/// |---|---|---|---|---|---|
/// | zlib-rs 4 | 54.6 | 1.75 | libdeflate 6 | 52.4 | 1.51 |
/// | zlib-rs 6 | 53.5 | 2.27 | zstd 1 | 54.5 | 0.28 |
/// | libdeflate 1 | 56.7 | 0.76 | zstd 2 | 51.6 | 0.37 |
/// | libdeflate 3 | 54.1 | 1.06 | zstd 3 | 49.8 | 0.49 |
///
/// A compressor's tables are as large as a piece, so a thread keeps them for its next one. What they
/// hold from the last changes nothing.
pub(super) fn encode(
    piece: &[u8],
    compression: Compression,
    output: &mut Encoded,
) -> io::Result<()> {
    match compression {
        Compression::None => {
            let room = output.room(piece.len());
            room.copy_from_slice(piece);
            output.length += piece.len();
        }
        Compression::Gzip { level } => kept(&GZIP, level, new_gzip, |compressor| {
            let room = output.room(compressor.gzip_compress_bound(piece.len()));
            let length = compressor.gzip_compress(piece, room);
            output.length += length.map_err(io::Error::other)?;
            Ok(())
        })?,
        // A frame that tells the length of its content, which lets readers reserve no more.
        Compression::Zstd { level } | Compression::ZstdChunked { level } => {
            kept(&ZSTD, level, new_zstd, |compressor| {
                let room = output.room(zstd::zstd_safe::compress_bound(piece.len()));
                output.length += compressor.compress_to_buffer(piece, room)?;
                Ok(())
            })?;
        }
    }
    Ok(())
}

/// What was compressed. Its memory is used again: fresh memory costs as much as a copy.
#[derive(Default)]
pub(super) struct Encoded {
    /// Longer than what is in it.
    buffer: Vec<u8>,
    length: usize,
}

impl Encoded {
    /// The bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        self.buffer.get(..self.length).unwrap_or_default()
    }

    /// Forgets them.
    pub(super) fn clear(&mut self) {
        self.length = 0;
    }

    /// Room for so many more.
    fn room(&mut self, more: usize) -> &mut [u8] {
        let end = self.length + more;
        if self.buffer.len() < end {
            self.buffer.resize(end, 0);
        }
        &mut self.buffer[self.length..end]
    }
}

/// A compressor that a thread has used, and the level that it is for.
type Kept<C> = RefCell<Option<(u8, C)>>;

thread_local! {
    static GZIP: Kept<libdeflater::Compressor> = const { RefCell::new(None) };
    static ZSTD: Kept<zstd::bulk::Compressor<'static>> = const { RefCell::new(None) };
}

/// Uses the thread's compressor, or a new one where that is for another level.
fn kept<C>(
    last: &'static LocalKey<Kept<C>>,
    level: u8,
    new: fn(u8) -> io::Result<C>,
    compress: impl FnOnce(&mut C) -> io::Result<()>,
) -> io::Result<()> {
    let mut compressor = match last.take() {
        Some((its, compressor)) if its == level => compressor,
        _ => new(level)?,
    };
    compress(&mut compressor)?;
    last.set(Some((level, compressor)));
    Ok(())
}

fn new_gzip(level: u8) -> io::Result<libdeflater::Compressor> {
    let level = CompressionLvl::new(level.into())
        .map_err(|_| io::Error::other(format!("gzip has no level {level}")))?;
    Ok(libdeflater::Compressor::new(level))
}

fn new_zstd(level: u8) -> io::Result<zstd::bulk::Compressor<'static>> {
    zstd::bulk::Compressor::new(level.into())
}
