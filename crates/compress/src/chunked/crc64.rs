//! The CRC of files in a tar-split: 64 bits, the polynomial of ISO 3309, as Go's `hash/crc64` has it.

/// The polynomial, its bits turned.
const POLYNOMIAL: u64 = 0xD800_0000_0000_0000;

/// What each byte does to a CRC that has so many bytes behind it.
static TABLES: [[u64; 256]; 8] = tables();

const fn tables() -> [[u64; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ POLYNOMIAL
            } else {
                crc >> 1
            };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut behind = 1;
    while behind < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before: u64 = tables[behind - 1][byte];
            tables[behind][byte] = tables[0][(before & 0xff) as usize] ^ (before >> 8);
            byte += 1;
        }
        behind += 1;
    }
    tables
}

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
        let mut crc = self.0;
        let (eights, rest) = bytes.as_chunks::<8>();
        for eight in eights {
            let mixed = (crc ^ u64::from_le_bytes(*eight)).to_le_bytes();
            let parts = mixed.iter().zip(TABLES.iter().rev());
            crc = parts.fold(0, |crc, (byte, table)| crc ^ table[usize::from(*byte)]);
        }
        for byte in rest {
            let [first, ..] = (crc ^ u64::from(*byte)).to_le_bytes();
            crc = TABLES[0][usize::from(first)] ^ (crc >> 8);
        }
        self.0 = crc;
    }

    /// The sum, as it is written.
    pub(super) fn finish(self) -> [u8; 8] {
        (!self.0).to_be_bytes()
    }
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
