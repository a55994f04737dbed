//! Files of credentials: `auth.json` and `config.json`, and netrc. Messages about them have no secret.

#![no_main]

use strata_oci::Reference;
use strata_registry::{credentials_of_file, credentials_of_netrc};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    for name in ["r.example:5000/a/b:tag", "hello", "ghcr.io/a"] {
        let reference = Reference::parse(name).unwrap();
        if let Err(error) = credentials_of_file("auth.json", bytes, &reference) {
            let error = error.to_string();
            assert!(error.starts_with("auth.json: ") && !error.contains("secret"), "{error}");
        }
    }
    let text = String::from_utf8_lossy(bytes);
    let _ = credentials_of_netrc(&text, "r.example");
});
