//! What a push asks of a registry that is far away: how often it waits for an answer, and how many requests
//! it makes. Requests are the price of layers.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "this is a test"
)]

use strata_testing as support;

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rstest::rstest;
use strata_image::Image;
use strata_oci::{Compression, Descriptor, Digest, Reference};
use strata_progress::{Context, Outcome, Progress};
use strata_registry::{Action, Options, PushOptions, plan, push};
use support::fake_registry::{FakeRegistry, Fault, Reply, Seen};
use support::memory_image::{MemoryLayer, image};
use support::pushing::{compressed, options, with_credentials};
use support::registry::far::{FarRegistry, Token, Trips};
use support::registry::lockstep::Lockstep;
use support::registry::secured::Secured;
use support::registry::{Registry, Setup};

/// Forty-four layers that stay, and one that changes.
fn version(number: u8) -> Image {
    let layers = (0..44_u8).map(|layer| MemoryLayer::new(vec![layer; 1000]));
    let application = MemoryLayer::new(format!("version {number}"));
    image(layers.chain([application]).collect())
}

fn push_to(host: &str, name: &str, image: &Image, options: &Options, what: &PushOptions) {
    let reference = Reference::parse(&format!("{host}/{name}")).unwrap();
    push(image, &reference, options, what, Context::silent()).unwrap();
}

fn cached(directory: &Path) -> PushOptions {
    PushOptions {
        cache: Some(directory.to_owned()),
        ..PushOptions::default()
    }
}

/// A real registry, and the way to it.
struct Far {
    _registry: Registry,
    far: FarRegistry,
}

impl Far {
    fn start(wants_token: bool) -> Self {
        let registry = Registry::start(Setup::default());
        let far = FarRegistry::start(&registry.host, wants_token);
        Self {
            _registry: registry,
            far,
        }
    }

    fn push(&self, name: &str, image: &Image, what: &PushOptions) -> Trips {
        self.far.take();
        push_to(&self.far.host, name, image, &options(), what);
        self.far.take()
    }
}

/// From a machine without a cache and from one with.
#[rstest]
fn a_push_waits_a_few_times(
    #[values(false, true)] wants_token: bool,
    #[values(false, true)] has_cache: bool,
) {
    let far = Far::start(wants_token);
    let directory = tempfile::tempdir().unwrap();
    let what = if has_cache {
        cached(directory.path())
    } else {
        PushOptions::default()
    };
    // The refusal, and the token.
    let login = if wants_token { 2 } else { 0 };

    // What is there, the tags, three times sixteen blobs in two requests each, the manifest.
    let first = far.push("name:tag", &version(0), &what);
    assert_eq!(
        ["POST", "PUT"].map(|method| first.count(method, "")),
        [46, 47]
    );
    let waited = first.round_trips - login;
    assert!((5..=9).contains(&waited), "{waited}: {:?}", first.requests);

    let again = far.push("name:tag", &version(0), &what);
    assert_eq!(again.round_trips, 1 + login, "{:?}", again.requests);
    for (method, part) in [
        ("POST", ""),
        ("PUT", ""),
        ("GET", "/blobs/"),
        ("GET", "/v2/ "),
    ] {
        assert_eq!(
            again.count(method, part),
            0,
            "{method}: {:?}",
            again.requests
        );
    }
    let tokens = again.count("GET", "/token");
    assert_eq!(tokens, usize::from(wants_token), "one for everything");

    // The same under another name: it is known by its digest where its name is known.
    let other = far.push("name:other", &version(0), &what);
    assert_eq!(other.count("PUT", ""), 1, "{:?}", other.requests);
    if has_cache {
        assert_eq!(other.round_trips, 2 + login, "{:?}", other.requests);
    }

    // What is there, what its layers are beside the beginning of two uploads, whether they are there beside the
    // ends of both, the manifest.
    let edit = far.push("name:tag", &version(1), &what);
    assert_eq!(edit.round_trips, 4 + login, "{:?}", edit.requests);
    // Each blob that may be there; the config twice where the first time was refused.
    let asked = 45 + usize::from(wants_token);
    assert_eq!(edit.count("HEAD", "/blobs/"), asked, "{:?}", edit.requests);
    assert_eq!(["POST", "PUT"].map(|method| edit.count(method, "")), [2, 3]);
    assert_eq!(
        ["PATCH", "DELETE"].map(|method| edit.count(method, "")),
        [0, 0]
    );
}

/// Remembers how each blob ended.
#[derive(Default)]
struct Outcomes(Mutex<Vec<Outcome>>);

impl Progress for Outcomes {
    fn finish(&self, _: &Descriptor, outcome: Outcome) {
        self.0.lock().unwrap().push(outcome);
    }
}

/// A fleet has a repository for each image: what went to one is mounted in the next by itself.
#[rstest]
fn what_one_repository_has_another_gets(
    #[values(Compression::None, Compression::GZIP)] compression: Compression,
) {
    let far = Far::start(true);
    let directory = tempfile::tempdir().unwrap();
    let what = PushOptions {
        compression: Some(compression),
        ..cached(directory.path())
    };
    far.push("team/one:1", &version(0), &what);

    let reference = Reference::parse(&format!("{}/team/two:1", far.far.host)).unwrap();
    let outcomes = Outcomes::default();
    let context = Context::silent().watched_by(&outcomes);
    let planned = plan(&version(0), &reference, &options(), &what, context).unwrap();
    let from = "team/one".to_owned();
    let mounted = Action::Mounted { from };
    let actions = planned.layers.iter().map(|layer| &layer.action);
    assert!(
        actions.clone().all(|action| *action == mounted),
        "a dry run says so"
    );

    far.far.take();
    push(&version(0), &reference, &options(), &what, context).unwrap();
    let trips = far.far.take();
    assert_eq!(
        trips.count("POST", "from=team%2Fone"),
        46,
        "{:?}",
        trips.requests
    );
    assert_eq!(trips.count("PUT", "/uploads/"), 0);
    assert_eq!(trips.count("GET", "/token"), 1, "{:?}", trips.requests);
    let scope = trips.count("GET", "scope=repository%3Ateam%2Fone%3Apull");
    assert_eq!(scope, 1, "{:?}", trips.requests);
    let mut outcomes = outcomes.0.into_inner().unwrap();
    assert_eq!(outcomes.pop(), Some(Outcome::Copied), "the manifest");
    assert_eq!(outcomes, [Outcome::Mounted; 46]);
}

/// Nobody is told of repositories that are not theirs to know.
#[test]
fn mounts_cross_neither_registries_nor_users() {
    let [one, other] = [0, 1].map(|_| FakeRegistry::start(|_| None));
    let directory = tempfile::tempdir().unwrap();
    let what = cached(directory.path());
    let [ours, theirs] = ["us:x", "them:x"].map(with_credentials);
    push_to(&one.host, "one:1", &version(0), &ours, &what);
    let mounts = |registry: &FakeRegistry| {
        let seen = registry.seen().into_iter();
        seen.filter(|seen| seen.target.contains("mount=")).count()
    };
    for (registry, options) in [
        (&one, &theirs),
        (&other, &ours),
        (&one, &support::pushing::options()),
    ] {
        registry.lose_all_blobs();
        push_to(&registry.host, "two:1", &version(0), options, &what);
        assert_eq!(mounts(registry), 0);
    }
    one.lose_all_blobs();
    push_to(&one.host, "two:2", &version(0), &ours, &what);
    assert!(mounts(&one) > 0);
}

/// A 500 was asked six times once, for half a minute.
#[rstest]
fn a_mount_that_fails_is_tried_once(#[values(500, 503, 429, 404, 405, 202, 200)] status: u16) {
    let registry = FakeRegistry::start(move |seen| {
        let is_mount = seen.target.contains("mount=");
        let retry = Reply::new(status).header("retry-after", "30");
        (is_mount && status != 202).then_some(Fault::Answer(retry))
    });
    let directory = tempfile::tempdir().unwrap();
    let what = cached(directory.path());
    push_to(&registry.host, "one:1", &version(0), &options(), &what);
    registry.lose_all_blobs();
    registry.forget_requests();
    let start = Instant::now();
    push_to(&registry.host, "two:1", &version(0), &options(), &what);
    assert!(start.elapsed() < Duration::from_secs(10));
    let mounts = registry.seen().into_iter();
    let mut mounts: Vec<String> = mounts
        .filter(|seen| seen.target.contains("mount="))
        .map(|seen| seen.target)
        .collect();
    mounts.sort();
    let count = mounts.len();
    mounts.dedup();
    assert_eq!(mounts.len(), count, "each blob once");
    assert!(count > 0);
    assert_eq!(registry.open_uploads(), 0);
    if status == 202 {
        assert_eq!(
            registry.count("POST"),
            46,
            "the uploads that mounts opened are used"
        );
    }
}

/// Issue 11: `--jobs` limits also what is sent at once.
#[rstest]
fn jobs_limit_uploads(#[values(1, 3)] jobs: usize) {
    let now = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let seen_now = Arc::clone(&now);
    let registry = FakeRegistry::start(move |seen: &Seen| {
        if seen.method == "PUT" && seen.target.contains("/uploads/") {
            let [now, most] = &*seen_now;
            most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(10));
            now.fetch_sub(1, Ordering::Relaxed);
        }
        None
    });
    let what = PushOptions {
        jobs: NonZeroUsize::new(jobs),
        ..compressed(Compression::None)
    };
    push_to(&registry.host, "name:tag", &version(0), &options(), &what);
    assert_eq!(now[1].load(Ordering::Relaxed), jobs);
}

/// A registry that wants every blob in a `PATCH` gets it so.
#[test]
fn a_registry_may_want_patches() {
    let registry = FakeRegistry::start(|seen| {
        let has_body = seen.header("content-length") != "0" && seen.target.contains("/uploads/");
        (seen.method == "PUT" && has_body)
            .then(|| Fault::Answer(Reply::error(400, "UNSUPPORTED", "send it before")))
    });
    let image = version(0);
    let what = compressed(Compression::None);
    push_to(&registry.host, "name:tag", &image, &options(), &what);
    assert_eq!(registry.manifest("tag"), Some(image.manifest_bytes));
    assert_eq!(
        registry.blob(&Digest::of(b"version 0")).unwrap(),
        b"version 0"
    );
    assert_eq!(registry.open_uploads(), 0);
}

/// How a registry is reached.
#[derive(Clone, Copy)]
enum Way {
    Plain,
    Tls,
    /// And a token, which it gives itself.
    Token,
    /// And a token, which another server gives, as with Docker Hub.
    TokenFromElsewhere,
}

/// Issue 12, "with Bearer and TLS at most 4 more": through a network in which handshakes count, too. TLS is one more, or two
/// where connections are opened later, for more requests at once; a token two, and the connection to another server that
/// gives it two again.
#[rstest]
#[case::plain(Way::Plain, [11, 2, 6])]
#[case::tls(Way::Tls, [13, 3, 8])]
#[case::token(Way::Token, [15, 5, 10])]
#[case::token_from_elsewhere(Way::TokenFromElsewhere, [17, 7, 12])]
fn tls_and_a_token_cost_little(#[case] way: Way, #[case] most: [usize; 3]) {
    let registry = Registry::start(Setup::default());
    let network = Lockstep::start();
    let giver = Secured::start(&FarRegistry::near(&registry.host, None).host);
    let token = match way {
        Way::Plain | Way::Tls => None,
        Way::Token => Some(Token::Here),
        Way::TokenFromElsewhere => {
            let host = network.way_to(&giver.host);
            Some(Token::At(format!("https://{host}/token")))
        }
    };
    let secured = Secured::start(&FarRegistry::near(&registry.host, token).host);
    let trusted = tempfile::tempdir().unwrap();
    for (name, one) in [("registry.crt", &secured), ("token.crt", &giver)] {
        let authority = one.certificates().join("ca.crt");
        std::fs::copy(authority, trusted.path().join(name)).unwrap();
    }
    let options = Options {
        certificate_directory: Some(trusted.path().to_owned()),
        ..options()
    };
    let host = network.way_to(match way {
        Way::Plain => &registry.host,
        Way::Tls | Way::Token | Way::TokenFromElsewhere => &secured.host,
    });
    // The first push, the same again, an edit.
    let counts = [0, 0, 1].map(|number| {
        network.round_trips();
        let what = PushOptions::default();
        push_to(&host, "name:tag", &version(number), &options, &what);
        network.round_trips()
    });
    println!("{counts:?}");
    let is_more = counts.iter().zip(most).any(|(count, most)| *count > most);
    assert!(!is_more, "{counts:?}");
}
