//! What must not be in some of the code, and what the builder must not be linked with.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::source::{files, read, root, without_comment, without_tests};

/// Some files, and what must not be in their code. What may import what is in the manifests of the
/// crates.
struct Rule {
    name: &'static str,
    /// Files and folders of the tree.
    places: &'static [&'static str],
    /// Files in them that may.
    except: &'static [&'static str],
    forbidden: &'static [&'static str],
}

/// What the bytes of an image are made by.
const BUILD: &[&str] = &[
    "crates/archive/src",
    "crates/base/src",
    "crates/builder/src",
    "crates/layer/src",
    "crates/nix/src",
    "crates/oci/src",
    "crates/plan/src",
    "crates/system/src",
    "crates/tree/src",
];

const RULES: [Rule; 4] = [
    Rule {
        name: "decisions are made without I/O",
        places: &[
            "crates/archive/src/archive_entry.rs",
            "crates/archive/src/metadata.rs",
            "crates/archive/src/path.rs",
            "crates/archive/src/pax.rs",
            "crates/archive/src/reader.rs",
            "crates/archive/src/writer.rs",
            "crates/base/src/documents.rs",
            "crates/base/src/inherit.rs",
            "crates/base/src/select.rs",
            "crates/browse/src/state.rs",
            "crates/browse/src/tree.rs",
            "crates/browse/src/view.rs",
            "crates/contents/src",
            "crates/fakeroot/src/kernel/calls.rs",
            "crates/fakeroot/src/kernel/stat.rs",
            "crates/fakeroot/src/state",
            "crates/image/src/replay/tree.rs",
            "crates/oci/src",
            "crates/plan/src",
            "crates/tree/src/base_tree.rs",
            "crates/tree/src/capabilities.rs",
            "crates/tree/src/overlay.rs",
            "crates/tree/src/path.rs",
            "crates/tree/src/recipe.rs",
            "crates/tree/src/rules.rs",
            "crates/tree/src/whiteout.rs",
        ],
        except: &[],
        forbidden: &[
            "std::fs",
            "fs_err",
            "rustix",
            "tempfile",
            "rusqlite",
            "std::env",
            "std::net",
            "std::process",
            "std::thread",
            "File::",
            "io::stdin",
            "io::stdout",
            "io::stderr",
        ],
    },
    Rule {
        name: "only the programs print, each in one place",
        places: &["src", "crates"],
        except: &[
            "src/cli/printer.rs",
            "crates/builder/src/main.rs",
            "crates/fakeroot/src/main.rs",
        ],
        forbidden: &[
            "println!",
            "eprintln!",
            "print!(",
            "dbg!",
            "io::stdout",
            "io::stderr",
            " stdout()",
            " stderr()",
            "(stdout()",
            "(stderr()",
        ],
    },
    Rule {
        name: "bytes do not depend on the time",
        places: BUILD,
        except: &["crates/builder/src/inputs/times.rs"],
        forbidden: &["SystemTime", "Instant", "std::time"],
    },
    Rule {
        name: "bytes do not depend on the environment",
        places: BUILD,
        except: &["crates/nix/src/attrs.rs", "crates/builder/src/main.rs"],
        forbidden: &["std::env", "env::", "temp_dir"],
    },
];

#[test]
fn code_keeps_to_its_rules() {
    for rule in RULES {
        let files: BTreeSet<PathBuf> = rule
            .places
            .iter()
            .flat_map(|place| files(Path::new(place)))
            .collect();
        assert!(files.len() >= rule.places.len(), "{}: {files:?}", rule.name);
        for exception in rule.except {
            let used = violations(&read(Path::new(exception)), rule.forbidden);
            assert!(
                !used.is_empty(),
                "{}: {exception} needs no exception",
                rule.name
            );
        }
        for file in files {
            if rule
                .except
                .iter()
                .any(|exception| Path::new(exception) == file)
            {
                continue;
            }
            let found = violations(&read(&file), rule.forbidden);
            assert!(
                found.is_empty(),
                "{}: {}: {found:#?}",
                rule.name,
                file.display()
            );
        }
    }
}

#[test]
fn violations_are_found() {
    let source = "\
        //! println! in a comment\n\
        use std::fs; // not the end\n\
        #[cfg(test)]\n\
        mod fixture;\n\
        fn f() { println!(\"http://x\") }\n\
        fn g(_: \"http://x\") { println!() }\n\
        #[cfg(test)]\n\
        mod tests {\n\
        \x20   use std::env;\n\
        }\n\
        use std::env;\n";
    let forbidden = ["std::fs", "println!", "std::env"];
    let expected = [
        "use std::fs; ",
        "fn f() { println!(\"http://x\") }",
        "fn g(_: \"http://x\") { println!() }",
        "use std::env;",
    ];
    assert_eq!(violations(source, &forbidden), expected);
}

/// The lines of code that have something forbidden in them: no comments, and no tests.
fn violations(text: &str, forbidden: &[&str]) -> Vec<String> {
    let code = without_tests(text);
    let bad = code
        .lines()
        .map(without_comment)
        .filter(|line| forbidden.iter().any(|word| line.contains(word)));
    bad.map(str::to_owned).collect()
}

/// What the programs that Nix runs are linked with has no network, no TLS and no asynchronous code, and nothing
/// of the command line.
#[test]
fn what_nix_runs_depends_on_little() {
    let forbidden = [
        "actix",
        "async",
        "base64",
        "clap",
        "console",
        "curl",
        "futures",
        "h2",
        "http",
        "httparse",
        "httpdate",
        "hyper",
        "indicatif",
        "isahc",
        "mio",
        "native-tls",
        "openssl",
        "polling",
        "quinn",
        "reqwest",
        "ring",
        "rustls",
        "signal-hook",
        "smol",
        "socket2",
        "surf",
        "tokio",
        "tungstenite",
        "ureq",
        "url",
        "webpki",
        "wasi-http",
    ];
    let is_forbidden = |package: &String| {
        forbidden.iter().any(|name| {
            package == name
                || package
                    .strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with('-'))
        })
    };
    for program in ["strata-builder", "strata-fakeroot"] {
        let builder = packages(&["--package", program]);
        for expected in ["serde", "sha2", "tar"] {
            assert!(builder.contains(expected), "{builder:?}");
        }
        let found: Vec<&String> = builder
            .iter()
            .filter(|package| is_forbidden(package))
            .collect();
        assert!(found.is_empty(), "{program}: {found:?}");
    }

    // The command line has some, so that they can be found.
    let all = packages(&["--package", "strata"]);
    assert!(
        all.iter().filter(|package| is_forbidden(package)).count() > 5,
        "{all:?}"
    );
}

fn packages(features: &[&str]) -> BTreeSet<String> {
    let mut tree = Command::new(env!("CARGO"));
    tree.args([
        "tree",
        "--offline",
        "--locked",
        "--edges",
        "normal",
        "--prefix",
        "none",
    ]);
    let output = tree.args(features).current_dir(root()).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let names = text.lines().filter_map(|line| line.split(' ').next());
    names.map(str::to_owned).collect()
}
