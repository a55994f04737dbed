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
use strata_oci::Digest;
use support::fake_store::FakeStore;
use support::nix::{expression, nix};

const FORMATS: &str = "docs/internals/formats.md";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The Markdown files of a directory, and of those in it if it is not the root.
fn markdown(directory: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(directory)).unwrap();
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_dir() && !directory.is_empty() {
            names.extend(markdown(&format!("{directory}{name}/")));
        } else if entry.path().extension().is_some_and(|end| end == "md") {
            names.push(format!("{directory}{name}"));
        }
    }
    names
}

/// The documents with their names relative to the root: those in the root, and the book.
fn documents() -> BTreeMap<String, String> {
    let names = [markdown(""), markdown("docs/")].concat();
    assert!(names.len() >= 30, "{names:?}");
    names
        .into_iter()
        .map(|name| (name.clone(), read(&name)))
        .collect()
}

/// The fenced blocks of a language in all documents, each with the name of its document.
fn blocks(language: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    for (name, text) in documents() {
        for block in captures(&text, &format!("(?ms)^```{language}\n(.*?)^```$")) {
            blocks.push((name.clone(), block.to_owned()));
        }
    }
    blocks
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

/// Where pages of the book link to what is not in the book.
const REPOSITORY: &str = "https://github.com/strata-oci/strata/blob/main/";

#[test]
fn links_lead_somewhere() {
    let documents = documents();
    let mut count = 0;
    for (name, text) in &documents {
        let text = prose(text);
        for link in captures(&text, r"\]\(([^)]+)\)") {
            if let Some(path) = link.strip_prefix(REPOSITORY) {
                assert!(root().join(path).exists(), "{name}: {link}");
            }
            if link.starts_with("https://") {
                continue;
            }
            count += 1;
            let (path, fragment) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() {
                PathBuf::from(name)
            } else {
                Path::new(name).parent().unwrap().join(path)
            };
            assert!(root().join(&target).exists(), "{name}: {link}");
            if !fragment.is_empty() {
                let target = normal(&target);
                let text = prose(&documents[&target]);
                let anchors = captures(&text, "(?m)^#+ (.+)$")
                    .into_iter()
                    .map(anchor)
                    .collect::<Vec<_>>();
                assert!(anchors.contains(&fragment.to_owned()), "{name}: {link}");
            }
        }
    }
    assert!(count > 100, "{count}");
}

/// A path without `..`.
fn normal(path: &Path) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.to_str().unwrap().split('/') {
        match part {
            ".." => assert!(parts.pop().is_some(), "{}", path.display()),
            "" | "." => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// mdBook builds the pages that its list names, and no others.
#[test]
fn every_page_is_in_the_list() {
    let summary = read("docs/SUMMARY.md");
    let mut listed = captures(&summary, r"\]\(([^)]+)\)");
    listed.push("SUMMARY.md");
    let pages = markdown("docs/");
    let pages = pages.iter().map(|name| name.trim_start_matches("docs/"));
    assert_eq!(set(listed), set(pages));
}

/// What looks like a path of the repository: a package, a file in profiles, a folder of layouts, any
/// function's file.
const ELSEWHERE: [&str; 4] = ["pkgs.nix", "manifest.nix", "blobs/sha256/", "nix/NAME.nix"];

#[test]
fn paths_that_are_named_exist() {
    let is_path = Regex::new(
        r"^(src|crates|nix|tests|docs|examples|scripts|benches|fuzz|templates)/[\w./*-]*$|^\w+/[\w/]*(\.rs|/)$|^[\w-]+\.(nix|toml|md|lock)$",
    )
    .unwrap();
    for (name, text) in documents() {
        for code in codes(&prose(&text))
            .into_iter()
            .filter(|code| is_path.is_match(code) && !ELSEWHERE.contains(code))
        {
            let path = code.split('*').next().unwrap();
            let places = [root().to_path_buf(), root().join("docs")];
            // `plan/check.rs` is short for `crates/plan/src/check.rs`.
            let of_crate = path.split_once('/').is_some_and(|(name, file)| {
                let source = root().join("crates").join(name).join("src");
                source.join(file).exists()
            });
            assert!(
                of_crate || places.iter().any(|place| place.join(path).exists()),
                "{name}: {code}"
            );
        }
    }
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
            format!("[{name}]({REPOSITORY}examples/{file}{end})")
        })
        .collect();
    let listed = rows(&read("docs/examples.md"));
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
        "imageReferences",
        "debug",
        "evaluation",
        "snapshotter",
        "override",
        "overrideAttrs",
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

/// The commands with flags.
const COMMANDS: &[&[&str]] = &[
    &["copy"],
    &["sbom"],
    &["attach"],
    &["referrers"],
    &["sign"],
    &["inspect"],
    &["why"],
    &["diff"],
    &["check"],
    &["browse"],
    &["explain"],
    &["layers"],
    &["verify"],
    &["compress"],
    &["serve"],
    &["registry"],
    &["pull"],
    &["lock"],
    &["lock-layers"],
    &["export"],
    &["merge"],
    &["index", "create"],
];

/// The pages about the command line.
const PAGES: &[&str] = &[
    "docs/cli.md",
    "docs/guides/ci.md",
    "docs/guides/see-into-an-image.md",
    "docs/reference/cli.md",
    "docs/reference/destinations.md",
    "docs/reference/registries.md",
];

#[test]
fn flags_that_are_named_are_taken_and_the_others_are_named() {
    let mut all = BTreeSet::new();
    for name in PAGES {
        let named = set(captures(&read(name), r"(?m)(?:^|[\s`])(--[a-z-]+)"));
        for flag in &named {
            let is_taken = |arguments: &[&str]| {
                let (_, said) = strata(arguments);
                !said.contains("unexpected argument") && !said.contains("is not supported")
            };
            // The program itself takes `--version`.
            let is_taken = is_taken(&[flag])
                || COMMANDS
                    .iter()
                    .any(|it| is_taken(&[*it, &[flag.as_str()]].concat()));
            assert!(is_taken, "{name}: {flag}");
        }
        all.extend(named);
    }
    for command in COMMANDS {
        let (help, _) = strata(&[*command, &["--help"]].concat());
        for flag in captures(&help, r"(?m)^ +(?:-\w, )?(--[a-z-]+)") {
            assert!(
                flag == "--help" || all.contains(flag),
                "{flag} of {command:?} is in none of {PAGES:?}"
            );
        }
    }
}

#[test]
fn every_destination_is_described() {
    let page = read("docs/reference/destinations.md");
    let table = rows(&page);
    for form in strata_destination::forms() {
        let mut cells = table.iter().map(|row| row[0].as_str());
        assert!(cells.any(|cell| codes(cell).contains(&form)), "{form}");
    }
}

/// Shows every command line that the documents have to the program: those in blocks of `sh`, which a
/// shell takes apart, and those in the text.
#[test]
fn command_lines_are_taken() {
    let shell = Shell::new();
    let mut count = 0;
    for (name, block) in blocks("sh") {
        for words in shell.commands(&block, &name) {
            count += 1;
            if let Some(complaint) = shell.complaint(&words) {
                panic!("{name}: {words:?}: {complaint}");
            }
        }
    }
    assert!(count >= 25, "{count}");
    for (name, text) in documents() {
        for code in codes(&prose(&text).replace("\\|", "|")) {
            if !["strata ", "nix run "]
                .iter()
                .any(|start| code.starts_with(start))
            {
                continue;
            }
            // What the reader fills in.
            let line = code
                .replace('…', "x")
                .replace("DESTINATION", "oci:x")
                .replace("SHELL", "bash");
            for words in shell.commands(&line, &name) {
                let complaint = shell.complaint(&words).unwrap_or_default();
                // A text may speak of `strata inspect --json` without an image.
                assert!(
                    ["not provided", "a value is required"]
                        .iter()
                        .any(|missing| complaint.contains(missing))
                        || complaint.is_empty(),
                    "{name}: {code}: {complaint}"
                );
            }
        }
    }
}

/// An empty directory, and what stands for other programs there.
struct Shell(tempfile::TempDir);

impl Shell {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// The words of each call of the program in a script, also through an image's own commands.
    fn commands(&self, script: &str, name: &str) -> Vec<Vec<String>> {
        let stubs = r#"
            command_not_found_handle() { :; }
            mktemp() { echo file; }
            tr() { echo x; }
            strata() { printf '%s\0' "$@" $'\n' >>calls; }
            nix() {
              [ "$1" = run ] || return 0
              local installable=$2
              shift 2
              [ "${1-}" != -- ] || shift
              case $installable in
                github:strata-oci/strata) strata "$@" ;;
                *#registry) strata registry "$@" ;;
                *.getManifest) ;;
                *images.copyTo) strata copy result "$1app:1" "${@:2}" ;;
                *.copyTo) strata copy result "$@" ;;
                *.publish) strata copy result docker://registry.example/app:1 --attach=sbom,provenance "$@" ;;
                *.copyToRegistry) strata copy result docker://registry.example/app:1 "$@" ;;
                *.copyToDockerDaemon) strata copy result docker-daemon:app:1 "$@" ;;
                *.copyToPodman) strata copy result containers-storage:app:1 "$@" ;;
                *.copyToContainerd) strata copy result containerd:app:1 "$@" ;;
                *.diff) strata diff "$@" result ;;
                *.inspect | *.why | *.browse | *.explain | *.serve | *.verify) strata "${installable##*.}" result "$@" ;;
                *.lockLayers) strata lock-layers result "$@" ;;
                *) strata "unknown installable $installable" ;;
              esac
            }
        "#;
        let calls = self.0.path().join("calls");
        fs::write(&calls, "").unwrap();
        let output = Command::new("/bin/bash")
            .args(["-c", &format!("{stubs}\n{script}\n: >end")])
            .current_dir(&self.0)
            .env_clear()
            .env("PATH", "/nonexistent")
            .envs(
                [
                    "REGISTRY",
                    "REGISTRY_USER",
                    "REGISTRY_PASSWORD",
                    "BRANCH",
                    "COMMIT",
                    "ARCH",
                ]
                .map(|name| (name, "x")),
            )
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let ended = fs::remove_file(self.0.path().join("end"));
        assert!(ended.is_ok(), "{name}: {said}\n{script}");
        let calls = fs::read_to_string(&calls).unwrap();
        let calls = calls.split_terminator("\0\n\0");
        calls
            .map(|call| call.split('\0').map(str::to_owned).collect())
            .collect()
    }

    /// What the program says if that is wrong usage. It finds neither an image nor a network.
    fn complaint(&self, words: &[String]) -> Option<String> {
        let nowhere = "http://127.0.0.1:1";
        let output = Command::new(env!("CARGO_BIN_EXE_strata"))
            .args(words)
            .current_dir(&self.0)
            .env_clear()
            .env("HOME", self.0.path())
            .envs([("HTTPS_PROXY", nowhere), ("HTTP_PROXY", nowhere)])
            .output()
            .unwrap();
        (output.status.code() == Some(2)).then(|| String::from_utf8(output.stderr).unwrap())
    }
}

/// The messages and hints of the page about errors are those of the code. `…` stands for what differs.
#[test]
fn errors_that_are_quoted_exist() {
    let sources = sources();
    let page = read("docs/questions.md");
    let quotes = captures(&page, "(?ms)^```text\n(.*?)^```$");
    assert!(quotes.len() >= 30, "{}", quotes.len());
    // What `Error` puts before a message, and between its parts.
    let prefix = Regex::new(r"^(error: |hint: )?(attribute [^ ]+: )?").unwrap();
    let joint = Regex::new("…|: (expected )?|, found |, or |disagree about ").unwrap();
    for line in quotes.iter().flat_map(|quote| quote.lines()) {
        for piece in joint.split(&prefix.replace(line, "")) {
            assert!(sources.contains(piece.trim()), "{line:?}: {piece:?}");
        }
    }
}

/// All of the code as one text, with the strings in it as they are read.
fn sources() -> String {
    let mut text = String::new();
    let mut directories = vec![
        root().join("src"),
        root().join("crates"),
        root().join("nix"),
    ];
    while let Some(directory) = directories.pop() {
        let Ok(entries) = fs::read_dir(&directory) else {
            continue;
        };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                directories.push(path);
            } else if path
                .extension()
                .is_some_and(|end| end == "rs" || end == "nix")
            {
                text += &fs::read_to_string(&path).unwrap();
            }
        }
    }
    let text = text.replace("\\\n", "").replace("\\\"", "\"");
    let text = text.replace("{{", "{").replace("}}", "}");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn every_target_of_the_makefile_is_described() {
    let makefile = read("Makefile");
    let phony = captures(&makefile, r"(?m)^\.PHONY: (.*)$")[0];
    let targets = set(phony.split(' '));
    let contributing = read("CONTRIBUTING.md");
    let described = rows(section(&contributing, "## Setting up"));
    let described = described.iter().map(|row| row[0].as_str());
    let described = set(described.flat_map(|cell| captures(cell, "^`make ([a-z-]+)`$")));
    assert_eq!(described, targets);
    for (name, text) in documents() {
        for target in captures(&text, r"(?m)(?:^|`)make ([a-z-]+)") {
            assert!(targets.contains(target), "{name}: make {target}");
        }
    }
}

#[test]
fn the_format_of_lock_files_is_described() {
    let formats = read(FORMATS);
    let example = captures(section(&formats, "## Lock files"), "(?s)```json\n(.*?)```")[0];
    let example = example.replace("sha256:...", &Digest::of(b"").to_string());
    let lock = strata_oci::Lock::parse(example.as_bytes(), FORMATS).unwrap();
    let written: Value = serde_json::from_str(&lock.to_text()).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&example).unwrap(), written);
}

#[test]
fn the_format_of_layers_is_described() {
    let formats = read(FORMATS);
    let example = captures(&formats, "(?s)```json\n(.*?)```")[0];
    let example = example.replace("sha256:...", &Digest::of(b"").to_string());
    let layers = LayersFile::parse(example.as_bytes(), FORMATS).unwrap();
    let written: Value = serde_json::from_slice(&layers.to_bytes()).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&example).unwrap(), written);
}

/// Every piece of Nix in the documents evaluates to something that Nix would build.
#[test]
fn pieces_of_nix_evaluate() {
    let pieces = blocks("nix");
    let mut kinds = BTreeSet::new();
    let mut bodies = Vec::new();
    for (name, piece) in &pieces {
        let (kind, body) = whole(piece);
        kinds.insert(kind);
        let start = piece.lines().next().unwrap_or_default().replace('"', "'");
        bodies.push(format!(
            "(builtins.addErrorContext \"{name}: {start}\" ({body}))"
        ));
    }
    assert_eq!(kinds.len(), 5, "{kinds:?}");

    // The files that pieces name are beside them.
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    let lock_file = root().join("tests/nix/images/image.lock.json");
    fs::copy(lock_file, file("image.lock.json")).unwrap();
    fs::write(file("deployment.yaml"), "").unwrap();
    for name in ["app", "kodata"] {
        fs::create_dir(file(name)).unwrap();
    }
    // What the offline set has not.
    let here = root();
    let scope = "let more = { python3 = pkgs.hello; buildGoModule = _: pkgs.hello; iputils = pkgs.hello; }; all = pkgs; in \
                 let inputs.strata = \"HERE\"; self = { outPath = \"HERE\"; }; pkgs = all // more; app = pkgs.hello; files = app; base = app; \
                   image = strata.buildImage { name = \"app\"; }; \
                   config.virtualisation.podman.package = pkgs.hello; in";
    let scope = scope.replace("HERE", &here.display().to_string());
    let output = nix("nix-instantiate")
        .args(["--eval", "--strict", "--json", "--show-trace", "--expr"])
        .arg(expression(&format!("{scope} [ {} ]", bodies.join("\n"))))
        .current_dir(&directory)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let values: Vec<String> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(values.len(), pieces.len());
    assert!(values.iter().all(|value| !value.is_empty()), "{values:?}");
}

/// The operations of pipelines, as the book has them, are those that there are, and the builder takes them.
#[test]
fn operations_in_the_book_are_taken() {
    let page = read("docs/guides/layers.md");
    let table = rows(section(&page, "## A pipeline of operations"));
    let examples: Vec<&str> = table.iter().map(|row| row[0].trim_matches('`')).collect();
    let mut pieces = captures(&page, "(?ms)^```nix\n(.*?)^```$");
    pieces.retain(|piece| piece.contains("layeringPipeline ="));
    let pipelines = pieces
        .iter()
        .map(|piece| format!("({piece}).request.layeringPipeline"));
    let output = nix("nix-instantiate")
        .args(["--eval", "--strict", "--json", "--expr"])
        .arg(expression(&format!(
            "let app = pkgs.hello; in [ [ {} ] [ {} ] ]",
            examples.join(" "),
            pipelines.collect::<Vec<_>>().join(" ")
        )))
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let [examples, pipelines]: [Vec<Value>; 2] = serde_json::from_slice(&output.stdout).unwrap();

    let mut store = FakeStore::relocated();
    let package = store.add("package", &[], &[]);
    let mut request = store.image_request();
    request["deps"] = json!([package]);
    let mut build = |pipeline: &Value| {
        request["layeringPipeline"] = pipeline.clone();
        store.build(&request)
    };
    for example in &examples {
        let pipeline = match example[0].as_str().unwrap() {
            "over" => json!([["subcomponent_out", []], example]),
            "map" => json!([["split_every", 1], example]),
            _ => json!([example]),
        };
        assert_eq!(build(&pipeline).err(), None, "{pipeline}");
    }
    // The other one is a file.
    let lists = pipelines.iter().filter(|pipeline| pipeline.is_array());
    assert_eq!(lists.clone().count(), pieces.len() - 1);
    for pipeline in lists {
        assert_eq!(build(pipeline).err(), None, "{pipeline}");
    }

    let hint = build(&json!([["none"]])).unwrap_err();
    let known = captures(&hint, "write one of (.*), or a strategy")[0];
    let described = examples.iter().map(|example| example[0].as_str().unwrap());
    let described = set(described.filter(|name| *name != "popularity"));
    assert_eq!(described, set(known.split(", ")));
}

/// What kind of piece it is, and an expression for a string that needs all of it.
fn whole(piece: &str) -> (&'static str, String) {
    if piece.contains("outputs =") {
        let outputs = format!(
            "(({piece}).outputs {{ \
               nixpkgs.legacyPackages.x86_64-linux = pkgs; strata.lib.x86_64-linux = strata; \
             }}).packages.x86_64-linux.dockerImage.drvPath"
        );
        ("flake", outputs)
    } else if piece.starts_with("inputs") {
        ("input", format!("{{ {piece} }}.inputs.nix2container.url"))
    } else if ["perms", "layeringPipeline", "layerHints", "files", "limits"]
        .iter()
        .any(|name| piece.starts_with(name))
    {
        let image = format!(
            "(strata.buildImage ({{ \
               name = \"x\"; copyToRoot = files; system.users.app.uid = 1000; {piece} \
             }})).drvPath"
        );
        ("argument", image)
    } else if piece.starts_with("{ inputs") {
        let inputs = "{ lib.x86_64-linux = strata; nixosModules.default = \"strata/nix/nixos-module.nix\"; \
                      nixosModules.registry = \"strata/nix/registry-module.nix\"; }";
        let snapshotter = "nix-snapshotter.nixosModules.default = \"nix-snapshotter\";";
        let module = format!(
            "({piece}) {{ inherit pkgs; inputs = {{ strata = {inputs}; {snapshotter} }}; }}"
        );
        ("module", format!("builtins.toJSON ({module})"))
    } else if piece.starts_with("virtualisation") {
        ("module", format!("builtins.toJSON {{ {piece} }}"))
    } else if piece.starts_with("strata.buildImages") {
        ("derivation", format!("({piece}).web.drvPath"))
    } else {
        ("derivation", format!("({piece}).drvPath"))
    }
}
