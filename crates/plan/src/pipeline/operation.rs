//! The operations, as far as they are known before there is a graph.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use strata_nix::{StorePath, StrategyName};

use super::value::Part;

/// A step of a pipeline.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    /// Where it is written: `layeringPipeline[0]`, or `layeringPipeline[1][2]` for one inside another.
    pub(super) at: String,
    /// The operation's name.
    pub(super) name: String,
    /// What it does.
    pub(super) operation: Operation,
}

/// What a step does. The table of the operations is in the documentation of the parent module.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    OfGraph(OfGraph),
    LimitLayers(NonZeroUsize),
    SplitEvery(NonZeroUsize),
    Flatten,
    Reverse,
    Over(Part, Box<Stage>),
    Map(Box<Stage>),
    Pipe(Vec<Stage>),
}

/// An operation that takes nothing but a graph.
#[derive(Clone, Debug)]
pub(super) enum OfGraph {
    PopularityContest,
    SplitPaths(Split),
    SubcomponentOut(BTreeSet<StorePath>),
    SubcomponentIn(BTreeSet<StorePath>),
    RemovePaths(BTreeSet<StorePath>),
    /// A strategy of Strata, with the most layers that it may make.
    Strategy(StrategyName, Option<NonZeroUsize>),
}

/// Where `split_paths` cuts.
#[derive(Clone, Debug, Default)]
pub(super) struct Split {
    /// At these paths.
    pub(super) paths: BTreeSet<StorePath>,
    /// At all that these paths refer to.
    pub(super) children_of: BTreeSet<StorePath>,
}

impl OfGraph {
    /// Whether it looks for paths, and has to find some.
    pub(super) fn names_paths(&self) -> bool {
        match self {
            Self::PopularityContest | Self::Strategy(..) => false,
            Self::SplitPaths(split) => !split.paths.is_empty() || !split.children_of.is_empty(),
            Self::SubcomponentOut(paths)
            | Self::SubcomponentIn(paths)
            | Self::RemovePaths(paths) => !paths.is_empty(),
        }
    }
}
