//! The CRC of files in a tar-split: 64 bits, the polynomial of ISO 3309, as Go's `hash/crc64` has it.
//!
//! It is the rest of a division of polynomials over two elements: of the bytes, with 64 zeros behind them, by
//! x^64 + x^4 + x^3 + x + 1. So x^64 is the same as x^4 + x^3 + x + 1 there, and, as squares of sums are sums of squares, its
//! n-th power the same as x^4n + x^3n + x^n + 1 where n is a power of two: what tables are made for otherwise is three shifts
//! here. Eight words are on their way at once, so that none waits for another.
//!
//! Bits are turned: the highest bit of a word is x^0, and a shift to the right multiplies with x.

/// How many words are on their way at once, a power of two.
const LANES: usize = 8;
/// How many bytes these are.
const BLOCK: usize = LANES * 8;

/// A CRC that is being computed.
#[derive(Clone, Copy)]
pub(super) struct Crc64(u64);

impl Default for Crc64 {
    fn default() -> Self {
        Self(!0)
    }
}

impl Crc64 {
    /// The CRC with these bytes behind those that it has.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        let (blocks, rest) = bytes.as_chunks::<BLOCK>();
        if let [first, blocks @ ..] = blocks {
            let mut lanes = words(first);
            lanes[0] ^= self.0;
            for block in blocks {
                let words = words(block);
                for (lane, word) in lanes.iter_mut().zip(words) {
                    *lane = times::<LANES>(*lane) ^ word;
                }
            }
            self.0 = lanes.iter().fold(0, |crc, lane| times::<1>(crc ^ lane));
        }
        let (eights, rest) = rest.as_chunks::<8>();
        for eight in eights {
            self.0 = times::<1>(self.0 ^ u64::from_le_bytes(*eight));
        }
        for byte in rest {
            let mixed = self.0 ^ u64::from(*byte);
            self.0 = (mixed >> 8) ^ reduced(mixed << 56);
        }
    }

    /// The sum, as it is written.
    pub(super) fn finish(self) -> [u8; 8] {
        (!self.0).to_be_bytes()
    }
}

fn words(block: &[u8; BLOCK]) -> [u64; LANES] {
    let (eights, _) = block.as_chunks::<8>();
    let mut words = [0; LANES];
    for (word, eight) in words.iter_mut().zip(eights) {
        *word = u64::from_le_bytes(*eight);
    }
    words
}

/// A word multiplied with the `WORDS`-th power of x^64, of which there are at most eight.
fn times<const WORDS: usize>(word: u64) -> u64 {
    let beyond = (word << (64 - WORDS)) ^ (word << (64 - 3 * WORDS)) ^ (word << (64 - 4 * WORDS));
    word ^ (word >> WORDS) ^ (word >> (3 * WORDS)) ^ (word >> (4 * WORDS)) ^ reduced(beyond)
}

/// What is beyond x^63, by no more than 60: the word multiplied with x^64.
fn reduced(beyond: u64) -> u64 {
    beyond ^ (beyond >> 1) ^ (beyond >> 3) ^ (beyond >> 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> u64 {
        let mut crc = Crc64::default();
        crc.update(bytes);
        u64::from_be_bytes(crc.finish())
    }

    /// Cases of Go's `hash/crc64`.
    #[test]
    fn sums_are_those_of_go() {
        for (text, sum) in [
            ("", 0),
            ("a", 0x3420_0000_0000_0000),
            ("ab", 0x36c4_2000_0000_0000),
        ] {
            assert_eq!(of(text.as_bytes()), sum, "{text}");
        }
        // The check value of CRC-64/GO-ISO.
        assert_eq!(of(b"123456789"), 0xb909_56c7_75a4_1001);
    }

    /// Bit by bit, as the polynomial is defined.
    fn slowly(bytes: &[u8]) -> u64 {
        let mut crc = !0_u64;
        for byte in bytes {
            crc ^= u64::from(*byte);
            for _ in 0..8 {
                crc = (crc >> 1)
                    ^ if crc & 1 == 1 {
                        0xD800_0000_0000_0000
                    } else {
                        0
                    };
            }
        }
        !crc
    }

    #[test]
    fn sums_are_those_of_the_definition() {
        let bytes: Vec<u8> = (0..1000_u32)
            .map(|byte| (byte * byte % 251) as u8)
            .collect();
        for length in (0..200).chain([512, 999, 1000]) {
            assert_eq!(of(&bytes[..length]), slowly(&bytes[..length]), "{length}");
        }
    }

    #[test]
    fn sums_do_not_depend_on_cuts() {
        let bytes: Vec<u8> = (0..1000_u32).map(|byte| (byte * 7 % 251) as u8).collect();
        let mut crc = Crc64::default();
        for part in bytes.chunks(13) {
            crc.update(part);
        }
        assert_eq!(u64::from_be_bytes(crc.finish()), of(&bytes));
    }
}
