//! A closure of many packages, made of libraries of this machine that name each other's store paths.

use std::fs;
use std::path::PathBuf;

use serde_json::json;
use strata_image::Image;
use strata_nix::base32;
use strata_oci::Digest;
use strata_testing::fake_store::FakeStore;

/// How many packages there are.
pub const PACKAGES: usize = 72;
/// The one that all use, in the end.
pub const LIBC: usize = 0;
/// One that few use: those whose numbers lead to it when they are halved.
pub const LIBRARY: usize = 9;
/// One that none uses.
pub const APPLICATION: usize = PACKAGES - 1;

/// What is another than in the first version.
#[derive(Clone, Copy, Default)]
pub struct Change {
    /// A package that is built anew, and with it all that use it.
    pub rebuilt: Option<usize>,
    /// A package whose library is another.
    pub replaced: Option<usize>,
    /// A package whose script is another.
    pub edited: Option<usize>,
}

/// An image in a store.
pub struct Built {
    pub image: Image,
    /// Where it is.
    pub path: PathBuf,
    /// Each file below the store with its digest, in order, as `sha256sum` tells it.
    pub sums: Vec<String>,
    /// How many bytes the files have that are others than in the first version, beside store paths.
    pub changed: u64,
}

/// The package that this one uses; the first uses none.
fn used(number: usize) -> Option<usize> {
    (number > LIBC).then_some(number / 2)
}

fn is_rebuilt(number: usize, change: Change) -> bool {
    change.rebuilt == Some(number) || used(number).is_some_and(|used| is_rebuilt(used, change))
}

/// Libraries of this machine, none of them large.
fn libraries() -> Vec<PathBuf> {
    let directory = fs::read_dir("/usr/lib/x86_64-linux-gnu").unwrap();
    let mut found: Vec<PathBuf> = directory
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let metadata = path.symlink_metadata().unwrap();
            metadata.is_file()
                && (100_000..2_000_000).contains(&metadata.len())
                && path.to_string_lossy().contains(".so")
        })
        .collect();
    found.sort();
    assert!(found.len() > PACKAGES, "this machine has few libraries");
    found
}

/// Builds the image of a version in a store, which may have others.
pub fn build(store: &mut FakeStore, change: Change) -> Built {
    let libraries = libraries();
    let mut paths: Vec<String> = Vec::new();
    let mut changed = 0;
    for number in 0..PACKAGES {
        let version = if is_rebuilt(number, change) { 2 } else { 1 };
        let digest = Digest::of(format!("{number} {version}").as_bytes());
        let hash = base32::encode(&digest.as_bytes()[..20]);
        let path = format!("{}/{hash}-package-{number}", store.dir);
        let root = store.locate(&path);
        let references: Vec<&str> = used(number)
            .map(|used| paths[used].as_str())
            .into_iter()
            .collect();
        let mut library = fs::read(&libraries[number]).unwrap();
        if change.replaced == Some(number) {
            library = fs::read(&libraries[PACKAGES]).unwrap();
            changed += library.len() as u64;
        }
        let search = format!("{path}/lib:{}/lib\0", references.join("/lib:"));
        let middle = library.len() / 3;
        library.splice(middle..middle + search.len(), search.into_bytes());
        let mut script = format!(
            "#!{}/bin/sh\nexec {path}/lib/library\n",
            paths.first().unwrap_or(&path)
        );
        if change.edited == Some(number) {
            script.push_str("# edited\n");
            changed += script.len() as u64;
        }
        let text = format!("package {number}\n").repeat(300);
        let name = format!("{path}/lib/library");
        for (file, bytes) in [
            ("lib/library", library.as_slice()),
            ("bin/script", script.as_bytes()),
            ("share/doc/text", text.as_bytes()),
            ("share/doc/nothing", b""),
        ] {
            let file = root.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, bytes).unwrap();
        }
        if version == 2 || change.rebuilt.is_none() {
            std::os::unix::fs::symlink(name, root.join("lib/link")).unwrap();
        }
        store.register(&path, &references);
        paths.push(path);
    }
    let mut request = store.image_request();
    request["deps"] = json!(paths);
    request["image"]["config"] = json!({ "Cmd": ["/none"] });
    let image = store.build(&request).unwrap();
    let path = store.locate(&image);
    Built {
        image: Image::open(&path).unwrap(),
        path,
        sums: sums(store, &paths),
        changed,
    }
}

fn sums(store: &FakeStore, paths: &[String]) -> Vec<String> {
    let files = [
        "lib/library",
        "bin/script",
        "share/doc/text",
        "share/doc/nothing",
    ];
    let mut sums = Vec::new();
    for path in paths {
        for file in files {
            let bytes = fs::read(store.locate(path).join(file)).unwrap();
            sums.push(format!("{}  .{path}/{file}", Digest::of(&bytes).hex()));
        }
    }
    sums.sort();
    sums
}
