//! The biggest paths are alone, the rest shares a layer.
//!
//! It is what a plan without any idea of dependencies does best: whatever changes, most of the bytes are in layers
//! of one path. The rest changes with almost every update. Of paths of 100, 90, 10, 5, 4 and 1 bytes, three layers
//! are the one of 100, the one of 90 and the rest of 20.

use std::cmp::Reverse;

use super::reason::Reason;
use super::request::{PlannedLayer, Request};

/// The biggest paths are alone, those with earlier names first among equals; the last layer holds the rest.
pub(super) fn layers(request: &Request<'_>) -> Vec<PlannedLayer> {
    let graph = request.graph;
    let mut paths = request.members.to_vec();
    paths.sort_by_key(|path| (Reverse(graph.size(*path)), *path));
    let budget = request.budget.most();
    let alone = if paths.len() > budget {
        budget - 1
    } else {
        paths.len()
    };
    let rest = paths.split_off(alone);
    let alone = paths.into_iter().map(|path| PlannedLayer {
        paths: vec![path],
        reason: Reason::Big(graph.size(path)),
    });
    alone.chain(PlannedLayer::rest(rest)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::fixture;

    fn layers(graph: &[&str], budget: usize) -> Vec<String> {
        fixture::layers(&fixture::graph(graph), budget, super::layers)
    }

    #[test]
    fn the_worked_example() {
        let graph = ["r 1 ab", "a 100 de", "b 90 df", "d 10", "e 5", "f 4"];
        assert_eq!(layers(&graph, 1), ["abdefr"]);
        assert_eq!(layers(&graph, 3), ["a", "b", "defr"]);
        assert_eq!(layers(&graph, 6), ["a", "b", "d", "e", "f", "r"]);
    }
}
