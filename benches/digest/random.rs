//! The same numbers on every machine.

/// The splitmix64 generator.
pub(crate) struct Random(u64);

impl Random {
    /// A generator that gives the same numbers for the same `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// A size whose logarithm is evenly spread.
    pub(crate) fn size(&mut self, least: u64, most: u64) -> u64 {
        let fraction = self.next() as f64 / u64::MAX as f64;
        (least as f64 * (most as f64 / least as f64).powf(fraction)) as u64
    }

    /// Fills `block` with what no compressor makes smaller.
    pub(crate) fn fill(&mut self, block: &mut [u8]) {
        for bytes in block.chunks_mut(8) {
            bytes.copy_from_slice(&self.next().to_le_bytes()[..bytes.len()]);
        }
    }
}
