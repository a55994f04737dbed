//! `layers.json` of an image of Strata whose other documents fit it.

#![no_main]

use serde_json::json;
use strata_layer::LayersFile;
use strata_oci::{Digest, media_type};
use strata_fuzz::bases::descriptor;
use strata_fuzz::{place, read};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = LayersFile::parse(bytes, "layers.json") else {
        return;
    };
    let written = file.to_bytes();
    let again = LayersFile::parse(&written, "layers.json").unwrap();
    assert_eq!(again.to_bytes(), written);

    let layers = file.base.iter().map(|record| record.descriptor());
    let layers: Vec<_> = layers
        .chain(file.layers.iter().map(|record| record.descriptor()))
        .collect();
    let diff_ids = file.base.iter().map(|record| record.diff_id);
    let diff_ids: Vec<Digest> = diff_ids
        .chain(file.layers.iter().map(|record| record.digest))
        .collect();
    let config = json!({
        "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": diff_ids }
    })
    .to_string();
    let manifest = json!({
        "schemaVersion": 2, "layers": layers,
        "config": descriptor(media_type::CONFIG, config.as_bytes())
    })
    .to_string();
    let entry = descriptor(media_type::MANIFEST, manifest.as_bytes());
    let index = json!({ "schemaVersion": 2, "manifests": [entry] }).to_string();

    let place = place();
    let blobs = place.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    for blob in [&config, &manifest] {
        std::fs::write(blobs.join(Digest::of(blob.as_bytes()).hex()), blob).unwrap();
    }
    for (name, content) in [("oci-layout", "{}"), ("index.json", &index)] {
        std::fs::write(place.join(name), content).unwrap();
    }
    std::fs::write(place.join("layers.json"), bytes).unwrap();
    read();
    std::fs::remove_dir_all(place).unwrap();
});
