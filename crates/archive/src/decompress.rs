//! Taking off the compression that the first bytes of a stream tell.

use std::io::{self, BufReader, Cursor, Read};

use bzip2::read::MultiBzDecoder;
use flate2::read::MultiGzDecoder;
use lzma_rust2::XzReader;

use strata_oci::media_type;

/// The most memory that a zstd stream may ask for, as a power of two in bytes: what `zstd` itself
/// allows without being told otherwise.
const ZSTD_WINDOW_LOG: u32 = 27;
/// The most memory that an xz stream may ask for, in KiB: twice what `xz -9` asks for.
const XZ_MEMORY: u32 = 128 * 1024;

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

/// Reads a whole archive, which may be compressed as no layer is, with xz and bzip2, since `docker load` takes
/// these; whether it was compressed, and what it was before.
pub fn open_archive<'a>(mut reader: impl Read + 'a) -> io::Result<(bool, Box<dyn Read + 'a>)> {
    let start = start_of(&mut reader)?;
    let packer = foreign_compression(&start).map(|(name, _)| name);
    let reader = Cursor::new(start).chain(reader);
    Ok(match packer {
        Some("xz") => {
            let reader = XzReader::new_mem_limit(BufReader::new(reader), true, XZ_MEMORY);
            (true, Box::new(reader))
        }
        Some("bzip2") => (true, Box::new(MultiBzDecoder::new(reader))),
        _ => {
            let (format, reader) = decompress(reader)?;
            (format != CompressionFormat::None, reader)
        }
    })
}

/// As much of a stream as tells its compression.
fn start_of(reader: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut start = Vec::with_capacity(10);
    reader.take(10).read_to_end(&mut start)?;
    Ok(start)
}

/// A compression that layers do not have: its name, and the program that takes it off, of a stream that
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
    let start = start_of(&mut reader)?;
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

    /// What `printf 'one two' | xz` and `bzip2` write.
    const XZ: [u8; 64] = *b"\xfd\x37\x7a\x58\x5a\x00\x00\x04\xe6\xd6\xb4\x46\x02\x00\x21\x01\x16\x00\x00\x00\x74\x2f\xe5\xa3\x01\x00\x06\x6f\x6e\x65\x20\x74\x77\x6f\x00\x00\x38\x32\x64\x95\x8b\x58\x23\x7c\x00\x01\x1f\x07\x16\x2e\xb8\x73\x1f\xb6\xf3\x7d\x01\x00\x00\x00\x00\x04\x59\x5a";
    const BZIP2: [u8; 44] = *b"\x42\x5a\x68\x39\x31\x41\x59\x26\x53\x59\x81\x84\x32\x89\x00\x00\x01\x91\x80\x40\x00\x02\x01\x84\x80\x20\x00\x21\x80\x0c\x01\x38\x35\xdc\x5d\xc9\x14\xe1\x42\x42\x06\x10\xca\x24";

    #[test]
    fn archives_may_be_packed_otherwise() {
        let open = |bytes: &[u8]| {
            let (is_packed, mut reader) = open_archive(bytes)?;
            let mut content = Vec::new();
            reader.read_to_end(&mut content)?;
            Ok::<_, io::Error>((is_packed, content))
        };
        for packed in [&XZ[..], &BZIP2, &gzip(b"one two")] {
            assert_eq!(open(packed).unwrap(), (true, b"one two".to_vec()));
            assert!(open(&packed[..packed.len() - 1]).is_err());
            let twice = [packed, packed].concat();
            assert_eq!(open(&twice).unwrap().1, b"one twoone two");
        }
        assert_eq!(open(b"one two").unwrap(), (false, b"one two".to_vec()));
        assert!(open(b"LZIP\x01").is_err());
        // A dictionary of 1.5 GiB.
        let mut large = XZ;
        large[16] = 37;
        let sum = crc32(&large[12..20]).to_le_bytes();
        large[20..24].copy_from_slice(&sum);
        let error = open(&large).unwrap_err().to_string();
        assert!(error.contains("memory"), "{error}");
    }

    /// CRC-32 (IEEE 802.3), bit by bit.
    fn crc32(bytes: &[u8]) -> u32 {
        let mut sum = !0_u32;
        for byte in bytes {
            sum ^= u32::from(*byte);
            for _ in 0..8 {
                sum = (sum >> 1) ^ (0xedb8_8320 * (sum & 1));
            }
        }
        !sum
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
