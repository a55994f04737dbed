//! What is behind the frames of the tar: the table, the tar-split and the footer, which grow while the frames are
//! written.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, IntoInnerError, Write};

use super::batch::{Made, MadeBatch};
use super::table::{Chunk, Content, Table};
use super::tar_split::TarSplit;
use strata_archive::Member;
use strata_oci::{Digest, TABLE_DIGEST, TABLE_POSITION, TAR_SPLIT_POSITION};

/// How strongly table and tar-split are compressed. Every client fetches them.
const LEVEL: i32 = 4;
/// How much of them is compressed at a time at least, in bytes.
const BUFFER: usize = 64 * 1024;
/// Readers take no larger ones, in bytes (`maxTocSize` of containers/storage).
pub(super) const LARGEST: u64 = 150 * 1024 * 1024;
/// The magic number of a skippable frame, as it is written (RFC 8878, section 3.1.2).
const SKIPPABLE: [u8; 4] = [0x50, 0x2a, 0x4d, 0x18];
/// What comes before the content of a skippable frame, in bytes.
const SKIPPABLE_HEADER: u64 = 8;
/// The kind of the table, the only one there is.
const KIND: u64 = 1;
/// How the footer ends.
const FOOTER: [u8; 8] = *b"GNUlInUx";

/// What is behind the frames of a layer that is written; nothing if it has no table.
#[derive(Default)]
pub(crate) struct Finished {
    /// The annotations of its descriptor that lead to the table.
    pub(crate) annotations: BTreeMap<String, String>,
    /// The table as it is in the blob.
    pub(crate) table: Vec<u8>,
}

/// The frames that are written, and what will be behind them.
pub(super) struct Behind {
    /// How long the blob is.
    length: u64,
    /// None if the layer gets no table.
    documents: Option<Documents>,
}

#[derive(Default)]
struct Documents {
    table: Table<Packed>,
    tar_split: TarSplit<Packed>,
    /// The file whose chunks come.
    file: Option<(Box<Member>, Vec<Chunk>)>,
}

impl Behind {
    pub(super) fn new() -> Self {
        Self {
            length: 0,
            documents: Some(Documents::default()),
        }
    }

    /// The layer gets no table.
    pub(super) fn give_up(&mut self) {
        self.documents = None;
    }

    /// Writes the next frames; what they hold is still needed, but not they.
    pub(super) fn write(
        &mut self,
        batch: &mut MadeBatch,
        writer: &mut impl Write,
    ) -> io::Result<()> {
        writer.write_all(batch.output.bytes())?;
        let mut rest = batch.input.as_slice();
        for made in batch.frames.drain(..) {
            let offset = self.length;
            self.length += made.length as u64;
            let (chunk, tail) = (made.frame.chunk, made.frame.tail_length());
            let (_, behind) = rest.split_at(chunk.min(rest.len()));
            let (tail, behind) = behind.split_at(tail.min(behind.len()));
            rest = behind;
            if let Some(documents) = &mut self.documents {
                documents.add(made, tail, offset, self.length)?;
            }
        }
        Ok(())
    }

    /// Writes what is behind the frames.
    pub(super) fn finish(self, writer: &mut impl Write) -> io::Result<Finished> {
        let Some(documents) = self.documents else {
            return Ok(Finished::default());
        };
        let (tar_split, tar_split_length) = documents.tar_split.into_writer().finish()?;
        let table = documents.table.finish(Digest::of(&tar_split))?;
        let (table, table_length) = table.finish()?;
        if table_length.max(tar_split_length) > LARGEST {
            return Ok(Finished::default());
        }
        let table_at = self.length + SKIPPABLE_HEADER;
        let tar_split_at = table_at + table.len() as u64 + SKIPPABLE_HEADER;
        let numbers = [
            table_at,
            table.len() as u64,
            table_length,
            KIND,
            tar_split_at,
            tar_split.len() as u64,
            tar_split_length,
        ];
        let mut footer = numbers.map(u64::to_le_bytes).concat();
        footer.extend(FOOTER);
        for content in [&table, &tar_split, &footer] {
            skippable(writer, content)?;
        }
        let [
            table_at,
            packed,
            unpacked,
            kind,
            split_at,
            split_packed,
            split_unpacked,
        ] = numbers;
        let annotations = [
            (TABLE_DIGEST, Digest::of(&table).to_string()),
            (
                TABLE_POSITION,
                format!("{table_at}:{packed}:{unpacked}:{kind}"),
            ),
            (
                TAR_SPLIT_POSITION,
                format!("{split_at}:{split_packed}:{split_unpacked}"),
            ),
        ];
        let annotations = annotations.map(|(name, value)| (name.to_owned(), value));
        Ok(Finished {
            annotations: annotations.into(),
            table,
        })
    }
}

impl Documents {
    /// Adds a frame that is between two places of the blob, with what follows its chunk.
    fn add(&mut self, made: Made, tail: &[u8], offset: u64, end: u64) -> io::Result<()> {
        if let (Some((_, chunks)), Some(digest)) = (&mut self.file, made.digest) {
            chunks.push(Chunk {
                offset,
                length: made.frame.chunk as u64,
                digest,
            });
        }
        if let Some((digest, crc)) = made.whole
            && let Some((member, chunks)) = self.file.take()
        {
            let content = Content {
                digest,
                chunks,
                end,
            };
            self.table.add(&member, Some(&content))?;
            self.tar_split
                .content(&member.name, member.size, Some(crc))?;
        }
        let mut rest = tail;
        for segment in made.frame.tail {
            let (bytes, behind) = rest.split_at(segment.length.min(rest.len()));
            rest = behind;
            self.tar_split.segment(bytes)?;
            match segment.member {
                Some(member) if member.size > 0 => self.file = Some((member, Vec::new())),
                Some(member) => {
                    self.table.add(&member, None)?;
                    self.tar_split.content(&member.name, 0, None)?;
                }
                None => {}
            }
        }
        Ok(())
    }
}

fn skippable(writer: &mut impl Write, content: &[u8]) -> io::Result<()> {
    // No more than LARGEST, and what does not get smaller.
    let length = u32::try_from(content.len()).map_err(io::Error::other)?;
    writer.write_all(&SKIPPABLE)?;
    writer.write_all(&length.to_le_bytes())?;
    writer.write_all(content)
}

/// A document that is compressed while it grows.
#[derive(Default)]
struct Packed {
    /// From the first byte on. Documents are written word by word, and each call of the encoder costs as much as many
    /// of them.
    encoder: Option<BufWriter<zstd::Encoder<'static, Vec<u8>>>>,
    length: u64,
}

impl Packed {
    fn encoder(&mut self) -> io::Result<&mut BufWriter<zstd::Encoder<'static, Vec<u8>>>> {
        let encoder = match self.encoder.take() {
            Some(encoder) => encoder,
            None => BufWriter::with_capacity(BUFFER, zstd::Encoder::new(Vec::new(), LEVEL)?),
        };
        Ok(self.encoder.insert(encoder))
    }

    /// What was made of it, and how long it was.
    fn finish(mut self) -> io::Result<(Vec<u8>, u64)> {
        self.encoder()?;
        let Some(encoder) = self.encoder else {
            return Ok((Vec::new(), self.length));
        };
        let encoder = encoder.into_inner().map_err(IntoInnerError::into_error)?;
        Ok((encoder.finish()?, self.length))
    }
}

impl Write for Packed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.encoder()?.write(bytes)?;
        self.length += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        // Where it is flushed would change the bytes.
        Ok(())
    }
}
