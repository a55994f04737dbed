//! Layers by popularity, as in nix2container and in Graham Christensen's "Optimising Docker Layers
//! for Better Caching with Nix": what many paths depend on, over all ways, gets a layer of its own.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use strata_nix::{Closure, StorePath};

/// The most popular paths are alone, the last layer holds the rest.
pub(super) fn layers<'a>(
    closure: &Closure,
    members: &BTreeSet<&'a StorePath>,
    budget: NonZeroUsize,
) -> Vec<Vec<&'a StorePath>> {
    let popularity = popularity(closure);
    let mut paths: Vec<&StorePath> = members.iter().copied().collect();
    paths.sort_by_key(|path| {
        let size = closure.get(path).map_or(0, |entry| entry.nar_size);
        let popularity = popularity.get(path.as_str()).copied().unwrap_or(0);
        (Reverse(popularity), Reverse(size), *path)
    });
    let alone = (budget.get() - 1).min(paths.len());
    let rest = paths.split_off(alone);
    let layers = paths.into_iter().map(|path| vec![path]).chain([rest]);
    layers.filter(|layer| !layer.is_empty()).collect()
}

/// How many ways lead to each path from the paths that depend on it; each path counts 1 itself.
fn popularity(closure: &Closure) -> BTreeMap<&str, u64> {
    let paths: BTreeMap<&str, &StorePath> = closure
        .iter()
        .map(|(path, _)| (path.as_str(), path))
        .collect();
    let mut dependents: BTreeMap<&str, usize> = paths.keys().map(|path| (*path, 0)).collect();
    for path in paths.values() {
        for reference in references(closure, path) {
            if let Some(count) = dependents.get_mut(reference) {
                *count += 1;
            }
        }
    }
    // A path's popularity is final once all its dependents have passed theirs on. The graphs that
    // Nix writes have no cycles; paths on one would keep what they have got so far.
    let mut popularity: BTreeMap<&str, u64> = paths.keys().map(|path| (*path, 1)).collect();
    let mut ready: Vec<&StorePath> = paths
        .values()
        .copied()
        .filter(|path| dependents[path.as_str()] == 0)
        .collect();
    while let Some(path) = ready.pop() {
        let own = popularity[path.as_str()];
        for reference in references(closure, path) {
            let Some(reference) = paths.get(reference).copied() else {
                continue;
            };
            if let Some(sum) = popularity.get_mut(reference.as_str()) {
                *sum = sum.saturating_add(own);
            }
            if let Some(count) = dependents.get_mut(reference.as_str()) {
                *count -= 1;
                if *count == 0 {
                    ready.push(reference);
                }
            }
        }
    }
    popularity
}

/// What a path depends on, besides itself.
fn references<'a>(closure: &'a Closure, path: &'a StorePath) -> impl Iterator<Item = &'a str> {
    let all = closure
        .get(path)
        .into_iter()
        .flat_map(|entry| &entry.references);
    all.map(String::as_str)
        .filter(move |reference| *reference != path.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use strata_nix::ClosureEntry;

    const DIR: &str = "/nix/store";

    fn path(name: char) -> StorePath {
        StorePath::parse(DIR, &format!("{DIR}/{}-{name}", "0".repeat(32))).unwrap()
    }

    /// `graph` lists paths with what they refer to: `"a bc"`.
    fn closure(graph: &[&str]) -> Closure {
        Closure::new(graph.iter().map(|line| {
            let (name, references) = line.split_once(' ').unwrap();
            let path_of = path(name.chars().next().unwrap());
            let references = references
                .chars()
                .map(|name| path(name).to_string())
                .collect();
            let entry = ClosureEntry {
                path: path_of.to_string(),
                nar_hash: String::new(),
                nar_size: 1,
                references,
            };
            (path_of, entry)
        }))
    }

    fn layers(graph: &[&str], budget: usize) -> Vec<String> {
        let closure = closure(graph);
        let members = closure.iter().map(|(path, _)| path).collect();
        let name = |path: &&StorePath| path.as_str().chars().last().unwrap();
        super::layers(&closure, &members, NonZeroUsize::new(budget).unwrap())
            .iter()
            .map(|layer| layer.iter().map(name).collect())
            .collect()
    }

    #[test]
    fn what_most_ways_lead_to_comes_first() {
        // a -> b, c; b -> c, d; c -> d: popularities 1, 2, 4, 7 with self-references ignored.
        let graph = ["a abc", "b cd", "c d", "d d"];
        assert_eq!(layers(&graph, 1), ["dcba"]);
        assert_eq!(layers(&graph, 3), ["d", "c", "ba"]);
        assert_eq!(layers(&graph, 4), ["d", "c", "b", "a"]);
        assert_eq!(layers(&graph, 9), ["d", "c", "b", "a"]);
    }

    #[test]
    fn cycles_and_unknown_references_do_no_harm() {
        assert_eq!(layers(&["a b", "b a", "c x"], 1), ["abc"]);
    }

    #[test]
    fn deep_diamonds_saturate() {
        // 70 levels of two paths each would count 2^70 ways; names are made from numbers here.
        let name =
            |number: usize| StorePath::parse(DIR, &format!("{DIR}/{number:0>32}-x")).unwrap();
        let closure = Closure::new((0..140).map(|number| {
            let below = number / 2 * 2 + 2;
            let references = [below, below + 1].into_iter().filter(|below| *below < 140);
            let entry = ClosureEntry {
                path: name(number).to_string(),
                nar_hash: String::new(),
                nar_size: 1,
                references: references.map(|below| name(below).to_string()).collect(),
            };
            (name(number), entry)
        }));
        assert_eq!(popularity(&closure)[name(139).as_str()], u64::MAX);
    }
}
