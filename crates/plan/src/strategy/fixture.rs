//! Graphs in the words of the tests.

use super::graph::{Graph, Node};
use super::request::{Budget, Hints, PlannedLayer, Request};

/// What tests ask: everything of `graph`, in at most `budget` layers.
pub(super) fn request(
    graph: &Graph,
    members: &[u32],
    budget: usize,
    ask: impl Fn(&Request<'_>) -> Vec<PlannedLayer>,
) -> Vec<PlannedLayer> {
    ask(&Request {
        graph,
        members,
        roots: &[],
        budget: Budget::AtMost(budget.try_into().unwrap()),
        previous: &[],
        alongside: &[],
        hints: &Hints::default(),
    })
}

/// The path of a name; later letters have later hashes.
pub(super) fn path(name: &str) -> String {
    format!("/nix/store/{:0>32}-{name}", name.to_lowercase())
}

/// `lines` lists paths with their sizes and what they refer to: `"a 10 bc"`.
pub(super) fn graph(lines: &[&str]) -> Graph {
    let nodes = lines.iter().map(|line| {
        let mut words = line.split(' ');
        let name = words.next().unwrap();
        let size = words.next().unwrap().parse().unwrap();
        let references = words.next().unwrap_or("").chars();
        Node {
            path: path(name).into(),
            size,
            references: references
                .map(|name| path(&name.to_string()).into())
                .collect(),
        }
    });
    Graph::new(nodes.collect()).unwrap()
}

/// The layers of a plan as words of the paths' letters.
pub(super) fn words(graph: &Graph, layers: &[PlannedLayer]) -> Vec<String> {
    let word = |layer: &PlannedLayer| layer.paths.iter().map(|path| graph.name(*path)).collect();
    layers.iter().map(word).collect()
}

/// The layers that `ask` makes of all paths.
pub(super) fn layers(
    graph: &Graph,
    budget: usize,
    ask: impl Fn(&Request<'_>) -> Vec<PlannedLayer>,
) -> Vec<String> {
    let members: Vec<u32> = graph.all().collect();
    words(graph, &request(graph, &members, budget, ask))
}
