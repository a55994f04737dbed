//! `strata inspect`, `why`, `diff` and `check`: what is in an image (issue 15).

use strata_testing as support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use support::bases::{BaseImage, Packed, Piece, archive, pack, tar, write};
use support::fake_store::{FakeStore, Item};

fn strata(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strata"));
    command.args(arguments).output().unwrap()
}

/// What a command writes to its standard output.
fn said(arguments: &[&str]) -> String {
    let output = strata(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn answer(arguments: &[&str]) -> Value {
    serde_json::from_str(&said(arguments)).unwrap()
}

/// An application on a library, which comes from a compiler that left its path in it.
struct Scene {
    store: FakeStore,
    image: PathBuf,
    app: String,
    library: String,
    compiler: String,
}

/// `version` is that of the library; with `compiler` it mentions that.
fn scene(version: &str, compiler: bool) -> Scene {
    let mut store = FakeStore::new();
    let gcc = store.add(
        "gcc-12.2.0",
        &[Item::File("bin/gcc", &"x".repeat(9000))],
        &[],
    );
    let mentioned = [gcc.as_str()];
    let text = format!("built with\0{gcc}/bin/gcc\0");
    let library = store.add(
        &format!("ssl-{version}"),
        &[Item::File(
            "lib/libssl.so",
            if compiler { &text } else { "x" },
        )],
        &mentioned[usize::from(!compiler)..],
    );
    let link = format!("{library}/lib/libssl.so");
    let app = store.add(
        "app-1.0",
        &[
            Item::Executable("bin/app", "#!"),
            Item::Symlink("lib/libssl.so", &link),
        ],
        &[&library],
    );
    let mut request = store.image_request();
    request["deps"] = json!([app]);
    request["maxLayers"] = json!(3);
    request["compression"] = json!("zstd:chunked");
    request["image"]["config"] =
        json!({ "Cmd": [format!("{app}/bin/app")], "Env": [format!("VERSION={version}")] });
    let output = store.build(&request).unwrap();
    Scene {
        image: store.locate(&output),
        store,
        app,
        library,
        compiler: gcc,
    }
}

impl Scene {
    fn image(&self) -> &str {
        self.image.to_str().unwrap()
    }
}

/// Row 44: devenv#1367, naersk#311, NixOS/nixpkgs#41152.
#[test]
fn why_tells_the_way_from_what_the_user_wrote() {
    let scene = scene("3.0", true);
    let text = said(&["why", scene.image(), "gcc"]);
    for line in [
        "config.Cmd\n  app-1.0  ",
        "\n    ssl-3.0  ",
        "\n      gcc-12.2.0  ",
    ] {
        assert!(text.contains(line), "{text}");
    }
    assert!(text.contains("one way leads to it"), "{text}");
    let precise = said(&["why", scene.image(), "gcc", "--precise"]);
    let place = format!(
        "lib/libssl.so at byte {}: ",
        11 + scene.compiler.rfind('/').unwrap() + 1
    );
    assert!(precise.contains(&place), "{precise}");
    assert!(
        precise.contains(&format!("{}/bin/gcc", scene.compiler)),
        "{precise}"
    );

    // A file says what it mentions.
    let file = format!("{}/lib/libssl.so", scene.app);
    let text = said(&["why", scene.image(), &file]);
    assert!(
        text.contains(&format!("mentions {} at byte ", scene.library)),
        "{text}"
    );

    let value = answer(&["why", scene.image(), &scene.compiler, "--json", "--precise"]);
    let found = &value["answers"][0];
    assert_eq!(found["path"], json!(scene.compiler));
    assert_eq!(found["chainCount"], json!(1));
    assert_eq!(
        found["chains"],
        json!([{ "arguments": ["config.Cmd"], "paths": [scene.app, scene.library, scene.compiler] }])
    );
    assert_eq!(
        found["links"][1]["files"][0]["path"],
        json!(format!("{}/lib/libssl.so", scene.library))
    );
    for wanted in ["perl", ""] {
        let output = strata(&["why", scene.image(), wanted]);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(
            errors.contains(&format!("{wanted:?}")) && errors.contains("hint: "),
            "{errors}"
        );
    }
}

/// What would go, what is named, and what mentions what.
#[test]
fn inspect_knows_the_graph() {
    let scene = scene("3.0", true);
    let value = answer(&["inspect", scene.image(), "--json"]);
    let package = |path: &str| {
        let packages = value["packages"].as_array().unwrap().iter();
        packages
            .clone()
            .find(|it| it["path"] == json!(path))
            .unwrap()
    };
    let (library, compiler) = (package(&scene.library), package(&scene.compiler));
    assert_eq!(library["name"], json!("ssl"));
    assert_eq!(library["version"], json!("3.0"));
    assert_eq!(library["references"], json!([scene.compiler]));
    let size = |value: &Value, field: &str| value[field].as_u64().unwrap();
    assert_eq!(
        size(library, "exclusiveSize"),
        size(library, "size") + size(compiler, "size")
    );
    assert_eq!(size(library, "exclusiveSize"), size(library, "closureSize"));
    assert_eq!(
        value["roots"],
        json!([{ "argument": "config.Cmd", "path": scene.app }])
    );
    assert_eq!(value["wasted"], json!(null));

    let text = said(&["inspect", scene.image()]);
    for words in ["runs          ", "(config.Cmd)", "exclusive", "VERSION=3.0"] {
        assert!(text.contains(words), "{words} is not in:\n{text}");
    }
    let layer = said(&["inspect", scene.image(), "--layer", "1", "--files"]);
    assert!(layer.contains("why           "), "{layer}");
    assert!(layer.contains("\n-0444 "), "{layer}");
    let output = strata(&["inspect", scene.image(), "--layer", "9"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("the image has "));
}

#[test]
fn diff_tells_what_changed() {
    let (old, new) = (scene("3.0", true), scene("3.1", false));
    let value = answer(&["diff", old.image(), new.image(), "--json"]);
    let changes: Vec<(&str, &str)> = value["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["name"].as_str().unwrap(), it["change"].as_str().unwrap()))
        .collect();
    // The stores are in different places, so that the application is another path, too.
    assert_eq!(
        changes,
        [("app", "rebuilt"), ("gcc", "removed"), ("ssl", "updated")]
    );
    let fields: Vec<&str> = value["fields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["field"].as_str().unwrap())
        .collect();
    assert_eq!(fields, ["config.Cmd", "config.Env.VERSION"]);
    assert_eq!(value["files"], json!(null));
    let text = said(&["diff", old.image(), new.image(), "--files"]);
    for words in [
        "ssl  3.0 -> 3.1",
        "removed: 1",
        "config.Env.VERSION: 3.0 -> 3.1",
        "/lib/libssl.so",
    ] {
        assert!(text.contains(words), "{words} is not in:\n{text}");
    }
    let markdown = said(&["diff", old.image(), new.image(), "--markdown"]);
    assert!(markdown.contains("| ssl | 3.0 | 3.1 | "), "{markdown}");

    // The compiler's file is the same in both, and fetched by nobody.
    let bigger = scene("3.2", true);
    let value = answer(&["diff", old.image(), bigger.image(), "--json", "--chunks"]);
    let parts = value["parts"].as_array().unwrap();
    assert_eq!(
        parts.len(),
        value["layers"]["sent"].as_array().unwrap().len()
    );
    let chunks = |field: &str| {
        parts
            .iter()
            .map(|it| it[field].as_u64().unwrap())
            .sum::<u64>()
    };
    assert!(
        chunks("chunks") > 0 && chunks("chunks") < chunks("ofChunks"),
        "{parts:?}"
    );
    assert!(parts.iter().all(|it| it["fetchedSize"].as_u64() > Some(0)));

    let same = answer(&["diff", old.image(), old.image(), "--json"]);
    assert_eq!(same["packages"], json!([]));
    assert_eq!(same["layers"]["sent"], json!([]));
    assert_eq!(same["layers"]["keptSize"], same["new"]["size"]);
}

#[test]
fn check_names_what_is_too_much() {
    let scene = scene("3.0", true);
    said(&[
        "check",
        scene.image(),
        "--max-size=1G",
        "--deny=perl",
        "--max-layers=9",
    ]);
    let output = strata(&[
        "check",
        scene.image(),
        "--deny=gcc",
        "--max-size=1K",
        "--json",
    ]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    let way = "gcc is denied: config.Cmd -> app-1.0 -> ssl-3.0 -> gcc-12.2.0";
    assert!(errors.contains(way), "{errors}");
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["kept"], json!(false));
    let findings = &value["images"][0]["findings"];
    assert_eq!(findings[0]["limit"], json!("size"));
    assert_eq!(
        findings[1]["chain"],
        json!([scene.app, scene.library, scene.compiler])
    );
    let smaller = self::scene("3.0", false);
    let growth = [
        "check",
        scene.image(),
        "--max-growth=10%",
        "--against",
        smaller.image(),
    ];
    let output = strata(&growth);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("growth: "));
    let output = strata(&[
        "check",
        smaller.image(),
        "--max-growth=0",
        "--against",
        scene.image(),
    ]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(strata(&["check", scene.image()]).status.code(), Some(2));
}

/// A page is a file that names no other.
#[test]
fn pages_of_html_need_nothing_else() {
    let (old, new) = (scene("3.0", true), scene("3.1", false));
    let file = old.store.root().join("page.html");
    let name = file.to_str().unwrap();
    for arguments in [
        &["inspect", old.image(), "--html", name][..],
        &["why", old.image(), "gcc", "--html", name],
        &["diff", old.image(), new.image(), "--html", name],
    ] {
        assert_eq!(said(arguments), "");
        let page = std::fs::read_to_string(&file).unwrap();
        assert!(
            page.starts_with("<!doctype html>") && page.contains("app-1.0"),
            "{arguments:?}"
        );
        let start = page.find("id=\"data\">").unwrap() + "id=\"data\">".len();
        let end = start + page[start..].find("</script>").unwrap();
        let data: Value = serde_json::from_str(&page[start..end]).unwrap();
        assert!(data["packages"].as_array().unwrap().len() >= 2);
        assert_eq!(data["diff"].is_null(), arguments[0] != "diff");
        assert_eq!(data["target"].is_null(), arguments[0] != "why");
    }
    // A slip of the pen makes no directory.
    let nowhere = old.store.root().join("typo/page.html");
    let output = strata(&["inspect", old.image(), "--html", nowhere.to_str().unwrap()]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("hint: make it first: mkdir -p"), "{errors}");
    assert_eq!(output.status.code(), Some(1));
    assert!(!nowhere.parent().unwrap().exists());
}

const HASHES: [&str; 3] = [
    "00000000000000000000000000000000",
    "11111111111111111111111111111111",
    "22222222222222222222222222222222",
];

/// An image of others with store paths in it, of which an upper layer replaces a file.
fn foreign() -> BaseImage {
    let path = |number: usize, name: &str| format!("nix/store/{}-{name}", HASHES[number]);
    let [app, ssl] = [path(0, "app-1"), path(1, "ssl-3.0")];
    let [bin, run, lib] = [
        format!("{app}/bin"),
        format!("{app}/bin/app"),
        format!("{ssl}/libssl.so"),
    ];
    let text = format!("\0/{ssl}/libssl.so /nix/store/{}-gone\0", HASHES[2]);
    let lower = tar(&[
        Piece::Directory("nix/store", 0o755, 0),
        Piece::Directory(&ssl, 0o555, 0),
        Piece::File(&lib, "12345678"),
        Piece::File("etc/motd", "four"),
    ]);
    let upper = tar(&[
        Piece::Directory(&app, 0o555, 0),
        Piece::Directory(&bin, 0o555, 0),
        Piece::Program(&run, text.as_bytes()),
        Piece::File("etc/motd", "more"),
    ]);
    let mut image = BaseImage::new(vec![lower, upper]);
    image.config = json!({ "Cmd": [format!("/{run}")], "Env": null });
    image
}

fn look(image: &str) -> Value {
    answer(&["inspect", image, "--json"])
}

/// Images in every form say the same.
#[test]
fn images_of_others_are_looked_into() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let put = |name: &str, bytes: &[u8]| std::fs::write(at(name), bytes).unwrap();
    let image = foreign();
    write(
        &BaseImage::layout(std::slice::from_ref(&image)),
        &at("layout"),
    );
    write(&image.skopeo_directory(), &at("dir"));
    put("docker.tar", &archive(&image.docker_archive()));
    put(
        "docker.tar.gz",
        &pack(&archive(&image.docker_archive()), Packed::Gzip),
    );
    put(
        "oci.tar",
        &archive(&BaseImage::layout(std::slice::from_ref(&image))),
    );
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    for (form, names) in [
        (text(&at("layout")), true),
        (text(&at("dir")), false),
        (text(&at("docker.tar")), true),
        (text(&at("docker.tar.gz")), true),
        (text(&at("oci.tar")), true),
        (format!("oci:{}:base:1", text(&at("layout"))), true),
        (
            format!("docker-archive:{}:base:1", text(&at("docker.tar"))),
            true,
        ),
    ] {
        let value = look(&form);
        let packages = value["packages"].as_array().unwrap();
        let shown: Vec<(&str, u64, &Value)> = packages
            .iter()
            .map(|it| {
                (
                    it["name"].as_str().unwrap(),
                    it["size"].as_u64().unwrap(),
                    &it["references"],
                )
            })
            .collect();
        let ssl = format!("/nix/store/{}-ssl-3.0", HASHES[1]);
        let (app_needs, ssl_needs) = (json!([ssl]), json!([]));
        assert_eq!(shown[0].0, "app", "{form}");
        assert_eq!((shown[0].2, shown[1].2), (&app_needs, &ssl_needs), "{form}");
        // A directory with one file, as `nix-store --dump` gives it.
        assert_eq!(shown[1].1, 296, "{form}");
        assert_eq!(value["roots"][0]["argument"], json!("config.Cmd"), "{form}");
        let wasted =
            json!({ "size": 4, "paths": [{ "path": "/etc/motd", "size": 4, "times": 1 }] });
        assert_eq!(value["wasted"], wasted, "{form}");
        let named = value["name"] == json!("base") && value["tag"] == json!("1");
        assert_eq!(named, names, "{form}: {} {}", value["name"], value["tag"]);
        assert_eq!(
            value["layers"][0]["history"]["created_by"],
            json!("COPY . /"),
            "{form}"
        );
    }
    let why = said(&["why", &text(&at("layout")), "ssl"]);
    assert!(why.contains("config.Cmd\n  app-1  "), "{why}");
    let page = said(&["inspect", &text(&at("dir"))]);
    assert!(
        page.contains("4 B in files that upper layers replace or hide"),
        "{page}"
    );

    // A name that is not there, and what is no image.
    for (form, message) in [
        (
            format!("oci:{}:other", text(&at("layout"))),
            "it has no image other",
        ),
        (
            "ghcr.io/me/app:1".to_owned(),
            "write docker://ghcr.io/me/app:1",
        ),
        ("docker:hello".to_owned(), "write docker://hello"),
        (
            text(directory.path()),
            "neither oci-layout nor manifest.json",
        ),
    ] {
        let output = strata(&["inspect", &form]);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(
            errors.contains(message) && errors.contains("hint: "),
            "{form}: {errors}"
        );
    }
}
