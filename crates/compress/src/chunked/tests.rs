use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::Value;

use super::crc64::Crc64;
use crate::{Compressor, PIECE, compress_layer};
use strata_archive::{ArchiveWriter, Metadata, Mode};
use strata_oci::{
    Compression, Descriptor, Digest, TABLE_DIGEST, TABLE_POSITION, TAR_SPLIT_POSITION, media_type,
};

/// What a client makes of a blob and its annotations, which it checks as containers/storage does.
struct Client<'a> {
    blob: &'a [u8],
    entries: Vec<Value>,
    lines: Vec<Value>,
}

fn unpack(bytes: &[u8]) -> Vec<u8> {
    let mut unpacked = Vec::new();
    let mut decoder = zstd::Decoder::new(bytes).unwrap();
    decoder.read_to_end(&mut unpacked).unwrap();
    unpacked
}

fn numbers(text: &str) -> Vec<usize> {
    text.split(':')
        .map(|number| number.parse().unwrap())
        .collect()
}

impl<'a> Client<'a> {
    fn new(blob: &'a [u8], annotations: &BTreeMap<String, String>) -> Self {
        let table_position = numbers(&annotations[TABLE_POSITION]);
        let split_position = numbers(&annotations[TAR_SPLIT_POSITION]);
        let [at, length, unpacked, 1] = table_position[..] else {
            panic!("{table_position:?}");
        };
        let packed = &blob[at..at + length];
        assert_eq!(Digest::of(packed).to_string(), annotations[TABLE_DIGEST]);
        let table = unpack(packed);
        assert_eq!(table.len(), unpacked);
        let table: Value = serde_json::from_slice(&table).unwrap();
        assert_eq!(table["version"], 1);
        let [at, length, unpacked] = split_position[..] else {
            panic!("{split_position:?}");
        };
        let packed = &blob[at..at + length];
        assert_eq!(table["tarSplitDigest"], Digest::of(packed).to_string());
        let split = unpack(packed);
        assert_eq!(split.len(), unpacked);
        let lines = split
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        let footer = [table_position, split_position].concat();
        let footer: Vec<u8> = footer
            .iter()
            .flat_map(|number| (*number as u64).to_le_bytes())
            .chain(*b"GNUlInUx")
            .collect();
        assert_eq!(&blob[blob.len() - 64..], footer);
        Self {
            blob,
            entries: table["entries"].as_array().unwrap().clone(),
            lines: lines
                .map(|line| serde_json::from_slice(line).unwrap())
                .collect(),
        }
    }

    /// The frames of each chunk of each file.
    fn chunks(&self) -> Vec<(usize, Range<usize>)> {
        let number = |entry: &Value, key: &str| {
            let number = entry[key].as_u64().unwrap_or(0);
            usize::try_from(number).unwrap()
        };
        let mut chunks = Vec::new();
        let mut end = 0;
        for (index, entry) in self.entries.iter().enumerate() {
            if entry["type"] == "reg" {
                end = number(entry, "endOffset");
            }
            let offset = number(entry, "offset");
            if offset > 0 {
                let next = self.entries.get(index + 1);
                let next = next.filter(|next| next["type"] == "chunk");
                let end = next.map_or(end, |next| number(next, "offset"));
                chunks.push((index, offset..end));
            }
        }
        chunks
    }

    /// The files by their names, each chunk read by itself.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let mut whole = BTreeMap::new();
        for (index, range) in self.chunks() {
            let entry = &self.entries[index];
            let name = entry["name"].as_str().unwrap();
            let file = files.entry(name.to_owned()).or_default();
            if entry["type"] == "reg" {
                whole.insert(
                    name.to_owned(),
                    (entry["size"].clone(), entry["digest"].clone()),
                );
            }
            let mut content = unpack(&self.blob[range]);
            let length = match entry["chunkSize"].as_u64() {
                Some(length) => {
                    assert_eq!(
                        entry["chunkOffset"].as_u64().unwrap_or(0),
                        file.len() as u64
                    );
                    length
                }
                None => entry["size"].as_u64().unwrap(),
            };
            content.truncate(usize::try_from(length).unwrap());
            if let Some(digest) = entry["chunkDigest"].as_str() {
                assert_eq!(Digest::of(&content).to_string(), digest);
            }
            file.extend(content);
        }
        for (name, (size, digest)) in whole {
            assert_eq!(files[&name].len() as u64, size.as_u64().unwrap());
            assert_eq!(Digest::of(&files[&name]).to_string(), digest);
        }
        files
    }

    /// The tar, from the files and the tar-split.
    fn tar(&self) -> Vec<u8> {
        let files = self.files();
        let mut tar = Vec::new();
        for (position, line) in self.lines.iter().enumerate() {
            assert_eq!(line["position"], position);
            let payload = line["payload"]
                .as_str()
                .map(|text| STANDARD.decode(text).unwrap());
            if line["type"] == 2 {
                tar.extend(payload.unwrap());
            } else if line["size"].as_u64().is_some() {
                let content = &files[line["name"].as_str().unwrap()];
                let mut crc = Crc64::default();
                crc.update(content);
                assert_eq!(payload.unwrap(), crc.finish());
                tar.extend(content);
            }
        }
        tar
    }

    fn entry(&self, name: &str) -> &Value {
        let mut entries = self.entries.iter();
        entries.find(|entry| entry["name"] == name).unwrap()
    }
}

fn compress(tar: &[u8], cuts: &[usize]) -> (Vec<u8>, BTreeMap<String, String>) {
    let layer = Descriptor::of(media_type::LAYER_TAR, tar);
    let mut blob = Vec::new();
    let descriptor = compress_layer(&layer, Compression::ZSTD_CHUNKED, &mut blob, |writer| {
        let mut rest = tar;
        for cut in cuts {
            let (first, second) = rest.split_at(rest.len().min(*cut));
            writer.write_all(first).unwrap();
            rest = second;
        }
        writer.write_all(rest).unwrap();
        Ok(())
    });
    let descriptor = descriptor.unwrap();
    assert_eq!(
        (descriptor.digest, descriptor.size),
        (Digest::of(&blob), blob.len() as u64)
    );
    assert_eq!(descriptor.media_type, media_type::LAYER_TAR_ZSTD);
    assert_eq!(descriptor.table_annotations(), descriptor.annotations);
    (blob, descriptor.annotations)
}

const HASHES: [&str; 3] = [
    "0123456789abcdfghijklmnpqrsvwxyz",
    "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
    "s66mzxpvicwk07gjbjfw9izjfa797vsw",
];

/// So many bytes that name a store path here and there.
fn content(length: usize, seed: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 100);
    let mut state = u32::try_from(seed).unwrap();
    while bytes.len() < length {
        for _ in 0..20_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            bytes.push((state >> 28) as u8 | b'A');
        }
        bytes.extend(format!("/nix/store/{}-lib/x\0", HASHES[seed % 3]).into_bytes());
    }
    bytes.truncate(length);
    bytes
}

fn root() -> Metadata {
    Metadata::root(Mode::from_bits(0o444))
}

fn tar(files: &[(String, usize)]) -> Vec<u8> {
    let mut writer = ArchiveWriter::new(Vec::new(), "a layer");
    writer.directory("nix", &root()).unwrap();
    for (number, (path, length)) in files.iter().enumerate() {
        writer.directory(format!("nix/{number}"), &root()).unwrap();
        let bytes = content(*length, number);
        writer
            .file(&format!("nix/{number}/{path}"), &root(), &bytes)
            .unwrap();
    }
    writer.finish().unwrap()
}

fn small() -> Vec<u8> {
    tar(&[
        ("empty".to_owned(), 0),
        ("ü".repeat(80), 1),
        ("block".to_owned(), 512),
        ("library".to_owned(), 70_000),
    ])
}

#[test]
fn a_client_reads_the_table() {
    let tar = small();
    let (blob, annotations) = compress(&tar, &[]);
    assert!(unpack(&blob) == tar);
    let client = Client::new(&blob, &annotations);
    assert!(client.tar() == tar);
    assert_eq!(client.entry("nix/")["type"], "dir");
    assert_eq!(client.entry("nix/0/empty").get("digest"), None);
    let library = client.entry("nix/3/library");
    assert_eq!(library["mode"], 0o444);
    assert_eq!(library["modtime"], "1970-01-01T00:00:01Z");
    assert_eq!(library["chunkSize"], 20_011);
    let chunks = client
        .entries
        .iter()
        .filter(|entry| entry["name"] == "nix/3/library");
    assert_eq!(chunks.count(), 7);
}

/// The purpose of all this: another hash in every file.
#[test]
fn what_is_between_store_hashes_keeps_its_digest() {
    let files: Vec<_> = (0..20)
        .map(|number| (format!("f{number}"), 300_000))
        .collect();
    let old = tar(&files);
    let text = |from: &str, to: &str, tar: &[u8]| {
        let mut tar = tar.to_vec();
        let places: Vec<usize> = tar
            .windows(from.len())
            .enumerate()
            .filter_map(|(at, window)| (window == from.as_bytes()).then_some(at))
            .collect();
        for place in places {
            tar[place..place + to.len()].copy_from_slice(to.as_bytes());
        }
        tar
    };
    let mut new = old.clone();
    for hash in HASHES {
        new = text(hash, &hash.replace(['z', '0', 's'], "9"), &new);
    }
    assert!(old != new);
    let known = |tar: &[u8]| {
        let (blob, annotations) = compress(tar, &[]);
        let client = Client::new(&blob, &annotations);
        let chunks = client.chunks().into_iter().map(|(index, range)| {
            let entry = &client.entries[index];
            let digest = entry.get("chunkDigest").unwrap_or(&entry["digest"]);
            (digest.as_str().unwrap().to_owned(), range.len())
        });
        (blob.len(), chunks.collect::<BTreeMap<_, _>>())
    };
    let (_, before) = known(&old);
    let (length, after) = known(&new);
    let fetched: usize = after
        .iter()
        .filter(|(digest, _)| !before.contains_key(*digest))
        .map(|(_, length)| length)
        .sum();
    assert!(
        fetched > 0 && fetched * 100 < length,
        "{fetched} of {length}"
    );
}

#[test]
fn the_bytes_are_pinned() {
    let (blob, _) = compress(&small(), &[]);
    assert_eq!(
        Digest::of(&blob).to_string(),
        "sha256:b8c2135c10819225c673c0910d92dffabfd3b11db4a497c9d2be75db9fafae1e",
        "a format break: see CHANGELOG.md"
    );
}

/// Tars of others, with what the table cannot say, are Zstandard like any other.
#[test]
fn what_is_not_understood_has_no_table() {
    let tar = small();
    let double = [&tar[..tar.len() - 1024], &tar].concat();
    let behind = [tar.as_slice(), &[1; 512]].concat();
    for (name, bytes) in [
        ("no tar", &b"text"[..]),
        ("cut in a header", &tar[..700]),
        ("cut in a file", &tar[..tar.len() - 40_000]),
        ("cut in the end", &tar[..tar.len() - 1000]),
        ("a path twice", &double),
        ("more behind the end", &behind),
        ("long", &vec![7; 3 * PIECE]),
    ] {
        let (blob, annotations) = compress(bytes, &[]);
        assert!(unpack(&blob) == bytes, "{name}");
        assert_eq!(annotations, BTreeMap::new(), "{name}");
    }
}

#[test]
fn archives_end_in_many_ways() {
    let tar = small();
    let long = [tar.as_slice(), &vec![0; 3 * PIECE]].concat();
    for bytes in [&b""[..], &[0; 1024], &tar, &tar[..tar.len() - 1024], &long] {
        let (blob, annotations) = compress(bytes, &[]);
        assert!(unpack(&blob) == bytes);
        assert!(Client::new(&blob, &annotations).tar() == bytes);
    }
}

#[test]
fn annotations_of_another_table_do_not_stay() {
    let stargz = "containerd.io/snapshot/stargz/toc.digest";
    let mut layer = Descriptor::of(media_type::LAYER_TAR, b"");
    for name in [stargz, TABLE_DIGEST, "kept"] {
        layer.annotations.insert(name.to_owned(), "x".to_owned());
    }
    let made = compress_layer(
        &layer,
        Compression::ZSTD_CHUNKED,
        &mut Vec::new(),
        |writer| {
            writer.write_all(&[0; 1024]).unwrap();
            Ok(())
        },
    );
    let annotations = made.unwrap().annotations;
    assert_eq!(annotations.len(), 4);
    assert_eq!(annotations["kept"], "x");
    assert!(annotations[TABLE_DIGEST].starts_with("sha256:"));
}

#[test]
fn a_writer_that_fails_ends_the_work() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut compressor = Compressor::new(Full, Compression::ZSTD_CHUNKED);
    let bytes = tar(&[("large".to_owned(), 40 * PIECE)]);
    let error = compressor.write_all(&bytes).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    assert!(compressor.finish().is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn chunks_together_are_the_tar(
        lengths in prop::collection::vec(prop_oneof![0..3_000_usize, 0..60_000_usize, 2 * PIECE - 40..3 * PIECE], 0..7),
        cuts in prop::collection::vec(0..PIECE, 0..6),
        threads in 1_usize..5,
    ) {
        let files: Vec<_> = lengths.into_iter().map(|length| ("file".to_owned(), length)).collect();
        let tar = tar(&files);
        let (blob, annotations) = compress(&tar, &[]);
        prop_assert!(unpack(&blob) == tar);
        prop_assert!(Client::new(&blob, &annotations).tar() == tar);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let found = pool.install(|| compress(&tar, &cuts));
        prop_assert!(found == (blob, annotations));
    }
}
