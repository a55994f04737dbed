//! Moves of single paths between layers, since merging two by two never takes anything back.

use super::super::graph::Graph;
use super::cost::{Costs, Group, Tally};
use super::merge::Start;

/// At most so many passes over all paths: a third finds next to nothing.
const PASSES: usize = 2;

/// No moves where there are more pairs of a path and a layer, which only plans for no engine have: a second or so.
const MOST_PAIRS: usize = 1 << 24;

/// A layer while paths move.
struct Layer {
    start: Start,
    tally: Tally,
}

/// Moves each path of a layer with several to the layer of its class where the whole costs least.
pub(super) fn improve(
    graph: &Graph,
    costs: &Costs,
    layers: Vec<Start>,
    is_top: &[bool],
    may_move: &[bool],
) -> Vec<Start> {
    let paths: usize = layers.iter().map(|layer| layer.group.members.len()).sum();
    if paths.saturating_mul(layers.len()) > MOST_PAIRS {
        return layers;
    }
    let mut layers: Vec<Layer> = layers
        .into_iter()
        .map(|start| Layer {
            tally: costs.tally(&start.group),
            start,
        })
        .collect();
    let mut layer_of = vec![None; graph.len()];
    for (number, layer) in layers.iter().enumerate() {
        for path in &layer.start.group.members {
            layer_of[*path as usize] = Some(number);
        }
    }
    for _ in 0..PASSES {
        let mut has_moved = false;
        for path in costs.canonical() {
            let Some(from) = layer_of[*path as usize] else {
                continue;
            };
            if !may_move[*path as usize]
                || layers[from].start.group.members.len() < 2
                || layers[from].start.group.is_shared_whole()
            {
                continue;
            }
            let alone = costs.group(vec![*path], is_top, false);
            if let Some(to) = target(costs, &layers, from, &alone) {
                layer_of[*path as usize] = Some(to);
                let Layer { start, tally } = &mut layers[from];
                costs.take(&mut start.group, tally, &alone);
                let Layer { start, tally } = &mut layers[to];
                costs.put(&mut start.group, tally, &alone);
                has_moved = true;
            }
        }
        if !has_moved {
            break;
        }
    }
    layers.into_iter().map(|layer| layer.start).collect()
}

/// Where the total falls most, the first of several.
fn target(costs: &Costs, layers: &[Layer], from: usize, alone: &Group) -> Option<usize> {
    let source = &layers[from];
    let left = costs.without(&source.start.group, &source.tally, alone);
    let saved = source.start.group.cost - left - alone.cost;
    let mut found = None;
    let mut least = saved;
    for (number, layer) in layers.iter().enumerate() {
        let may_join = number != from && layer.start.class == source.start.class;
        if may_join && !layer.start.group.is_shared_whole() {
            let added = costs.merging(&layer.start.group, alone);
            if added < least {
                (found, least) = (Some(number), added);
            }
        }
    }
    found
}
