//! Each operation by its example, and pipelines of any shape against `oracle`.

mod mistakes;
mod operations;
mod oracle;
mod random;

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use serde_json::Value;
use strata_nix::{Closure, ClosureEntry, Store, StorePath};

use super::Pipeline;

const DIR: &str = "/nix/store";

/// The graph of the specification's examples.
const GRAPH: &str = "R1>A R2>B R3>C A>B A>C B>D B>E B>G E>F";

/// The store path of a name.
fn path(name: &str) -> String {
    format!("{DIR}/{}-{name}", "0".repeat(32))
}

fn store_path(name: &str) -> StorePath {
    StorePath::parse(DIR, &path(name)).unwrap()
}

/// A closure of paths with sizes and references.
fn closure(paths: &[(&str, u64, Vec<&str>)]) -> Closure {
    Closure::new(paths.iter().map(|(name, size, references)| {
        let entry = ClosureEntry {
            path: path(name),
            nar_hash: String::new(),
            nar_size: *size,
            references: references.iter().map(|name| path(name).into()).collect(),
        };
        (store_path(name), entry)
    }))
}

/// The closure of references as in `A>B A>C`; a name alone is a path without any. All are of one size.
pub(super) fn parse(graph: &str) -> Closure {
    let mut paths: Vec<(&str, u64, Vec<&str>)> = Vec::new();
    for edge in graph.split_whitespace() {
        let (from, to) = edge.split_once('>').unwrap_or((edge, edge));
        for name in [from, to] {
            if paths.iter().all(|(other, _, _)| *other != name) {
                paths.push((name, 1, Vec::new()));
            }
        }
        let entry = paths.iter_mut().find(|(name, _, _)| *name == from);
        entry.unwrap().2.push(to);
    }
    closure(&paths)
}

/// What a pipeline makes of a closure: the names of each layer, and the warnings.
struct Made {
    layers: Vec<String>,
    warnings: Vec<String>,
}

/// Cuts a closure into at most `most` layers. A strategy of any name puts the first paths alone, and the others
/// together.
fn cut(closure: &Closure, pipeline: &Value, most: usize) -> Result<Made, String> {
    let members: BTreeSet<&StorePath> = closure.iter().map(|(path, _)| path).collect();
    cut_members(closure, &members, pipeline, most)
}

fn cut_members(
    closure: &Closure,
    members: &BTreeSet<&StorePath>,
    pipeline: &Value,
    most: usize,
) -> Result<Made, String> {
    let report = |error: strata_error::Error| error.report();
    let pipeline = Pipeline::parse(pipeline, &Store::new(DIR)).map_err(report)?;
    let most = NonZeroUsize::new(most).unwrap();
    let cut = pipeline.cut(closure, members, most, &|_, paths, layers| {
        let alone = layers.unwrap_or(most).get() - 1;
        let first = paths.iter().take(alone).map(|path| vec![*path]);
        let rest = paths.iter().skip(alone).copied().collect();
        first.chain([rest]).collect()
    });
    let cut = cut.map_err(report)?;
    let name = |path: &&StorePath| path.base_name()[33..].to_owned();
    let layers = cut.layers.iter();
    Ok(Made {
        layers: layers
            .map(|layer| layer.iter().map(name).collect::<Vec<_>>().join(" "))
            .collect(),
        warnings: cut.warnings,
    })
}

/// The layers that a pipeline makes of references as in `A>B`.
fn layers(graph: &str, pipeline: &Value) -> Vec<String> {
    cut(&parse(graph), pipeline, 125).unwrap().layers
}
