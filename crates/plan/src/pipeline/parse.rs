//! From a pipeline as Nix wrote it to operations whose names and arguments are known to be good.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use serde_json::{Map, Value};
use strata_error::{Error, Result, printable};
use strata_nix::{Store, StorePath, StrategyName};

use super::operation::{OfGraph, Operation, Split, Stage};
use super::value::Part;

/// The argument's name.
pub(super) const ATTRIBUTE: &str = "layeringPipeline";

/// How deep operations may be nested in `over`, `map` and `pipe`.
const DEEPEST: usize = 32;

/// How the operations are written, by their names. Strategies have names of their own.
const OPERATIONS: [(&str, &str); 12] = [
    ("popularity_contest", r#"[ "popularity_contest" ]"#),
    ("split_paths", r#"[ "split_paths" [ pkgs.hello ] ]"#),
    (
        "subcomponent_out",
        r#"[ "subcomponent_out" [ pkgs.hello ] ]"#,
    ),
    ("subcomponent_in", r#"[ "subcomponent_in" [ pkgs.hello ] ]"#),
    ("remove_paths", r#"[ "remove_paths" [ pkgs.hello ] ]"#),
    ("limit_layers", r#"[ "limit_layers" 50 ]"#),
    ("split_every", r#"[ "split_every" 10 ]"#),
    ("flatten", r#"[ "flatten" ]"#),
    ("reverse", r#"[ "reverse" ]"#),
    ("over", r#"[ "over" "rest" [ "popularity_contest" ] ]"#),
    ("map", r#"[ "map" [ "split_every" 10 ] ]"#),
    (
        "pipe",
        r#"[ "pipe" [ [ "popularity_contest" ] [ "limit_layers" 50 ] ] ]"#,
    ),
];

/// Parses a list of operations.
pub(super) fn pipeline(value: &Value, store: &Store) -> Result<Vec<Stage>> {
    Parser { store }.stages(value, ATTRIBUTE, 0)
}

struct Parser<'a> {
    store: &'a Store,
}

impl Parser<'_> {
    fn stages(&self, value: &Value, at: &str, depth: usize) -> Result<Vec<Stage>> {
        let Value::Array(stages) = value else {
            return Err(error(
                at,
                format!("expected a list of operations, found {}", describe(value)),
                r#"write them as in [ [ "popularity_contest" ] [ "limit_layers" 50 ] ]"#,
            ));
        };
        let stage = |(number, stage)| self.stage(stage, format!("{at}[{number}]"), depth);
        stages.iter().enumerate().map(stage).collect()
    }

    fn stage(&self, value: &Value, at: String, depth: usize) -> Result<Stage> {
        let words = value.as_array().and_then(|words| words.split_first());
        let Some((Value::String(name), arguments)) = words else {
            let hint = match value {
                Value::String(name) => format!("write it in brackets, as in [ {name:?} ]"),
                _ => r#"write its name and its arguments, as in [ "limit_layers" 50 ]"#.into(),
            };
            let found = match words {
                Some(_) => "a list that begins with no name".into(),
                None => describe(value),
            };
            let message = format!("expected an operation, found {found}");
            return Err(error(&at, message, &hint));
        };
        if depth > DEEPEST {
            return Err(error(
                &at,
                format!("is nested more than {DEEPEST} operations deep"),
                "write the operations one after the other",
            ));
        }
        let operation = self.operation(name, arguments, &at, depth)?;
        Ok(Stage {
            at,
            name: name.clone(),
            operation,
        })
    }

    fn operation(
        &self,
        name: &str,
        arguments: &[Value],
        at: &str,
        depth: usize,
    ) -> Result<Operation> {
        let known = OPERATIONS.iter().find(|(known, _)| *known == name);
        let Some((name, example)) = known.copied() else {
            return strategy(name, arguments, at);
        };
        let arguments = Arguments {
            name,
            at,
            example,
            values: arguments,
        };
        let nested = |value: &Value, place: usize| {
            let stage = self.stage(value, format!("{at}[{place}]"), depth + 1);
            stage.map(Box::new)
        };
        Ok(match name {
            "limit_layers" => Operation::LimitLayers(arguments.count()?),
            "split_every" => Operation::SplitEvery(arguments.count()?),
            "over" => {
                let [part, inner] = arguments.take()?;
                Operation::Over(arguments.part(part)?, nested(inner, 2)?)
            }
            "map" => {
                let [inner] = arguments.take()?;
                Operation::Map(nested(inner, 1)?)
            }
            "pipe" => {
                let [stages] = arguments.take()?;
                Operation::Pipe(self.stages(stages, &format!("{at}[1]"), depth + 1)?)
            }
            "split_paths" => Operation::OfGraph(OfGraph::SplitPaths(self.split(&arguments)?)),
            "subcomponent_out" => {
                Operation::OfGraph(OfGraph::SubcomponentOut(self.paths(&arguments)?))
            }
            "subcomponent_in" => {
                Operation::OfGraph(OfGraph::SubcomponentIn(self.paths(&arguments)?))
            }
            "remove_paths" => Operation::OfGraph(OfGraph::RemovePaths(self.paths(&arguments)?)),
            "flatten" => arguments.none(Operation::Flatten)?,
            "reverse" => arguments.none(Operation::Reverse)?,
            // The only one that is left of `OPERATIONS`.
            _ => arguments.none(Operation::OfGraph(OfGraph::PopularityContest))?,
        })
    }

    /// The only argument as store paths: one, or a list of them.
    fn paths(&self, arguments: &Arguments<'_>) -> Result<BTreeSet<StorePath>> {
        let [value] = arguments.take()?;
        self.path_list(value, &format!("{}[1]", arguments.at))
    }

    fn path_list(&self, value: &Value, at: &str) -> Result<BTreeSet<StorePath>> {
        let Value::Array(values) = value else {
            return Ok(BTreeSet::from([self.path(value, at)?]));
        };
        let path = |(number, value)| self.path(value, &format!("{at}[{number}]"));
        values.iter().enumerate().map(path).collect()
    }

    /// A store path, also by the name of something inside.
    fn path(&self, value: &Value, at: &str) -> Result<StorePath> {
        let hint = "give a package, or a path that Nix has copied to the store";
        let Value::String(path) = value else {
            let message = format!("expected a store path, found {}", describe(value));
            return Err(error(at, message, hint));
        };
        let parsed = self.store.parse_below(path);
        let (path, _) = parsed.map_err(|message| error(at, message, hint))?;
        Ok(path)
    }

    fn split(&self, arguments: &Arguments<'_>) -> Result<Split> {
        let [value] = arguments.take()?;
        let at = format!("{}[1]", arguments.at);
        let mut split = Split::default();
        match value {
            Value::Array(values) => {
                for (number, value) in values.iter().enumerate() {
                    self.split_at(value, &format!("{at}[{number}]"), &mut split)?;
                }
            }
            value => self.split_at(value, &at, &mut split)?,
        }
        Ok(split)
    }

    fn split_at(&self, value: &Value, at: &str, split: &mut Split) -> Result<()> {
        let Value::Object(object) = value else {
            split.paths.insert(self.path(value, at)?);
            return Ok(());
        };
        let parents = children_of(object).ok_or_else(|| {
            error(
                at,
                "is neither a store path nor { children_of = ..; }".into(),
                "write a package, or { children_of = pkgs.hello; } for all that it refers to",
            )
        })?;
        let parents = self.path_list(parents, &format!("{at}.children_of"))?;
        split.children_of.extend(parents);
        Ok(())
    }
}

/// What `{ children_of = ..; }` names, if that is what it is.
fn children_of(object: &Map<String, Value>) -> Option<&Value> {
    let parents = object.get("children_of")?;
    (object.len() == 1).then_some(parents)
}

/// An operation that is called like a strategy.
fn strategy(name: &str, arguments: &[Value], at: &str) -> Result<Operation> {
    let parsed = serde_json::from_value::<StrategyName>(name.into());
    let strategy = parsed.map_err(|unknown| {
        // The only place that knows all names is the type; it lists them behind "expected".
        let unknown = unknown.to_string();
        let strategies = unknown.split_once("expected ").map_or("", |(_, rest)| rest);
        let strategies = strategies.trim_start_matches("one of ").replace('`', "");
        let operations: Vec<&str> = OPERATIONS.iter().map(|(name, _)| *name).collect();
        error(
            at,
            format!("there is no operation {:?}", printable(name)),
            &format!(
                "write one of {}, or a strategy: {strategies}",
                operations.join(", ")
            ),
        )
    })?;
    let example = format!("[ {name:?} ] or [ {name:?} 20 ]");
    let arguments = Arguments {
        name,
        at,
        example: &example,
        values: arguments,
    };
    let most = match arguments.values {
        [] | [Value::Null] => None,
        _ => Some(arguments.count()?),
    };
    Ok(Operation::OfGraph(OfGraph::Strategy(strategy, most)))
}

/// The arguments of an operation.
struct Arguments<'a> {
    name: &'a str,
    at: &'a str,
    example: &'a str,
    values: &'a [Value],
}

impl<'a> Arguments<'a> {
    /// All of them, if there are as many as there have to be.
    fn take<const COUNT: usize>(&self) -> Result<[&'a Value; COUNT]> {
        let values: Vec<&Value> = self.values.iter().collect();
        values.try_into().map_err(|values: Vec<_>| {
            let expected = match COUNT {
                0 => "takes no argument".into(),
                1 => "takes one argument".into(),
                _ => format!("takes {COUNT} arguments"),
            };
            let message = format!("{} {expected}, found {}", self.name, values.len());
            error(self.at, message, &format!("write {}", self.example))
        })
    }

    /// An operation that takes none.
    fn none(&self, operation: Operation) -> Result<Operation> {
        let [] = self.take()?;
        Ok(operation)
    }

    /// The only argument as a number of layers or paths.
    fn count(&self) -> Result<NonZeroUsize> {
        let [value] = self.take()?;
        let number = value.as_u64().and_then(|count| usize::try_from(count).ok());
        number.and_then(NonZeroUsize::new).ok_or_else(|| {
            error(
                &format!("{}[1]", self.at),
                format!(
                    "{} takes a number from 1 on, found {}",
                    self.name,
                    describe(value)
                ),
                &format!("write {}", self.example),
            )
        })
    }

    /// The first argument as the name of a part.
    fn part(&self, value: &Value) -> Result<Part> {
        let has_name = |part: &Part| value.as_str() == Some(part.name());
        Part::ALL.into_iter().find(has_name).ok_or_else(|| {
            error(
                &format!("{}[1]", self.at),
                format!("over takes the name of a part, found {}", describe(value)),
                r#"write "main", "common" or "rest""#,
            )
        })
    }
}

pub(super) fn error(at: &str, message: String, hint: &str) -> Error {
    Error::Attribute {
        attribute: at.to_owned(),
        message,
        hint: hint.to_owned(),
    }
}

/// What a value is, in the words of Nix.
fn describe(value: &Value) -> String {
    match value {
        Value::Null | Value::Bool(_) => value.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the string {:?}", printable(text)),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an attribute set".into(),
    }
}
