//! Layers that are compressed on their way to a registry.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "this is a test"
)]

use strata_testing as support;

use std::io::Read;
use std::process::Command;

use rstest::rstest;
use serde_json::Value;
use strata_image::Image;
use strata_oci::{Compression, Digest, Reference};
use strata_progress::Context;
use strata_registry::{Fetched, Pushed, plan, push};
use support::engines::{self, Engine};
use support::fake_registry::FakeRegistry;
use support::memory_image::{MemoryLayer, image};
use support::pushing::{compressed, large, options, small_image};
use support::registry::{Registry, Setup, run};

fn push_compressed(host: &str, image: &Image, compression: Compression) -> Pushed {
    let reference = Reference::parse(&format!("{host}/name:tag")).unwrap();
    push(
        image,
        &reference,
        &options(),
        &compressed(compression),
        Context::silent(),
    )
    .unwrap()
}

/// What a blob of this media type is without its compression.
fn decompressed(media_type: &str, bytes: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    match media_type.rsplit('.').next().unwrap() {
        "tar+gzip" => flate2::read::MultiGzDecoder::new(bytes)
            .read_to_end(&mut content)
            .map(drop)
            .unwrap(),
        "tar+zstd" => content = zstd::decode_all(bytes).unwrap(),
        "tar" => content = bytes.to_vec(),
        other => panic!("{other}"),
    }
    content
}

#[rstest]
#[case::none(Compression::None, "tar")]
#[case::gzip(Compression::GZIP, "tar+gzip")]
#[case::zstd(Compression::ZSTD, "tar+zstd")]
fn the_manifest_describes_what_was_sent(#[case] compression: Compression, #[case] suffix: &str) {
    let registry = FakeRegistry::start(|_| None);
    let image = small_image();
    let pushed = push_compressed(&registry.host, &image, compression);

    let bytes = registry.manifest("tag").unwrap();
    assert_eq!(pushed.manifest.digest, Digest::of(&bytes));
    assert_eq!(pushed.manifest.size, bytes.len() as u64);
    let manifest: Value = serde_json::from_slice(&bytes).unwrap();
    support::oci::check("manifest", &manifest);
    for (described, layer) in manifest["layers"]
        .as_array()
        .unwrap()
        .iter()
        .zip(&image.layers)
    {
        let media_type = described["mediaType"].as_str().unwrap();
        assert_eq!(media_type.rsplit('.').next(), Some(suffix));
        let digest = described["digest"].as_str().unwrap().parse().unwrap();
        let blob = registry.blob(&digest).unwrap();
        assert_eq!(described["size"], blob.len());
        assert_eq!(
            Digest::of(&decompressed(media_type, &blob)),
            layer.diff_id()
        );
    }
    // The config says nothing about compression.
    assert_eq!(
        manifest["config"]["digest"],
        image.manifest.config.digest.to_string()
    );
    assert_eq!(registry.open_uploads(), 0);
}

/// The bytes follow from the layer, the method and the level.
#[rstest]
fn compressing_again_gives_the_same(
    #[values(Compression::GZIP, Compression::ZSTD, Compression::ZSTD_CHUNKED)]
    compression: Compression,
) {
    let digest = || {
        let registry = FakeRegistry::start(|_| None);
        let image = image(vec![large(), MemoryLayer::zeros(5 << 20)]);
        push_compressed(&registry.host, &image, compression)
            .manifest
            .digest
    };
    assert_eq!(digest(), digest());
}

/// skopeo checks digests, umoci and podman diff IDs too.
#[rstest]
#[case::none(Compression::None)]
#[case::gzip(Compression::GZIP)]
#[case::zstd(Compression::ZSTD)]
#[case::zstd_chunked(Compression::ZSTD_CHUNKED)]
fn other_tools_read_each_compression(#[case] compression: Compression) {
    let registry = Registry::start(Setup::default());
    let busybox = std::fs::read("/bin/busybox").expect("busybox-static is needed");
    // Large enough for several pieces of a compressor.
    let image = image(vec![
        MemoryLayer::programs(&[("bin/busybox", &busybox)]),
        MemoryLayer::programs(&[("text", compression.to_string().as_bytes())]),
        MemoryLayer::programs(&[("zeros", &vec![0; 3 << 20])]),
    ]);
    push_compressed(&registry.host, &image, compression);
    let name = format!("{}/name:tag", registry.host);

    let copy = tempfile::tempdir().unwrap();
    let layout = format!("oci:{}:tag", copy.path().display());
    let mut skopeo = Command::new("skopeo");
    skopeo.args(["copy", "-q", "--insecure-policy", "--preserve-digests"]);
    skopeo.args([
        "--src-tls-verify=false",
        &format!("docker://{name}"),
        &layout,
    ]);
    run(&mut skopeo);
    // umoci 0.4 knows no zstd.
    if !matches!(
        compression,
        Compression::Zstd { .. } | Compression::ZstdChunked { .. }
    ) {
        let unpacked = copy.path().join("unpacked");
        run(Command::new("umoci")
            .args(["raw", "unpack", "--image", &layout["oci:".len()..]])
            .arg(&unpacked));
        assert_eq!(
            std::fs::read(unpacked.join("bin/busybox")).unwrap(),
            busybox
        );
    }
    let podman = engines::podman();
    run(&mut podman.command(&["pull", "--quiet", "--tls-verify=false", &name]));
    let said = podman.run(&name, &["/bin/busybox", "cat", "/text"]);
    assert_eq!(said, compression.to_string());
    assert_eq!(registry.open_uploads("name"), 0);
}

/// Layers that are compressed in the image are not compressed once more, which is said where another
/// compression was asked for.
#[rstest]
#[case::another(Compression::ZSTD, 1)]
#[case::the_same(Compression::GZIP, 0)]
#[case::none(Compression::None, 0)]
fn a_compression_that_does_nothing_is_said(
    #[case] compression: Compression,
    #[case] warnings: usize,
) {
    let registry = FakeRegistry::start(|_| None);
    let image = image(vec![MemoryLayer::new("one"), large().compressed()]);
    let pushed = push_compressed(&registry.host, &image, compression);
    assert_eq!(pushed.warnings.len(), warnings, "{:?}", pushed.warnings);
    let said = |warning: &String| warning.starts_with("1 of 2 layers are compressed in the image");
    assert!(pushed.warnings.iter().all(said), "{:?}", pushed.warnings);
}

/// A layer that was pushed before is described as it was then: with the places of its table. One without a
/// table is none of those that were asked for, and the other way round one with a table is Zstandard.
#[test]
fn a_reused_layer_keeps_its_table() {
    let registry = Registry::start(Setup::default());
    let shared = |other: &str| {
        image(vec![
            MemoryLayer::programs(&[("shared", b"the same")]),
            MemoryLayer::programs(&[("text", other.as_bytes())]),
        ])
    };
    let push_to = |tag: &str, other: &str, compression: Compression| -> Value {
        let reference = Reference::parse(&format!("{}/name:{tag}", registry.host)).unwrap();
        let (options, push_options) = (options(), compressed(compression));
        let image = shared(other);
        push(
            &image,
            &reference,
            &options,
            &push_options,
            Context::silent(),
        )
        .unwrap();
        let url = format!("http://{}/v2/name/manifests/{tag}", registry.host);
        let accept = "application/vnd.oci.image.manifest.v1+json";
        let response = ureq::get(&url).header("Accept", accept).call().unwrap();
        let manifest = response.into_body().read_to_vec().unwrap();
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        manifest["layers"][0].clone()
    };
    let annotations = |layer: &Value| layer["annotations"].as_object().map(serde_json::Map::len);
    let plain = push_to("latest", "first", Compression::ZSTD);
    assert_eq!(annotations(&plain), None);
    let chunked = push_to("latest", "second", Compression::ZSTD_CHUNKED);
    assert_eq!(annotations(&chunked), Some(3));
    assert_ne!(chunked["digest"], plain["digest"]);
    let again = push_to("1", "third", Compression::ZSTD_CHUNKED);
    assert_eq!(again, chunked);
    let zstd = push_to("2", "fourth", Compression::ZSTD);
    assert_eq!(zstd, chunked);
}

/// An image of one layer: a large text that does not change, and a program that knows a store path.
fn in_parts(hash: &str) -> Image {
    let text = "some words\n".repeat(2_000);
    let program = format!(
        "{}/nix/store/{hash}-libc/lib{}",
        "a".repeat(9_000),
        "b".repeat(9_000)
    );
    image(vec![MemoryLayer::programs(&[
        ("text", text.as_bytes()),
        ("bin/program", program.as_bytes()),
    ])])
}

/// What a dry run says that whoever has the image under the tag fetches of the only layer.
fn fetched(host: &str, image: &Image, compression: Compression) -> Option<Fetched> {
    let reference = Reference::parse(&format!("{host}/name:tag")).unwrap();
    let planned = plan(
        image,
        &reference,
        &options(),
        &compressed(compression),
        Context::silent(),
    );
    let mut planned = planned.unwrap();
    assert_eq!(planned.warnings, Vec::<String>::new());
    planned.layers.remove(0).fetched
}

/// Issue 14, "Telling".
#[test]
fn a_dry_run_says_what_clients_fetch() {
    let registry = Registry::start(Setup::default());
    let host = &registry.host;
    let [old, new] = [
        "0123456789abcdfghijklmnpqrsvwxyz",
        "z123456789abcdfghijklmnpqrsvwxyz",
    ]
    .map(in_parts);
    let chunked = Compression::ZSTD_CHUNKED;
    assert_eq!(fetched(host, &old, chunked), None, "nobody has anything");
    push_compressed(host, &old, chunked);
    assert_eq!(fetched(host, &old, chunked), Some(Fetched::Nothing));
    assert_eq!(fetched(host, &new, Compression::GZIP), Some(Fetched::Whole));
    let Some(Fetched::Parts { size, parts }) = fetched(host, &new, chunked) else {
        panic!("it has a table");
    };
    // The text is one chunk; the program has one before the hash, the hash, and one behind it.
    assert_eq!((parts.chunks, parts.of_chunks), (1, 4));
    assert_eq!(parts.files[0].name, "bin/program");
    assert!(parts.files[0].bytes < 100, "{parts:?}");
    assert!(parts.bytes < size && size < 2_000, "{parts:?} {size}");

    // What the registry has under another name says it itself.
    let reference = Reference::parse(&format!("{host}/name:latest")).unwrap();
    push(
        &new,
        &reference,
        &options(),
        &compressed(chunked),
        Context::silent(),
    )
    .unwrap();
    let expected = Fetched::Parts { size, parts };
    assert_eq!(fetched(host, &new, chunked), Some(expected));
}

/// A registry that sends no parts of blobs.
#[test]
fn a_dry_run_does_without_tables() {
    let registry = FakeRegistry::start(|_| None);
    push_compressed(
        &registry.host,
        &in_parts("0123456789abcdfghijklmnpqrsvwxyz"),
        Compression::ZSTD_CHUNKED,
    );
    let reference = Reference::parse(&format!("{}/name:tag", registry.host)).unwrap();
    let planned = plan(
        &in_parts("z123456789abcdfghijklmnpqrsvwxyz"),
        &reference,
        &options(),
        &compressed(Compression::ZSTD_CHUNKED),
        Context::silent(),
    );
    let planned = planned.unwrap();
    assert_eq!(planned.layers[0].fetched, Some(Fetched::Whole));
    let [warning] = planned.warnings.as_slice() else {
        panic!("{:?}", planned.warnings);
    };
    assert!(warning.contains("sends no parts of blobs"), "{warning}");
}
