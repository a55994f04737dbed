//! Uploads that break off, and registries that want them otherwise.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "this is a test"
)]

use strata_testing as support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rstest::rstest;
use strata_oci::{Compression, Reference};
use strata_progress::Context;
use strata_registry::push;
use support::fake_registry::{FakeRegistry, Fault, Reply, Seen};
use support::memory_image::{MemoryLayer, image};
use support::pushing::{compressed, failure, large, options, push_to};

/// Bytes that do not become much smaller.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(next).collect()
}

/// Pushes a large layer to `name:tag`, and sees that what is there then is right.
fn push_noise(registry: &FakeRegistry, length: usize, compression: Compression) {
    let image = image(vec![MemoryLayer::new(noise(length))]);
    let reference = Reference::parse(&format!("{}/name:tag", registry.host)).unwrap();
    push(
        &image,
        &reference,
        &options(),
        &compressed(compression),
        Context::silent(),
    )
    .unwrap();
    let manifest = registry.manifest("tag").unwrap();
    let manifest: strata_oci::Manifest = serde_json::from_slice(&manifest).unwrap();
    let blob = registry.blob(&manifest.layers[0].digest).unwrap();
    assert_eq!(blob.len() as u64, manifest.layers[0].size);
    assert_eq!(registry.open_uploads(), 0);
}

/// The `PATCH`es of the large layer.
fn patches(registry: &FakeRegistry) -> Vec<Seen> {
    let seen = registry.seen().into_iter();
    seen.filter(is_large_patch).collect()
}

fn is_large_patch(seen: &Seen) -> bool {
    let length = seen.header("content-length").parse::<usize>();
    seen.method == "PATCH" && !length.is_ok_and(|length| length < 1000)
}

/// An upload that breaks off goes on with what the registry lacks.
#[rstest]
#[case::known_length(Compression::None)]
#[case::unknown_length(Compression::ZSTD)]
fn uploads_go_on_where_they_broke_off(#[case] compression: Compression) {
    let broken = AtomicUsize::new(0);
    let registry = FakeRegistry::start(move |seen| {
        (is_large_patch(seen) && broken.fetch_add(1, Ordering::Relaxed) < 2)
            .then_some(Fault::Keep(1_000_000))
    });
    push_noise(&registry, 6_000_000, compression);
    let patches = patches(&registry);
    assert_eq!(patches.len(), 3);
    if compression == Compression::None {
        let ranges: Vec<&str> = patches
            .iter()
            .map(|it| it.header("content-range"))
            .collect();
        assert_eq!(ranges, ["", "1000000-5999999", "2000000-5999999"]);
    }
    let posts = registry.count("POST");
    assert_eq!(posts, 2, "one for the layer, one for the config");
}

/// What the registry says of an upload that broke off need not help.
#[rstest]
#[case::unknown(|_: &Seen| Some(Reply::new(404)))]
#[case::not_satisfiable(|_: &Seen| Some(Reply::new(416)))]
#[case::no_range(|_: &Seen| Some(Reply::new(204)))]
#[case::nothing(|_: &Seen| Some(Reply::new(204).header("range", "0-0")))]
#[case::more_than_was_sent(|_: &Seen| Some(Reply::new(204).header("range", "0-9999999")))]
#[case::no_number(|_: &Seen| Some(Reply::new(204).header("range", "0-x")))]
fn uploads_that_cannot_go_on_begin_again(#[case] status: fn(&Seen) -> Option<Reply>) {
    let broken = AtomicUsize::new(0);
    let registry = FakeRegistry::start(move |seen| {
        if seen.method == "GET" && seen.target.contains("/uploads/") {
            return status(seen).map(Fault::Answer);
        }
        (is_large_patch(seen) && broken.fetch_add(1, Ordering::Relaxed) < 1)
            .then_some(Fault::Keep(1_000_000))
    });
    push_noise(&registry, 6_000_000, Compression::None);
    let ranges: Vec<String> = patches(&registry)
        .iter()
        .map(|seen| seen.header("content-range").to_owned())
        .collect();
    assert_eq!(ranges, ["", ""]);
}

/// A registry that always stops at the same place is given up.
#[test]
fn an_upload_that_does_not_advance_ends() {
    let registry = FakeRegistry::start(move |seen| {
        if seen.method == "GET" && seen.target.contains("/uploads/") {
            let answer = Reply::new(204).header("range", "0-999999");
            return Some(Fault::Answer(answer));
        }
        is_large_patch(seen).then_some(Fault::Keep(1_000_000))
    });
    let image = image(vec![MemoryLayer::new(noise(6_000_000))]);
    let (message, _) = failure(push_to(&registry.host, &image, &options()));
    assert!(message.contains("dropped the connection"), "{message}");
    assert_eq!(registry.open_uploads(), 0);
}

/// ECR takes what is sent after the first PATCH and forgets it.
#[test]
fn ecr_forgets_what_follows_the_first_patch() {
    let broken = AtomicUsize::new(0);
    let registry = FakeRegistry::start(move |seen| {
        if !is_large_patch(seen) {
            return None;
        }
        match broken.fetch_add(1, Ordering::Relaxed) {
            0 => Some(Fault::Keep(1_000_000)),
            _ if seen.header("content-range").is_empty() => None,
            // Taken and thrown away.
            _ => Some(Fault::Swallow),
        }
    });
    push_noise(&registry, 6_000_000, Compression::None);
    assert_eq!(patches(&registry).len(), 3);
}

/// Some registries answer 201 to a PATCH, and some of them are done then.
#[rstest]
fn a_patch_may_be_answered_with_201(#[values(true, false)] is_done: bool) {
    let registry = FakeRegistry::start(move |seen| match seen.method.as_str() {
        "PATCH" => Some(Fault::Lie(Box::new(|answer| answer.status = 201))),
        "PUT" if is_done && seen.target.contains("/uploads/") => {
            Some(Fault::Lie(Box::new(|answer| {
                *answer = Reply::error(404, "BLOB_UPLOAD_UNKNOWN", "done already");
            })))
        }
        _ => None,
    });
    push_noise(&registry, 5_000_000, Compression::GZIP);
}

/// GHCR takes no more than 4 MiB at once.
#[rstest]
#[case::known_length(Compression::None, 416)]
#[case::unknown_length(Compression::GZIP, 416)]
#[case::proxy(Compression::ZSTD, 413)]
fn ghcr_gets_pieces_of_4_mib(#[case] compression: Compression, #[case] status: u16) {
    let registry = FakeRegistry::start(move |seen| {
        let length = seen.header("content-length").parse::<usize>();
        let is_too_much = length.map_or(true, |length| length > 4 << 20);
        (seen.method == "PATCH" && is_too_much)
            .then(|| Fault::Answer(Reply::error(status, "SIZE_INVALID", "too much")))
    });
    push_noise(&registry, 10_000_000, compression);
    let patches = patches(&registry);
    // The one that was too much, and three pieces.
    assert_eq!(patches.len(), 4);
    let ranges: Vec<&str> = patches
        .iter()
        .map(|it| it.header("content-range"))
        .collect();
    assert_eq!(ranges[..3], ["", "0-4194303", "4194304-8388607"]);
}

/// Pieces can be lost, too.
#[test]
fn pieces_go_on_where_they_broke_off() {
    let broken = AtomicUsize::new(0);
    let registry = FakeRegistry::start(move |seen| {
        if seen.method != "PATCH" {
            return None;
        }
        match seen.header("content-range") {
            "" if is_large_patch(seen) => {
                Some(Fault::Answer(Reply::error(416, "SIZE_INVALID", "too much")))
            }
            "4194304-8388607" if broken.fetch_add(1, Ordering::Relaxed) == 0 => {
                Some(Fault::Keep(1_000_000))
            }
            _ => None,
        }
    });
    push_noise(&registry, 10_000_000, Compression::None);
    let patches = patches(&registry);
    let ranges: Vec<&str> = patches
        .iter()
        .map(|it| it.header("content-range"))
        .collect();
    assert_eq!(
        ranges,
        [
            "",
            "0-4194303",
            "4194304-8388607",
            "5194304-9388607",
            "9388608-9999999"
        ]
    );
}

/// Row 5 of strangers' registries: the PUT that ends an upload is answered with 429 so often; no byte is sent
/// again.
#[rstest]
fn an_end_that_may_pass_is_asked_for_again(
    #[values(1, 2)] times: usize,
    #[values(429, 503)] status: u16,
    #[values(Compression::None, Compression::ZSTD)] compression: Compression,
) {
    let refused = AtomicUsize::new(0);
    let registry = FakeRegistry::start(move |seen| {
        // Only the layer's has no body.
        let is_end = seen.method == "PUT" && seen.header("content-length") == "0";
        (is_end && refused.fetch_add(1, Ordering::Relaxed) < times)
            .then(|| Fault::Answer(Reply::error(status, "TOOMANYREQUESTS", "slower")))
    });
    push_noise(&registry, 5_000_000, compression);
    // One for the layer and one for the config.
    assert_eq!(registry.count("PATCH"), 1);
    assert_eq!(registry.count("POST"), 2);
}

/// The end is refused, and the upload is not what was sent any more: all begins again.
#[rstest]
#[case::forgotten(|| Reply::error(404, "BLOB_UPLOAD_UNKNOWN", "no such upload"))]
#[case::cut(|| Reply::new(204).header("range", "0-5"))]
fn an_end_that_does_not_pass_begins_again(#[case] state: fn() -> Reply) {
    let refused = AtomicUsize::new(0);
    let registry = FakeRegistry::start(move |seen| {
        if seen.method == "GET" && seen.target.contains("/uploads/") {
            return Some(Fault::Answer(state()));
        }
        let is_end = seen.method == "PUT" && seen.target.contains("/uploads/");
        (is_end && refused.fetch_add(1, Ordering::Relaxed) < 4)
            .then(|| Fault::Answer(Reply::error(429, "TOOMANYREQUESTS", "slower")))
    });
    push_noise(&registry, 5_000_000, Compression::None);
    assert!(registry.count("PATCH") > 1);
}

/// Row 5: an upload that the registry forgot begins again, within the tries.
#[rstest]
fn uploads_that_are_forgotten_begin_again(
    #[values("PATCH", "PUT")] method: &'static str,
    #[values(1, 2, 100)] times: usize,
) {
    let forgotten = AtomicUsize::new(0);
    let registry = FakeRegistry::start(move |seen| {
        let is_meant = seen.method == method && seen.target.contains("/uploads/");
        let answer = || Reply::error(404, "BLOB_UPLOAD_UNKNOWN", "no such upload");
        (is_meant && forgotten.fetch_add(1, Ordering::Relaxed) < times)
            .then(|| Fault::Answer(answer()))
    });
    if times < 100 {
        return push_noise(&registry, 5_000_000, Compression::None);
    }
    let image = image(vec![large()]);
    let (message, _) = failure(push_to(&registry.host, &image, &options()));
    assert!(message.contains("BLOB_UPLOAD_UNKNOWN"), "{message}");
    assert!(message.contains("tries"), "{message}");
    assert_eq!(registry.open_uploads(), 0);
}

/// A registry that answers before it has everything has not got it.
#[test]
fn an_early_yes_is_no_yes() {
    let registry = FakeRegistry::start(|seen| {
        is_large_patch(seen)
            .then(|| Fault::Answer(Reply::new(202).header("location", seen.target.clone())))
    });
    let image = image(vec![large()]);
    let result = push_to(&registry.host, &image, &options());
    assert!(result.is_err());
    assert_eq!(registry.manifest("tag"), None);
    assert_eq!(registry.open_uploads(), 0);
}

/// Row 1 of strangers' registries: an answer that comes in place of `100 Continue` or in the middle of a body,
/// from a server that then neither reads nor hangs up, is heard at once; on the first request of a connection
/// and on later ones.
#[rstest]
fn early_answers_are_heard_at_once(
    #[values(429, 503, 413, 401)] status: u16,
    #[values(0, 500_000)] after: usize,
    #[values(true, false)] is_first: bool,
    #[values(Compression::None, Compression::ZSTD)] compression: Compression,
) {
    let answered = AtomicUsize::new(0);
    let registry = FakeRegistry::start(move |seen| {
        if is_large_patch(seen) {
            let reply =
                Reply::error(status, "TOOMANYREQUESTS", "slower").header("retry-after", "0");
            let is_early = answered.fetch_add(1, Ordering::Relaxed) == 0;
            return is_early.then_some(Fault::Early(after, reply));
        }
        let close = |answer: &mut Reply| {
            let header = ("connection".to_owned(), "close".to_owned());
            answer.headers.push(header);
        };
        is_first.then(|| Fault::Lie(Box::new(close)))
    });
    let image = image(vec![MemoryLayer::new(noise(24_000_000))]);
    let reference = Reference::parse(&format!("{}/name:tag", registry.host)).unwrap();
    let start = Instant::now();
    let pushed = push(
        &image,
        &reference,
        &options(),
        &compressed(compression),
        Context::silent(),
    );
    let took = start.elapsed();
    match status {
        // Without a challenge, nothing answers it.
        401 => {
            let message = pushed.unwrap_err().to_string();
            assert!(message.contains("401"), "{message}");
        }
        _ => drop(pushed.unwrap()),
    }
    assert!(took < Duration::from_secs(20), "{took:?}");
}

/// The same for the PUT of a manifest and its like, which are sent without asking.
#[test]
fn early_answers_to_manifests_are_heard_at_once() {
    let answered = AtomicUsize::new(0);
    let registry = FakeRegistry::start(move |seen| {
        let is_manifest = seen.method == "PUT" && seen.target.contains("/manifests/");
        let reply = Reply::error(429, "TOOMANYREQUESTS", "slower").header("retry-after", "0");
        let is_early = is_manifest && answered.fetch_add(1, Ordering::Relaxed) == 0;
        is_early.then_some(Fault::Early(0, reply))
    });
    let start = Instant::now();
    push_noise(&registry, 10_000, Compression::None);
    assert!(start.elapsed() < Duration::from_secs(20));
}

/// An answer in pieces, one with more headers, and one after others that say nothing.
#[rstest]
#[case::in_pieces(&["HTTP/1.1 42", "9 X\r\nretry-after: 0\r\n", "content-length: 3\r\n\r\na", "bc"])]
#[case::after_hints(&["HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 429 X\r\ncontent-length: 0\r\n\r\n"])]
#[case::in_chunks(&["HTTP/1.1 429 X\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"])]
#[case::consent_with_headers(&["HTTP/1.1 100 Continue\r\nx: y\r\n\r\n"])]
fn early_answers_have_many_forms(#[case] pieces: &'static [&'static str]) {
    let answered = AtomicUsize::new(0);
    let registry = FakeRegistry::start(move |seen| {
        let is_early = is_large_patch(seen) && answered.fetch_add(1, Ordering::Relaxed) == 0;
        is_early.then_some(Fault::Say(pieces))
    });
    let start = Instant::now();
    push_noise(&registry, 6_000_000, Compression::None);
    assert!(start.elapsed() < Duration::from_secs(20));
}

/// Of a layer that was compressed and whose last answer was lost, it is asked whether it is there.
#[test]
fn a_lost_answer_to_a_compressed_layer_is_no_second_upload() {
    let lost = AtomicUsize::new(0);
    let registry = FakeRegistry::start(move |seen| {
        let is_end = seen.method == "PUT" && seen.target.contains("/uploads/");
        (is_end && lost.fetch_add(1, Ordering::Relaxed) < 2).then_some(Fault::Forget)
    });
    push_noise(&registry, 5_000_000, Compression::ZSTD);
    assert_eq!(registry.count("PATCH"), 1);
}

/// The layer is not the promised one, and was compressed: nothing is kept.
#[rstest]
fn a_compressed_layer_that_changed_is_not_kept(
    #[values(Compression::GZIP, Compression::ZSTD)] compression: Compression,
    #[values(100_000, 6_000_000)] length: usize,
) {
    let registry = FakeRegistry::start(|_| None);
    let image = image(vec![MemoryLayer::broken(
        &noise(length),
        &noise(length + 1),
    )]);
    let reference = Reference::parse(&format!("{}/name:tag", registry.host)).unwrap();
    let what = compressed(compression);
    let error = push(&image, &reference, &options(), &what, Context::silent()).unwrap_err();
    assert!(error.to_string().starts_with("layer in memory"), "{error}");
    assert_eq!(registry.open_uploads(), 0);
    assert_eq!(registry.manifest("tag"), None);
    let config = image.manifest.config.digest;
    let ended = registry
        .seen()
        .into_iter()
        .filter(|seen| seen.method == "PUT" && !seen.target.contains(&config.hex()));
    assert_eq!(ended.count(), 0);
}
