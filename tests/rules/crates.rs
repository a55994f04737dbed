//! The diagram of the crates in ARCHITECTURE.md, which `scripts/diagram` writes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::source::{read, root};

const DOCUMENT: &str = "ARCHITECTURE.md";
const START: &str = "<!-- crates: scripts/diagram -->\n\n";
const END: &str = "\n<!-- /crates -->\n";

/// The packages of the programs.
const PROGRAMS: [&str; 3] = ["strata", "strata-builder", "strata-fakeroot"];

#[test]
fn the_diagram_shows_the_crates() {
    let document = read(Path::new(DOCUMENT));
    let (before, rest) = document.split_once(START).unwrap();
    let (written, after) = rest.split_once(END).unwrap();
    let diagram = diagram(&crates());
    if std::env::var_os("STRATA_WRITE_DIAGRAM").is_some() {
        let document = [before, START, &diagram, END, after].concat();
        std::fs::write(root().join(DOCUMENT), document).unwrap();
        return;
    }
    assert_eq!(
        written, diagram,
        "the crates are not as {DOCUMENT} has them: run scripts/diagram"
    );
}

/// A crate by its name.
type Crates = BTreeMap<String, Crate>;

struct Crate {
    description: String,
    uses: BTreeSet<String>,
}

/// The crates of the workspace that the programs are made of.
fn crates() -> Crates {
    let mut metadata = Command::new(env!("CARGO"));
    metadata.args(["metadata", "--format-version=1", "--no-deps", "--locked"]);
    let output = metadata.current_dir(root()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let packages = metadata["packages"].as_array().unwrap();
    let names: BTreeSet<String> = packages
        .iter()
        .map(|package| text(&package["name"]))
        .collect();
    let all: Crates = packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().unwrap().iter();
            let uses = dependencies
                .filter(|dependency| dependency["kind"].is_null())
                .map(|dependency| text(&dependency["name"]))
                .filter(|name| names.contains(name));
            let found = Crate {
                description: text(&package["description"]),
                uses: uses.collect(),
            };
            (text(&package["name"]), found)
        })
        .collect();
    let needed: BTreeSet<String> = PROGRAMS.iter().flat_map(|name| needs(&all, name)).collect();
    all.into_iter()
        .filter(|(name, _)| PROGRAMS.contains(&name.as_str()) || needed.contains(name))
        .collect()
}

/// What a crate uses, and what those use, and so on.
fn needs(crates: &Crates, name: &str) -> BTreeSet<String> {
    let uses = &crates[name].uses;
    let further = uses.iter().flat_map(|used| needs(crates, used));
    uses.iter().cloned().chain(further).collect()
}

/// A picture and a table. Each crate comes before those that it uses; the picture leaves out what a crate uses
/// that another one of its crates needs as well.
fn diagram(crates: &Crates) -> String {
    let short = |name: &str| name.strip_prefix("strata-").unwrap_or(name).to_owned();
    let needs: BTreeMap<&String, BTreeSet<String>> = crates
        .keys()
        .map(|name| (name, needs(crates, name)))
        .collect();
    let mut order: Vec<&String> = crates.keys().collect();
    order.sort_by_key(|name| (usize::MAX - needs[name].len(), *name));

    let mut picture = "```mermaid\nflowchart TD\n".to_owned();
    let mut table = "| crate | what it is for |\n|---|---|\n".to_owned();
    for name in order {
        let uses = &crates[name].uses;
        let own = uses
            .iter()
            .filter(|used| !uses.iter().any(|other| needs[other].contains(*used)));
        let own: Vec<String> = own.map(|used| short(used)).collect();
        if !own.is_empty() {
            let _ = writeln!(picture, "    {} --> {}", short(name), own.join(" & "));
        }
        let place = match name.strip_prefix("strata-") {
            Some(short) => format!("crates/{short}/"),
            None => "src/".to_owned(),
        };
        let _ = writeln!(table, "| `{place}` | {} |", crates[name].description);
    }
    format!("{picture}```\n\n{table}")
}

#[test]
fn diagrams_leave_out_what_goes_without_saying() {
    let of = |uses: &[&str]| Crate {
        description: "what".to_owned(),
        uses: uses.iter().map(|name| (*name).to_owned()).collect(),
    };
    let crates = Crates::from([
        (
            "strata".to_owned(),
            of(&["strata-a", "strata-b", "strata-c"]),
        ),
        ("strata-a".to_owned(), of(&["strata-c"])),
        ("strata-b".to_owned(), of(&["strata-c"])),
        ("strata-c".to_owned(), of(&[])),
    ]);
    let expected = "\
        ```mermaid\n\
        flowchart TD\n\
        \x20   strata --> a & b\n\
        \x20   a --> c\n\
        \x20   b --> c\n\
        ```\n\
        \n\
        | crate | what it is for |\n\
        |---|---|\n\
        | `src/` | what |\n\
        | `crates/a/` | what |\n\
        | `crates/b/` | what |\n\
        | `crates/c/` | what |\n";
    assert_eq!(diagram(&crates), expected);
}
