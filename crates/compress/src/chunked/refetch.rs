//! What a client fetches of a layer that has others already.
//!
//! It takes files and chunks from layers that it has, of whatever image, by their digests (`pkg/chunked` of
//! containers/storage); a file that is one chunk is known by its own digest alone. It fetches the table and the tar-split in
//! any case. Where more than about a thousand pieces are missing, it fetches what is between some, too: then it is more.

use std::collections::BTreeSet;

use super::contents::TableOfContents;
use strata_oci::Digest;

/// What of a layer is fetched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refetched {
    /// How many bytes of the blob, at least: chunks as they are compressed, the table and the tar-split.
    pub bytes: u64,
    /// How many chunks.
    pub chunks: usize,
    /// How many chunks the layer has.
    pub of_chunks: usize,
    /// The files of which chunks are fetched, in the order of the layer.
    pub files: Vec<RefetchedFile>,
}

/// What of a file is fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefetchedFile {
    /// Its path in the image.
    pub name: String,
    /// How many bytes of the blob.
    pub bytes: u64,
    /// How many of its chunks.
    pub chunks: usize,
    /// How many chunks it has.
    pub of_chunks: usize,
}

/// What a client fetches of the layer with the table `new` that has the layers with the tables `old`.
pub fn refetched<'a>(
    old: impl IntoIterator<Item = &'a TableOfContents>,
    new: &TableOfContents,
) -> Refetched {
    let mut known: BTreeSet<Digest> = BTreeSet::new();
    for table in old {
        known.extend(table.files.iter().filter_map(|file| file.digest));
        known.extend(table.chunks.iter().filter_map(|chunk| chunk.digest));
    }
    let is_known = |digest: &Option<Digest>| digest.is_some_and(|digest| known.contains(&digest));
    let mut refetched = Refetched {
        bytes: new.behind,
        of_chunks: new.chunks.len(),
        ..Refetched::default()
    };
    for file in new.files.iter().filter(|file| !is_known(&file.digest)) {
        let chunks = new.chunks.get(file.chunks.clone()).unwrap_or_default();
        let missing = chunks
            .iter()
            .filter(|chunk| !chunk.is_zeros && !is_known(&chunk.digest));
        let lengths: Vec<u64> = missing
            .map(|chunk| chunk.range.end - chunk.range.start)
            .collect();
        if lengths.is_empty() {
            continue;
        }
        let found = RefetchedFile {
            name: file.name.clone(),
            bytes: lengths
                .iter()
                .fold(0, |sum, length| sum.saturating_add(*length)),
            chunks: lengths.len(),
            of_chunks: chunks.len(),
        };
        refetched.bytes = refetched.bytes.saturating_add(found.bytes);
        refetched.chunks += found.chunks;
        refetched.files.push(found);
    }
    refetched
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunked::contents::{File, FileChunk};

    /// A table of files, each its name, its digest, and the digests of its chunks, which are ten bytes each in the
    /// blob.
    fn table(files: &[(&str, &str, &[&str])]) -> TableOfContents {
        let digest = |text: &str| Some(Digest::of(text.as_bytes()));
        let mut table = TableOfContents {
            behind: 5,
            ..TableOfContents::default()
        };
        for (name, whole, chunks) in files {
            let first = table.chunks.len();
            for chunk in *chunks {
                let start = table.chunks.len() as u64 * 10;
                table.chunks.push(FileChunk {
                    digest: digest(chunk).filter(|_| chunks.len() > 1),
                    range: start..start + 10,
                    is_zeros: *chunk == "zeros",
                });
            }
            table.files.push(File {
                name: (*name).to_owned(),
                digest: digest(whole),
                chunks: first..table.chunks.len(),
            });
        }
        table
    }

    #[test]
    fn what_a_client_has_is_not_fetched() {
        let old = table(&[("a", "1", &["1"]), ("b", "2", &["x", "y"])]);
        for (new, bytes, chunks) in [
            // The same, and the same elsewhere.
            (table(&[("a", "1", &["1"]), ("c", "2", &["x", "y"])]), 5, 0),
            // A file in other chunks is known as a whole.
            (table(&[("b", "2", &["p", "q", "r"])]), 5, 0),
            (table(&[("b", "3", &["x", "z", "y"])]), 15, 1),
            (
                table(&[("n", "4", &["4"]), ("z", "5", &["zeros", "x"])]),
                15,
                1,
            ),
            // One that is a chunk of another has no digest of a chunk.
            (table(&[("n", "x", &["x"])]), 5, 0),
        ] {
            let found = refetched([&old], &new);
            assert_eq!((found.bytes, found.chunks), (bytes, chunks), "{found:?}");
            assert_eq!(found.of_chunks, new.chunks.len());
        }
        let found = refetched([&old], &table(&[("b", "3", &["x", "z", "y"])]));
        let file = RefetchedFile {
            name: "b".to_owned(),
            bytes: 10,
            chunks: 1,
            of_chunks: 3,
        };
        assert_eq!(found.files, [file]);
        assert_eq!(refetched([], &old).bytes, 35);
    }
}
