//! PAX records (pax(1), "pax Extended Header"): what does not fit into the fields of a header.

use std::collections::BTreeMap;

/// Records that were read: keywords and values.
pub(super) type ReadRecords = BTreeMap<Vec<u8>, Vec<u8>>;

/// PAX records to be written, sorted by keyword.
#[derive(Default)]
pub(super) struct Records(BTreeMap<Vec<u8>, Vec<u8>>);

impl Records {
    /// Adds a record, or replaces the one with its keyword.
    pub(super) fn add(&mut self, keyword: &[u8], value: &[u8]) {
        self.0.insert(keyword.to_vec(), value.to_vec());
    }

    /// Adds a path, and that names are bytes if it is not UTF-8.
    pub(super) fn add_name(&mut self, keyword: &[u8], value: &[u8]) {
        if std::str::from_utf8(value).is_err() {
            self.add(b"hdrcharset", b"BINARY");
        }
        self.add(keyword, value);
    }

    /// The number for the field: itself, or 0 with a record if it is too large.
    pub(super) fn number(&mut self, keyword: &[u8], number: u64, largest: u64) -> u64 {
        if number <= largest {
            return number;
        }
        self.add(keyword, number.to_string().as_bytes());
        0
    }

    /// The content of the extended header; empty if there are no records.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (keyword, value) in self.0 {
            // The length at the start of a record counts its own digits.
            let rest = keyword.len() + value.len() + 3;
            let mut length = rest + 1;
            while length != rest + length.to_string().len() {
                length = rest + length.to_string().len();
            }
            bytes.extend_from_slice(length.to_string().as_bytes());
            bytes.push(b' ');
            bytes.extend_from_slice(&keyword);
            bytes.push(b'=');
            bytes.extend_from_slice(&value);
            bytes.push(b'\n');
        }
        bytes
    }
}

/// The PAX records of an extended header (pax(1), "pax Extended Header"), as far as Go's `archive/tar`
/// takes them; none if they are malformed.
pub(super) fn parse_records(mut bytes: &[u8]) -> Option<ReadRecords> {
    /// The length of the shortest record: a digit, a space, a letter, `=` and a line break.
    const SHORTEST: usize = 5;
    let mut records = BTreeMap::new();
    // Records of a sparse file's map, which come in pairs and more than once.
    let mut pieces = 0;
    while !bytes.is_empty() {
        let space = bytes.iter().take(20).position(|byte| *byte == b' ')?;
        let length: usize = std::str::from_utf8(&bytes[..space]).ok()?.parse().ok()?;
        let (record, rest) = bytes.split_at_checked(length)?;
        let record = record.get(space + 1..)?.strip_suffix(b"\n")?;
        let equals = record.iter().position(|byte| *byte == b'=')?;
        let (keyword, value) = (&record[..equals], &record[equals + 1..]);
        // Names end at a null for some readers, and for others they do not.
        let must_be_text = if NAMES.contains(&keyword) {
            value
        } else {
            keyword
        };
        if length < SHORTEST || keyword.is_empty() || must_be_text.contains(&0) {
            return None;
        }
        if let Some(place) = SPARSE_PAIR.iter().position(|name| *name == keyword) {
            if pieces % 2 != place || value.contains(&b',') {
                return None;
            }
            pieces += 1;
        }
        // An empty value takes back what was said.
        if value.is_empty() && !keyword.starts_with(XATTR) {
            records.remove(keyword);
        } else {
            records.insert(keyword.to_vec(), value.to_vec());
        }
        bytes = rest;
    }
    Some(records)
}

/// The keywords whose values are names.
const NAMES: [&[u8]; 4] = [b"path", b"linkpath", b"uname", b"gname"];
/// The keywords that say where a piece of a sparse file is, and how long, in this order.
const SPARSE_PAIR: [&[u8]; 2] = [b"GNU.sparse.offset", b"GNU.sparse.numbytes"];
/// What the keywords of extended attributes begin with.
const XATTR: &[u8] = b"SCHILY.xattr.";

/// The extended attributes that records tell.
pub(super) fn xattrs(records: ReadRecords) -> BTreeMap<String, Vec<u8>> {
    let attribute = |(keyword, value): (Vec<u8>, Vec<u8>)| {
        let name = std::str::from_utf8(keyword.strip_prefix(XATTR)?).ok()?;
        Some((name.to_owned(), value))
    };
    records.into_iter().filter_map(attribute).collect()
}
