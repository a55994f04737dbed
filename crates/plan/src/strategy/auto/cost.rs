//! What a layer costs: the bytes that are expected to be sent again because of it.
//!
//! All numbers are whole, so that a plan is the same on every machine: parts of one are counted in 2^-18, powers are
//! products, and the exponential function is a table of products.

use super::super::graph::{Graph, number};
use super::samples::Samples;
use super::weights::{self, ONE, PRIVATE, STEPS, WEIGHT_BITS};

/// Sizes are counted in bytes as long as all together are below 2^34 (16 GiB), in powers of two of bytes beyond:
/// with less than 2^6 expected sends in parts of 2^-18 and a share weight below 2^9, no product overflows.
const SIZE_BITS: u32 = 34;

/// The numbers that the costs of a graph's layers depend on.
pub(super) struct Costs {
    samples: Samples,
    /// The expected sends for each part of the paths that a layer depends on.
    changes: Vec<i64>,
    sizes: Vec<i64>,
    /// How many bits the sizes have lost.
    lost: u32,
    /// How likely another image has a path.
    shared: Vec<i64>,
    /// What it costs when another image cannot use a path that it has.
    share: Vec<i64>,
    /// What an edit of one of the roots weighs.
    edit: i64,
}

/// Some paths as a layer, with what its cost is made of.
#[derive(Clone)]
pub(super) struct Group {
    pub(super) members: Vec<u32>,
    bits: Box<[u64]>,
    size: i64,
    share: i64,
    /// At least so many of the paths that are waited for are needed; bits say it only of some.
    needs: u32,
    /// How many of those are members.
    waited: u32,
    /// How many of the members are roots.
    tops: u32,
    /// Bytes expected to be sent again, in 2^-18.
    pub(super) cost: i64,
}

/// What a cost is computed from.
struct Parts {
    counts: [u64; 4],
    needs: u32,
    tops: u32,
    size: i64,
    /// What is lost for other images.
    lost: i64,
}

impl Costs {
    /// The numbers for plans of `layers` layers. `tops` is what edits change, `rare` what is said to change rarely.
    pub(super) fn new(graph: &Graph, samples: Samples, tops: usize, layers: usize) -> Self {
        let bytes = graph.all().map(|path| u128::from(graph.size(path)));
        let lost = (u128::BITS - bytes.sum::<u128>().leading_zeros()).saturating_sub(SIZE_BITS);
        let size = |path| i64::try_from(graph.size(path) >> lost).unwrap_or(i64::MAX);
        let sizes: Vec<i64> = graph.all().map(size).collect();
        let shared = weights::shared(&samples.reach);
        let weight = i128::from(weights::share(graph.len(), layers));
        let share = sizes.iter().zip(&shared).map(|(size, shared)| {
            let cost = (i128::from(*size) * i128::from(*shared) * weight) >> WEIGHT_BITS;
            i64::try_from(cost).unwrap_or(i64::MAX)
        });
        let share = share.collect();
        Self {
            samples,
            changes: weights::changes(),
            sizes,
            lost,
            shared,
            share,
            edit: weights::edit(tops),
        }
    }

    /// All paths, those that need little first, then by name.
    pub(super) fn canonical(&self) -> &[u32] {
        &self.samples.canonical
    }

    /// A number of bytes for each of the updates that `cost` weighs, as cost.
    pub(super) fn of_bytes(&self, bytes: i64) -> i64 {
        (bytes >> self.lost).saturating_mul(weights::updates())
    }

    /// A layer of some paths; `is_top` says which are roots.
    pub(super) fn group(&self, members: Vec<u32>, is_top: &[bool]) -> Group {
        let mut group = Group {
            bits: vec![0; self.samples.words()].into(),
            size: 0,
            share: 0,
            needs: 0,
            waited: 0,
            tops: 0,
            cost: 0,
            members,
        };
        for path in &group.members {
            or(&mut group.bits, self.samples.row(*path));
            group.size += self.sizes[*path as usize];
            group.share += self.share[*path as usize];
            group.needs = group.needs.max(self.samples.needs(*path));
            group.waited += u32::from(self.samples.is_waited_for(*path));
            group.tops += u32::from(is_top[*path as usize]);
        }
        group.needs = group.needs.max(group.waited);
        group.cost = self.cost(&Parts {
            counts: self.samples.count(group.bits.iter().copied()),
            needs: group.needs,
            tops: group.tops,
            size: group.size,
            lost: lost(group.members.len(), group.share),
        });
        group
    }

    /// What two layers cost more as one.
    pub(super) fn merging(&self, one: &Group, other: &Group) -> i64 {
        let words = one.bits.iter().zip(&other.bits);
        let cost = self.cost(&Parts {
            counts: self.samples.count(words.map(|(one, other)| one | other)),
            needs: needs(one, other),
            tops: one.tops + other.tops,
            size: one.size + other.size,
            lost: one.share + other.share,
        });
        cost - one.cost - other.cost
    }

    /// Two layers as one.
    pub(super) fn merged(&self, one: Group, other: Group) -> Group {
        let cost = one.cost + other.cost + self.merging(&one, &other);
        let needs = needs(&one, &other);
        let (mut all, mut more) = if one.members.len() < other.members.len() {
            (other, one)
        } else {
            (one, other)
        };
        or(&mut all.bits, &more.bits);
        all.members.append(&mut more.members);
        Group {
            size: all.size + more.size,
            share: all.share + more.share,
            needs,
            waited: all.waited + more.waited,
            tops: all.tops + more.tops,
            cost,
            ..all
        }
    }

    /// What a layer costs without one of its members; `once` are the bits that only one member has.
    pub(super) fn without(&self, group: &Group, once: &[u64], path: u32) -> i64 {
        let others = group.members.iter().filter(|other| **other != path);
        let waited = group.waited - u32::from(self.samples.is_waited_for(path));
        let row = self.samples.row(path);
        let words = group.bits.iter().zip(once).zip(row);
        let needs = if self.samples.are_all() {
            0
        } else {
            others
                .map(|other| self.samples.needs(*other))
                .max()
                .unwrap_or(0)
        };
        self.cost(&Parts {
            counts: self
                .samples
                .count(words.map(|((all, once), row)| all & !(once & row))),
            needs: needs.max(waited),
            tops: group.tops,
            size: group.size - self.sizes[path as usize],
            lost: lost(
                group.members.len() - 1,
                group.share - self.share[path as usize],
            ),
        })
    }

    /// The bits that only one member of a layer has.
    pub(super) fn once(&self, group: &Group) -> Vec<u64> {
        let mut any = vec![0; self.samples.words()];
        let mut twice = any.clone();
        for path in &group.members {
            for ((any, twice), row) in any.iter_mut().zip(&mut twice).zip(self.samples.row(*path)) {
                *twice |= *any & row;
                *any |= row;
            }
        }
        any.iter()
            .zip(twice)
            .map(|(any, twice)| any & !twice)
            .collect()
    }

    fn cost(&self, parts: &Parts) -> i64 {
        let found = self.samples.parts(parts.counts, parts.needs);
        let expected = self.changes[found.all.min(STEPS)]
            + found.mid
            + PRIVATE * found.private
            + self.edit * i64::from(parts.tops);
        parts.size * expected + parts.lost
    }

    /// Which part of all updates touches a layer, and how likely another image has what is in it, by bytes; in
    /// thousandths.
    pub(super) fn told(&self, group: &Group) -> (u32, u32) {
        let counts = self.samples.count(group.bits.iter().copied());
        let touched = self.samples.parts(counts, group.needs).all * 1000 / STEPS;
        let shared = |path: &u32| {
            i128::from(self.sizes[*path as usize]) * i128::from(self.shared[*path as usize])
        };
        let shared = group.members.iter().map(shared).sum::<i128>() * 1000 / i128::from(ONE);
        let shared = shared / i128::from(group.size.max(1));
        (number(touched), u32::try_from(shared).unwrap_or(1000))
    }
}

/// What of `share` is lost for other images: one path alone is a layer that they can have as well.
fn lost(members: usize, share: i64) -> i64 {
    if members > 1 { share } else { 0 }
}

fn needs(one: &Group, other: &Group) -> u32 {
    one.needs.max(other.needs).max(one.waited + other.waited)
}

fn or(bits: &mut [u64], more: &[u64]) {
    for (word, more) in bits.iter_mut().zip(more) {
        *word |= more;
    }
}
