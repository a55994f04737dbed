//! A document of an image; all that leads to it, and its digest, are right. The first byte says which.

#![no_main]

use strata_fuzz::bases::archive;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(files) = strata_fuzz::documents::around(bytes) {
        strata_fuzz::read_archive(&archive(&files));
    }
});
