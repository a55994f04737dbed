//! Images of many arguments together, beside what dockerTools' rules say of them: names, modes, owners, times,
//! configuration, history and tags. A stock dockerTools needs a network to be had, so the rules are here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::support::nix::build;
use super::{archive_of, config_of, json_member, member};

const SCRIPT_FILE: &str = "made";
const ROOT_FILE: &str = "rooted";

/// Arguments of an image.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "arguments are there or not")]
struct Case {
    is_layered: bool,
    name: &'static str,
    tag: &'static str,
    /// Who owns the store paths of a layered image, and what goes to the root of the other.
    owner: (u64, u64),
    is_dated: bool,
    script: Script,
    has_base: bool,
    has_files: bool,
    architecture: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Script {
    None,
    Unprivileged,
    Root,
}

/// Each value of an argument meets each of every other.
fn cases() -> Vec<Case> {
    let pick = |number: usize, step: usize| number / step % 2 == 1;
    let cases = (0..24).map(|number| Case {
        is_layered: pick(number, 1),
        script: [Script::None, Script::Unprivileged, Script::Root][number / 2 % 3],
        has_base: pick(number, 6),
        is_dated: pick(number, 12),
        owner: [(0, 0), (1000, 100)][usize::from(pick(number, 3))],
        has_files: pick(number + 2, 5),
        name: ["plain", "registry.example:5000/Group/MixedCase"][usize::from(pick(number, 4))],
        tag: ["latest", "V1.0_x-Y"][usize::from(pick(number, 7))],
        architecture: ["amd64", "arm64"][usize::from(pick(number, 9))],
    });
    cases.collect()
}

impl Case {
    fn expression(&self) -> String {
        let Self {
            name,
            tag,
            architecture,
            ..
        } = self;
        let mut text = format!(
            r#"name = "{name}"; tag = "{tag}"; architecture = "{architecture}"; config = {{
                 Env = [ "OWN=1" "BOTH=own" "HELLO=${{pkgs.hello}}" ]; WorkingDir = "/work";
               }};"#
        );
        let (uid, gid) = self.owner;
        let _ = write!(text, "uid = {uid}; gid = {gid};");
        if self.is_dated {
            text += "created = \"2024-02-29T12:34:56Z\";";
        }
        if self.has_base {
            let _ = write!(text, "fromImage = base \"{architecture}\";");
        }
        if self.has_files {
            text += "files.\"/var/lib/own\" = { type = \"directory\"; mode = \"0710\"; uid = 5; gid = 6; };";
        }
        if self.script != Script::None {
            let _ = write!(text, "extraCommands = \"echo 1 > {SCRIPT_FILE}\";");
        }
        let root = format!("echo 2 > {ROOT_FILE}; chown 7:8 {ROOT_FILE}; chmod 6755 {ROOT_FILE}");
        let (function, contents, as_root) = if self.is_layered {
            ("streamLayeredImage", "contents", "fakeRootCommands")
        } else {
            ("buildImage", "copyToRoot", "runAsRoot")
        };
        if self.is_layered && self.is_dated {
            text += "mtime = \"2001-01-01\";";
        }
        if self.script == Script::Root {
            let _ = write!(text, "{as_root} = \"{root}\";");
        }
        format!("{function} {{ {text} {contents} = root; }}")
    }

    fn layer_count(&self) -> std::ops::RangeInclusive<usize> {
        let base = usize::from(self.has_base);
        if self.is_layered {
            // One for the store paths at least, and one for the root.
            base + 2..=100
        } else {
            base + 1..=base + 1
        }
    }

    fn environment(&self) -> Vec<&'static str> {
        // The position of the first, the value of the last.
        let base: &[_] = if self.has_base {
            &["BASE=1", "BOTH=own"]
        } else {
            &[]
        };
        let own: &[_] = if self.has_base {
            &["OWN=1"]
        } else {
            &["OWN=1", "BOTH=own"]
        };
        [base, own].concat()
    }

    fn modified(&self) -> u64 {
        if self.is_layered && self.is_dated {
            978_307_200
        } else {
            1
        }
    }

    /// Mode and owner of what is at the root.
    fn root(&self) -> BTreeMap<&'static str, (u32, (u64, u64))> {
        // Root of a machine owns what scripts of a machine leave.
        let owner = if self.is_layered || self.script == Script::Root {
            (0, 0)
        } else {
            self.owner
        };
        let link = 0o777;
        let mut all = BTreeMap::from([
            ("etc/", (0o755, owner)),
            (
                "etc/text",
                (if self.is_layered { link } else { 0o444 }, owner),
            ),
            ("bin/", (0o755, owner)),
            (
                "bin/run",
                (if self.is_layered { link } else { 0o555 }, owner),
            ),
            ("bin/other", (link, owner)),
        ]);
        if self.script != Script::None {
            all.insert(SCRIPT_FILE, (0o644, owner));
        }
        if self.script == Script::Root {
            all.insert(ROOT_FILE, (0o6755, (7, 8)));
        }
        if self.has_files {
            all.insert("var/lib/own/", (0o710, (5, 6)));
        }
        all
    }
}

/// What a layer has at a path.
#[derive(Debug)]
struct Entry {
    mode: u32,
    owner: (u64, u64),
    modified: u64,
    is_directory: bool,
}

/// The entries of the layers that are the image's own, the upper ones over the lower ones.
fn entries(archive: &std::path::Path, layers: &[Value]) -> BTreeMap<String, Entry> {
    let mut all = BTreeMap::new();
    for layer in layers {
        let bytes = member(archive, layer.as_str().unwrap()).unwrap();
        let mut layer = tar::Archive::new(bytes.as_slice());
        for entry in layer.entries().unwrap() {
            let entry = entry.unwrap();
            let header = entry.header();
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let found = Entry {
                mode: header.mode().unwrap(),
                owner: (header.uid().unwrap(), header.gid().unwrap()),
                modified: header.mtime().unwrap(),
                is_directory: header.entry_type().is_dir(),
            };
            all.insert(path, found);
        }
    }
    all
}

#[test]
fn images_are_what_the_rules_say() {
    let cases = cases();
    let mut links = String::new();
    for (number, case) in cases.iter().enumerate() {
        let _ = writeln!(
            links,
            "{{ name = \"{number}\"; path = {}; }}",
            case.expression()
        );
    }
    let images = build(&format!(
        r#"
        let
          inherit (strata.dockerTools) buildImage streamLayeredImage;
          base = architecture: buildImage {{
            inherit architecture;
            name = "base";
            tag = "1";
            copyToRoot = pkgs.writeTextDir "etc/base" "";
            config = {{ Env = [ "BASE=1" "BOTH=base" ]; Cmd = [ "/base" ]; Labels.a = "b"; }};
          }};
          root = pkgs.runCommand "root" {{ }} ''
            mkdir -p $out/bin $out/etc
            echo text > $out/etc/text
            echo '#!' > $out/bin/run
            chmod +x $out/bin/run
            ln -s run $out/bin/other
          '';
        in
        pkgs.linkFarm "cases" [ {links} ]
        "#
    ));
    for (number, case) in cases.iter().enumerate() {
        check(
            case,
            &archive_of(&images.join(number.to_string()).canonicalize().unwrap()),
        );
    }
}

fn check(case: &Case, archive: &std::path::Path) {
    let manifest = json_member(archive, "manifest.json");
    let tag = format!("{}:{}", case.name.to_lowercase(), case.tag);
    assert_eq!(manifest[0]["RepoTags"], json!([tag]), "{case:?}");

    let config = config_of(archive);
    assert_eq!(config["os"], "linux", "{case:?}");
    assert_eq!(config["architecture"], case.architecture, "{case:?}");
    let created = config["created"].as_str().unwrap();
    let expected = if case.is_dated {
        "2024-02-29T12:34:56"
    } else {
        "1970-01-01T00:00:01"
    };
    assert!(created.starts_with(expected), "{case:?}: {created}");
    assert_eq!(config["config"]["WorkingDir"], "/work", "{case:?}");
    // Nothing else is inherited.
    let keys: BTreeSet<&String> = config["config"].as_object().unwrap().keys().collect();
    assert_eq!(keys.len(), 2, "{case:?}: {keys:?}");
    let environment = config["config"]["Env"].as_array().unwrap();
    let environment = environment.iter().filter_map(Value::as_str);
    let environment: Vec<&str> = environment
        .filter(|text| !text.starts_with("HELLO="))
        .collect();
    assert_eq!(environment, case.environment(), "{case:?}");

    let layers = manifest[0]["Layers"].as_array().unwrap();
    assert!(
        case.layer_count().contains(&layers.len()),
        "{case:?}: {layers:?}"
    );
    let history = config["history"].as_array().unwrap();
    assert_eq!(history.len(), layers.len(), "{case:?}");
    assert!(
        history.iter().all(|entry| entry["created"].is_string()),
        "{case:?}"
    );
    assert_eq!(
        config["rootfs"]["diff_ids"].as_array().unwrap().len(),
        layers.len()
    );

    let found = entries(archive, &layers[usize::from(case.has_base)..]);
    for (path, (mode, owner)) in case.root() {
        let entry = found
            .get(path)
            .unwrap_or_else(|| panic!("{case:?}: no {path}: {found:?}"));
        let is_link = mode == 0o777;
        assert!(is_link || entry.mode == mode, "{case:?}: {path}: {entry:?}");
        assert_eq!(entry.owner, owner, "{case:?}: {path}");
    }
    let store_owner = if case.is_layered { case.owner } else { (0, 0) };
    let mut store_paths = BTreeSet::new();
    for (path, entry) in &found {
        assert_eq!(entry.modified, case.modified(), "{case:?}: {path}");
        if path == "nix/" || path == "nix/store/" {
            assert_eq!(
                (entry.mode, entry.owner),
                (0o755, store_owner),
                "{case:?}: {path}"
            );
        } else if let Some(below) = path.strip_prefix("nix/store/") {
            assert_eq!(entry.owner, store_owner, "{case:?}: {path}");
            assert!(
                !entry.is_directory || entry.mode == 0o555,
                "{case:?}: {path}: {entry:?}"
            );
            assert_eq!(entry.mode & 0o222 & !0o777, 0, "{case:?}: {path}");
            store_paths.insert(below.split('/').next().unwrap());
        }
    }
    // The package of the configuration, and what it needs; of a base nothing is repeated.
    for name in ["hello-", "glibc-"] {
        assert!(
            store_paths.iter().any(|path| path.contains(name)),
            "{case:?}: {store_paths:?}"
        );
    }
}
