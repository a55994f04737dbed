//! Pieces: filled by the caller, compressed on all cores, written in order.

use std::io::{self, Write};

use super::encoder::{Encoded, encode};
use super::in_order::InOrder;
use strata_oci::Compression;

/// How much of the input is compressed at a time, in bytes. Another length gives other bytes.
pub const PIECE: usize = 1024 * 1024;

/// A piece, and what was made of it.
#[derive(Default)]
struct Piece {
    input: Vec<u8>,
    output: Encoded,
}

/// The pieces of one stream.
pub(super) struct Pieces {
    compression: Compression,
    /// What is not enough for a piece yet.
    filling: Vec<u8>,
    on_the_way: InOrder<Piece>,
    /// The memory of pieces that are written.
    spare: Vec<Piece>,
    /// An empty stream has one piece, too.
    is_begun: bool,
}

impl Pieces {
    pub(super) fn new(compression: Compression) -> Self {
        Self {
            compression,
            filling: Vec::new(),
            on_the_way: InOrder::new(),
            spare: Vec::new(),
            is_begun: false,
        }
    }

    /// Takes some of `bytes` and writes what is compressed and may be written; gives how many it took.
    pub(super) fn write(&mut self, bytes: &[u8], writer: &mut impl Write) -> io::Result<usize> {
        if self.filling.capacity() == 0 {
            self.filling.reserve_exact(PIECE);
        }
        let (taken, _) = bytes.split_at(bytes.len().min(PIECE - self.filling.len()));
        self.filling.extend_from_slice(taken);
        if self.filling.len() == PIECE {
            self.send();
            while let Some(piece) = self.on_the_way.next_of_many() {
                let mut piece = piece?;
                writer.write_all(piece.output.bytes())?;
                piece.input.clear();
                piece.output.clear();
                self.spare.push(piece);
            }
        }
        Ok(taken.len())
    }

    /// Compresses and writes what is left.
    pub(super) fn finish(mut self, writer: &mut impl Write) -> io::Result<()> {
        if !self.filling.is_empty() || !self.is_begun {
            self.send();
        }
        while let Some(piece) = self.on_the_way.next() {
            writer.write_all(piece?.output.bytes())?;
        }
        Ok(())
    }

    fn send(&mut self) {
        let Piece { input, mut output } = self.spare.pop().unwrap_or_default();
        let input = std::mem::replace(&mut self.filling, input);
        let compression = self.compression;
        self.on_the_way.push(move || {
            encode(&input, compression, &mut output)?;
            Ok(Piece { input, output })
        });
        self.is_begun = true;
    }
}
