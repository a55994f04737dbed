//! Nix's own base 32: 32 letters without `e`, `o`, `t` and `u`, the last digit first
//! (`src/libutil/hash.cc` of Nix).

const ALPHABET: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// The text form of `bytes`, as in the 52 characters of a SHA-256.
pub fn encode(bytes: &[u8]) -> String {
    let length = (bytes.len() * 8).div_ceil(5);
    (0..length)
        .rev()
        .map(|digit| {
            let bit = digit * 5;
            let (byte, shift) = (bit / 8, bit % 8);
            let low = u16::from(bytes[byte]);
            let high = bytes.get(byte + 1).copied().map_or(0, u16::from);
            char::from(ALPHABET[usize::from((high << 8 | low) >> shift & 31)])
        })
        .collect()
}

/// The bytes of which `text` is the text form, or nothing if it is not one of `N` bytes.
pub fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != (N * 8).div_ceil(5) {
        return None;
    }
    let mut bytes = [0; N];
    for (digit, letter) in text.bytes().rev().enumerate() {
        let value = ALPHABET.iter().position(|known| *known == letter)?;
        let bit = digit * 5;
        let (byte, shift) = (bit / 8, bit % 8);
        let [low, high] = u16::try_from(value << shift).ok()?.to_le_bytes();
        bytes[byte] |= low;
        match bytes.get_mut(byte + 1) {
            Some(next) => *next |= high,
            // The last digit has bits to spare, which must be 0.
            None if high != 0 => return None,
            None => {}
        }
    }
    Some(bytes)
}

/// Whether `character` is one of the 32 letters.
pub fn is_digit(character: u8) -> bool {
    ALPHABET.contains(&character)
}

#[cfg(test)]
mod tests {
    use super::*;
    use strata_oci::Digest;

    #[test]
    fn agrees_with_nix() {
        // `printf '' | nix-hash --type sha256 --base32 --flat /dev/stdin`
        assert_eq!(
            encode(Digest::of(b"").as_bytes()),
            "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73"
        );
        assert_eq!(encode(&[]), "");
        assert_eq!(encode(&[0xff]), "7z");
    }

    #[test]
    fn decoding_undoes_encoding() {
        let digest = Digest::of(b"x");
        assert_eq!(
            decode(&encode(digest.as_bytes())).as_ref(),
            Some(digest.as_bytes())
        );
        for text in ["", "7", "zz", "e0", "777"] {
            assert_eq!(decode::<1>(text), None, "{text}");
        }
    }
}
