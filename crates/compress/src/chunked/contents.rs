//! Tables of contents read: where in a blob each chunk of each file is. They come from registries, and nobody checked
//! them.

use std::fmt;
use std::io::{BufReader, Read};
use std::ops::Range;

use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};

use super::behind::LARGEST;
use strata_archive::{CompressionFormat, decompress};
use strata_oci::{Descriptor, Digest, TABLE_DIGEST, TABLE_POSITION, TAR_SPLIT_POSITION};

/// Where in a layer's blob its table is, as the layer's descriptor says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TablePosition {
    /// The bytes of the blob.
    pub range: Range<u64>,
    /// Their digest.
    digest: Digest,
    /// How long the table is that is compressed in them, in bytes.
    unpacked: u64,
    /// How long the tar-split is in the blob, which clients fetch with the table.
    tar_split: u64,
}

/// The chunks of the files of a layer, and where they are in its blob.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableOfContents {
    /// The files that have content, in the order of the table.
    pub(super) files: Vec<File>,
    /// Their chunks, in the same order.
    pub(super) chunks: Vec<FileChunk>,
    /// How many bytes of the blob are the table and the tar-split.
    pub(super) behind: u64,
}

/// A file that has content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct File {
    pub(super) name: String,
    /// Of the whole; none if it has chunks without digests and none itself, so that nobody knows it.
    pub(super) digest: Option<Digest>,
    /// Which chunks.
    pub(super) chunks: Range<usize>,
}

/// A chunk of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileChunk {
    /// If the file has several.
    pub(super) digest: Option<Digest>,
    /// Where its frame is in the blob.
    pub(super) range: Range<u64>,
    /// Whether it is zeros, which nobody fetches.
    pub(super) is_zeros: bool,
}

impl TablePosition {
    /// Where the table of this layer is. `None` if it has none, or a larger one than clients read.
    pub fn of(layer: &Descriptor) -> Option<Self> {
        let numbers = |name: &str| -> Option<Vec<u64>> {
            let text = layer.annotations.get(name)?;
            text.split(':').map(|number| number.parse().ok()).collect()
        };
        let table = numbers(TABLE_POSITION)?;
        let [offset, length, unpacked, 1] = *table else {
            return None;
        };
        let tar_split = match numbers(TAR_SPLIT_POSITION)?.as_slice() {
            [_, length, _] => *length,
            _ => return None,
        };
        let end = offset.checked_add(length)?;
        let is_in_blob = end <= layer.size && tar_split <= layer.size;
        let is_small = length <= LARGEST && unpacked <= LARGEST;
        (is_in_blob && is_small).then_some(Self {
            range: offset..end,
            digest: layer.annotations.get(TABLE_DIGEST)?.parse().ok()?,
            unpacked,
            tar_split,
        })
    }
}

impl TableOfContents {
    /// Reads the table in the bytes of the blob that a position names; the error says what is wrong with them.
    pub fn parse(bytes: &[u8], position: &TablePosition) -> Result<Self, String> {
        let found = Digest::of(bytes);
        if found != position.digest {
            return Err(format!(
                "its digest is {found}, and {} was promised",
                position.digest
            ));
        }
        let mut table = Self::parse_unchecked(bytes, position.unpacked)?;
        table.behind = (bytes.len() as u64).saturating_add(position.tar_split);
        Ok(table)
    }

    /// Reads a table of which nothing is promised but that it has no more than so many bytes when it is unpacked.
    pub fn parse_unchecked(bytes: &[u8], most: u64) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Table {
            version: u64,
            entries: Contents,
        }
        let (format, reader) = decompress(bytes).map_err(|error| error.to_string())?;
        if format != CompressionFormat::Zstd {
            return Err("it is not compressed with Zstandard".to_owned());
        }
        let reader = BufReader::new(reader.take(most.min(LARGEST)));
        let table: Table = serde_json::from_reader(reader).map_err(|error| error.to_string())?;
        if table.version != 1 {
            return Err(format!("its version is {}, and 1 is read", table.version));
        }
        let contents = table.entries.0;
        let is_bad = |chunk: &FileChunk| chunk.range.start > chunk.range.end;
        match contents.chunks.iter().position(is_bad) {
            None => Ok(contents),
            Some(number) => {
                let mut files = contents.files.iter();
                let file = files.find(|file| file.chunks.contains(&number));
                let name = file.map_or("", |file| &file.name);
                Err(format!("a chunk of {name:?} ends before it begins"))
            }
        }
    }

    /// Adds an entry. Chunks behind the first follow their file.
    fn add(&mut self, entry: Entry) -> Result<(), String> {
        let number = self.chunks.len();
        let mut chunk = FileChunk {
            digest: entry.chunk_digest,
            range: entry.offset..entry.end_offset,
            is_zeros: entry.chunk_type == "zeros",
        };
        match entry.r#type.as_str() {
            "reg" if entry.size > 0 => self.files.push(File {
                name: entry.name,
                digest: entry.digest,
                chunks: number..number + 1,
            }),
            "chunk" => match (self.files.last_mut(), self.chunks.last_mut()) {
                (Some(file), Some(before)) if file.name == entry.name => {
                    file.chunks.end = number + 1;
                    // The one before ends where this begins, and this where the file does.
                    chunk.range.end = before.range.end;
                    before.range.end = chunk.range.start;
                }
                _ => return Err(format!("a chunk of {:?} has no file before it", entry.name)),
            },
            _ => return Ok(()),
        }
        self.chunks.push(chunk);
        Ok(())
    }
}

/// An entry of a table, as far as it says what there is to fetch (`pkg/chunked/internal/minimal` of containers/storage).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    r#type: String,
    name: String,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    digest: Option<Digest>,
    #[serde(default)]
    offset: u64,
    #[serde(default)]
    end_offset: u64,
    #[serde(default)]
    chunk_digest: Option<Digest>,
    #[serde(default)]
    chunk_type: String,
}

/// The entries, which are not kept as they are.
struct Contents(TableOfContents);

impl<'de> Deserialize<'de> for Contents {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Contents;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list of entries")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Contents, A::Error> {
                let mut contents = TableOfContents::default();
                while let Some(entry) = entries.next_element()? {
                    contents.add(entry).map_err(de::Error::custom)?;
                }
                Ok(Contents(contents))
            }
        }

        deserializer.deserialize_seq(Entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(table: &str) -> Result<TableOfContents, String> {
        let bytes = zstd::encode_all(table.as_bytes(), 1).unwrap();
        TableOfContents::parse_unchecked(&bytes, LARGEST)
    }

    fn entries(entries: &str) -> Result<TableOfContents, String> {
        read(&format!(r#"{{"version":1,"entries":[{entries}]}}"#))
    }

    #[test]
    fn chunks_end_where_the_next_begins() {
        let digest = Digest::of(b"");
        let table = format!(
            r#"{{"type":"dir","name":"a/"}},
               {{"type":"reg","name":"a/empty"}},
               {{"type":"reg","name":"a/b","size":9,"digest":"{digest}","offset":3,"endOffset":40,"chunkSize":4,"chunkDigest":"{digest}"}},
               {{"type":"chunk","name":"a/b","offset":20,"chunkSize":4,"chunkOffset":4,"chunkDigest":"{digest}"}},
               {{"type":"chunk","name":"a/b","offset":30,"chunkOffset":8,"chunkType":"zeros"}},
               {{"type":"reg","name":"c","size":1,"digest":"{digest}","offset":40,"endOffset":50}}"#
        );
        let found = entries(&table).unwrap();
        let ranges: Vec<_> = found
            .chunks
            .iter()
            .map(|chunk| chunk.range.clone())
            .collect();
        assert_eq!(ranges, [3..20, 20..30, 30..40, 40..50]);
        assert!(found.chunks[2].is_zeros);
        let files: Vec<_> = found
            .files
            .iter()
            .map(|file| (&*file.name, file.chunks.clone()))
            .collect();
        assert_eq!(files, [("a/b", 0..3), ("c", 3..4)]);
    }

    #[test]
    fn what_is_wrong_with_a_table_is_said() {
        for (table, message) in [
            ("{}", "missing field"),
            (r#"{"version":2,"entries":[]}"#, "its version is 2"),
            (
                r#"{"version":1,"entries":[{"type":"chunk","name":"x"}]}"#,
                "no file before it",
            ),
            (
                r#"{"version":1,"entries":[{"type":"reg","name":"x","size":1,"offset":2,"endOffset":1}]}"#,
                "a chunk of \"x\" ends before it begins",
            ),
            (
                r#"{"version":1,"entries":[{"type":"reg","name":"x","size":-1}]}"#,
                "invalid value",
            ),
        ] {
            let error = read(table).expect_err(table);
            assert!(error.contains(message), "{table}: {error}");
        }
        assert!(TableOfContents::parse_unchecked(b"{}", LARGEST).is_err());
        // No more is unpacked than was promised.
        let table = zstd::encode_all(r#"{"version":1,"entries":[]}"#.as_bytes(), 1).unwrap();
        assert!(TableOfContents::parse_unchecked(&table, 25).is_err());
        assert!(TableOfContents::parse_unchecked(&table, 26).is_ok());
    }

    #[test]
    fn positions_outside_of_the_blob_are_none() {
        let layer = |table: &str, tar_split: &str| {
            let mut layer = Descriptor::new("a/b", Digest::of(b""), 100);
            layer.annotations = [
                (TABLE_DIGEST, Digest::of(b"").to_string()),
                (TABLE_POSITION, table.to_owned()),
                (TAR_SPLIT_POSITION, tar_split.to_owned()),
            ]
            .map(|(name, value)| (name.to_owned(), value))
            .into();
            TablePosition::of(&layer)
        };
        assert_eq!(layer("10:20:30:1", "40:5:6").unwrap().range, 10..30);
        for (table, tar_split) in [
            ("10:20:30:2", "40:5:6"),
            ("10:91:30:1", "40:5:6"),
            ("18446744073709551615:1:30:1", "40:5:6"),
            ("10:20:157286401:1", "40:5:6"),
            ("10:20:30", "40:5:6"),
            ("10:20:30:1", "40:101:6"),
            ("10:20:-30:1", "40:5:6"),
            ("10:20:30:1", ""),
        ] {
            assert_eq!(layer(table, tar_split), None, "{table} {tar_split}");
        }
    }
}
