//! Frames that are made together: most files are small, and a task for each would cost more than it does.

use std::io;

use super::crc64::Crc64;
use crate::encoder::{Encoded, encode};
use strata_archive::Member;
use strata_oci::{Compression, Digest};

/// How much is made together, in bytes; a frame more at most.
pub(super) const BATCH: usize = 1024 * 1024;

/// A piece of the tar that is no content of a file.
#[derive(Debug)]
pub(super) struct Segment {
    /// How many bytes.
    pub(super) length: usize,
    /// The member whose headers these are; none if it is padding, the end of the archive, or not understood.
    pub(super) member: Option<Box<Member>>,
}

/// What is known of a file whose last chunk this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileEnd {
    /// It has one chunk, this one.
    Only,
    /// The digest and the CRC of the whole.
    Of(Digest, [u8; 8]),
}

/// A frame: a chunk of a file, if it begins with one, and what follows that in the tar.
#[derive(Debug, Default)]
pub(super) struct Frame {
    /// The length of the chunk in bytes; 0 for none.
    pub(super) chunk: usize,
    /// If it is the last one of its file.
    pub(super) end: Option<FileEnd>,
    /// What follows.
    pub(super) tail: Vec<Segment>,
}

impl Frame {
    /// How many bytes follow the chunk.
    pub(super) fn tail_length(&self) -> usize {
        self.tail.iter().map(|segment| segment.length).sum()
    }
}

/// Frames with the bytes that they hold, one after the other.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) input: Vec<u8>,
    pub(super) frames: Vec<Frame>,
}

/// Frames that are made.
#[derive(Default)]
pub(super) struct MadeBatch {
    /// What they hold, one after the other.
    pub(super) input: Vec<u8>,
    /// The same, compressed.
    pub(super) output: Encoded,
    pub(super) frames: Vec<Made>,
}

/// A frame that is made.
pub(super) struct Made {
    pub(super) frame: Frame,
    /// How many bytes it has, compressed.
    pub(super) length: usize,
    /// Of the chunk, if there is one.
    pub(super) digest: Option<Digest>,
    /// Of the whole file, if this is its end.
    pub(super) whole: Option<(Digest, [u8; 8])>,
}

impl Batch {
    /// Makes the frames, in the memory of others.
    pub(super) fn make(self, level: u8, memory: MadeBatch) -> io::Result<MadeBatch> {
        let MadeBatch {
            mut output,
            mut frames,
            ..
        } = memory;
        let mut rest = self.input.as_slice();
        for frame in self.frames {
            let length = frame.chunk + frame.tail_length();
            let (bytes, behind) = rest.split_at_checked(length).ok_or_else(short)?;
            rest = behind;
            let before = output.bytes().len();
            encode(bytes, Compression::Zstd { level }, &mut output)?;
            let (chunk, _) = bytes.split_at(frame.chunk);
            let digest = (!chunk.is_empty()).then(|| Digest::of(chunk));
            let whole = match frame.end {
                None => None,
                Some(FileEnd::Of(digest, crc)) => Some((digest, crc)),
                Some(FileEnd::Only) => digest.map(|digest| {
                    let mut crc = Crc64::default();
                    crc.update(chunk);
                    (digest, crc.finish())
                }),
            };
            frames.push(Made {
                frame,
                length: output.bytes().len() - before,
                digest,
                whole,
            });
        }
        Ok(MadeBatch {
            input: self.input,
            output,
            frames,
        })
    }
}

fn short() -> io::Error {
    io::Error::other("a frame is longer than what was written")
}
