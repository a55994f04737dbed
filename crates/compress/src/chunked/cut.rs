//! Where a file is cut into chunks. A client that has an older image fetches those chunks that it does not have.
//!
//! When a library is rebuilt, whatever depends on it gets another store path, though nearly all bytes stay: only
//! the hashes in these paths change. So what changes then is cut out, and what is between stays one chunk, known
//! by its digest. A chunk costs about a hundred bytes in the table and a little of the compression, so that
//! hashes that are close to each other are in one chunk.

/// The largest chunk, in bytes. Of 155 MB of programs, libraries and Python half of it made 0.5 % more, and twice
/// as much 0.1 % less.
pub(super) const LARGEST: usize = 2 * 1024 * 1024;
/// How much behind a chunk decides where it ends, in bytes.
pub(super) const AHEAD: usize = HASH + 1;

/// The smallest chunk that is cut by its content.
const SMALLEST: usize = 1024 * 1024;
/// So many bytes without a hash are worth a chunk.
const WORTH: usize = 4096;
/// The characters of a hash in a store path.
const HASH: usize = 32;

/// How long the first chunk of `bytes` is, where these are what is left of a file or so much of it that more would
/// not matter: [`LARGEST`] and [`AHEAD`].
pub(super) fn first_chunk(bytes: &[u8]) -> usize {
    match next_hash(bytes) {
        Some(hash) if hash < WORTH => with_hashes(bytes, hash + HASH),
        hash => {
            let clean = hash.unwrap_or(bytes.len());
            if clean <= LARGEST {
                clean
            } else {
                SMALLEST + by_content(&bytes[SMALLEST..LARGEST])
            }
        }
    }
}

/// Where a chunk ends that has a hash up to `end`: where more than a little without another follows.
fn with_hashes(bytes: &[u8], mut end: usize) -> usize {
    loop {
        let rest = bytes.get(end..).unwrap_or_default();
        match next_hash(&rest[..rest.len().min(WORTH + HASH + 1)]) {
            Some(hash) if hash < WORTH => end += hash + HASH,
            _ if rest.len() < WORTH => end = bytes.len(),
            _ => return end.min(LARGEST),
        }
        if end >= LARGEST || end == bytes.len() {
            return end.min(LARGEST);
        }
    }
}

/// Where the hash of the first store path begins: 32 characters of those that Nix uses, and a hyphen.
fn next_hash(bytes: &[u8]) -> Option<usize> {
    let mut hyphens = memchr::memchr_iter(b'-', bytes);
    hyphens.find_map(|hyphen| {
        let start = hyphen.checked_sub(HASH)?;
        let mut characters = bytes[start..hyphen].iter().rev();
        let is_hash = characters.all(|byte| is_base32(*byte));
        is_hash.then_some(start)
    })
}

/// Nix's own base 32 has no `e`, `o`, `u` and `t`.
fn is_base32(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'd' | b'f'..=b'n' | b'p'..=b's' | b'v'..=b'z')
}

/// Where four bytes are that say so, one in 2^18 of those that look random. Where something is put in or left out,
/// cuts behind it stay at the same content.
fn by_content(bytes: &[u8]) -> usize {
    const MASK: u32 = !(u32::MAX >> 18);
    let fours = bytes.windows(4);
    let mut sums = fours.map(|four| {
        let four = four.try_into().map_or(0, u32::from_le_bytes);
        (four ^ 0x5bd1_e995).wrapping_mul(0x9e37_79b1)
    });
    sums.position(|sum| sum & MASK == 0).unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE_HASH: &[u8] = b"0123456789abcdfghijklmnpqrsvwxyz";

    fn chunks(mut bytes: &[u8]) -> Vec<usize> {
        let mut lengths = Vec::new();
        while !bytes.is_empty() {
            let length = first_chunk(&bytes[..bytes.len().min(LARGEST + AHEAD)]);
            assert!(length > 0 && length <= LARGEST);
            lengths.push(length);
            bytes = &bytes[length..];
        }
        lengths
    }

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 7_u32;
        let bytes = (0..length).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8 & 0x7f
        });
        bytes.collect()
    }

    fn path() -> Vec<u8> {
        [b"/nix/store/", STORE_HASH, b"-libc/lib"].concat()
    }

    #[test]
    fn files_without_hashes_stay_whole() {
        for length in [1, WORTH, LARGEST] {
            assert_eq!(chunks(&noise(length)), [length]);
        }
    }

    #[test]
    fn hashes_are_cut_out() {
        let (before, behind) = (vec![b'.'; 10_000], vec![b'.'; 5_000]);
        let bytes = [&before, path().as_slice(), &behind].concat();
        assert_eq!(chunks(&bytes), [10_011, 32, 5_009]);
    }

    #[test]
    fn little_between_hashes_stays_with_them() {
        let near = vec![b'.'; 1000];
        let bytes = [&near, path().as_slice(), &near, &path(), &near].concat();
        assert_eq!(chunks(&bytes), [bytes.len()]);
        let far = vec![b'.'; WORTH];
        let bytes = [&near, path().as_slice(), &near, &path(), &far].concat();
        assert_eq!(chunks(&bytes), [2063 + 32, WORTH + 9]);
        let many = path().repeat(LARGEST / 50);
        assert_eq!(chunks(&many)[0], LARGEST);
    }

    #[test]
    fn hashes_are_not_cut_in_two() {
        for offset in 0..AHEAD {
            let before = vec![b'.'; LARGEST - offset];
            let bytes = [&before, STORE_HASH, b"-x", &before].concat();
            let mut position = 0;
            let starts = chunks(&bytes).into_iter().map(|length| {
                position += length;
                position
            });
            let within = before.len() + 1..before.len() + HASH;
            for start in starts {
                assert!(!within.contains(&start), "{offset}: {start}");
            }
        }
    }

    #[test]
    fn words_are_no_hashes() {
        for text in [
            b"0123456789abcdefghijklmnopqrstuv-".as_slice(),
            b"0123456789abcdfghijklmnpqrsvwxy-",
            b"0123456789abcdfghijklmnpqrsvwxyz",
        ] {
            assert_eq!(next_hash(text), None);
        }
        assert_eq!(next_hash(&path()), Some(11));
    }

    #[test]
    fn what_is_put_in_moves_few_cuts() {
        let bytes = noise(6 * LARGEST);
        let more = [b"more".as_slice(), &bytes].concat();
        let ends = |bytes: &[u8]| {
            let mut left = bytes.len();
            let ends = chunks(bytes).into_iter().map(|length| {
                left -= length;
                left
            });
            ends.collect::<Vec<_>>()
        };
        let (ends, moved) = (ends(&bytes), ends(&more));
        assert!(ends.len() > 6, "{ends:?}");
        let same = ends.iter().filter(|end| moved.contains(end)).count();
        assert!(same * 2 > ends.len(), "{ends:?} {moved:?}");
    }
}
