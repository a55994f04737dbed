//! How a closure is cut into layers: one file for each strategy, and its name here.

mod popularity;

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use strata_nix::{Closure, StorePath, StrategyName};

/// Puts each of `members` into exactly one of at most `budget` layers, lowest first, as the strategy of
/// this name does it. The closure may hold more paths; those are in parent layers already.
pub(super) fn layers<'a>(
    strategy: StrategyName,
    closure: &Closure,
    members: &BTreeSet<&'a StorePath>,
    budget: NonZeroUsize,
) -> Vec<Vec<&'a StorePath>> {
    match strategy {
        StrategyName::Popularity => popularity::layers(closure, members, budget),
    }
}
