//! Hashes of store paths in the bytes of files, as Nix looks for references.

use std::collections::BTreeSet;
use std::io::{self, Write};

/// The characters of the hash in a store path.
pub const HASH_LENGTH: usize = 32;
/// So many bytes are shown before and behind a mention.
const AROUND: usize = 40;

/// What may be in a hash: Nix's base 32.
const fn is_hash(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'd' | b'f'..=b'n' | b'p'..=b's' | b'v'..=b'z')
}

/// Collects what may be hashes of store paths, 32 characters before a hyphen, from bytes that are written to it.
#[derive(Default)]
pub struct MentionedHashes {
    /// The last characters that may be in a hash, without anything else between them.
    last: Vec<u8>,
    found: BTreeSet<String>,
}

impl MentionedHashes {
    /// What was found; what is written afterwards is no part of the same file.
    pub fn take(&mut self) -> BTreeSet<String> {
        self.last.clear();
        std::mem::take(&mut self.found)
    }

    /// Ends a file: what follows is of another one.
    pub fn next_file(&mut self) {
        self.last.clear();
    }
}

impl Write for MentionedHashes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            if is_hash(*byte) {
                if self.last.len() == 2 * HASH_LENGTH {
                    self.last.drain(..HASH_LENGTH);
                }
                self.last.push(*byte);
                continue;
            }
            if *byte == b'-' && self.last.len() >= HASH_LENGTH {
                let hash = &self.last[self.last.len() - HASH_LENGTH..];
                // These are ASCII.
                self.found
                    .insert(String::from_utf8_lossy(hash).into_owned());
            }
            self.last.clear();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A place in a file that has the hash of a store path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mention {
    /// Where the hash begins, in bytes from the start of the file.
    pub offset: usize,
    /// What stands around it on the same line; bytes that are no text are dots.
    pub text: String,
}

/// The first `most` places in the bytes of a file that have the hash `hash`.
pub fn mentions(bytes: &[u8], hash: &str, most: usize) -> Vec<Mention> {
    let wanted = hash.as_bytes();
    if wanted.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut from = 0;
    while found.len() < most
        && let Some(at) = find(&bytes[from..], wanted)
    {
        let offset = from + at;
        found.push(Mention {
            offset,
            text: around(bytes, offset, wanted.len()),
        });
        from = offset + wanted.len();
    }
    found
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = wanted[0];
    let mut from = 0;
    while let Some(at) = bytes.get(from..)?.iter().position(|byte| *byte == first) {
        if bytes[from + at..].starts_with(wanted) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

/// The text around `length` bytes at `offset`, up to what ends a string.
fn around(bytes: &[u8], offset: usize, length: usize) -> String {
    let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r' | 0);
    let start = offset.saturating_sub(AROUND);
    let before = &bytes[start..offset];
    let cut = before.iter().rposition(is_end).map_or(0, |at| at + 1);
    let end = bytes.len().min(offset + length + 2 * AROUND);
    let behind = &bytes[offset..end];
    let behind = &behind[..behind.iter().position(is_end).unwrap_or(behind.len())];
    let shown = before[cut..].iter().chain(behind);
    let shown = shown.map(|byte| match byte {
        b' '..=b'~' => char::from(*byte),
        _ => '.',
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "0123456789abcdfghijklmnpqrsvwxyz";

    #[test]
    fn hashes_are_found_wherever_the_pieces_end() {
        let text = format!("x{HASH}-a e{HASH}- {HASH} {}-", "e".repeat(32));
        for cut in 0..text.len() {
            let mut hashes = MentionedHashes::default();
            hashes.write_all(&text.as_bytes()[..cut]).unwrap();
            hashes.write_all(&text.as_bytes()[cut..]).unwrap();
            assert_eq!(Vec::from_iter(hashes.take()), [HASH]);
        }
        let mut hashes = MentionedHashes::default();
        hashes.write_all(HASH.as_bytes()).unwrap();
        hashes.next_file();
        hashes.write_all(b"-").unwrap();
        assert!(hashes.take().is_empty());
        // More characters before it.
        hashes
            .write_all(format!("{}{HASH}-", "a".repeat(100)).as_bytes())
            .unwrap();
        assert_eq!(hashes.take().len(), 1);
    }

    #[test]
    fn mentions_have_places_and_text() {
        let bytes = format!("one\0/nix/store/{HASH}-a/lib:\u{1}/x\n{HASH}");
        let found = mentions(bytes.as_bytes(), HASH, 10);
        let found: Vec<(usize, &str)> = found
            .iter()
            .map(|mention| (mention.offset, mention.text.as_str()))
            .collect();
        let first = format!("/nix/store/{HASH}-a/lib:./x");
        assert_eq!(found, [(15, first.as_str()), (58, HASH)]);
        assert_eq!(mentions(bytes.as_bytes(), HASH, 1).len(), 1);
        assert!(mentions(b"", HASH, 1).is_empty());
    }
}
