//! What cosign, oras, crane, skopeo and podman say of what vouches for an image, and what Strata says of cosign's.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use strata_testing::fake_store::{FakeStore, Item};
use strata_testing::registry::{Registry, Setup};

use crate::debian::{Place, Started};

/// How cosign is told that the registry speaks no TLS and that there is no log.
const FLAGS: &str = "--allow-http-registry --insecure-ignore-tlog=true";

/// A place with a pair of keys of cosign's whose password is `x`, and another in `other`; nothing, which is said, if there is no root.
fn place(what: &str) -> Option<Place> {
    let place = Place::unstable();
    let Some(place) = place else {
        println!("skipped, since there is no Debian unstable: {what}");
        return None;
    };
    let keys = "export COSIGN_PASSWORD=x
        cosign generate-key-pair 2>/dev/null
        mkdir other
        cd other
        cosign generate-key-pair 2>/dev/null";
    place.run_well(keys, &[]);
    Some(place)
}

fn strata(place: &Place, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_strata"))
        .args(arguments)
        .current_dir(place.path())
        .env("COSIGN_PASSWORD", "x")
        .env("HOME", "/nonexistent")
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

/// Runs `strata` where the keys are; gives all that it wrote.
fn told(place: &Place, arguments: &[&str]) -> String {
    let (good, text) = strata(place, arguments);
    assert!(good, "{arguments:?}: {text}");
    text
}

/// An image with a package of a known name.
fn build(store: &mut FakeStore, text: &str) -> String {
    let library = store.add("openssl-3.0.12", &[Item::File("lib/x.so", "x")], &[]);
    let items = [Item::Executable("bin/planted", text)];
    let planted = store.add("planted-1.2.3", &items, &[&library]);
    let mut request = store.image_request();
    request["deps"] = json!([planted]);
    let output = store.build(&request).unwrap();
    store.locate(&output).display().to_string()
}

/// A registry that lists what refers to images: go-containerregistry's.
fn listing(place: &Place) -> (Started, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    drop(listener);
    let started = place.start("exec crane registry serve --address \"$1\"", &[&host]);
    for _ in 0..100 {
        if TcpStream::connect(&host).is_ok() {
            return (started, host);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("crane registry serve does not start");
}

/// Pushes an image with all that can be attached, signed; gives `NAME@DIGEST`.
fn publish(place: &Place, image: &str, host: &str) -> String {
    let target = format!("docker://{host}/app:1");
    let text = told(
        place,
        &[
            "copy",
            image,
            &target,
            "--no-cache",
            "--quiet",
            "--json",
            "--attach=sbom,provenance",
            "--sign-by-key=cosign.key",
        ],
    );
    let answer: Value = serde_json::from_str(&text).unwrap();
    format!("{host}/app@{}", answer["digest"].as_str().unwrap())
}

/// Everything is found and verified by others.
fn show(place: &Place, image: &str, host: &str) {
    let name = publish(place, image, host);
    let discovered = place.run_well(
        "oras discover --plain-http --format json \"$1\" 2>/dev/null",
        &[&name],
    );
    for kind in [
        "application/vnd.cyclonedx+json",
        "application/spdx+json",
        "application/vnd.in-toto+json",
        "application/vnd.dev.sigstore.bundle.v0.3+json",
    ] {
        assert!(discovered.contains(kind), "{kind}: {discovered}");
    }
    println!("oras discovers it");
    let tree = place.run_well("cosign tree --allow-http-registry \"$1\"", &[&name]);
    assert!(
        tree.contains("cyclonedx.org/bom") && tree.contains(".sig"),
        "{tree}"
    );
    println!("cosign tree shows it");
    let (_, digest) = name.split_once('@').unwrap();
    let tag = digest.replace(':', "-");
    let repository = name.split('@').next().unwrap();
    let tags = place.run_well("crane ls --insecure \"$1\"", &[repository]);
    // go-containerregistry's lists, but does not say so at the push: the list under the tag is there, too, as the
    // specification wants it then.
    assert!(tags.lines().any(|line| line == tag), "{tags}");
    let signature = place.run_well(
        "crane manifest --insecure \"$1\"",
        &[&format!("{repository}:{tag}.sig")],
    );
    assert!(signature.contains("simplesigning"), "{signature}");
    println!("crane reads the signature");
    for more in ["", "--new-bundle-format=false"] {
        let script = format!("cosign verify --key cosign.pub {FLAGS} {more} \"$1\"");
        let said = place.run_well(&script, &[&name]);
        assert!(said.contains(digest), "{said}");
        println!("cosign verify {more} accepts it");
    }
    for kind in ["cyclonedx", "spdxjson", "slsaprovenance1"] {
        let script =
            format!("cosign verify-attestation --key cosign.pub {FLAGS} --type {kind} \"$1\"");
        place.run_well(&script, &[&name]);
        println!("cosign verify-attestation --type {kind} accepts it");
    }
    let script = format!("cosign verify --key other/cosign.pub {FLAGS} \"$1\"");
    assert!(!place.run(&script, &[&name]).status.success());
    let key = "--key=other/cosign.pub";
    assert!(!strata(place, &["verify", &format!("docker://{name}"), key]).0);
    println!("another key is refused by cosign and by strata");
}

#[test]
fn others_find_and_verify_what_is_attached() {
    let Some(place) = place("what others find beside images") else {
        return;
    };
    let mut store = FakeStore::new();
    let image = build(&mut store, "hello");
    let registry = Registry::start(Setup::default());
    show(&place, &image, &registry.host);
    let (_registry, host) = listing(&place);
    show(&place, &image, &host);
}

/// The policies of skopeo and podman, which read the form under a tag.
#[test]
fn policies_of_engines_accept_and_refuse() {
    let Some(place) = place("policies of skopeo and podman") else {
        return;
    };
    let registry = Registry::start(Setup::default());
    let host = &registry.host;
    let mut store = FakeStore::new();
    let signed = build(&mut store, "hello");
    publish(&place, &signed, host);
    let mut other = FakeStore::new();
    let unsigned = build(&mut other, "unsigned");
    let target = format!("docker://{host}/app:2");
    told(&place, &["copy", &unsigned, &target, "--no-cache"]);
    let elsewhere = format!("docker://{host}/elsewhere:1");
    told(&place, &["copy", &signed, &elsewhere, "--no-cache"]);
    // The signature of the one repository in the other.
    place.run_well(
        "digest=$(crane digest --insecure \"$1/app:1\")
        tag=$(echo \"$digest\" | tr : -).sig
        crane copy --insecure \"$1/app:$tag\" \"$1/elsewhere:$tag\" 2>/dev/null",
        &[host],
    );
    let registries = format!("docker:\n  {host}:\n    use-sigstore-attachments: true\n");
    std::fs::create_dir(place.path().join("registries.d")).unwrap();
    std::fs::write(place.path().join("registries.d/a.yaml"), registries).unwrap();
    let key = format!("{}/cosign.pub", place.name());
    let requirement = json!([{
        "type": "sigstoreSigned", "keyPath": key, "signedIdentity": { "type": "matchRepository" }
    }]);
    let policy = json!({
        "default": [{ "type": "reject" }],
        "transports": { "docker": { host.clone(): requirement } },
    });
    std::fs::write(place.path().join("policy.json"), policy.to_string()).unwrap();
    let skopeo = "skopeo --policy policy.json --registries.d registries.d copy --quiet \\
        --src-tls-verify=false \"docker://$1\" dir:copy";
    let podman = "podman --root $PWD/storage --runroot $PWD/run --storage-driver vfs --registries-conf /dev/null \\
        pull --quiet --tls-verify=false --signature-policy policy.json \"$1\"";
    let podman_looks = "mkdir -p /etc/containers/registries.d && cp registries.d/a.yaml /etc/containers/registries.d/";
    place.run_well(podman_looks, &[]);
    for (program, script) in [("skopeo", skopeo), ("podman", podman)] {
        for (name, accepted) in [("app:1", true), ("app:2", false), ("elsewhere:1", false)] {
            let output = place.run(script, &[&format!("{host}/{name}")]);
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(
                output.status.success(),
                accepted,
                "{program} {name}: {said}"
            );
        }
        println!("the policy of {program} accepts what is signed, and nothing else");
    }
    place.run_well("rm /etc/containers/registries.d/a.yaml", &[]);
}

/// Both forms that cosign makes, and its attestation.
#[test]
fn signatures_of_cosign_are_verified() {
    let Some(place) = place("signatures of cosign") else {
        return;
    };
    let registry = Registry::start(Setup::default());
    let mut store = FakeStore::new();
    for (number, form) in ["", "--new-bundle-format=false"].into_iter().enumerate() {
        let mut store = FakeStore::new();
        let image = build(&mut store, form);
        let name = format!("{}/app{number}:1", registry.host);
        let target = format!("docker://{name}");
        told(&place, &["copy", &image, &target, "--no-cache"]);
        let script = format!(
            "COSIGN_PASSWORD=x cosign sign --key cosign.key --yes --use-signing-config=false \\
                --tlog-upload=false --allow-http-registry {form} \"$1@$(crane digest --insecure \"$1\")\" 2>&1"
        );
        place.run_well(&script, &[&name]);
        told(&place, &["verify", &target, "--key=cosign.pub"]);
        println!("strata verifies cosign's signature {form}");
        // Ours beside it. A bundle of cosign's does not say for which repository it is, and ours does; what is under a
        // tag says so, and is there already.
        told(&place, &["sign", &name, "--sign-by-key=cosign.key"]);
        let said = told(&place, &["referrers", &name]);
        assert_eq!(said.lines().count(), 2 - number, "{said}");
    }
    let image = build(&mut store, "attested");
    let name = format!("{}/attested:1", registry.host);
    let target = format!("docker://{name}");
    told(
        &place,
        &[
            "copy",
            &image,
            &target,
            "--no-cache",
            "--sign-by-key=cosign.key",
        ],
    );
    std::fs::write(place.path().join("predicate.json"), "{\"a\":1}").unwrap();
    place.run_well(
        "COSIGN_PASSWORD=x cosign attest --key cosign.key --yes --use-signing-config=false \\
            --tlog-upload=false --allow-http-registry --type https://h.x/kind --predicate predicate.json \\
            \"$1@$(crane digest --insecure \"$1\")\" 2>&1",
        &[&name],
    );
    let said = told(&place, &["verify", &target, "--key=cosign.pub"]);
    assert!(said.contains("https://h.x/kind"), "{said}");
    println!("strata verifies cosign's attestation");
}

/// The official schemas, and what other programs read in the documents.
#[test]
fn bills_are_valid_and_read_by_others() {
    let Some(place) = place("the schemas of CycloneDX and SPDX") else {
        return;
    };
    let validators = Path::new("/opt/validators/bin");
    if !place
        .run("[ -e /opt/validators/ready ]", &[])
        .status
        .success()
    {
        println!("skipped, since there are no validators: the schemas of CycloneDX and SPDX");
        return;
    }
    let mut store = FakeStore::new();
    let image = build(&mut store, "hello");
    let known = json!({ "version": 1, "packages": { store.path("planted-1.2.3"): {
        "name": "planted", "version": "1.2.3", "description": "Says hello", "homepage": "https://planted.example/",
        "cpe": "cpe:2.3:a:h:planted:1.2.3:*:*:*:*:*:*:*",
        "licences": [{ "spdxId": "MIT" }, { "name": "Ours" }], "isProgram": true,
    } } });
    std::fs::write(place.path().join("evaluation.json"), known.to_string()).unwrap();
    told(
        &place,
        &[
            "sbom",
            &image,
            "out",
            "--format=all",
            "--evaluation=evaluation.json",
        ],
    );
    let python = validators.join("python3").display().to_string();
    let script = format!(
        r#"PYTHONDONTWRITEBYTECODE=1 {python} - <<'END'
import json
from cyclonedx.model.bom import Bom
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
text = open("out/cyclonedx.json").read()
error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
assert error is None, error
bom = Bom.from_json(json.loads(text))
print(sorted((it.name, it.version, str(it.purl)) for it in bom.components))
END
{validators}/pyspdxtools -i out/spdx.json
PYTHONDONTWRITEBYTECODE=1 {python} - <<'END'
from spdx_tools.spdx.parser.parse_anything import parse_file
document = parse_file("out/spdx.json")
print(sorted((it.name, it.version) for it in document.packages if it.name != "test"))
END"#,
        validators = validators.display()
    );
    let said = place.run_well(&script, &[]);
    let planted = "('planted', '1.2.3', 'pkg:nix/planted@1.2.3')";
    assert!(said.contains(planted), "{said}");
    assert!(said.contains("('planted', '1.2.3')"), "{said}");
    println!("both bills are valid, and cyclonedx-python-lib and spdx-tools read them");
}
