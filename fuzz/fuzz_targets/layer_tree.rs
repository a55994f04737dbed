//! Layers as file systems: what an image of small layers makes together, compared with what umoci unpacks. Each
//! three bytes are an entry: its kind and layer, its path, and where it leads.

#![no_main]

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};

use strata_fuzz::bases::{BaseImage, Packed, Piece, tar, write};
use strata_image::flatten;
use strata_testing::memory_image::{MemoryLayer, image};

/// What is in the layers; few names, so that they meet.
const PATHS: [&str; 16] = [
    "a", "b", "c", "a/a", "a/b", "b/a", "b/c", "c/a", "a/a/a", "a/b/c", "b/a/c", "a/.wh.a", "a/.wh.b", ".wh.a", ".wh.b",
    "a/.wh..wh..opq",
];
/// Where links lead.
const TARGETS: [&str; 16] = [
    "a", "b", "c", "a/a", "a/b", "b/a", "/a", "/b", "/a/b", "../a", "../b", "../../c", ".", "./b", "nothing", "c/../b",
];
const LAYERS: usize = 3;
const MOST: usize = 24;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let contents: Vec<String> = (0..MOST).map(|number| number.to_string()).collect();
    let mut layers: Vec<Vec<Piece<'_>>> = vec![Vec::new(); LAYERS];
    for (number, entry) in bytes.chunks_exact(3).take(MOST).enumerate() {
        let path = PATHS[usize::from(entry[1]) % PATHS.len()];
        let target = TARGETS[usize::from(entry[2]) % TARGETS.len()];
        let piece = match entry[0] % 5 {
            _ if path.contains(".wh.") => Piece::File(path, ""),
            0 => Piece::Directory(path, 0o755, 0),
            1 | 2 => Piece::File(path, &contents[number]),
            3 => Piece::Symlink(path, target),
            // Of names that are in the image.
            _ => Piece::HardLink(path, PATHS[usize::from(entry[2]) % 11]),
        };
        layers[usize::from(entry[0]) / 86].push(piece);
    }
    let layers: Vec<Vec<u8>> = layers.iter().map(|pieces| tar(pieces)).collect();

    let memory = image(layers.iter().map(|tar| MemoryLayer::new(tar.clone())).collect());
    let mut archive = Vec::new();
    if flatten(&memory, &mut archive, &|_| Ok(())).is_err() {
        return;
    }
    let ours = listed(&archive);

    let place = tempfile::tempdir().unwrap();
    let below = BaseImage {
        packed: Packed::Plain,
        name: "latest".to_owned(),
        ..BaseImage::new(layers)
    };
    write(&BaseImage::layout(&[below]), &place.path().join("layout"));
    let root = place.path().join("root");
    let unpacked = Command::new("umoci")
        .args(["raw", "unpack", "--image", "layout"])
        .arg(&root)
        .current_dir(place.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    // What it refuses is no word about the others, which are engines.
    if !unpacked.unwrap().success() {
        return;
    }
    let mut theirs = BTreeMap::new();
    list(&root, &root, &mut theirs);
    assert_eq!(ours, theirs);
});

/// What an archive holds: each path with what it is.
fn listed(archive: &[u8]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in tar::Archive::new(archive).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_string_lossy().trim_end_matches('/').to_owned();
        let link = entry.link_name().unwrap().map(|link| link.to_string_lossy().into_owned());
        let what = match (entry.header().entry_type(), link) {
            (tar::EntryType::Directory, _) => "directory".to_owned(),
            (tar::EntryType::Symlink, Some(link)) => format!("-> {link}"),
            (tar::EntryType::Link, Some(link)) => found.get(&link).cloned().unwrap(),
            _ => {
                let mut content = String::new();
                entry.read_to_string(&mut content).unwrap();
                content
            }
        };
        found.insert(path, what);
    }
    found
}

/// The same of a directory.
fn list(root: &Path, directory: &Path, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let kind = path.symlink_metadata().unwrap();
        let what = if kind.is_dir() {
            list(root, &path, found);
            "directory".to_owned()
        } else if kind.is_symlink() {
            let link = fs::read_link(&path).unwrap();
            format!("-> {}", String::from_utf8_lossy(link.as_os_str().as_bytes()))
        } else {
            fs::read_to_string(&path).unwrap()
        };
        let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
        found.insert(name, what);
    }
}
