//! A Nix database of a base image. What is read of one is written and read again.

#![no_main]

use std::sync::OnceLock;

use strata_nix::{read_database, write_database};
use tempfile::TempDir;

/// The most bytes that may be kept.
const MOST: usize = 1 << 20;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    static PLACE: OnceLock<TempDir> = OnceLock::new();
    let place = PLACE.get_or_init(|| tempfile::tempdir().unwrap()).path();
    for name in ["db.sqlite-journal", "db.sqlite-wal", "db.sqlite-shm"] {
        // Of the last input, if there is one.
        let _ = std::fs::remove_file(place.join(name));
    }
    std::fs::write(place.join("schema"), "10").unwrap();
    std::fs::write(place.join("db.sqlite"), bytes).unwrap();
    let Ok(found) = read_database(place, "db", MOST) else {
        return;
    };
    let written = tempfile::tempdir().unwrap();
    write_database(written.path(), &found).unwrap();
    let again = read_database(written.path(), "db", 4 * MOST).unwrap();
    assert!(again.keys().eq(found.keys()));
});
