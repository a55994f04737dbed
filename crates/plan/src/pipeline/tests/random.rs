//! Pipelines of any shape on closures of any shape do what the oracle does.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value as Json, json};
use strata_nix::Closure;

use super::oracle::{self, Graph, Operation, Value};
use super::{closure, cut, path};

/// Sizes and references; a path refers to those with lower numbers.
type Shape = Vec<(u64, BTreeSet<usize>)>;

fn shapes() -> impl Strategy<Value = Shape> {
    let path = (1_u64..4, proptest::collection::btree_set(0_usize..9, 0..5));
    proptest::collection::vec(path, 0..9).prop_map(|mut paths| {
        for (number, (_, references)) in paths.iter_mut().enumerate() {
            references.retain(|reference| *reference <= number);
        }
        paths
    })
}

fn operations() -> impl Strategy<Value = Operation> {
    // One more than there are.
    let paths = || proptest::collection::vec(0_usize..10, 0..4);
    let part = prop_oneof![Just("main"), Just("common"), Just("rest")];
    let leaf = prop_oneof![
        Just(Operation::PopularityContest),
        (1_usize..5).prop_map(Operation::LimitLayers),
        (1_usize..4).prop_map(Operation::SplitEvery),
        (paths(), paths()).prop_map(|(paths, parents)| Operation::SplitPaths(paths, parents)),
        paths().prop_map(Operation::SubcomponentOut),
        paths().prop_map(Operation::SubcomponentIn),
        paths().prop_map(Operation::RemovePaths),
        Just(Operation::Flatten),
        Just(Operation::Reverse),
    ];
    leaf.prop_recursive(3, 12, 3, move |inner| {
        prop_oneof![
            (part.clone(), inner.clone())
                .prop_map(|(part, inner)| Operation::Over(part, Box::new(inner))),
            inner
                .clone()
                .prop_map(|inner| Operation::Map(Box::new(inner))),
            proptest::collection::vec(inner, 0..3).prop_map(Operation::Pipe),
        ]
    })
}

fn name(number: usize) -> String {
    format!("p{number}")
}

/// The closure, and the same for the oracle, whose paths are numbered in their order by size.
fn graphs(shape: &Shape) -> (Closure, Graph) {
    let names: Vec<String> = (0..shape.len()).map(name).collect();
    let paths: Vec<_> = shape
        .iter()
        .zip(&names)
        .map(|((size, references), own)| {
            let references = references.iter().map(|number| names[*number].as_str());
            (own.as_str(), *size, references.collect())
        })
        .collect();
    let mut order: Vec<usize> = (0..shape.len()).collect();
    order.sort_by_key(|number| (shape[*number].0, *number));
    let edges = shape
        .iter()
        .enumerate()
        .flat_map(|(user, (_, references))| {
            let others = references.iter().filter(move |used| **used != user);
            others.map(move |used| (user, *used))
        });
    let graph = Graph {
        paths: order,
        edges: edges.collect(),
    };
    (closure(&paths), graph)
}

fn written(operation: &Operation) -> Json {
    let paths = |numbers: &Vec<usize>| -> Vec<String> {
        numbers.iter().map(|number| path(&name(*number))).collect()
    };
    match operation {
        Operation::PopularityContest => json!(["popularity_contest"]),
        Operation::LimitLayers(most) => json!(["limit_layers", most]),
        Operation::SplitEvery(count) => json!(["split_every", count]),
        Operation::SplitPaths(at, parents) => {
            let mut at: Vec<Json> = paths(at).into_iter().map(Json::String).collect();
            at.push(json!({ "children_of": paths(parents) }));
            json!(["split_paths", at])
        }
        Operation::SubcomponentOut(at) => json!(["subcomponent_out", paths(at)]),
        Operation::SubcomponentIn(at) => json!(["subcomponent_in", paths(at)]),
        Operation::RemovePaths(at) => json!(["remove_paths", paths(at)]),
        Operation::Flatten => json!(["flatten"]),
        Operation::Reverse => json!(["reverse"]),
        Operation::Over(part, inner) => json!(["over", part, written(inner)]),
        Operation::Map(inner) => json!(["map", written(inner)]),
        Operation::Pipe(inner) => {
            json!(["pipe", inner.iter().map(written).collect::<Vec<_>>()])
        }
    }
}

fn removes(operation: &Operation) -> bool {
    match operation {
        Operation::RemovePaths(_) => true,
        Operation::Over(_, inner) | Operation::Map(inner) => removes(inner),
        Operation::Pipe(inner) => inner.iter().any(removes),
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pipelines_do_what_the_operations_mean(
        shape in shapes(),
        operations in proptest::collection::vec(operations(), 0..7),
    ) {
        let (closure, graph) = graphs(&shape);
        let whole = graph.paths.len();
        let mut value = Value::Graph(graph);
        let mut taken = Vec::new();
        for operation in &operations {
            let mut pipeline: Vec<Json> = taken.iter().map(written).collect();
            pipeline.push(written(operation));
            match oracle::apply(operation, &value) {
                // The pipelines that follow are those without it.
                None => prop_assert!(cut(&closure, &Json::Array(pipeline), 125).is_err()),
                Some(next) => {
                    value = next;
                    taken.push(operation.clone());
                }
            }
        }
        let pipeline = Json::Array(taken.iter().map(written).collect());
        let expected: Vec<String> = oracle::flatten(&value)
            .iter()
            .filter(|graph| !graph.paths.is_empty())
            .map(|graph| graph.paths.iter().map(|number| name(*number)).collect::<Vec<_>>().join(" "))
            .collect();
        let made = cut(&closure, &pipeline, 125);
        prop_assert!(made.is_ok(), "{pipeline}: {:?}", made.err());
        prop_assert_eq!(&made.unwrap().layers, &expected, "{}", pipeline);

        // A path is in one layer, unless it was removed; engines limit how many there are.
        let made = cut(&closure, &pipeline, 2).unwrap();
        prop_assert_eq!(made.layers.len(), expected.len().min(2));
        let mut paths: Vec<&str> = made.layers.iter().flat_map(|layer| layer.split(' ')).collect();
        let count = paths.len();
        paths.sort_unstable();
        paths.dedup();
        prop_assert_eq!(paths.len(), count);
        if !taken.iter().any(removes) {
            prop_assert_eq!(count, whole);
        }
    }
}
