//! Documents are true: what they name exists, and what exists is named.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests may fail"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;
use serde_json::Value;
use strata::image::LayersFile;
use strata::oci::Digest;
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
    let reference = read("docs/reference/functions/buildImage.md");
    let table = rows(section(&reference, "## Attributes"));
    let described = set(table.iter().flat_map(|row| codes(&row[0])));
    assert_eq!(described, attributes);
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
    for form in strata::transport::destination::FORMS {
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

#[test]
fn the_format_of_lock_files_is_described() {
    let formats = read("docs/formats.md");
    let example = captures(section(&formats, "## Lock files"), "(?s)```json\n(.*?)```")[0];
    let example = example.replace("sha256:...", &Digest::of(b"").to_string());
    let lock = strata::transport::pull::Lock::parse(example.as_bytes(), "docs/formats.md").unwrap();
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
    let functions = fs::read_dir(root().join("docs/reference/functions")).unwrap();
    let functions = functions.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    let texts: Vec<String> = functions.chain([read("README.md")]).collect();
    let pieces = texts
        .iter()
        .flat_map(|text| captures(text, "(?s)```nix\n(.*?)```"));
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
