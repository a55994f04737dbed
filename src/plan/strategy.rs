//! The interface of the ways to cut a closure into layers.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use crate::nix::{Closure, StorePath};

/// A way to cut a closure into layers.
pub trait Strategy {
    /// Puts each of `members` into exactly one of at most `budget` layers, lowest first. The
    /// closure may hold more paths; those are in lower layers already. The result must depend on
    /// nothing but the arguments.
    fn layers<'a>(
        &self,
        closure: &Closure,
        members: &BTreeSet<&'a StorePath>,
        budget: NonZeroUsize,
    ) -> Vec<Vec<&'a StorePath>>;
}
