//! Tables of layers that clients can fetch in parts, compressed and not: whatever is read is compared with itself and with
//! nothing.

#![no_main]

use strata_compress::{TableOfContents, refetched};

/// As much as a real table may be.
const MOST: u64 = 150 << 20;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = TableOfContents::parse_unchecked(bytes, MOST);
    let Ok(packed) = zstd::encode_all(bytes, 1) else {
        return;
    };
    let Ok(table) = TableOfContents::parse_unchecked(&packed, MOST) else {
        return;
    };
    let whole = refetched([], &table);
    let again = refetched([&table], &table);
    assert!(again.bytes <= whole.bytes && again.chunks <= whole.chunks);
    assert!(whole.chunks <= whole.of_chunks);
    let chunks: usize = whole.files.iter().map(|file| file.chunks).sum();
    assert_eq!(chunks, whole.chunks);
});
