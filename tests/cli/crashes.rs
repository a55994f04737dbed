//! Copies that are killed: the destination is the old one or the new one, never between.
//!
//! `kill -9` at moments spread over the time that a copy takes, and, by strace, before each system
//! call that changes names or waits for the disk.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use strata_testing as support;

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rstest::rstest;
use serde_json::{Value, json};
use strata_oci::Digest;
use support::fake_store::{FakeStore, Item, read_json};
use support::registry::run;
use tempfile::TempDir;

/// How often each form of destination is killed; 200 times in all.
const KILLS: u32 = 40;
/// The moments are random within their share of the time. Another number, other moments.
const SEED: u64 = 4;

/// What a copy is made to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    /// A layout that is not there yet.
    NewLayout,
    /// An empty directory that becomes a layout.
    EmptyLayout,
    /// A layout with an image of the same name and one of another.
    Layout,
    /// An archive that is there already.
    Archive,
    /// skopeo's directory, with another image in it.
    Directory,
}

/// Images in a store of temporary files: an old and a new one that share a layer.
struct Scene {
    /// Goes with the scene.
    _store: FakeStore,
    old: PathBuf,
    new: PathBuf,
    directory: TempDir,
}

impl Scene {
    /// Images with so many bytes that they share and so many that they do not.
    fn new(bytes: usize) -> Self {
        let mut store = FakeStore::new();
        let shared = store.add("shared", &[Item::Directory("d")], &[]);
        let file = store.locate(&shared).join("d/file");
        fs::write(file, noise(0, bytes)).unwrap();
        store.register(&shared, &[]);
        let old = image(&mut store, "old", &shared, bytes);
        let new = image(&mut store, "new", &shared, bytes);
        Self {
            _store: store,
            old,
            new,
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn place(&self) -> PathBuf {
        self.directory.path().join("place")
    }

    fn destination(&self, form: Form) -> String {
        let path = self.place().join("copy").display().to_string();
        match form {
            Form::NewLayout | Form::EmptyLayout | Form::Layout => format!("oci:{path}:name"),
            Form::Archive => format!("docker-archive:{path}:name:v1"),
            Form::Directory => format!("dir:{path}"),
        }
    }

    /// Makes the destination as it is before the copy that is killed.
    fn prepare(&self, form: Form) {
        let place = self.place();
        if place.exists() {
            fs::remove_dir_all(&place).unwrap();
        }
        fs::create_dir(&place).unwrap();
        let path = place.join("copy");
        match form {
            Form::NewLayout => {}
            Form::EmptyLayout => fs::create_dir(&path).unwrap(),
            Form::Layout => {
                copy(&self.old, &format!("oci:{}:other", path.display()));
                copy(&self.old, &self.destination(form));
            }
            Form::Archive | Form::Directory => copy(&self.old, &self.destination(form)),
        }
    }

    /// Whether the new image is there; panics unless the destination is wholly the old or the new one.
    #[track_caller]
    fn is_new(&self, form: Form) -> bool {
        let copy = self.place().join("copy");
        let old = (form != Form::NewLayout && form != Form::EmptyLayout).then(|| digest(&self.old));
        let found = match form {
            Form::NewLayout if !copy.exists() => None,
            // A directory without an index is no layout for anybody.
            Form::EmptyLayout if !copy.join("index.json").exists() => None,
            Form::NewLayout | Form::EmptyLayout | Form::Layout => {
                let images = read_layout(&copy);
                if form == Form::Layout {
                    assert_eq!(images.len(), 2, "{images:?}");
                    assert!(images.contains(&("other".to_owned(), digest(&self.old))));
                }
                images
                    .into_iter()
                    .find(|image| image.0 == "name")
                    .map(|image| image.1)
            }
            Form::Archive => Some(read_archive(&copy)),
            Form::Directory => Some(read_directory(&copy)),
        };
        assert!(
            found == old || found == Some(digest(&self.new)),
            "{form:?} has {found:?}"
        );
        found != old
    }

    /// What lies beside the destination or in it, because nobody removed it.
    fn leavings(&self) -> BTreeSet<PathBuf> {
        let place = self.place();
        let names = |directory: &Path| -> Vec<PathBuf> {
            let entries = fs::read_dir(directory).into_iter().flatten();
            entries.map(|entry| entry.unwrap().path()).collect()
        };
        let all = names(&place).into_iter().chain(names(&place.join("copy")));
        all.filter(|path| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with(".strata-")
        })
        .collect()
    }

    /// What a killed copy left is no obstacle to the next one, which removes it.
    #[track_caller]
    fn try_again(&self, form: Form) {
        copy(&self.new, &self.destination(form));
        assert!(self.is_new(form), "{form:?}");
        assert_eq!(self.leavings(), BTreeSet::new(), "{form:?}");
    }
}

fn image(store: &mut FakeStore, name: &str, shared: &str, bytes: usize) -> PathBuf {
    let own = store.add(name, &[Item::Directory("d")], &[]);
    let seed = u64::from(name == "new") + 1;
    fs::write(store.locate(&own).join("d/file"), noise(seed, bytes)).unwrap();
    store.register(&own, &[shared]);
    let mut request = store.image_request();
    request["deps"] = json!([own]);
    request["maxLayers"] = json!(2);
    let output = store.build(&request).unwrap();
    store.locate(&output)
}

/// Numbers that look random and are the same each time (`SplitMix64`).
fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed;
    let numbers = std::iter::repeat_with(|| next(&mut state).to_le_bytes());
    numbers.flatten().take(bytes).collect()
}

fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut number = *state;
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

fn strata(image: &Path, destination: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strata"));
    command
        .args(["copy", "--quiet"])
        .arg(image)
        .arg(destination);
    command
}

fn copy(image: &Path, destination: &str) {
    run(&mut strata(image, destination));
}

fn digest(image: &Path) -> String {
    let text = fs::read_to_string(image.join("digest")).unwrap();
    text.trim_end().to_owned()
}

/// The names and digests of the images in a layout, each of which must have all of its blobs.
fn read_layout(path: &Path) -> Vec<(String, String)> {
    assert_eq!(
        read_json(&path.join("oci-layout"))["imageLayoutVersion"],
        "1.0.0"
    );
    let index = read_json(&path.join("index.json"));
    let manifests = index["manifests"].as_array().unwrap().iter();
    let read = |blob: &str| fs::read(path.join("blobs").join(blob.replace(':', "/"))).unwrap();
    let images = manifests.map(|entry| {
        let name = entry["annotations"]["org.opencontainers.image.ref.name"].as_str();
        check(entry, &read);
        let digest = entry["digest"].as_str().unwrap().to_owned();
        (name.unwrap().to_owned(), digest)
    });
    images.collect()
}

/// The digest of the image in an archive, which must be whole.
fn read_archive(path: &Path) -> String {
    let mut archive = tar::Archive::new(fs::File::open(path).unwrap());
    let mut files = std::collections::BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        files.insert(entry.path().unwrap().display().to_string(), bytes);
    }
    let index: Value = serde_json::from_slice(&files["index.json"]).unwrap();
    check(&index["manifests"][0], &|blob| {
        files[&format!("blobs/{}", blob.replace(':', "/"))].clone()
    });
    index["manifests"][0]["digest"].as_str().unwrap().to_owned()
}

/// The digest of the image in a directory of skopeo, which must be whole.
fn read_directory(path: &Path) -> String {
    let version = fs::read_to_string(path.join("version")).unwrap();
    assert_eq!(version, "Directory Transport Version: 1.1\n");
    let manifest = fs::read(path.join("manifest.json")).unwrap();
    let digest = Digest::of(&manifest).to_string();
    let descriptor = json!({ "digest": digest, "size": manifest.len() });
    check(&descriptor, &|blob| {
        if blob == digest {
            manifest.clone()
        } else {
            fs::read(path.join(blob.trim_start_matches("sha256:"))).unwrap()
        }
    });
    digest
}

/// Reads an image; every blob must have the digest and the size that are said of it.
fn check(descriptor: &Value, read: &dyn Fn(&str) -> Vec<u8>) {
    let checked = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().unwrap();
        let bytes = read(digest);
        assert_eq!(Digest::of(&bytes).to_string(), digest);
        assert_eq!(json!(bytes.len()), descriptor["size"]);
        bytes
    };
    let manifest: Value = serde_json::from_slice(&checked(descriptor)).unwrap();
    checked(&manifest["config"]);
    let layers = manifest["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 2);
    for layer in layers {
        checked(layer);
    }
}

/// Other readers than ours agree that the copy is the image.
fn others_read(scene: &Scene, form: Form) {
    let destination = scene.destination(form);
    let inspect = ["inspect", "--format", "{{.Digest}}", &destination];
    let said = run(Command::new("skopeo").args(inspect));
    // Docker's part of the archive has another manifest.
    if form != Form::Archive {
        assert_eq!(said.trim(), digest(&scene.new));
    }
    if form == Form::Layout {
        let reference = format!("{}:name", scene.place().join("copy").display());
        let bundle = scene.directory.path().join("bundle");
        let unpack = ["unpack", "--rootless", "--image", &reference];
        run(Command::new("umoci").args(unpack).arg(&bundle));
    }
}

#[rstest]
#[case::new_layout(Form::NewLayout)]
#[case::empty_layout(Form::EmptyLayout)]
#[case::layout(Form::Layout)]
#[case::archive(Form::Archive)]
#[case::directory(Form::Directory)]
fn a_copy_that_is_killed_leaves_the_old_or_the_new(#[case] form: Form) {
    let scene = Scene::new(6 << 20);
    let destination = scene.destination(form);
    let mut times: Vec<Duration> = (0..3)
        .map(|_| {
            scene.prepare(form);
            let start = Instant::now();
            copy(&scene.new, &destination);
            start.elapsed()
        })
        .collect();
    times.sort();
    let whole = times[1] + times[1] / 20;

    let mut random = SEED;
    let (mut new, mut left) = (0, 0);
    scene.prepare(form);
    for kill in 0..KILLS {
        // Where the last one did nothing, the destination is as it should be.
        let share = (next(&mut random) % 1000) as u32;
        let moment = whole * (kill * 1000 + share) / (KILLS * 1000);
        let mut child = strata(&scene.new, &destination)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(moment);
        child.kill().unwrap();
        child.wait().unwrap();
        left += u32::from(!scene.leavings().is_empty());
        if scene.is_new(form) {
            new += 1;
            scene.prepare(form);
        } else if kill % 10 == 9 {
            scene.try_again(form);
            scene.prepare(form);
        }
    }
    println!(
        "seed {SEED}: of {KILLS} kills in {whole:?}, {new} after the copy, {left} left something"
    );
    assert!(left > 0, "no copy was killed while it wrote");
    scene.try_again(form);
    others_read(&scene, form);
}

/// Before each of these system calls there may be a state of its own.
const CALLS: [&str; 6] = [
    "mkdirat", "renameat", "fsync", "flock", "fchmod", "unlinkat",
];

#[rstest]
#[case::new_layout(Form::NewLayout)]
#[case::empty_layout(Form::EmptyLayout)]
#[case::layout(Form::Layout)]
#[case::archive(Form::Archive)]
#[case::directory(Form::Directory)]
fn a_copy_may_end_before_any_step(#[case] form: Form) {
    let scene = Scene::new(1000);
    let mut outcomes = BTreeSet::new();
    for call in CALLS {
        for number in 1.. {
            scene.prepare(form);
            let destination = scene.destination(form);
            let command = strata(&scene.new, &destination);
            let inject = format!("inject={call}:signal=SIGKILL:when={number}");
            let mut strace = Command::new("strace");
            strace.args(["-f", "-qqq", "-o", "/dev/null", "-e", &inject]);
            strace.arg(command.get_program()).args(command.get_args());
            let output = strace.output().expect("strace is needed");
            let errors = String::from_utf8_lossy(&output.stderr);
            if output.status.success() {
                assert!(scene.is_new(form));
                break;
            }
            assert_eq!(output.status.signal(), Some(9), "{errors}");
            outcomes.insert((call, scene.is_new(form)));
            scene.try_again(form);
        }
    }
    println!("{form:?}: {outcomes:?}");
    let old = outcomes.iter().filter(|(_, is_new)| !is_new).count();
    assert!(old > 0 && old < outcomes.len(), "{outcomes:?}");
}

/// What is renamed is on the disk then: the names in every directory of it too, without which a machine
/// that fails keeps empty directories.
#[rstest]
#[case::layout("copy", "oci:")]
#[case::directory("copy", "dir:")]
#[case::compressed("compress", "")]
fn names_are_on_the_disk_before_the_rename(#[case] command: &str, #[case] transport: &str) {
    let scene = Scene::new(1000);
    let output = scene.directory.path().join("output");
    let trace = scene.directory.path().join("trace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qqq", "-y", "-e", "trace=fsync,renameat", "-o"]);
    strace
        .arg(&trace)
        .arg(env!("CARGO_BIN_EXE_strata"))
        .arg(command);
    strace.arg(&scene.new);
    strace.arg(format!("{transport}{}", output.display()));
    run(&mut strace);
    let trace = fs::read_to_string(&trace).unwrap();
    let place = scene.directory.path().display();
    let renamed = format!(">, \"content\", ");
    let (before, after) = trace.split_once(&renamed).expect(&trace);
    assert!(
        after
            .split('\n')
            .next()
            .unwrap()
            .contains(&format!("<{place}>, \"output\")")),
        "{trace}"
    );
    let (before, staging) = before.rsplit_once('<').unwrap();
    let staging = &format!("{staging}/content");
    let mut directories = vec![PathBuf::new()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(output.join(&directory)).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                directories.push(directory.join(entry.file_name()));
            }
        }
        let path = Path::new(staging).join(&directory);
        let path = path.to_str().unwrap().trim_end_matches('/');
        assert!(before.contains(&format!("<{path}>)")), "{path}: {trace}");
    }
}
