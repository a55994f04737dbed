//! `layeringPipeline`: the layers of an image, cut by a list of operations as dockerTools has them.
//!
//! A pipeline begins with one graph of all store paths that are to be cut, ordered by size. Each operation
//! takes what the one before it gave: a graph, a list, or named parts, nested in each other. In the end each
//! graph is a layer, the first the lowest; empty ones are none.
//!
//! | operation | from | to |
//! |---|---|---|
//! | `popularity_contest` | graph | a list of each path alone (`popularity`) |
//! | `split_paths PATHS` | graph | the parts `main`, `common`, `rest` (`split`) |
//! | `subcomponent_out PATHS`, `subcomponent_in PATHS` | graph | the parts `main`, `rest` (`split`) |
//! | `remove_paths PATHS` | graph | graph, without what is to be in no layer (`split`) |
//! | `limit_layers N` | anything | a list of at most N graphs (`sequence`) |
//! | `split_every N` | graph, list | a list of graphs (`sequence`) |
//! | `flatten` | anything | a list of graphs (`sequence`) |
//! | `reverse` | anything | the same backwards (`sequence`) |
//! | `over PART OPERATION` | parts | the same parts, one of them changed |
//! | `map OPERATION` | list, parts | each value changed |
//! | `pipe OPERATIONS` | anything | what they make of it one after the other |
//! | the name of a strategy, and perhaps N | graph | a list of at most N graphs (`strategy`) |
//!
//! What dockerTools fails at is mended: a pipeline may be empty or end in a graph; `reverse` takes parts;
//! `split_every` takes lists; `limit_layers` takes parts and nested lists; `over` a part that there is
//! none of in this closure changes nothing; one path needs no list; names and arguments are checked before
//! anything is cut.

mod count;
mod graph;
mod operation;
mod parse;
mod popularity;
mod run;
mod sequence;
mod split;
#[cfg(test)]
mod tests;
mod value;

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use serde_json::Value;
use strata_error::Result;
use strata_nix::{Closure, Store, StorePath};

use graph::Graph;
use operation::Stage;
use run::CutBy;

pub(super) use run::Cut;

/// A pipeline whose names and arguments are known to be good.
#[derive(Clone, Debug)]
pub struct Pipeline {
    stages: Vec<Stage>,
}

impl Pipeline {
    /// Parses a list of operations as Nix wrote it. Errors name the operation by its place,
    /// `layeringPipeline[1][2]`.
    pub(super) fn parse(value: &Value, store: &Store) -> Result<Self> {
        let stages = parse::pipeline(value, store)?;
        Ok(Self { stages })
    }

    /// Cuts `members`, which are paths of `closure`, into at most `most` layers.
    pub(super) fn cut<'a>(
        &self,
        closure: &Closure,
        members: &BTreeSet<&'a StorePath>,
        most: NonZeroUsize,
        cut_by: &CutBy<'a, '_>,
    ) -> Result<Cut<'a>> {
        run::run(&self.stages, Graph::new(closure, members), most, cut_by)
    }
}
