//! Indexes: one name for images of several platforms, built, copied and read by other programs.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "this is a test"
)]

use strata_testing as support;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use strata_image::{ImageIndex, ManifestOrIndex};
use strata_layer::ImagesFile;
use strata_oci::{Compression, Digest, Reference};
use strata_progress::Context;
use strata_registry::{PushOptions, plan_index, push, push_index};
use support::engines::{Engine, containerd, docker, podman};
use support::fake_registry::FakeRegistry;
use support::fake_store::{FakeStore, Item, read_json};
use support::oci::check;
use support::pushing::{compressed, failure, options, uncompressed};
use support::registry::{Registry, Setup, run};
use tempfile::TempDir;

/// Images for two platforms that share a layer, and an index of them.
struct Scene {
    store: FakeStore,
    images: [String; 2],
    index: String,
    directory: TempDir,
}

const PLATFORMS: [&str; 2] = ["linux/amd64", "linux/arm64"];

impl Scene {
    fn new() -> Self {
        Self::of(PLATFORMS)
    }

    fn of(platforms: [&str; 2]) -> Self {
        let mut store = FakeStore::new();
        let shared = store.add("shared", &[Item::File("share/data", "for all")], &[]);
        let images = platforms.map(|platform| {
            let name = format!("app-{}", platform.replace('/', "-"));
            let app = store.add(&name, &[Item::Executable("bin/app", platform)], &[&shared]);
            let mut request = store.image_request();
            request["deps"] = json!([app]);
            request["maxLayers"] = json!(2);
            request["image"]["platform"] = json!(platform);
            request["image"]["config"] = json!({ "Cmd": [format!("{app}/bin/app")] });
            store.build(&request).unwrap()
        });
        let index = store.build(&index_request(&store, &images)).unwrap();
        let directory = tempfile::tempdir().unwrap();
        Self {
            store,
            images,
            index,
            directory,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn index(&self) -> PathBuf {
        self.store.locate(&self.index)
    }

    fn open(&self) -> ImageIndex {
        open(&self.index())
    }

    /// The digest that the derivation tells.
    fn digest(&self) -> String {
        digest_in(&self.index())
    }

    /// Copies the index; gives what is said.
    fn copy(&self, destination: &str, flags: &[&str]) -> String {
        let mut command = strata("copy");
        run(command.arg(self.index()).arg(destination).args(flags))
    }
}

fn open(path: &Path) -> ImageIndex {
    match ManifestOrIndex::open(path).unwrap() {
        ManifestOrIndex::Index(index) => *index,
        ManifestOrIndex::Image(_) => panic!("{} is an image", path.display()),
    }
}

fn digest_in(output: &Path) -> String {
    let digest = fs::read_to_string(output.join("digest")).unwrap();
    digest.trim_end().to_owned()
}

fn index_request(store: &FakeStore, images: &[String]) -> Value {
    json!({
        "version": 1, "storeDir": store.dir,
        "index": { "name": "Me/App", "tag": "1", "images": images, "annotations": { "k": "v" } }
    })
}

fn strata(name: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strata"));
    command.arg(name);
    command.env("XDG_CACHE_HOME", "/nonexistent");
    command.env(
        "REGISTRY_AUTH_FILE",
        concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/crates/testing/src/no-credentials.json"
        ),
    );
    command
}

fn skopeo(arguments: &[&str]) -> String {
    run(Command::new("skopeo")
        .arg("--insecure-policy")
        .args(arguments))
}

/// What skopeo takes for the configuration of the image for an architecture.
fn architecture(source: &str, wanted: &str) -> Value {
    let config = skopeo(&[
        "--override-os=linux",
        &format!("--override-arch={wanted}"),
        "inspect",
        "--config",
        "--tls-verify=false",
        source,
    ]);
    let config: Value = serde_json::from_str(&config).unwrap();
    config["architecture"].clone()
}

fn reference(host: &str, name: &str) -> Reference {
    Reference::parse(&format!("{host}/{name}")).unwrap()
}

/// The files below a directory.
fn files(directory: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

// What is built.

#[test]
fn an_index_is_a_layout_that_refers_to_its_images() {
    let scene = Scene::new();
    let path = scene.index();
    let layout = read_json(&path.join("index.json"));
    check("index", &layout);
    let entry = &layout["manifests"][0];
    assert_eq!(entry["digest"], json!(scene.digest()));
    assert_eq!(
        entry["annotations"],
        json!({
            "org.opencontainers.image.ref.name": "1",
            "io.containerd.image.name": "docker.io/me/app:1"
        })
    );
    let blob = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().unwrap().replace(':', "/");
        path.join("blobs").join(digest)
    };
    let index = read_json(&blob(entry));
    check("index", &index);
    assert_eq!(index["annotations"], json!({ "k": "v" }));
    let entries = index["manifests"].as_array().unwrap();
    for ((entry, image), platform) in entries.iter().zip(&scene.images).zip(PLATFORMS) {
        let (os, architecture) = platform.split_once('/').unwrap();
        let expected = json!({ "os": os, "architecture": architecture });
        assert_eq!(entry["platform"], expected);
        let image = scene.store.locate(image);
        assert_eq!(entry["digest"], json!(digest_in(&image)));
        let manifest = read_json(&blob(entry));
        assert!(blob(&manifest["config"]).exists());
        // Layers are made on demand.
        assert!(!blob(&manifest["layers"][0]).exists());
    }
    let file = ImagesFile::read(&path).unwrap();
    assert_eq!(file.images, scene.images);
    assert_eq!(file.index.name, "me/app");

    let source = format!("oci:{}:1", path.display());
    assert_eq!(architecture(&source, "arm64"), "arm64");
    assert_eq!(architecture(&source, "amd64"), "amd64");
    let listed = run(Command::new("umoci").args(["ls", "--layout"]).arg(&path));
    assert_eq!(listed.trim(), "1");
}

#[test]
fn mistakes_are_named() {
    let mut scene = Scene::new();
    let [one, two] = scene.images.clone();
    let env = scene.store.add("env", &[Item::File("a", "")], &[]);
    let mut layer = scene.store.image_request();
    layer["deps"] = json!([env]);
    layer.as_object_mut().unwrap().remove("image");
    let layer = scene.store.build(&layer).unwrap();
    let index = scene.index.clone();
    for (images, message) in [
        (vec![], "attribute images: is empty"),
        (
            vec![&one, &two, &one],
            "attribute images[2]: is for linux/amd64, as images[0] is",
        ),
        (vec![&one, &index], "is an index itself"),
        (vec![&env], "is not an image that Strata built"),
        (vec![&layer], "is not an image that Strata built"),
    ] {
        let images: Vec<String> = images.into_iter().cloned().collect();
        let request = index_request(&scene.store, &images);
        let error = scene.store.build(&request).unwrap_err();
        assert!(error.contains(message), "{error}");
        assert!(error.contains("\nhint: "), "{error}");
    }
    let mut request = index_request(&scene.store, &[one, two]);
    request["index"]["name"] = json!("me/app:1");
    let error = scene.store.build(&request).unwrap_err();
    assert!(error.starts_with("error: attribute name: "), "{error}");
    request["index"]["name"] = json!("app");
    request["index"]["tag"] = Value::Null;
    let out = scene.store.build(&request).unwrap();
    let name = open(&scene.store.locate(&out)).name.unwrap();
    let hash = out.rsplit('/').next().unwrap().split('-').next().unwrap();
    assert_eq!(name.tag, hash);
}

#[test]
fn variants_are_platforms_of_their_own() {
    let scene = Scene::of(["linux/arm/v6", "linux/arm/v7"]);
    let index = scene.open();
    let entries = index.index.manifests.iter();
    let platforms: Vec<String> = entries
        .map(|entry| entry.platform.clone().unwrap().to_string())
        .collect();
    assert_eq!(platforms, ["linux/arm/v6", "linux/arm/v7"]);
    let chosen = |platform: &str| {
        let built = ManifestOrIndex::open(&scene.index()).unwrap();
        let image = built.into_image(&platform.parse().unwrap());
        image.map(|image| image.config.platform().to_string())
    };
    assert_eq!(chosen("linux/arm/v7").unwrap(), "linux/arm/v7");
    // As containerd reads it (its platforms package, "Normalization").
    assert_eq!(chosen("linux/arm").unwrap(), "linux/arm/v7");
    let error = chosen("linux/arm64").unwrap_err().report();
    assert!(
        error.contains("no image for linux/arm64\nhint: "),
        "{error}"
    );
    assert!(error.contains("linux/arm/v6, linux/arm/v7"), "{error}");
}

/// An index is a base, of which the image for the same platform is taken.
#[test]
fn an_image_is_built_on_one_of_an_index() {
    let mut scene = Scene::new();
    let mut request = scene.store.image_request();
    for (arch, from_image, expected) in [
        ("arm64", json!({}), Ok(1)),
        ("amd64", json!({ "name": "me/app", "tag": "1" }), Ok(0)),
        ("arm64", json!({ "platform": "linux/arm64" }), Ok(1)),
        ("riscv64", json!({}), Err("has no image for linux/riscv64")),
        (
            "amd64",
            json!({ "tag": "2" }),
            Err("has no image with the tag 2"),
        ),
    ] {
        request["image"]["arch"] = json!(arch);
        request["image"]["fromImage"] = from_image;
        request["image"]["fromImage"]["path"] = json!(scene.index);
        match (scene.store.build(&request), expected) {
            (Ok(out), Ok(number)) => {
                let image = &scene.images[number];
                assert_eq!(scene.store.tars(&out), scene.store.tars(image), "{arch}");
            }
            (Err(error), Err(message)) => assert!(error.contains(message), "{error}"),
            (found, _) => panic!("{arch}: {found:?}"),
        }
    }
}

// Registries.

/// <https://github.com/nlewo/nix2container/issues/95>: images for several platforms could not be
/// pushed under one name, and the last one pushed replaced the others. Who pulls gets the image for
/// their platform; the digest was known before.
#[test]
fn nix2container_95_one_name_for_several_platforms() {
    let registry = Registry::start(Setup::default());
    let scene = Scene::new();
    let name = format!("docker://{}/app:1", registry.host);
    let said = scene.copy(&name, &["--compression=none"]);
    let reference = &name["docker://".len()..];
    assert_eq!(said, format!("{reference}@{}\n", scene.digest()));
    let raw = skopeo(&["inspect", "--raw", "--tls-verify=false", &name]);
    assert_eq!(Digest::of(raw.as_bytes()).to_string(), scene.digest());
    for wanted in ["arm64", "amd64"] {
        assert_eq!(architecture(&name, wanted), wanted);
        let layout = format!("oci:{}:1", scene.path(wanted).display());
        skopeo(&[
            "--override-os=linux",
            &format!("--override-arch={wanted}"),
            "copy",
            "--src-tls-verify=false",
            &name,
            &layout,
        ]);
        let arch = format!("--arch={wanted}");
        let plain = name.trim_start_matches("docker://");
        let pull = [
            "pull",
            "--quiet",
            "--os=linux",
            &arch,
            "--tls-verify=false",
            plain,
        ];
        let id = run(&mut podman().command(&pull));
        let inspect = [
            "image",
            "inspect",
            "--format",
            "{{.Architecture}}",
            id.trim(),
        ];
        assert_eq!(run(&mut podman().command(&inspect)).trim(), wanted);
    }
    // A single image does not replace it unasked.
    let image = scene.store.locate(&scene.images[0]);
    let mut command = strata("copy");
    let output = command.arg(image).arg(&name).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && error.contains("--overwrite-index"),
        "{error}"
    );
}

/// An index of images that know their compressed layers has the digest that it will have.
#[test]
fn the_digest_of_compressed_images_is_known_before() {
    let registry = Registry::start(Setup::default());
    let mut scene = Scene::new();
    let images = [0, 1].map(|number| {
        let path = scene.store.path(&format!("compressed-{number}"));
        let mut command = strata("compress");
        command.arg(scene.store.locate(&scene.images[number]));
        run(command.arg(scene.store.locate(&path)).arg("--quiet"));
        path
    });
    let request = index_request(&scene.store, &images);
    let compressed = scene.store.build(&request).unwrap();
    let compressed = scene.store.locate(&compressed);
    let name = format!("docker://{}/app:1", registry.host);
    run(strata("copy").arg(&compressed).arg(&name));
    let raw = skopeo(&["inspect", "--raw", "--tls-verify=false", &name]);
    let digest = Digest::of(raw.as_bytes()).to_string();
    assert_eq!(digest, digest_in(&compressed));
    assert_ne!(digest, scene.digest());

    // The same comes out when it is compressed on its way.
    let name = format!("docker://{}/other:1", registry.host);
    let said = scene.copy(&name, &["--no-cache"]);
    let reference = &name["docker://".len()..];
    assert_eq!(said, format!("{reference}@{digest}\n"));
}

#[test]
fn blobs_go_once_and_the_index_last() {
    let registry = FakeRegistry::start(|_| None);
    let scene = Scene::new();
    let index = scene.open();
    let to = reference(&registry.host, "name:tag");
    let what = compressed(Compression::GZIP);
    let pushed = push_index(&index, &to, &options(), &what, Context::silent()).unwrap();
    // A layer for both, one for each, two configs.
    let seen = registry.seen();
    let is_blob = |seen: &&support::fake_registry::Seen| {
        seen.method == "PUT" && seen.target.contains("/blobs/uploads/")
    };
    assert_eq!(seen.iter().filter(is_blob).count(), 5);
    let puts: Vec<&str> = seen
        .iter()
        .filter(|seen| seen.method == "PUT")
        .filter_map(|seen| seen.target.split_once("/manifests/"))
        .map(|(_, name)| name)
        .collect();
    assert_eq!(puts.len(), 3, "{puts:?}");
    assert!(puts[..2].iter().all(|name| name.starts_with("sha256:")));
    assert_eq!(puts[2], "tag");
    let manifest = registry.manifest("tag").unwrap();
    assert_eq!(Digest::of(&manifest), pushed.manifest.digest);

    // Nothing is compressed for the second time, for either platform.
    registry.forget_requests();
    let again = push_index(&index, &to, &options(), &what, Context::silent()).unwrap();
    assert_eq!(again.manifest, pushed.manifest);
    assert_eq!(registry.count("PATCH"), 0);
    let plans = plan_index(&index, &to, &options(), &what, Context::silent()).unwrap();
    assert!(
        plans
            .iter()
            .flat_map(|plan| &plan.layers)
            .all(|layer| layer.action.is_found())
    );
    assert_eq!(plans.len(), 2);
}

#[test]
fn a_push_tells_of_every_layer_once_and_of_every_tag() {
    let registry = FakeRegistry::start(|_| None);
    let scene = Scene::new();
    let mut command = strata("copy");
    command.arg(scene.index());
    command.arg(format!("docker://{}/name:1", registry.host));
    command.args([
        "--no-cache",
        "--additional-tag=2",
        "--additional-tag=latest",
    ]);
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    for layer in ["layer 1/3 ", "layer 2/3 ", "layer 3/3 "] {
        assert_eq!(said.matches(layer).count(), 1, "{said}");
    }
    assert!(
        said.contains("copied 3 layers") && !said.contains("there"),
        "{said}"
    );
    let digest = Digest::of(&registry.manifest("1").unwrap());
    let name = |tag: &str| format!("{}/name:{tag}@{digest}\n", registry.host);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), name("1"));
    for tag in ["2", "latest"] {
        assert!(said.contains(&format!("also {}", name(tag))), "{said}");
    }
}

/// Issue 11, "On other machines" 2: the attribute of an index that runs this takes no flags.
#[test]
fn row_2_the_root_file_system_of_a_foreign_index_has_a_way_out() {
    let scene = Scene::of(["linux/arm64", "linux/arm/v7"]);
    let output = strata("export")
        .arg(scene.index())
        .arg("-")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let hint = "hint: it has images for linux/arm64, linux/arm/v7; --platform chooses one, and in Nix \
                rootfs.override { platform = \"OS/ARCH\"; }\n";
    assert!(
        output.status.code() == Some(1) && said.ends_with(hint),
        "{said}"
    );
}

#[test]
fn platforms_do_not_vanish_unasked() {
    let registry = FakeRegistry::start(|_| None);
    let to = reference(&registry.host, "name:tag");
    let push_with = |index: &ImageIndex, what: &PushOptions| {
        push_index(index, &to, &options(), what, Context::silent())
    };
    let (one, other) = (Scene::new(), Scene::of(["linux/amd64", "linux/riscv64"]));
    push_with(&one.open(), &uncompressed()).unwrap();
    push_with(&one.open(), &uncompressed()).unwrap();
    let (message, hint) = failure(push_with(&other.open(), &uncompressed()).map(drop));
    assert!(
        message.ends_with(
            "it is an index of images for linux/amd64, linux/arm64, and this one of images for \
             linux/amd64, linux/riscv64"
        ),
        "{message}"
    );
    assert!(hint.contains("--overwrite-index"));
    let overwrite = PushOptions {
        overwrite_index: true,
        ..uncompressed()
    };
    push_with(&other.open(), &overwrite).unwrap();
    // An image may become an index.
    let to = reference(&registry.host, "name:image");
    let index = one.open();
    push(
        &index.images[1],
        &to,
        &options(),
        &uncompressed(),
        Context::silent(),
    )
    .unwrap();
    push_index(&index, &to, &options(), &uncompressed(), Context::silent()).unwrap();
}

#[test]
fn an_index_can_be_pushed_to_its_digest() {
    let registry = FakeRegistry::start(|_| None);
    let scene = Scene::new();
    let index = scene.open();
    let digest = index.descriptor.digest;
    let to = reference(&registry.host, &format!("name@{digest}"));
    let pushed = push_index(
        &index,
        &to,
        &options(),
        &PushOptions::default(),
        Context::silent(),
    )
    .unwrap();
    assert_eq!(pushed.manifest.digest, digest);
    registry.forget_requests();
    let wrong = reference(&registry.host, &format!("name@{}", Digest::of(b"other")));
    let (message, _) = failure(
        push_index(
            &index,
            &wrong,
            &options(),
            &uncompressed(),
            Context::silent(),
        )
        .map(drop),
    );
    assert!(
        message.contains(&format!("the image's digest is {digest}")),
        "{message}"
    );
    let sent = registry.count("POST") + registry.count("PUT");
    assert_eq!(sent, 0, "it is known before");
}

// Files and directories.

#[test]
fn layouts_and_archives_hold_every_platform() {
    let scene = Scene::new();
    let (layout, archive) = (scene.path("layout"), scene.path("archive.tar"));
    scene.copy(&format!("oci:{}:x", layout.display()), &[]);
    scene.copy(&format!("oci-archive:{}:x", archive.display()), &[]);
    for source in [
        format!("oci:{}:x", layout.display()),
        format!("oci-archive:{}:x", archive.display()),
    ] {
        for wanted in ["arm64", "amd64"] {
            assert_eq!(architecture(&source, wanted), wanted);
        }
        let copied = scene.path("copied");
        skopeo(&[
            "copy",
            "--all",
            "--preserve-digests",
            &source,
            &format!("dir:{}", copied.display()),
        ]);
        let manifest = fs::read(copied.join("manifest.json")).unwrap();
        assert_eq!(Digest::of(&manifest).to_string(), scene.digest());
        // What skopeo writes is what we write.
        let ours = scene.path("ours");
        scene.copy(&format!("dir:{}", ours.display()), &[]);
        assert_eq!(files(&ours), files(&copied));
        fs::remove_dir_all(copied).unwrap();
    }
    // The manifests of the index go when a single image takes its place.
    let ours = scene.path("ours");
    scene.copy(
        &format!("dir:{}", ours.display()),
        &["--platform=linux/arm64"],
    );
    let names = files(&ours);
    assert!(
        names.iter().all(|name| !name.ends_with(".manifest.json")),
        "{names:?}"
    );
    assert_eq!(names.len(), 2 + 3);
}

#[test]
fn one_platform_can_be_chosen() {
    let scene = Scene::new();
    let layout = scene.path("layout");
    let destination = format!("oci:{}:x", layout.display());
    let said = scene.copy(&destination, &["--platform=linux/arm64"]);
    let image = digest_in(&scene.store.locate(&scene.images[1]));
    assert_eq!(said, format!("{destination}@{image}\n"));
    // skopeo's words for this machine's.
    let said = scene.copy(&destination, &["--multi-arch=system"]);
    let image = digest_in(&scene.store.locate(&scene.images[0]));
    assert_eq!(said, format!("{destination}@{image}\n"));
    let mut command = strata("copy");
    command
        .arg(scene.store.locate(&scene.images[0]))
        .arg(&destination);
    let output = command.arg("--platform=linux/arm64").output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.contains("no image for linux/arm64\nhint: it is for linux/amd64"),
        "{error}"
    );
}

// Engines and clients.

#[test]
fn engines_get_what_they_run() {
    let scene = Scene::new();
    let host = format!("--dest-daemon-host={}", docker().host());
    let name = "docker-daemon:several:1";
    let inspect = |name: &str| {
        let inspect = ["image", "inspect", "--format", "{{.Architecture}}", name];
        run(&mut docker().command(&inspect)).trim().to_owned()
    };
    scene.copy(name, &[&host]);
    assert_eq!(inspect("several:1"), "amd64");
    scene.copy(
        "docker-daemon:several:2",
        &[&host, "--platform=linux/arm64"],
    );
    assert_eq!(inspect("several:2"), "arm64");
    // podman is asked as well.
    let storage = format!(
        "[storage]\ndriver = \"vfs\"\nrunroot = \"{0}/run\"\ngraphroot = \"{0}/root\"\n",
        scene.path("containers").display()
    );
    fs::write(scene.path("storage.conf"), storage).unwrap();
    let in_storage = |mut command: Command| {
        command.env("CONTAINERS_STORAGE_CONF", scene.path("storage.conf"));
        run(&mut command)
    };
    for (flags, expected) in [(&[][..], "amd64"), (&["--platform=linux/arm64"], "arm64")] {
        let mut copy = strata("copy");
        copy.arg(scene.index()).arg("podman:several:1").args(flags);
        in_storage(copy);
        let mut inspect = Command::new("podman");
        inspect.args([
            "image",
            "inspect",
            "--format",
            "{{.Architecture}}",
            "several:1",
        ]);
        assert_eq!(in_storage(inspect).trim(), expected);
    }
    let address = format!("--containerd-address={}", containerd().socket());
    let flags = [address.as_str(), "--containerd-namespace=strata"];
    scene.copy("containerd:several:1", &flags);
    let listed = run(&mut containerd().command(&["images", "list"]));
    let ours = |line: &&str| line.starts_with("docker.io/library/several:1 ");
    let line = listed.lines().find(ours).unwrap();
    assert!(
        line.contains(" linux/amd64 ") && !line.contains("arm64"),
        "{line}"
    );
    // Docker's list in an archive has one: the first.
    let archive = scene.path("archive.tar");
    scene.copy(
        &format!("docker-archive:{}:several:3", archive.display()),
        &[],
    );
    docker().load(&archive);
    assert_eq!(inspect("several:3"), "amd64");
}

#[test]
fn an_index_is_served_and_looked_at() {
    let scene = Scene::new();
    let mut serving = strata("serve")
        .arg(scene.index())
        .args(["--listen=127.0.0.1:0", "--compression=zstd", "--quiet"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(serving.stdout.take().unwrap()).lines();
    let _address = lines.next().unwrap().unwrap();
    let line = lines.next().unwrap().unwrap();
    let (name, digest) = line.split_once('@').unwrap();
    let name = format!("docker://{name}");
    let raw = skopeo(&["inspect", "--raw", "--tls-verify=false", &name]);
    assert_eq!(Digest::of(raw.as_bytes()).to_string(), digest);
    let copied = scene.path("copied");
    let to = format!("dir:{}", copied.display());
    skopeo(&["copy", "--all", "--src-tls-verify=false", &name, &to]);
    serving.kill().unwrap();
    serving.wait().unwrap();

    let said = run(strata("inspect").arg("--json").arg(scene.index()));
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["digest"], json!(scene.digest()));
    assert_eq!(said["name"], "me/app");
    assert_eq!(said["images"][1]["architecture"], "arm64");
    let said = run(strata("inspect").arg(scene.index()));
    assert!(
        said.contains("linux/arm64") && said.contains("me/app:1"),
        "{said}"
    );
    let said = run(strata("verify").arg(scene.index()));
    assert!(said.starts_with(&scene.digest()), "{said}");
    let output = strata("compress")
        .arg(scene.index())
        .arg(scene.path("c"))
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("an index of images\nhint: "), "{error}");
}

/// A damaged store path is named with its platform.
#[test]
fn verify_names_the_platform() {
    let scene = Scene::new();
    let app = scene.store.path("app-linux-arm64");
    fs::write(scene.store.locate(&app).join("bin/app"), "linux/ARM64").unwrap();
    let output = strata("verify").arg(scene.index()).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(error.contains("linux/arm64: layer 2"), "{error}");
}
