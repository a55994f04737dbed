//! Reading archives that others wrote: old, ustar, GNU and PAX headers, as in POSIX pax(1) and the
//! manual of GNU tar, "Basic Tar Format" and "Extensions to the archive format".
//!
//! Where writers differ, what Go's `archive/tar` understands is followed, since engines use that.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, Read};
use std::ops::Range;

use ::tar::{EntryType, Header};

use super::archive_entry::{ArchiveEntry, ArchiveEntryKind, Special};
use super::path::clean_path;
use super::pax::{ReadRecords, SPARSE, parse_records, xattrs};
use strata_error::{Error, Result};

/// The size of a block.
const BLOCK: u64 = 512;
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
            let size = number_in(&header, 124..136, Header::entry_size);
            let size = size.map_err(|error| self.damaged_behind(&error))?;
            let entry_type = header.entry_type();
            let is_extension = matches!(
                entry_type,
                EntryType::XHeader
                    | EntryType::XGlobalHeader
                    | EntryType::GNULongName
                    | EntryType::GNULongLink
            );
            if !is_extension {
                return self.entry(&header, size, extensions).map(Some);
            }
            let content = self.extension(size)?;
            match entry_type {
                EntryType::XHeader => {
                    extensions.records = parse_records(&content)
                        .ok_or_else(|| self.damaged_behind(&"malformed PAX records"))?;
                }
                EntryType::GNULongName => extensions.path = Some(until_null(&content).to_vec()),
                EntryType::GNULongLink => extensions.link = Some(until_null(&content).to_vec()),
                // What Go ignores, every engine ignores.
                _ => {}
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

    fn entry(
        &mut self,
        header: &Header,
        size: u64,
        extensions: Extensions,
    ) -> Result<ArchiveEntry> {
        let Extensions {
            path,
            link,
            mut records,
        } = extensions;
        let is_sparse = header.entry_type() == EntryType::GNUSparse
            || records.keys().any(|keyword| keyword.starts_with(SPARSE));
        let mut record = |name: &str| records.remove(name.as_bytes());
        let path = record("GNU.sparse.name")
            .or_else(|| record("path"))
            .or(path)
            .unwrap_or_else(|| header.path_bytes().into_owned());
        self.member = Some(String::from_utf8_lossy(&path).into_owned());
        let link = record("linkpath").or(link).unwrap_or_else(|| {
            let link = header.link_name_bytes();
            link.map_or_else(Vec::new, Cow::into_owned)
        });
        let mut number = |name, field| {
            number_of(&mut records, name, field).map_err(|error| self.damaged(&error))
        };
        let size = number("size", Ok(size))?;
        let uid = number("uid", number_in(header, 108..116, Header::uid))?;
        let gid = number("gid", number_in(header, 116..124, Header::gid))?;
        let mode = number_in(header, 100..108, |header| header.mode().map(u64::from));
        let mode = mode.map_err(|error| self.damaged(&error))? & 0o7777;
        let modified = time_of(&mut records, header);
        let uname = name_of(&mut records, "uname", header.username_bytes());
        let gname = name_of(&mut records, "gname", header.groupname_bytes());
        let kind = self.kind(header, &path, link)?;
        let path = clean_path(&path).map_err(|message| self.damaged(&message))?;
        if header.entry_type() == EntryType::GNUSparse {
            self.skip_sparse_map(header)?;
        }
        // As in Go: other kinds have no content, whatever their size says.
        let size = if kind == ArchiveEntryKind::File {
            size
        } else {
            0
        };
        self.begin_content(size)?;
        Ok(ArchiveEntry {
            path,
            kind,
            mode: u32::try_from(mode).unwrap_or(0),
            uid,
            gid,
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

    fn kind(&self, header: &Header, path: &[u8], link: Vec<u8>) -> Result<ArchiveEntryKind> {
        let device = || {
            let number = |number: io::Result<Option<u32>>| number.ok().flatten().unwrap_or(0);
            (number(header.device_major()), number(header.device_minor()))
        };
        Ok(match header.entry_type() {
            EntryType::Directory => ArchiveEntryKind::Directory,
            // Before ustar, only the slash told directories from files.
            EntryType::Regular if path.ends_with(b"/") => ArchiveEntryKind::Directory,
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                ArchiveEntryKind::File
            }
            EntryType::Link => {
                let target = clean_path(&link)
                    .map_err(|message| self.damaged(&format!("its link target: {message}")))?;
                ArchiveEntryKind::HardLink(target)
            }
            EntryType::Symlink => ArchiveEntryKind::Symlink(link),
            EntryType::Char => {
                let (major, minor) = device();
                ArchiveEntryKind::Special(Special::Character(major, minor))
            }
            EntryType::Block => {
                let (major, minor) = device();
                ArchiveEntryKind::Special(Special::Block(major, minor))
            }
            EntryType::Fifo => ArchiveEntryKind::Special(Special::Pipe),
            other => {
                let letter = char::from(other.as_byte());
                return Err(self.damaged(&format!("its type {letter:?} is unknown")));
            }
        })
    }

    /// The next header that is not the end.
    fn header(&mut self) -> Result<Option<Header>> {
        let Some(header) = self.block()? else {
            return Ok(None);
        };
        if header.as_bytes().iter().all(|byte| *byte == 0) {
            return match self.block()? {
                Some(next) if next.as_bytes().iter().any(|byte| *byte != 0) => {
                    Err(self.damaged_behind(&"not a header of a tar archive"))
                }
                _ => Ok(None),
            };
        }
        // The field counts as spaces (pax(1), "ustar Interchange Format").
        let (before, after) = (&header.as_bytes()[..148], &header.as_bytes()[156..]);
        let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
        if header.cksum().ok() != Some(sum(before) + 8 * u32::from(b' ') + sum(after)) {
            return Err(self.damaged_behind(&"not a header of a tar archive"));
        }
        Ok(Some(header))
    }

    /// The next block; none if the stream ends before it.
    fn block(&mut self) -> Result<Option<Header>> {
        let mut header = Header::new_old();
        let block = header.as_mut_bytes();
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
        Ok(Some(header))
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
    fn skip_sparse_map(&mut self, header: &Header) -> Result<()> {
        let mut is_extended = header.as_gnu().is_some_and(::tar::GnuHeader::is_extended);
        while is_extended {
            let block = self
                .block()?
                .ok_or_else(|| self.damaged(&"the archive ends in it"))?;
            is_extended = block.as_bytes()[504] != 0;
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
fn number_of(records: &mut ReadRecords, name: &str, field: io::Result<u64>) -> Result<u64, String> {
    let Some(text) = records.remove(name.as_bytes()) else {
        return field.map_err(|error| error.to_string());
    };
    let number = std::str::from_utf8(&text).ok();
    number
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| format!("its record {name} is not a number"))
}

/// When the content was modified. A record may have a fraction, and a sign before 1970: neither matters
/// here.
fn time_of(records: &mut ReadRecords, header: &Header) -> u64 {
    let record = records.remove(b"mtime".as_slice()).and_then(|text| {
        let text = String::from_utf8(text).ok()?;
        text.split('.').next()?.parse().ok()
    });
    record.unwrap_or_else(|| number_in(header, 136..148, Header::mtime).unwrap_or(0))
}

/// The name of a user or group that a record says, or else a field of the header.
fn name_of(records: &mut ReadRecords, name: &str, field: Option<&[u8]>) -> String {
    let record = records.remove(name.as_bytes());
    let bytes = record.unwrap_or_else(|| field.unwrap_or_default().to_vec());
    String::from_utf8(bytes).unwrap_or_default()
}

/// A number of a header, whose bytes are at `field`. Some writers leave what they do not know empty.
fn number_in(
    header: &Header,
    field: Range<usize>,
    read: impl Fn(&Header) -> io::Result<u64>,
) -> io::Result<u64> {
    let is_empty = |byte: &u8| matches!(byte, 0 | b' ');
    if header.as_bytes()[field].iter().all(is_empty) {
        return Ok(0);
    }
    read(header)
}

fn until_null(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|byte| *byte == 0);
    &bytes[..end.unwrap_or(bytes.len())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::tar::Builder;

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
