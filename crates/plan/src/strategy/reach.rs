//! How much each path reaches, and how much reaches it.

use super::graph::Graph;

/// Words of a row that are worked on at once, so that memory is linear and a block fits into a cache.
const BLOCK: usize = 16;

/// Counts of reachable paths, a path itself included.
#[derive(Debug)]
pub(super) struct Reach {
    /// How many paths each needs.
    pub(super) below: Vec<u32>,
    /// How many paths need each.
    pub(super) above: Vec<u32>,
}

impl Reach {
    pub(super) fn of(graph: &Graph) -> Self {
        let forth = graph.order().to_vec();
        let back: Vec<u32> = forth.iter().rev().copied().collect();
        Self {
            below: counts(&forth, |path| graph.references(path)),
            above: counts(&back, |path| graph.users(path)),
        }
    }
}

/// For each path how many it reaches by `next`; `order` has what a path reaches before it. Rows of bits would take
/// the square of the number of paths, so they are made for some columns at a time.
fn counts<'a>(order: &[u32], next: impl Fn(u32) -> &'a [u32]) -> Vec<u32> {
    let mut places = vec![0; order.len()];
    for (place, path) in order.iter().enumerate() {
        places[*path as usize] = place;
    }
    let mut counts = vec![0; order.len()];
    let mut rows = vec![[0u64; BLOCK]; order.len()];
    let columns = BLOCK * 64;
    for first in (0..order.len()).step_by(columns) {
        // What comes before the first column reaches none of them.
        for (place, path) in order.iter().enumerate().skip(first) {
            let mut row = [0; BLOCK];
            for reached in next(*path) {
                let reached = places[*reached as usize];
                if reached >= first && reached < place {
                    for (word, more) in row.iter_mut().zip(&rows[reached]) {
                        *word |= more;
                    }
                }
            }
            if place - first < columns {
                row[(place - first) / 64] |= 1 << ((place - first) % 64);
            }
            rows[place] = row;
            counts[*path as usize] += row.iter().map(|word| word.count_ones()).sum::<u32>();
        }
    }
    counts
}
