//! Names of images as clients of `strata registry` send them: what comes out is plain and bounded, and the same for the
//! same packages in another order.

#![no_main]

use std::collections::BTreeSet;

use strata_ondemand::{ImageName, NameRules};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let name = String::from_utf8_lossy(bytes);
    let sources = BTreeSet::from(["work".to_owned()]);
    let rules = NameRules {
        sources: &sources,
        packages: 8,
    };
    let Ok(parsed) = ImageName::parse(&name, &rules) else {
        return;
    };
    assert!(name.len() <= 255 && parsed.packages.len() <= 8 + 6);
    for package in &parsed.packages {
        let is_plain = |it: char| it.is_ascii_alphanumeric() || "._-".contains(it);
        assert!(package.chars().all(is_plain), "{package:?}");
        assert!(!package.starts_with(['-', '.']) && !package.contains(".."), "{package:?}");
    }
    let words: Vec<&str> = name.split('/').collect();
    if !words.iter().any(|word| ["shell", "arm64", "work"].contains(word)) {
        let turned: Vec<&str> = words.into_iter().rev().collect();
        assert_eq!(ImageName::parse(&turned.join("/"), &rules), Ok(parsed));
    }
});
