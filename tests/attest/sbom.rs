//! Bills of materials: everything is in them, and they are what they say they are.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use strata_testing::bases::{BaseImage, Piece, tar, write};
use strata_testing::fake_store::{FakeStore, Item};

use crate::program::{Built, build, said, strata, told};

/// Both documents of an image.
fn documents(image: &Built, more: &[&str]) -> [Value; 2] {
    let path = image.image.display().to_string();
    ["cyclonedx", "spdx"].map(|format| {
        let format = format!("--format={format}");
        let arguments = [&["sbom", &path, "-", &format], more].concat();
        serde_json::from_str(&told(&arguments)).unwrap()
    })
}

/// The component or package with this name.
fn named<'v>(list: &'v Value, name: &str) -> &'v Value {
    let mut list = list.as_array().unwrap().iter();
    list.find(|it| it["name"] == name)
        .unwrap_or_else(|| panic!("{name} is missing"))
}

/// What readers of both formats rely on: names are unique, and what is referred to is there.
fn check(cyclonedx: &Value, spdx: &Value) {
    assert_eq!(cyclonedx["bomFormat"], "CycloneDX");
    assert_eq!(cyclonedx["specVersion"], "1.6");
    let top = &cyclonedx["metadata"]["component"]["bom-ref"];
    let components = cyclonedx["components"].as_array().unwrap();
    let names = components.iter().map(|it| &it["bom-ref"]).chain([top]);
    let names: Vec<&str> = names.map(|it| it.as_str().unwrap()).collect();
    let unique: BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(unique.len(), names.len());
    for dependency in cyclonedx["dependencies"].as_array().unwrap() {
        assert!(unique.contains(dependency["ref"].as_str().unwrap()));
        for other in dependency["dependsOn"].as_array().into_iter().flatten() {
            assert!(unique.contains(other.as_str().unwrap()), "{other}");
        }
    }
    let packages = spdx["packages"].as_array().unwrap();
    let ids: Vec<&str> = packages
        .iter()
        .map(|it| it["SPDXID"].as_str().unwrap())
        .chain(["SPDXRef-DOCUMENT"])
        .collect();
    let unique: BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(unique.len(), ids.len());
    for id in &ids {
        let rest = id.strip_prefix("SPDXRef-").unwrap();
        assert!(
            rest.bytes()
                .all(|it| it.is_ascii_alphanumeric() || b".-".contains(&it))
        );
    }
    for relation in spdx["relationships"].as_array().unwrap() {
        for side in ["spdxElementId", "relatedSpdxElement"] {
            assert!(
                unique.contains(relation[side].as_str().unwrap()),
                "{relation}"
            );
        }
    }
    assert_eq!(packages.len(), components.len() + 1);
}

#[test]
fn every_store_path_is_listed_with_what_it_needs() {
    let image = build("hello");
    let [cyclonedx, spdx] = documents(&image, &[]);
    check(&cyclonedx, &spdx);
    let planted = named(&cyclonedx["components"], "planted");
    assert_eq!(planted["version"], "1.2.3");
    assert_eq!(planted["purl"], "pkg:nix/planted@1.2.3");
    assert_eq!(planted["bom-ref"], image.program);
    let info = strata_nix::nar::hash(&image.store.locate(&image.program)).unwrap();
    let hash = strata_nix::hash_of(&info.hash).unwrap().hex();
    assert_eq!(
        planted["hashes"],
        json!([{ "alg": "SHA-256", "content": hash }])
    );
    let edges = cyclonedx["dependencies"].as_array().unwrap();
    let edge = edges.iter().find(|it| it["ref"] == image.program).unwrap();
    assert_eq!(edge["dependsOn"], json!([image.library]));
    let package = named(&spdx["packages"], "planted");
    assert_eq!(package["versionInfo"], "1.2.3");
    assert_eq!(package["checksums"][0]["checksumValue"], json!(hash));
    let id = package["SPDXID"].as_str().unwrap();
    let library = named(&spdx["packages"], "openssl")["SPDXID"]
        .as_str()
        .unwrap();
    let expected = json!({
        "spdxElementId": id, "relationshipType": "DEPENDS_ON", "relatedSpdxElement": library
    });
    assert!(
        spdx["relationships"]
            .as_array()
            .unwrap()
            .contains(&expected)
    );
    // The same image gives the same bytes.
    assert_eq!(documents(&image, &[]), [cyclonedx, spdx]);
}

#[test]
fn what_nix_knew_is_told() {
    let image = build("hello");
    let known = json!({
        "version": 1,
        "packages": {
            image.program.clone(): {
                "name": "planted", "version": "9", "description": "Says hello", "isProgram": true,
                "homepage": "https://h.x/", "cpe": "cpe:2.3:a:h:planted:9:*:*:*:*:*:*:*",
                "licences": [
                    { "spdxId": "MIT", "name": "MIT License" },
                    { "name": "Ours alone", "url": "https://h.x/licence" },
                    { "spdxId": "No-Such-Name" },
                ],
            },
        },
    });
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("evaluation.json");
    std::fs::write(&file, known.to_string()).unwrap();
    let flag = format!("--evaluation={}", file.display());
    let [cyclonedx, spdx] = documents(&image, &[&flag]);
    check(&cyclonedx, &spdx);
    let component = named(&cyclonedx["components"], "planted");
    assert_eq!(component["type"], "application");
    assert_eq!(component["version"], "9");
    assert_eq!(component["description"], "Says hello");
    assert_eq!(component["cpe"], "cpe:2.3:a:h:planted:9:*:*:*:*:*:*:*");
    assert_eq!(
        component["licenses"],
        json!([
            { "license": { "id": "MIT" } },
            { "license": { "name": "Ours alone", "url": "https://h.x/licence" } },
            { "license": { "name": "No-Such-Name" } },
        ])
    );
    let package = named(&spdx["packages"], "planted");
    assert_eq!(
        package["licenseDeclared"],
        "MIT AND LicenseRef-Ours-alone AND LicenseRef-No-Such-Name"
    );
    let others = spdx["hasExtractedLicensingInfos"].as_array().unwrap();
    assert_eq!(others.len(), 2, "{others:?}");
    std::fs::write(&file, "{}").unwrap();
    let path = image.image.display().to_string();
    let output = strata(&["sbom", &path, "-", &flag]);
    assert!(said(&output).contains("hint: "), "{}", said(&output));
}

/// The lists of packages in the layers of a base, as the last of them leaves them.
#[test]
fn packages_of_the_base_are_listed() {
    let status = "Package: bash\nStatus: install ok installed\nVersion: 5.2\nArchitecture: amd64\n";
    let lower = tar(&[
        Piece::File("etc/os-release", "ID=debian\nVERSION_ID=12\n"),
        Piece::File("var/lib/dpkg/status", "Package: old\nVersion: 1\n"),
        Piece::File("lib/apk/db/installed", "P:musl\nV:1\n"),
        Piece::File(
            "var/lib/dpkg/status.d/tzdata",
            "Package: tzdata\nVersion: 2024a\n",
        ),
        Piece::File("var/lib/dpkg/status.d/gone", "Package: gone\nVersion: 1\n"),
        Piece::File("var/lib/rpm/Packages", "x"),
    ]);
    let upper = tar(&[
        Piece::File("var/lib/dpkg/status", status),
        Piece::File("lib/apk/.wh.db", ""),
        Piece::File("var/lib/dpkg/status.d/.wh.gone", ""),
    ]);
    let mut store = FakeStore::new();
    let base = store.path("base");
    let files = BaseImage::layout(&[BaseImage::new(vec![lower, upper])]);
    write(&files, &store.locate(&base));
    store.register(&base, &[]);
    let own = store.add("own-1", &[Item::File("a", "1")], &[]);
    let mut request = store.image_request();
    request["deps"] = json!([own]);
    request["maxLayers"] = json!(9);
    request["image"]["fromImage"] = json!({ "path": base });
    let output = store.build(&request).unwrap();
    let image = Built {
        image: store.locate(&output),
        program: own,
        library: String::new(),
        store,
    };
    let [cyclonedx, spdx] = documents(&image, &[]);
    check(&cyclonedx, &spdx);
    let components = cyclonedx["components"].as_array().unwrap();
    let urls: Vec<&str> = components
        .iter()
        .map(|it| it["purl"].as_str().unwrap())
        .collect();
    assert_eq!(
        urls,
        [
            "pkg:nix/own@1",
            "pkg:deb/debian/bash@5.2?arch=amd64&distro=debian-12",
            "pkg:deb/debian/tzdata@2024a?distro=debian-12",
        ]
    );
    let path = image.image.display().to_string();
    let output = strata(&["sbom", &path]);
    assert!(
        said(&output).contains("packages of the base image are missing: /var/lib/rpm/Packages"),
        "{}",
        said(&output)
    );
}

#[test]
fn both_go_to_a_directory() {
    let image = build("hello");
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("out").display().to_string();
    let path = image.image.display().to_string();
    told(&["sbom", &path, &output, "--format=all"]);
    for name in ["cyclonedx.json", "spdx.json"] {
        let bytes = std::fs::read(format!("{output}/{name}")).unwrap();
        serde_json::from_slice::<Value>(&bytes).unwrap();
    }
    let refused = strata(&["sbom", &path, "--format=all"]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
}
