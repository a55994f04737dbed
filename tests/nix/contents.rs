//! What is in an image, as Nix says it: sizes, ways and differences (issue 15).

use strata_testing as support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use support::nix::{build_all, evaluate, nix, strata};
use support::registry::{Registry, Setup, run};

/// Packages that mention each other, in versions that depend on `version`, as `top`.
fn packages(version: usize) -> String {
    format!(
        r#"
        (let
          inherit (pkgs.lib) concatMapStringsSep elemAt genList optional range;
          text = n: references: filler:
            concatMapStringsSep "\n" toString (references ++ genList (i: "filler ${{toString i}}") filler);
          parts = map (n: pkgs.writeTextFile {{
            name = "part${{toString n}}-${{if n < 3 then "{version}" else "7"}}.${{toString n}}";
            text = text n
              ((genList (i: elemAt parts (n + 1 + i * (i + 2))) (if n < 20 then 3 else 0))
                ++ optional (n == 2) extra)
              (n * 50 + (if n == 1 then {version} * 2000 else 0));
          }}) (range 0 40);
          extra = pkgs.writeTextFile {{ name = "extra{}-1"; text = "extra"; }};
        in elemAt parts 0)
        "#,
        version % 2
    )
}

fn image(version: usize) -> String {
    format!(
        r#"(buildImage {{ name = "parts"; tag = "{version}"; config.Env = [ "DATA=${{{}}}" ]; }})"#,
        packages(version)
    )
}

fn answer(arguments: &[&str]) -> Value {
    serde_json::from_str(&run(strata().args(arguments))).unwrap()
}

fn built(version: usize) -> (PathBuf, PathBuf) {
    let outputs = build_all(&format!("[ {} {} ]", packages(version), image(version)));
    (outputs[0].clone(), outputs[1].clone())
}

/// What Nix knows of a closure: size and closure size by path.
fn path_info(top: &Path) -> BTreeMap<String, (u64, u64)> {
    let mut command = nix("nix");
    command.args([
        "path-info",
        "--recursive",
        "--size",
        "--closure-size",
        "--json",
    ]);
    let info: Value = serde_json::from_str(&run(command.arg(top))).unwrap();
    let paths = info.as_array().unwrap().iter();
    let number = |value: &Value| value.as_u64().unwrap();
    let one = |info: &Value| {
        let path = info["path"].as_str().unwrap().to_owned();
        (
            path,
            (number(&info["narSize"]), number(&info["closureSize"])),
        )
    };
    paths.map(one).collect()
}

fn sizes(value: &Value) -> BTreeMap<String, (u64, u64)> {
    let packages = value["packages"].as_array().unwrap().iter();
    let number = |value: &Value| value.as_u64().unwrap();
    let one = |it: &Value| {
        let path = it["path"].as_str().unwrap().to_owned();
        (path, (number(&it["size"]), number(&it["closureSize"])))
    };
    packages.map(one).collect()
}

/// A way of `nix why-depends`: the store paths in it, in their order.
fn why_depends(top: &Path, other: &str) -> Vec<String> {
    let mut command = nix("nix");
    let said = run(command.arg("why-depends").arg(top).arg(other));
    let words =
        said.split(|character: char| !character.is_ascii_graphic() || character == '\u{1b}');
    let paths = words.filter_map(|word| {
        let word = word.trim_end_matches("[0m");
        word.find("/nix/store/").map(|at| word[at..].to_owned())
    });
    paths.collect()
}

#[test]
fn sizes_and_ways_are_those_of_nix() {
    let (top, image) = built(1);
    let image = image.to_str().unwrap();
    let value = answer(&["inspect", image, "--json"]);
    let info = path_info(&top);
    assert!(info.len() > 20);
    assert_eq!(sizes(&value), info);

    let top_path = top.to_str().unwrap();
    assert_eq!(
        value["roots"],
        json!([{ "argument": "config.Env.DATA", "path": top_path }])
    );
    for path in info.keys().filter(|path| *path != top_path) {
        let found = answer(&["why", image, path, "--json"]);
        let chain = found["answers"][0]["chains"][0]["paths"]
            .as_array()
            .unwrap()
            .clone();
        let of_nix = why_depends(&top, path);
        // Where several ways are as short, Nix may take another one.
        assert_eq!(chain.len(), of_nix.len(), "{chain:?} {of_nix:?}");
        assert_eq!(
            (&chain[0], chain.last().unwrap()),
            (&json!(top_path), &json!(path))
        );
        for link in chain.windows(2) {
            let references = support::nix::references(Path::new(link[0].as_str().unwrap()));
            assert!(references.contains(link[1].as_str().unwrap()), "{link:?}");
        }
    }
    let precise = run(strata().args(["why", image, "part20", "--precise"]));
    assert!(
        precise.contains("at byte ") && precise.contains("-part20-7.20"),
        "{precise}"
    );
}

/// A line of `nix store diff-closures`: the name, and the versions before and after where they differ.
type Change = (String, Option<(String, String)>);

fn diff_closures(old: &Path, new: &Path) -> BTreeSet<Change> {
    let mut command = nix("nix");
    let said = run(command.args(["store", "diff-closures"]).args([old, new]));
    let change = |line: &str| {
        let (name, rest) = line.split_once(": ").unwrap();
        let rest = rest.split(", ").next().unwrap();
        let versions = rest.split_once(" \u{2192} ");
        let text = |text: &str| text.replace(['\u{2205}', '\u{3b5}'], "");
        (
            name.to_owned(),
            versions.map(|(old, new)| (text(old), text(new))),
        )
    };
    said.lines().map(change).collect()
}

#[test]
fn differences_are_those_of_nix() {
    let versions: Vec<usize> = (1..=7).collect();
    let built: Vec<(PathBuf, PathBuf)> = versions.iter().map(|version| built(*version)).collect();
    let mut pairs = 0;
    for (old_top, old) in &built {
        for (new_top, new) in &built {
            if old >= new {
                continue;
            }
            let value = answer(&[
                "diff",
                old.to_str().unwrap(),
                new.to_str().unwrap(),
                "--json",
            ]);
            let packages = value["packages"].as_array().unwrap().iter();
            let text = |list: &Value| {
                let versions = list.as_array().unwrap().iter();
                versions
                    .map(|it| it.as_str().unwrap())
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            let number = |value: &Value| value.as_i64().unwrap();
            let shown = packages.filter_map(|it| {
                let versions = (text(&it["oldVersions"]), text(&it["newVersions"]));
                let growth = number(&it["newSize"]) - number(&it["oldSize"]);
                // What Nix shows: other versions, or more than a little of them.
                let differs = versions.0 != versions.1;
                (differs || growth.abs() >= 8 * 1024).then(|| {
                    (
                        it["name"].as_str().unwrap().to_owned(),
                        differs.then_some(versions),
                    )
                })
            });
            let shown: BTreeSet<Change> = shown.collect();
            assert_eq!(shown, diff_closures(old_top, new_top), "{old:?} {new:?}");
            assert!(shown.len() >= 3);
            pairs += 1;
        }
    }
    assert!(pairs >= 20, "{pairs}");
}

/// An image that went through a registry or an archive tells the same of its packages: what they mention is found in
/// their files.
#[test]
fn a_copy_has_the_packages_of_the_image() {
    let (_, image) = built(1);
    let image = image.to_str().unwrap();
    let own = answer(&["inspect", image, "--json"]);
    let directory = tempfile::tempdir().unwrap();
    let registry = Registry::start(Setup::default());
    let reference = format!("docker://{}/parts:1", registry.host);
    let archive = format!(
        "docker-archive:{}",
        directory.path().join("a.tar").display()
    );
    let plain = "--dest-tls-verify=false";
    run(strata().args(["copy", image, &reference, plain]));
    run(strata().args(["copy", image, &archive]));
    let pulled = directory.path().join("pulled");
    run(strata()
        .args(["pull", "--tls-verify=false", &reference[9..]])
        .arg(&pulled));
    let pulled = pulled.to_str().unwrap();
    for (text, flags) in [
        (reference.as_str(), &["--tls-verify=false"][..]),
        (archive.as_str(), &[]),
        (pulled, &[]),
    ] {
        let found = answer(&[&["inspect", text, "--json"], flags].concat());
        assert_eq!(sizes(&found), sizes(&own), "{text}");
        let references = |value: &Value| -> Vec<Value> {
            let packages = value["packages"].as_array().unwrap().iter();
            packages.map(|it| it["references"].clone()).collect()
        };
        assert_eq!(references(&found), references(&own), "{text}");
        assert_eq!(found["roots"], own["roots"], "{text}");
        let difference = answer(&[&["diff", text, image, "--json"], flags].concat());
        assert_eq!(difference["packages"], json!([]), "{text}");
        assert_eq!(difference["layers"]["sent"], json!([]), "{text}");
    }
}

/// What an image comes with.
#[test]
fn images_have_commands_to_look_into_them() {
    let image = self::image(1);
    let outputs = build_all(&format!(
        "[ {image} {image}.why {image}.diff {image}.browse ]"
    ));
    let script = |number: usize, name: &str| {
        std::process::Command::new(outputs[number].join("bin").join(name))
    };
    let why = run(script(1, "why").arg("part20"));
    assert!(why.contains("config.Env.DATA\n  part0-1.0  "), "{why}");
    let other = build_all(&self::image(2));
    let diff = run(script(2, "diff").arg(&other[0]).arg("--markdown"));
    assert!(
        diff.starts_with("### `parts:2` \u{2192} `parts:1`\n"),
        "{diff}"
    );
    let output = script(3, "browse").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("it is no terminal"), "{said}");
}

/// Row 44: a planted package fails the build, and the way to it is named.
#[test]
fn limits_fail_a_build_and_name_the_way() {
    let limited = |limits: &str| {
        format!(
            r#"(buildImage {{ name = "parts"; config.Env = [ "DATA=${{{}}}" ]; limits = {limits}; }})"#,
            packages(1)
        )
    };
    let failed = |expression: &str| {
        let mut command = nix("nix-build");
        let expression = support::nix::expression(expression);
        command.args(["--no-out-link", "--expr", &expression]);
        let output = command.output().unwrap();
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    build_all(&limited(
        r#"{ size = "1M"; layers = 60; deny = [ pkgs.hello "gcc" ]; }"#,
    ));
    let said = failed(&limited(r#"{ deny = [ "part20" ]; }"#));
    let way = "and part20 is denied: config.Env.DATA -> part0-1.0 -> ";
    assert!(said.contains(way), "{said}");
    let said = failed(&limited(&format!(
        r#"{{ growth = {{ against = {}; size = "-1"; }}; }}"#,
        image(1)
    )));
    assert!(said.contains("attribute limits.growth.size: "), "{said}");
    let said = failed(&limited("{ size = 200; }"));
    assert!(
        said.contains(r#"hint: write it in quotes, as in "200M""#),
        "{said}"
    );

    // The same of an image that is built.
    let checked = build_all(&format!(
        r#"({}.checks.override {{ limits = {{ size = "1M"; deny = [ "gcc" ]; }}; }})"#,
        image(1)
    ));
    let report = support::fake_store::read_json(&checked[0]);
    assert_eq!(report["kept"], json!(true));
    let said = failed(&format!(
        r#"({}.checks.override {{ limits.deny = [ "part3" ]; }})"#,
        image(1)
    ));
    assert!(
        said.contains("and part3 is denied: config.Env.DATA -> part0-1.0 -> "),
        "{said}"
    );
    // Without limits nothing asks for a digest of them.
    let same = evaluate(&format!(
        "({}).drvPath == ({}).drvPath",
        image(1),
        limited("{ }").replace("name = \"parts\";", "name = \"parts\"; tag = \"1\";")
    ));
    assert_eq!(same, "1");
}
