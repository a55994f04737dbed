//! Layers by popularity, as in nix2container and in Graham Christensen's "Optimising Docker Layers
//! for Better Caching with Nix": what many paths depend on, over all ways, gets a layer of its own.
//!
//! Each path counts 1 and what the paths that mention it count; the most popular are alone, the bigger first among
//! equals, and the last layer holds the rest. With `a` mentioning `b` and `c`, `b` mentioning `c` and `d`, and `c`
//! mentioning `d`, the counts are `a` 1, `b` 1 + 1 = 2 (itself, by `a`), `c` 1 + 1 + 2 = 4 and `d` 1 + 2 + 4 = 7:
//! three layers are `d`, `c`, and `b` with `a`.

use std::cmp::Reverse;

use super::graph::Graph;
use super::reason::Reason;
use super::request::{PlannedLayer, Request};

/// The most popular paths are alone, the last layer holds the rest.
pub(super) fn layers(request: &Request<'_>) -> Vec<PlannedLayer> {
    let graph = request.graph;
    let popularity = popularity(graph);
    let mut paths = request.members.to_vec();
    paths.sort_by_key(|path| {
        (
            Reverse(popularity[*path as usize]),
            Reverse(graph.size(*path)),
            *path,
        )
    });
    let alone = (request.budget.most() - 1).min(paths.len());
    let rest = paths.split_off(alone);
    let alone = paths.into_iter().map(|path| PlannedLayer {
        paths: vec![path],
        reason: Reason::Popular(popularity[path as usize]),
    });
    alone.chain(PlannedLayer::rest(rest)).collect()
}

/// How many ways lead to each path from the paths that depend on it; each path counts 1 itself.
fn popularity(graph: &Graph) -> Vec<u64> {
    let mut dependents: Vec<usize> = graph.all().map(|path| graph.users(path).len()).collect();
    // A path's popularity is final once all its dependents have passed theirs on. The graphs that
    // Nix writes have no cycles; paths on one would keep what they have got so far.
    let mut popularity = vec![1_u64; graph.len()];
    let mut ready = graph.without_users();
    while let Some(path) = ready.pop() {
        let own = popularity[path as usize];
        for reference in graph.references(path) {
            let place = *reference as usize;
            popularity[place] = popularity[place].saturating_add(own);
            dependents[place] -= 1;
            if dependents[place] == 0 {
                ready.push(*reference);
            }
        }
    }
    popularity
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::super::graph::Node;
    use super::*;

    fn layers(graph: &[&str], budget: usize) -> Vec<String> {
        fixture::layers(&fixture::graph(graph), budget, super::layers)
    }

    #[test]
    fn what_most_ways_lead_to_comes_first() {
        // Self-references are ignored.
        let graph = ["a 1 abc", "b 1 cd", "c 1 d", "d 1 d"];
        assert_eq!(layers(&graph, 1), ["abcd"]);
        assert_eq!(layers(&graph, 3), ["d", "c", "ab"]);
        assert_eq!(layers(&graph, 4), ["d", "c", "b", "a"]);
        assert_eq!(layers(&graph, 9), ["d", "c", "b", "a"]);
    }

    #[test]
    fn cycles_do_no_harm() {
        assert_eq!(layers(&["a 1 b", "b 1 a", "c 1"], 1), ["abc"]);
    }

    #[test]
    fn deep_diamonds_saturate() {
        // 70 levels of two paths each would count 2^70 ways.
        let name = |number: usize| format!("/nix/store/{number:0>32}-x").into();
        let nodes = (0..140).map(|number| {
            let below = number / 2 * 2 + 2;
            let references = [below, below + 1].into_iter().filter(|below| *below < 140);
            Node {
                path: name(number),
                size: 1,
                references: references.map(name).collect(),
            }
        });
        let graph = Graph::new(nodes.collect()).unwrap();
        assert_eq!(popularity(&graph).last(), Some(&u64::MAX));
    }
}
