//! Layers as nixery cuts them: what only one big or popular path needs is in its layer.
//!
//! A root above everything points to the roots, to each path whose closure is above 100 MB, and to each that at
//! least 100 packages refer to. In the dominator tree below it, each child with all that it dominates (what cannot
//! be reached but over it) is a layer. A layer's rating is the popularity of its child times its bytes; while there are
//! too many, those rated lowest become one.
//!
//! How often packages of nixpkgs refer to one nixery counts over a channel; here the paths of the closure are
//! counted, since a plan asks nobody. Names that begin with `nss-cacert` or `iana-etc` count 500,000.
//!
//! With roots `a`, `b` on `e`, `c` on `e` and `d`, `d` on `f` and `g` (200 MB) and a popular `e`: the layers are `a`,
//! `b`, `c`, `e`, `g` and `df`. The rules that nixery breaks are kept here: a rating is always computed (it forgets
//! those of layers that it has stored), equal ratings are ordered by path, and what is merged is sorted.

use super::graph::Graph;
use super::reason::Reason;
use super::request::{PlannedLayer, Request};

/// Bytes of a closure from which a path is big.
const BIG: u64 = 100_000_000;

/// References from which a path is popular.
const POPULAR: u64 = 100;

/// The names that everything has, and what they count.
const EVERYWHERE: [&str; 2] = ["nss-cacert", "iana-etc"];
const EVERYWHERE_COUNTS: u64 = 500_000;

/// The layers, those with the highest rating first.
pub(super) fn layers(request: &Request<'_>) -> Vec<PlannedLayer> {
    layers_with(request, |path| {
        let name = request.graph.name(path);
        if EVERYWHERE.iter().any(|start| name.starts_with(start)) {
            return EVERYWHERE_COUNTS;
        }
        (request.graph.users(path).len() as u64).max(1)
    })
}

fn layers_with(request: &Request<'_>, popularity: impl Fn(u32) -> u64) -> Vec<PlannedLayer> {
    let graph = request.graph;
    let tops = subtrees(graph, request.roots, &popularity);
    let mut groups: Vec<Vec<u32>> = vec![Vec::new(); graph.len()];
    for path in request.members {
        groups[tops[*path as usize] as usize].push(*path);
    }
    let groups = graph
        .all()
        .zip(groups)
        .filter(|(_, group)| !group.is_empty());
    let rated = groups.map(|(top, group)| {
        let size: u128 = group.iter().map(|path| u128::from(graph.size(*path))).sum();
        (size.saturating_mul(popularity(top).into()), top, group)
    });
    let mut rated: Vec<_> = rated.collect();
    rated.sort_unstable();
    let merged = match rated.len().saturating_sub(request.budget.most()) {
        0 => 0,
        more => more + 1,
    };
    let mut layers = rated.into_iter();
    let lowest = layers.by_ref().take(merged);
    let rest = PlannedLayer::rest(lowest.flat_map(|(_, _, group)| group).collect());
    let mut layers: Vec<PlannedLayer> = rest
        .into_iter()
        .chain(layers.map(|(_, top, paths)| PlannedLayer {
            reason: Reason::Subtree(graph.name(top).to_owned(), paths.len()),
            paths,
        }))
        .collect();
    layers.reverse();
    layers
}

/// For each path the child of the root above everything that dominates it.
fn subtrees(graph: &Graph, roots: &[u32], popularity: impl Fn(u32) -> u64) -> Vec<u32> {
    let mut is_child = vec![false; graph.len()];
    let mut seen = Vec::new();
    for path in graph.all() {
        is_child[path as usize] = graph.users(path).is_empty()
            || popularity(path) >= POPULAR
            || graph.closure_size(&[path], &mut seen) > BIG;
    }
    for root in roots {
        is_child[*root as usize] = true;
    }
    let mut tops: Vec<u32> = graph.all().collect();
    // Users come before what they need. A path that is reached below two children is a child itself, since nothing
    // but the root dominates it.
    for path in graph.order().iter().rev() {
        if is_child[*path as usize] {
            continue;
        }
        let mut above = graph.users(*path).iter().map(|user| tops[*user as usize]);
        if let Some(first) = above.next()
            && above.all(|other| other == first)
        {
            tops[*path as usize] = first;
        }
    }
    tops
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    const EXAMPLE: [&str; 7] = [
        "a 1 e",
        "b 1 e",
        "c 3000000 ed",
        "d 4000000 fg",
        "e 1000000",
        "f 5",
        "g 200000000",
    ];

    fn layers(lines: &[&str], budget: usize) -> Vec<String> {
        let graph = fixture::graph(lines);
        fixture::layers(&graph, budget, |request| {
            layers_with(
                request,
                |path| if graph.name(path) == "e" { 200 } else { 1 },
            )
        })
    }

    #[test]
    fn the_worked_example() {
        let sorted = |budget| {
            let mut layers = layers(&EXAMPLE, budget);
            layers.sort_unstable();
            layers
        };
        assert_eq!(sorted(9), ["a", "b", "c", "df", "e", "g"]);
        assert_eq!(sorted(5), ["ab", "c", "df", "e", "g"]);
        assert_eq!(sorted(1), ["abcdefg"]);
    }

    /// nixery X2, X3, X4: ratings of stored layers are lost, equal ratings are ordered at random, and what is merged
    /// stays in the order of merging; so the same packages make other layers from time to time.
    #[test]
    fn nixery_x2_x3_x4_the_same_layers_each_time() {
        let lines = ["d 7", "c 7", "b 7", "a 7", "z 90"];
        let mut turned = lines;
        turned.reverse();
        for budget in 1..6 {
            assert_eq!(layers(&lines, budget), layers(&turned, budget));
        }
        assert_eq!(layers(&lines, 3), ["z", "d", "abc"]);
        // X2: by rating also after the plan is made again; the highest first.
        assert_eq!(layers(&lines, 5), ["z", "d", "c", "b", "a"]);
    }
}
