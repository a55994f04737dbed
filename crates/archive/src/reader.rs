//! Reading archives that others wrote: old, ustar, GNU and PAX headers, as in POSIX pax(1) and the
//! manual of GNU tar, "Basic Tar Format" and "Extensions to the archive format".
//!
//! What Go's `archive/tar` understands is followed, since engines use that: what it refuses is an error
//! here, and what it reads otherwise than the standards say is read as it does. Besides, what no file system
//! can hold is refused.

use std::fmt::Display;
use std::io::{self, Read};

use super::archive_entry::{ArchiveEntry, ArchiveEntryKind, Special};
use super::header::{Format, HEADER, Header, until_null};
use super::path::{LONGEST_PATH, clean_entry_path};
use super::pax::{ReadRecords, parse_records, xattrs};
use strata_error::{Error, Result};

/// The size of a block.
const BLOCK: u64 = HEADER as u64;
/// The most bytes of a long name or of the PAX records of an entry: room for every extended
/// attribute that Linux lets a file have.
const LARGEST_EXTENSION: u64 = 1024 * 1024;

/// Reads an archive, entry by entry; as a [`Read`] it gives the content of the last entry.
pub struct ArchiveReader<R> {
    reader: R,
    document: String,
    hint: &'static str,
    /// How many bytes of the archive were read.
    position: u64,
    /// Where the content of the last entry ends.
    content_end: u64,
    /// The last entry's name, for errors.
    member: Option<String>,
}

/// What headers of extensions say about the next entry.
#[derive(Default)]
struct Extensions {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    records: ReadRecords,
}

impl<R: Read> ArchiveReader<R> {
    /// Reads `reader` from its start; `document` names it in errors, and `hint` is their way out.
    pub fn new(reader: R, document: impl Into<String>, hint: &'static str) -> Self {
        Self {
            reader,
            document: document.into(),
            hint,
            position: 0,
            content_end: 0,
            member: None,
        }
    }

    /// The next entry; none at the end of the archive.
    pub fn next_entry(&mut self) -> Result<Option<ArchiveEntry>> {
        let mut extensions = Extensions::default();
        loop {
            self.skip_to(self.content_end.next_multiple_of(BLOCK))?;
            let Some(header) = self.header()? else {
                return Ok(None);
            };
            if !matches!(header.letter, b'x' | b'g' | b'L' | b'K') {
                return self.entry(header, extensions).map(Some);
            }
            let size = u64::try_from(header.size);
            let size = size.map_err(|_| self.damaged_behind(&"its size is negative"))?;
            let content = self.extension(size)?;
            match header.letter {
                b'L' => extensions.path = Some(until_null(&content).to_vec()),
                b'K' => extensions.link = Some(until_null(&content).to_vec()),
                letter => {
                    let records = parse_records(&content).and_then(|records| {
                        check_records(&records)?;
                        Some(records)
                    });
                    let records =
                        records.ok_or_else(|| self.damaged_behind(&"malformed PAX records"))?;
                    if letter == b'x' {
                        extensions.records = records;
                    } else {
                        // Engines ignore what is said of all, and Go forgets what was said of the next.
                        extensions = Extensions::default();
                    }
                }
            }
        }
    }

    /// Reads what is left to the end of the stream, behind the end of the archive.
    pub fn drain(&mut self) -> Result<()> {
        let copied = io::copy(&mut self.reader, &mut io::sink());
        copied.map(|_| ()).map_err(|error| self.damaged(&error))
    }

    /// An error about the last entry.
    pub fn damaged(&self, message: &dyn Display) -> Error {
        self.error(match &self.member {
            Some(member) => format!("{member}: {message}"),
            None => message.to_string(),
        })
    }

    /// An error about what is behind the last entry.
    fn damaged_behind(&self, message: &dyn Display) -> Error {
        self.error(match &self.member {
            Some(member) => format!("behind {member}: {message}"),
            None => message.to_string(),
        })
    }

    fn error(&self, message: String) -> Error {
        Error::Document {
            document: self.document.clone(),
            message,
            hint: self.hint.to_owned(),
        }
    }

    fn entry(&mut self, header: Header, extensions: Extensions) -> Result<ArchiveEntry> {
        let Extensions {
            path: long_path,
            link: long_link,
            mut records,
        } = extensions;
        let sparse_name = sparse_name(&records);
        let is_sparse = header.letter == b'S' || sparse_name.is_some();
        let mut record = |name: &str| records.remove(name.as_bytes());
        let is_said = |name: &Vec<u8>| !name.is_empty();
        let (path, link) = (record("path"), record("linkpath"));
        let path = (sparse_name.filter(is_said))
            .or_else(|| long_path.filter(is_said))
            .or(path)
            .unwrap_or(header.name);
        let link = long_link.filter(is_said).or(link).unwrap_or(header.link);
        self.member = Some(String::from_utf8_lossy(&path).into_owned());
        let mut number = |name, field| {
            number_of(&mut records, name, field).map_err(|error| self.damaged(&error))
        };
        let size = number("size", header.size)?;
        let (uid, gid) = (number("uid", header.uid)?, number("gid", header.gid)?);
        let modified = time_of(&mut records, header.modified);
        let uname = name_of(&mut records, "uname", header.uname);
        let gname = name_of(&mut records, "gname", header.gname);
        let device = [header.major, header.minor].map(device_number);
        let kind = self.kind(header.letter, &path, link, device)?;
        let path = clean_entry_path(&path).map_err(|message| self.damaged(&message))?;
        if header.letter == b'S' {
            if header.format != Format::Gnu {
                return Err(self.damaged(&"a sparse file whose header is not GNU's"));
            }
            self.skip_sparse_map(header.is_extended)?;
        }
        // As in Go: other kinds have no content, whatever their size says.
        let size = if kind == ArchiveEntryKind::File {
            u64::try_from(size).map_err(|_| self.damaged(&"its size is negative"))?
        } else {
            0
        };
        self.begin_content(size)?;
        Ok(ArchiveEntry {
            path,
            kind,
            // No more than the bits of a mode are left.
            mode: u32::try_from(header.mode & 0o7777).unwrap_or(0),
            uid: owner(uid),
            gid: owner(gid),
            uname,
            gname,
            xattrs: xattrs(records),
            modified,
            is_sparse,
            size,
            offset: self.position,
        })
    }

    /// Makes the next `size` bytes the content of the entry.
    fn begin_content(&mut self, size: u64) -> Result<()> {
        self.content_end = self
            .position
            .checked_add(size)
            .filter(|end| *end < u64::MAX - BLOCK)
            .ok_or_else(|| self.damaged(&"its size is impossible"))?;
        Ok(())
    }

    fn kind(
        &self,
        letter: u8,
        path: &[u8],
        link: Vec<u8>,
        [major, minor]: [u32; 2],
    ) -> Result<ArchiveEntryKind> {
        Ok(match letter {
            b'5' => ArchiveEntryKind::Directory,
            // Before ustar, only the slash told directories from files.
            0 if path.ends_with(b"/") => ArchiveEntryKind::Directory,
            // A contiguous file (`7`) is a file for tar, and for engines something that they do not unpack.
            0 | b'0' | b'S' => ArchiveEntryKind::File,
            b'1' => {
                let target = clean_entry_path(&link)
                    .map_err(|message| self.damaged(&format!("its link target: {message}")))?;
                ArchiveEntryKind::HardLink(target)
            }
            b'2' if link.len() > LONGEST_PATH => {
                let message = format!("its link target is longer than {LONGEST_PATH} bytes");
                return Err(self.damaged(&message));
            }
            b'2' if link.is_empty() => {
                return Err(self.damaged(&"a symlink that leads to nothing"));
            }
            b'2' => ArchiveEntryKind::Symlink(link),
            b'3' => ArchiveEntryKind::Special(Special::Character(major, minor)),
            b'4' => ArchiveEntryKind::Special(Special::Block(major, minor)),
            b'6' => ArchiveEntryKind::Special(Special::Pipe),
            other => {
                let letter = char::from(other);
                return Err(self.damaged(&format!("its type {letter:?} is unknown")));
            }
        })
    }

    /// The next header that is not the end.
    fn header(&mut self) -> Result<Option<Header>> {
        let Some(block) = self.block()? else {
            return Ok(None);
        };
        if block == [0; HEADER] {
            return match self.block()? {
                Some(next) if next != [0; HEADER] => {
                    Err(self.damaged_behind(&"not a header of a tar archive"))
                }
                _ => Ok(None),
            };
        }
        let header = Header::parse(&block);
        header
            .map(Some)
            .map_err(|error| self.damaged_behind(&error))
    }

    /// The next block; none if the stream ends before it.
    fn block(&mut self) -> Result<Option<[u8; HEADER]>> {
        let mut block = [0; HEADER];
        let mut filled = 0;
        while let Some(rest) = block.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.reader.read(rest) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(self.damaged_behind(&"the archive ends in a header")),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.damaged(&error)),
            }
        }
        self.position += BLOCK;
        self.content_end = self.position;
        Ok(Some(block))
    }

    fn extension(&mut self, size: u64) -> Result<Vec<u8>> {
        if size > LARGEST_EXTENSION {
            return Err(self.damaged_behind(&format!(
                "{size} bytes of names and attributes, more than {LARGEST_EXTENSION}"
            )));
        }
        self.content_end = self.position + size;
        let mut content = Vec::new();
        self.read_to_end(&mut content)
            .map_err(|error| self.damaged(&error))?;
        Ok(content)
    }

    /// Old GNU sparse files may have more of their map in blocks behind the header.
    fn skip_sparse_map(&mut self, mut is_extended: bool) -> Result<()> {
        while is_extended {
            let block = self
                .block()?
                .ok_or_else(|| self.damaged(&"the archive ends in it"))?;
            is_extended = block[504] != 0;
        }
        Ok(())
    }

    fn skip_to(&mut self, position: u64) -> Result<()> {
        let count = position.saturating_sub(self.position);
        let skipped = io::copy(&mut self.reader.by_ref().take(count), &mut io::sink())
            .map_err(|error| self.damaged(&error))?;
        if skipped < count && self.position + skipped < self.content_end {
            return Err(self.damaged(&"the archive ends in it"));
        }
        self.position += skipped;
        Ok(())
    }
}

impl<R: Read> Read for ArchiveReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.content_end.saturating_sub(self.position));
        let count = buffer.len().min(left.unwrap_or(usize::MAX));
        if count == 0 {
            return Ok(0);
        }
        let count = self.reader.read(&mut buffer[..count])?;
        if count == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the archive ends in it",
            ));
        }
        self.position += count as u64;
        Ok(count)
    }
}

/// A number that a record says, or else a field of the header.
fn number_of(records: &mut ReadRecords, name: &str, field: i64) -> Result<i64, String> {
    let Some(text) = records.remove(name.as_bytes()) else {
        return Ok(field);
    };
    integer(&text).ok_or_else(|| format!("its record {name} is not a number"))
}

/// A number of 64 bits as records have it.
fn integer(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Refuses times that are none, as Go does; its other checks are where records are used.
fn check_records(records: &ReadRecords) -> Option<()> {
    let is_number = |name: &str| {
        let text = records.get(name.as_bytes());
        text.is_none_or(|text| integer(text).is_some())
    };
    let is_time = |name: &str| {
        let text = records.get(name.as_bytes());
        text.is_none_or(|text| seconds(text).is_some())
    };
    let numbers = ["uid", "gid", "size"].into_iter().all(is_number);
    let times = ["mtime", "atime", "ctime"].into_iter().all(is_time);
    (numbers && times).then_some(())
}

/// The whole seconds of a time, which may have a fraction.
fn seconds(text: &[u8]) -> Option<i64> {
    let dot = text.iter().position(|byte| *byte == b'.');
    let (whole, fraction) = text.split_at(dot.unwrap_or(text.len()));
    let digits = fraction.get(1..).unwrap_or_default();
    digits
        .iter()
        .all(u8::is_ascii_digit)
        .then(|| integer(whole))?
}

/// When the content was modified; what is before 1970 counts as 1970.
fn time_of(records: &mut ReadRecords, field: i64) -> u64 {
    let record = records.remove(b"mtime".as_slice());
    let time = record.and_then(|text| seconds(&text)).unwrap_or(field);
    u64::try_from(time).unwrap_or(0)
}

/// The name of a user or group that a record says, or else a field of the header.
fn name_of(records: &mut ReadRecords, name: &str, field: Vec<u8>) -> String {
    let record = records.remove(name.as_bytes());
    String::from_utf8(record.unwrap_or(field)).unwrap_or_default()
}

/// The name that a sparse file of PAX has, empty if it is that of the entry; none if it is no sparse file.
fn sparse_name(records: &ReadRecords) -> Option<Vec<u8>> {
    let record = |name: &str| {
        let value = records.get([b"GNU.sparse.", name.as_bytes()].concat().as_slice());
        value.map_or(&b""[..], Vec::as_slice)
    };
    match (record("major"), record("minor")) {
        (b"0", b"0" | b"1") | (b"1", b"0") => {}
        (b"", b"") if !record("map").is_empty() || !record("numbytes").is_empty() => {}
        _ => return None,
    }
    Some(record("name").to_vec())
}

/// The owner that engines give a file whose number is this: Linux has 32 bits for it, and with all of
/// them set it is left as it is, which is root's.
fn owner(number: i64) -> u64 {
    if number >= 0 {
        return number.cast_unsigned();
    }
    let low = number.cast_unsigned() & u64::from(u32::MAX);
    if low == u64::from(u32::MAX) { 0 } else { low }
}

/// A number of a device, of which 32 bits count.
fn device_number(number: i64) -> u32 {
    u32::try_from(number & i64::from(u32::MAX)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::tar::{Builder, EntryType, Header};

    fn read(bytes: &[u8]) -> Result<Vec<ArchiveEntry>, String> {
        let mut reader = ArchiveReader::new(bytes, "x.tar", "fetch it again");
        let mut entries = Vec::new();
        while let Some(entry) = reader.next_entry().map_err(|error| error.to_string())? {
            let mut content = Vec::new();
            reader
                .read_to_end(&mut content)
                .map_err(|error| error.to_string())?;
            assert_eq!(content.len() as u64, entry.size);
            assert_eq!(
                content,
                bytes[usize::try_from(entry.offset).unwrap()..][..content.len()]
            );
            entries.push(entry);
        }
        Ok(entries)
    }

    fn header(entry_type: EntryType, size: u64) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(entry_type);
        header.set_size(size);
        header.set_mode(0o100_644);
        header.set_uid(1000);
        header.set_gid(0o77_777_777);
        header.set_username("app").unwrap();
        header.set_cksum();
        header
    }

    /// An archive with one entry whose name is written as it is.
    fn raw(name: &[u8], entry_type: EntryType, content: &[u8]) -> Vec<u8> {
        let mut header = header(entry_type, content.len() as u64);
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.set_cksum();
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes
    }

    #[test]
    fn archives_of_others_are_understood() {
        let mut builder = Builder::new(Vec::new());
        let long = format!("{}/{}", "d".repeat(120), "f".repeat(120));
        builder
            .append_data(&mut header(EntryType::Regular, 3), &long, &b"abc"[..])
            .unwrap();
        builder
            .append_link(&mut header(EntryType::Symlink, 0), "link", "../anywhere")
            .unwrap();
        builder
            .append_link(&mut header(EntryType::Link, 9), "hard", &long)
            .unwrap();
        builder
            .append_pax_extensions([
                ("path", &b"./pax/name"[..]),
                ("SCHILY.xattr.user.a", b"1\n2=3"),
                ("SCHILY.xattr.user.b", b""),
                ("uid", b"123456789012"),
            ])
            .unwrap();
        builder
            .append_data(&mut header(EntryType::Regular, 600), "x", &[7; 600][..])
            .unwrap();
        builder
            .append_data(&mut header(EntryType::Directory, 0), "dir", io::empty())
            .unwrap();
        let entries = read(&builder.into_inner().unwrap()).unwrap();
        let names: Vec<_> = entries
            .iter()
            .map(|entry| String::from_utf8_lossy(&entry.path).into_owned())
            .collect();
        assert_eq!(names, [&long, "link", "hard", "pax/name", "dir"]);
        assert_eq!(
            entries[1].kind,
            ArchiveEntryKind::Symlink(b"../anywhere".to_vec())
        );
        assert_eq!(
            entries[2].kind,
            ArchiveEntryKind::HardLink(long.into_bytes())
        );
        let pax = &entries[3];
        assert_eq!(
            (pax.mode, pax.uid, pax.gid),
            (0o644, 123_456_789_012, 0o77_777_777)
        );
        assert_eq!((pax.uname.as_str(), pax.gname.as_str()), ("app", ""));
        assert_eq!(pax.xattrs["user.a"], b"1\n2=3");
        assert_eq!(pax.xattrs["user.b"], b"");
    }

    /// A PAX size hides or shows entries from readers that go by the header (CVE-2025-62518).
    #[test]
    fn the_size_in_a_record_wins() {
        let inner = raw(b"inner", EntryType::Regular, b"");
        let mut bytes = raw(b"x", EntryType::XHeader, b"12 size=512\n");
        let mut outer = raw(b"outer", EntryType::Regular, b"");
        bytes.append(&mut outer);
        bytes.extend(inner);
        let entries = read(&bytes).unwrap();
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].size, 512);
    }

    #[test]
    fn what_leads_out_or_makes_no_sense_names_the_member() {
        let cases: [(&[u8], EntryType, &[u8], &str); 4] = [
            (
                b"a/../../b",
                EntryType::Regular,
                b"",
                "x.tar: a/../../b: the path leads out of the archive",
            ),
            (
                b"odd",
                EntryType::new(b'Q'),
                b"",
                "x.tar: odd: its type 'Q' is unknown",
            ),
            (
                b"x",
                EntryType::XHeader,
                b"5 a=b\n",
                "x.tar: malformed PAX records",
            ),
            (
                b"x",
                EntryType::XHeader,
                b"99999999999999999999999 a=b\n",
                "x.tar: malformed PAX records",
            ),
        ];
        for (name, entry_type, content, message) in cases {
            assert_eq!(read(&raw(name, entry_type, content)).unwrap_err(), message);
        }
        let mut bytes = raw(b"x", EntryType::GNULongName, &[b'a'; 5000]);
        bytes.extend(raw(b"next", EntryType::Regular, b""));
        assert!(
            read(&bytes)
                .unwrap_err()
                .ends_with("longer than 4096 bytes")
        );
        let mut huge = header(EntryType::XHeader, LARGEST_EXTENSION + 1);
        huge.set_cksum();
        assert!(
            read(huge.as_bytes())
                .unwrap_err()
                .contains("more than 1048576")
        );
    }

    #[test]
    fn every_truncation_is_noticed() {
        let mut bytes = raw(b"first", EntryType::Regular, &[1; 700]);
        bytes.extend(raw(b"second", EntryType::Regular, &[2; 10]));
        for length in 1..bytes.len() {
            let result = read(&bytes[..length]);
            match length {
                // Whole entries; padding and the end of the archive may be missing, as for Go.
                1212..=1536 | 2058.. => assert!(result.is_ok(), "{length}: {result:?}"),
                _ => assert!(result.is_err(), "{length}: {result:?}"),
            }
        }
        assert_eq!(read(&bytes[..600]).unwrap_err(), "the archive ends in it");
    }

    #[test]
    fn bytes_that_are_no_archive_are_refused() {
        assert_eq!(
            read(&[b'x'; 1024]).unwrap_err(),
            "x.tar: not a header of a tar archive"
        );
        assert!(read(b"").unwrap().is_empty());
        assert!(read(&[0; 1024]).unwrap().is_empty());
    }

    /// A header with these fields over those of an empty file, as Go's test data has them.
    fn block(fields: &[(usize, &[u8])], is_signed: bool) -> Vec<u8> {
        let mut block = vec![0; HEADER];
        let regular: [(usize, &[u8]); 8] = [
            (0, b"file"),
            (100, b"0000644\0"),
            (108, b"0000001\0"),
            (116, b"0000002\0"),
            (124, b"00000000000\0"),
            (136, b"00000000003\0"),
            (148, b"        "),
            (156, b"0"),
        ];
        for (at, bytes) in regular.iter().chain(fields) {
            block[*at..at + bytes.len()].copy_from_slice(bytes);
        }
        let value = |byte: &u8| {
            if is_signed {
                i64::from(byte.cast_signed())
            } else {
                i64::from(*byte)
            }
        };
        let sum: i64 = block.iter().map(value).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        block
    }

    const GNU: (usize, &[u8]) = (257, b"ustar  \0");
    const USTAR: (usize, &[u8]) = (257, b"ustar\x0000");

    /// Row 3 of "Wrong images": what Go's `TestReader` reads, restated.
    #[test]
    fn headers_are_read_as_go_reads_them() {
        let signed = "caf\u{e9}".as_bytes();
        let one = |fields: &[(usize, &[u8])], is_signed: bool| {
            let entries = read(&block(fields, is_signed)).unwrap();
            let [entry] = <[ArchiveEntry; 1]>::try_from(entries).unwrap();
            let path = String::from_utf8(entry.path.clone()).unwrap();
            (path, entry)
        };
        for (expected, fields) in [
            ("dir/file", &[USTAR, (345, &b"dir"[..])][..]),
            ("file", &[(345, b"dir")]),
            ("dir/file", &[USTAR, (345, b"dir"), (508, b"tar\0")]),
            // golang/go#21005, moby#34092: a prefix where GNU has times.
            ("usr/local/lib/file", &[GNU, (345, b"usr/local/lib")]),
            ("file", &[GNU, (345, b"00000000003\0")]),
            (
                "file",
                &[GNU, (345, &[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])],
            ),
            ("file", &[GNU, (345, b"us\xe9r")]),
            ("file", &[(157, b"ignored"), (265, b"user")]),
        ] {
            assert_eq!(one(fields, false).0, expected, "{fields:?}");
        }
        assert_eq!(one(&[(0, signed)], true).0, "caf\u{e9}");
        assert_eq!(one(&[(0, signed)], false).0, "caf\u{e9}");
        let binary = one(&[GNU, (108, b"\x80\0\0\0\0\x20\0\x07")], false).1;
        assert_eq!(binary.uid, 2_097_159);
        for (number, uid) in [
            (b"\xff\xff\xff\xff\xff\xff\xff\xff", 0),
            (b"\xff\xff\xff\xff\xff\xff\xff\xfe", 0xffff_fffe),
        ] {
            assert_eq!(one(&[GNU, (108, number)], false).1.uid, uid);
        }
        let early = one(&[GNU, (136, &[0xff; 12])], false).1;
        assert_eq!(early.modified, 0);
        // A size means nothing where there is no content, not even a negative one.
        let link = one(&[GNU, (156, b"2"), (157, b"to"), (124, &[0xff; 12])], false).1;
        assert_eq!(
            (link.size, link.kind),
            (0, ArchiveEntryKind::Symlink(b"to".to_vec()))
        );
        // Only V7's own type makes a directory of a slash.
        assert_eq!(
            one(&[(0, b"file/"), (156, b"0")], false).1.kind,
            ArchiveEntryKind::File
        );
        assert_eq!(
            one(&[(0, b"file/"), (156, b"\0")], false).1.kind,
            ArchiveEntryKind::Directory
        );
        let device = one(
            &[USTAR, (156, b"3"), (329, b"0000010\0"), (337, b"0000012\0")],
            false,
        )
        .1;
        assert_eq!(
            device.kind,
            ArchiveEntryKind::Special(Special::Character(8, 10))
        );
        // What V7 has behind its fields is none of its own.
        assert_eq!(one(&[(265, b"user"), (329, b"x")], false).1.uname, "");
    }

    #[test]
    fn headers_that_go_refuses_are_refused() {
        for (fields, message) in [
            (
                &[GNU, (124, &[0xff; 12][..])][..],
                "x.tar: file: its size is negative",
            ),
            (
                &[GNU, (156, b"x"), (124, &[0xff; 12])],
                "x.tar: its size is negative",
            ),
            (&[(124, b"0000000000x\0")], "x.tar: its size is no number"),
            (&[(108, b"00000 1\0")], "x.tar: its user is no number"),
            (
                &[(136, b"\x81\0\0\0\0\0\0\0\0\0\0\0")],
                "x.tar: its time is no number",
            ),
            (&[(136, b"99999999999\0")], "x.tar: its time is no number"),
            (&[(100, b"rw-r--r-")], "x.tar: its mode is no number"),
            (&[USTAR, (329, b"x")], "x.tar: its device is no number"),
            (
                &[USTAR, (508, b"tar\0"), (476, b"x")],
                "x.tar: its time is no number",
            ),
            (
                &[USTAR, (156, b"S")],
                "x.tar: file: a sparse file whose header is not GNU's",
            ),
        ] {
            let mut bytes = block(fields, false);
            bytes.extend([0; HEADER]);
            assert_eq!(
                read(&bytes).map(|_| ()),
                Err(message.to_owned()),
                "{fields:?}"
            );
        }
    }

    /// Go's cases `pax-bad-hdr-file`, `pax-bad-mtime-file`, `pax-nul-path`, `pax-nul-xattrs`, `gnu-multi-hdrs`,
    /// `pax-multi-hdrs`, `pax-global-records`, `gnu-long-nul` and of `TestParsePAXRecord`, and libarchive's
    /// of repeated headers.
    #[test]
    fn extensions_are_read_as_go_reads_them() {
        let extension = |letter: u8, content: &[u8]| {
            let mut bytes = raw(b"ext", EntryType::new(letter), content);
            bytes.resize(bytes.len().next_multiple_of(HEADER), 0);
            bytes
        };
        let names = |extensions: &[(u8, &[u8])]| {
            let mut bytes = Vec::new();
            for (letter, content) in extensions {
                bytes.extend(extension(*letter, content));
            }
            bytes.extend(block(&[USTAR], false));
            let entries = read(&bytes)?;
            let names = entries
                .iter()
                .map(|entry| String::from_utf8_lossy(&entry.path).into_owned());
            Ok::<_, String>(names.collect::<Vec<_>>().join(" "))
        };
        for (expected, extensions) in [
            ("b", &[(b'L', &b"a\0"[..]), (b'L', b"b\0c")][..]),
            ("b", &[(b'x', b"9 path=a\n"), (b'x', b"9 path=b\n")]),
            ("file", &[(b'x', b"9 path=a\n"), (b'x', b"")]),
            // GNU's name is the last word, and an empty one says nothing.
            ("b", &[(b'L', b"b\0"), (b'x', b"9 path=a\n")]),
            ("a", &[(b'L', b"\0"), (b'x', b"9 path=a\n")]),
            ("a", &[(b'x', b"9 path=a\n8 path=\n9 path=a\n")]),
            ("file", &[(b'x', b"9 path=a\n8 path=\n")]),
            // What is said of all is ignored, and ends what was said of the next.
            ("file", &[(b'g', b"9 path=a\n")]),
            ("file", &[(b'x', b"9 path=a\n"), (b'g', b"9 path=b\n")]),
            ("file", &[(b'x', b"22 GNU.sparse.name=a\n12 other=\0b\n")]),
            (
                "a",
                &[(
                    b'x',
                    b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n21 GNU.sparse.name=a\n",
                )],
            ),
            (
                "file",
                &[(
                    b'x',
                    b"22 GNU.sparse.major=9\n22 GNU.sparse.minor=0\n21 GNU.sparse.name=a\n",
                )],
            ),
            ("file", &[(b'x', b"20 mtime=-1.50000000\n")]),
        ] {
            let mut fixed = Vec::new();
            for (letter, content) in extensions {
                fixed.push((*letter, with_lengths(content)));
            }
            let fixed: Vec<(u8, &[u8])> = fixed
                .iter()
                .map(|(letter, content)| (*letter, content.as_slice()))
                .collect();
            assert_eq!(names(&fixed).as_deref(), Ok(expected), "{extensions:?}");
        }
        for content in [
            &b"10 path=a\0\n"[..],
            b"11 mtime=x\n",
            b"14 mtime=1.x2\n",
            b"12 atime=\xe9\n",
            b"9 uid=1x\n",
            b"28 size=9999999999999999999\n",
            b"6 k\0=\n",
            b"5 =a\n",
            b"4 =\n",
            b"3 k\n",
            b"6 path\n",
            b"1 k=1\n",
            b"0000000000000000000000000000005 a=\n",
            b"-5 a=b\n",
            b"7 a=b",
            b" a=b\n",
            b"26 GNU.sparse.numbytes=1\n",
        ] {
            for letter in [b'x', b'g'] {
                let error = names(&[(letter, content)]).unwrap_err();
                assert!(
                    error.contains("malformed PAX records"),
                    "{content:?}: {error}"
                );
            }
        }
    }

    /// Corrects the lengths of records, which one miscounts.
    fn with_lengths(content: &[u8]) -> Vec<u8> {
        let mut records = Vec::new();
        for line in content.split_inclusive(|byte| *byte == b'\n') {
            let space = line.iter().position(|byte| *byte == b' ');
            let Some(space) = space.filter(|_| line.ends_with(b"\n")) else {
                return content.to_vec();
            };
            let length = line.len() - space + if line.len() - space > 8 { 2 } else { 1 };
            records.extend(length.to_string().into_bytes());
            records.extend(&line[space..]);
        }
        records
    }

    #[test]
    fn links_may_be_as_long_as_linux_lets_them() {
        let long = |length: usize| {
            let mut bytes = raw(b"x", EntryType::GNULongLink, &vec![b'a'; length]);
            bytes.extend(block(&[GNU, (156, b"2")], false));
            read(&bytes)
        };
        assert!(long(4096).is_ok());
        assert_eq!(
            long(4097).unwrap_err(),
            "x.tar: file: its link target is longer than 4096 bytes"
        );
    }

    proptest::proptest! {
        #[test]
        fn damage_is_an_error_and_nothing_worse(
            at in 0_usize..2048, byte: u8, length in 0_usize..2560
        ) {
            let mut builder = Builder::new(Vec::new());
            builder.append_pax_extensions([("path", &b"pax"[..])]).unwrap();
            builder
                .append_data(&mut header(EntryType::Regular, 3), "f", &b"abc"[..])
                .unwrap();
            let mut bytes = builder.into_inner().unwrap();
            bytes[at] = byte;
            bytes.truncate(length);
            let mut reader = ArchiveReader::new(bytes.as_slice(), "x", "");
            while let Ok(Some(_)) = reader.next_entry() {}
        }
    }
}
