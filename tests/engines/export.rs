//! `strata export`: the root file system of an image, compared with what other programs unpack.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "this is a test"
)]

use strata_testing as support;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use strata_error::Error;
use strata_image::{Image, flatten};
use strata_oci::Digest;
use support::bases::{BaseImage, Packed, Piece, tar, write};
use support::engines::podman_vfs;
use support::fake_store::{FakeStore, Item};
use support::memory_image::{MemoryLayer, image};
use support::registry::run;
use tempfile::TempDir;

/// Layers in which everything happens that layers can do to each other.
fn layers() -> Vec<Vec<u8>> {
    let long = "deep/".repeat(30) + "file";
    vec![
        tar(&[
            Piece::Directory("etc", 0o755, 0),
            Piece::File("etc/gone", "1"),
            Piece::File("etc/first", "first"),
            Piece::HardLink("etc/second", "etc/first"),
            Piece::Directory("data", 0o700, 1000),
            Piece::File("data/kept", "kept"),
            Piece::Directory("opaque", 0o755, 0),
            Piece::File("opaque/x", "x"),
            Piece::Directory("opaque/deep", 0o755, 0),
            Piece::File("opaque/deep/y", "y"),
            Piece::Directory("usr", 0o755, 0),
            Piece::Directory("usr/bin", 0o755, 0),
            Piece::File("usr/bin/tool", "tool"),
            Piece::Symlink("bin", "usr/bin"),
            Piece::Directory("replaced", 0o755, 0),
            Piece::File("replaced/by", "a file"),
            Piece::File(&long, "long"),
        ]),
        tar(&[
            Piece::Directory("etc", 0o711, 0),
            Piece::File("etc/.wh.gone", ""),
            // Across layers.
            Piece::HardLink("etc/third", "etc/first"),
            Piece::Directory("opaque", 0o755, 0),
            Piece::File("opaque/new", "new"),
            Piece::File("opaque/.wh..wh..opq", ""),
            Piece::Directory("data", 0o1777, 1001),
            Piece::File(".wh.replaced", ""),
        ]),
        tar(&[
            Piece::Directory("etc", 0o711, 0),
            // The other names keep what they have.
            Piece::File("etc/first", "replaced"),
            Piece::File("replaced", "now a file"),
        ]),
    ]
}

struct Scene {
    store: FakeStore,
    image: PathBuf,
    directory: TempDir,
}

impl Scene {
    /// An image of Strata's own layers on top of others.
    fn new() -> Self {
        let mut store = FakeStore::new();
        let base = store.path("base");
        let below = BaseImage {
            packed: Packed::Gzip,
            config: json!({}),
            ..BaseImage::new(layers())
        };
        write(&BaseImage::layout(&[below]), &store.locate(&base));
        let own = store.add(
            "own",
            &[
                Item::Executable("bin/own", "#!"),
                Item::File("etc/own", "own"),
                Item::Symlink("etc/link", "own"),
            ],
            &[],
        );
        let mut request = store.image_request();
        request["copyToRoot"] = json!([own]);
        request["image"]["fromImage"] = json!({ "path": base });
        request["image"]["remove"] = json!(["/bin/tool"]);
        let out = store.build(&request).unwrap();
        Self {
            image: store.locate(&out),
            store,
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

fn export(image: &Path, output: &Path) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strata"));
    let done = command.arg("export").arg(image).arg(output).output();
    let done = done.unwrap();
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(done.status.success() && done.stdout.is_empty(), "{said}");
    let digest = fs::read_to_string(image.join("digest")).unwrap();
    let digest = digest.trim_end();
    assert_eq!(
        said,
        format!("{}: the files of {digest}\n", output.display())
    );
}

/// Lets GNU tar unpack an archive; gives what `find` says of it.
fn unpack(archive: &Path, directory: &Path) -> String {
    fs::create_dir(directory).unwrap();
    run(Command::new("tar")
        .args([
            "--extract",
            "--same-permissions",
            "--numeric-owner",
            "--file",
        ])
        .arg(archive)
        .arg("--directory")
        .arg(directory));
    describe(directory)
}

/// Paths, kinds, modes, owners, numbers of names, link targets and contents, sorted.
fn describe(directory: &Path) -> String {
    let script = r#"
        cd "$0"
        find . -mindepth 1 -printf '%P %y %m %U:%G %l\n' | sort
        find . -mindepth 1 ! -type d -printf '%P %n names, time %T@\n' | sort
        find . -type f -print0 | sort -z | xargs -0 sha256sum
    "#;
    run(Command::new("sh")
        .args(["-c", script])
        .arg(directory)
        .env("LC_ALL", "C"))
}

#[test]
fn it_is_what_others_unpack() {
    let scene = Scene::new();
    let archive = scene.path("root.tar");
    export(&scene.image, &archive);
    let ours = unpack(&archive, &scene.path("ours"));

    let destination = format!("oci:{}:x", scene.path("layout").display());
    run(Command::new(env!("CARGO_BIN_EXE_strata"))
        .args(["copy", "--quiet"])
        .arg(&scene.image)
        .arg(&destination));
    let rootfs = scene.path("rootfs");
    run(Command::new("umoci")
        .args(["raw", "unpack", "--image"])
        .arg(format!("{}:x", scene.path("layout").display()))
        .arg(&rootfs));
    let theirs = describe(&rootfs);
    assert_eq!(ours, theirs);

    // Where a layer is unpacked alone, a link to another layer's file cannot be made.
    let archive = scene.path("image.tar");
    run(Command::new(env!("CARGO_BIN_EXE_strata"))
        .args(["copy", "--quiet"])
        .arg(&scene.image)
        .arg(format!("docker-archive:{}:flat:1", archive.display())));
    run(&mut podman_vfs().command(&["load", "--quiet", "--input", archive.to_str().unwrap()]));
    let id = run(&mut podman_vfs().command(&["create", "flat:1", "/bin/own"]));
    let exported = scene.path("exported.tar");
    run(&mut podman_vfs().command(&["export", "--output", exported.to_str().unwrap(), id.trim()]));
    run(&mut podman_vfs().command(&["rm", id.trim()]));
    assert_eq!(ours, unpack(&exported, &scene.path("theirs")));

    for line in [
        "bin l 777 0:0 usr/bin",
        "data d 1777 1001:0 ",
        "etc d 711 0:0 ",
        "opaque/new f 644 0:0 ",
        "replaced f 644 0:0 ",
        "usr/bin/own f 555 0:0 ",
    ] {
        assert!(ours.lines().any(|it| it == line), "{line} in\n{ours}");
    }
    for gone in [
        "etc/gone",
        "opaque/x",
        "opaque/deep",
        "replaced/by",
        "usr/bin/tool",
        ".wh.",
    ] {
        assert!(!ours.contains(gone), "{gone} in\n{ours}");
    }
    // Two names of three are left.
    assert!(ours.contains("etc/third 2 names"), "{ours}");
    assert!(ours.contains("etc/first 1 names"), "{ours}");
}

#[test]
fn the_bytes_follow_from_the_image() {
    let scene = Scene::new();
    let [one, packed] = ["one.tar", "one.tar.gz"].map(|name| scene.path(name));
    export(&scene.image, &one);
    export(&scene.image, &packed);
    let bytes = fs::read(&one).unwrap();
    let mut unpacked = Vec::new();
    flate2::read::MultiGzDecoder::new(fs::File::open(packed).unwrap())
        .read_to_end(&mut unpacked)
        .unwrap();
    assert!(unpacked == bytes);
    let output = Command::new(env!("CARGO_BIN_EXE_strata"))
        .arg("export")
        .arg(&scene.image)
        .output()
        .unwrap();
    assert!(output.stdout == bytes);
    // Neither the store's place nor compression matter.
    let other = Scene::new();
    let mut again = Vec::new();
    flatten(
        &Image::open(&other.image).unwrap(),
        &mut again,
        b"",
        &|_| Ok(()),
    )
    .unwrap();
    assert_eq!(Digest::of(&again), Digest::of(&bytes));
    assert_eq!(files(scene.directory.path()), ["one.tar", "one.tar.gz"]);
    drop(scene.store);
}

fn files(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// An archive with what a layer may hold besides files.
fn strange_layer() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_mode(0o620);
    header.set_uid(3);
    header.set_gid(4);
    header.set_mtime(1_700_000_000);
    header.set_size(0);
    header.set_username("owner").unwrap();
    header.set_entry_type(tar::EntryType::Char);
    header.set_device_major(5).unwrap();
    header.set_device_minor(1).unwrap();
    builder
        .append_data(&mut header, "dev/console", std::io::empty())
        .unwrap();
    header.set_entry_type(tar::EntryType::Fifo);
    builder
        .append_data(&mut header, "dev/pipe", std::io::empty())
        .unwrap();
    let value: &[u8] = b"\x01\x00\xff";
    builder
        .append_pax_extensions([
            ("SCHILY.xattr.user.x", value),
            ("mtime", b"1700000001.25".as_slice()),
        ])
        .unwrap();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(4);
    builder
        .append_data(&mut header, "file", &b"text"[..])
        .unwrap();
    builder.into_inner().unwrap()
}

fn flat(layers: Vec<MemoryLayer>) -> strata_error::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    flatten(&image(layers), &mut bytes, b"", &|_| Ok(())).map(|()| bytes)
}

#[test]
fn devices_times_and_attributes_stay() {
    let bytes = flat(vec![MemoryLayer::new(strange_layer()).compressed()]).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("flat.tar");
    fs::write(&path, &bytes).unwrap();
    let listed = run(Command::new("tar")
        .args([
            "--list",
            "--verbose",
            "--xattrs",
            "--xattrs-include=*",
            "--utc",
            "--file",
        ])
        .arg(&path)
        .env("LC_ALL", "C"));
    let lines: Vec<String> = listed
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        lines,
        [
            "drwxr-xr-x root/root 0 1970-01-01 00:00 dev/",
            "crw--w---- owner/4 5,1 2023-11-14 22:13 dev/console",
            "prw--w---- owner/4 0 2023-11-14 22:13 dev/pipe",
            "-rw--w----* owner/4 4 2023-11-14 22:13 file",
        ],
        "{listed}"
    );
    let mut archive = tar::Archive::new(bytes.as_slice());
    let mut file = archive.entries().unwrap().last().unwrap().unwrap();
    assert_eq!(file.header().mtime().unwrap(), 1_700_000_001);
    let records = file.pax_extensions().unwrap().unwrap();
    let records: Vec<_> = records.map(Result::unwrap).collect();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].key_bytes(), b"SCHILY.xattr.user.x");
    assert_eq!(records[0].value_bytes(), b"\x01\x00\xff");
}

#[test]
fn what_cannot_be_exported_is_named() {
    let lonely = tar(&[Piece::HardLink("a", "b/c")]);
    let error = flat(vec![MemoryLayer::new(lonely)]).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("a: a link to b/c, which is not there"),
        "{error}"
    );
    assert!(error.hint().is_some());
    // A name that a lower layer hides is none.
    let one = tar(&[Piece::File("a", "1")]);
    let two = tar(&[Piece::File(".wh.a", ""), Piece::HardLink("b", "a")]);
    let error = flat(vec![MemoryLayer::new(one.clone()), MemoryLayer::new(two)]).unwrap_err();
    assert!(error.to_string().contains("b: a link to a"), "{error}");
    let error = flat(vec![MemoryLayer::broken(&one, b"")]).unwrap_err();
    assert!(matches!(error, Error::Mismatch { .. }), "{error}");

    let directory = tempfile::tempdir().unwrap();
    let (sparse, layer) = (
        directory.path().join("sparse"),
        directory.path().join("layer.tar"),
    );
    fs::File::create(&sparse).unwrap().set_len(1 << 20).unwrap();
    for format in ["gnu", "pax"] {
        run(Command::new("tar")
            .args([
                "--create",
                "--sparse",
                &format!("--format={format}"),
                "--file",
            ])
            .arg(&layer)
            .arg("--directory")
            .arg(directory.path())
            .arg("sparse"));
        let error = flat(vec![MemoryLayer::new(fs::read(&layer).unwrap())]).unwrap_err();
        assert!(
            error.to_string().contains("sparse: a sparse file"),
            "{format}: {error}"
        );
    }
    let stopped = flatten(
        &image(vec![MemoryLayer::new(one)]),
        &mut Vec::new(),
        b"",
        &|_| Err(Error::Interrupted),
    );
    assert!(matches!(stopped, Err(Error::Interrupted)));
}

/// Engines take at most 127 layers; a file system has none.
#[test]
fn there_is_no_limit_of_layers() {
    let layer = |number: u8| {
        let path = format!("files/{number}");
        MemoryLayer::new(tar(&[Piece::File(&path, "x"), Piece::File("last", &path)]))
    };
    let bytes = flat((0..200).map(layer).collect()).unwrap();
    let mut archive = tar::Archive::new(bytes.as_slice());
    assert_eq!(archive.entries().unwrap().count(), 1 + 200 + 1);
}
