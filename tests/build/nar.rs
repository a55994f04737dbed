//! Nix archives, against Nix.

use strata_testing as support;

use std::os::unix::fs::symlink;
use std::process::Command;

use strata_nix::nar;
use support::fake_store::{FakeStore, Item};

fn nix(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

#[test]
fn archives_and_hashes_are_those_of_nix() {
    let mut store = FakeStore::new();
    let long = "x".repeat(300_000);
    let tree = store.add(
        "tree",
        &[
            Item::File("a/12345678", "12345678"),
            Item::File("a/empty", ""),
            Item::File("a-b", &long),
            Item::Executable("bin/run", "#!"),
            Item::Directory("empty"),
            Item::Symlink("link", "a/empty"),
            Item::File("ü", "ü"),
        ],
        &[],
    );
    let file = store.add_file("file", "content");
    let link = store.path("link");
    symlink("elsewhere", store.locate(&link)).unwrap();
    for path in [tree, file, link] {
        let path = store.locate(&path);
        let text = path.to_str().unwrap();
        let mut archive = Vec::new();
        nar::write(&path, &mut archive).unwrap();
        assert_eq!(archive, nix("nix-store", &["--dump", text]), "{text}");
        let hash = nix("nix-hash", &["--type", "sha256", "--base32", text]);
        let hash = String::from_utf8(hash).unwrap();
        let info = nar::hash(&path).unwrap();
        assert_eq!(info.hash, format!("sha256:{}", hash.trim()));
        assert_eq!(info.size, archive.len() as u64);
    }
}
