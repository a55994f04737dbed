//! What is refused, and what is warned of.

use serde_json::{Value, json};

use super::{GRAPH, cut, parse, path};

/// The place and the message of the error, and the hint.
fn refused(pipeline: &Value) -> (String, String) {
    let report = cut(&parse(GRAPH), pipeline, 125).err().unwrap();
    let (message, hint) = report.split_once("\nhint: ").unwrap();
    let message = message.trim_start_matches("error: attribute layeringPipeline");
    (message.to_owned(), hint.to_owned())
}

fn are_refused(rows: Vec<(Value, &str)>) {
    for (pipeline, expected) in rows {
        let (message, hint) = refused(&pipeline);
        assert_eq!(message, expected, "{pipeline}");
        assert!(
            !hint.is_empty() && !hint.contains('\n'),
            "{pipeline}: {hint}"
        );
    }
}

#[test]
fn names_and_numbers_are_checked() {
    are_refused(vec![
        (
            json!(5),
            ": expected a list of operations, found the number 5",
        ),
        (
            json!({}),
            ": expected a list of operations, found an attribute set",
        ),
        (
            json!("x"),
            ": expected a list of operations, found the string \"x\"",
        ),
        (
            json!(["flatten"]),
            "[0]: expected an operation, found the string \"flatten\"",
        ),
        (json!([[]]), "[0]: expected an operation, found a list"),
        (
            json!([["flatten"], [["flatten"]]]),
            "[1]: expected an operation, found a list that begins with no name",
        ),
        (
            json!([["popular"]]),
            "[0]: there is no operation \"popular\"",
        ),
        (
            json!([["limit_layers"]]),
            "[0]: limit_layers takes one argument, found 0",
        ),
        (
            json!([["limit_layers", 0]]),
            "[0][1]: limit_layers takes a number from 1 on, found the number 0",
        ),
        (
            json!([["limit_layers", -1]]),
            "[0][1]: limit_layers takes a number from 1 on, found the number -1",
        ),
        (
            json!([["split_every", "3"]]),
            "[0][1]: split_every takes a number from 1 on, found the string \"3\"",
        ),
        (
            json!([["popularity", 0]]),
            "[0][1]: popularity takes a number from 1 on, found the number 0",
        ),
        (
            json!([["popularity", 1, 2]]),
            "[0]: popularity takes one argument, found 2",
        ),
        (
            json!([["flatten", 1]]),
            "[0]: flatten takes no argument, found 1",
        ),
        (
            json!([["over", "main"]]),
            "[0]: over takes 2 arguments, found 1",
        ),
        (
            json!([["over", "middle", ["flatten"]]]),
            "[0][1]: over takes the name of a part, found the string \"middle\"",
        ),
        (
            json!([["over", "main", ["map", ["flat"]]]]),
            "[0][2][1]: there is no operation \"flat\"",
        ),
        (
            json!([["pipe", [["flatten"], ["reverse", 1]]]]),
            "[0][1][1]: reverse takes no argument, found 1",
        ),
        (
            json!([["pipe", ["flatten"]]]),
            "[0][1][0]: expected an operation, found the string \"flatten\"",
        ),
    ]);
}

#[test]
fn paths_are_checked() {
    are_refused(vec![
        (
            json!([["subcomponent_in", "/usr/B"]]),
            "[0][1]: \"/usr/B\" is not in the store directory /nix/store",
        ),
        (
            json!([["remove_paths", [path("B"), "/usr/B"]]]),
            "[0][1][1]: \"/usr/B\" is not in the store directory /nix/store",
        ),
        (
            json!([["subcomponent_out", [null]]]),
            "[0][1][0]: expected a store path, found null",
        ),
        (
            json!([["split_paths", [{ "children_of": ["/usr/B"] }]]]),
            "[0][1][0].children_of[0]: \"/usr/B\" is not in the store directory /nix/store",
        ),
        (
            json!([["split_paths", [{ "children_of": [], "of": 1 }]]]),
            "[0][1][0]: is neither a store path nor { children_of = ..; }",
        ),
        (
            json!([["split_paths", [{ "children": [] }]]]),
            "[0][1][0]: is neither a store path nor { children_of = ..; }",
        ),
    ]);
}

#[test]
fn stages_have_to_fit() {
    are_refused(vec![
        (
            json!([["flatten"], ["popularity_contest"]]),
            "[1]: popularity_contest takes a graph, found a list of 1",
        ),
        (
            json!([["subcomponent_in", []], ["popularity"]]),
            "[1]: popularity takes a graph, found the parts main, rest",
        ),
        (
            json!([["split_paths", path("B")], ["split_every", 2]]),
            "[1]: split_every takes a graph or a list, found the parts main, rest",
        ),
        (
            json!([["over", "rest", ["flatten"]]]),
            "[0]: over takes named parts, found a graph",
        ),
        (
            json!([["map", ["flatten"]]]),
            "[0]: map takes a list or named parts, found a graph",
        ),
        (
            json!([["subcomponent_in", []], ["over", "common", ["flatten"]]]),
            "[1][1]: there is no part \"common\" at this place",
        ),
        (
            json!([
                ["split_every", 1],
                ["map", ["pipe", [["flatten"], ["split_paths", []]]]]
            ]),
            "[1][1][1][1]: split_paths takes a graph, found a list of 1",
        ),
    ]);
}

#[test]
fn hints_show_the_way_out() {
    let hint = |pipeline: Value| refused(&pipeline).1;
    assert_eq!(
        hint(json!([["limit_layers"]])),
        "write [ \"limit_layers\" 50 ]"
    );
    assert_eq!(
        hint(json!(["reverse"])),
        "write it in brackets, as in [ \"reverse\" ]"
    );
    let names = hint(json!([["popular"]]));
    assert!(
        names.starts_with("write one of popularity_contest, split_paths, "),
        "{names}"
    );
    assert!(
        names.contains(", pipe, or a strategy: ") && names.contains("popularity"),
        "{names}"
    );
    let of_list = hint(json!([["flatten"], ["popularity_contest"]]));
    assert_eq!(
        of_list,
        "to do it with each of them, write [ \"map\" [ \"popularity_contest\" .. ] ]"
    );
    let of_parts = hint(json!([["subcomponent_in", []], ["split_every", 3]]));
    assert_eq!(
        of_parts,
        "say for which part it is, as in [ \"over\" \"rest\" [ \"split_every\" .. ] ]"
    );
}

#[test]
fn operations_are_not_nested_without_bounds() {
    let nested = |depth: usize| {
        let mut operation = json!(["flatten"]);
        for _ in 0..depth {
            operation = json!(["pipe", [operation]]);
        }
        cut(&parse("A"), &json!([operation]), 125).map(|made| made.layers)
    };
    assert_eq!(nested(32), Ok(vec!["A".to_owned()]));
    let report = nested(33).unwrap_err();
    assert!(
        report.contains(": is nested more than 32 operations deep\nhint: "),
        "{report}"
    );
}

#[test]
fn paths_may_be_below_store_paths_and_alone() {
    let pipeline = json!([["subcomponent_out", format!("{}/bin/b", path("B"))]]);
    let made = cut(&parse("A>B"), &pipeline, 125).unwrap();
    assert_eq!(made.layers, ["B", "A"]);
    assert!(made.warnings.is_empty(), "{:?}", made.warnings);
}

#[test]
fn operations_that_find_nothing_are_warned_of() {
    let warnings = |pipeline: Value| cut(&parse(GRAPH), &pipeline, 125).unwrap().warnings;
    let elsewhere = path("elsewhere");
    let expected = |at: &str, name: &str| {
        format!(
            "warning: layeringPipeline{at}: {name} finds none of its paths\n\
             hint: only paths count that are in the image, in no layer below, and in what the operation is applied to"
        )
    };
    for name in [
        "split_paths",
        "subcomponent_in",
        "subcomponent_out",
        "remove_paths",
    ] {
        assert_eq!(
            warnings(json!([[name, elsewhere]])),
            [expected("[0]", name)]
        );
        assert!(warnings(json!([[name, [elsewhere, path("B")]]])).is_empty());
        assert!(warnings(json!([[name, []]])).is_empty());
        // One of several graphs is enough.
        let each = |paths: &Value| warnings(json!([["split_every", 1], ["map", [name, paths]]]));
        assert!(each(&json!([path("B")])).is_empty());
        assert_eq!(each(&json!([elsewhere])), [expected("[1][1]", name)]);
    }
    let parents = json!([["split_paths", [{ "children_of": elsewhere }]]]);
    assert_eq!(warnings(parents), [expected("[0]", "split_paths")]);
}
