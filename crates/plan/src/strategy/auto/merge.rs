//! Merging layers two by two, always the two whose cost rises least.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::super::graph::{Graph, number};
use super::cost::{Costs, Group};

/// How far to either side in canonical order a path looks for company, how many of its users it asks, and how many
/// candidates a merged layer keeps. What changes together is near by name or by reference, and trials with all pairs
/// found nothing better.
struct Reach {
    positions: usize,
    users: usize,
    kept: usize,
}

const FEW: Reach = Reach {
    positions: 60,
    users: 60,
    kept: 150,
};

/// For more than `MANY_PATHS`, where the time matters.
const MANY: Reach = Reach {
    positions: 30,
    users: 30,
    kept: 100,
};

const MANY_PATHS: usize = 4096;

/// For more than `MOST_PATHS`.
const MOST: Reach = Reach {
    positions: 20,
    users: 20,
    kept: 60,
};

const MOST_PATHS: usize = 1 << 14;

/// A layer that may grow: only with others of its own class.
pub(super) struct Start {
    pub(super) group: Group,
    pub(super) class: u32,
}

/// When to stop.
pub(super) struct Goal {
    /// Merge until so many layers are left, or one of each class.
    pub(super) layers: usize,
    /// Then go on while merging costs less than this.
    pub(super) price: i64,
}

/// Merges `starts`, which are in canonical order.
pub(super) fn merge(graph: &Graph, costs: &Costs, starts: Vec<Start>, goal: &Goal) -> Vec<Start> {
    let mut merging = Merging::new(graph, costs, starts);
    merging.begin(graph);
    loop {
        while let Some((delta, one, other)) = merging.next() {
            if merging.live <= goal.layers && delta >= goal.price {
                return merging.finish();
            }
            merging.join(one, other);
        }
        // All candidates are used up: neighbours in the order of the layers begin anew.
        if merging.live <= goal.layers || !merging.begin_anew() {
            return merging.finish();
        }
    }
}

/// What merging with another layer would cost.
type Candidate = (i64, u32);

struct Merging<'a> {
    costs: &'a Costs,
    reach: Reach,
    layers: Vec<Option<Start>>,
    candidates: Vec<Vec<Candidate>>,
    best: Vec<Option<Key>>,
    heap: BinaryHeap<Reverse<(Key, u32)>>,
    live: usize,
}

/// What merging costs, the older layer, the newer: the order in which pairs are merged.
type Key = (i64, u32, u32);

impl<'a> Merging<'a> {
    fn new(graph: &Graph, costs: &'a Costs, starts: Vec<Start>) -> Self {
        let live = starts.len();
        Self {
            costs,
            reach: match graph.len() {
                0..=MANY_PATHS => FEW,
                count if count <= MOST_PATHS => MANY,
                _ => MOST,
            },
            candidates: vec![Vec::new(); live],
            best: vec![None; live],
            layers: starts.into_iter().map(Some).collect(),
            heap: BinaryHeap::new(),
            live,
        }
    }

    /// The first candidates: neighbours, references and users.
    fn begin(&mut self, graph: &Graph) {
        let mut layer_of = vec![None; graph.len()];
        for (layer, start) in self.layers.iter().enumerate() {
            for path in start.iter().flat_map(|start| &start.group.members) {
                layer_of[*path as usize] = Some(number(layer));
            }
        }
        let mut pairs = self.neighbours();
        for (layer, start) in self.layers.iter().enumerate() {
            let layer = number(layer);
            for path in start.iter().flat_map(|start| &start.group.members) {
                let users = graph.users(*path).iter().take(self.reach.users);
                let near = graph.references(*path).iter().chain(users);
                let near = near.filter_map(|near| layer_of[*near as usize]);
                pairs.extend(near.map(|near| (layer.min(near), layer.max(near))));
            }
        }
        self.add(pairs);
    }

    fn begin_anew(&mut self) -> bool {
        let pairs = self.neighbours();
        self.add(pairs);
        !self.heap.is_empty()
    }

    /// Pairs of layers that are near each other in the order of their numbers, among those of their class.
    fn neighbours(&self) -> Vec<(u32, u32)> {
        let mut pairs = Vec::new();
        let mut lines: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (layer, start) in self.layers.iter().enumerate() {
            if let Some(start) = start {
                let line = lines.entry(start.class).or_default();
                let near = line.iter().rev().take(self.reach.positions);
                pairs.extend(near.map(|near| (*near, number(layer))));
                line.push(number(layer));
            }
        }
        pairs
    }

    fn add(&mut self, mut pairs: Vec<(u32, u32)>) {
        pairs.sort_unstable();
        pairs.dedup();
        for (one, other) in pairs {
            if let Some(delta) = self.delta(one, other) {
                self.candidates[one as usize].push((delta, other));
                self.candidates[other as usize].push((delta, one));
            }
        }
        for layer in 0..self.layers.len() {
            if self.layers[layer].is_some() {
                self.find_best(number(layer));
            }
        }
    }

    fn delta(&self, one: u32, other: u32) -> Option<i64> {
        let (first, second) = (
            self.layers[one as usize].as_ref()?,
            self.layers[other as usize].as_ref()?,
        );
        let is_pair = one != other && first.class == second.class;
        is_pair.then(|| self.costs.merging(&first.group, &second.group))
    }

    /// The pair that costs least, of those that are left.
    fn next(&mut self) -> Option<Key> {
        while let Some(Reverse((key, owner))) = self.heap.pop() {
            let is_current = self.best[owner as usize] == Some(key);
            if !is_current || self.layers[owner as usize].is_none() {
                continue;
            }
            if self.is_live(key.1) && self.is_live(key.2) {
                return Some(key);
            }
            // The other layer is gone. What is left costs at least as much, so nothing was missed.
            self.find_best(owner);
        }
        None
    }

    fn is_live(&self, layer: u32) -> bool {
        self.layers[layer as usize].is_some()
    }

    fn find_best(&mut self, layer: u32) {
        let mut candidates = std::mem::take(&mut self.candidates[layer as usize]);
        candidates.retain(|(_, other)| self.is_live(*other));
        let keys = candidates
            .iter()
            .map(|(delta, other)| key(*delta, layer, *other));
        let best = keys.min();
        self.candidates[layer as usize] = candidates;
        self.set_best(layer, best);
    }

    fn set_best(&mut self, layer: u32, best: Option<Key>) {
        self.best[layer as usize] = best;
        self.heap.extend(best.map(|best| Reverse((best, layer))));
    }

    fn join(&mut self, one: u32, other: u32) {
        let (Some(first), Some(second)) = (
            self.layers[one as usize].take(),
            self.layers[other as usize].take(),
        ) else {
            return;
        };
        let class = first.class;
        let group = self.costs.merged(first.group, second.group);
        self.live -= 1;
        let layer = number(self.layers.len());
        let mut near = std::mem::take(&mut self.candidates[one as usize]);
        near.append(&mut self.candidates[other as usize]);
        let mut near: Vec<u32> = near.into_iter().map(|(_, near)| near).collect();
        near.retain(|near| self.is_live(*near));
        near.sort_unstable();
        near.dedup();
        self.layers.push(Some(Start { group, class }));
        let mut candidates: Vec<Candidate> = near
            .into_iter()
            .filter_map(|near| Some((self.delta(near, layer)?, near)))
            .collect();
        if candidates.len() > self.reach.kept {
            candidates.select_nth_unstable(self.reach.kept);
            candidates.truncate(self.reach.kept);
        }
        for (delta, near) in &candidates {
            let key = key(*delta, *near, layer);
            let list = &mut self.candidates[*near as usize];
            list.push((*delta, layer));
            if list.len() > 2 * self.reach.kept {
                let layers = &self.layers;
                list.retain(|(_, other)| layers[*other as usize].is_some());
            }
            if self.best[*near as usize].is_none_or(|best| key < best) {
                self.set_best(*near, Some(key));
            }
        }
        self.candidates.push(candidates);
        self.best.push(None);
        self.find_best(layer);
    }

    fn finish(self) -> Vec<Start> {
        self.layers.into_iter().flatten().collect()
    }
}

fn key(delta: i64, one: u32, other: u32) -> Key {
    (delta, one.min(other), one.max(other))
}
