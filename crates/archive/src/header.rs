//! Headers of tar archives, as Go's `archive/tar` reads them: engines see what it sees. V7, ustar, star
//! and GNU (pax(1); the manual of GNU tar, "Basic Tar Format").

use std::ops::Range;

/// The size of a header.
pub(super) const HEADER: usize = 512;

/// The fields of V7, and those that ustar, star and GNU have in common.
const NAME: Range<usize> = 0..100;
const MODE: Range<usize> = 100..108;
const UID: Range<usize> = 108..116;
const GID: Range<usize> = 116..124;
const SIZE: Range<usize> = 124..136;
const MTIME: Range<usize> = 136..148;
const CHECKSUM: Range<usize> = 148..156;
const TYPE: usize = 156;
const LINK: Range<usize> = 157..257;
const MAGIC: Range<usize> = 257..263;
const VERSION: Range<usize> = 263..265;
const UNAME: Range<usize> = 265..297;
const GNAME: Range<usize> = 297..329;
const MAJOR: Range<usize> = 329..337;
const MINOR: Range<usize> = 337..345;
/// What comes before the name in ustar, and in star.
const PREFIX: Range<usize> = 345..500;
const STAR_PREFIX: Range<usize> = 345..476;
/// Times of GNU, in the place of the prefix, and of star.
const GNU_TIMES: [Range<usize>; 2] = [345..357, 357..369];
const STAR_TIMES: [Range<usize>; 2] = [476..488, 488..500];
const STAR_TRAILER: Range<usize> = 508..512;
/// Whether more of the map of a sparse file follows the header of old GNU tars.
const GNU_EXTENDED: usize = 482;

/// What kinds of headers there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Without magic.
    V7,
    /// POSIX, with or without extended headers.
    Ustar,
    /// Jörg Schilling's.
    Star,
    /// GNU's before POSIX.
    Gnu,
}

/// A header that is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) format: Format,
    /// The letter of the type; 0 in V7's regular files and directories.
    pub(super) letter: u8,
    pub(super) name: Vec<u8>,
    pub(super) link: Vec<u8>,
    pub(super) size: i64,
    pub(super) mode: i64,
    pub(super) uid: i64,
    pub(super) gid: i64,
    pub(super) modified: i64,
    pub(super) uname: Vec<u8>,
    pub(super) gname: Vec<u8>,
    pub(super) major: i64,
    pub(super) minor: i64,
    /// Whether more of the map of a sparse file follows.
    pub(super) is_extended: bool,
    /// Whether GNU's times beside the one of the content are said.
    pub(super) has_times: bool,
}

impl Header {
    /// Reads a header; the error says what it lacks.
    pub(super) fn parse(block: &[u8; HEADER]) -> Result<Self, String> {
        let format = format_of(block).ok_or("not a header of a tar archive")?;
        let number = |what: &str, field: Range<usize>| {
            number(&block[field]).ok_or_else(|| format!("its {what} is no number"))
        };
        let text = |field: Range<usize>| until_null(&block[field]).to_vec();
        let mut header = Self {
            format,
            letter: block[TYPE],
            name: text(NAME),
            link: text(LINK),
            size: number("size", SIZE)?,
            mode: number("mode", MODE)?,
            uid: number("user", UID)?,
            gid: number("group", GID)?,
            modified: number("time", MTIME)?,
            uname: Vec::new(),
            gname: Vec::new(),
            major: 0,
            minor: 0,
            is_extended: format == Format::Gnu && block[GNU_EXTENDED] != 0,
            has_times: format == Format::Gnu
                && GNU_TIMES.into_iter().any(|field| block[field.start] != 0),
        };
        if format == Format::V7 {
            return Ok(header);
        }
        header.uname = text(UNAME);
        header.gname = text(GNAME);
        header.major = number("device", MAJOR)?;
        header.minor = number("device", MINOR)?;
        let prefix = match format {
            Format::V7 => Vec::new(),
            Format::Ustar => text(PREFIX),
            Format::Star => {
                for field in STAR_TIMES {
                    number("time", field)?;
                }
                text(STAR_PREFIX)
            }
            Format::Gnu => gnu_prefix(block),
        };
        if !prefix.is_empty() {
            header.name = [&prefix, &b"/"[..], &header.name].concat();
        }
        Ok(header)
    }
}

/// What Go before 1.8 put where GNU has times (golang/go#21005): taken for a prefix if it is ASCII and no
/// times.
fn gnu_prefix(block: &[u8; HEADER]) -> Vec<u8> {
    let is_time = |field: &Range<usize>| {
        let field = &block[field.clone()];
        field[0] == 0 || number(field).is_some()
    };
    let prefix = until_null(&block[PREFIX]);
    if GNU_TIMES.iter().all(is_time) || !prefix.is_ascii() {
        return Vec::new();
    }
    prefix.to_vec()
}

/// What kind of header it is; none if its checksum is wrong.
fn format_of(block: &[u8; HEADER]) -> Option<Format> {
    let said = octal(&block[CHECKSUM])?;
    // The field counts as spaces (pax(1), "ustar Interchange Format"). Old writers summed signed bytes.
    let bytes = || {
        let bytes = block.iter().enumerate();
        bytes.map(|(at, byte)| if CHECKSUM.contains(&at) { b' ' } else { *byte })
    };
    let unsigned: i64 = bytes().map(i64::from).sum();
    let signed: i64 = bytes().map(|byte| i64::from(byte.cast_signed())).sum();
    if said != unsigned && said != signed {
        return None;
    }
    Some(match (&block[MAGIC], &block[VERSION]) {
        (b"ustar\0", _) if block[STAR_TRAILER] == *b"tar\0" => Format::Star,
        (b"ustar\0", _) => Format::Ustar,
        (b"ustar ", b" \0") => Format::Gnu,
        _ => Format::V7,
    })
}

/// The number in a field: octal digits, or, if the first bit is set, two's complement; nothing is 0.
fn number(field: &[u8]) -> Option<i64> {
    let Some((first, rest)) = field.split_first().filter(|(first, _)| **first & 0x80 != 0) else {
        return octal(field);
    };
    // The bits of a negative number are turned, read, and turned back.
    let turn = if first & 0x40 == 0 { 0 } else { 0xff };
    let start = i64::from((first ^ turn) & 0x7f);
    let value = rest.iter().try_fold(start, |value, byte| {
        let shifted = value.checked_mul(256)?;
        Some(shifted | i64::from(byte ^ turn))
    })?;
    Some(if turn == 0 { value } else { !value })
}

/// The number that octal digits say, with spaces and nulls around them.
fn octal(field: &[u8]) -> Option<i64> {
    let is_padding = |byte: &u8| matches!(byte, b' ' | 0);
    let start = field.iter().position(|byte| !is_padding(byte));
    let Some(start) = start else {
        return Some(0);
    };
    let end = field.iter().rposition(|byte| !is_padding(byte))?;
    let digits = until_null(&field[start..=end]);
    digits.iter().try_fold(0_i64, |value, digit| {
        let digit = (b'0'..=b'7').contains(digit).then(|| digit - b'0')?;
        value.checked_mul(8)?.checked_add(i64::from(digit))
    })
}

/// The bytes before the first null.
pub(super) fn until_null(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|byte| *byte == 0);
    &bytes[..end.unwrap_or(bytes.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cases of Go's `TestParseNumeric`.
    #[test]
    fn numbers_are_read_as_go_reads_them() {
        for (field, expected) in [
            (&b""[..], Some(0)),
            (b"\x80", Some(0)),
            (b"\x80\x00", Some(0)),
            (b"\xbf", Some((1 << 6) - 1)),
            (b"\xbf\xff", Some((1 << 14) - 1)),
            (b"\xff", Some(-1)),
            (b"\xff\xff", Some(-1)),
            (b"\xc0", Some(-(1 << 6))),
            (b"\xc0\x00", Some(-(1 << 14))),
            (
                b"\x87\x76\xa2\x22\xeb\x8a\x72\x61",
                Some(537_795_476_381_659_745),
            ),
            (
                b"\x80\x00\x00\x00\x07\x76\xa2\x22\xeb\x8a\x72\x61",
                Some(537_795_476_381_659_745),
            ),
            (
                b"\xf7\x76\xa2\x22\xeb\x8a\x72\x61",
                Some(-615_126_028_225_187_231),
            ),
            (
                b"\xff\xff\xff\xff\xf7\x76\xa2\x22\xeb\x8a\x72\x61",
                Some(-615_126_028_225_187_231),
            ),
            (b"\x80\x7f\xff\xff\xff\xff\xff\xff\xff", Some(i64::MAX)),
            (b"\x80\x80\x00\x00\x00\x00\x00\x00\x00", None),
            (b"\xff\x80\x00\x00\x00\x00\x00\x00\x00", Some(i64::MIN)),
            (b"\xff\x7f\xff\xff\xff\xff\xff\xff\xff", None),
            (b"\xf5\xec\xd1\xc7\x7e\x5f\x26\x48\x81\x9f\x8f\x9b", None),
            (b"0000000\x00", Some(0)),
            (b" \x0000000\x00", Some(0)),
            (b"00000000227\x00", Some(0o227)),
            (b"032033\x00 ", Some(0o32033)),
            (b"320330\x00 ", Some(0o320_330)),
            (b"0000660\x00 ", Some(0o660)),
            (b"\x00 0000660\x00 ", Some(0o660)),
            (b"0123456789abcdef", None),
            (b"0123456789\x00abcdef", None),
            (b"01234567\x0089abcdef", Some(0o1_234_567)),
            (b"0123\x7e\x5f\x264123", None),
        ] {
            assert_eq!(number(field), expected, "{field:x?}");
        }
    }
}
