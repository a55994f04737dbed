//! What a strategy is asked, and what it answers.

use std::num::NonZeroUsize;

use super::graph::Graph;
use super::reason::Reason;

/// A closure to cut into layers.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// All paths, also those that are in layers already.
    pub graph: &'a Graph,
    /// Which of them are to be cut, ascending.
    pub members: &'a [u32],
    /// What the user names and edits. Empty: the paths without users.
    pub roots: &'a [u32],
    /// How many layers there may be.
    pub budget: Budget,
    /// Layers of an earlier plan that are to stay if they still can.
    pub previous: &'a [Vec<u32>],
    /// Layers of images that are often where this one is.
    pub alongside: &'a [Vec<u32>],
    /// What the user knows better.
    pub hints: &'a Hints,
}

/// How many layers there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// At most so many, and as many as are of any use.
    AtMost(NonZeroUsize),
    /// As many as are worth their requests, and at most so many.
    Worthwhile(NonZeroUsize),
}

/// The most layers where nobody says a number: enough for all that pays off in most images, and half of what engines
/// take, so that others can build on the image.
pub const MOST_WORTHWHILE: NonZeroUsize = NonZeroUsize::new(60).unwrap();

impl Budget {
    /// The most layers.
    pub fn most(self) -> usize {
        match self {
            Self::AtMost(most) | Self::Worthwhile(most) => most.get(),
        }
    }
}

/// What the user says of some paths; of those that are no members nothing is meant.
#[derive(Clone, Debug, Default)]
pub struct Hints {
    /// They change rarely: they share layers with each other only.
    pub stable: Vec<u32>,
    /// They change often: they are on top, as roots are.
    pub volatile: Vec<u32>,
    /// Each list is in one layer.
    pub together: Vec<Vec<u32>>,
    /// Each is a layer of its own, as long as there is room.
    pub alone: Vec<u32>,
}

/// A layer of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedLayer {
    /// What is in it, ascending.
    pub paths: Vec<u32>,
    /// Why.
    pub reason: Reason,
}

impl PlannedLayer {
    /// The layer for what no other has; none if that is nothing.
    pub(super) fn rest(mut paths: Vec<u32>) -> Option<Self> {
        paths.sort_unstable();
        let reason = Reason::Rest(paths.len());
        (!paths.is_empty()).then_some(Self { paths, reason })
    }
}
