//! The operations once more, as literally as they are described and as slow as that is: sets of paths and
//! references, recursion, and no order but that of the paths' numbers.

use std::collections::{BTreeMap, BTreeSet};

/// Paths in order, and references among them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Graph {
    pub(super) paths: Vec<usize>,
    pub(super) edges: BTreeSet<(usize, usize)>,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Graph(Graph),
    List(Vec<Value>),
    /// Parts in order, and the names that there could be.
    Parts(Vec<(&'static str, Value)>, &'static [&'static str]),
}

#[derive(Clone, Debug)]
pub(super) enum Operation {
    PopularityContest,
    LimitLayers(usize),
    SplitEvery(usize),
    SplitPaths(Vec<usize>, Vec<usize>),
    SubcomponentOut(Vec<usize>),
    SubcomponentIn(Vec<usize>),
    RemovePaths(Vec<usize>),
    Flatten,
    Reverse,
    Over(&'static str, Box<Operation>),
    Map(Box<Operation>),
    Pipe(Vec<Operation>),
}

impl Graph {
    fn induced(&self, keep: &BTreeSet<usize>) -> Self {
        let both = |(user, used): &&(usize, usize)| keep.contains(user) && keep.contains(used);
        Self {
            paths: self
                .paths
                .iter()
                .filter(|path| keep.contains(path))
                .copied()
                .collect(),
            edges: self.edges.iter().filter(both).copied().collect(),
        }
    }

    fn union(graphs: &[Self]) -> Self {
        Self {
            paths: graphs
                .iter()
                .flat_map(|graph| graph.paths.clone())
                .collect(),
            edges: graphs
                .iter()
                .flat_map(|graph| graph.edges.clone())
                .collect(),
        }
    }

    fn children(&self, path: usize) -> Vec<usize> {
        let own = self.edges.iter().filter(|(user, _)| *user == path);
        own.map(|(_, used)| *used).collect()
    }

    fn all(&self) -> BTreeSet<usize> {
        self.paths.iter().copied().collect()
    }

    fn having(&self, paths: &[usize]) -> BTreeSet<usize> {
        let own = self.all();
        paths
            .iter()
            .copied()
            .filter(|path| own.contains(path))
            .collect()
    }

    /// `starts` and what they need, over edges that `may_use` allows.
    fn below(&self, starts: &BTreeSet<usize>, may_use: &dyn Fn(usize) -> bool) -> BTreeSet<usize> {
        let mut below = starts.clone();
        loop {
            let next = self
                .edges
                .iter()
                .filter(|(user, used)| below.contains(user) && may_use(*used));
            let next: BTreeSet<usize> = next.map(|(_, used)| *used).collect();
            if next.is_subset(&below) {
                return below;
            }
            below.extend(next);
        }
    }

    fn roots(&self) -> BTreeSet<usize> {
        let used: BTreeSet<usize> = self.edges.iter().map(|(_, used)| *used).collect();
        self.all().difference(&used).copied().collect()
    }

    /// For siblings: 1 for each that is the path, and for each that it occurs below, the score among that one's
    /// children and 1.
    fn score(&self, siblings: &[usize], path: usize) -> u128 {
        let mut score = 0;
        for sibling in siblings {
            let children = self.children(*sibling);
            if *sibling == path {
                score += 1;
            } else if self
                .below(&BTreeSet::from([*sibling]), &|_| true)
                .contains(&path)
            {
                score += self.score(&children, path) + 1;
            }
        }
        score
    }
}

pub(super) fn flatten(value: &Value) -> Vec<Graph> {
    match value {
        Value::Graph(graph) => vec![graph.clone()],
        Value::List(values) => values.iter().flat_map(flatten).collect(),
        Value::Parts(parts, _) => parts.iter().flat_map(|(_, value)| flatten(value)).collect(),
    }
}

fn list(graphs: Vec<Graph>) -> Value {
    Value::List(graphs.into_iter().map(Value::Graph).collect())
}

/// What an operation makes of a value; nothing if it does not take that.
pub(super) fn apply(operation: &Operation, value: &Value) -> Option<Value> {
    use Operation as O;
    Some(match (operation, value) {
        (O::PopularityContest, Value::Graph(graph)) => {
            let roots: Vec<usize> = graph.roots().into_iter().collect();
            let mut paths: Vec<(u128, usize)> = graph
                .paths
                .iter()
                .map(|path| (graph.score(&roots, *path), *path))
                .collect();
            paths.sort_by(|(score, path), (other_score, other)| {
                other_score.cmp(score).then(path.cmp(other))
            });
            let alone = |(_, path): &(u128, usize)| graph.induced(&BTreeSet::from([*path]));
            list(paths.iter().map(alone).collect())
        }
        (O::LimitLayers(most), value) => {
            let graphs = flatten(value);
            if graphs.len() <= *most {
                return Some(Value::List(graphs.into_iter().map(Value::Graph).collect()));
            }
            let kept = most - 1;
            let rest = Graph::union(&graphs[kept..]);
            list(graphs[..kept].iter().cloned().chain([rest]).collect())
        }
        (O::SplitEvery(count), Value::Graph(graph)) => {
            let chunks = graph.paths.chunks(*count);
            list(
                chunks
                    .map(|chunk| graph.induced(&chunk.iter().copied().collect()))
                    .collect(),
            )
        }
        (O::SplitEvery(count), Value::List(_)) => {
            list(flatten(value).chunks(*count).map(Graph::union).collect())
        }
        (O::SplitPaths(paths, parents), Value::Graph(graph)) => split(graph, paths, parents),
        (O::SubcomponentOut(paths), Value::Graph(graph)) => {
            two(graph, &graph.below(&graph.having(paths), &|_| true))
        }
        (O::SubcomponentIn(paths), Value::Graph(graph)) => {
            let turned = Graph {
                paths: graph.paths.clone(),
                edges: graph
                    .edges
                    .iter()
                    .map(|(user, used)| (*used, *user))
                    .collect(),
            };
            two(graph, &turned.below(&graph.having(paths), &|_| true))
        }
        (O::RemovePaths(paths), Value::Graph(graph)) => {
            let kept = graph
                .all()
                .difference(&graph.having(paths))
                .copied()
                .collect();
            Value::Graph(graph.induced(&kept))
        }
        (O::Flatten, value) => list(flatten(value)),
        (O::Reverse, Value::List(values)) => Value::List(values.iter().rev().cloned().collect()),
        (O::Reverse, Value::Parts(parts, known)) => {
            Value::Parts(parts.iter().rev().cloned().collect(), known)
        }
        (O::Reverse, Value::Graph(_)) => value.clone(),
        (O::Over(name, inner), Value::Parts(parts, known)) if known.contains(name) => {
            let parts = parts.iter().map(|(part, value)| {
                if part == name {
                    Some((*part, apply(inner, value)?))
                } else {
                    Some((*part, value.clone()))
                }
            });
            Value::Parts(parts.collect::<Option<_>>()?, known)
        }
        (O::Map(inner), Value::List(values)) => Value::List(
            values
                .iter()
                .map(|value| apply(inner, value))
                .collect::<Option<_>>()?,
        ),
        (O::Map(inner), Value::Parts(parts, known)) => {
            let parts = parts
                .iter()
                .map(|(part, value)| Some((*part, apply(inner, value)?)));
            Value::Parts(parts.collect::<Option<_>>()?, known)
        }
        (O::Pipe(operations), value) => {
            let mut value = value.clone();
            for operation in operations {
                value = apply(operation, &value)?;
            }
            value
        }
        _ => return None,
    })
}

fn two(graph: &Graph, main: &BTreeSet<usize>) -> Value {
    let rest = graph.all().difference(main).copied().collect();
    let parts = vec![
        ("main", Value::Graph(graph.induced(main))),
        ("rest", Value::Graph(graph.induced(&rest))),
    ];
    Value::Parts(parts, &["main", "rest"])
}

/// With a root above all roots, from which paths are reached once nothing leads to the split paths any more.
fn split(graph: &Graph, paths: &[usize], parents: &[usize]) -> Value {
    const NAMES: &[&str] = &["main", "common", "rest"];
    let mut at = graph.having(paths);
    at.extend(
        graph
            .having(parents)
            .into_iter()
            .flat_map(|parent| graph.children(parent)),
    );
    if at.is_empty() {
        return Value::Parts(vec![("rest", Value::Graph(graph.clone()))], NAMES);
    }
    let below = graph.below(&at, &|_| true);
    let starts: BTreeSet<usize> = graph.roots().difference(&at).copied().collect();
    let reached = graph.below(&starts, &|path| !at.contains(&path));
    let common: BTreeSet<usize> = below.intersection(&reached).copied().collect();
    let parts = BTreeMap::from([
        (
            0,
            below.difference(&common).copied().collect::<BTreeSet<_>>(),
        ),
        (1, common.clone()),
        (2, reached.difference(&common).copied().collect()),
    ]);
    let parts = parts.into_iter().filter(|(_, paths)| !paths.is_empty());
    let parts = parts.map(|(number, paths)| (NAMES[number], Value::Graph(graph.induced(&paths))));
    Value::Parts(parts.collect(), NAMES)
}
