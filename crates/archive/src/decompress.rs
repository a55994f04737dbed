//! Taking off the compression that the first bytes of a stream tell.

use std::io::{self, Cursor, Read};

use flate2::read::MultiGzDecoder;

use strata_oci::media_type;

/// The most memory that a zstd stream may ask for, as a power of two in bytes: what `zstd` itself
/// allows without being told otherwise.
const ZSTD_WINDOW_LOG: u32 = 27;

/// How a stream is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompressionFormat {
    /// Not at all.
    None,
    /// gzip (RFC 1952), of one member or several.
    Gzip,
    /// Zstandard (RFC 8878), of one frame or several.
    Zstd,
}

impl CompressionFormat {
    /// The format of a stream that begins with `bytes`, of which the first four are enough.
    pub fn of(bytes: &[u8]) -> Self {
        match bytes {
            [0x1f, 0x8b, ..] => Self::Gzip,
            // A frame, or one to skip, with which `pzstd` begins.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            _ => Self::None,
        }
    }

    /// The media type of a layer that is packed like this.
    pub fn layer_media_type(self) -> &'static str {
        match self {
            Self::None => media_type::LAYER_TAR,
            Self::Gzip => media_type::LAYER_TAR_GZIP,
            Self::Zstd => media_type::LAYER_TAR_ZSTD,
        }
    }
}

/// A compression that is known and not read: its name, and the program that takes it off, of a stream that
/// begins with `bytes`, of which the first ten are enough.
pub fn foreign_compression(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    let known: [(&[u8], _, _); 5] = [
        (b"\xfd7zXZ\0", "xz", "xz -d"),
        (b"LZIP", "lzip", "lzip -d"),
        (b"\x04\x22\x4d\x18", "lz4", "lz4 -d"),
        (b"\x1f\x9d", "compress", "uncompress"),
        (b"\x5d\0\0", "lzma", "xz -d"),
    ];
    // A level is between the two parts of its mark; a tar may begin with the name of a file, as BZh.
    if bytes.starts_with(b"BZh") && bytes.get(4..10) == Some(b"1AY&SY") {
        return Some(("bzip2", "bzip2 -d"));
    }
    let found = known.iter().find(|(mark, _, _)| bytes.starts_with(mark));
    found.map(|(_, name, program)| (*name, *program))
}

/// Tells how a stream is compressed, and reads what it was before.
pub fn decompress<'a>(
    mut reader: impl Read + 'a,
) -> io::Result<(CompressionFormat, Box<dyn Read + 'a>)> {
    let mut start = Vec::with_capacity(10);
    reader.by_ref().take(10).read_to_end(&mut start)?;
    let format = CompressionFormat::of(&start);
    if let Some((name, program)) = foreign_compression(&start) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("compressed with {name}, which is not read here: {program} takes it off"),
        ));
    }
    let reader = Cursor::new(start).chain(reader);
    Ok((
        format,
        match format {
            CompressionFormat::None => Box::new(reader),
            CompressionFormat::Gzip => Box::new(MultiGzDecoder::new(reader)),
            CompressionFormat::Zstd => {
                let mut decoder = zstd::Decoder::new(reader)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                Box::new(decoder)
            }
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(1));
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn unpack(bytes: &[u8]) -> io::Result<(CompressionFormat, Vec<u8>)> {
        let (format, mut reader) = decompress(bytes)?;
        let mut content = Vec::new();
        reader.read_to_end(&mut content)?;
        Ok((format, content))
    }

    #[test]
    fn streams_of_several_parts_are_read_whole() {
        let parts = [gzip(b"one "), gzip(b"two")].concat();
        assert_eq!(
            unpack(&parts).unwrap(),
            (CompressionFormat::Gzip, b"one two".to_vec())
        );
        let frame = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
        let skipped = [
            b"\x50\x2a\x4d\x18\x01\0\0\0x".to_vec(),
            frame(b"one "),
            frame(b"two"),
        ];
        assert_eq!(
            unpack(&skipped.concat()).unwrap(),
            (CompressionFormat::Zstd, b"one two".to_vec())
        );
        for plain in ["", "a", "abcdefgh"] {
            assert_eq!(
                unpack(plain.as_bytes()).unwrap(),
                (CompressionFormat::None, plain.as_bytes().to_vec())
            );
        }
    }

    #[test]
    fn other_compressions_are_named() {
        for (start, name) in [
            (&b"\xfd7zXZ\0\0\x04\xe6\xd6"[..], "xz"),
            (b"BZh91AY&SY", "bzip2"),
            (b"LZIP\x01", "lzip"),
            (b"\x04\x22\x4d\x18d@", "lz4"),
            (b"\x1f\x9d\x90", "compress"),
            (b"\x5d\0\0\x80\0", "lzma"),
        ] {
            let error = unpack(start).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("compressed with {name},")),
                "{error}"
            );
        }
        assert!(unpack(b"BZh9.tar is the name of a file").is_ok());
    }

    #[test]
    fn truncation_and_damage_are_errors() {
        for whole in [
            gzip(&[7; 9999]),
            zstd::encode_all(&[7; 9999][..], 1).unwrap(),
        ] {
            for length in 4..whole.len() {
                assert!(unpack(&whole[..length]).is_err(), "{length}");
            }
        }
        let mut damaged = gzip(b"content");
        let last = damaged.len() - 5;
        damaged[last] ^= 1;
        assert!(unpack(&damaged).is_err());
    }

    /// A frame that asks for a window of 2 GiB is refused before the memory is taken.
    #[test]
    fn windows_are_bounded() {
        let frame = b"\x28\xb5\x2f\xfd\x00\xa8\x01\0\0";
        assert!(unpack(frame).is_err());
    }
}
