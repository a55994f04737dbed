//! Store paths and what they refer to, cut into parts and put together again.

use std::collections::{BTreeMap, BTreeSet};

use strata_nix::{Closure, StorePath};

/// Some store paths with references among them. A reference that leads out of the graph is no part of it,
/// and neither is one from a path to itself.
///
/// It is not a part of the strategies' graph: where operations cut, references are gone for good, also when what was cut
/// is put together again.
#[derive(Clone, Debug, Default)]
pub(super) struct Graph<'a> {
    /// The paths: the smallest archive first, equal ones by path.
    paths: Vec<&'a StorePath>,
    /// For each path, the places of what it refers to.
    references: Vec<Vec<usize>>,
}

impl<'a> Graph<'a> {
    /// The graph of `members`, which are paths of `closure`.
    pub(super) fn new(closure: &Closure, members: &BTreeSet<&'a StorePath>) -> Self {
        let size = |path: &StorePath| closure.get(path).map_or(0, |entry| entry.nar_size);
        let mut paths: Vec<&StorePath> = members.iter().copied().collect();
        paths.sort_by_key(|path| size(path));
        let places: BTreeMap<&str, usize> = paths
            .iter()
            .enumerate()
            .map(|(place, path)| (path.as_str(), place))
            .collect();
        let references = paths.iter().enumerate().map(|(own, path)| {
            let all = closure
                .get(path)
                .into_iter()
                .flat_map(|entry| &entry.references);
            let places: BTreeSet<usize> = all
                .filter_map(|reference| places.get(&**reference).copied())
                .filter(|place| *place != own)
                .collect();
            places.into_iter().collect()
        });
        Self {
            references: references.collect(),
            paths,
        }
    }

    /// How many paths it has.
    pub(super) fn len(&self) -> usize {
        self.paths.len()
    }

    /// Whether it has none.
    pub(super) fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// Its paths, in order.
    pub(super) fn paths(&self) -> &[&'a StorePath] {
        &self.paths
    }

    /// For each path, the places of what it refers to.
    pub(super) fn references(&self) -> &[Vec<usize>] {
        &self.references
    }

    /// For each path, the places of what refers to it.
    pub(super) fn users(&self) -> Vec<Vec<usize>> {
        let mut users = vec![Vec::new(); self.len()];
        for (place, references) in self.references.iter().enumerate() {
            for reference in references {
                users[*reference].push(place);
            }
        }
        users
    }

    /// The places of those of `wanted` that it has.
    pub(super) fn find(&self, wanted: &BTreeSet<StorePath>) -> Vec<usize> {
        let is_wanted = |(_, path): &(usize, &&StorePath)| wanted.contains(**path);
        let found = self.paths.iter().enumerate().filter(is_wanted);
        found.map(|(place, _)| place).collect()
    }

    /// Cuts it into `count` parts; `part_of` says for each path which one it goes to. References between
    /// parts are gone; the order of paths stays.
    pub(super) fn divide(self, part_of: &[usize], count: usize) -> Vec<Self> {
        let mut parts = vec![Self::default(); count];
        let mut sizes = vec![0; count];
        let mut places = Vec::with_capacity(self.len());
        for part in part_of {
            places.push(sizes[*part]);
            sizes[*part] += 1;
        }
        for ((place, path), references) in self.paths.into_iter().enumerate().zip(self.references) {
            let own = part_of[place];
            let inside = references.iter().filter(|other| part_of[**other] == own);
            parts[own]
                .references
                .push(inside.map(|other| places[*other]).collect());
            parts[own].paths.push(path);
        }
        parts
    }

    /// Puts graphs together, one behind the other. There are no references between them.
    pub(super) fn join(graphs: impl IntoIterator<Item = Self>) -> Self {
        let mut whole = Self::default();
        for graph in graphs {
            let start = whole.len();
            whole.paths.extend(graph.paths);
            let moved = graph.references.into_iter().map(|mut references| {
                for place in &mut references {
                    *place += start;
                }
                references
            });
            whole.references.extend(moved);
        }
        whole
    }
}

/// Which places `edges` lead to from `starts`, those included. An edge leads only to where `may_enter` says.
pub(super) fn reach(
    edges: &[Vec<usize>],
    starts: &[usize],
    may_enter: impl Fn(usize) -> bool,
) -> Vec<bool> {
    let mut reached = vec![false; edges.len()];
    let mut todo = starts.to_vec();
    for start in starts {
        reached[*start] = true;
    }
    while let Some(place) = todo.pop() {
        for next in &edges[place] {
            if !reached[*next] && may_enter(*next) {
                reached[*next] = true;
                todo.push(*next);
            }
        }
    }
    reached
}
