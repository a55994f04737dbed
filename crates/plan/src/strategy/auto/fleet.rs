//! Images that live together: what several have lies in layers that several have.
//!
//! A layer is shared only if its paths are the same in each image. So the paths that are in the same images are
//! grouped first, over all images at once, where that costs little at updates; each group is a layer in each of those
//! images, as far as there is room. What an image has to merge beyond that costs it what others have as it was.

use std::collections::{BTreeMap, BTreeSet};

use super::super::graph::{Graph, Node};
use super::super::request::Request;
use super::cost::Costs;
use super::merge::{Goal, Start, merge};
use super::samples::Samples;
use super::setup;
use super::weights::PRICE;

/// Paths of the same images are grouped while that costs less than so many bytes at each update. Three layers' price:
/// with less, fleets send more (of 24 images 3.1 % too much with one, 2.3 % with three); with eight, updates of single
/// images send a third more.
const TOGETHER: i64 = 3 * PRICE;

/// Groups of paths that are in the same images, of which there are several.
pub(super) fn groups(requests: &[Request<'_>]) -> Vec<Vec<String>> {
    let mut nodes: BTreeMap<&str, Node<'_>> = BTreeMap::new();
    let mut images: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut roots = BTreeSet::new();
    for (image, request) in requests.iter().enumerate() {
        let graph = request.graph;
        for path in graph.all() {
            nodes
                .entry(graph.path(path))
                .or_insert_with(|| node(graph, path));
        }
        for path in request.members {
            images.entry(graph.path(*path)).or_default().push(image);
        }
        roots.extend(setup::tops(request).iter().map(|root| graph.path(*root)));
    }
    // Of one path all images have the same references; what one leaves out another may have.
    let known: BTreeSet<String> = nodes.keys().map(|path| (*path).to_owned()).collect();
    for node in nodes.values_mut() {
        node.references.retain(|path| known.contains(&**path));
    }
    let Ok(union) = Graph::new(nodes.into_values().collect()) else {
        return Vec::new();
    };
    let tops: Vec<u32> = roots.iter().filter_map(|root| union.find(root)).collect();
    let layers = requests
        .iter()
        .map(|request| request.budget.most())
        .max()
        .unwrap_or(1);
    let samples = Samples::new(&union, &tops, &[]);
    let costs = Costs::new(&union, samples, tops.len(), &[], layers);
    let mut classes: BTreeMap<&[usize], u32> = BTreeMap::new();
    let is_top = vec![false; union.len()];
    let mut starts = Vec::new();
    for path in costs.canonical() {
        let Some(images) = images.get(union.path(*path)) else {
            continue;
        };
        if images.len() > 1 && tops.binary_search(path).is_err() {
            let next = u32::try_from(classes.len()).unwrap_or(u32::MAX);
            let class = *classes.entry(images).or_insert(next);
            let group = costs.unshared(vec![*path], &is_top);
            starts.push(Start { group, class });
        }
    }
    let goal = Goal {
        layers: starts.len(),
        price: costs.of_bytes(TOGETHER),
    };
    let merged = merge(&union, &costs, starts, &goal);
    let names = merged.into_iter().map(|start| {
        let members = start.group.members.iter();
        members.map(|path| union.path(*path).to_owned()).collect()
    });
    names.collect()
}

fn node(graph: &Graph, path: u32) -> Node<'_> {
    let references = graph.references(path).iter();
    Node {
        path: graph.path(path).into(),
        size: graph.size(path),
        references: references.map(|path| graph.path(*path).into()).collect(),
    }
}
