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

/// How much more than a path that is likely elsewhere one counts that is there for certain.
const KNOWN: i64 = 1;

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
    /// Whether another image has it as it is.
    is_whole: bool,
    /// Bytes expected to be sent again, in 2^-18.
    pub(super) cost: i64,
}

impl Group {
    /// Whether it has nothing but roots.
    pub(super) fn are_tops(&self) -> bool {
        self.tops as usize == self.members.len()
    }

    /// Whether it has several paths and another image has it as it is, so that no path may come or go.
    pub(super) fn is_shared_whole(&self) -> bool {
        self.is_whole && self.members.len() > 1
    }
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
    /// The numbers for plans of `layers` layers. `tops` is the number of roots.
    ///
    /// `known` are paths that another image has for certain.
    pub(super) fn new(
        graph: &Graph,
        samples: Samples,
        tops: usize,
        known: &[u32],
        layers: usize,
    ) -> Self {
        let bytes = graph.all().map(|path| u128::from(graph.size(path)));
        let lost = (u128::BITS - bytes.sum::<u128>().leading_zeros()).saturating_sub(SIZE_BITS);
        let size = |path| i64::try_from(graph.size(path) >> lost).unwrap_or(i64::MAX);
        let sizes: Vec<i64> = graph.all().map(size).collect();
        let mut shared = weights::shared(&samples.reach);
        for path in known {
            shared[*path as usize] = KNOWN * ONE;
        }
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
    pub(super) fn group(&self, members: Vec<u32>, is_top: &[bool], is_whole: bool) -> Group {
        let mut group = Group {
            bits: vec![0; self.samples.words()].into(),
            size: 0,
            share: 0,
            needs: 0,
            waited: 0,
            tops: 0,
            is_whole,
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
            lost: if is_whole {
                0
            } else {
                lost(group.members.len(), group.share)
            },
        });
        group
    }

    /// A layer of which nothing is lost for other images, however it is merged.
    pub(super) fn unshared(&self, members: Vec<u32>, is_top: &[bool]) -> Group {
        let mut group = self.group(members, is_top, true);
        group.share = 0;
        group
    }

    /// Whether some paths are a layer that costs less than it would to have them otherwise than another image.
    pub(super) fn is_worth_adopting(&self, members: &[u32], is_top: &[bool]) -> bool {
        let whole = self.group(members.to_vec(), is_top, true);
        let apart = members
            .iter()
            .map(|path| self.group(vec![*path], is_top, false).cost);
        members.len() == 1 || whole.cost - apart.sum::<i64>() <= whole.share
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
            is_whole: false,
            cost,
            ..all
        }
    }

    /// How many members of a layer have each bit.
    pub(super) fn tally(&self, group: &Group) -> Tally {
        let mut tally = Tally {
            counts: vec![0; 64 * self.samples.words()],
            once: vec![0; self.samples.words()],
        };
        for path in &group.members {
            for bit in bits(self.samples.row(*path)) {
                tally.add(bit);
            }
        }
        tally
    }

    /// What a layer costs without one of its members, which is `alone`.
    pub(super) fn without(&self, group: &Group, tally: &Tally, alone: &Group) -> i64 {
        let words = group.bits.iter().zip(&tally.once).zip(&alone.bits);
        self.cost(&Parts {
            counts: self
                .samples
                .count(words.map(|((all, once), own)| all & !(once & own))),
            needs: self.needs_without(group, alone),
            tops: group.tops - alone.tops,
            size: group.size - alone.size,
            lost: lost(group.members.len() - 1, group.share - alone.share),
        })
    }

    fn needs_without(&self, group: &Group, alone: &Group) -> u32 {
        let waited = group.waited - alone.waited;
        if self.samples.are_all() {
            return waited;
        }
        let others = group
            .members
            .iter()
            .filter(|path| !alone.members.contains(path));
        let needs = others.map(|path| self.samples.needs(*path)).max();
        needs.unwrap_or(0).max(waited)
    }

    /// Takes one of its members, which is `alone`, out of a layer.
    pub(super) fn take(&self, group: &mut Group, tally: &mut Tally, alone: &Group) {
        group.cost = self.without(group, tally, alone);
        group.needs = self.needs_without(group, alone);
        group.members.retain(|path| !alone.members.contains(path));
        group.size -= alone.size;
        group.share -= alone.share;
        group.waited -= alone.waited;
        group.tops -= alone.tops;
        for bit in bits(&alone.bits) {
            if tally.remove(bit) == 0 {
                group.bits[bit / 64] &= !(1 << (bit % 64));
            }
        }
    }

    /// Puts a path, which is `alone`, into a layer.
    pub(super) fn put(&self, group: &mut Group, tally: &mut Tally, alone: &Group) {
        group.cost += self.merging(group, alone) + alone.cost;
        group.needs = needs(group, alone);
        group.members.extend(&alone.members);
        group.size += alone.size;
        group.share += alone.share;
        group.waited += alone.waited;
        group.tops += alone.tops;
        group.is_whole = false;
        or(&mut group.bits, &alone.bits);
        for bit in bits(&alone.bits) {
            tally.add(bit);
        }
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

/// How many members of a layer have each bit, so that one can leave without the others being asked.
pub(super) struct Tally {
    counts: Vec<u32>,
    /// The bits that only one member has.
    once: Vec<u64>,
}

impl Tally {
    fn add(&mut self, bit: usize) {
        self.counts[bit] += 1;
        self.note(bit);
    }

    /// How many are left that have the bit.
    fn remove(&mut self, bit: usize) -> u32 {
        self.counts[bit] -= 1;
        self.note(bit);
        self.counts[bit]
    }

    fn note(&mut self, bit: usize) {
        let (word, mask) = (bit / 64, 1 << (bit % 64));
        if self.counts[bit] == 1 {
            self.once[word] |= mask;
        } else {
            self.once[word] &= !mask;
        }
    }
}

/// The numbers of the bits that are set.
fn bits(words: &[u64]) -> impl Iterator<Item = usize> {
    words.iter().enumerate().flat_map(|(place, word)| {
        let mut left = *word;
        std::iter::from_fn(move || {
            let bit = (left != 0).then(|| 64 * place + left.trailing_zeros() as usize);
            left &= left.wrapping_sub(1);
            bit
        })
    })
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
