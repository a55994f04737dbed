//! The rows of the operations' table, and the cases P1 to P6 of dockerTools' own tests.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{GRAPH, closure, cut, cut_members, layers, parse, path};

#[test]
fn an_empty_pipeline_makes_one_layer() {
    assert_eq!(layers(GRAPH, &json!([])), ["A B C D E F G R1 R2 R3"]);
    assert!(layers("", &json!([])).is_empty());
    assert!(layers("", &json!([["popularity_contest"], ["limit_layers", 3]])).is_empty());
}

#[test]
fn a_pipeline_may_end_in_a_graph() {
    let pipeline = json!([["remove_paths", path("A")]]);
    assert_eq!(layers("A>B", &pipeline), ["B"]);
}

#[test]
fn paths_are_ordered_by_size_and_then_by_path() {
    let graph = closure(&[
        ("a", 9, vec![]),
        ("b", 5, vec![]),
        ("c", 7, vec![]),
        ("d", 5, vec![]),
    ]);
    let made = cut(&graph, &json!([["split_every", 1]]), 125).unwrap();
    assert_eq!(made.layers, ["b", "d", "c", "a"]);
}

#[test]
fn popularity_counts_levels_and_not_depths() {
    // Scores: F 9, E 5, D 4, C 3, B 2, G 2, A 1.
    let graph = "A>B A>G B>C B>E C>D C>E D>F E>F";
    let alone = json!([["popularity_contest"]]);
    assert_eq!(layers(graph, &alone), ["F", "E", "D", "C", "B", "G", "A"]);
    let expected = ["F", "D", "E", "G", "B", "C", "A", "R1", "R2", "R3"];
    assert_eq!(layers(GRAPH, &alone), expected);
}

#[test]
fn popularity_orders_equal_scores_by_name_before_hash() {
    let hash = |digit: &str| format!("/nix/store/{}", digit.repeat(32));
    let names = [
        format!("{}-b", hash("0")),
        format!("{}-a-b", hash("1")),
        format!("{}-a", hash("2")),
        format!("{}-a", hash("1")),
    ];
    let paths = names.map(|name| strata_nix::StorePath::parse("/nix/store", &name).unwrap());
    let entry = |path: &strata_nix::StorePath| strata_nix::ClosureEntry {
        path: path.to_string(),
        nar_hash: String::new(),
        nar_size: 1,
        references: Vec::new(),
    };
    let closure = strata_nix::Closure::new(paths.iter().map(|path| (path.clone(), entry(path))));
    let graph = super::super::graph::Graph::new(&closure, &paths.iter().collect());
    let order = super::super::popularity::contest(graph).flatten();
    let order: Vec<&str> = order
        .iter()
        .map(|graph| graph.paths()[0].as_str())
        .collect();
    let expected = [3, 2, 1, 0].map(|number| paths[number].as_str());
    assert_eq!(order, expected);
}

#[test]
fn popularity_takes_circles_and_very_many_ways() {
    let alone = json!([["popularity_contest"]]);
    assert_eq!(layers("A>B B>A R>C", &alone), ["C", "R", "A", "B"]);
    // 2^298 ways lead to the last of 300 paths each of which refers to all that follow.
    let names: Vec<String> = (0..300).map(|number| format!("n{number:03}")).collect();
    let paths: Vec<(&str, u64, Vec<&str>)> = names
        .iter()
        .enumerate()
        .map(|(number, name)| {
            let below = names[number + 1..].iter().map(String::as_str);
            (name.as_str(), 1, below.collect())
        })
        .collect();
    let order = cut(&closure(&paths), &alone, 1_000).unwrap().layers;
    assert!(order.iter().eq(names.iter().rev()), "{order:?}");
}

#[test]
fn long_chains_need_no_stack() {
    let names: Vec<String> = (0..100_000).map(|number| format!("n{number:05}")).collect();
    let paths: Vec<(&str, u64, Vec<&str>)> = names
        .iter()
        .enumerate()
        .map(|(number, name)| {
            let next = names.get(number + 1).map(String::as_str);
            (name.as_str(), 1, next.into_iter().collect())
        })
        .collect();
    let pipeline = json!([
        ["subcomponent_out", [path("n98000")]],
        [
            "over",
            "main",
            ["pipe", [["popularity_contest"], ["limit_layers", 2]]]
        ],
        ["over", "rest", ["split_paths", path("n50000")]],
    ]);
    let made = cut(&closure(&paths), &pipeline, 125).unwrap();
    let sizes: Vec<usize> = made
        .layers
        .iter()
        .map(|layer| layer.split(' ').count())
        .collect();
    assert_eq!(sizes, [1, 1_999, 48_000, 50_000]);
    assert_eq!(made.layers[0], "n99999");
}

#[test]
fn limit_layers_joins_what_is_too_much() {
    let limited = |most: usize| {
        layers(
            "A>B A>C",
            &json!([["popularity_contest"], ["limit_layers", most]]),
        )
    };
    assert_eq!(limited(1), ["B C A"]);
    assert_eq!(limited(2), ["B", "C A"]);
    assert_eq!(limited(3), ["B", "C", "A"]);
    assert_eq!(limited(4), ["B", "C", "A"]);
    // Mended: parts and nested lists.
    let pipeline = json!([
        ["split_paths", [path("B")]],
        ["over", "rest", ["popularity_contest"]],
        ["limit_layers", 2]
    ]);
    assert_eq!(layers("A>B A>C", &pipeline), ["B", "C A"]);
}

#[test]
fn joined_graphs_have_no_references_between_them() {
    let pipeline = json!([
        ["popularity_contest"],
        ["limit_layers", 1],
        ["map", ["popularity_contest"]]
    ]);
    // C is the most popular, but nothing refers to it any more.
    assert_eq!(layers("A>B B>C", &pipeline), ["A", "B", "C"]);
    let parts = json!([
        ["split_paths", [path("B")]],
        ["limit_layers", 1],
        ["map", ["popularity_contest"]]
    ]);
    // Inside of what was joined they stay: B still refers to C.
    assert_eq!(layers("A>B B>C", &parts), ["C", "A", "B"]);
    let mut reversed = parts.clone();
    reversed
        .as_array_mut()
        .unwrap()
        .insert(1, json!(["reverse"]));
    assert_eq!(layers("A>B B>C", &reversed), ["C", "A", "B"]);
}

#[test]
fn split_every_cuts_a_graph_or_a_list() {
    let pipeline = json!([["split_every", 4]]);
    assert_eq!(layers(GRAPH, &pipeline), ["A B C D", "E F G R1", "R2 R3"]);
    // Mended: the most popular two, the next two, ..
    let pipeline = json!([["popularity_contest"], ["split_every", 4]]);
    assert_eq!(layers(GRAPH, &pipeline), ["F D E G", "B C A R1", "R2 R3"]);
    let pipeline = json!([["split_every", 4], ["map", ["split_every", 3]]]);
    assert_eq!(
        layers(GRAPH, &pipeline),
        ["A B C", "D", "E F G", "R1", "R2 R3"]
    );
}

#[test]
fn split_paths_makes_main_common_and_rest() {
    let split = |names: &[&str]| {
        let paths: Vec<String> = names.iter().map(|name| path(name)).collect();
        layers(GRAPH, &json!([["split_paths", paths]]))
    };
    assert_eq!(split(&["B"]), ["B D E F G", "A C R1 R2 R3"]);
    assert_eq!(split(&["R1"]), ["A R1", "B C D E F G", "R2 R3"]);
    // A path that was named is in `main`, also below another one.
    assert_eq!(split(&["B", "E"]), ["B D E F G", "A C R1 R2 R3"]);
    assert_eq!(split(&["A", "R2"]), ["A B D E F G R2", "C", "R1 R3"]);
    // The only root.
    assert_eq!(
        layers("A>B", &json!([["split_paths", [path("A")]]])),
        ["A B"]
    );
    let children = json!([["split_paths", [{ "children_of": path("B") }]]]);
    assert_eq!(layers(GRAPH, &children), ["D E F G", "A B C R1 R2 R3"]);
    let children = json!([["split_paths", [path("C"), { "children_of": [path("E")] }]]]);
    assert_eq!(layers(GRAPH, &children), ["C F", "A B D E G R1 R2 R3"]);
}

/// P1.
#[test]
fn split_paths_of_nothing_gives_the_rest() {
    for paths in [json!([]), json!([path("elsewhere")])] {
        // If there were more than one part, or another name, this were an error or two layers.
        let pipeline = json!([
            ["split_paths", paths],
            ["over", "rest", ["limit_layers", 1]],
            ["over", "main", ["split_every", 1]],
            ["over", "common", ["split_every", 1]]
        ]);
        assert_eq!(layers("A>B", &pipeline), ["A B"], "{paths}");
    }
    assert!(layers("", &json!([["split_paths", [path("A")]]])).is_empty());
    // Sizes stay: the order by size is that of the parts as well.
    let graph = closure(&[("a", 9, vec!["b", "c"]), ("b", 5, vec![]), ("c", 4, vec![])]);
    let made = cut(
        &graph,
        &json!([
            ["split_paths", [path("a")]],
            ["over", "main", ["split_every", 1]]
        ]),
        125,
    );
    assert_eq!(made.unwrap().layers, ["c", "b", "a"]);
}

#[test]
fn subcomponents_follow_references() {
    let along = |operation: &str, names: &[&str]| {
        let paths: Vec<String> = names.iter().map(|name| path(name)).collect();
        layers(GRAPH, &json!([[operation, paths]]))
    };
    assert_eq!(
        along("subcomponent_out", &["B"]),
        ["B D E F G", "A C R1 R2 R3"]
    );
    assert_eq!(
        along("subcomponent_in", &["B"]),
        ["A B R1 R2", "C D E F G R3"]
    );
    assert_eq!(
        along("subcomponent_out", &["E", "R3"]),
        ["C E F R3", "A B D G R1 R2"]
    );
    assert_eq!(
        along("subcomponent_in", &["C", "R2"]),
        ["A C R1 R2 R3", "B D E F G"]
    );
}

/// P2: both parts are there also if one has nothing in it, and what is apart is in the rest.
#[test]
fn subcomponents_always_have_both_parts() {
    for operation in ["subcomponent_out", "subcomponent_in"] {
        let pipeline = json!([
            [operation, []],
            ["over", "main", ["popularity_contest"]],
            ["over", "rest", ["split_every", 9]]
        ]);
        assert_eq!(layers("A>B C", &pipeline), ["A B C"]);
        let pipeline = json!([[operation, [path("A"), path("B")]]]);
        assert_eq!(layers("A>B C", &pipeline), ["A B", "C"]);
    }
}

/// P3.
#[test]
fn pieces_work_together() {
    let pipeline = json!([
        ["split_paths", [path("B")]],
        [
            "over",
            "main",
            [
                "pipe",
                [
                    ["subcomponent_in", [path("B")]],
                    ["over", "rest", ["popularity_contest"]]
                ]
            ]
        ],
        ["flatten"],
        ["map", ["remove_paths", path("R3")]],
        ["limit_layers", 5]
    ]);
    assert_eq!(
        layers(GRAPH, &pipeline),
        ["B", "F", "D", "E", "G A C R1 R2"]
    );
}

/// P4.
#[test]
fn popularity_forwards_and_backwards() {
    let pipeline = json!([["popularity_contest"], ["limit_layers", 3]]);
    assert_eq!(layers(GRAPH, &pipeline), ["F", "D", "E G B C A R1 R2 R3"]);
    let pipeline = json!([["popularity_contest"], ["reverse"], ["limit_layers", 3]]);
    assert_eq!(layers(GRAPH, &pipeline), ["R3", "R2", "R1 A C B G E D F"]);
}

/// P5: what is no member is cut out before anything else.
#[test]
fn references_to_what_is_elsewhere_are_cut() {
    let closure = parse(GRAPH);
    let b = super::store_path("B");
    let members: BTreeSet<_> = closure
        .iter()
        .map(|(path, _)| path)
        .filter(|path| **path != b)
        .collect();
    let pipeline = json!([["subcomponent_out", [path("A")]]]);
    let made = cut_members(&closure, &members, &pipeline, 125).unwrap();
    assert_eq!(made.layers, ["A C", "D E F G R1 R2 R3"]);
    let none = cut_members(&closure, &BTreeSet::new(), &pipeline, 125).unwrap();
    assert!(none.layers.is_empty());
}

/// P6.
#[test]
fn self_references_and_paths_apart_do_no_harm() {
    let pipeline = json!([["popularity_contest"]]);
    assert_eq!(layers("A>A A>B B>B C", &pipeline), ["B", "A", "C"]);
}

#[test]
fn over_changes_one_part() {
    let pipeline = json!([
        ["split_paths", [path("B")]],
        ["over", "main", ["popularity_contest"]]
    ]);
    assert_eq!(
        layers(GRAPH, &pipeline),
        ["F", "D", "E", "G", "B", "A C R1 R2 R3"]
    );
}

#[test]
fn map_changes_each_value() {
    let pipeline = json!([["split_paths", [path("B")]], ["map", ["split_every", 4]]]);
    assert_eq!(
        layers(GRAPH, &pipeline),
        ["B D E F", "G", "A C R1 R2", "R3"]
    );
    let pipeline = json!([
        ["split_every", 5],
        ["map", ["remove_paths", [path("B"), path("F")]]]
    ]);
    assert_eq!(layers(GRAPH, &pipeline), ["A C D E", "G R1 R2 R3"]);
}

#[test]
fn flatten_and_reverse() {
    let parts = |last: &[Value]| {
        let mut pipeline = vec![
            json!(["subcomponent_out", [path("B")]]),
            json!(["over", "main", ["split_every", 3]]),
        ];
        pipeline.extend_from_slice(last);
        layers(GRAPH, &Value::Array(pipeline))
    };
    let (one, two, rest) = ("B D E", "F G", "A C R1 R2 R3");
    assert_eq!(parts(&[]), [one, two, rest]);
    assert_eq!(parts(&[json!(["flatten"])]), [one, two, rest]);
    assert_eq!(
        parts(&[json!(["flatten"]), json!(["reverse"])]),
        [rest, two, one]
    );
    // Mended: parts change places, and stay parts.
    let still_parts = json!(["over", "rest", ["remove_paths", path("A")]]);
    assert_eq!(parts(&[json!(["reverse"])]), [rest, one, two]);
    assert_eq!(
        parts(&[json!(["reverse"]), still_parts]),
        ["C R1 R2 R3", one, two]
    );
    assert_eq!(layers("A>B", &json!([["reverse"]])), ["A B"]);
}

#[test]
fn strategies_are_operations() {
    assert_eq!(layers("A>B A>C", &json!([["popularity"]])), ["A", "B", "C"]);
    assert_eq!(
        layers("A>B A>C", &json!([["popularity", null]])),
        ["A", "B", "C"]
    );
    assert_eq!(layers("A>B A>C", &json!([["popularity", 2]])), ["A", "B C"]);
    let pipeline = json!([
        ["subcomponent_out", [path("B")]],
        ["over", "rest", ["pipe", [["popularity", 2]]]]
    ]);
    assert_eq!(layers(GRAPH, &pipeline), ["B D E F G", "A", "C R1 R2 R3"]);
}

#[test]
fn engines_limit_what_a_pipeline_makes() {
    let pipeline = json!([["split_every", 1]]);
    let made = cut(&parse("A>B A>C D"), &pipeline, 3).unwrap();
    assert_eq!(made.layers, ["A", "B", "C D"]);
    let warning = "warning: layeringPipeline: it makes 4 layers, and there is room for 3; the last one holds the rest\n\
                   hint: end it with [ \"limit_layers\" 3 ], or a smaller number";
    assert_eq!(made.warnings, [warning]);
    let made = cut(&parse("A>B A>C D"), &pipeline, 4).unwrap();
    assert!(made.warnings.is_empty() && made.layers.len() == 4);
}
