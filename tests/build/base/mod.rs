//! Base images: every form that others write, and everything that may be wrong with one.

mod programs;

use strata_testing as support;

use std::collections::BTreeMap;
use std::io::Read as _;

use rstest::rstest;
use serde_json::{Value, json};
use strata_image::Image;
use strata_oci::Digest;
use support::bases::{BaseImage, Packed, Piece, archive, descriptor, pack, tar, write};
use support::fake_store::{FakeStore, Item, read_json};

/// A base with a repeated layer (NixOS/nixpkgs#214434).
fn base() -> BaseImage {
    let one = tar(&[
        Piece::Directory("tmp", 0o1777, 0),
        Piece::Directory("home/app", 0o700, 1000),
        Piece::File("etc/base", "1"),
    ]);
    let two = tar(&[Piece::HardLink("etc/hard", "etc/base")]);
    BaseImage::new(vec![one.clone(), two, one])
}

/// Adds a store path with this content.
fn add(store: &FakeStore, name: &str, content: &Content) -> String {
    let path = store.path(name);
    match content {
        Content::Archive(bytes) => std::fs::write(store.locate(&path), bytes).unwrap(),
        Content::Directory(files) => {
            write(files, &store.locate(&path));
        }
    }
    path
}

enum Content {
    Archive(Vec<u8>),
    Directory(Vec<(String, Vec<u8>)>),
}

/// A request of an image on top of what is at `path`, with a file of its own.
fn request(store: &mut FakeStore, path: &str) -> Value {
    let env = store.add("env", &[Item::File("etc/own", "1")], &[]);
    let mut request = store.image_request();
    request["copyToRoot"] = json!([env]);
    request["image"]["fromImage"] = json!({ "path": path });
    request
}

/// The blobs of all layers, as a copy would write them.
fn blobs(image: &Image) -> Vec<Vec<u8>> {
    let layers = image.layers.iter().map(|layer| {
        let mut bytes = Vec::new();
        layer.write_to(&mut bytes).unwrap();
        assert_eq!(Digest::of(&bytes), layer.descriptor().digest);
        bytes
    });
    layers.collect()
}

#[rstest]
#[case::docker_old(false, Packed::Plain, |base: BaseImage| base.docker_archive())]
#[case::oci(false, Packed::Plain, |base: BaseImage| BaseImage::layout(&[base]))]
#[case::layout(true, Packed::Plain, |base: BaseImage| BaseImage::layout(&[base]))]
#[case::layout_gzip(true, Packed::Gzip, |base: BaseImage| BaseImage::layout(&[base]))]
#[case::oci_zstd(false, Packed::Zstd, |base: BaseImage| BaseImage::layout(&[base]))]
#[case::skopeo(true, Packed::Gzip, |base: BaseImage| base.skopeo_directory())]
fn every_form_gives_the_same_layers_and_config(
    #[case] directory: bool,
    #[case] packed: Packed,
    #[case] form: fn(BaseImage) -> Vec<(String, Vec<u8>)>,
    #[values(Packed::Plain, Packed::Gzip, Packed::Zstd)] outer: Packed,
) {
    if directory && outer != Packed::Plain {
        return;
    }
    let mut store = FakeStore::new();
    let base = BaseImage { packed, ..base() };
    let tars = base.layers.clone();
    let files = form(base);
    let content = if directory {
        Content::Directory(files)
    } else {
        Content::Archive(pack(&archive(&files), outer))
    };
    let path = add(&store, "base", &content);
    let mut request = request(&mut store, &path);
    request["image"]["config"] = json!({ "Env": ["BASE=2"], "Cmd": ["own"] });
    let (out, warnings) = store.build_with(&request, 2).unwrap();
    assert_eq!(
        warnings.len(),
        usize::from(outer != Packed::Plain),
        "{warnings:?}"
    );

    let image = Image::open(&store.locate(&out)).unwrap();
    let diff_ids: Vec<Digest> = image.layers.iter().map(|layer| layer.diff_id()).collect();
    assert_eq!(diff_ids.len(), 4);
    for ((blob, tar), diff_id) in blobs(&image).iter().zip(&tars).zip(&diff_ids) {
        assert_eq!((Digest::of(tar), blob), (*diff_id, &pack(tar, packed)));
    }
    let media_type = image.layers[0].descriptor().media_type.clone();
    let end = match packed {
        Packed::Plain => "tar",
        Packed::Gzip => "tar+gzip",
        Packed::Zstd => "tar+zstd",
    };
    assert_eq!(
        media_type,
        format!("application/vnd.oci.image.layer.v1.{end}")
    );
    assert_eq!(
        Value::Object(image.config.config.clone()),
        json!({ "Env": ["PATH=/bin", "BASE=2"], "Entrypoint": ["/bin/base"], "Cmd": ["own"] })
    );
    let history = &image.config.history;
    assert_eq!(history.len(), 5);
    assert!(history[0].empty_layer);
    assert_eq!(history[3].metadata.created_by.as_deref(), Some("COPY . /"));
    let layers = read_json(&store.locate(&out).join("layers.json"));
    assert_eq!(layers["layers"].as_array().unwrap().len(), 1);
    assert!(
        layers["base"][0]["path"]
            .as_str()
            .unwrap()
            .starts_with(&path)
    );
}

/// <https://github.com/NixOS/nixpkgs/issues/214434>: a layer that a base has twice broke the build, as
/// one member that is named twice, and as a link.
#[rstest]
#[case::named_twice(true)]
#[case::link(false)]
fn nixpkgs_214434_a_layer_may_be_there_twice(#[case] named_twice: bool) {
    let mut store = FakeStore::new();
    let base = base();
    let mut files = base.docker_archive();
    if named_twice {
        let link = files.iter().position(|(name, _)| name.starts_with("-> "));
        files.remove(link.unwrap());
        let name = |number: usize| format!("{number:064}/layer.tar");
        let manifest = file(&mut files, "manifest.json");
        let text = String::from_utf8(manifest.clone()).unwrap();
        *manifest = text.replace(&name(2), &name(0)).into_bytes();
    }
    let path = add(&store, "base", &Content::Archive(archive(&files)));
    let mut request = request(&mut store, &path);
    request["image"]["remove"] = json!(["/etc/hard"]);
    let out = store.build(&request).unwrap();
    let image = Image::open(&store.locate(&out)).unwrap();
    assert_eq!(image.layers.len(), 5);
    assert_eq!(blobs(&image)[..3], base.layers);
}

#[test]
fn an_image_of_strata_is_a_base_without_blobs() {
    let mut store = FakeStore::new();
    let path = add(
        &store,
        "base",
        &Content::Archive(archive(&base().docker_archive())),
    );
    let library = store.add("library", &[Item::File("lib", "1")], &[]);
    let app = store.add("app", &[Item::Executable("bin/app", "#!")], &[&library]);
    let mut lower = request(&mut store, &path);
    lower["deps"] = json!([library]);
    lower["image"]["config"] = json!({ "User": "lower" });
    let lower_out = store.build(&lower).unwrap();
    let mut upper = store.image_request();
    upper["deps"] = json!([app]);
    upper["image"]["fromImage"] = json!({ "path": lower_out });
    let upper_out = store.build(&upper).unwrap();

    let [lower, upper] =
        [&lower_out, &upper_out].map(|out| Image::open(&store.locate(out)).unwrap());
    assert_eq!(upper.layers.len(), 5);
    for (one, other) in lower.layers.iter().zip(&upper.layers) {
        assert_eq!(one.descriptor(), other.descriptor());
    }
    blobs(&upper);
    assert_eq!(upper.config.config["User"], "lower");
    // What the base holds is not repeated.
    let own = upper.layers[4].recipe().unwrap();
    let sources: Vec<&str> = own
        .sources
        .iter()
        .map(|source| source.store_path.as_str())
        .collect();
    assert_eq!(sources, [app.as_str()]);

    upper_request_with_rule(&mut store, upper_out_request(&upper_out), &library);
}

fn upper_out_request(path: &str) -> Value {
    json!({ "path": path })
}

/// Layers of the base stay as they are, so rules about them have no effect.
fn upper_request_with_rule(store: &mut FakeStore, from_image: Value, library: &str) {
    let mut request = store.image_request();
    request["image"]["fromImage"] = from_image;
    request["perms"] = json!([{ "path": library, "mode": "0700" }]);
    let error = store.build(&request).unwrap_err();
    assert!(
        error.contains("perms[0].path") && error.contains("is in a layer of fromImage"),
        "{error}"
    );
}

#[test]
fn an_image_is_chosen_among_several() {
    let mut store = FakeStore::new();
    let image = |number: &str, architecture: &str, name: &str| BaseImage {
        architecture: architecture.to_owned(),
        name: name.to_owned(),
        config: json!({ "User": number }),
        ..base()
    };
    let images = [
        image("1", "amd64", "base:1"),
        image("2", "amd64", "base:2"),
        image("3", "arm64", "base:1"),
    ];
    let path = add(
        &store,
        "base",
        &Content::Directory(BaseImage::layout(&images)),
    );
    let mut request = request(&mut store, &path);
    for (from_image, arch, user) in [
        (json!({ "tag": "1" }), "amd64", "1"),
        (json!({ "name": "base", "tag": "2" }), "amd64", "2"),
        (json!({ "platform": "linux/arm64" }), "arm64", "3"),
        (json!({ "tag": "1" }), "arm64", "3"),
        (
            json!({ "digest": Digest::of(&images[1].config_bytes()) }),
            "amd64",
            "2",
        ),
    ] {
        let base = &mut request["image"]["fromImage"];
        *base = from_image;
        base["path"] = json!(path);
        request["image"]["arch"] = json!(arch);
        let out = store.build(&request).unwrap();
        let image = Image::open(&store.locate(&out)).unwrap();
        assert_eq!(image.config.config["User"], user);
    }
    request["image"]["fromImage"] = json!({ "path": path });
    request["image"]["arch"] = json!("amd64");
    let error = store.build(&request).unwrap_err();
    assert!(
        error.contains("has 2 images that fit") && error.contains("base:2"),
        "{error}"
    );
}

/// The platform is in the config, and a base must be for it.
#[test]
fn platforms_of_bases_are_compared() {
    let mut store = FakeStore::new();
    let mut build = |variant_of_base: Option<&str>, wanted: Value| {
        let mut request = store.image_request();
        request["image"]["arch"] = Value::Null;
        for (key, value) in wanted.as_object().unwrap() {
            request["image"][key] = value.clone();
        }
        if let Some(variant) = variant_of_base {
            let name = format!("base-{variant}");
            let image = BaseImage {
                architecture: "arm".to_owned(),
                variant: (!variant.is_empty()).then(|| variant.to_owned()),
                ..base()
            };
            let path = store.path(&name);
            if !store.locate(&path).exists() {
                add(
                    &store,
                    &name,
                    &Content::Directory(BaseImage::layout(&[image])),
                );
            }
            request["image"]["fromImage"] = json!({ "path": path });
        }
        let out = store.build(&request)?;
        let image = Image::open(&store.locate(&out)).unwrap();
        Ok::<_, String>(image.config.platform().to_string())
    };
    for (base, wanted, expected) in [
        (None, json!({ "arch": "arm64" }), "linux/arm64"),
        (
            None,
            json!({ "arch": "amd64", "os": "windows" }),
            "windows/amd64",
        ),
        (None, json!({ "platform": "linux/arm/v6" }), "linux/arm/v6"),
        (Some("v7"), json!({ "arch": "arm" }), "linux/arm/v7"),
        (
            Some("v7"),
            json!({ "platform": "linux/arm/v7" }),
            "linux/arm/v7",
        ),
        (
            Some(""),
            json!({ "platform": "linux/arm/v7" }),
            "linux/arm/v7",
        ),
    ] {
        assert_eq!(
            build(base, wanted.clone()).as_deref(),
            Ok(expected),
            "{wanted}"
        );
    }
    for wanted in ["linux/arm/v6", "linux/arm64", "freebsd/arm/v7"] {
        let error = build(Some("v7"), json!({ "platform": wanted })).unwrap_err();
        let message = format!("is for linux/arm/v7, but the image is for {wanted}\nhint: ");
        assert!(error.contains(&message), "{error}");
    }
}

/// One of the index of `docker buildx`: nested, with attestations, and with platforms that are not
/// there.
#[test]
fn nested_indexes_and_absent_platforms_are_understood() {
    let mut store = FakeStore::new();
    let mut files = BaseImage::layout(&[base()]);
    let (_, outer) = files.pop().unwrap();
    let outer: Value = serde_json::from_slice(&outer).unwrap();
    let mut attestation = outer["manifests"][0].clone();
    attestation["annotations"] = json!({ "vnd.docker.reference.type": "attestation-manifest" });
    let absent = descriptor("application/vnd.oci.image.manifest.v1+json", b"absent");
    let inner =
        json!({ "schemaVersion": 2, "manifests": [outer["manifests"][0], absent, attestation] });
    let inner = inner.to_string().into_bytes();
    let mut entry = descriptor("application/vnd.oci.image.index.v1+json", &inner);
    entry["annotations"] = json!({ "io.containerd.image.name": "docker.io/library/nested:9" });
    files.push((
        format!("blobs/sha256/{}", Digest::of(&inner).hex()),
        inner.clone(),
    ));
    let index = json!({ "schemaVersion": 2, "manifests": [entry] });
    files.push(("index.json".to_owned(), index.to_string().into_bytes()));
    let path = add(&store, "base", &Content::Archive(archive(&files)));
    let mut request = request(&mut store, &path);
    for selection in [
        json!({ "path": path }),
        json!({ "path": path, "name": "nested", "tag": "9" }),
        json!({ "path": path, "digest": Digest::of(&inner) }),
    ] {
        request["image"]["fromImage"] = selection;
        store.build(&request).unwrap();
    }
}

/// What is wrong with an archive, and the message.
type Wrong = (&'static str, fn(&mut Vec<(String, Vec<u8>)>), &'static str);

const WRONG: &[Wrong] = &[
    (
        "a layer that is another",
        |files| {
            let other = tar(&[Piece::File("etc/base", "2")]);
            file(files, "layer.tar").clone_from(&other);
        },
        "its uncompressed content: expected sha256:",
    ),
    (
        "a layer that is cut off",
        |files| file(files, "layer.tar").truncate(1536),
        "etc/base: the archive ends in it",
    ),
    (
        "a layer that is missing",
        |files| files.retain(|(name, _)| !name.starts_with('0')),
        "layer.tar: a layer that is not there",
    ),
    (
        "a layer that leads out",
        |files| {
            let name = files[1].0.clone();
            *file(files, &name) = leading_out();
        },
        "../../etc/shadow: the path leads out of the archive",
    ),
    (
        "a config that is another",
        |files| files[0].1.push(b' '),
        ".json: expected sha256:",
    ),
    (
        "a config that is missing",
        |files| {
            files.remove(0);
        },
        ".json: a config that is not there",
    ),
    (
        "a member that leads out",
        |files| files.push(("-> a".to_owned(), b"../../etc/passwd".to_vec())),
        "a: a symlink that leads out of the archive",
    ),
    (
        "two members of one name",
        |files| {
            let (name, content) = files[1].clone();
            files.push((name, content));
        },
        "/layer.tar: there are two of this name",
    ),
    (
        "a link to itself",
        |files| {
            let name = files[1].0.clone();
            files.remove(1);
            files.push((format!("-> {name}"), b"layer.tar".to_vec()));
        },
        "layer.tar: a link that leads to itself",
    ),
    (
        "more layers than diff IDs",
        |files| {
            let manifest = String::from_utf8(file(files, "manifest.json").clone()).unwrap();
            let name = files[1].0.clone();
            let more = manifest.replace("\"Layers\":[", &format!("\"Layers\":[\"{name}\","));
            *file(files, "manifest.json") = more.into_bytes();
        },
        "4 layers, but 3 diff IDs in the config",
    ),
    (
        "no manifest",
        |files| files.retain(|(name, _)| name != "manifest.json"),
        "not an image: neither oci-layout nor manifest.json is in it",
    ),
    (
        "another document",
        |files| *file(files, "manifest.json") = b"[1]".to_vec(),
        "manifest.json: invalid type: integer `1`",
    ),
];

fn file<'a>(files: &'a mut [(String, Vec<u8>)], end: &str) -> &'a mut Vec<u8> {
    &mut files
        .iter_mut()
        .find(|(name, _)| name.ends_with(end))
        .unwrap()
        .1
}

fn leading_out() -> Vec<u8> {
    let mut bytes = tar(&[Piece::File("__/__/etc/shadow", "x")]);
    bytes[..6].copy_from_slice(b"../../");
    let header: &mut [u8; 512] = (&mut bytes[..512]).try_into().unwrap();
    let mut fixed = tar::Header::from_byte_slice(header).clone();
    fixed.set_cksum();
    header.copy_from_slice(fixed.as_bytes());
    bytes
}

#[test]
fn what_is_wrong_is_refused_with_the_member() {
    for (name, break_it, message) in WRONG {
        for outer in [Packed::Plain, Packed::Gzip] {
            let mut store = FakeStore::new();
            let mut files = base().docker_archive();
            break_it(&mut files);
            let path = add(
                &store,
                "base",
                &Content::Archive(pack(&archive(&files), outer)),
            );
            let request = request(&mut store, &path);
            let error = store.build(&request).expect_err(name);
            assert!(error.contains(message), "{name}: {error}");
            assert!(
                error.contains(&path) && error.contains("\nhint: "),
                "{name}: {error}"
            );
        }
    }
}

#[test]
fn blobs_of_a_layout_have_their_digests() {
    let mut whole = BaseImage::layout(&[base()]);
    let count = whole.len() - 1;
    // The marker first, the index last, neither of which has one.
    for number in 1..count {
        let mut store = FakeStore::new();
        let last = whole[number].1.last_mut().unwrap();
        *last ^= 1;
        let path = add(&store, "base", &Content::Directory(whole.clone()));
        *whole[number].1.last_mut().unwrap() ^= 1;
        let request = request(&mut store, &path);
        let error = store.build(&request).unwrap_err();
        assert!(error.contains(&whole[number].0), "{number}: {error}");
    }
}

#[test]
fn other_things_are_refused() {
    for (content, message) in [
        (&b"#!/bin/sh\nexec python3 stream.py\n"[..], "a script"),
        (b"{}", "the archive ends in a header"),
        (&[b'x'; 512], "not a header of a tar archive"),
        (b"", "not an image"),
        (b"\x1f\x8bxx", "unexpected end of file"),
    ] {
        let mut store = FakeStore::new();
        let path = add(&store, "base", &Content::Archive(content.to_vec()));
        let request = request(&mut store, &path);
        let error = store.build(&request).unwrap_err();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn platforms_must_match() {
    let mut store = FakeStore::new();
    let path = add(
        &store,
        "base",
        &Content::Archive(archive(&base().docker_archive())),
    );
    let mut request = request(&mut store, &path);
    request["image"]["arch"] = json!("arm64");
    let error = store.build(&request).unwrap_err();
    assert!(
        error.contains("is for linux/amd64, but the image is for linux/arm64"),
        "{error}"
    );
}

/// <https://github.com/NixOS/nixpkgs/issues/392421>: more than 16 layers of a base broke the build. Layers of the base count:
/// Docker takes 125.
#[test]
fn nixpkgs_392421_many_layers_are_fine_until_docker_has_no_room() {
    let many = |count: usize| {
        let layer = |number: usize| tar(&[Piece::File("f", &number.to_string())]);
        BaseImage::new((0..count).map(layer).collect())
    };
    for (count, max_layers, expected) in [
        (20, 1, Ok(21)),
        (20, 22, Ok(22)),
        (120, 100, Ok(121)),
        (124, 1, Ok(125)),
        (125, 1, Err("one more for the files is too many")),
    ] {
        let mut store = FakeStore::new();
        let path = add(
            &store,
            "base",
            &Content::Archive(archive(&many(count).docker_archive())),
        );
        let mut request = request(&mut store, &path);
        let more = store.add("more", &[Item::File("x", "1")], &[]);
        request["deps"] = json!([more]);
        request["maxLayers"] = json!(max_layers);
        let built = store.build(&request);
        match (built, expected) {
            (Ok(out), Ok(total)) => {
                let image = Image::open(&store.locate(&out)).unwrap();
                assert_eq!(image.layers.len(), total, "{count} {max_layers}");
            }
            (Err(error), Err(message)) => assert!(error.contains(message), "{error}"),
            (built, _) => panic!("{count} {max_layers}: {built:?}"),
        }
    }
}

/// A base as distributions make them, with one layer.
fn merged_usr() -> BaseImage {
    BaseImage::new(vec![tar(&[
        Piece::Symlink("bin", "usr/bin"),
        Piece::Symlink("sbin", "/usr/sbin"),
        Piece::Directory("usr", 0o711, 3),
        Piece::Directory("usr/bin", 0o775, 7),
        Piece::File("usr/bin/sh", "sh"),
        Piece::Directory("usr/share/doc", 0o755, 0),
        Piece::File("usr/share/doc/README", "read me"),
        Piece::Directory("tmp", 0o1777, 0),
        Piece::Directory("nix/store", 0o1775, 1000),
        Piece::Symlink("loop", "loop"),
        Piece::Symlink("run", "/var/run"),
    ])])
}

/// A store with that base, and a request on top of it with these files.
fn on_merged_usr(store: &mut FakeStore, items: &[Item<'_>]) -> Value {
    let archive = archive(&merged_usr().docker_archive());
    let path = add(store, "base", &Content::Archive(archive));
    let env = store.add("env", items, &[]);
    let mut request = store.image_request();
    request["copyToRoot"] = json!([env]);
    request["image"]["fromImage"] = json!({ "path": path });
    request
}

/// A base with users and groups in two layers, behind symlinks.
fn with_users() -> BaseImage {
    BaseImage::new(vec![
        tar(&[
            Piece::Directory("etc", 0o755, 0),
            Piece::File("etc/passwd", "old:x:1:1::/:/bin/sh\n"),
            Piece::Symlink("etc/group", "../usr/etc/group"),
            Piece::File("usr/etc/group", "root:x:0:\nnogroup:x:65534:\n"),
            Piece::File("etc/real", "root:$6$x:1::::::\n"),
        ]),
        tar(&[
            Piece::File("etc/passwd", "root:x:0:0:base:/root:/bin/bash\n"),
            Piece::HardLink("etc/shadow", "etc/real"),
        ]),
    ])
}

/// A request of an image with a base system on a base.
fn with_system(store: &mut FakeStore, base: &str, users: &Value) -> Value {
    let mut all = json!({ "root": { "uid": 0, "gid": 0 }, "nobody": { "uid": 65534 } });
    let asked_for: Vec<&String> = users.as_object().unwrap().keys().collect();
    for (name, user) in users.as_object().unwrap() {
        all[name] = user.clone();
    }
    let usual = ["root", "nobody"].map(str::to_owned);
    let usual: Vec<&String> = usual
        .iter()
        .filter(|name| !asked_for.contains(name))
        .collect();
    let system = json!({
        "version": 1, "storeDir": store.dir,
        "system": {
            "users": all, "groups": { "root": { "gid": 0 }, "nobody": { "gid": 65534 } }
        }
    });
    let system = store.build_system(&system, &["out"]).unwrap().remove(0);
    store.register(&system, &[]);
    let mut request = store.image_request();
    request["copyToRoot"] = json!([system]);
    request["accounts"] =
        json!([{ "path": system, "usualUsers": usual, "usualGroups": ["root", "nobody"] }]);
    request["perms"] = json!([{ "path": system, "regex": "/etc/shadow$", "mode": "0640" }]);
    request["image"]["fromImage"] = json!({ "path": base });
    request
}

/// The content of the files of a layer.
fn contents(store: &FakeStore, image: &str, layer: usize) -> BTreeMap<String, String> {
    let tar = store.tars(image).swap_remove(layer);
    let mut archive = tar::Archive::new(tar.as_slice());
    let files = archive.entries().unwrap().filter_map(|entry| {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        entry
            .header()
            .entry_type()
            .is_file()
            .then_some((path, text))
    });
    files.collect()
}

/// Users and groups are merged line by line, wherever the base's files are.
#[test]
fn users_are_added_to_those_of_the_base() {
    let mut store = FakeStore::relocated();
    let content = Content::Archive(archive(&with_users().docker_archive()));
    let base = add(&store, "base", &content);
    let users = json!({ "app": { "uid": 7, "gid": 7, "groups": ["root"] } });
    let request = with_system(&mut store, &base, &users);
    let (out, warnings) = store.build_with(&request, 1).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    let expected = [
        (
            "etc/passwd",
            "root:x:0:0:base:/root:/bin/bash\napp:x:7:7::/var/empty:/bin/false\n\
             nobody:x:65534:65534::/var/empty:/bin/false\n",
        ),
        (
            "etc/shadow",
            "root:$6$x:1::::::\napp:!:1::::::\nnobody:!:1::::::\n",
        ),
        ("usr/etc/group", "root:x:0:app\nnogroup:x:65534:\n"),
    ];
    let expected = expected.map(|(path, text)| (path.to_owned(), text.to_owned()));
    assert_eq!(contents(&store, &out, 0), expected.into());
    let headers = store.headers(&out, 0);
    assert!(
        headers.contains(&entry("etc/passwd", 0o644, 0)),
        "{headers:?}"
    );
    assert!(
        headers.contains(&entry("etc/shadow", 0o640, 0)),
        "{headers:?}"
    );

    // On that image, which Strata made, once more; also from a layer of its own.
    let users = json!({ "more": { "uid": 9, "gid": 9 } });
    let mut upper = with_system(&mut store, &out, &users);
    let names = ["copyToRoot", "accounts", "perms"];
    let mut layer = json!({ "version": 1, "storeDir": store.dir, "maxLayers": 1 });
    for name in names {
        layer[name] = upper[name].take();
        upper.as_object_mut().unwrap().remove(name);
    }
    let layer = store.build(&layer).unwrap();
    upper["layers"] = json!([layer]);
    let upper = store.build(&upper).unwrap();
    let passwd = &contents(&store, &upper, 1)["etc/passwd"];
    assert!(passwd.starts_with("root:x:0:0:base:"), "{passwd}");
    assert!(
        passwd.ends_with("\nmore:x:9:9::/var/empty:/bin/false\n"),
        "{passwd}"
    );
}

#[test]
fn users_of_the_base_are_not_taken_for_others() {
    let mut store = FakeStore::relocated();
    let content = Content::Archive(archive(&with_users().docker_archive()));
    let base = add(&store, "base", &content);
    let request = with_system(
        &mut store,
        &base,
        &json!({ "root": { "uid": 5, "gid": 0 } }),
    );
    let error = store.build(&request).unwrap_err();
    let message = "attribute users.root: the base image has a user of this name whose uid:gid is 0:0, not 5:0";
    assert!(
        error.contains(message) && error.contains("hint: "),
        "{error}"
    );
    // Without the base's file there is nothing to be merged with.
    let mut request = with_system(
        &mut store,
        &base,
        &json!({ "root": { "uid": 5, "gid": 0 } }),
    );
    request["image"]["remove"] = json!(["/etc/passwd"]);
    let out = store.build(&request).unwrap();
    let passwd = &contents(&store, &out, 1)["etc/passwd"];
    assert!(passwd.starts_with("root:x:5:0:"), "{passwd}");
}

fn entry(path: &str, mode: u32, uid: u64) -> (String, u32, u64) {
    (path.to_owned(), mode, uid)
}

/// <https://github.com/NixOS/nixpkgs/issues/57073>, <https://github.com/NixOS/nixpkgs/issues/110696>,
/// <https://github.com/NixOS/nixpkgs/issues/129007>. Directories say what the base says of them, since engines
/// take the uppermost entry.
#[test]
fn nixpkgs_110696_files_go_through_symlinks_of_the_base() {
    let mut store = FakeStore::relocated();
    let request = on_merged_usr(
        &mut store,
        &[
            Item::Executable("bin/deep/tool", "1"),
            Item::File("usr/bin/two", "2"),
            Item::File("sbin/three", "3"),
            Item::File("run/four", "4"),
            Item::File("tmp/five", "5"),
            Item::Symlink("own", "bin"),
        ],
    );
    let out = store.build(&request).unwrap();
    let expected = [
        entry("own", 0o777, 0),
        entry("tmp/", 0o1777, 0),
        entry("tmp/five", 0o444, 0),
        entry("usr/", 0o711, 3),
        entry("usr/bin/", 0o775, 7),
        entry("usr/bin/deep/", 0o555, 0),
        entry("usr/bin/deep/tool", 0o555, 0),
        entry("usr/bin/two", 0o444, 0),
        // Where the base's symlink leads to nothing yet.
        entry("usr/sbin/", 0o555, 0),
        entry("usr/sbin/three", 0o444, 0),
        entry("var/", 0o755, 0),
        entry("var/run/", 0o555, 0),
        entry("var/run/four", 0o444, 0),
    ];
    assert_eq!(store.headers(&out, 0), expected);
    let recipe = &store.layers(&out)["layers"][0]["recipe"];
    assert_eq!(
        recipe["redirects"],
        json!([
            { "path": "bin", "to": "usr/bin" },
            { "path": "run", "to": "var/run" },
            { "path": "sbin", "to": "usr/sbin" }
        ])
    );
}

#[test]
fn rules_are_about_the_names_in_the_source_and_win_over_the_base() {
    let mut store = FakeStore::relocated();
    let items = [Item::Executable("bin/tool", "1"), Item::Directory("tmp")];
    let mut request = on_merged_usr(&mut store, &items);
    let env = request["copyToRoot"][0].clone();
    request["perms"] = json!([
        { "path": env, "regex": "/bin/tool$", "mode": "4555" },
        { "path": env, "regex": "-env/bin$", "uid": 9 },
        { "path": env, "regex": "-env/tmp$", "mode": "0700" }
    ]);
    let (out, warnings) = store.build_with(&request, 1).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    let expected = [
        entry("tmp/", 0o700, 0),
        entry("usr/", 0o711, 3),
        entry("usr/bin/", 0o775, 9),
        entry("usr/bin/tool", 0o4555, 0),
    ];
    assert_eq!(store.headers(&out, 0), expected);
}

#[test]
fn the_base_s_store_directory_stays_as_it_is() {
    let mut store = FakeStore::relocated();
    let app = store.add("app", &[Item::File("a", "1")], &[]);
    let mut request = on_merged_usr(&mut store, &[Item::File("x", "1")]);
    request["copyToRoot"] = json!([]);
    request["deps"] = json!([app]);
    let out = store.build(&request).unwrap();
    let expected = [entry("nix/", 0o755, 0), entry("nix/store/", 0o1775, 1000)];
    assert_eq!(store.headers(&out, 0)[..2], expected);
}

/// A file twice by two ways, one of them the base's symlink.
#[test]
fn two_ways_to_one_file_are_one_file() {
    for (content, is_fine) in [("1", true), ("2", false)] {
        let mut store = FakeStore::relocated();
        let mut request = on_merged_usr(&mut store, &[Item::File("bin/a", "1")]);
        let other = store.add("other", &[Item::File("usr/bin/a", content)], &[]);
        request["copyToRoot"]
            .as_array_mut()
            .unwrap()
            .push(json!(other));
        let built = store.build(&request);
        assert_eq!(built.is_ok(), is_fine, "{built:?}");
    }
}

#[test]
fn what_would_hide_the_base_is_refused() {
    for (item, message) in [
        (
            Item::Symlink("bin", "/nix/store/x/bin"),
            "conflict at /bin: the base image and",
        ),
        (
            Item::File("usr/share", "x"),
            "conflict at /usr/share: the base image and",
        ),
        (
            Item::File("usr/bin/sh/x", "x"),
            "conflict at /usr/bin/sh: the base image and",
        ),
        (
            Item::File("bin/sh/x", "x"),
            "conflict at /bin/sh: the base image and",
        ),
        (
            Item::File("loop/x", "x"),
            "disagree about where its symlinks lead",
        ),
    ] {
        let mut store = FakeStore::relocated();
        let request = on_merged_usr(&mut store, &[item]);
        let error = store.build(&request).unwrap_err();
        assert!(
            error.contains(message) && error.contains("hint: "),
            "{error}"
        );
    }
    // A file in the place of a file, and the link that is there already, are fine.
    for item in [Item::File("bin/sh", "own"), Item::Symlink("bin", "usr/bin")] {
        let mut store = FakeStore::relocated();
        let request = on_merged_usr(&mut store, &[item]);
        store.build(&request).unwrap();
    }
}

#[test]
fn what_is_removed_is_hidden_in_a_layer_below() {
    let mut store = FakeStore::relocated();
    let items = [Item::File("usr/share/doc/own", "1"), Item::File("bin", "1")];
    let mut request = on_merged_usr(&mut store, &items);
    request["image"]["remove"] = json!(["/usr/share/doc", "/bin/sh", "/bin"]);
    let out = store.build(&request).unwrap();
    let expected = [
        entry(".wh.bin", 0o444, 0),
        entry("usr/", 0o711, 3),
        entry("usr/bin/", 0o775, 7),
        entry("usr/bin/.wh.sh", 0o444, 0),
        entry("usr/share/", 0o755, 0),
        entry("usr/share/.wh.doc", 0o444, 0),
    ];
    assert_eq!(store.headers(&out, 0), expected);
    let expected = [
        entry("bin", 0o444, 0),
        entry("usr/", 0o711, 3),
        entry("usr/share/", 0o755, 0),
        // Another directory than the base's.
        entry("usr/share/doc/", 0o555, 0),
        entry("usr/share/doc/own", 0o444, 0),
    ];
    assert_eq!(store.headers(&out, 1), expected);

    // What an image of ours hides stays hidden above it.
    let mut upper = store.image_request();
    upper["image"]["fromImage"] = json!({ "path": out });
    for (path, is_there) in [("/usr/share/doc/own", true), ("/usr/bin/sh", false)] {
        upper["image"]["remove"] = json!([path]);
        assert_eq!(store.build(&upper).is_ok(), is_there, "{path}");
    }
}

#[test]
fn what_cannot_be_removed_is_named() {
    for (remove, message) in [
        (
            json!(["/etc/nothing"]),
            "attribute remove[0]: /etc/nothing is not in the base image",
        ),
        (
            json!(["/tmp", "/"]),
            "attribute remove[1]: \"/\" is not a path in the image",
        ),
        (
            json!(["tmp"]),
            "attribute remove[0]: \"tmp\" is not a path in the image",
        ),
        (json!(["/a/../tmp"]), "is not a path in the image"),
    ] {
        let mut store = FakeStore::relocated();
        let mut request = on_merged_usr(&mut store, &[Item::File("x", "1")]);
        request["image"]["remove"] = remove;
        let error = store.build(&request).unwrap_err();
        assert!(error.contains(message), "{error}");
        request["image"]["fromImage"] = json!(null);
        let error = store.build(&request).unwrap_err();
        assert!(error.contains("attribute remove"), "{error}");
    }
}

/// Row 1 of "Wrong images": boxlite 187, openshift-preflight 1377. A file of ours goes where the base's links
/// lead that lie in the same layer, whether as symlinks or as hard links to symlinks.
#[rstest]
#[case::symlink("bin")]
#[case::hard_link("sbin")]
fn links_of_one_layer_are_followed(#[case] directory: &str) {
    let mut store = FakeStore::new();
    let layer = tar(&[
        Piece::Directory("usr/bin", 0o755, 0),
        Piece::Symlink("bin", "usr/bin"),
        Piece::HardLink("sbin", "bin"),
        Piece::File("bin/busybox", "base"),
    ]);
    let files = BaseImage::layout(&[BaseImage::new(vec![layer])]);
    let path = add(&store, "base", &Content::Directory(files));
    let env = store.add("env", &[Item::File(&format!("{directory}/mine"), "1")], &[]);
    let mut request = store.image_request();
    request["copyToRoot"] = json!([env]);
    request["image"]["fromImage"] = json!({ "path": path });
    let (out, _) = store.build_with(&request, 2).unwrap();
    let image = Image::open(&store.locate(&out)).unwrap();
    let names = |bytes: &[u8]| {
        let mut archive = tar::Archive::new(bytes);
        let entries = archive.entries().unwrap();
        let names = entries.map(|entry| {
            let entry = entry.unwrap();
            let link = entry.link_name().unwrap();
            let link = link.map_or(String::new(), |link| format!(" {}", link.display()));
            format!("{}{link}", entry.path().unwrap().display())
        });
        names.collect::<Vec<String>>()
    };
    let own = names(&blobs(&image)[1]);
    assert_eq!(own, ["usr/", "usr/bin/", "usr/bin/mine"]);
    let mut exported = Vec::new();
    strata_image::flatten(&image, &mut exported, b"", &|_| Ok(())).unwrap();
    let all = [
        "usr/",
        "usr/bin/",
        "bin usr/bin",
        "sbin bin",
        "usr/bin/busybox",
        "usr/bin/mine",
    ];
    assert_eq!(names(&exported), all);
}
