//! Compression: who asks for it, what it promises, and who reads it.

use strata_testing as support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use strata_image::Image;
use strata_layer::LayersFile;
use strata_oci::{Descriptor, Digest, media_type};
use support::bases::{BaseImage, Packed, Piece, tar, write};
use support::engines::{self, Engine};
use support::fake_store::{FakeStore, Item, read_json};
use support::listing::listing;
use support::registry::{Registry, Setup, run};

/// A store with an image of two layers in it, and room for copies.
struct Scene {
    store: FakeStore,
    /// The image's store path.
    image: String,
    large: String,
    directory: tempfile::TempDir,
}

impl Scene {
    /// A scene whose lower layer asks for `lower` and whose image asks for `upper`.
    fn new(lower: Option<&str>, upper: Option<&str>) -> Self {
        let mut store = FakeStore::new();
        // More than two pieces, of which some repeats; each scene has other bytes.
        let name = store.dir.clone();
        let numbers = (0..180_000).map(|number: u32| {
            let mixed = number.wrapping_mul(2_654_435_761);
            format!("{name} {:x}\n", mixed >> 8)
        });
        let large = store.add(
            "large",
            &[Item::File("data", &numbers.collect::<String>())],
            &[],
        );
        let busybox = store.add("busybox", &[Item::Directory("bin")], &[]);
        let program = store.locate(&busybox).join("bin/busybox");
        fs::copy("/bin/busybox", &program).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o555)).unwrap();
        store.register(&busybox, &[]);

        let layer = json!({
            "version": 1, "storeDir": store.dir, "maxLayers": 1, "deps": [large], "compression": lower,
        });
        let layer = store.build(&layer).unwrap();
        let mut request = store.image_request();
        request["deps"] = json!([busybox]);
        request["layers"] = json!([layer]);
        request["compression"] = json!(upper);
        request["image"]["config"] =
            json!({ "Cmd": [format!("{busybox}/bin/busybox"), "md5sum", format!("{large}/data")] });
        let image = store.build(&request).unwrap();
        Self {
            store,
            image,
            large,
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn compress(&self, name: &str, arguments: &[&str]) -> PathBuf {
        // Where derivations have it: of a store with another name, only what is in it is believed.
        let output = self.store.locate(&self.store.path(&name.replace(':', "-")));
        let said = strata(
            &["compress", &self.image, output.to_str().unwrap()],
            arguments,
        );
        let errors = String::from_utf8(said.stderr).unwrap();
        assert!(said.status.success(), "{errors}");
        assert_eq!(said.stdout, fs::read(output.join("digest")).unwrap());
        output
    }
}

fn strata(arguments: &[&str], more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_strata"))
        .args(arguments)
        .args(more)
        .output()
        .unwrap()
}

fn refused(arguments: &[&str], message: &str) {
    let output = strata(arguments, &[]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains(message), "{errors}");
    assert!(errors.contains("\nhint: "), "{errors}");
}

fn wishes(store: &FakeStore, output: &str) -> Vec<Value> {
    let layers = store.layers(output)["layers"].as_array().unwrap().clone();
    layers
        .into_iter()
        .map(|mut layer| layer["compression"].take())
        .collect()
}

fn bytes_of(image: &Path) -> Vec<Vec<u8>> {
    let image = Image::open(image).unwrap();
    let layers = image.layers.iter().map(|layer| {
        let mut bytes = Vec::new();
        layer.write_to(&mut bytes).unwrap();
        bytes
    });
    layers.collect()
}

#[test]
fn layers_remember_what_was_asked_for() {
    for (lower, upper, expected) in [
        (None, None, [json!(null), json!(null)]),
        (Some("zstd:7"), None, [json!("zstd:7"), json!(null)]),
        (None, Some("gzip"), [json!("gzip:3"), json!("gzip:3")]),
        (Some("none"), Some("zstd"), [json!("none"), json!("zstd:2")]),
    ] {
        let scene = Scene::new(lower, upper);
        assert_eq!(wishes(&scene.store, &scene.image), expected);
    }
}

/// Who asks for nothing has the bytes that images had before one could ask.
#[test]
fn wishes_change_no_digest() {
    let mut store = FakeStore::new();
    let app = store.add("app", &[Item::File("a", "1")], &[]);
    let mut request = store.image_request();
    request["deps"] = json!([app]);
    let plain = store.build(&request).unwrap();
    let text = fs::read_to_string(store.locate(&plain).join("layers.json")).unwrap();
    assert!(!text.contains("compress"), "{text}");
    request["compression"] = json!("zstd");
    let compressed = store.build(&request).unwrap();
    let digest = |image: &str| fs::read(store.locate(image).join("digest")).unwrap();
    assert_eq!(digest(&plain), digest(&compressed));
}

#[test]
fn a_layer_of_a_database_alone_is_compressed_as_the_image_says() {
    let mut store = FakeStore::new();
    let app = store.add("app", &[Item::File("a", "1")], &[]);
    let layer = json!({ "version": 1, "storeDir": store.dir, "maxLayers": 1, "deps": [app] });
    let layer = store.build(&layer).unwrap();
    let mut request = store.image_request();
    request["layers"] = json!([layer]);
    request["compression"] = json!("zstd:5");
    request["image"]["nixDatabase"] = json!({});
    let image = store.build(&request).unwrap();
    assert_eq!(wishes(&store, &image), ["zstd:5", "zstd:5"]);
}

#[test]
fn compressed_images_promise_what_they_give() {
    let scene = Scene::new(Some("zstd"), None);
    let tars = scene.store.tars(&scene.image);
    let compressed = scene.compress("compressed", &[]);

    let listing: Vec<String> = listing(&compressed).into_keys().collect();
    let manifest: Value = read_json(&compressed.join("index.json"))["manifests"][0].clone();
    let digest = manifest["digest"].as_str().unwrap();
    assert_eq!(
        format!("{digest}\n").as_bytes(),
        fs::read(compressed.join("digest")).unwrap()
    );
    // No layer is there.
    assert_eq!(
        listing
            .iter()
            .filter(|name| name.contains("sha256/"))
            .count(),
        2,
        "{listing:?}"
    );

    let image = Image::open(&compressed).unwrap();
    let plain = Image::open(Path::new(&scene.image)).unwrap();
    assert_eq!(image.config_bytes, plain.config_bytes);
    let annotations = |image: &Image| image.manifest_descriptor.annotations.clone();
    assert_eq!(annotations(&image), annotations(&plain));
    let programs = [
        ("zstd", media_type::LAYER_TAR_ZSTD),
        ("gzip", media_type::LAYER_TAR_GZIP),
    ];
    for (index, bytes) in bytes_of(&compressed).iter().enumerate() {
        let (program, media_type) = programs[index];
        let layer = &image.layers[index];
        assert_eq!(layer.descriptor(), &Descriptor::of(media_type, bytes));
        assert_eq!(layer.descriptor(), &image.manifest.layers[index]);
        assert_eq!(layer.diff_id(), Digest::of(&tars[index]));
        assert_eq!(layer.recipe(), plain.layers[index].recipe());
        let blob = scene.path("blob");
        fs::write(&blob, bytes).unwrap();
        let tar = Command::new(program)
            .arg("-dc")
            .stdin(fs::File::open(&blob).unwrap())
            .output()
            .unwrap();
        assert!(tar.stdout == tars[index], "{program}");
    }
}

/// The places of the table are in the manifest that is promised, and stay there.
#[test]
fn layers_with_a_table_are_promised() {
    let scene = Scene::new(None, Some("zstd:chunked"));
    let compressed = scene.compress("compressed", &["--compression", "zstd:chunked"]);
    let image = Image::open(&compressed).unwrap();
    for (layer, bytes) in image.layers.iter().zip(bytes_of(&compressed)) {
        let layer = layer.descriptor();
        assert_eq!(layer.table_annotations().len(), 3);
        assert_eq!(
            (layer.digest, layer.size),
            (Digest::of(&bytes), bytes.len() as u64)
        );
    }
    let verified = strata(&["verify", compressed.to_str().unwrap()], &[]);
    assert!(verified.status.success(), "{verified:?}");
    let registry = Registry::start(Setup::default());
    let name = format!("docker://{}/name:tag", registry.host);
    let pushed = strata(
        &[
            "copy",
            "--dest-tls-verify=false",
            compressed.to_str().unwrap(),
        ],
        &[&name],
    );
    assert!(pushed.status.success(), "{pushed:?}");
    let digest = fs::read(compressed.join("digest")).unwrap();
    assert!(pushed.stdout.ends_with(&digest), "{pushed:?}");
    let arguments = ["copy", &scene.image, &name, "--format=docker"];
    let refused = strata(&arguments, &["--compression=zstd:chunked"]);
    let message = String::from_utf8(refused.stderr).unwrap();
    assert!(
        message.contains("its layers are compressed with gzip"),
        "{message}"
    );
}

#[test]
fn the_command_is_stronger_than_the_layers() {
    let scene = Scene::new(Some("zstd"), Some("none"));
    let compressed = scene.compress("compressed", &["--compression", "gzip:1"]);
    let layers = LayersFile::read(&compressed).unwrap().layers;
    for layer in &layers {
        assert_eq!(layer.compression.unwrap().to_string(), "gzip:1");
        assert_eq!(layer.descriptor().media_type, media_type::LAYER_TAR_GZIP);
    }

    let kept = scene.compress("kept", &[]);
    let layers = LayersFile::read(&kept).unwrap().layers;
    assert_eq!(
        layers[0].descriptor().media_type,
        media_type::LAYER_TAR_ZSTD
    );
    assert_eq!(layers[1].descriptor(), layers[1].tar_descriptor());
    assert_eq!(layers[1].compressed, None);
}

#[test]
fn compressing_twice_gives_the_same() {
    let scene = Scene::new(None, None);
    let one = scene.compress("one", &[]);
    let two = Command::new(env!("CARGO_BIN_EXE_strata"))
        .args(["compress", "--quiet", &scene.image])
        .arg(scene.path("two"))
        .env("NIX_BUILD_CORES", "1")
        .output()
        .unwrap();
    assert!(two.status.success() && two.stdout.is_empty() && two.stderr.is_empty());
    assert_eq!(listing(&one), listing(&scene.path("two")));
}

#[test]
fn compressed_images_are_inspected_and_verified() {
    let scene = Scene::new(None, None);
    let compressed = scene.compress("compressed", &[]);
    let compressed = compressed.to_str().unwrap();

    let verified = strata(&["verify", compressed], &[]);
    assert!(verified.status.success(), "{verified:?}");
    let inspected = strata(&["inspect", "--json", compressed], &[]);
    let inspected: Value = serde_json::from_slice(&inspected.stdout).unwrap();
    let plain = strata(&["inspect", "--json", &scene.image], &[]);
    let plain: Value = serde_json::from_slice(&plain.stdout).unwrap();
    for (layer, plain) in [0, 1].map(|index| (&inspected["layers"][index], &plain["layers"][index]))
    {
        assert_eq!(layer["diffId"], plain["digest"]);
        assert_eq!(layer["mediaType"], json!(media_type::LAYER_TAR_GZIP));
        assert!(layer["size"].as_u64() < plain["size"].as_u64());
        assert_eq!(layer["compression"], json!("gzip:3"));
        assert_eq!(plain["compression"], json!(null));
    }

    let data = scene.store.locate(&scene.large).join("data");
    fs::write(data, "other").unwrap();
    let verified = strata(&["verify", compressed], &[]);
    let errors = String::from_utf8(verified.stderr).unwrap();
    assert_eq!(verified.status.code(), Some(1));
    assert!(errors.contains(&scene.large), "{errors}");
    let layout = format!("oci:{}", scene.path("layout").display());
    refused(&["copy", compressed, &layout], &scene.large);
    assert!(!scene.path("layout").exists());
}

/// Another version of a compressor may give other bytes; the registry must not get them.
#[test]
fn other_compressed_bytes_are_noticed() {
    let scene = Scene::new(None, None);
    let compressed = scene.compress("compressed", &[]);
    let path = compressed.join("layers.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("gzip:3", "gzip:4")).unwrap();
    let layout = format!("oci:{}", scene.path("layout").display());
    refused(
        &["copy", compressed.to_str().unwrap(), &layout],
        ", compressed as gzip:4",
    );
    fs::write(&path, text.replace("gzip:3", "zstd:3")).unwrap();
    refused(
        &["inspect", compressed.to_str().unwrap()],
        "does not say how layer ",
    );
}

#[test]
fn what_cannot_be_compressed_is_refused() {
    let scene = Scene::new(None, None);
    let compressed = scene.compress("compressed", &[]);
    let compressed = compressed.to_str().unwrap();
    let before = listing(scene.directory.path());
    refused(
        &["compress", &scene.image, compressed],
        "there is something already",
    );
    let other = scene.path("other");
    refused(
        &["compress", compressed, other.to_str().unwrap()],
        "compressed already",
    );
    fs::remove_dir_all(scene.store.locate(&scene.large)).unwrap();
    refused(
        &["compress", &scene.image, other.to_str().unwrap()],
        &scene.large,
    );
    assert_eq!(listing(scene.directory.path()), before);
}

/// Layers whose tars are in the store.
#[test]
fn kept_tars_are_compressed() {
    let mut store = FakeStore::new();
    let app = store.add("app", &[Item::File("a", "1")], &[]);
    let mut request = store.image_request();
    request["deps"] = json!([app]);
    request["reproducible"] = json!(false);
    let image = store.build(&request).unwrap();
    let output = store.locate(&store.path("compressed"));
    let said = strata(&["compress", &image, output.to_str().unwrap()], &[]);
    assert!(said.status.success(), "{said:?}");
    let tar = LayersFile::read(&output).unwrap().layers[0]
        .tar
        .clone()
        .unwrap();
    assert!(tar.starts_with(&image), "{tar}");
    assert_eq!(bytes_of(&output).len(), 1);
}

/// Loads and runs an image whose layers are of several pieces.
fn runs(engine: &dyn Engine, compression: &str) {
    let scene = Scene::new(None, None);
    let compressed = scene.compress("compressed", &["--compression", compression]);
    let name = format!("strata-{}:1", compression.replace(':', "-"));
    let archive = scene.path("archive.tar");
    let destination = format!("docker-archive:{}:{name}", archive.display());
    run(Command::new(env!("CARGO_BIN_EXE_strata"))
        .args(["copy", "--quiet"])
        .args([compressed.to_str().unwrap(), &destination]));
    engine.load(&archive);
    let sum = engine.run(&name, &[]);
    let data = scene.store.locate(&scene.large).join("data");
    let expected = run(Command::new("md5sum").arg(data));
    assert_eq!(
        sum.split(' ').next(),
        expected.split(' ').next(),
        "{}",
        engine.name()
    );
}

#[test]
fn engines_join_the_members_of_gzip() {
    for engine in engines::all() {
        runs(engine, "gzip");
    }
}

/// dockerd reads Zstandard since version 23, this one is older.
#[test]
fn engines_join_the_frames_of_zstandard() {
    runs(engines::podman(), "zstd");
    runs(engines::containerd(), "zstd");
}

#[test]
fn umoci_and_skopeo_read_compressed_layouts() {
    let scene = Scene::new(None, None);
    for (compression, is_read_by_umoci) in [("gzip", true), ("zstd", false)] {
        let compressed = scene.compress(compression, &["--compression", compression]);
        let layout = scene.path(&format!("{compression}.layout"));
        run(Command::new(env!("CARGO_BIN_EXE_strata"))
            .args(["copy", "--quiet"])
            .arg(&compressed)
            .arg(format!("oci:{}:1", layout.display())));
        let copy = scene.path(&format!("{compression}.copy"));
        run(Command::new("skopeo").args([
            "copy",
            "--preserve-digests",
            &format!("oci:{}:1", layout.display()),
            &format!("oci:{}:1", copy.display()),
        ]));
        let digest = &read_json(&copy.join("index.json"))["manifests"][0]["digest"];
        let expected = fs::read_to_string(compressed.join("digest")).unwrap();
        assert_eq!(digest.as_str(), Some(expected.trim()));
        if is_read_by_umoci {
            let bundle = scene.path("bundle");
            run(Command::new("umoci")
                .args(["unpack", "--image", &format!("{}:1", layout.display())])
                .arg(&bundle));
            let unpacked = bundle
                .join("rootfs")
                .join(scene.large.trim_start_matches('/'))
                .join("data");
            assert!(
                fs::read(unpacked).unwrap()
                    == fs::read(scene.store.locate(&scene.large).join("data")).unwrap()
            );
        }
    }
}

/// What the registry held before under that name, compressed otherwise, changes nothing.
#[test]
fn the_registry_has_the_promised_digest() {
    let scene = Scene::new(None, Some("none"));
    let registry = Registry::start(Setup::default());
    let destination = format!("docker://{}/promised:1", registry.host);
    let copy = |image: &str, flags: &[&str]| {
        run(Command::new(env!("CARGO_BIN_EXE_strata"))
            .args(["copy", image, &destination])
            .args(flags))
    };
    copy(&scene.image, &["--compression=zstd"]);
    for compression in ["gzip", "zstd:1", "none"] {
        let compressed = scene.compress(compression, &["--compression", compression]);
        let said = copy(compressed.to_str().unwrap(), &[]);
        let expected = fs::read_to_string(compressed.join("digest")).unwrap();
        let reference = &destination["docker://".len()..];
        assert_eq!(said, format!("{reference}@{expected}"));
        let inspect = ["inspect", "--tls-verify=false", "--format={{.Digest}}"];
        let found = run(Command::new("skopeo").args(inspect).arg(&destination));
        assert_eq!(found, expected, "{compression}");
    }
}

/// Issue 11, row 3 of the clients: a Docker archive of an image on a gzip base has plain layers only, which
/// skopeo reads as well; an OCI archive has them as they are.
#[test]
fn docker_archives_have_plain_layers() {
    let mut store = FakeStore::new();
    let base = BaseImage {
        packed: Packed::Gzip,
        ..BaseImage::new(vec![tar(&[Piece::File("etc/base", "1")])])
    };
    let path = store.path("base");
    write(&BaseImage::layout(&[base]), &store.locate(&path));
    let env = store.add("env", &[Item::File("etc/own", "1")], &[]);
    let mut request = store.image_request();
    request["copyToRoot"] = json!([env]);
    request["image"]["fromImage"] = json!({ "path": path });
    let image = store.build(&request).unwrap();
    let opened = Image::open(Path::new(&image)).unwrap();
    let directory = tempfile::tempdir().unwrap();
    for (transport, is_plain) in [("docker-archive", true), ("oci-archive", false)] {
        let file = directory.path().join(transport);
        let destination = format!("{transport}:{}:hello:1", file.display());
        let said = strata(&["copy", "--quiet", &image, &destination], &[]);
        assert!(said.status.success(), "{said:?}");
        let mut archive = tar::Archive::new(fs::File::open(&file).unwrap());
        let mut files = std::collections::BTreeMap::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
            files.insert(entry.path().unwrap().display().to_string(), bytes);
        }
        let listed: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
        let layers = listed[0]["Layers"].as_array().unwrap().iter();
        let digests = layers.map(|layer| Digest::of(&files[layer.as_str().unwrap()]));
        let own = opened.layers.iter();
        let expected: Vec<Digest> = if is_plain {
            own.map(|layer| layer.diff_id()).collect()
        } else {
            own.map(|layer| layer.descriptor().digest).collect()
        };
        assert_eq!(digests.collect::<Vec<_>>(), expected, "{transport}");
        let index: Value = serde_json::from_slice(&files["index.json"]).unwrap();
        let digest = index["manifests"][0]["digest"].as_str().unwrap();
        let manifest = &files[&format!("blobs/{}", digest.replace(':', "/"))];
        assert_eq!(Digest::of(manifest).to_string(), digest);
        // As many as the layers, which are all that is compressed, and no blob that nobody names.
        assert_eq!(files.len(), 2 + 3 + 2 + expected.len());
        let from = format!("{transport}:{}", file.display());
        let inspect = ["inspect", "--format", "{{.Layers}}", &from];
        let said = support::registry::run(std::process::Command::new("skopeo").args(inspect));
        assert!(said.contains(&expected[0].to_string()), "{said}");
    }
}

/// What of a base image is not compressed is compressed like the image's own layers; what is stays as
/// it is. An image on top of one with promises has none itself.
#[test]
fn base_images_are_compressed_where_they_are_not() {
    for (packed, expected) in [
        (Packed::Plain, ["zstd:2", "zstd:2"].map(|text| json!(text))),
        (Packed::Gzip, [json!(null), json!("zstd:2")]),
    ] {
        let mut store = FakeStore::new();
        let layer = tar(&[Piece::File("etc/base", "1")]);
        let base = BaseImage {
            packed,
            ..BaseImage::new(vec![layer.clone()])
        };
        let path = store.path("base");
        write(&BaseImage::layout(&[base]), &store.locate(&path));
        let env = store.add("env", &[Item::File("etc/own", "1")], &[]);
        let mut request = store.image_request();
        request["copyToRoot"] = json!([env]);
        request["compression"] = json!("zstd:2");
        request["image"]["fromImage"] = json!({ "path": path });
        let image = store.build(&request).unwrap();

        let compressed = store.path("compressed");
        let said = strata(&["compress", &image, &compressed], &[]);
        assert!(said.status.success(), "{said:?}");
        let opened = Image::open(Path::new(&compressed)).unwrap();
        let wishes = opened
            .layers
            .iter()
            .map(|layer| json!(layer.compression().map(|wish| wish.to_string())));
        assert_eq!(wishes.collect::<Vec<_>>(), expected);
        for (layer, bytes) in opened.layers.iter().zip(bytes_of(Path::new(&compressed))) {
            assert_ne!(layer.descriptor().media_type, media_type::LAYER_TAR);
            assert_eq!(layer.descriptor().digest, Digest::of(&bytes));
        }
        assert_eq!(opened.layers[0].diff_id(), Digest::of(&layer));

        let mut upper = store.image_request();
        let on = |upper: &mut Value, path: &str, store: &mut FakeStore| {
            upper["image"]["fromImage"] = json!({ "path": path });
            let image = store.build(upper).unwrap();
            fs::read(store.locate(&image).join("digest")).unwrap()
        };
        assert_eq!(
            on(&mut upper, &compressed, &mut store),
            on(&mut upper, &image, &mut store)
        );
    }
}
