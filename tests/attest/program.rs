//! The program, and images for it.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::{Value, json};
use strata_testing::fake_store::{FakeStore, Item};

/// Runs `strata` without anybody's credentials.
pub fn strata(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

/// The same, to be changed.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strata"));
    command
        .args(arguments)
        .env("HOME", "/nonexistent")
        .env("XDG_RUNTIME_DIR", "/nonexistent")
        .env_remove("COSIGN_PASSWORD");
    command
}

/// What it wrote, if it succeeded.
pub fn told(arguments: &[&str]) -> String {
    let output = strata(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// What it said by the way.
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A store and an image of two packages in it, one of which needs the other.
pub struct Built {
    pub store: FakeStore,
    pub image: PathBuf,
    pub library: String,
    pub program: String,
}

/// An image whose program says `text`.
pub fn build(text: &str) -> Built {
    let mut store = FakeStore::new();
    let library = store.add("openssl-3.0.12", &[Item::File("lib/x.so", "x")], &[]);
    let program = store.add(
        "planted-1.2.3",
        &[Item::Executable("bin/planted", text)],
        &[&library],
    );
    let mut request = store.image_request();
    request["deps"] = json!([program]);
    request["image"]["config"] = json!({ "Cmd": [format!("{program}/bin/planted")] });
    let output = store.build(&request).unwrap();
    let image = store.locate(&output);
    Built {
        store,
        image,
        library,
        program,
    }
}

/// Copies an image to `NAME`; gives `NAME@DIGEST`.
pub fn push(image: &Built, name: &str, more: &[&str]) -> String {
    let target = format!("docker://{name}");
    let image = image.image.display().to_string();
    let arguments = [&["copy", &image, &target, "--no-cache"], more].concat();
    let said = told(&arguments);
    said.trim().to_owned()
}

/// What is attached to an image, by artifact types.
pub fn attached(name: &str) -> Vec<(String, Value)> {
    let list: Value = serde_json::from_str(&told(&["referrers", name, "--json"])).unwrap();
    let list = list["referrers"].as_array().unwrap().clone();
    list.into_iter()
        .map(|it| (it["artifactType"].as_str().unwrap().to_owned(), it))
        .collect()
}
