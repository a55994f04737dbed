//! What stages hand on: a graph, or graphs in lists and under names.

use std::fmt;

use super::graph::Graph;

/// What a stage gives.
#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    /// Store paths that are together as yet.
    Graph(Graph<'a>),
    /// Values in order.
    List(Vec<Value<'a>>),
    /// Values with names.
    Parts(Parts<'a>),
}

/// The parts that an operation cut a graph into.
#[derive(Clone, Debug)]
pub(super) struct Parts<'a> {
    /// The names that the operation knows. It leaves out parts that would be empty.
    pub(super) known: &'static [Part],
    /// The parts in order.
    pub(super) parts: Vec<(Part, Value<'a>)>,
}

/// The name of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// What was asked for.
    Main,
    /// What both sides need.
    Common,
    /// The others.
    Rest,
}

impl Part {
    /// All of them, in order.
    pub(super) const ALL: [Self; 3] = [Self::Main, Self::Common, Self::Rest];

    /// How it is written.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Common => "common",
            Self::Rest => "rest",
        }
    }
}

impl<'a> Value<'a> {
    /// The graphs in it, in order, empty ones included.
    ///
    /// Values are at most as deep as operations are nested (`parse::DEEPEST`): only what is done to each
    /// value of a list or to a part makes it deeper.
    pub(super) fn flatten(self) -> Vec<Graph<'a>> {
        let mut graphs = Vec::new();
        self.flatten_into(&mut graphs);
        graphs
    }

    fn flatten_into(self, graphs: &mut Vec<Graph<'a>>) {
        match self {
            Self::Graph(graph) => graphs.push(graph),
            Self::List(values) => values
                .into_iter()
                .for_each(|value| value.flatten_into(graphs)),
            Self::Parts(parts) => parts
                .parts
                .into_iter()
                .for_each(|(_, value)| value.flatten_into(graphs)),
        }
    }

    /// Graphs as a list.
    pub(super) fn list(graphs: Vec<Graph<'a>>) -> Self {
        Self::List(graphs.into_iter().map(Self::Graph).collect())
    }
}

/// What it is, for messages.
impl fmt::Display for Value<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Graph(_) => formatter.write_str("a graph"),
            Self::List(values) => write!(formatter, "a list of {}", values.len()),
            Self::Parts(parts) => {
                let names: Vec<_> = parts.parts.iter().map(|(part, _)| part.name()).collect();
                write!(formatter, "the parts {}", names.join(", "))
            }
        }
    }
}
