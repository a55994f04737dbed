//! Row 8 of "Reliability and security": small bases that cost gigabytes, each read by a process of its own that
//! may take 512 MB of memory.

use strata_testing as support;

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use rstest::rstest;
use serde_json::json;
use strata_oci::{Descriptor, Digest, HashingWriter};
use support::fake_store::FakeStore;

/// What the child is to read.
const INPUT: &str = "STRATA_TEST_INPUT";
/// What the processes may take, in KiB.
const MEMORY: &str = "524288";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

type Tar<'a> = tar::Builder<&'a mut dyn Write>;

fn header(kind: tar::EntryType) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(0);
    header.set_mode(0o755);
    header
}

fn entry(tar: &mut Tar<'_>, kind: tar::EntryType, path: &str) {
    tar.append_data(&mut header(kind), path, std::io::empty())
        .unwrap();
}

/// Writes the entries of the input.
fn entries(input: &str, tar: &mut Tar<'_>) {
    use tar::EntryType::{Directory, Regular, Symlink};
    let long = |number: u32| format!("{number}/{}", [&*"x".repeat(248); 16].join("/"));
    match input {
        "deep" => {
            for number in 0..3_000 {
                entry(tar, Regular, &format!("{number}/{}f", "d/".repeat(2000)));
            }
        }
        "symlinks" => {
            let target = "x".repeat(1024 * 1024 - 1);
            for number in 0..5 {
                let mut header = header(Symlink);
                tar.append_link(&mut header, format!("l{number}"), &target)
                    .unwrap();
            }
        }
        "short-symlinks" => {
            let target = "x".repeat(4000);
            for number in 0..70_000 {
                tar.append_link(&mut header(Symlink), format!("l{number}"), &target)
                    .unwrap();
            }
        }
        "attributes" => {
            let value = vec![b'x'; 1024 * 1000];
            for number in 0..300 {
                tar.append_pax_extensions([("SCHILY.xattr.user.x", value.as_slice())])
                    .unwrap();
                entry(tar, Directory, &format!("d{number}/"));
            }
        }
        "small-attributes" => {
            let names: Vec<String> = (0..400).map(|n| format!("SCHILY.xattr.user.{n}")).collect();
            for number in 0..8_000 {
                let all = names.iter().map(|name| (name.as_str(), &b"x"[..]));
                tar.append_pax_extensions(all).unwrap();
                entry(tar, Directory, &format!("d{number}/"));
            }
        }
        "names" => (0..75_000).for_each(|number| entry(tar, Regular, &long(number))),
        "hard-links" => {
            entry(tar, Regular, "f");
            for number in 0..75_000 {
                let mut header = header(tar::EntryType::Link);
                tar.append_link(&mut header, format!("h{number}"), long(number))
                    .unwrap();
            }
        }
        // A large image that people have: 300,000 files of usual names.
        "large" => {
            for number in 0..300_000 {
                let path = format!(
                    "usr/lib/python3/dist-packages/package_{}/module_{}/file_{number}.py",
                    number / 1000,
                    number / 50
                );
                entry(tar, Regular, &path);
            }
        }
        other => panic!("no input {other}"),
    }
}

/// Writes what `content` writes to `path`, compressed; gives its digest and size, and the digest of what it is.
fn packed(path: &Path, content: &dyn Fn(&mut dyn Write)) -> (Digest, u64, Digest) {
    let blob = HashingWriter::new(File::create(path).unwrap());
    let mut tar = HashingWriter::new(zstd::Encoder::new(blob, 1).unwrap().auto_finish());
    content(&mut tar);
    tar.flush().unwrap();
    let (diff_id, _) = tar.finish();
    let bytes = std::fs::read(path).unwrap();
    (Digest::of(&bytes), bytes.len() as u64, diff_id)
}

/// Makes the base and builds on it; gives the error, if there is one.
fn build(input: &str) -> Result<String, String> {
    let mut store = FakeStore::new();
    let path = store.path("base");
    let base = store.locate(&path);
    let write = |writer: &mut dyn Write| {
        let mut tar = Tar::new(writer);
        entries(input.trim_start_matches("members-"), &mut tar);
        tar.finish().unwrap();
    };
    if input.starts_with("members-") {
        packed(&base, &write);
    } else {
        let blobs = base.join("blobs/sha256");
        std::fs::create_dir_all(&blobs).unwrap();
        let (digest, size, diff_id) = packed(&base.join("layer"), &write);
        std::fs::rename(base.join("layer"), blobs.join(digest.hex())).unwrap();
        let put = |bytes: String| {
            let descriptor =
                Descriptor::of("application/vnd.oci.image.config.v1+json", bytes.as_bytes());
            std::fs::write(blobs.join(descriptor.digest.hex()), bytes).unwrap();
            descriptor
        };
        let config = json!({
            "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": [diff_id] }
        });
        let config = put(config.to_string());
        let layer = Descriptor::new(LAYER, digest, size);
        let manifest = json!({ "schemaVersion": 2, "config": config, "layers": [layer] });
        let index = json!({ "schemaVersion": 2, "manifests": [put(manifest.to_string())] });
        std::fs::write(base.join("index.json"), index.to_string()).unwrap();
        std::fs::write(base.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    }
    let mut request = store.image_request();
    request["image"]["fromImage"] = json!({ "path": path });
    store.build(&request)
}

/// What the child does; nothing when tests are run.
#[test]
#[ignore = "run by the tests below, with less memory"]
fn child() {
    let Ok(input) = std::env::var(INPUT) else {
        return;
    };
    match build(&input) {
        Ok(_) => println!("OUTCOME built"),
        Err(error) => println!("OUTCOME {error}"),
    }
}

#[rstest]
#[case("deep", "bytes of memory")]
#[case("symlinks", "its link target is longer than 4096 bytes")]
#[case("short-symlinks", "bytes of memory")]
#[case("attributes", "bytes of memory")]
#[case("small-attributes", "bytes of memory")]
#[case("names", "bytes of memory")]
#[case("hard-links", "bytes of memory")]
#[case("members-names", "bytes of memory")]
#[case("large", "built")]
fn a_small_base_costs_no_gigabytes(#[case] input: &str, #[case] outcome: &str) {
    let output = Command::new("sh")
        .args(["-c", "ulimit -v $0; exec \"$@\"", MEMORY])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "limits::child", "--ignored", "--nocapture"])
        .args(["--test-threads", "1"])
        .env(INPUT, input)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let found = text.split("OUTCOME ").nth(1).unwrap_or_else(|| {
        panic!(
            "{}: {text} {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        )
    });
    assert!(found.contains(outcome), "{found}");
}
