//! Pieces on their way: filled by the caller, compressed by whoever has time, written in order.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use super::encoder::encode;
use strata_oci::Compression;

/// How much of the input is compressed at a time, in bytes. Another length gives other bytes.
pub const PIECE: usize = 1024 * 1024;

/// How many pieces may be on their way at most: as many as compressors need that together are as
/// fast as one that makes a layer.
const MOST_ON_THE_WAY: usize = 16;

/// The pieces of one stream.
pub(super) struct Pieces {
    compression: Compression,
    /// What is not enough for a piece yet.
    filling: Vec<u8>,
    /// In the order of the stream.
    on_the_way: VecDeque<Piece>,
    /// How many may be on their way.
    most: usize,
    /// An empty stream has one piece, too.
    is_begun: bool,
}

impl Pieces {
    pub(super) fn new(compression: Compression) -> Self {
        Self {
            compression,
            filling: Vec::new(),
            on_the_way: VecDeque::new(),
            // One more than there are threads, so that none is idle while the first is written.
            most: (rayon::current_num_threads() + 1).min(MOST_ON_THE_WAY),
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
            while self.on_the_way.len() > self.most {
                self.write_first(writer)?;
            }
        }
        Ok(taken.len())
    }

    /// Compresses and writes what is left.
    pub(super) fn finish(mut self, writer: &mut impl Write) -> io::Result<()> {
        if !self.filling.is_empty() || !self.is_begun {
            self.send();
        }
        while !self.on_the_way.is_empty() {
            self.write_first(writer)?;
        }
        Ok(())
    }

    fn send(&mut self) {
        let input = std::mem::take(&mut self.filling);
        self.on_the_way
            .push_back(Piece::send(input, self.compression));
        self.is_begun = true;
    }

    fn write_first(&mut self, writer: &mut impl Write) -> io::Result<()> {
        match self.on_the_way.pop_front() {
            Some(piece) => writer.write_all(&piece.compressed(self.compression)?),
            None => Ok(()),
        }
    }
}

/// A piece that some thread of the pool will compress, if the caller does not need it before.
///
/// The caller may be a thread of the pool itself, and all others may be waiting just like it. So a
/// piece that no thread has begun is compressed by the one who waits for it: a thread only ever
/// waits for another that is compressing.
struct Piece {
    input: Arc<Mutex<Option<Vec<u8>>>>,
    output: Receiver<io::Result<Vec<u8>>>,
}

impl Piece {
    fn send(input: Vec<u8>, compression: Compression) -> Self {
        let input = Arc::new(Mutex::new(Some(input)));
        let (sender, output) = sync_channel(1);
        // Weak: when the caller has given up, there is nothing to do.
        let begun = Arc::downgrade(&input);
        rayon::spawn(move || {
            let input = begun.upgrade().and_then(|input| take(&input));
            if let Some(input) = input {
                // The caller may have given up meanwhile.
                let _ = sender.send(encode(&input, compression));
            }
        });
        Self { input, output }
    }

    fn compressed(self, compression: Compression) -> io::Result<Vec<u8>> {
        match take(&self.input) {
            Some(input) => encode(&input, compression),
            None => self
                .output
                .recv()
                .unwrap_or_else(|_| Err(io::Error::other("a piece could not be compressed"))),
        }
    }
}

fn take(input: &Mutex<Option<Vec<u8>>>) -> Option<Vec<u8>> {
    input.lock().unwrap_or_else(PoisonError::into_inner).take()
}
