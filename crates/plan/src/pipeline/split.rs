//! Operations that cut a graph along store paths: `split_paths`, `subcomponent_out`, `subcomponent_in` and
//! `remove_paths`. Each tells whether it found any of the paths that it was given.

use std::collections::BTreeSet;

use strata_nix::StorePath;

use super::graph::{Graph, reach};
use super::operation::Split;
use super::value::{Part, Parts, Value};

/// Cuts off the named paths with what they need.
///
/// `main` is what only they need, they included; `common` what they and the others need; `rest` the others. A
/// named path never is `common`, even if others need it. Parts that would be empty are left out.
pub(super) fn split_paths<'a>(graph: Graph<'a>, split: &Split) -> (Value<'a>, bool) {
    let mut named: BTreeSet<usize> = graph.find(&split.paths).into_iter().collect();
    for parent in graph.find(&split.children_of) {
        named.extend(&graph.references()[parent]);
    }
    let known = &Part::ALL;
    if named.is_empty() {
        let parts = vec![(Part::Rest, Value::Graph(graph))];
        return (Value::Parts(Parts { known, parts }), false);
    }
    let starts: Vec<usize> = named.iter().copied().collect();
    let is_below = reach(graph.references(), &starts, |_| true);
    let others: Vec<usize> = (0..graph.len()).filter(|place| !is_below[*place]).collect();
    let is_needed = reach(graph.references(), &others, |place| !named.contains(&place));
    let part_of = |place: usize| match (is_below[place], is_needed[place]) {
        (true, false) => Part::Main,
        (true, true) => Part::Common,
        (false, _) => Part::Rest,
    };
    let mut parts = divide(graph, part_of);
    parts.retain(|(_, graph)| !graph.is_empty());
    (named_parts(known, parts), true)
}

/// Which way `subcomponent` follows references.
#[derive(Clone, Copy)]
pub(super) enum Direction {
    /// To what paths need.
    Out,
    /// To what needs them.
    In,
}

/// Cuts off the named paths with all that references lead to in one direction: `main` and `rest`, also if one of
/// them is empty.
pub(super) fn subcomponent<'a>(
    graph: Graph<'a>,
    paths: &BTreeSet<StorePath>,
    direction: Direction,
) -> (Value<'a>, bool) {
    const KNOWN: &[Part] = &[Part::Main, Part::Rest];
    let named = graph.find(paths);
    let is_main = match direction {
        Direction::Out => reach(graph.references(), &named, |_| true),
        Direction::In => reach(&graph.users(), &named, |_| true),
    };
    let part_of = |place: usize| {
        if is_main[place] {
            Part::Main
        } else {
            Part::Rest
        }
    };
    let mut parts = divide(graph, part_of);
    parts.retain(|(part, _)| KNOWN.contains(part));
    (named_parts(KNOWN, parts), !named.is_empty())
}

/// The graph without the named paths: they are in no layer.
pub(super) fn remove_paths<'a>(graph: Graph<'a>, paths: &BTreeSet<StorePath>) -> (Value<'a>, bool) {
    let before = graph.len();
    let removed: BTreeSet<usize> = graph.find(paths).into_iter().collect();
    let part_of: Vec<usize> = (0..before)
        .map(|place| usize::from(removed.contains(&place)))
        .collect();
    let kept = graph.divide(&part_of, 2).swap_remove(0);
    let found = kept.len() < before;
    (Value::Graph(kept), found)
}

/// All parts of a graph, each in its place in [`Part::ALL`].
fn divide(graph: Graph<'_>, part_of: impl Fn(usize) -> Part) -> Vec<(Part, Graph<'_>)> {
    let part_of: Vec<usize> = (0..graph.len())
        .map(|place| part_of(place) as usize)
        .collect();
    let graphs = graph.divide(&part_of, Part::ALL.len());
    Part::ALL.into_iter().zip(graphs).collect()
}

fn named_parts<'a>(known: &'static [Part], parts: Vec<(Part, Graph<'a>)>) -> Value<'a> {
    let parts = parts
        .into_iter()
        .map(|(part, graph)| (part, Value::Graph(graph)))
        .collect();
    Value::Parts(Parts { known, parts })
}
