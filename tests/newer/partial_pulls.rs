//! podman 5.4 fetches what it does not have of a layer, file by file and chunk by chunk.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rstest::rstest;
use strata_image::Image;
use strata_oci::{Compression, Reference};
use strata_progress::Context;
use strata_registry::push;
use strata_testing::fake_store::FakeStore;
use strata_testing::pushing::{compressed, options};
use strata_testing::registry::{Registry, Setup};

use crate::closure::{APPLICATION, Change, LIBC, LIBRARY, build};
use crate::counted::Counted;
use crate::debian::Place;

pub fn push_as(image: &Image, host: &str, tag: &str) {
    let reference = Reference::parse(&format!("{host}/name:{tag}")).unwrap();
    let options = (options(), compressed(Compression::ZSTD_CHUNKED));
    push(image, &reference, &options.0, &options.1, Context::silent()).unwrap();
}

/// All commands of podman have a store of their own.
const ENTER: &str = "export CONTAINERS_STORAGE_CONF=$PWD/storage.conf
podman() { command podman --tmpdir \"${CONTAINERS_STORAGE_CONF%/*}/tmp\" \"$@\"; }
";

/// Has podman fetch an image; it says that it does so in parts.
fn pull(place: &Place, image: &str) {
    let script = "podman --log-level=debug pull --tls-verify=false \"$1\" 2>&1";
    let log = place.run_well(&format!("{ENTER}{script}"), &[image]);
    assert!(log.contains("Retrieved partial blob"), "{log}");
}

/// A place where podman fetches parts, as its configuration says.
fn with_podman() -> Place {
    let place = Place::new();
    fs::write(
        place.path().join("storage.conf"),
        format!(
            "[storage]\ndriver = \"overlay\"\nrunroot = \"{0}/run\"\ngraphroot = \"{0}/graph\"\n\
             [storage.options.pull_options]\nenable_partial_images = \"true\"\n",
            place.name()
        ),
    )
    .unwrap();
    place
}

/// Whether the files of an image are these; it and all others are gone afterwards.
fn check_files(place: &Place, image: &str, sums: &[String]) {
    let script = "mounted=$(podman image mount \"$1\")
        cd \"$mounted\"
        find . -type f -print0 | sort -z | xargs -0 sha256sum
        cd /
        podman image umount --all >&2
        podman system reset --force >&2";
    let found = place.run_well(&format!("{ENTER}{script}"), &[image]);
    let mut found: Vec<&str> = found.lines().collect();
    found.sort_unstable();
    let other = found.iter().zip(sums).find(|(found, sum)| found != sum);
    assert_eq!((found.len(), other), (sums.len(), None));
}

#[rstest]
#[case::cascade(Change { rebuilt: Some(LIBC), ..Change::default() })]
#[case::security_update(Change { rebuilt: Some(LIBRARY), replaced: Some(LIBRARY), ..Change::default() })]
#[case::new_release(Change { rebuilt: Some(APPLICATION), replaced: Some(APPLICATION), ..Change::default() })]
#[case::edit(Change { rebuilt: Some(APPLICATION), edited: Some(APPLICATION), ..Change::default() })]
fn what_did_not_change_is_not_fetched(#[case] change: Change) {
    let place = with_podman();
    let registry = Registry::start(Setup::default());
    let mut store = FakeStore::new();
    let (old, new) = (
        build(&mut store, Change::default()),
        build(&mut store, change),
    );
    push_as(&old.image, &registry.host, "old");
    push_as(&new.image, &registry.host, "new");
    let counted = Counted::start(&registry.host);
    let name = |tag: &str| format!("{}/name:{tag}", counted.host);
    pull(&place, &name("old"));
    let blob = counted.take();
    pull(&place, &name("new"));
    let fetched = counted.take();
    println!(
        "{fetched} bytes of {blob} fetched ({} in 10,000), files of {} bytes changed",
        fetched * 10_000 / blob,
        new.changed
    );
    assert!(fetched <= new.changed + blob / 50, "{fetched} of {blob}");
    check_files(&place, &name("new"), &new.sums);
}

/// `strata serve` with one image; it ends when this is dropped.
struct Serving {
    process: Child,
    /// `127.0.0.1:PORT`.
    host: String,
}

impl Serving {
    fn start(image: &Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_strata"))
            .args(["serve", "--quiet", "--listen", "127.0.0.1:0"])
            .arg("--compression=zstd:chunked")
            .arg(image)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut lines = BufReader::new(process.stdout.take().unwrap());
        lines.read_line(&mut line).unwrap();
        let host = line.trim().strip_prefix("http://").unwrap().to_owned();
        Self { process, host }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// It asks for many ranges at once, of a blob that is made for it.
#[test]
fn parts_come_from_strata_serve() {
    let place = with_podman();
    let mut store = FakeStore::new();
    let change = Change {
        rebuilt: Some(LIBC),
        ..Change::default()
    };
    let versions = [Change::default(), change].map(|change| build(&mut store, change));
    let counts = versions.each_ref().map(|version| {
        let serving = Serving::start(&version.path);
        let counted = Counted::start(&serving.host);
        let name = format!("{}/test:latest", counted.host);
        pull(&place, &name);
        (name, counted.take())
    });
    let [(_, blob), (name, fetched)] = counts;
    println!("{fetched} bytes of {blob} fetched from strata serve");
    assert!(fetched <= blob / 50, "{fetched} of {blob}");
    check_files(&place, &name, &versions[1].sums);
}
