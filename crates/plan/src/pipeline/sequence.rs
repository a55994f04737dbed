//! Operations about how many graphs there are and in which order: `limit_layers`, `split_every`, `flatten` and
//! `reverse`. To them a graph is a list of one, and parts are a list.

use std::num::NonZeroUsize;

use super::graph::Graph;
use super::value::Value;

/// The first graphs stay, and the last of `most` has all others.
pub(super) fn limit_layers(value: Value<'_>, most: NonZeroUsize) -> Value<'_> {
    Value::list(limit(value.flatten(), most))
}

/// The same for graphs in a list.
pub(super) fn limit(mut graphs: Vec<Graph<'_>>, most: NonZeroUsize) -> Vec<Graph<'_>> {
    if graphs.len() > most.get() {
        let others = graphs.split_off(most.get() - 1);
        graphs.push(Graph::join(others));
    }
    graphs
}

/// Of a graph, `count` paths at a time; of several, `count` graphs at a time.
pub(super) fn split_every(value: Value<'_>, count: NonZeroUsize) -> Value<'_> {
    let count = count.get();
    if let Value::Graph(graph) = value {
        let part_of: Vec<usize> = (0..graph.len()).map(|place| place / count).collect();
        let parts = graph.len().div_ceil(count);
        return Value::list(graph.divide(&part_of, parts));
    }
    let mut graphs = value.flatten().into_iter();
    let mut joined = Vec::new();
    while !graphs.as_slice().is_empty() {
        joined.push(Graph::join(graphs.by_ref().take(count)));
    }
    Value::list(joined)
}

/// All graphs in one list.
pub(super) fn flatten(value: Value<'_>) -> Value<'_> {
    Value::list(value.flatten())
}

/// The last first. What is inside stays in its order.
pub(super) fn reverse(mut value: Value<'_>) -> Value<'_> {
    match &mut value {
        Value::Graph(_) => (),
        Value::List(values) => values.reverse(),
        Value::Parts(parts) => parts.parts.reverse(),
    }
    value
}
