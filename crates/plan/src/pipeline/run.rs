//! The stages one after the other, and what is to be said of them.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use strata_error::{Error, Result};
use strata_nix::{StorePath, StrategyName};

use super::graph::Graph;
use super::operation::{OfGraph, Operation, Stage};
use super::parse::{ATTRIBUTE, error};
use super::popularity;
use super::sequence;
use super::split::{self, Direction};
use super::value::{Part, Value};

/// A strategy that cuts paths into at most so many layers, lowest first.
pub(crate) type CutBy<'a, 'b> =
    dyn Fn(StrategyName, &BTreeSet<&'a StorePath>, Option<NonZeroUsize>) -> Layers<'a> + 'b;

/// Store paths in layers, lowest first.
pub(crate) type Layers<'a> = Vec<Vec<&'a StorePath>>;

/// What a pipeline made.
pub(crate) struct Cut<'a> {
    /// The layers. A path that the pipeline removed is in none, every other in exactly one.
    pub(crate) layers: Layers<'a>,
    /// What it did that nobody may have meant.
    pub(crate) warnings: Vec<String>,
}

/// Runs `stages` on `graph`; the result has at most `most` layers.
pub(super) fn run<'a>(
    stages: &[Stage],
    graph: Graph<'a>,
    most: NonZeroUsize,
    cut_by: &CutBy<'a, '_>,
) -> Result<Cut<'a>> {
    let mut run = Run {
        cut_by,
        found: BTreeMap::new(),
    };
    let mut layers = run.pipe(stages, Value::Graph(graph))?.flatten();
    layers.retain(|layer| !layer.is_empty());
    let mut warnings: Vec<String> = run.not_found().map(matches_nothing).collect();
    if layers.len() > most.get() {
        warnings.push(too_many(layers.len(), most));
        layers = sequence::limit(layers, most);
    }
    let layers = layers.iter().map(|layer| layer.paths().to_vec()).collect();
    Ok(Cut { layers, warnings })
}

struct Run<'a, 'r> {
    cut_by: &'r CutBy<'a, 'r>,
    /// Which operations that look for paths were run, by their places, and whether they found any.
    found: BTreeMap<&'r str, (&'r str, bool)>,
}

impl<'a, 'r> Run<'a, 'r> {
    fn pipe(&mut self, stages: &'r [Stage], value: Value<'a>) -> Result<Value<'a>> {
        stages
            .iter()
            .try_fold(value, |value, stage| self.apply(stage, value))
    }

    /// What a stage makes of a value. Stages are nested at most as deep as `parse` allows.
    fn apply(&mut self, stage: &'r Stage, value: Value<'a>) -> Result<Value<'a>> {
        match &stage.operation {
            Operation::OfGraph(operation) => match value {
                Value::Graph(graph) => Ok(self.cut(stage, operation, graph)),
                value => Err(takes_no(stage, "a graph", &value)),
            },
            Operation::LimitLayers(most) => Ok(sequence::limit_layers(value, *most)),
            Operation::SplitEvery(count) => match value {
                Value::Parts(_) => Err(takes_no(stage, "a graph or a list", &value)),
                value => Ok(sequence::split_every(value, *count)),
            },
            Operation::Flatten => Ok(sequence::flatten(value)),
            Operation::Reverse => Ok(sequence::reverse(value)),
            Operation::Over(part, inner) => self.over(stage, *part, inner, value),
            Operation::Map(inner) => self.map(stage, inner, value),
            Operation::Pipe(stages) => self.pipe(stages, value),
        }
    }

    fn cut(&mut self, stage: &'r Stage, operation: &OfGraph, graph: Graph<'a>) -> Value<'a> {
        let (value, found) = match operation {
            OfGraph::PopularityContest => return popularity::contest(graph),
            OfGraph::Strategy(name, most) => return self.strategy(*name, *most, graph),
            OfGraph::SplitPaths(split) => split::split_paths(graph, split),
            OfGraph::SubcomponentOut(paths) => split::subcomponent(graph, paths, Direction::Out),
            OfGraph::SubcomponentIn(paths) => split::subcomponent(graph, paths, Direction::In),
            OfGraph::RemovePaths(paths) => split::remove_paths(graph, paths),
        };
        if operation.names_paths() {
            let entry = self.found.entry(&stage.at).or_insert((&stage.name, false));
            entry.1 |= found;
        }
        value
    }

    fn strategy(
        &self,
        name: StrategyName,
        most: Option<NonZeroUsize>,
        graph: Graph<'a>,
    ) -> Value<'a> {
        let members: BTreeSet<&StorePath> = graph.paths().iter().copied().collect();
        let layers = (self.cut_by)(name, &members, most);
        let mut layer_of: BTreeMap<&StorePath, usize> = BTreeMap::new();
        for (number, layer) in layers.iter().enumerate() {
            layer_of.extend(layer.iter().map(|path| (*path, number)));
        }
        // A path that a strategy forgot would be lost: it goes on top.
        let top = layers.len();
        let part_of = |path: &&StorePath| layer_of.get(path).copied().unwrap_or(top);
        let part_of: Vec<usize> = graph.paths().iter().map(part_of).collect();
        let mut parts = graph.divide(&part_of, top + 1);
        parts.retain(|part| !part.is_empty());
        Value::list(parts)
    }

    fn over(
        &mut self,
        stage: &'r Stage,
        part: Part,
        inner: &'r Stage,
        value: Value<'a>,
    ) -> Result<Value<'a>> {
        let Value::Parts(mut parts) = value else {
            return Err(takes_no(stage, "named parts", &value));
        };
        if !parts.known.contains(&part) {
            let known: Vec<&str> = parts.known.iter().map(|part| part.name()).collect();
            return Err(error(
                &format!("{}[1]", stage.at),
                format!("there is no part {:?} at this place", part.name()),
                &format!("the parts here are {}", known.join(" and ")),
            ));
        }
        let place = parts.parts.iter().position(|(name, _)| *name == part);
        if let Some(place) = place {
            let (_, value) = parts.parts.remove(place);
            let value = self.apply(inner, value)?;
            parts.parts.insert(place, (part, value));
        }
        Ok(Value::Parts(parts))
    }

    fn map(&mut self, stage: &'r Stage, inner: &'r Stage, value: Value<'a>) -> Result<Value<'a>> {
        match value {
            Value::List(values) => {
                let values = values.into_iter().map(|value| self.apply(inner, value));
                Ok(Value::List(values.collect::<Result<_>>()?))
            }
            Value::Parts(mut parts) => {
                let values = parts.parts.into_iter();
                let values = values.map(|(part, value)| Ok((part, self.apply(inner, value)?)));
                parts.parts = values.collect::<Result<_>>()?;
                Ok(Value::Parts(parts))
            }
            Value::Graph(_) => Err(takes_no(stage, "a list or named parts", &value)),
        }
    }

    /// The operations that found none of their paths, with their places.
    fn not_found(&self) -> impl Iterator<Item = (&'r str, &'r str)> {
        let missed = self.found.iter().filter(|(_, (_, found))| !found);
        missed.map(|(at, (name, _))| (*at, *name))
    }
}

/// An operation cannot do anything with what the stage before it gave.
fn takes_no(stage: &Stage, expected: &str, found: &Value<'_>) -> Error {
    let name = &stage.name;
    let hint = match (&stage.operation, found) {
        (Operation::Over(..), _) => {
            "put split_paths, subcomponent_out or subcomponent_in before it; they make parts".into()
        }
        (Operation::Map(_), _) => "write the operation without map".into(),
        (_, Value::Parts(_)) => {
            format!("say for which part it is, as in [ \"over\" \"rest\" [ {name:?} .. ] ]")
        }
        _ => format!("to do it with each of them, write [ \"map\" [ {name:?} .. ] ]"),
    };
    let message = format!("{name} takes {expected}, found {found}");
    error(&stage.at, message, &hint)
}

fn matches_nothing((at, name): (&str, &str)) -> String {
    format!(
        "warning: {at}: {name} finds none of its paths\n\
         hint: only paths count that are in the image, in no layer below, and in what the operation is applied to"
    )
}

fn too_many(count: usize, most: NonZeroUsize) -> String {
    format!(
        "warning: {ATTRIBUTE}: it makes {count} layers, and there is room for {most}; the last one holds the rest\n\
         hint: end it with [ \"limit_layers\" {most} ], or a smaller number"
    )
}
