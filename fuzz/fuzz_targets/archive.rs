//! A file that is given as a base: archives of Docker and of OCI, compressed or not.

#![no_main]

use strata_archive::CompressionFormat;
use strata_fuzz::{read_archive, repair};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes.to_vec();
    if CompressionFormat::of(&bytes) == CompressionFormat::None {
        repair(&mut bytes);
    }
    read_archive(&bytes);
});
