//! What is attached to images: the section on referrers of the OCI distribution specification 1.1, sentence by
//! sentence, on a registry that lists referrers and on one that does not (docker-registry 2.8).

use rstest::rstest;
use serde_json::{Value, json};
use strata_image::Image;
use strata_oci::{Artifact, Descriptor, Digest, Reference, Referrers, media_type};
use strata_progress::Context;
use strata_referrers::{Attachment, attach, copy, list};
use strata_registry::Repository;
use strata_testing::fake_registry::{FakeRegistry, Fault, Reply};
use strata_testing::memory_image::{MemoryLayer, image};
use strata_testing::pushing::{options, uncompressed};
use strata_testing::registry::{Registry, Setup};

use crate::keys::Keys;
use crate::program::{attached, build, push, said, strata, told};

/// An image in the repository `NAME` of a registry, and the repository to write to.
fn repository(host: &str, name: &str) -> (Repository, Descriptor) {
    let image = image(vec![MemoryLayer::new("one")]);
    let reference = push_as(&image, &format!("{host}/{name}:1"));
    let repository = Repository::to_write(&reference, &options(), Context::silent()).unwrap();
    (repository, image.manifest_descriptor)
}

fn push_as(image: &Image, name: &str) -> Reference {
    let reference = Reference::parse(name).unwrap();
    let context = Context::silent();
    strata_registry::push(image, &reference, &options(), &uncompressed(), context).unwrap();
    reference
}

fn document(text: &str) -> Attachment {
    Attachment::new("application/vnd.example+json", text.as_bytes().to_vec())
}

fn listed(repository: &Repository, subject: &Descriptor, kind: Option<&str>) -> Vec<Digest> {
    let found = list(repository, &subject.digest, kind, Context::silent()).unwrap();
    found.into_iter().map(|referrer| referrer.digest).collect()
}

/// Whether the registry lists referrers.
#[rstest]
#[case::listed(true)]
#[case::by_tag(false)]
fn what_is_attached_is_found(#[case] lists: bool) {
    let fake = FakeRegistry::start(|_| None);
    let real = (!lists).then(|| Registry::start(Setup::default()));
    if lists {
        fake.list_referrers(2);
    }
    let host = real.as_ref().map_or(&fake.host, |real| &real.host);
    let (repository, subject) = repository(host, "name");
    let context = Context::silent();
    assert!(listed(&repository, &subject, None).is_empty());
    let mut expected = Vec::new();
    for text in ["{}", "[1]", "[2]", "[3]", "[4]"] {
        let referrer = attach(&repository, &subject, &document(text), context).unwrap();
        expected.push(referrer.digest);
    }
    let mut other = Attachment::new("text/plain", b"text".to_vec());
    other.annotations.insert("a".to_owned(), "b".to_owned());
    let other = attach(&repository, &subject, &other, context).unwrap();
    // Once, however often it is attached.
    let again = attach(&repository, &subject, &document("{}"), context).unwrap();
    assert_eq!(again.digest, expected[0]);
    let mut found = listed(&repository, &subject, Some("application/vnd.example+json"));
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    let all = list(&repository, &subject.digest, None, context).unwrap();
    assert_eq!(all.len(), 6);
    let entry = all.iter().find(|it| it.digest == other.digest).unwrap();
    // "All annotations from the pushed manifest MUST be copied to this descriptor."
    assert_eq!(entry.annotations["a"], "b");
    assert_eq!(entry.artifact_type, "text/plain");
    // The manifest is as the specification wants it.
    let found = repository
        .document(&other.digest.to_string(), context)
        .unwrap();
    let artifact: Artifact = serde_json::from_slice(&found.unwrap().bytes).unwrap();
    assert_eq!(artifact.config.media_type, media_type::EMPTY);
    assert_eq!(artifact.config.digest, Digest::of(b"{}"));
    assert_eq!(artifact.subject.unwrap().digest, subject.digest);
    let blob = repository.blob(&artifact.layers[0], context).unwrap();
    assert_eq!(blob, b"text");
    // "sha256-.." is a tag where there is no list, and nothing where there is one.
    let tag = repository.document(&Referrers::tag(&subject.digest), context);
    assert_eq!(tag.unwrap().is_some(), !lists);
}

/// "If that pull returns a manifest other than the expected image index, the client SHOULD report a failure".
#[test]
fn what_is_no_list_is_left_alone() {
    let registry = Registry::start(Setup::default());
    let (repository, subject) = repository(&registry.host, "name");
    let image = image(vec![MemoryLayer::new("two")]);
    let tag = Referrers::tag(&subject.digest);
    push_as(&image, &format!("{}/name:{tag}", registry.host));
    let context = Context::silent();
    let error = attach(&repository, &subject, &document("{}"), context).unwrap_err();
    assert!(error.to_string().contains("not an index"), "{error}");
    let kept = repository.document(&tag, context).unwrap().unwrap();
    assert_eq!(kept.digest, image.manifest_descriptor.digest);
}

/// Somebody else writes the same list after it was read: what was added is added again.
#[test]
fn a_list_that_others_write_meanwhile_keeps_both() {
    use std::sync::{Arc, Mutex};
    let stale: Arc<Mutex<Vec<Option<Vec<u8>>>>> = Arc::default();
    let answers = Arc::clone(&stale);
    let registry = FakeRegistry::start(move |seen| {
        let is_list = seen.method == "GET" && seen.target.contains("/manifests/sha256-");
        let list = is_list.then(|| answers.lock().unwrap().pop()).flatten()??;
        Some(Fault::Answer(Reply::new(200).body(list)))
    });
    let (repository, subject) = repository(&registry.host, "name");
    let context = Context::silent();
    let first = attach(&repository, &subject, &document("[1]"), context).unwrap();
    let before = registry.manifest(&Referrers::tag(&subject.digest));
    let puts = registry.count("PUT");
    // The first time it is read it is what it is, and the second time what somebody else wrote.
    *stale.lock().unwrap() = vec![before, None];
    let second = attach(&repository, &subject, &document("[2]"), context).unwrap();
    let mut found = listed(&repository, &subject, None);
    found.sort();
    let mut expected = vec![first.digest, second.digest];
    expected.sort();
    assert_eq!(found, expected);
    // A blob, the manifest, the list, and the list again.
    assert_eq!(registry.count("PUT") - puts, 4);
}

/// "If filtering is requested and applied, the response MUST include a header"; one that does not is filtered here.
#[test]
fn answers_that_are_not_filtered_are_sorted_out() {
    let registry = FakeRegistry::start(|seen| {
        let asks = seen.target.contains("artifactType=");
        (asks && seen.target.contains("/referrers/")).then(|| {
            let list = json!({
                "schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": [
                    { "mediaType": media_type::MANIFEST, "digest": Digest::of(b"a"), "size": 1,
                      "artifactType": "a/b" },
                    { "mediaType": media_type::MANIFEST, "digest": Digest::of(b"c"), "size": 1 },
                ],
            });
            Fault::Answer(Reply::new(200).body(list.to_string()))
        })
    });
    let (repository, subject) = repository(&registry.host, "name");
    assert_eq!(
        listed(&repository, &subject, Some("a/b")),
        [Digest::of(b"a")]
    );
    // A plus sign is none in a query.
    listed(&repository, &subject, Some("a/b+json"));
    let asked = registry.seen();
    assert!(
        asked
            .iter()
            .any(|seen| seen.target.ends_with("artifactType=a%2Fb%2Bjson"))
    );
}

/// "the digest of the manifest need not exist": what is attached to nothing is an error of ours, with the name.
#[test]
fn nothing_is_attached_to_nothing() {
    let registry = Registry::start(Setup::default());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.json");
    std::fs::write(&file, "{}").unwrap();
    let name = format!("{}/name:1", registry.host);
    let file = file.display().to_string();
    let output = strata(&["attach", &name, &file, "--type=a/b"]);
    assert!(!output.status.success());
    assert!(said(&output).contains("no such image"), "{}", said(&output));
    let output = strata(&["attach", &name, &file]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
}

#[test]
fn a_copy_attaches_what_it_is_asked_for() {
    let registry = Registry::start(Setup::default());
    let image = build("hello");
    let name = format!("{}/app:1", registry.host);
    let pushed = push(&image, &name, &["--attach=sbom,provenance"]);
    let found = attached(&name);
    let kinds: Vec<&str> = found.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(
        kinds,
        [
            "application/vnd.cyclonedx+json",
            "application/spdx+json",
            "application/vnd.in-toto+json"
        ]
    );
    let (_, digest) = pushed.split_once('@').unwrap();
    assert!(found.iter().all(|(_, it)| it["subject"] == digest));
    let text = told(&[
        "referrers",
        &name,
        "--type=application/vnd.cyclonedx+json",
        "--read",
    ]);
    let bill: Value = serde_json::from_str(&text).unwrap();
    let purl = bill["metadata"]["component"]["purl"].as_str().unwrap();
    // The bill is of the image as the registry has it.
    assert!(purl.contains(digest), "{purl}");
    let components = bill["components"].as_array().unwrap();
    assert!(components.iter().any(|it| it["name"] == "planted"));
    // Again the same, which is there.
    push(&image, &name, &["--attach=sbom,provenance"]);
    assert_eq!(attached(&name), found);
    let elsewhere = strata(&[
        "copy",
        &image.image.display().to_string(),
        "oci:x",
        "--attach=sbom",
    ]);
    assert_eq!(elsewhere.status.code(), Some(2));
    assert!(said(&elsewhere).contains("--attach is about copies to a registry"));
}

/// From a registry that lists referrers to one that does not, and what refers to a referrer.
#[test]
fn what_belongs_to_an_image_is_copied_along() {
    let from = FakeRegistry::start(|_| None);
    from.list_referrers(9);
    let to = Registry::start(Setup::default());
    let (source, subject) = repository(&from.host, "name");
    let (target, same) = repository(&to.host, "elsewhere");
    assert_eq!(subject.digest, same.digest);
    let context = Context::silent();
    let bill = attach(&source, &subject, &document("{}"), context).unwrap();
    let about = attach(&source, &bill.descriptor(), &document("[1]"), context).unwrap();
    let count = copy(&source, &target, &subject.digest, context).unwrap();
    assert_eq!(count, 2);
    assert_eq!(listed(&target, &subject, None), [bill.digest]);
    assert_eq!(listed(&target, &bill.descriptor(), None), [about.digest]);
}

/// cosign 3.1 names the type of the config in the list under the tag, which is empty; the manifest knows better.
#[test]
fn a_list_of_cosign_is_understood() {
    let registry = Registry::start(Setup::default());
    let (repository, subject) = repository(&registry.host, "name");
    let context = Context::silent();
    let attached = attach(&repository, &subject, &document("{}"), context).unwrap();
    let tag = Referrers::tag(&subject.digest);
    let mut list = repository.document(&tag, context).unwrap().unwrap().bytes;
    list = String::from_utf8(list)
        .unwrap()
        .replace("application/vnd.example+json", media_type::EMPTY)
        .into_bytes();
    let descriptor = Descriptor::of(media_type::INDEX, &list);
    repository
        .put_document(&tag, &descriptor, &list, context)
        .unwrap();
    let found = listed(&repository, &subject, Some("application/vnd.example+json"));
    assert_eq!(found, [attached.digest]);
}

/// From registry to registry, the image keeps its digest and what belongs to it.
#[test]
fn a_copy_between_registries_brings_all_along() {
    let (from, to) = (
        Registry::start(Setup::default()),
        Registry::start(Setup::default()),
    );
    let keys = Keys::new();
    let name = format!("{}/app:1", from.host);
    let sign = format!("--sign-by-key={}", keys.private());
    let pushed = push(&build("hello"), &name, &["--attach=sbom,provenance", &sign]);
    let (_, digest) = pushed.split_once('@').unwrap();
    let target = format!("{}/elsewhere:2", to.host);
    let source = format!("docker://{name}");
    let copied = told(&["copy", &source, &format!("docker://{target}"), "--no-cache"]);
    assert_eq!(copied.trim(), format!("{target}@{digest}"));
    let mut found = attached(&target);
    let mut expected = attached(&name);
    for list in [&mut found, &mut expected] {
        list.sort_by_key(|(_, it)| it["digest"].to_string());
    }
    assert_eq!(found.len(), 7);
    assert_eq!(found, expected);
    let tag = format!("{}.sig", digest.replace(':', "-"));
    let reference = Reference::parse(&target).unwrap();
    let there = Repository::to_read(&reference, &options(), Context::silent()).unwrap();
    assert!(there.document(&tag, Context::silent()).unwrap().is_some());
    // Unless it is to stay behind.
    let bare = format!("{}/bare:1", to.host);
    told(&[
        "copy",
        &source,
        &format!("docker://{bare}"),
        "--no-cache",
        "--no-referrers",
    ]);
    assert!(attached(&bare).is_empty());
}
