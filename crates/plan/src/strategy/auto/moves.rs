//! Moves of single paths between layers, since merging two by two never takes anything back.

use super::super::graph::Graph;
use super::cost::{Costs, Group};
use super::merge::Start;

/// At most so many passes over all paths: a third finds next to nothing.
const PASSES: usize = 2;

/// A layer while paths move.
struct Layer {
    start: Start,
    /// The bits that only one member has.
    once: Vec<u64>,
}

/// Moves each path of a layer with several to the layer of its class where the whole costs least.
pub(super) fn improve(
    graph: &Graph,
    costs: &Costs,
    layers: Vec<Start>,
    is_top: &[bool],
    may_move: &[bool],
) -> Vec<Start> {
    let mut layers: Vec<Layer> = layers
        .into_iter()
        .map(|start| Layer {
            once: costs.once(&start.group),
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
            if !may_move[*path as usize] || layers[from].start.group.members.len() < 2 {
                continue;
            }
            let alone = costs.group(vec![*path], is_top);
            if let Some(to) = target(costs, &layers, from, &alone) {
                layer_of[*path as usize] = Some(to);
                move_path(costs, &mut layers, [from, to], *path, is_top);
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
    let path = alone.members[0];
    let left = costs.without(&source.start.group, &source.once, path);
    let saved = source.start.group.cost - left - alone.cost;
    let mut found = None;
    let mut least = saved;
    for (number, layer) in layers.iter().enumerate() {
        if number != from && layer.start.class == source.start.class {
            let added = costs.merging(&layer.start.group, alone);
            if added < least {
                (found, least) = (Some(number), added);
            }
        }
    }
    found
}

fn move_path(
    costs: &Costs,
    layers: &mut [Layer],
    [from, to]: [usize; 2],
    path: u32,
    is_top: &[bool],
) {
    let mut left = std::mem::take(&mut layers[from].start.group.members);
    left.retain(|other| *other != path);
    let mut more = std::mem::take(&mut layers[to].start.group.members);
    more.push(path);
    for (layer, members) in [(from, left), (to, more)] {
        let group = costs.group(members, is_top);
        layers[layer].once = costs.once(&group);
        layers[layer].start.group = group;
    }
}
