//! Documents are true: what they name exists, and what exists is named.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests may fail"
)]

use strata_testing as support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;
use serde_json::{Value, json};
use strata_layer::LayersFile;
use strata_nix::Attrs;
use strata_oci::Digest;
use support::nix::{expression, nix};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The documents with their names relative to the root.
fn documents() -> BTreeMap<String, String> {
    let markdown = |directory: &str| {
        let entries = fs::read_dir(root().join(directory)).unwrap();
        entries
            .map(|entry| format!("{directory}{}", entry.unwrap().file_name().display()))
            .filter(|name| Path::new(name).extension().is_some_and(|end| end == "md"))
            .collect::<Vec<_>>()
    };
    let names = [markdown("./"), markdown("docs/")].concat();
    assert!(names.len() >= 6, "{names:?}");
    let name = |name: String| name.trim_start_matches("./").to_owned();
    names
        .into_iter()
        .map(|path| (name(path.clone()), read(&path)))
        .collect()
}

/// All that the group of an expression captures.
fn captures<'t>(text: &'t str, expression: &str) -> Vec<&'t str> {
    let regex = Regex::new(expression).unwrap();
    regex
        .captures_iter(text)
        .map(|captures| captures.get(1).unwrap().as_str())
        .collect()
}

fn set<'t>(names: impl IntoIterator<Item = &'t str>) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

/// A section of a document, from its heading to the next one of the same or a higher level.
fn section<'t>(document: &'t str, heading: &str) -> &'t str {
    let start = document.find(&format!("\n{heading}\n")).unwrap() + heading.len() + 2;
    let text = &document[start..];
    let level = heading.split(' ').next().unwrap().len();
    let end = Regex::new(&format!("(?m)^#{{1,{level}}} ")).unwrap();
    end.find(text).map_or(text, |next| &text[..next.start()])
}

/// The cells of the tables in a text, without their headings.
fn rows(text: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| {
        let line = line.replace("\\|", "\u{0}");
        let cells = line.trim().trim_matches('|').split('|');
        cells
            .map(|cell| cell.trim().replace('\u{0}', "|"))
            .collect()
    };
    let lines: Vec<&str> = text.lines().collect();
    let is_heading = |number: usize| {
        lines
            .get(number + 1)
            .is_some_and(|next| next.starts_with("|--"))
    };
    (0..lines.len())
        .filter(|number| lines[*number].starts_with('|') && !is_heading(*number))
        .filter(|number| !lines[*number].starts_with("|--"))
        .map(|number| cells(lines[number]))
        .collect()
}

/// What is between back-ticks.
fn codes(text: &str) -> Vec<&str> {
    captures(text, "`([^`\n]+)`")
}

/// A text without its fenced blocks.
fn prose(text: &str) -> String {
    Regex::new("(?ms)^```.*?^```$")
        .unwrap()
        .replace_all(text, "")
        .into_owned()
}

/// How a heading is linked to (GitHub's rule).
fn anchor(heading: &str) -> String {
    heading
        .to_lowercase()
        .chars()
        .filter(|character| character.is_alphanumeric() || " -_".contains(*character))
        .map(|character| if character == ' ' { '-' } else { character })
        .collect()
}

#[test]
fn links_lead_somewhere() {
    let documents = documents();
    for (name, text) in &documents {
        let text = prose(text);
        for link in captures(&text, r"\]\(([^)]+)\)") {
            if link.starts_with("https://") {
                continue;
            }
            let (path, fragment) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() {
                PathBuf::from(name)
            } else {
                Path::new(name).parent().unwrap().join(path)
            };
            assert!(root().join(&target).exists(), "{name}: {link}");
            if !fragment.is_empty() {
                let anchors = captures(&documents[target.to_str().unwrap()], "(?m)^#+ (.+)$")
                    .into_iter()
                    .map(anchor)
                    .collect::<Vec<_>>();
                assert!(anchors.contains(&fragment.to_owned()), "{name}: {link}");
            }
        }
    }
}

#[test]
fn paths_that_are_named_exist() {
    let is_path = Regex::new(
        r"^(src|nix|tests|docs|examples|scripts|benches|templates)/[\w./*-]*$|^[\w-]+\.(nix|toml|md|lock)$",
    )
    .unwrap();
    for (name, text) in documents() {
        for code in codes(&prose(&text))
            .into_iter()
            // A package, and a file in profiles.
            .filter(|code| is_path.is_match(code) && !["pkgs.nix", "manifest.nix"].contains(code))
        {
            let path = code.split('*').next().unwrap();
            let places = [root().to_path_buf(), root().join("docs")];
            assert!(
                places.iter().any(|place| place.join(path).exists()),
                "{name}: {code}"
            );
        }
    }
}

#[test]
fn every_room_is_described() {
    let architecture = read("ARCHITECTURE.md");
    let described = rows(section(&architecture, "## Rooms"));
    let described = set(described
        .iter()
        .flat_map(|row| captures(&row[0], "^`src/([a-z]+)/`$")));
    let rooms = fs::read_dir(root().join("src")).unwrap();
    let rooms = rooms
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    assert_eq!(described, rooms);
}

#[test]
fn every_example_is_listed() {
    let examples = read("examples/default.nix");
    let regex = Regex::new(r"(?m)^  (\w+) = example \./([^;]+);$").unwrap();
    let examples: BTreeSet<String> = regex
        .captures_iter(&examples)
        .map(|captures| {
            let (name, file) = (&captures[1], &captures[2]);
            let is_folder = root().join("examples").join(file).is_dir();
            let end = if is_folder { "/default.nix" } else { "" };
            format!("[{name}](examples/{file}{end})")
        })
        .collect();
    let readme = read("README.md");
    let listed = rows(section(&readme, "## Examples"));
    assert_eq!(set(listed.iter().map(|row| row[0].as_str())), examples);

    let files = fs::read_dir(root().join("examples")).unwrap();
    let count = files
        .filter(|entry| entry.as_ref().unwrap().file_name() != "default.nix")
        .count();
    assert_eq!(
        examples.len(),
        count,
        "a file in examples/ is not in its default.nix"
    );
}

/// The names of arguments with their defaults, as a function's file and its comment have them.
fn arguments(function: &str) -> [BTreeMap<String, String>; 2] {
    let file = read(&format!("nix/{function}.nix"));
    let (comment, code) = file.split_once("\n*/\n").unwrap();
    let documented = Regex::new(r"(?m)^  `([\w-]+)` \((.+)\)$").unwrap();
    let documented = documented.captures_iter(comment).map(|captures| {
        let default = captures[2]
            .split_once("default: `")
            .map(|(_, default)| default);
        let default = default.unwrap_or("required").trim_end_matches('`');
        (captures[1].to_owned(), default.to_owned())
    });
    let formals = captures(code, r"(?s)makeOverridable \(\n  \{\n(.*?)\n  \}:\n");
    assert_eq!(formals.len(), 1, "{function}");
    let formal = Regex::new(r"(?ms)^    ([\w-]+)(?: \? (.*?))?,$").unwrap();
    let written = formal.captures_iter(formals[0]).map(|captures| {
        let default = captures
            .get(2)
            .map_or("required", |default| default.as_str());
        let default: Vec<&str> = default.split_whitespace().collect();
        let default = default.join(" ").replace("; }", " }");
        (captures[1].to_owned(), default)
    });
    [documented.collect(), written.collect()].map(|map: BTreeMap<String, String>| {
        map.into_iter()
            .map(|(name, default)| (name, default.replace("; }", " }")))
            .collect()
    })
}

/// nix/default.nix is the list of public functions.
#[test]
fn every_function_and_argument_is_described() {
    let default = read("nix/default.nix");
    let functions = captures(&default, r"(?m)^  (\w+) = import \./\w+\.nix ");
    assert!(functions.contains(&"buildImage"), "{functions:?}");
    let readme = read("README.md");
    for function in functions {
        let [documented, written] = arguments(function);
        assert_eq!(documented, written, "nix/{function}.nix: comment and code");

        let table = rows(section(&readme, &format!("### {function}")));
        let mut described = BTreeMap::new();
        for row in table {
            let names = codes(&row[0]);
            let defaults = match row[2].as_str() {
                "required" => vec!["required"],
                defaults => codes(defaults),
            };
            assert_eq!(
                names.len(),
                defaults.len(),
                "README.md: {function}: {row:?}"
            );
            for (name, default) in names.into_iter().zip(defaults) {
                described.insert(name.to_owned(), default.replace("; }", " }"));
            }
        }
        assert_eq!(described, written, "README.md: {function}");
    }
}

#[test]
fn every_attribute_of_an_image_is_described() {
    let commands = read("nix/internal/commands.nix");
    let (_, commands) = commands.rsplit_once("\nin\n").unwrap();
    let mut attributes = set(captures(commands, r"(?m)^  (\w+) =\s"));
    assert!(attributes.contains("copyTo"), "{attributes:?}");
    let more = [
        "fromImage",
        "imageName",
        "imageTag",
        "imageRefUnsafe",
        "override",
    ];
    attributes.extend(more.map(str::to_owned));
    let readme = read("README.md");
    let table = rows(section(&readme, "### Attributes of an image"));
    let described = set(table.iter().flat_map(|row| codes(&row[0])));
    let missing: Vec<&String> = attributes.difference(&described).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let given = set(["meta", "passthru"]);
    let gone: Vec<&String> = described.difference(&attributes).collect();
    assert!(gone.iter().all(|name| given.contains(*name)), "{gone:?}");
}

fn strata(arguments: &[&str]) -> (String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_strata"))
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

/// The verbs with flags.
const VERBS: [&str; 9] = [
    "copy", "inspect", "verify", "compress", "serve", "pull", "lock", "export", "merge",
];

#[test]
fn flags_that_are_named_are_taken_and_the_others_are_named() {
    let readme = read("README.md");
    for (name, text) in [
        ("docs/cli.md", read("docs/cli.md")),
        (
            "README.md",
            section(&readme, "## The command line").to_owned(),
        ),
    ] {
        let named = set(captures(&text, r"(?m)(?:^|[\s`])(--[a-z-]+)"));
        for flag in &named {
            let is_taken = VERBS.iter().any(|verb| {
                let (_, said) = strata(&[verb, flag]);
                !said.contains("unexpected argument") && !said.contains("is not supported")
            });
            assert!(is_taken, "{name}: {flag}");
        }
        for verb in VERBS {
            let (help, _) = strata(&[verb, "--help"]);
            for flag in captures(&help, r"(?m)^ +(?:-\w, )?(--[a-z-]+)") {
                assert!(
                    flag == "--help" || named.contains(flag),
                    "{name} does not name {flag} of {verb}"
                );
            }
        }
    }
}

#[test]
fn every_destination_is_described() {
    let readme = read("README.md");
    let cli = read("docs/cli.md");
    for form in strata::destination::FORMS {
        for (name, text) in [
            ("docs/cli.md", section(&cli, "## copy")),
            ("README.md", section(&readme, "## The command line")),
        ] {
            let table = rows(text);
            let mut cells = table.iter().map(|row| row[0].as_str());
            assert!(
                cells.any(|cell| codes(cell).contains(&form)),
                "{name}: {form}"
            );
        }
    }
}

#[test]
fn every_target_of_the_makefile_is_described() {
    let makefile = read("Makefile");
    let phony = captures(&makefile, r"(?m)^\.PHONY: (.*)$")[0];
    let targets = set(phony.split(' '));
    let contributing = read("CONTRIBUTING.md");
    let described = rows(section(&contributing, "## Setting up"));
    let described = described.iter().map(|row| row[0].as_str());
    let described = set(described.flat_map(|cell| captures(cell, "^`make ([a-z]+)`$")));
    assert_eq!(described, targets);
    for (name, text) in documents() {
        for target in captures(&text, r"(?m)(?:^|`)make ([a-z]+)") {
            assert!(targets.contains(target), "{name}: make {target}");
        }
    }
}

/// The fields that a part of a request may have, from the hint about one that it may not.
fn fields(request: &Value) -> BTreeSet<String> {
    let attrs = json!({ "outputs": { "out": "/out" }, "closure": [], "request": request });
    let error = Attrs::parse(attrs.to_string().as_bytes()).unwrap_err();
    let hint = error.hint().unwrap();
    set(codes(hint.strip_prefix("write one of").expect(&hint)))
}

#[test]
fn the_format_of_requests_is_described() {
    let formats = read("docs/formats.md");
    let tables: Vec<&str> = section(&formats, "## The request: `.attrs.json`")
        .split("\n\n")
        .collect();
    let image = json!({ "name": "a", "arch": "b", "created": "now", "x": 1 });
    for (heading, request) in [
        (
            "field of `request`",
            json!({ "version": 1, "storeDir": "/s", "x": 1 }),
        ),
        (
            "field of a rule",
            json!({ "version": 1, "storeDir": "/s", "perms": [{ "path": "/p", "x": 1 }] }),
        ),
        (
            "field of `request.image`",
            json!({ "version": 1, "storeDir": "/s", "image": image }),
        ),
    ] {
        let start = format!("| {heading} |");
        let table = tables.iter().find(|table| table.starts_with(&start));
        let table = rows(table.unwrap_or_else(|| panic!("{heading}")));
        let described = set(table.iter().flat_map(|row| codes(&row[0])));
        assert_eq!(described, fields(&request), "{heading}");
    }
}

#[test]
fn the_format_of_base_systems_is_described() {
    let formats = read("docs/formats.md");
    let table = rows(section(&formats, "## The request of a base system"));
    let described = set(table.iter().flat_map(|row| codes(&row[0])));
    let request = |system: Value| json!({ "version": 1, "storeDir": "/s", "system": system });
    assert_eq!(described, fields(&request(json!({ "x": 1 }))));
    for (field, value) in [
        ("users", json!({ "a": { "uid": 1, "x": 1 } })),
        (
            "profile",
            json!({ "packages": [{ "name": "a", "outputs": {}, "x": 1 }] }),
        ),
        (
            "channel",
            json!({ "channelName": "a", "channelURL": "b", "home": "c", "x": 1 }),
        ),
    ] {
        let row = table.iter().find(|row| codes(&row[0]).contains(&field));
        let description = set(codes(&row.unwrap()[3]));
        let fields = fields(&request(json!({ field: value })));
        let missing: Vec<&String> = fields.difference(&description).collect();
        assert!(missing.is_empty(), "{field}: {missing:?}");
    }
}

#[test]
fn the_format_of_lock_files_is_described() {
    let formats = read("docs/formats.md");
    let example = captures(section(&formats, "## Lock files"), "(?s)```json\n(.*?)```")[0];
    let example = example.replace("sha256:...", &Digest::of(b"").to_string());
    let lock = strata_registry::pull::Lock::parse(example.as_bytes(), "docs/formats.md").unwrap();
    let written: Value = serde_json::from_str(&lock.to_text()).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&example).unwrap(), written);
}

#[test]
fn the_format_of_layers_is_described() {
    let formats = read("docs/formats.md");
    let example = captures(&formats, "(?s)```json\n(.*?)```")[0];
    let example = example.replace("sha256:...", &Digest::of(b"").to_string());
    let layers = LayersFile::parse(example.as_bytes(), "docs/formats.md").unwrap();
    let written: Value = serde_json::from_slice(&layers.to_bytes()).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&example).unwrap(), written);
}

fn evaluate(body: &str) -> String {
    let output = nix("nix-instantiate")
        .args(["--eval", "--expr", &expression(body)])
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}\n{body}");
    String::from_utf8(output.stdout).unwrap()
}

/// Every piece of Nix in the documents evaluates to something that Nix would build.
#[test]
fn pieces_of_nix_evaluate() {
    let readme = read("README.md");
    let pieces = captures(&readme, "(?s)```nix\n(.*?)```");
    let mut kinds = BTreeSet::new();
    let lock_file = root().join("tests/nix/images/image.lock.json");
    let lock_file = lock_file.display().to_string();
    for piece in pieces {
        let body = if piece.contains("outputs =") {
            kinds.insert("flake");
            format!(
                "(({piece}).outputs {{ \
                   nixpkgs.legacyPackages.x86_64-linux = pkgs; strata.lib.x86_64-linux = strata; \
                 }}).packages.x86_64-linux.dockerImage.drvPath"
            )
        } else if piece.starts_with("inputs") {
            kinds.insert("input");
            format!("{{ {piece} }}.inputs.nix2container.url")
        } else if piece.starts_with("perms") {
            kinds.insert("rules");
            format!("(strata.buildImage ({{ name = \"x\"; copyToRoot = files; {piece} }})).drvPath")
        } else if piece.starts_with("virtualisation") {
            kinds.insert("module");
            format!(
                "let image = strata.buildImage {{ name = \"app\"; }}; \
                 config.virtualisation.podman.package = pkgs.hello; in builtins.toJSON {{ {piece} }}"
            )
        } else {
            kinds.insert("image");
            format!(
                "({}).drvPath",
                piece
                    .replace("pkgs.python3", "pkgs.hello")
                    .replace("./image.lock.json", &lock_file)
            )
        };
        let value = evaluate(&format!(
            "let app = pkgs.hello; files = app; base = app; in {body}"
        ));
        assert!(value.starts_with('"'), "{value}");
    }
    assert_eq!(kinds.len(), 5, "{kinds:?}");
}
