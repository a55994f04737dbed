//! Bases as strangers make them: what is beside the image, null, two lists, and what names files of the host.

use strata_testing as support;

use std::process::Command;

use serde_json::{Value, json};
use strata_image::Image;
use strata_oci::{Config, Digest};
use support::bases::{BaseImage, Packed, Piece, archive, descriptor, pack, tar, write};
use support::fake_store::{FakeStore, Item, read_json};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

type Files = Vec<(String, Vec<u8>)>;

/// A base with one file, whose command is `command`.
fn base(command: &str) -> BaseImage {
    BaseImage {
        config: json!({ "Cmd": [command] }),
        ..BaseImage::new(vec![tar(&[Piece::File("etc/name", command)])])
    }
}

/// Adds a blob to a layout; gives its descriptor.
fn blob(files: &mut Files, media_type: &str, bytes: &[u8]) -> Value {
    let name = format!("blobs/sha256/{}", Digest::of(bytes).hex());
    if !files.iter().any(|(known, _)| *known == name) {
        files.push((name, bytes.to_vec()));
    }
    descriptor(media_type, bytes)
}

/// A document in the files, changed.
fn change(files: &mut Files, name: &str, change: impl FnOnce(&mut Value)) {
    let file = files.iter_mut().find(|(file, _)| file == name).unwrap();
    let mut document = serde_json::from_slice(&file.1).unwrap();
    change(&mut document);
    file.1 = document.to_string().into_bytes();
}

/// Builds on what is there; gives the config, or the error.
fn build(files: &Files, is_archive: bool, from_image: &Value) -> Result<Config, String> {
    let mut store = FakeStore::new();
    let path = store.path("base");
    if is_archive {
        std::fs::write(store.locate(&path), archive(files)).unwrap();
    } else {
        write(files, &store.locate(&path));
    }
    let env = store.add("env", &[Item::File("etc/own", "1")], &[]);
    let mut request = store.image_request();
    request["copyToRoot"] = json!([env]);
    request["image"]["fromImage"] = from_image.clone();
    request["image"]["fromImage"]["path"] = json!(path);
    let out = store.build(&request)?;
    Ok(Image::open(&store.locate(&out)).unwrap().config.config)
}

fn command(config: Result<Config, String>) -> Result<String, String> {
    config.map(|config| config["Cmd"][0].as_str().unwrap().to_owned())
}

/// containers/image#2279: an SBOM, a signature, damaged and unknown things beside the image, in layouts and
/// archives, with the tag and without.
#[test]
fn what_is_beside_the_image_does_not_spoil_it() {
    let artifact = |files: &mut Files| {
        let sbom = blob(files, "application/spdx+json", b"{}");
        let config = blob(files, "application/vnd.oci.empty.v1+json", b"{}");
        let image = json!({ "schemaVersion": 2, "config": config, "layers": [sbom] });
        blob(files, MANIFEST, image.to_string().as_bytes())
    };
    let of_old = |files: &mut Files| {
        let text =
            json!({ "mediaType": "application/vnd.oci.artifact.manifest.v1+json", "blobs": [] });
        blob(
            files,
            "application/vnd.oci.artifact.manifest.v1+json",
            text.to_string().as_bytes(),
        )
    };
    let no_json = |files: &mut Files| blob(files, MANIFEST, b"not JSON");
    let other_digest = |files: &mut Files| {
        let entry = blob(files, MANIFEST, b"{}");
        files.last_mut().unwrap().1 = b"{ }".to_vec();
        entry
    };
    let sha512 = |_: &mut Files| json!({ "mediaType": MANIFEST, "digest": "sha512:0", "size": 1 });
    let schema_1 = |files: &mut Files| blob(files, MANIFEST, br#"{"schemaVersion":1}"#);
    let others: [&dyn Fn(&mut Files) -> Value; 6] = [
        &artifact,
        &of_old,
        &no_json,
        &other_digest,
        &sha512,
        &schema_1,
    ];
    for (number, other) in others.iter().enumerate() {
        for (is_archive, from_image) in [
            (false, json!({})),
            (true, json!({})),
            (false, json!({ "tag": "1" })),
        ] {
            let mut files = BaseImage::layout(&[base("right")]);
            let mut entry = other(&mut files);
            change(&mut files, "index.json", |index| {
                entry["annotations"] = json!({ "org.opencontainers.image.ref.name": "other:2" });
                index["manifests"].as_array_mut().unwrap().insert(0, entry);
            });
            let found = command(build(&files, is_archive, &from_image));
            assert_eq!(found.as_deref(), Ok("right"), "{number}");
        }
    }
    // Who asks for it by its name is told what is wrong with it.
    let mut files = BaseImage::layout(&[base("right")]);
    let mut entry = artifact(&mut files);
    entry["annotations"] = json!({ "org.opencontainers.image.ref.name": "sbom:2" });
    change(&mut files, "index.json", |index| {
        index["manifests"].as_array_mut().unwrap().push(entry);
    });
    let error = build(&files, false, &json!({ "tag": "2" })).unwrap_err();
    assert!(error.contains("not an image: its config is"), "{error}");
}

/// moby 47210, `umoci init`: null for empty lists and maps, and fields that nobody uses.
#[test]
fn null_is_absent() {
    let mut files = BaseImage::layout(&[base("right")]);
    let index = files
        .iter()
        .position(|(name, _)| name == "index.json")
        .unwrap();
    let index: Value = serde_json::from_slice(&files[index].1).unwrap();
    let digest = index["manifests"][0]["digest"].as_str().unwrap();
    let name = format!("blobs/sha256/{}", &digest[7..]);
    change(&mut files, &name, |manifest| {
        manifest["annotations"] = Value::Null;
        manifest["manifests"] = Value::Null;
        manifest["config"]["annotations"] = Value::Null;
        manifest["config"]["platform"] = json!({ "os": "linux" });
        manifest["layers"][0]["annotations"] = Value::Null;
        manifest["layers"][0]["urls"] = Value::Null;
    });
    let manifest = files
        .iter()
        .find(|(file, _)| *file == name)
        .unwrap()
        .1
        .clone();
    let entry = blob(&mut files, MANIFEST, &manifest);
    change(&mut files, "index.json", |index| {
        index["annotations"] = Value::Null;
        index["manifests"] = json!([entry]);
        index["manifests"][0]["platform"] = Value::Null;
    });
    files.retain(|(file, _)| *file != name);
    assert_eq!(
        command(build(&files, false, &json!({}))).as_deref(),
        Ok("right")
    );
}

/// `docker load` believes manifest.json, and other platforms are in index.json alone.
#[test]
fn two_lists_of_an_archive() {
    let mut arm = base("arm");
    arm.architecture = "arm64".to_owned();
    arm.name = "base:1".to_owned();
    let mut files = BaseImage::layout(&[base("index"), arm]);
    files.extend(base("docker").docker_archive());
    assert_eq!(
        command(build(&files, true, &json!({}))).as_deref(),
        Ok("docker")
    );
    // In a directory, nobody looks at manifest.json.
    assert_eq!(
        command(build(&files, false, &json!({}))).as_deref(),
        Ok("index")
    );
    let error = build(&files, true, &json!({ "platform": "linux/arm64" })).unwrap_err();
    assert!(
        error.contains("is for linux/arm64, but the image is for"),
        "{error}"
    );
    // What both have is one image, whose manifest may be asked for.
    let mut files = BaseImage::layout(&[base("both")]);
    let index = files.iter().find(|(name, _)| name == "index.json").unwrap();
    let index: Value = serde_json::from_slice(&index.1).unwrap();
    files.extend(base("both").docker_archive());
    let selection = json!({ "digest": index["manifests"][0]["digest"], "tag": "1" });
    assert_eq!(
        command(build(&files, true, &selection)).as_deref(),
        Ok("both")
    );
}

#[test]
fn keys_twice_or_in_another_case_are_refused() {
    let raw = |name: &str, from: &str, to: &str| {
        let mut files = base("right").docker_archive();
        let file = files
            .iter_mut()
            .find(|(file, _)| file.ends_with(name))
            .unwrap();
        let text = String::from_utf8(file.1.clone()).unwrap();
        assert!(text.contains(from), "{text}");
        file.1 = text.replacen(from, to, 1).into_bytes();
        if name != "manifest.json" {
            let digest = Digest::of(&file.1).hex();
            let old = std::mem::replace(&mut file.0, format!("{digest}.json"));
            let new = file.0.clone();
            change(&mut files, "manifest.json", |list| {
                assert_eq!(list[0]["Config"], json!(old));
                list[0]["Config"] = json!(new);
            });
        }
        build(&files, true, &json!({})).unwrap_err()
    };
    for (name, from, to, message) in [
        (
            "manifest.json",
            "\"Layers\"",
            "\"layers\":[],\"Layers\"",
            "\"layers\" is written \"Layers\"",
        ),
        (
            "manifest.json",
            "\"Config\"",
            "\"Config\":\"x\",\"Config\"",
            "\"Config\" is there twice",
        ),
        (
            ".json",
            "\"Cmd\"",
            "\"cmd\":[\"other\"],\"Cmd\"",
            "\"cmd\" is written \"Cmd\"",
        ),
        (
            ".json",
            "\"diff_ids\"",
            "\"diff_ids\":[],\"diff_ids\"",
            "\"diff_ids\" is there twice",
        ),
    ] {
        let error = raw(name, from, to);
        assert!(error.contains(message), "{error}");
    }
}

/// podman#472, moby#14637: `docker load` reads xz and bzip2, as is done here; others are named.
#[test]
fn other_compressions_are_read_or_named() {
    let mut store = FakeStore::new();
    let path = store.path("base.tar");
    let located = store.locate(&path);
    let plain = located.with_extension("plain");
    std::fs::write(&plain, archive(&base("packed").docker_archive())).unwrap();
    let mut request = store.image_request();
    request["image"]["fromImage"] = json!({ "path": path });
    for packer in ["xz", "bzip2"] {
        let packed = Command::new(packer).arg("-c").arg(&plain).output().unwrap();
        assert!(packed.status.success(), "{packer}");
        std::fs::write(&located, packed.stdout).unwrap();
        let out = store.build(&request).unwrap();
        let image = Image::open(&store.locate(&out)).unwrap();
        let mut layer = Vec::new();
        image.layers[0].write_to(&mut layer).unwrap();
        assert_eq!(layer, base("packed").layers[0], "{packer}");
    }
    std::fs::write(&located, b"LZIP\x01").unwrap();
    let error = store.build(&request).unwrap_err();
    let (message, rest) = error.split_once("\nhint: ").unwrap();
    assert!(
        message.contains("compressed with lzip") && rest.contains("lzip -d"),
        "{error}"
    );
}

/// Row 19 of "Reliability and security": a hand-made image names files of the host.
#[test]
fn a_hand_made_image_names_nothing_outside_of_the_store() {
    let mut store = FakeStore::new();
    let path = store.path("base.tar");
    let files = archive(&base("x").docker_archive());
    std::fs::write(store.locate(&path), pack(&files, Packed::Plain)).unwrap();
    let env = store.add("env", &[Item::File("etc/own", "1")], &[]);
    let mut request = store.image_request();
    request["copyToRoot"] = json!([env]);
    request["image"]["fromImage"] = json!({ "path": path });
    let out = store.build(&request).unwrap();
    let layers = store.locate(&out).join("layers.json");
    let whole = read_json(&layers);
    let outside = store.root().join("secret");
    std::fs::write(&outside, "secret").unwrap();
    std::os::unix::fs::symlink(&outside, store.locate(&store.path("link"))).unwrap();
    for place in [
        "/etc/passwd".to_owned(),
        format!("{path}/../../../etc/passwd"),
        store.path("link"),
    ] {
        for pointer in [
            "/base/0/path",
            "/layers/0/recipe/sources/0/storePath",
            "/layers/0/tar",
        ] {
            let mut made = whole.clone();
            *made.pointer_mut(pointer).unwrap() = json!(place);
            std::fs::remove_file(&layers).ok();
            std::fs::write(&layers, made.to_string()).unwrap();
            let read = Image::open(&store.locate(&out)).and_then(|image| {
                image
                    .layers
                    .iter()
                    .try_for_each(|layer| layer.write_to(&mut Vec::new()))
            });
            let error = read.unwrap_err().to_string();
            assert!(
                error.contains("not in the store directory")
                    || error.contains("leads out of")
                    || error.contains("is not in")
                    || error.contains("has no hash"),
                "{pointer} {place}: {error}"
            );
        }
    }
}
