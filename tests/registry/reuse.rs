//! What a registry has already, under whatever name: learned, cached and mounted.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "this is a test"
)]

use strata_testing as support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rstest::rstest;
use serde_json::{Value, json};
use strata_error::Result;
use strata_image::Image;
use strata_oci::{Compression, Descriptor, Digest, Reference};
use strata_progress::{Context, Outcome, Progress};
use strata_registry::{Action, Options, PushOptions, Pushed, plan, push};
use support::fake_registry::{FakeRegistry, Fault, Reply, Seen};
use support::memory_image::{MemoryLayer, image};
use support::pushing::{compressed, failure, options};
use support::registry::{Certificate, Registry, Setup, run};

const OLD: &[u8] = b"a layer that stays";
const NEW: &[u8] = b"a layer that is new";

/// The image that somebody pushed before.
fn before() -> Image {
    image(vec![
        MemoryLayer::new(OLD),
        MemoryLayer::new("to be edited"),
    ])
}

/// The same after one file was edited. The layer that stays cannot be made.
fn after() -> Image {
    image(vec![MemoryLayer::gone(OLD), MemoryLayer::new(NEW)])
}

fn zstd() -> PushOptions {
    compressed(Compression::ZSTD)
}

fn reference(host: &str, name: &str) -> Reference {
    Reference::parse(&format!("{host}/{name}")).unwrap()
}

fn push_as(host: &str, name: &str, image: &Image, what: &PushOptions) -> Result<Pushed> {
    push(
        image,
        &reference(host, name),
        &options(),
        what,
        Context::silent(),
    )
}

/// The layers of a manifest of the fake registry.
fn layers(registry: &FakeRegistry, tag: &str) -> Vec<Descriptor> {
    let manifest = registry.manifest(tag).unwrap();
    let manifest: strata_oci::Manifest = serde_json::from_slice(&manifest).unwrap();
    manifest.layers
}

/// A blob as a manifest describes it.
fn described(media_type: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": Digest::of(bytes), "size": bytes.len() })
}

/// Holds an image whose config lists `diff_ids` and whose layers are `layers`; gives its manifest.
fn hold_image(registry: &FakeRegistry, tag: &str, diff_ids: &[Digest], layers: &[Value]) -> Value {
    let config = json!({ "rootfs": { "type": "layers", "diff_ids": diff_ids } }).to_string();
    registry.hold_blob(config.as_bytes());
    let manifest = json!({
        "schemaVersion": 2,
        "config": described("application/vnd.oci.image.config.v1+json", config.as_bytes()),
        "layers": layers,
    });
    registry.hold_manifest(tag, &manifest);
    manifest
}

const ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

// Learning.

/// The heart of it: a machine that knows nothing sends one small layer after an edit of one file.
#[rstest]
#[case::the_same_tag("name:tag", "name:tag")]
#[case::latest("name:latest", "name:tag")]
#[case::no_tag("name", "name:tag")]
#[case::another_tag("name:ci-1", "name:tag")]
fn only_what_changed_is_made_and_sent(#[case] first: &str, #[case] second: &str) {
    let registry = FakeRegistry::start(|_| None);
    push_as(&registry.host, first, &before(), &zstd()).unwrap();
    let tag = first.split(':').nth(1).unwrap_or("latest");
    let old = layers(&registry, tag);
    registry.forget_requests();
    push_as(&registry.host, second, &after(), &zstd()).unwrap();
    let new = layers(&registry, "tag");
    assert_eq!(old[0], new[0]);
    assert_ne!(old[1], new[1]);
    // The new layer and the config.
    assert_eq!(
        ["POST", "PATCH", "PUT"].map(|method| registry.count(method)),
        [2, 0, 3]
    );
    // Each layer that may be there, and the config.
    assert_eq!(registry.count("HEAD"), 2);
}

/// The same with a real registry, which counts what it reads.
/// <https://github.com/nlewo/nix2container/issues/121>,
/// <https://github.com/containers/skopeo/issues/511>,
/// <https://github.com/containers/skopeo/issues/1685>: machines without a cache send everything.
#[rstest]
fn nix2container_121_skopeo_511_1685_only_what_changed_goes_over_the_wire(
    #[values(Compression::None, Compression::GZIP, Compression::ZSTD)] compression: Compression,
    #[values("name:latest", "name:ci-1")] before: &str,
) {
    let registry = Registry::start(Setup::default());
    // Bytes that do not become much smaller.
    let mut state = 1_u32;
    let mut noise = |length: usize| -> Vec<u8> {
        let next = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..length).map(next).collect()
    };
    let (large, small) = (noise(1 << 20), noise(10_000));
    let what = compressed(compression);
    let first = image(vec![
        MemoryLayer::new(large.clone()),
        MemoryLayer::new("old"),
    ]);
    push_as(&registry.host, before, &first, &what).unwrap();
    let sent = registry.bytes_read().unwrap();
    assert!(sent > 1_000_000, "{sent}");
    let second = image(vec![MemoryLayer::gone(large), MemoryLayer::new(small)]);
    push_as(&registry.host, "name:tag", &second, &what).unwrap();
    let sent = registry.bytes_read().unwrap() - sent;
    // The layer, and requests and documents, which the registry also reads from its files.
    assert!((10_000..10_000 + (64 << 10)).contains(&sent), "{sent}");
}

/// CI uses another tag each time.
#[test]
fn a_fixed_tag_is_learned_from_and_written() {
    let registry = FakeRegistry::start(|_| None);
    let what = PushOptions {
        additional_tags: vec!["newest".to_owned()],
        ..zstd()
    };
    push_as(&registry.host, "name:ci-1", &before(), &what).unwrap();
    let pushed = push_as(&registry.host, "name:ci-2", &after(), &what).unwrap();
    for tag in ["ci-2", "newest"] {
        let manifest = registry.manifest(tag).unwrap();
        assert_eq!(Digest::of(&manifest), pushed.manifest.digest, "{tag}");
    }
}

/// What the fake registry was asked for by `GET` but for the ping, in order.
fn reads(registry: &FakeRegistry) -> Vec<String> {
    let seen = registry.seen().into_iter();
    let reads = seen.filter(|seen| seen.method == "GET" && seen.target != "/v2/");
    reads.map(|seen| seen.target).collect()
}

/// CI uses another tag each time, and nobody named one to learn from.
#[test]
fn the_last_tags_are_learned_from() {
    let registry = FakeRegistry::start(|_| None);
    let other = image(vec![MemoryLayer::new("another")]);
    // Not the last, but one of three; behind them is what belongs to an image.
    push_as(&registry.host, "name:ci-2", &before(), &zstd()).unwrap();
    for tag in ["ci-1", "ci-3", "ci-4", "sha256-00.sig", "latest"] {
        push_as(&registry.host, &format!("name:{tag}"), &other, &zstd()).unwrap();
    }
    registry.forget_requests();
    push_as(&registry.host, "name:ci-5", &after(), &zstd()).unwrap();
    let mut asked = reads(&registry);
    asked.retain(|target| target.contains("/manifests/ci") || target.contains("/tags/"));
    asked.sort();
    let manifests = [5, 2, 3, 4].map(|number| format!("/v2/name/manifests/ci-{number}"));
    let [target, others @ ..] = manifests;
    let mut expected: Vec<String> = others.into();
    expected.extend([target, "/v2/name/tags/list?n=500".to_owned()]);
    assert_eq!(asked, expected);
}

/// Nobody is asked who need not be.
#[test]
fn tags_are_not_listed_in_vain() {
    let registry = FakeRegistry::start(|_| None);
    let cache = tempfile::tempdir().unwrap();
    let cached = PushOptions {
        cache: Some(cache.path().to_owned()),
        ..zstd()
    };
    push_as(&registry.host, "name:1", &before(), &cached).unwrap();
    registry.forget_requests();
    let no_reuse = PushOptions {
        no_reuse: true,
        ..zstd()
    };
    for (name, what) in [
        // Known from the tag, from the cache, not to be compressed, not to be learned.
        ("name:1", &zstd()),
        ("name:2", &cached),
        ("name:3", &compressed(Compression::None)),
        ("name:4", &no_reuse),
    ] {
        push_as(&registry.host, name, &before(), what).unwrap();
    }
    // A layer that nobody knows is new if most of them are known.
    let edited = image(vec![MemoryLayer::new(OLD), MemoryLayer::new("new")]);
    push_as(&registry.host, "name:1", &edited, &zstd()).unwrap();
    let listed = |target: &String| target.contains("/tags/");
    assert!(!reads(&registry).iter().any(listed));
    push_as(&registry.host, "name:5", &after(), &zstd()).unwrap();
    assert!(reads(&registry).iter().any(listed));
}

/// A list may be refused, lie, be endless, or go on: it is asked for once and never a failure.
#[rstest]
#[case::refused(|| Fault::Answer(Reply::error(403, "DENIED", "no")))]
#[case::unauthorized(|| Fault::Answer(Reply::error(401, "UNAUTHORIZED", "no")))]
#[case::unknown(|| Fault::Answer(Reply::error(404, "NAME_UNKNOWN", "no")))]
#[case::broken(|| Fault::Answer(Reply::new(500)))]
#[case::dropped(|| Fault::Drop(0))]
#[case::cut(|| Fault::Cut)]
#[case::endless(|| Fault::Endless)]
#[case::long(|| listing(&vec!["before"; 200_000]))]
#[case::missing(|| listing(&["1", "2", "3", "4"]))]
#[case::none(|| Fault::Answer(Reply::new(200).body(r#"{"tags":null}"#)))]
#[case::elsewhere(|| listing(&["../../other/manifests/before", "before?x=y", "before#", ""]))]
#[case::next(|| {
    let next = |reply: &mut Reply| {
        *reply = Reply::new(200)
            .header("link", "</v2/name/tags/list?n=1&last=a>; rel=\"next\"")
            .body(r#"{"tags":["a"]}"#);
    };
    Fault::Lie(Box::new(next))
})]
fn a_list_of_tags_that_does_not_help_does_no_harm(#[case] fault: fn() -> Fault) {
    let registry = FakeRegistry::start(move |seen| seen.target.contains("/tags/").then(fault));
    push_as(&registry.host, "name:before", &before(), &zstd()).unwrap();
    registry.forget_requests();
    let pushed = push_as(&registry.host, "name:tag", &before(), &zstd()).unwrap();
    assert_eq!(pushed.warnings, [""; 0]);
    // Everything is made again.
    assert_eq!(registry.count("POST"), 2);
    let reads = reads(&registry);
    let lists = reads.iter().filter(|target| target.contains("/tags/"));
    assert_eq!(lists.count(), 1);
    let others = |target: &&String| target.contains("other/") || target.contains("before");
    assert_eq!(reads.iter().filter(others).count(), 0, "{reads:?}");
}

fn listing(tags: &[&str]) -> Fault {
    let list = json!({ "name": "name", "tags": tags });
    Fault::Answer(Reply::new(200).body(list.to_string()))
}

/// What other registries get of what is meant for the destination: nothing.
#[test]
fn client_certificates_are_not_shown_to_others() {
    let registry = FakeRegistry::start(|_| None);
    let other = Registry::start(Setup {
        tls: Some(Certificate::Signed),
        wants_client: true,
        ..Setup::default()
    });
    let certificates = tempfile::tempdir().unwrap();
    let authority = other.certificates().join("ca.crt");
    for file in other.client().iter().chain([&authority]) {
        std::fs::copy(file, certificates.path().join(file.file_name().unwrap())).unwrap();
    }
    let options = Options {
        certificate_directory: Some(certificates.path().to_owned()),
        ..options()
    };
    let theirs = reference(&other.host, "name:tag");
    push(&before(), &theirs, &options, &zstd(), Context::silent()).unwrap();
    let what = PushOptions {
        reuse_from: vec![theirs],
        ..zstd()
    };
    let target = reference(&registry.host, "name:tag");
    let pushed = push(&before(), &target, &options, &what, Context::silent()).unwrap();
    let [warning] = pushed.warnings.as_slice() else {
        panic!("{:?}", pushed.warnings)
    };
    assert!(warning.contains("TLS"), "{warning}");
}

/// Entries of one digest may say different things; a push changes none of them.
#[rstest]
#[case::sent(Compression::None)]
#[case::compressed(Compression::ZSTD)]
fn each_layer_keeps_its_annotations(#[case] compression: Compression) {
    let registry = FakeRegistry::start(|_| None);
    let twice = ["one", "other"].map(|value| MemoryLayer::new(OLD).annotated("which", value));
    let image = image(twice.into());
    let what = compressed(compression);
    // The second time, everything is there.
    for name in ["name:tag", "name:tag", "name:2"] {
        let pushed = push_as(&registry.host, name, &image, &what).unwrap();
        let annotations = layers(&registry, "tag").into_iter();
        let annotations: Vec<String> = annotations
            .filter_map(|mut layer| layer.annotations.remove("which"))
            .collect();
        assert_eq!(annotations, ["one", "other"]);
        if compression == Compression::None {
            assert_eq!(pushed.manifest.digest, image.manifest_descriptor.digest);
        }
    }
}

#[test]
fn other_names_are_learned_from_when_asked() {
    let registry = FakeRegistry::start(|_| None);
    push_as(&registry.host, "name:other", &before(), &zstd()).unwrap();
    for name in ["name:other".to_owned(), {
        let manifest = registry.manifest("other").unwrap();
        format!("name@{}", Digest::of(&manifest))
    }] {
        let what = PushOptions {
            reuse_from: vec![reference(&registry.host, &name)],
            ..zstd()
        };
        push_as(&registry.host, "name:tag", &after(), &what).unwrap();
    }
}

/// A name that was given and teaches nothing is talked about; the others are not.
#[test]
fn what_cannot_be_learned_is_done_without() {
    let registry = FakeRegistry::start(|seen| {
        (seen.method == "GET" && seen.target.contains("/manifests/t"))
            .then(|| Fault::Answer(Reply::error(403, "DENIED", "no")))
    });
    let nobody = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let what = PushOptions {
        reuse_from: vec![
            reference(&registry.host, "name:missing"),
            reference(&nobody, "name:tag"),
        ],
        ..zstd()
    };
    let pushed = push_as(&registry.host, "name:tag", &before(), &what).unwrap();
    let [unreachable, missing] = pushed.warnings.as_slice() else {
        panic!("{:?}", pushed.warnings)
    };
    assert!(unreachable.contains(&nobody), "{unreachable}");
    assert!(
        missing.contains("name:missing: there is no image"),
        "{missing}"
    );
}

/// What is learned must be what is wanted: the method, not the level.
#[test]
fn the_compression_decides_what_is_reused() {
    let registry = FakeRegistry::start(|_| None);
    push_as(&registry.host, "name:tag", &before(), &zstd()).unwrap();
    let other_level = compressed(Compression::Zstd { level: 1 });
    push_as(&registry.host, "name:tag", &after(), &other_level).unwrap();
    for other in [Compression::GZIP, Compression::None] {
        let result = push_as(&registry.host, "name:tag", &after(), &compressed(other));
        assert!(result.is_err(), "{other} is made anew");
    }
}

/// Manifests of Docker, indexes in indexes, and what is beside images in them.
#[rstest]
#[case::docker("application/vnd.docker.image.rootfs.diff.tar.zstd", 0)]
#[case::oci(ZSTD, 0)]
#[case::index(ZSTD, 1)]
#[case::nested(ZSTD, 2)]
fn documents_of_every_form_are_understood(#[case] media_type: &str, #[case] indexes: usize) {
    let registry = FakeRegistry::start(|_| None);
    let blob = zstd::encode_all(OLD, 1).unwrap();
    registry.hold_blob(&blob);
    let foreign = described(
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        b"foreign",
    );
    let mut document = hold_image(
        &registry,
        "image",
        &[Digest::of(b"foreign"), Digest::of(OLD)],
        &[foreign, described(media_type, &blob)],
    );
    for _ in 0..indexes {
        let mut entry = described("application/x", document.to_string().as_bytes());
        entry["platform"] = json!({ "os": "linux", "architecture": "amd64" });
        let other = json!({
            "mediaType": "application/x", "digest": Digest::of(b"missing"), "size": 1,
            "platform": { "os": "unknown", "architecture": "unknown" },
        });
        document = json!({ "schemaVersion": 2, "manifests": [other, entry] });
        registry.hold_manifest("index", &document);
    }
    registry.hold_manifest("latest", &document);
    push_as(&registry.host, "name:tag", &after(), &zstd()).unwrap();
    let layers = layers(&registry, "tag");
    assert_eq!(layers[0], Descriptor::of(ZSTD, &blob));
}

/// A manifest and a config that do not belong together teach nothing, nor do documents that are none.
#[rstest]
#[case::lengths(|registry: &FakeRegistry| {
    let layer = described(ZSTD, b"blob");
    hold_image(registry, "latest", &[Digest::of(OLD)], &[layer.clone(), layer]);
})]
#[case::no_config(|registry: &FakeRegistry| {
    let manifest = hold_image(registry, "latest", &[Digest::of(OLD)], &[described(ZSTD, b"blob")]);
    let config = manifest["config"]["digest"].as_str().unwrap();
    registry.lose_blob(&config.parse().unwrap());
})]
#[case::no_blob(|registry: &FakeRegistry| {
    hold_image(registry, "latest", &[Digest::of(OLD)], &[described(ZSTD, b"missing")]);
})]
#[case::another_size(|registry: &FakeRegistry| {
    let mut layer = described(ZSTD, b"blob");
    layer["size"] = json!(5);
    hold_image(registry, "latest", &[Digest::of(OLD)], &[layer]);
})]
#[case::no_manifest(|registry: &FakeRegistry| registry.hold_manifest("latest", &json!([1])))]
#[case::itself(|registry: &FakeRegistry| {
    let entry = described("application/x", b"x");
    registry.hold_manifest("latest", &json!({ "manifests": vec![entry; 1000] }));
})]
fn what_does_not_fit_is_not_reused(#[case] hold: fn(&FakeRegistry)) {
    let registry = FakeRegistry::start(|_| None);
    registry.hold_blob(b"blob");
    hold(&registry);
    let image = image(vec![MemoryLayer::new(OLD)]);
    push_as(&registry.host, "name:tag", &image, &zstd()).unwrap();
    let layer = layers(&registry, "tag").remove(0);
    let blob = registry.blob(&layer.digest).unwrap();
    assert_eq!(zstd::decode_all(blob.as_slice()).unwrap(), OLD);
    assert!(registry.count("GET") < 20);
}

/// What breaks off before its end teaches nothing.
#[rstest]
#[case::manifest("/manifests/latest", false)]
#[case::config("/blobs/", false)]
#[case::layer("/blobs/", true)]
fn answers_that_break_off_are_no_answers(#[case] part: &'static str, #[case] is_layer: bool) {
    let blob = Compression::ZSTD;
    let blobs = AtomicUsize::new(0);
    let registry = FakeRegistry::start(move |seen| {
        let is_blob = seen.method == "GET" && seen.target.contains("/blobs/");
        let is_config = is_blob && blobs.fetch_add(1, Ordering::Relaxed) == 0;
        (seen.method == "GET" && seen.target.contains(part) && !(is_layer && is_config))
            .then_some(Fault::Cut)
    });
    let what = PushOptions {
        verify_reused: is_layer,
        ..compressed(blob)
    };
    push_as(&registry.host, "name:latest", &before(), &what).unwrap();
    let image = image(vec![MemoryLayer::new(OLD), MemoryLayer::new(NEW)]);
    push_as(&registry.host, "name:tag", &image, &what).unwrap();
    // Made again.
    assert_eq!(registry.count("POST"), 6);
    for layer in layers(&registry, "tag") {
        assert_eq!(
            registry.blob(&layer.digest).unwrap().len() as u64,
            layer.size
        );
    }
}

/// A registry does not check that a layer has the diff ID that a config says. Whoever may push there
/// can lie about it, which is documented, and found out on request.
#[rstest]
#[case::believed(false, false)]
#[case::verified(true, false)]
#[case::not_asked(false, true)]
fn a_manifest_that_lies(#[case] verify_reused: bool, #[case] no_reuse: bool) {
    let registry = FakeRegistry::start(|_| None);
    let lie = zstd::encode_all(&b"something else"[..], 1).unwrap();
    registry.hold_blob(&lie);
    hold_image(
        &registry,
        "tag",
        &[Digest::of(OLD)],
        &[described(ZSTD, &lie)],
    );
    let what = PushOptions {
        verify_reused,
        no_reuse,
        ..zstd()
    };
    let image = image(vec![MemoryLayer::new(OLD)]);
    let pushed = push_as(&registry.host, "name:tag", &image, &what).unwrap();
    let layer = layers(&registry, "tag").remove(0);
    let is_believed = !verify_reused && !no_reuse;
    assert_eq!(layer.digest == Digest::of(&lie), is_believed);
    let says =
        |warning: &String| warning.contains(&format!("{} is not the layer", Digest::of(&lie)));
    assert_eq!(pushed.warnings.iter().any(says), verify_reused);
}

/// What is true is reused after it was checked, in each compression; what is no such thing is not.
#[rstest]
#[case::gzip(Compression::GZIP)]
#[case::zstd(Compression::ZSTD)]
fn what_is_true_is_verified(#[case] compression: Compression) {
    let registry = FakeRegistry::start(|_| None);
    let what = PushOptions {
        verify_reused: true,
        ..compressed(compression)
    };
    push_as(&registry.host, "name:tag", &before(), &what).unwrap();
    let pushed = push_as(&registry.host, "name:tag", &after(), &what).unwrap();
    assert_eq!(pushed.warnings, [""; 0]);
}

/// A bomb of zeros is not decompressed to its end, and garbage is no error of ours.
#[rstest]
#[case::bomb(zstd::encode_all(std::io::Read::take(std::io::repeat(0), 1 << 30), 1).unwrap())]
#[case::garbage(b"garbage".to_vec())]
#[case::nothing(Vec::new())]
fn what_is_no_layer_is_not_reused(#[case] blob: Vec<u8>) {
    let registry = FakeRegistry::start(|_| None);
    registry.hold_blob(&blob);
    hold_image(
        &registry,
        "tag",
        &[Digest::of(OLD)],
        &[described(ZSTD, &blob)],
    );
    let what = PushOptions {
        verify_reused: true,
        ..zstd()
    };
    let image = image(vec![MemoryLayer::new(OLD)]);
    push_as(&registry.host, "name:tag", &image, &what).unwrap();
    assert_ne!(layers(&registry, "tag")[0].digest, Digest::of(&blob));
}

/// A registry that says that it has what it has not is found out by the manifest.
#[test]
fn what_turns_out_to_be_missing_is_sent() {
    let lies = Arc::new(AtomicBool::new(false));
    let is_lie = Arc::clone(&lies);
    let registry = FakeRegistry::start(move |seen| {
        (seen.method == "HEAD" && is_lie.load(Ordering::Relaxed))
            .then(|| Fault::Answer(Reply::new(200)))
    });
    push_as(&registry.host, "name:tag", &before(), &zstd()).unwrap();
    lies.store(true, Ordering::Relaxed);
    let lost = layers(&registry, "tag")[0].digest;
    let image = image(vec![MemoryLayer::new(OLD), MemoryLayer::new(NEW)]);
    registry.lose_blob(&lost);
    // The first asks for both layers and the config, and again after the manifest; the second finds the
    // manifest by its digest.
    for name in ["name:tag", "name:other"] {
        push_as(&registry.host, name, &image, &zstd()).unwrap();
        assert!(registry.blob(&lost).is_some(), "{name}");
        registry.lose_blob(&lost);
    }
}

/// The same, when the registry names it behind other errors than are shown.
#[test]
fn a_missing_blob_is_known_by_its_code() {
    let entries = ["A", "B", "C", "MANIFEST_BLOB_UNKNOWN"].map(|code| json!({ "code": code }));
    let body = json!({ "errors": entries }).to_string();
    let registry = FakeRegistry::start(move |seen| match (seen.method.as_str(), seen.number) {
        ("PUT", number) if seen.target.contains("/manifests/") => {
            let refused = Reply::new(400).body(body.clone());
            (number == 3).then_some(Fault::Answer(refused))
        }
        _ => None,
    });
    let what = compressed(Compression::None);
    // Before the manifest are a layer and the config; the other layer seems to be there.
    registry.hold_blob(OLD);
    push_as(&registry.host, "name:tag", &before(), &what).unwrap();
    assert_eq!(registry.count("POST"), 3);
}

// The cache.

fn cached(directory: &Path) -> PushOptions {
    PushOptions {
        cache: Some(directory.to_owned()),
        ..zstd()
    }
}

/// A registry that tells nothing of its images.
fn discreet() -> FakeRegistry {
    FakeRegistry::start(|seen| {
        let tells = seen.target.contains("/manifests/") || seen.target.contains("/tags/");
        (seen.method == "GET" && tells).then(|| Fault::Answer(Reply::new(404)))
    })
}

#[test]
fn the_cache_saves_compressing() {
    let directory = tempfile::tempdir().unwrap();
    let registry = discreet();
    let what = cached(directory.path());
    push_as(&registry.host, "name:1", &before(), &what).unwrap();
    push_as(&registry.host, "name:2", &after(), &what).unwrap();
    assert_eq!(layers(&registry, "1")[0], layers(&registry, "2")[0]);
    // Another method or level is another blob.
    let other = PushOptions {
        compression: Some(Compression::Zstd { level: 1 }),
        ..what.clone()
    };
    assert!(push_as(&registry.host, "name:3", &after(), &other).is_err());
    // What another registry lacks is made there.
    let elsewhere = discreet();
    push_as(&elsewhere.host, "name:1", &before(), &what).unwrap();
    assert_eq!(layers(&elsewhere, "1"), layers(&registry, "1"));
    std::fs::remove_dir_all(directory.path()).unwrap();
    push_as(&registry.host, "name:4", &before(), &what).unwrap();
}

/// What is learned from a registry, and may be a lie, is not remembered.
#[test]
fn the_cache_holds_what_we_made() {
    let directory = tempfile::tempdir().unwrap();
    let is_discreet = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&is_discreet);
    let registry = FakeRegistry::start(move |seen| {
        (seen.method == "GET" && asked.load(Ordering::Relaxed))
            .then(|| Fault::Answer(Reply::new(if seen.target == "/v2/" { 200 } else { 404 })))
    });
    push_as(&registry.host, "name:tag", &before(), &zstd()).unwrap();
    let what = cached(directory.path());
    push_as(&registry.host, "name:tag", &after(), &what).unwrap();
    is_discreet.store(true, Ordering::Relaxed);
    let result = push_as(
        &registry.host,
        "name:x",
        &after(),
        &cached(directory.path()),
    );
    assert!(result.is_err(), "only the new layer is known");
}

/// Row 14: a file in the cache, written by somebody else, says that another blob is a layer. It is believed, but
/// not with the flags that say so.
#[rstest]
#[case::believed(false, false, true)]
#[case::not_reused(true, false, false)]
#[case::verified(false, true, false)]
fn the_cache_can_be_distrusted(
    #[case] no_reuse: bool,
    #[case] verify_reused: bool,
    #[case] is_fooled: bool,
) {
    let directory = tempfile::tempdir().unwrap();
    let registry = discreet();
    let what = cached(directory.path());
    let layer = || image(vec![MemoryLayer::new(b"ours".repeat(1000))]);
    push_as(&registry.host, "name:ours", &layer(), &what).unwrap();
    let other = image(vec![MemoryLayer::new(b"theirs".repeat(1000))]);
    push_as(&registry.host, "name:theirs", &other, &zstd()).unwrap();
    let theirs = layers(&registry, "theirs")[0].clone();
    let folder = directory.path().join("compressed-layers-1");
    for file in std::fs::read_dir(folder).unwrap() {
        let claim = json!({ "digest": theirs.digest, "size": theirs.size });
        std::fs::write(file.unwrap().path(), claim.to_string()).unwrap();
    }
    let what = PushOptions {
        no_reuse,
        verify_reused,
        ..what
    };
    push_as(&registry.host, "name:again", &layer(), &what).unwrap();
    let pushed = &layers(&registry, "again")[0];
    assert_eq!(pushed == &theirs, is_fooled);
    assert_eq!(pushed == &layers(&registry, "ours")[0], !is_fooled);
}

// Mounts.

/// Remembers how each blob ended.
#[derive(Default)]
struct Outcomes(Mutex<BTreeMap<Digest, Outcome>>);

impl Progress for Outcomes {
    fn finish(&self, blob: &Descriptor, outcome: Outcome) {
        self.0.lock().unwrap().insert(blob.digest, outcome);
    }
}

/// A blob of another repository is taken from there by the registry itself.
#[rstest]
#[case::learned(Compression::GZIP, true)]
#[case::known(Compression::None, true)]
#[case::named(Compression::None, false)]
fn layers_are_mounted(#[case] compression: Compression, #[case] reuse: bool) {
    let registry = Registry::start(Setup::default());
    let what = compressed(compression);
    push_as(&registry.host, "some/where:tag", &before(), &what).unwrap();
    let what = if reuse {
        PushOptions {
            reuse_from: vec![reference(&registry.host, "some/where:tag")],
            ..what
        }
    } else {
        PushOptions {
            mount_from: vec!["some/where".to_owned()],
            ..what
        }
    };
    let outcomes = Outcomes::default();
    let target = reference(&registry.host, "else/where:tag");
    let image = after();
    push(
        &image,
        &target,
        &options(),
        &what,
        Context::silent().watched_by(&outcomes),
    )
    .unwrap();
    let outcomes = outcomes.0.into_inner().unwrap();
    assert_eq!(outcomes[&Digest::of(OLD)], Outcome::Mounted);
    assert!(!matches!(
        outcomes[&Digest::of(NEW)],
        Outcome::Mounted | Outcome::Present
    ));
    let copy = tempfile::tempdir().unwrap();
    run(Command::new("skopeo")
        .args(["copy", "-q", "--insecure-policy", "--src-tls-verify=false"])
        .args([
            format!("docker://{target}"),
            format!("dir:{}", copy.path().display()),
        ]));
    for repository in ["some/where", "else/where"] {
        assert_eq!(registry.open_uploads(repository), 0, "{repository}");
    }
}

/// A base image's layers are in its repository, which its standard annotation names.
#[rstest]
#[case::this_registry("HOST/team/base:1", 2)]
#[case::another_registry("h.x/team/base:1", 0)]
#[case::itself("HOST/name:tag", 0)]
#[case::no_name("HOST/UPPER", 0)]
fn layers_are_mounted_from_the_repository_of_the_base(#[case] base: &str, #[case] mounts: usize) {
    let registry = FakeRegistry::start(|_| None);
    let mut image = before();
    let name = "org.opencontainers.image.base.name".to_owned();
    let base = base.replace("HOST", &registry.host);
    image.manifest.annotations.insert(name, base);
    let what = compressed(Compression::None);
    push_as(&registry.host, "name:tag", &image, &what).unwrap();
    let from = |seen: &&Seen| {
        seen.target.contains("from=team%2Fbase") || seen.target.contains("from=team/base")
    };
    let seen = registry.seen();
    // The layers; a config is of one image.
    assert_eq!(seen.iter().filter(from).count(), mounts, "{seen:?}");
}

/// Any answer but 201 means upload.
#[rstest]
#[case::not_allowed(401)]
#[case::forbidden(403)]
#[case::unknown(404)]
#[case::not_known(405)]
#[case::artifactory(202)]
#[case::odd(200)]
#[case::failing(500)]
fn what_cannot_be_mounted_is_sent(#[case] status: u16) {
    let registry = FakeRegistry::start(move |seen| {
        if !seen.target.contains("mount=") {
            return None;
        }
        // The registry itself answers 202 and opens an upload.
        (status != 202).then(|| Fault::Answer(Reply::new(status)))
    });
    let what = PushOptions {
        mount_from: vec!["other".to_owned()],
        ..compressed(Compression::None)
    };
    push_as(&registry.host, "name:tag", &before(), &what).unwrap();
    assert_eq!(registry.open_uploads(), 0);
    let mounts = |seen: &Seen| seen.target.contains("mount=") && seen.target.contains("from=other");
    assert!(registry.seen().iter().filter(|seen| mounts(seen)).count() >= 2);
    let posts = registry.count("POST");
    if status == 202 {
        assert_eq!(posts, 3, "the upload that a mount opened is used");
        // skopeo#1223 and others: what was opened is not left open.
        assert_eq!(registry.count("DELETE"), 0);
    }
}

// Tags.

#[test]
fn more_tags_are_the_same_image() {
    let registry = FakeRegistry::start(|_| None);
    let what = PushOptions {
        additional_tags: vec!["1".to_owned(), "1.0".to_owned(), "tag".to_owned()],
        ..zstd()
    };
    let pushed = push_as(&registry.host, "name:tag", &before(), &what).unwrap();
    for tag in ["tag", "1", "1.0"] {
        let manifest = registry.manifest(tag).unwrap();
        assert_eq!(Digest::of(&manifest), pushed.manifest.digest, "{tag}");
    }
    let puts = |seen: &&Seen| seen.method == "PUT" && seen.target.contains("/manifests/");
    assert_eq!(registry.seen().iter().filter(puts).count(), 3);
}

/// nix2container#95, nix-snapshotter#167: images for other platforms do not disappear unasked.
#[rstest]
#[case::tag("tag", PushOptions::default())]
#[case::additional("more", PushOptions { additional_tags: vec!["more".into()], ..PushOptions::default() })]
#[case::without_reuse("tag", PushOptions { no_reuse: true, ..PushOptions::default() })]
fn an_index_of_other_platforms_is_not_replaced(#[case] tag: &str, #[case] what: PushOptions) {
    let registry = FakeRegistry::start(|_| None);
    let entry = |architecture: &str| {
        let mut entry = described("application/x", architecture.as_bytes());
        entry["platform"] = json!({ "os": "linux", "architecture": architecture });
        entry
    };
    let index = json!({ "schemaVersion": 2, "manifests": [entry("amd64"), entry("arm64")] });
    registry.hold_manifest(tag, &index);
    let (message, hint) = failure(push_as(&registry.host, "name:tag", &before(), &what).map(drop));
    assert_eq!(
        message,
        format!(
            "cannot replace {}/name:{tag}: it is an index of images for linux/amd64, linux/arm64, \
             and this image is for linux/amd64",
            registry.host
        )
    );
    assert!(hint.contains("--overwrite-index"), "{hint}");
    for method in ["POST", "PATCH", "PUT", "DELETE"] {
        assert_eq!(registry.count(method), 0, "{method}");
    }
    let asked = PushOptions {
        overwrite_index: true,
        ..what
    };
    push_as(&registry.host, "name:tag", &before(), &asked).unwrap();

    // buildx makes an index for one platform, too.
    let alone = json!({ "schemaVersion": 2, "manifests": [entry("amd64")] });
    registry.hold_manifest("alone", &alone);
    push_as(
        &registry.host,
        "name:alone",
        &before(),
        &PushOptions::default(),
    )
    .unwrap();
}

/// An index whose images cannot be read is one all the same.
#[test]
fn an_index_is_not_replaced_because_its_images_are_lost() {
    let registry = FakeRegistry::start(|_| None);
    let entry = |bytes: &[u8], architecture: &str| {
        let mut entry = described("application/x", bytes);
        entry["platform"] = json!({ "os": "linux", "architecture": architecture });
        entry
    };
    let manifest = hold_image(
        &registry,
        "one",
        &[Digest::of(OLD)],
        &[described(ZSTD, b"")],
    );
    let config = manifest["config"]["digest"].as_str().unwrap();
    registry.lose_blob(&config.parse().unwrap());
    let index = json!({ "schemaVersion": 2, "manifests": [
        entry(manifest.to_string().as_bytes(), "amd64"),
        entry(b"other", "arm64"),
    ] });
    registry.hold_manifest("tag", &index);
    let (message, _) = failure(push_as(&registry.host, "name:tag", &before(), &zstd()).map(drop));
    assert!(message.contains("it is an index of images"), "{message}");
}

/// Processors of one architecture that run different programs are different platforms.
#[test]
fn an_image_for_another_variant_does_not_vanish_unasked() {
    let registry = FakeRegistry::start(|_| None);
    let entry = |platform: &str| {
        let mut words = platform.split('/');
        let mut word = || words.next();
        let mut entry = described("application/x", platform.as_bytes());
        entry["platform"] =
            json!({ "os": word(), "architecture": word(), "variant": word().unwrap_or_default() });
        entry
    };
    let index = |platforms: &[&str]| {
        let entries = platforms.iter().map(|platform| entry(platform));
        json!({ "schemaVersion": 2, "manifests": entries.collect::<Vec<_>>() })
    };
    let mut image = before();
    image.config.architecture = "arm".to_owned();
    image.config.variant = Some("v7".to_owned());
    let what = compressed(Compression::None);
    registry.hold_manifest("both", &index(&["linux/arm/v6", "linux/arm/v7"]));
    let (message, _) = failure(push_as(&registry.host, "name:both", &image, &what).map(drop));
    assert!(
        message.ends_with(
            "it is an index of images for linux/arm/v6, linux/arm/v7, and this image is for \
             linux/arm/v7"
        ),
        "{message}"
    );
    registry.hold_manifest("alone", &index(&["linux/arm/v7"]));
    push_as(&registry.host, "name:alone", &image, &what).unwrap();
    // `arm64` is another name of `arm64/v8`.
    image.config.architecture = "arm64".to_owned();
    image.config.variant = None;
    registry.hold_manifest("same", &index(&["linux/arm64/v8"]));
    push_as(&registry.host, "name:same", &image, &what).unwrap();
}

// Plans.

#[test]
fn a_plan_writes_nothing() {
    let registry = FakeRegistry::start(|_| None);
    push_as(&registry.host, "name:tag", &before(), &zstd()).unwrap();
    registry.forget_requests();
    let directory = tempfile::tempdir().unwrap();
    let what = PushOptions {
        cache: Some(directory.path().join("cache")),
        additional_tags: vec!["more".to_owned()],
        ..zstd()
    };
    let target = reference(&registry.host, "name:tag");
    let found = plan(&after(), &target, &options(), &what, Context::silent()).unwrap();
    let known_from = Some(format!("{}/name:tag", registry.host));
    let how: Vec<Action> = found.layers.into_iter().map(|layer| layer.action).collect();
    assert_eq!(
        how,
        [
            Action::Present { known_from },
            Action::Compressed(Compression::ZSTD)
        ]
    );
    assert_eq!(found.tags, ["tag", "more"]);
    let reads = ["GET", "HEAD"];
    let seen = registry.seen();
    assert!(
        seen.iter()
            .all(|seen| reads.contains(&seen.method.as_str())),
        "{seen:?}"
    );
    assert!(!directory.path().join("cache").exists());

    let mounts = PushOptions {
        mount_from: vec!["other".to_owned()],
        ..compressed(Compression::None)
    };
    let found = plan(&after(), &target, &options(), &mounts, Context::silent()).unwrap();
    let from = "other".to_owned();
    assert_eq!(found.layers[1].action, Action::Mounted { from });
}
