//! A directory that is given as a base, with what is in an archive: files, links, whatever.

#![no_main]

use strata_fuzz::{place, read, repair};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes.to_vec();
    repair(&mut bytes);
    let place = place();
    std::fs::create_dir_all(&place).unwrap();
    let mut archive = tar::Archive::new(bytes.as_slice());
    archive.set_preserve_permissions(false);
    // Times before 1970 are too much for the crate that sets them.
    archive.set_preserve_mtime(false);
    // As far as it goes.
    let _ = archive.unpack(&place);
    read();
    std::fs::remove_dir_all(place).unwrap();
});
