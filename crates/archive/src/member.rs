//! The headers of an archive's members one after the other, as they come: what a member is called and what it is,
//! word for word, for whoever repeats that beside the archive.

use std::collections::BTreeMap;

use super::header::{Format, HEADER, Header, until_null};
use super::pax::{ReadRecords, parse_records, xattrs};

/// The most bytes of a header with the extensions before it.
const LARGEST: usize = 2 * 1024 * 1024;

/// What kinds of members there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are those of tar")]
pub enum MemberKind {
    File,
    HardLink,
    Symlink,
    Character,
    Block,
    Directory,
    Pipe,
}

/// A member as Go's `archive/tar` would give it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// What it is.
    pub kind: MemberKind,
    /// Its name, with the slash of a directory.
    pub name: String,
    /// What a link leads to; else empty.
    pub link: String,
    /// The length of its content in bytes.
    pub size: u64,
    /// Its mode as the header says it.
    pub mode: u64,
    /// The user who owns it.
    pub uid: u64,
    /// The group.
    pub gid: u64,
    /// When it was modified, in seconds since 1970.
    pub modified: u64,
    /// The number of its device.
    pub device: (u64, u64),
    /// Its extended attributes.
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

/// What the bytes behind a member are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// So many bytes have to be there to say more.
    Needs(usize),
    /// The headers of this member, and nothing else.
    Member(Box<Member>),
    /// The end of the archive.
    End,
    /// A header that is damaged, or says what a [`Member`] cannot: sparse files, times to less than a second or
    /// beside the one of the content, what is said of all members, names that are not UTF-8.
    Other,
}

/// Reads the header at the start of `bytes`, with the extensions before it.
pub fn read_head(bytes: &[u8]) -> Head {
    let mut extensions = Extensions::default();
    let mut rest = bytes;
    loop {
        let before = bytes.len() - rest.len();
        let Some((block, behind)) = rest.split_first_chunk::<HEADER>() else {
            return Head::Needs(before + HEADER);
        };
        if *block == [0; HEADER] {
            return if before == 0 { Head::End } else { Head::Other };
        }
        let Ok(header) = Header::parse(block) else {
            return Head::Other;
        };
        if !matches!(header.letter, b'x' | b'L' | b'K') {
            let member = extensions.member(header);
            return member.map_or(Head::Other, |member| Head::Member(Box::new(member)));
        }
        let Some(size) = usize::try_from(header.size)
            .ok()
            .filter(|size| before + size < LARGEST)
        else {
            return Head::Other;
        };
        let padded = size.next_multiple_of(HEADER);
        let Some((content, behind)) = behind.split_at_checked(padded) else {
            return Head::Needs(before + HEADER + padded);
        };
        if extensions.add(header.letter, &content[..size]).is_none() {
            return Head::Other;
        }
        rest = behind;
    }
}

/// What extensions say of the member behind them.
#[derive(Default)]
struct Extensions {
    path: Vec<u8>,
    link: Vec<u8>,
    records: ReadRecords,
}

impl Extensions {
    fn add(&mut self, letter: u8, content: &[u8]) -> Option<()> {
        match letter {
            b'L' => self.path = until_null(content).to_vec(),
            b'K' => self.link = until_null(content).to_vec(),
            _ => self.records = parse_records(content)?,
        }
        Some(())
    }

    fn member(mut self, header: Header) -> Option<Member> {
        let kind = kind(&header)?;
        // Star has times in its header, and GNU may have.
        if header.format == Format::Star || header.has_times {
            return None;
        }
        let is_told = |name: &[u8]| {
            name.starts_with(b"GNU.") || matches!(name, b"atime" | b"ctime" | b"hdrcharset")
        };
        if self.records.keys().any(|name| is_told(name)) {
            return None;
        }
        let mut text = |long: Vec<u8>, name: &str, field: Vec<u8>| {
            let record = self.records.remove(name.as_bytes());
            let value = Some(long).filter(|long| !long.is_empty()).or(record);
            String::from_utf8(value.unwrap_or(field)).ok()
        };
        let name = text(self.path, "path", header.name)?;
        let link = text(self.link, "linkpath", header.link)?;
        let mut number = |name: &str, field: i64| {
            let record = self.records.remove(name.as_bytes());
            let value = match record {
                Some(text) => String::from_utf8(text).ok()?.parse().ok()?,
                None => field,
            };
            u64::try_from(value).ok()
        };
        let size = number("size", header.size)?;
        let member = Member {
            kind,
            size,
            mode: u64::try_from(header.mode).ok()?,
            uid: number("uid", header.uid)?,
            gid: number("gid", header.gid)?,
            modified: number("mtime", header.modified)?,
            device: (
                u64::try_from(header.major).ok()?,
                u64::try_from(header.minor).ok()?,
            ),
            name,
            link,
            xattrs: xattrs(self.records),
        };
        // Readers do not agree on what these are.
        let is_clear = member.kind == MemberKind::File || size == 0;
        let is_directory = member.kind == MemberKind::Directory;
        let has_name = !member.name.is_empty() && (is_directory || !member.name.ends_with('/'));
        (is_clear && has_name).then_some(member)
    }
}

fn kind(header: &Header) -> Option<MemberKind> {
    Some(match header.letter {
        0 | b'0' => MemberKind::File,
        b'1' => MemberKind::HardLink,
        b'2' => MemberKind::Symlink,
        b'3' => MemberKind::Character,
        b'4' => MemberKind::Block,
        b'5' => MemberKind::Directory,
        b'6' => MemberKind::Pipe,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ArchiveWriter, Metadata, Mode};

    fn metadata() -> Metadata {
        Metadata {
            uid: 7_000_000_000,
            ..Metadata::root(Mode::from_bits(0o640))
        }
    }

    fn archive(path: &str) -> Vec<u8> {
        let mut writer = ArchiveWriter::new(Vec::new(), "an archive");
        writer.file(path, &metadata(), b"content").unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn a_head_is_read_when_it_is_whole() {
        let path = format!("{}/ü", "directory/".repeat(30).trim_end_matches('/'));
        let bytes = archive(&path);
        let mut length = 0;
        let member = loop {
            match read_head(&bytes[..length]) {
                Head::Needs(more) => {
                    assert!(more > length);
                    length = more;
                }
                Head::Member(member) => break member,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(length, 3 * HEADER);
        assert_eq!(
            *member,
            Member {
                kind: MemberKind::File,
                name: path,
                link: String::new(),
                size: 7,
                mode: 0o640,
                uid: 7_000_000_000,
                gid: 0,
                modified: 1,
                device: (0, 0),
                xattrs: BTreeMap::new(),
            }
        );
        assert_eq!(read_head(&bytes[length + HEADER..]), Head::End);
    }

    #[test]
    fn what_a_member_cannot_say_is_other() {
        for letter in [b'g', b'S', b'7', b'V'] {
            let mut bytes = archive("file");
            bytes.drain(..2 * HEADER);
            bytes[156] = letter;
            // The field of the checksum counts as spaces.
            bytes[148..156].fill(b' ');
            let sum: u32 = bytes[..HEADER].iter().map(|byte| u32::from(*byte)).sum();
            bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            assert_eq!(read_head(&bytes), Head::Other, "{letter}");
        }
        assert_eq!(read_head(&[1; HEADER]), Head::Other);
    }
}
