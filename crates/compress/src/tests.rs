use std::io::{self, Read, Write};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use super::*;
use strata_oci::{Compression, Digest};

const METHODS: [&str; 7] = [
    "none",
    "gzip",
    "gzip:1",
    "gzip:9",
    "zstd",
    "zstd:1",
    "zstd:chunked",
];

fn parse(text: &str) -> Compression {
    text.parse().unwrap()
}

/// Like a layer: some of it repeats, some does not.
fn content(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let bytes = (0..length).map(|position| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if position % 512 < 200 {
            (state >> 24) as u8
        } else {
            (position / 7 % 251).try_into().unwrap()
        }
    });
    bytes.collect()
}

fn compress(bytes: &[u8], cuts: &[usize], compression: Compression) -> Vec<u8> {
    let mut compressor = Compressor::new(Vec::new(), compression);
    let mut rest = bytes;
    for cut in cuts {
        let (first, second) = rest.split_at(rest.len().min(*cut));
        compressor.write_all(first).unwrap();
        compressor.flush().unwrap();
        rest = second;
    }
    compressor.write_all(rest).unwrap();
    compressor.finish().unwrap()
}

fn decompress(bytes: &[u8], compression: Compression) -> Vec<u8> {
    let program = match compression {
        Compression::None => "cat",
        Compression::Gzip { .. } => "gzip",
        Compression::Zstd { .. } | Compression::ZstdChunked { .. } => "zstd",
    };
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let mut command = Command::new(program);
    if program != "cat" {
        command.args(["-d", "-c"]);
    }
    let output = command
        .stdin(file)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "{program}");
    output.stdout
}

#[test]
fn the_programs_read_what_is_written() {
    for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 5 * PIECE + 7] {
        let bytes = content(length);
        for compression in METHODS.map(parse) {
            let compressed = compress(&bytes, &[], compression);
            let read = decompress(&compressed, compression);
            assert!(read == bytes, "{length} bytes, {compression}");
        }
    }
}

#[test]
fn the_bytes_are_pinned() {
    let bytes = content(2 * PIECE + PIECE / 2);
    let digests = [
        "gzip:1", "gzip:3", "gzip:6", "gzip:9", "zstd:1", "zstd:2", "zstd:3", "zstd:19",
    ]
    .map(|text| format!("{text} {}", Digest::of(&compress(&bytes, &[], parse(text)))));
    assert_eq!(
        digests,
        [
            "gzip:1 sha256:53bb7ef10b0c607300bfef509da924d72c51c64d7af6cc4fdf4c99e5bb4b5dad",
            "gzip:3 sha256:98de22f90198980a84caa8b8427fa2fb699f6f4638cf1ba1321d2a4aa35bc8ad",
            "gzip:6 sha256:9e28732dbda25d1f974544388b9a708be89d063eaab8c8a4fc2d46d505cf9653",
            "gzip:9 sha256:f1e76b92cca9a9f10d27cafe45c8876258cebb1b6dec0f84aadc75dd1ddd99cf",
            "zstd:1 sha256:526d5f1b81b2bad819e8cfd9c1e46a4a14560b49344a9d39c2e652d2fc9586d2",
            "zstd:2 sha256:9255cb8adb802b052b50c90070bc74071448be54d21b6c4652aeda4cb177484e",
            "zstd:3 sha256:5fc870136fcf3bb5600f5ea95d0d616f819ed6c9a47f93097cd1660c837fb53e",
            "zstd:19 sha256:b57b028340e292ee937eb0b930cc8b6d42cabe8fdfed252400224a2d11174586",
        ],
        "a format break: see CHANGELOG.md"
    );
}

/// What changes its kind within blocks, where Zstandard cuts them by what they hold: from level 5 it reads
/// that in the byte order of the machine (row 3 of "On other machines").
#[test]
fn row_3_the_bytes_of_mixed_content_are_pinned() {
    let mut state = 1_u32;
    let mut bytes = Vec::new();
    for section in 0..48_u32 {
        for position in 0..9_000 + 1_700 * section {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let random = state >> 24;
            let byte = match section % 4 {
                0 => random,
                1 => u32::from(b'a') + random % 26,
                2 => (position / 4).to_be_bytes()[(position % 4) as usize].into(),
                _ => position % 64 * (random & 1),
            };
            bytes.push(byte.to_le_bytes()[0]);
        }
    }
    let digests = [
        "gzip:1", "gzip:6", "gzip:9", "zstd:2", "zstd:4", "zstd:5", "zstd:19",
    ]
    .map(|text| format!("{text} {}", Digest::of(&compress(&bytes, &[], parse(text)))));
    let on_all = [
        "gzip:1 sha256:7f78fdf0e9a8c5007b204a90c7d72b13864d7d6048956756cec0c5ab8fb319ad",
        "gzip:6 sha256:c5b7b952b1524c5560bcea5c1db62f204988cb960fa91d866776b34efa178919",
        "gzip:9 sha256:663b498f9f7598c65c9ca32df5401832a78c617bd9ffa4237bf5e382991b13e4",
        "zstd:2 sha256:aa5dcd3bdfe0b5eb93f4d9a14f5bda8c6250812f548bcc9017d1d8b236aaff9e",
        "zstd:4 sha256:2da4c1414b69d3ffc278cb952c7135718ac55bef2eac85b8b85a015f28dee996",
    ];
    let by_byte_order = if cfg!(target_endian = "little") {
        [
            "zstd:5 sha256:776a7522bccf16a47f0df47a58d3f6b40393102e3350e3c1b3be7514f31ee8c6",
            "zstd:19 sha256:fea9862fa754347ca28b57d65031fa353e3aa09abef73f90fda92edf87c5ce51",
        ]
    } else {
        [
            "zstd:5 sha256:8df7ed03e7e093989ded044ad0854c1da63f61b5ce02c88b7a016e1174fba493",
            "zstd:19 sha256:2f36017eeb950bd54b7111741ff9d2241e84bde961b5737e03348fc83367fa37",
        ]
    };
    let expected: Vec<&str> = on_all.into_iter().chain(by_byte_order).collect();
    assert_eq!(
        digests.to_vec(),
        expected,
        "a format break: see CHANGELOG.md"
    );
}

#[test]
fn headers_say_nothing_of_the_machine() {
    // RFC 1952, section 2.3: deflate, no flags, no time, an unknown system.
    let gzip = compress(b"x", &[], Compression::GZIP);
    assert_eq!(gzip[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
    // RFC 8878, section 3.1.1.1: a single segment with its length, no checksum, no dictionary.
    let zstd = compress(b"x", &[], Compression::ZSTD);
    assert_eq!(zstd[..6], [0x28, 0xb5, 0x2f, 0xfd, 0x20, 1]);
}

#[test]
fn all_threads_of_a_pool_may_be_compressing() {
    let bytes = content(6 * PIECE);
    let expected = compress(&bytes, &[], Compression::ZSTD);
    for threads in [1, 2, 5] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let results = pool.broadcast(|_| compress(&bytes, &[], Compression::ZSTD));
        for result in results {
            assert!(result == expected, "{threads} threads");
        }
    }
}

/// Takes so many bytes and no more.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let count = bytes.len().min(self.0);
        self.0 -= count;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_writer_that_fails_ends_the_work() {
    let bytes = content(40 * PIECE);
    for compression in [Compression::GZIP, Compression::ZSTD] {
        let mut compressor = Compressor::new(Full(1000), compression);
        let error = compressor.write_all(&bytes).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        let later = compressor.write_all(b"more").unwrap_err();
        assert_eq!(later.to_string(), "the compressed output is incomplete");
        assert!(compressor.finish().is_err());

        let mut compressor = Compressor::new(Full(10), compression);
        compressor.write_all(b"little").unwrap();
        let error = compressor.finish().err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}

/// Counts how far ahead of the writer the input is.
struct Lag<'a> {
    read: &'a AtomicUsize,
    pieces_written: usize,
    most: usize,
}

impl Write for Lag<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let ahead = self.read.load(Ordering::Relaxed) / PIECE - self.pieces_written;
        self.most = self.most.max(ahead);
        self.pieces_written += 1;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn few_pieces_wait() {
    let read = AtomicUsize::new(0);
    let lag = Lag {
        read: &read,
        pieces_written: 0,
        most: 0,
    };
    let mut compressor = Compressor::new(lag, Compression::ZSTD);
    let piece = vec![0; PIECE];
    for _ in 0..200 {
        read.fetch_add(PIECE, Ordering::Relaxed);
        compressor.write_all(&piece).unwrap();
    }
    let lag = compressor.finish().unwrap();
    assert_eq!(lag.pieces_written, 200);
    assert!(lag.most <= 17, "{}", lag.most);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn bytes_do_not_depend_on_cuts_and_threads(
        length in 0..3 * PIECE,
        cuts in prop::collection::vec(0..PIECE, 0..6),
        threads in 1_usize..5,
        method in prop::sample::select(METHODS.to_vec()),
    ) {
        let bytes = content(length);
        let compression = parse(method);
        let expected = compress(&bytes, &[], compression);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let found = pool.install(|| compress(&bytes, &cuts, compression));
        prop_assert!(found == expected);
        let mut read = Vec::new();
        match compression {
            Compression::None => read.clone_from(&found),
            Compression::Gzip { .. } => {
                flate2::read::MultiGzDecoder::new(found.as_slice()).read_to_end(&mut read).unwrap();
            }
            Compression::Zstd { .. } | Compression::ZstdChunked { .. } => {
                zstd::Decoder::new(found.as_slice()).unwrap().read_to_end(&mut read).unwrap();
            }
        }
        prop_assert!(read == bytes);
    }
}
