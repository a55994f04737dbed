//! `strata verify docker://..`: whether a build comes to the image that a registry has, whoever pushed it. That Nix
//! builds it is in `tests/nix/provenance.rs`.

use serde_json::{Value, json};
use strata_testing::registry::{Registry, Setup};

use crate::keys::Keys;
use crate::program::{Built, build, push, said, strata, told};

fn compare(name: &str, image: &Built, more: &[&str]) -> (bool, String) {
    let image = format!("--image={}", image.image.display());
    let name = format!("docker://{name}");
    let output = strata(&[&["verify", &name, &image], more].concat());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success(), text + &said(&output))
}

#[test]
fn the_same_build_is_the_same_image() {
    let registry = Registry::start(Setup::default());
    let image = build("hello");
    for (compression, notes) in [("gzip", false), ("zstd:7", false), ("none", false)] {
        let name = format!("{}/{}:1", registry.host, &compression[..4]);
        let flag = format!("--compression={compression}");
        push(&image, &name, &["--attach=provenance", &flag]);
        let (same, text) = compare(&name, &image, &[]);
        assert!(same, "{compression}: {text}");
        assert_eq!(text.contains("compressed otherwise"), notes, "{text}");
    }
    // Nobody said how layers were compressed: what is in them counts.
    let name = format!("{}/other:1", registry.host);
    push(&image, &name, &["--compression=zstd:9"]);
    let (same, text) = compare(&name, &image, &[]);
    assert!(same && text.contains("compressed otherwise"), "{text}");
}

#[test]
fn what_differs_is_named() {
    let registry = Registry::start(Setup::default());
    let name = format!("{}/app:1", registry.host);
    let pushed = push(&build("hello"), &name, &["--attach=provenance"]);
    let (same, text) = compare(&name, &build("hellO"), &[]);
    assert!(!same, "{text}");
    assert!(
        text.contains("differs: layer 1 is built as sha256:"),
        "{text}"
    );
    assert!(text.contains("planted-1.2.3"), "{text}");
    let (_, answer) = compare(&name, &build("hellO"), &["--json"]);
    let value: Value = serde_json::from_str(answer.trim()).unwrap();
    assert_eq!(value["verified"], json!(false));
    assert_eq!(json!(pushed.split_once('@').unwrap().1), value["digest"]);
    assert!(value["built"]["differences"].as_array().unwrap().len() > 1);
}

/// Without provenance there is nothing to build; with a key, only what that key signed counts.
#[test]
fn provenance_is_believed_of_whom_it_should_be() {
    let registry = Registry::start(Setup::default());
    let name = format!("{}/app:1", registry.host);
    let image = build("hello");
    push(&image, &name, &[]);
    let target = format!("docker://{name}");
    let output = strata(&["verify", &target]);
    assert!(
        said(&output).contains("no provenance is attached"),
        "{}",
        said(&output)
    );
    let keys = Keys::new();
    let sign = format!("--sign-by-key={}", keys.private());
    let key = format!("--key={}", keys.public());
    push(&image, &name, &["--attach=provenance"]);
    told(&["sign", &name, &sign]);
    let output = strata(&["verify", &target, &key, "--rebuild"]);
    assert!(
        said(&output).contains("no signed provenance"),
        "{}",
        said(&output)
    );
    let output = strata(&["verify", &target]);
    assert!(
        said(&output).contains("names no flake"),
        "{}",
        said(&output)
    );
    push(&image, &name, &["--attach=provenance", &sign]);
    let (same, text) = compare(&name, &image, &[&key]);
    assert!(
        same && text.contains("https://slsa.dev/provenance/v1"),
        "{text}"
    );
    let output = strata(&["verify", &image.image.display().to_string(), &key]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
}
