//! The parts of a blob that go to a client, while the whole blob is made.

use std::io::{self, Write};
use std::ops::Range;

use crate::response::Parts;

/// How much is sent at a time, in bytes.
const PIECE: usize = 128 << 10;

/// A writer that passes on parts of what it is given, and what is sent before each and behind the last.
///
/// It keeps the last piece until [`Window::finish`], so that a blob that turns out wrong at its end
/// is never sent whole. Once it has all of its parts it refuses more, because there is no use in making
/// the rest.
pub(crate) struct Window<W, C> {
    /// The socket.
    client: W,
    /// Whether to go on.
    check: C,
    /// The parts that are not begun, the next one last.
    parts: Vec<(Vec<u8>, Range<u64>)>,
    /// What is sent behind the last.
    after: Vec<u8>,
    /// How many bytes are still to come before the part.
    skip: u64,
    /// How many bytes of the part are still to come.
    wanted: u64,
    /// Where the part ends.
    end: u64,
    piece: Vec<u8>,
    /// Whether the client does not take more.
    is_broken: bool,
}

impl<W: Write, C: FnMut() -> io::Result<()>> Window<W, C> {
    /// Passes on `parts` to `client`. `check` is asked at each write whether to go on.
    pub(crate) fn new(client: W, Parts { mut parts, after }: Parts, check: C) -> Self {
        parts.reverse();
        let mut window = Self {
            client,
            check,
            parts,
            after,
            skip: 0,
            wanted: 0,
            end: 0,
            piece: Vec::with_capacity(PIECE),
            is_broken: false,
        };
        window.begin_next(0);
        window
    }

    /// Waits for the next part that is not empty, from a place of the blob on.
    fn begin_next(&mut self, mut position: u64) {
        while self.wanted == 0
            && let Some((before, part)) = self.parts.pop()
        {
            self.piece.extend(before);
            self.skip = part.start.saturating_sub(position);
            self.wanted = part.end.saturating_sub(part.start);
            self.end = part.end;
            position = part.end;
        }
    }

    /// Whether it has all parts.
    pub(crate) fn is_full(&self) -> bool {
        self.wanted == 0
    }

    /// Whether the client went away or stopped reading.
    pub(crate) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Sends what was kept.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.piece.append(&mut self.after);
        self.send()
    }

    fn send(&mut self) -> io::Result<()> {
        let sent = self.client.write_all(&self.piece);
        self.is_broken |= sent.is_err();
        self.piece.clear();
        sent
    }
}

impl<W: Write, C: FnMut() -> io::Result<()>> Write for Window<W, C> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (self.check)()?;
        if self.is_full() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        let skipped = bytes
            .len()
            .min(usize::try_from(self.skip).unwrap_or(usize::MAX));
        self.skip -= skipped as u64;
        if skipped > 0 {
            return Ok(skipped);
        }
        if self.piece.len() >= PIECE {
            self.send()?;
        }
        let wanted = usize::try_from(self.wanted).unwrap_or(usize::MAX);
        let count = bytes.len().min(PIECE - self.piece.len()).min(wanted);
        self.piece.extend_from_slice(&bytes[..count]);
        self.wanted -= count as u64;
        if self.wanted == 0 {
            self.begin_next(self.end);
        }
        Ok(count)
    }

    /// Does nothing: what is kept is kept for a reason.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(part: Range<u64>, written: &[&[u8]]) -> (io::Result<()>, Vec<u8>, Vec<u8>) {
        let mut sent = Vec::new();
        let mut window = Window::new(&mut sent, Parts::one(part), || Ok(()));
        let result = written.iter().try_for_each(|bytes| window.write_all(bytes));
        let early = window.client.clone();
        window.finish().unwrap();
        (result, early, sent)
    }

    #[test]
    fn one_part_is_passed_on() {
        let all: &[&[u8]] = &[b"01", b"234", b"", b"56789"];
        for (part, sent) in [
            (0..10, "0123456789"),
            (0..1, "0"),
            (3..7, "3456"),
            (9..10, "9"),
        ] {
            let (result, early, all) = window(part.clone(), all);
            assert_eq!(String::from_utf8(all).unwrap(), sent);
            assert!(early.is_empty(), "the end is kept back");
            assert_eq!(result.is_ok(), part.end == 10, "no more is taken");
        }
    }

    #[test]
    fn the_end_is_kept_back() {
        for length in [1, PIECE, PIECE + 1, 2 * PIECE, 3 * PIECE - 1] {
            let bytes = vec![7; length];
            let (result, early, all) = window(0..length as u64, &[&bytes]);
            result.unwrap();
            assert!(
                early.len() < length && early.len() + PIECE >= length,
                "{length}"
            );
            assert_eq!(all, bytes);
        }
    }

    #[test]
    fn several_parts_are_passed_on_in_one_go() {
        let parts = Parts {
            parts: vec![
                (b"<".to_vec(), 0..2),
                (b"|".to_vec(), 2..3),
                (b"|".to_vec(), 6..8),
            ],
            after: b">".to_vec(),
        };
        let mut sent = Vec::new();
        let mut window = Window::new(&mut sent, parts, || Ok(()));
        for bytes in [b"01", b"23", b"45", b"67"] {
            window.write_all(bytes).unwrap();
        }
        assert!(window.is_full());
        window.write_all(b"8").unwrap_err();
        window.finish().unwrap();
        assert_eq!(String::from_utf8(sent).unwrap(), "<01|2|67>");
    }

    #[test]
    fn nothing_is_made_for_nobody() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::ConnectionReset.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut gone = Window::new(Gone, Parts::one(0..u64::MAX), || Ok(()));
        gone.write_all(&vec![0; 2 * PIECE]).unwrap_err();
        assert!(gone.is_broken());
        let mut told = Window::new(Gone, Parts::one(0..9), || Err(io::Error::other("the end")));
        assert_eq!(told.write(b"x").unwrap_err().to_string(), "the end");
        assert!(!told.is_broken());
    }
}
