//! `strata layers`: a plan for a closure graph on standard input.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

fn path(name: &str) -> String {
    format!("/nix/store/00000000000000000000000000000000-{name}")
}

/// Three packages of some MB on a library that all need.
fn graph() -> Value {
    let package = |name: &str, megabytes: u64, needs: &[&str]| {
        let needs: Vec<String> = needs.iter().map(|name| path(name)).collect();
        json!({ "path": path(name), "narSize": megabytes << 20, "references": needs, "valid": true })
    };
    json!([
        package("app", 1, &["tool", "model", "library"]),
        package("tool", 2, &["library"]),
        package("model", 300, &["library"]),
        package("library", 30, &[]),
    ])
}

fn strata_layers(arguments: &[&str], input: &Value) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_strata"))
        .arg("layers")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = program.stdin.take().unwrap();
    stdin.write_all(input.to_string().as_bytes()).unwrap();
    drop(stdin);
    program.wait_with_output().unwrap()
}

/// The layers by the names of their packages.
fn plan(arguments: &[&str], input: &Value) -> Value {
    let output = strata_layers(arguments, input);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.ends_with('\n'));
    serde_json::from_str(&text.replace(&path(""), "")).unwrap()
}

#[test]
fn a_graph_alone_or_with_what_is_to_be_heeded() {
    let each = json!([["library"], ["tool"], ["model"], ["app"]]);
    assert_eq!(plan(&[], &graph()), each);
    // The limit of the input, and the one of the command line, which wins.
    let limited = json!({ "graph": graph(), "max_layers": 2 });
    assert_eq!(
        plan(&[], &limited),
        json!([["library", "model", "tool"], ["app"]])
    );
    assert_eq!(
        plan(&["--max-layers=1"], &limited)[0]
            .as_array()
            .unwrap()
            .len(),
        4
    );
    // What was a layer stays one.
    let kept = json!({
        "graph": graph(), "max_layers": 3, "previous": [[path("library"), path("tool")], [path("gone")]],
    });
    assert_eq!(
        plan(&[], &kept),
        json!([["library", "tool"], ["model"], ["app"]])
    );
    // What the user says to edit is on top, and what he says to be together is.
    let said = json!({
        "graph": graph(), "max_layers": 3, "roots": [path("model")], "hints": { "together": [[path("app"), path("library")]] },
    });
    assert_eq!(
        plan(&[], &said),
        json!([["tool"], ["app", "library"], ["model"]])
    );
}

#[test]
fn a_fleet_has_a_plan_for_each_image() {
    let graph = graph();
    let fleet = json!({ "fleet": [{ "graph": graph }, { "graph": [graph[3]] }], "max_layers": 2 });
    assert_eq!(
        plan(&[], &fleet),
        json!([[["library", "model", "tool"], ["app"]], [["library"]]])
    );
}

#[test]
fn reasons_go_to_standard_error() {
    let output = strata_layers(&["--explain", "--strategy=biggest"], &graph());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("model: "), "{stderr}");
    assert!(serde_json::from_slice::<Value>(&output.stdout).is_ok());
}

#[test]
fn what_is_wrong_has_a_way_out() {
    let mut graph = graph();
    graph[0]["references"] = json!([path("lost")]);
    let missing = format!(
        "{} refers to {}, which is not listed",
        path("app"),
        path("lost")
    );
    for (input, said) in [
        (json!({ "grahp": [] }), "knows no field \"grahp\""),
        (json!(graph), missing.as_str()),
        (
            json!({ "graph": [], "roots": ["/s/a"] }),
            "roots has /s/a, which is not listed",
        ),
    ] {
        let output = strata_layers(&[], &input);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && output.stdout.is_empty());
        assert!(stderr.contains(said), "{stderr}");
        assert!(
            stderr.contains("hint: give what `nix path-info"),
            "{stderr}"
        );
    }
}
