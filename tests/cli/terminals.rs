//! Issue 11, "Reliability and security" 16: texts of others do not steer the terminal. Each of them is
//! written raw by the program that prints it, were it not for the one place where that is made safe.

use strata_testing as support;

use std::fs;
use std::process::{Command, Output};

use serde_json::{Value, json};
use support::bases::{BaseImage, Piece, tar, write};
use support::fake_registry::{FakeRegistry, Fault, Reply};
use support::fake_store::{FakeStore, Item};

/// A sequence that names the window, one that a terminal of eight bits takes, and one that turns text around.
const HOSTILE: [&str; 3] = ["\u{1b}]0;x\u{7}", "\u{9b}2J", "\u{202e}\u{2066}"];

fn strata(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strata"));
    let command = command.args(arguments).env("HOME", "/nonexistent");
    command.output().unwrap()
}

/// Whether nothing but text is there.
fn is_safe(bytes: &[u8]) -> bool {
    let text = std::str::from_utf8(bytes).unwrap();
    let is_bidirectional =
        |character| matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let is_text = |character: char| {
        character == '\n' || !(character.is_control() || is_bidirectional(character))
    };
    text.chars().all(is_text)
}

fn assert_safe(output: &Output, shown: &str) {
    let all = [&output.stdout[..], &output.stderr].concat();
    let text = String::from_utf8_lossy(&all);
    assert!(is_safe(&all) && text.contains(shown), "{text:?}");
}

/// Annotations and the history of a base are what others wrote; JSON stays the document that it is.
#[test]
fn row_16_what_an_image_says_is_shown_and_not_obeyed() {
    for hostile in HOSTILE {
        let mut store = FakeStore::new();
        let file = store.add("file", &[Item::File("etc/file", "1")], &[]);
        let mut request = store.image_request();
        request["copyToRoot"] = json!([file]);
        request["image"]["annotations"] = json!({ hostile: "1\nlayer 9  forged" });
        let output = store.build(&request).unwrap();
        let image = store.locate(&output);
        let image = image.to_str().unwrap();
        let inspected = strata(&["inspect", image]);
        assert_safe(&inspected, "1\\nlayer 9  forged");
        let document = strata(&["inspect", image, "--json"]);
        assert_safe(&document, "");
        let document: Value = serde_json::from_slice(&document.stdout).unwrap();
        assert_eq!(document["annotations"][hostile], "1\nlayer 9  forged");
    }
}

/// Error bodies of registries.
#[test]
fn row_16_what_a_registry_answers_is_shown_and_not_obeyed() {
    for hostile in HOSTILE {
        let body = json!({ "errors": [{ "code": "DENIED", "message": format!("a{hostile}b\nhint: forged") }] });
        let registry = FakeRegistry::start(move |seen| {
            let is_manifest = seen.target.contains("/manifests/");
            is_manifest.then(|| Fault::Answer(Reply::new(403).body(body.to_string())))
        });
        let name = format!("{}/a", registry.host);
        let output = strata(&["pull", &name, "/nonexistent/x"]);
        assert_eq!(output.status.code(), Some(1));
        assert_safe(&output, "error: ");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!said.contains("\nhint: forged"), "{said}");
    }
}

/// The platform of a base, in the log that Nix shows.
#[test]
fn row_16_what_a_base_says_is_not_obeyed_in_the_log_of_a_build() {
    for hostile in HOSTILE {
        let store = FakeStore::new();
        let path = store.path("base");
        let mut base = BaseImage::new(vec![tar(&[Piece::File("etc/base", "1")])]);
        base.architecture = format!("{hostile}x\nerror: forged");
        write(&BaseImage::layout(&[base]), &store.locate(&path));
        let mut request = store.image_request();
        request["image"]["fromImage"] = json!({ "path": path });
        let directory = tempfile::tempdir().unwrap();
        let attrs = directory.path().join(".attrs.json");
        let out = directory.path().join("out");
        fs::write(
            &attrs,
            store.attrs(&request, out.to_str().unwrap()).to_string(),
        )
        .unwrap();
        let builder = support::program("strata-builder");
        let output = Command::new(builder).arg(&attrs).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert_safe(&output, "error: ");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("x\\nerror: forged"), "{said}");
    }
}
