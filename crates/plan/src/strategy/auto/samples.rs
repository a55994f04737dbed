//! Which part of the paths that may change a layer depends on: a bit for each of them, or for some of many.

use super::super::graph::{Graph, number};
use super::super::reach::Reach;

/// Of more paths than these some stand for all: two thousand draws tell a part to 1 %.
const MOST: usize = 2048;

/// But so many of each kind, since there may be few private paths among many others, and they count most.
const LEAST: usize = 256;

/// Of more than `MANY` paths half as many do, as the time matters more then.
const MANY: usize = 1 << 14;

/// What a path counts for when it changes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    /// Many paths depend on it, but not all.
    Mid,
    MidAndPrivate,
    /// Only roots use it.
    Private,
}

const KINDS: [Kind; 4] = [Kind::Plain, Kind::Mid, Kind::MidAndPrivate, Kind::Private];

/// The paths that are waited for and what each path needs of them.
pub(super) struct Samples {
    pub(super) reach: Reach,
    /// All paths, those that need little first, then by name, so that an update leaves the order as it is.
    pub(super) canonical: Vec<u32>,
    /// A row of bits for each path.
    rows: Vec<u64>,
    /// Where in a row the bits of each kind end.
    ends: [usize; 4],
    /// What a bit of each kind is of all that are waited for, of the mid and of the private ones, in 2^-32.
    of_all: [u64; 4],
    of_mid: [u64; 4],
    of_private: [u64; 4],
    waited: Vec<bool>,
    /// How many are waited for.
    count: u32,
    /// Whether each of those has a bit.
    are_all: bool,
}

/// Parts of all that are waited for, of the mid ones and of the private ones.
pub(super) struct Found {
    /// In steps of `STEPS`.
    pub(super) all: usize,
    /// In 2^-18.
    pub(super) mid: i64,
    /// In 2^-18.
    pub(super) private: i64,
}

impl Samples {
    /// `tops` and `rare` are not waited for: an edit of a root is counted apart, and the others change rarely.
    pub(super) fn new(graph: &Graph, tops: &[u32], rare: &[u32]) -> Self {
        let reach = Reach::of(graph);
        let kinds = kinds(graph, &reach, tops, rare);
        let canonical = canonical(graph, &reach);
        let totals = KINDS.map(|kind| kinds.iter().filter(|other| **other == Some(kind)).count());
        let count: usize = totals.iter().sum();
        let most = if graph.len() > MANY { MOST / 2 } else { MOST };
        let quotas = totals.map(|total| {
            let even = (most * total).checked_div(count).unwrap_or(0);
            if count <= most {
                total
            } else {
                total.min(even.max(LEAST))
            }
        });
        let mut ends = [0; 4];
        let mut words = 0;
        for (end, quota) in ends.iter_mut().zip(quotas) {
            words += quota.div_ceil(64);
            *end = words;
        }
        let mut columns = vec![None; graph.len()];
        let mut start = 0;
        for place in 0..KINDS.len() {
            let (total, quota) = (totals[place], quotas[place]);
            let of_kind = canonical
                .iter()
                .filter(|path| kinds[**path as usize] == Some(KINDS[place]));
            let of_kind: Vec<u32> = of_kind.copied().collect();
            for bit in 0..quota {
                columns[of_kind[bit * total / quota] as usize] = Some(start * 64 + bit);
            }
            start = ends[place];
        }
        let weights = |counted: [bool; 4]| {
            let counted: Vec<usize> = (0..4).filter(|place| counted[*place]).collect();
            let all: usize = counted.iter().map(|place| totals[*place]).sum();
            let mut weights = [0; 4];
            for place in counted {
                let bits = (quotas[place] * all) as u64;
                weights[place] = ((totals[place] as u64) << 32)
                    .checked_div(bits)
                    .unwrap_or(0);
            }
            weights
        };
        Self {
            rows: rows(graph, &columns, words),
            canonical,
            ends,
            of_all: weights([true; 4]),
            of_mid: weights([false, true, true, false]),
            of_private: weights([false, false, true, true]),
            waited: kinds.iter().map(Option::is_some).collect(),
            count: number(count),
            are_all: count <= most,
            reach,
        }
    }

    pub(super) fn words(&self) -> usize {
        self.ends[KINDS.len() - 1]
    }

    pub(super) fn row(&self, path: u32) -> &[u64] {
        let words = self.words();
        let start = path as usize * words;
        &self.rows[start..start + words]
    }

    pub(super) fn are_all(&self) -> bool {
        self.are_all
    }

    pub(super) fn is_waited_for(&self, path: u32) -> bool {
        self.waited[path as usize]
    }

    /// How many of the paths that are waited for a path needs, at least.
    pub(super) fn needs(&self, path: u32) -> u32 {
        if self.are_all {
            0
        } else {
            self.reach.below[path as usize].min(self.count)
        }
    }

    /// How many bits of each kind are set.
    pub(super) fn count(&self, mut words: impl Iterator<Item = u64>) -> [u64; 4] {
        let mut counts = [0; 4];
        let mut start = 0;
        for (count, end) in counts.iter_mut().zip(self.ends) {
            for word in words.by_ref().take(end - start) {
                *count += u64::from(word.count_ones());
            }
            start = end;
        }
        counts
    }

    /// What so many bits of each kind are, and at least `needs` paths.
    pub(super) fn parts(&self, counts: [u64; 4], needs: u32) -> Found {
        let part = |weights: &[u64; 4]| -> u64 {
            let products = counts
                .iter()
                .zip(weights)
                .map(|(count, weight)| count * weight);
            products.sum()
        };
        let coarse = |part: u64| i64::try_from(part >> 14).unwrap_or(i64::MAX);
        let least = (u64::from(needs) << 32) / u64::from(self.count.max(1));
        let all = part(&self.of_all).max(least);
        Found {
            all: usize::try_from((all + (1 << 17)) >> 18).unwrap_or(usize::MAX),
            mid: coarse(part(&self.of_mid)),
            private: coarse(part(&self.of_private)),
        }
    }
}

fn kinds(graph: &Graph, reach: &Reach, tops: &[u32], rare: &[u32]) -> Vec<Option<Kind>> {
    let mut is_top = vec![false; graph.len()];
    let mut never = vec![false; graph.len()];
    for path in tops {
        is_top[*path as usize] = true;
    }
    for path in tops.iter().chain(rare) {
        never[*path as usize] = true;
    }
    let count = graph.len() as u64;
    let kind = |path: u32| {
        let above = u64::from(reach.above[path as usize]);
        // Like libc: it needs nothing and almost all need it, so it moves everything whatever the plan is.
        let moves_all = reach.below[path as usize] == 1 && 10 * above > 9 * count;
        if never[path as usize] || moves_all {
            return None;
        }
        let is_mid = 100 * above >= 15 * count && 100 * above <= 80 * count;
        let users = graph.users(path);
        let is_private = !users.is_empty() && users.iter().all(|user| is_top[*user as usize]);
        Some(match (is_mid, is_private) {
            (false, false) => Kind::Plain,
            (true, false) => Kind::Mid,
            (true, true) => Kind::MidAndPrivate,
            (false, true) => Kind::Private,
        })
    };
    graph.all().map(kind).collect()
}

fn canonical(graph: &Graph, reach: &Reach) -> Vec<u32> {
    let mut all: Vec<u32> = graph.all().collect();
    all.sort_by_cached_key(|path| {
        let below = reach.below[*path as usize];
        (below, graph.package(*path), graph.name(*path), *path)
    });
    all
}

/// For each path the columns of those that it needs, itself included.
fn rows(graph: &Graph, columns: &[Option<usize>], words: usize) -> Vec<u64> {
    let mut rows = vec![0; graph.len() * words];
    let mut row = vec![0; words];
    for path in graph.order() {
        row.fill(0);
        for reference in graph.references(*path) {
            let start = *reference as usize * words;
            for (word, more) in row.iter_mut().zip(&rows[start..start + words]) {
                *word |= more;
            }
        }
        if let Some(column) = columns[*path as usize] {
            row[column / 64] |= 1 << (column % 64);
        }
        let start = *path as usize * words;
        rows[start..start + words].copy_from_slice(&row);
    }
    rows
}
