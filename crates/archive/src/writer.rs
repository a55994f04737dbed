//! Writing entries, headers as in POSIX pax(1), "ustar Interchange Format" and "pax Interchange
//! Format".

use std::io::{self, Read, Write};

use ::tar::{EntryType, Header};

use super::archive_entry::{ArchiveEntry, ArchiveEntryKind, Special};
use super::entry::{Entry, EntryKind};
use super::metadata::Metadata;
use super::pax::Records;
use strata_error::{Error, Result};
use strata_nix::walk;

/// The time of entries that nobody gave another one, in seconds since 1970: what Nix gives files in the store.
pub const MODIFICATION_TIME: u64 = 1;

/// The size of a block.
const BLOCK: usize = 512;
/// How much of a file is read at a time. Larger is slower: it falls out of the second-level cache.
const BUFFER: usize = 128 * 1024;
/// The largest numbers that the octal digits of the fields hold.
const LARGEST_ID: u64 = 0o7_777_777;
const LARGEST_SIZE: u64 = 0o77_777_777_777;

/// Writes an archive, entry by entry.
pub struct ArchiveWriter<W> {
    writer: W,
    buffer: Vec<u8>,
    what: String,
    modified: u64,
    prefix: Vec<u8>,
}

impl<W: Write> ArchiveWriter<W> {
    /// An archive that goes to `writer`; `what` names it in errors.
    pub fn new(writer: W, what: impl Into<String>) -> Self {
        Self {
            writer,
            buffer: vec![0; BUFFER],
            what: what.into(),
            modified: MODIFICATION_TIME,
            prefix: Vec::new(),
        }
    }

    /// Begins all names with `prefix`, also those that hard links lead to.
    #[must_use]
    pub fn below(mut self, prefix: &[u8]) -> Self {
        self.prefix = prefix.to_vec();
        self
    }

    /// Gives all entries another time, in seconds since 1970.
    #[must_use]
    pub fn modified_at(mut self, modified: u64) -> Self {
        self.modified = modified;
        self
    }

    /// Adds an entry of a layer.
    pub fn entry(&mut self, entry: Entry<'_>) -> Result<()> {
        let Entry {
            path,
            metadata,
            kind,
            source,
        } = entry;
        match kind {
            EntryKind::Directory => {
                let path = [path, b"/"].concat();
                self.header(&path, metadata, EntryType::Directory, 0, b"")
            }
            EntryKind::Symlink { target } => {
                self.header(path, metadata, EntryType::Symlink, 0, target)
            }
            EntryKind::Empty => self.header(path, metadata, EntryType::Regular, 0, b""),
            EntryKind::HardLink { target } => {
                self.header(path, metadata, EntryType::Link, 0, target)
            }
            EntryKind::Special(special) => {
                let (entry_type, device) = special_type(special);
                let fields = Fields {
                    entry_type,
                    size: 0,
                    link: b"",
                    modified: self.modified,
                    device,
                };
                self.header_of(path, metadata, &fields)
            }
            EntryKind::File(mut opened) => {
                self.header(path, metadata, EntryType::Regular, opened.size, b"")?;
                let mut left = opened.size;
                while left > 0 {
                    let wanted = self
                        .buffer
                        .len()
                        .min(usize::try_from(left).unwrap_or(BUFFER));
                    let count = match opened.file.read(&mut self.buffer[..wanted]) {
                        Ok(0) => return Err(walk::changed(&source())),
                        Ok(count) => count,
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                        Err(error) => return Err(Error::io("read", source())(error)),
                    };
                    self.writer
                        .write_all(&self.buffer[..count])
                        .map_err(write_error(&self.what))?;
                    left -= count as u64;
                }
                self.pad(opened.size)
            }
        }
    }

    /// Adds a regular file whose content is in memory.
    pub fn file(&mut self, path: &str, metadata: &Metadata, content: &[u8]) -> Result<()> {
        self.stream(path, metadata, content.len() as u64, |writer| {
            writer.write_all(content).map_err(write_error(path))
        })
    }

    /// Adds a regular file of `size` bytes, which `write` gives.
    pub fn stream(
        &mut self,
        path: &str,
        metadata: &Metadata,
        size: u64,
        write: impl FnOnce(&mut dyn Write) -> Result<()>,
    ) -> Result<()> {
        self.header(path.as_bytes(), metadata, EntryType::Regular, size, b"")?;
        write(&mut self.writer)?;
        self.pad(size)
    }

    /// Adds a directory; `path` has no trailing slash.
    pub fn directory(&mut self, path: impl AsRef<[u8]>, metadata: &Metadata) -> Result<()> {
        let path = [path.as_ref(), b"/"].concat();
        self.header(&path, metadata, EntryType::Directory, 0, b"")
    }

    /// Adds an entry of another archive under `path`, with the time that it has there; `content` gives
    /// what is in a file.
    pub fn copy(
        &mut self,
        path: &[u8],
        entry: &ArchiveEntry,
        content: &mut dyn Read,
    ) -> Result<()> {
        let none: &[u8] = b"";
        let (entry_type, link, device) = match &entry.kind {
            ArchiveEntryKind::Directory => (EntryType::Directory, none, (0, 0)),
            ArchiveEntryKind::File => (EntryType::Regular, none, (0, 0)),
            ArchiveEntryKind::HardLink(target) => (EntryType::Link, target.as_slice(), (0, 0)),
            ArchiveEntryKind::Symlink(target) => (EntryType::Symlink, target.as_slice(), (0, 0)),
            ArchiveEntryKind::Special(special) => {
                let (entry_type, device) = special_type(*special);
                (entry_type, none, device)
            }
        };
        let path = match entry_type {
            EntryType::Directory => [path, b"/"].concat(),
            _ => path.to_vec(),
        };
        let fields = Fields {
            entry_type,
            size: entry.size,
            link,
            modified: entry.modified,
            device,
        };
        self.header_of(&path, &entry.metadata(), &fields)?;
        let copied = io::copy(&mut content.take(entry.size), &mut self.writer)
            .map_err(write_error(&self.what))?;
        if copied < entry.size {
            return Err(Error::stream(&self.what)(
                io::ErrorKind::UnexpectedEof.into(),
            ));
        }
        self.pad(entry.size)
    }

    /// Ends the archive.
    pub fn finish(mut self) -> Result<W> {
        self.bytes(&[0; 2 * BLOCK])?;
        Ok(self.writer)
    }

    fn header(
        &mut self,
        path: &[u8],
        metadata: &Metadata,
        entry_type: EntryType,
        size: u64,
        link: &[u8],
    ) -> Result<()> {
        let fields = Fields {
            entry_type,
            size,
            link,
            modified: self.modified,
            device: (0, 0),
        };
        self.header_of(path, metadata, &fields)
    }

    fn header_of(&mut self, path: &[u8], metadata: &Metadata, fields: &Fields<'_>) -> Result<()> {
        let Fields {
            entry_type,
            size,
            link,
            modified,
            device,
        } = *fields;
        let path = &*[&self.prefix, path].concat();
        let link = match entry_type {
            EntryType::Link => &*[&self.prefix, link].concat(),
            _ => link,
        };
        let mut header = Header::new_ustar();
        let mut records = Records::default();
        if !set_path(&mut header, path) {
            records.add_name(b"path", path);
            let fallback: Vec<u8> = ascii(path).take(99).collect();
            set_field(&mut header.as_old_mut().name, &fallback);
        }
        if !set_field(&mut header.as_old_mut().linkname, link) || !link.is_ascii() {
            records.add_name(b"linkpath", link);
            let fallback: Vec<u8> = ascii(link).take(99).collect();
            set_field(&mut header.as_old_mut().linkname, &fallback);
        }
        header.set_entry_type(entry_type);
        header.set_mode(metadata.mode.bits());
        header.set_mtime(records.number(b"mtime", modified, LARGEST_SIZE));
        header.set_size(records.number(b"size", size, LARGEST_SIZE));
        header.set_uid(records.number(b"uid", metadata.uid, LARGEST_ID));
        header.set_gid(records.number(b"gid", metadata.gid, LARGEST_ID));
        if let Some(ustar) = header.as_ustar_mut() {
            for (keyword, field, name) in [
                (b"uname", &mut ustar.uname, &metadata.uname),
                (b"gname", &mut ustar.gname, &metadata.gname),
            ] {
                // One byte is for the null at the end.
                if name.len() >= field.len() || !name.is_ascii() {
                    records.add(keyword, name.as_bytes());
                } else {
                    set_field(field, name.as_bytes());
                }
            }
            // Readers expect numbers here, also for files that are no devices.
            set_field(&mut ustar.dev_major, format!("{:07o}", device.0).as_bytes());
            set_field(&mut ustar.dev_minor, format!("{:07o}", device.1).as_bytes());
        }
        for (name, value) in &metadata.xattrs {
            records.add(format!("SCHILY.xattr.{name}").as_bytes(), value);
        }
        header.set_cksum();
        self.records(records, path)?;
        self.bytes(header.as_bytes())
    }

    /// Writes PAX records as an entry of their own before the entry that they are about.
    fn records(&mut self, records: Records, path: &[u8]) -> Result<()> {
        let content = records.into_bytes();
        if content.is_empty() {
            return Ok(());
        }
        let name = path.strip_suffix(b"/").unwrap_or(path);
        let name = name.rsplit(|byte| *byte == b'/').next().unwrap_or(name);
        let name: Vec<u8> = b"PaxHeaders.0/"
            .iter()
            .copied()
            .chain(ascii(name))
            .take(99)
            .collect();
        let mut header = Header::new_ustar();
        set_field(&mut header.as_old_mut().name, &name);
        header.set_entry_type(EntryType::XHeader);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(MODIFICATION_TIME);
        header.set_size(content.len() as u64);
        header.set_cksum();
        self.bytes(header.as_bytes())?;
        self.bytes(&content)?;
        self.pad(content.len() as u64)
    }

    fn pad(&mut self, size: u64) -> Result<()> {
        let missing = size.next_multiple_of(BLOCK as u64) - size;
        self.bytes(&[0; BLOCK][..usize::try_from(missing).unwrap_or(0)])
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.writer
            .write_all(bytes)
            .map_err(write_error(&self.what))
    }
}

/// What a header says besides the path and the metadata.
struct Fields<'a> {
    entry_type: EntryType,
    size: u64,
    link: &'a [u8],
    modified: u64,
    /// The major and minor number of a device.
    device: (u32, u32),
}

/// The type of a device or a pipe, and the numbers of the device.
fn special_type(special: Special) -> (EntryType, (u32, u32)) {
    match special {
        Special::Character(major, minor) => (EntryType::Char, (major, minor)),
        Special::Block(major, minor) => (EntryType::Block, (major, minor)),
        Special::Pipe => (EntryType::Fifo, (0, 0)),
    }
}

/// Errors of ours that came through an `io::Write` come out as they went in.
pub fn write_error(what: &str) -> impl FnOnce(io::Error) -> Error + '_ {
    move |error| match error.downcast::<Error>() {
        Ok(error) => error,
        Err(source) => Error::Stream {
            what: what.to_owned(),
            source,
        },
    }
}

/// Puts a path into the name and, if need be, prefix fields; false if it does not fit.
fn set_path(header: &mut Header, path: &[u8]) -> bool {
    if !path.is_ascii() {
        return false;
    }
    if set_field(&mut header.as_old_mut().name, path) {
        return true;
    }
    let Some(ustar) = header.as_ustar_mut() else {
        return false;
    };
    // The slash between prefix and name is written to neither, and the name must not be empty.
    let (prefix_room, name_room) = (ustar.prefix.len(), ustar.name.len());
    let split = path
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'/')
        .map(|(position, _)| position)
        .find(|position| (1..=name_room).contains(&(path.len() - position - 1)));
    match split {
        Some(slash) if slash > 0 && slash <= prefix_room => {
            set_field(&mut ustar.prefix, &path[..slash]);
            set_field(&mut ustar.name, &path[slash + 1..])
        }
        _ => false,
    }
}

/// Fills a field, with zeros behind; false if it is too small.
fn set_field(field: &mut [u8], value: &[u8]) -> bool {
    if value.len() > field.len() {
        return false;
    }
    field.fill(0);
    field[..value.len()].copy_from_slice(value);
    true
}

/// `bytes` with a question mark for what is not ASCII, for readers that ignore PAX records.
fn ascii(bytes: &[u8]) -> impl Iterator<Item = u8> + '_ {
    bytes
        .iter()
        .map(|byte| if byte.is_ascii() { *byte } else { b'?' })
}
