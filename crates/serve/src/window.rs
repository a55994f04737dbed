//! The part of a blob that goes to a client, while the whole blob is made.

use std::io::{self, Write};
use std::ops::Range;

/// How much is sent at a time, in bytes.
const PIECE: usize = 128 << 10;

/// A writer that passes on one part of what it is given.
///
/// It keeps the last piece until [`Window::finish`], so that a blob that turns out wrong at its end
/// is never sent whole. Once it has all of its part it refuses more, because there is no use in making
/// the rest.
pub(crate) struct Window<W, C> {
    /// The socket.
    client: W,
    /// Whether to go on.
    check: C,
    /// How many bytes are still to come before the part.
    skip: u64,
    /// How many bytes of the part are still to come.
    wanted: u64,
    piece: Vec<u8>,
    /// Whether the client does not take more.
    is_broken: bool,
}

impl<W: Write, C: FnMut() -> io::Result<()>> Window<W, C> {
    /// Passes on `part` to `client`. `check` is asked at each write whether to go on.
    pub(crate) fn new(client: W, part: &Range<u64>, check: C) -> Self {
        Self {
            client,
            check,
            skip: part.start,
            wanted: part.end.saturating_sub(part.start),
            piece: Vec::with_capacity(PIECE),
            is_broken: false,
        }
    }

    /// Whether it has the whole part.
    pub(crate) fn is_full(&self) -> bool {
        self.wanted == 0
    }

    /// Whether the client went away or stopped reading.
    pub(crate) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Sends what was kept.
    pub(crate) fn finish(mut self) -> io::Result<()> {
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
        if self.piece.len() == PIECE {
            self.send()?;
        }
        let wanted = usize::try_from(self.wanted).unwrap_or(usize::MAX);
        let count = bytes.len().min(PIECE - self.piece.len()).min(wanted);
        self.piece.extend_from_slice(&bytes[..count]);
        self.wanted -= count as u64;
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
        let mut window = Window::new(&mut sent, &part, || Ok(()));
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
        let mut gone = Window::new(Gone, &(0..u64::MAX), || Ok(()));
        gone.write_all(&vec![0; 2 * PIECE]).unwrap_err();
        assert!(gone.is_broken());
        let mut told = Window::new(Gone, &(0..9), || Err(io::Error::other("the end")));
        assert_eq!(told.write(b"x").unwrap_err().to_string(), "the end");
        assert!(!told.is_broken());
    }
}
