//! The default of dockerTools since November 2024: paths that are reached from the same nearest big paths share a
//! layer.
//!
//! At first all paths are one group. The biggest path that was not looked at yet, the one with the later name among
//! equals, becomes the owner of itself and of what it needs: it takes the place of owners that need it themselves,
//! and it gives way to owners that it needs. Paths with the same owners are a group. Before there would be more groups
//! than layers, it ends, even where a smaller path would still fit. Layers that need little are at the bottom.
//!
//! Of `r` (1 byte) on `a` (100) and `b` (90), `a` on `d` (10) and `e` (5), `b` on `d` and `f` (4): after `a`, the
//! groups are `ade` and `bfr`; after `b` they would be `d` (owned by both), `ae`, `bf` and `r` (by none). So two and
//! three layers are `ade` and `bfr`, four are `d`, `bf`, `ae` and `r`, five are `e`, `d`, `bf`, `a` and `r`.
//!
//! Paths that are no members take part as others do and leave no layer.

use std::collections::BTreeMap;

use super::graph::Graph;
use super::reason::Reason;
use super::request::{PlannedLayer, Request};

/// The groups as layers, lowest first.
pub(super) fn layers(request: &Request<'_>) -> Vec<PlannedLayer> {
    let graph = request.graph;
    let owners = owners(graph, request.budget.most());
    let mut groups: BTreeMap<&[u32], Vec<u32>> = BTreeMap::new();
    for path in request.members {
        groups
            .entry(&owners[*path as usize])
            .or_default()
            .push(*path);
    }
    let mut seen = Vec::new();
    let layers = groups.into_iter().map(|(owners, paths)| {
        let names = owners.iter().map(|owner| graph.name(*owner).to_owned());
        let reason = Reason::Reached(names.collect());
        (
            graph.closure_size(&paths, &mut seen),
            PlannedLayer { paths, reason },
        )
    });
    let mut layers: Vec<_> = layers.collect();
    layers.sort_by(|(size, one), (other_size, other)| {
        (size, &one.paths).cmp(&(other_size, &other.paths))
    });
    layers.into_iter().map(|(_, layer)| layer).collect()
}

/// The owners of each path, ascending.
fn owners(graph: &Graph, budget: usize) -> Vec<Vec<u32>> {
    let mut by_size: Vec<u32> = graph.all().collect();
    by_size.sort_by_key(|path| (graph.size(*path), *path));
    let mut owners: Vec<Vec<u32>> = vec![Vec::new(); graph.len()];
    let mut groups: BTreeMap<Vec<u32>, usize> = BTreeMap::new();
    if !graph.is_empty() {
        groups.insert(Vec::new(), graph.len());
    }
    for owner in by_size.into_iter().rev() {
        let below = reached(graph, owner, Graph::references);
        let above = reached(graph, owner, Graph::users);
        let mut before = Vec::new();
        for path in graph
            .all()
            .filter(|path| *path == owner || below[*path as usize])
        {
            let changed = if path == owner {
                vec![owner]
            } else {
                of_reached(&owners[path as usize], owner, &below, &above)
            };
            let old = std::mem::replace(&mut owners[path as usize], changed);
            leave(&mut groups, &old);
            *groups.entry(owners[path as usize].clone()).or_default() += 1;
            before.push((path, old));
        }
        if groups.len() > budget {
            for (path, old) in before {
                owners[path as usize] = old;
            }
            break;
        }
    }
    owners
}

/// The owners of a path that `owner` reaches: none that reaches `owner`, and `owner` unless it reaches one of them.
fn of_reached(old: &[u32], owner: u32, below: &[bool], above: &[bool]) -> Vec<u32> {
    let stay = old.iter().copied().filter(|other| !above[*other as usize]);
    let mut owners: Vec<u32> = stay.collect();
    if !owners.iter().any(|other| below[*other as usize])
        && let Err(place) = owners.binary_search(&owner)
    {
        owners.insert(place, owner);
    }
    owners
}

fn leave(groups: &mut BTreeMap<Vec<u32>, usize>, owners: &[u32]) {
    if let Some(count) = groups.get_mut(owners) {
        *count -= 1;
        if *count == 0 {
            groups.remove(owners);
        }
    }
}

/// What is reached from a path, itself not included.
fn reached<'a>(
    graph: &'a Graph,
    from: u32,
    next: impl Fn(&'a Graph, u32) -> &'a [u32],
) -> Vec<bool> {
    let mut found = vec![false; graph.len()];
    let mut todo = next(graph, from).to_vec();
    while let Some(path) = todo.pop() {
        if path != from && !std::mem::replace(&mut found[path as usize], true) {
            todo.extend(next(graph, path));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::fixture;

    fn layers(graph: &[&str], budget: usize) -> Vec<String> {
        fixture::layers(&fixture::graph(graph), budget, super::layers)
    }

    /// The diamond, by all numbers of layers.
    #[test]
    fn the_worked_example() {
        let graph = ["r 1 ab", "a 100 de", "b 90 df", "d 10", "e 5", "f 4"];
        assert_eq!(layers(&graph, 1), ["abdefr"]);
        for budget in [2, 3] {
            assert_eq!(layers(&graph, budget), ["ade", "bfr"]);
        }
        assert_eq!(layers(&graph, 4), ["d", "bf", "ae", "r"]);
        assert_eq!(layers(&graph, 5), ["e", "d", "bf", "a", "r"]);
        for budget in [6, 9] {
            assert_eq!(layers(&graph, budget), ["f", "e", "d", "b", "a", "r"]);
        }
    }

    #[test]
    fn the_later_of_equals_owns_first() {
        assert_eq!(layers(&["a 1", "b 1"], 1), ["ab"]);
        assert_eq!(layers(&["a 1", "b 1", "c 1"], 2), ["c", "ab"]);
    }

    #[test]
    fn nothing_is_no_layer() {
        assert!(layers(&[], 3).is_empty());
    }

    /// What is excluded takes part: a big root takes a layer and leaves none.
    #[test]
    fn paths_that_are_no_members_leave_no_layer() {
        let graph = fixture::graph(&["r 50 a", "a 20 b", "b 10"]);
        let members = ["a", "b"].map(|name| graph.find(&fixture::path(name)).unwrap());
        let layers = fixture::request(&graph, &members, 2, super::layers);
        assert_eq!(fixture::words(&graph, &layers), ["ab"]);
    }
}
