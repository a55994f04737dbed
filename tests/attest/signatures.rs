//! Signatures: ours, cosign's, and those that do not count. What cosign, skopeo and podman say of ours is in
//! `tests/newer/`.

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use strata_oci::Reference;
use strata_progress::Context;
use strata_registry::Repository;
use strata_testing::pushing::options;
use strata_testing::registry::{Registry, Setup, run};

use crate::keys::{Keys, of_cosign};
use crate::program::{attached, build, command, push, said, strata, told};

/// Whether an image is signed with this key, and what is said about it.
fn verify(name: &str, key: &str) -> (bool, String) {
    let key = format!("--key={key}");
    let output = strata(&["verify", &format!("docker://{name}"), &key]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success(), text + &said(&output))
}

/// The document of a registry, by another program.
fn fetch(host: &str, path: &str) -> Vec<u8> {
    let accept = "Accept: application/vnd.oci.image.manifest.v1+json";
    let url = format!("http://{host}/v2/{path}");
    let output = Command::new("curl")
        .args(["-fsS", "-H", accept, &url])
        .output()
        .unwrap();
    assert!(output.status.success(), "{path}: {output:?}");
    output.stdout
}

#[test]
fn an_image_is_signed_in_both_forms() {
    let registry = Registry::start(Setup::default());
    let host = &registry.host;
    let keys = Keys::new();
    let name = format!("{host}/app:1");
    let sign = format!("--sign-by-key={}", keys.private());
    let pushed = push(&build("hello"), &name, &[&sign]);
    let (good, text) = verify(&name, &keys.public());
    assert!(
        good && text.contains("https://sigstore.dev/cosign/sign/v1"),
        "{text}"
    );

    // Once, however often it is signed.
    let before = attached(&name);
    assert_eq!(before.len(), 1);
    told(&["sign", &name, &sign]);
    assert_eq!(attached(&name), before);

    // The simple form: OpenSSL verifies the payload.
    let (_, digest) = pushed.split_once('@').unwrap();
    let tag = format!("{}.sig", digest.replace(':', "-"));
    let manifest: Value =
        serde_json::from_slice(&fetch(host, &format!("app/manifests/{tag}"))).unwrap();
    let layers = manifest["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 1);
    let layer = &layers[0];
    let payload = fetch(
        host,
        &format!("app/blobs/{}", layer["digest"].as_str().unwrap()),
    );
    let signature = layer["annotations"]["dev.cosignproject.cosign/signature"]
        .as_str()
        .unwrap();
    let signature = keys.write("signature", &STANDARD.decode(signature).unwrap());
    let payload = keys.write("payload", &payload);
    run(Command::new("openssl").args([
        "dgst",
        "-sha256",
        "-verify",
        &keys.public(),
        "-signature",
        &signature,
        &payload,
    ]));
}

/// A wrong key, a manifest that changed, and a signature of another repository.
#[test]
fn signatures_of_others_and_other_images_are_refused() {
    let registry = Registry::start(Setup::default());
    let host = &registry.host;
    let keys = Keys::new();
    let sign = format!("--sign-by-key={}", keys.private());
    let name = format!("{host}/app:1");
    let image = build("hello");
    let (good, text) = {
        push(&image, &name, &[]);
        verify(&name, &keys.public())
    };
    assert!(!good && text.contains("it is not signed"), "{text}");
    let pushed = push(&image, &name, &[&sign]);
    let (good, text) = verify(&name, &Keys::new().public());
    assert!(!good && text.contains("is of another key"), "{text}");

    // Another image under the same tag.
    push(&build("changed"), &name, &[]);
    let (good, text) = verify(&name, &keys.public());
    assert!(!good && text.contains("it is not signed"), "{text}");

    // The same image elsewhere, with all that belongs to it.
    let elsewhere = format!("{host}/other:1");
    push(&image, &elsewhere, &[]);
    let context = Context::silent();
    let from = Reference::parse(&pushed).unwrap();
    let from = Repository::to_read(&from, &options(), context).unwrap();
    let to = Reference::parse(&elsewhere).unwrap();
    let to = Repository::to_write(&to, &options(), context).unwrap();
    let digest = pushed.split_once('@').unwrap().1.parse().unwrap();
    assert_eq!(
        strata_referrers::copy(&from, &to, &digest, context).unwrap(),
        2
    );
    let (good, text) = verify(&elsewhere, &keys.public());
    assert!(
        !good
            && text.contains(&format!("it is for {host}/app"))
            && text.contains(&format!("for the repository {host}/app")),
        "{text}"
    );
    // Signed here, it counts, beside the signature of there.
    told(&["sign", &elsewhere, &sign]);
    assert!(verify(&elsewhere, &keys.public()).0);
}

#[test]
fn only_the_forms_that_are_wanted_are_made() {
    let registry = Registry::start(Setup::default());
    let keys = Keys::new();
    let sign = format!("--sign-by-key={}", keys.private());
    for (form, bundles) in [("tag", 0), ("bundle", 1)] {
        let name = format!("{}/{form}:1", registry.host);
        let form = format!("--signature-form={form}");
        push(&build("hello"), &name, &[&sign, &form]);
        assert_eq!(attached(&name).len(), bundles);
        assert!(verify(&name, &keys.public()).0);
    }
}

#[test]
fn what_is_attached_is_signed_too() {
    let registry = Registry::start(Setup::default());
    let keys = Keys::new();
    let name = format!("{}/app:1", registry.host);
    let sign = format!("--sign-by-key={}", keys.private());
    push(&build("hello"), &name, &["--attach=sbom,provenance", &sign]);
    let (good, text) = verify(&name, &keys.public());
    assert!(good, "{text}");
    for kind in [
        "https://cyclonedx.org/bom",
        "https://spdx.dev/Document",
        "https://slsa.dev/provenance/v1",
    ] {
        assert!(text.contains(kind), "{kind}: {text}");
    }
}

/// A key in hardware or with a service: a command gets the message.
#[test]
fn a_command_signs() {
    let registry = Registry::start(Setup::default());
    let keys = Keys::new();
    let name = format!("{}/app:1", registry.host);
    let public = format!("--public-key={}", keys.public());
    for command in [
        format!("openssl dgst -sha256 -sign {}", keys.private()),
        format!("openssl dgst -sha256 -sign {} | base64", keys.private()),
    ] {
        push(&build(&command), &name, &[]);
        let by = format!("--sign-by-command={command}");
        told(&["sign", &name, &by, &public]);
        assert!(verify(&name, &keys.public()).0, "{command}");
    }
    let other = Keys::new();
    push(&build("again"), &name, &[]);
    for (command, message) in [
        ("exit 3".to_owned(), "exit status: 3"),
        (
            format!("openssl dgst -sha256 -sign {}", other.private()),
            "no signature of this public key",
        ),
    ] {
        let by = format!("--sign-by-command={command}");
        let output = strata(&["sign", &name, &by, &public]);
        assert!(said(&output).contains(message), "{}", said(&output));
    }
    assert!(!verify(&name, &keys.public()).0);
}

/// The file is cosign's; its password is in a variable, a file or on standard input, and in no message.
#[test]
fn cosigns_keys_are_unlocked() {
    let registry = Registry::start(Setup::default());
    let name = format!("{}/app:1", registry.host);
    push(&build("hello"), &name, &[]);
    let key = format!("--sign-by-key={}", of_cosign("cosign.key"));
    let missing = strata(&["sign", &name, &key]);
    assert!(
        said(&missing).contains("set COSIGN_PASSWORD"),
        "{}",
        said(&missing)
    );
    let mut wrong = command(&["sign", &name, &key]);
    let wrong = wrong.env("COSIGN_PASSWORD", "hunter2").output().unwrap();
    assert!(
        said(&wrong).contains("the password is wrong"),
        "{}",
        said(&wrong)
    );
    assert!(!said(&wrong).contains("hunter2"));
    let mut right = command(&["sign", &name, &key]);
    let right = right
        .env("COSIGN_PASSWORD", "correct horse")
        .output()
        .unwrap();
    assert!(right.status.success(), "{}", said(&right));
    assert!(verify(&name, &of_cosign("cosign.pub")).0);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    std::fs::write(&file, "correct horse\n").unwrap();
    let flag = format!("--sign-passphrase-file={}", file.display());
    told(&["sign", &name, &key, &flag]);
    let swapped = verify(&name, &of_cosign("cosign.key"));
    assert!(
        swapped.1.contains("this is the private key"),
        "{}",
        swapped.1
    );
}
