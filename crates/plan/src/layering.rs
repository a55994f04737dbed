//! How the store paths of a request become layers: what the strategy is asked, and its answer.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use strata_error::Result;
use strata_nix::{Closure, StorePath, StrategyName};

use super::check::CheckedRequest;
use super::pipeline::Pipeline;
use super::roots::roots;
use super::strategy::{self, Budget, Graph, Hints, PlannedLayer};

/// Layers of other images, each as its store paths.
#[derive(Debug, Default)]
pub struct KnownLayers {
    /// They stay if they can.
    pub previous: Vec<Vec<StorePath>>,
    /// They are taken where that costs little.
    pub alongside: Vec<Vec<StorePath>>,
    /// They are the layers, each with why it is one, and no strategy is asked.
    pub decided: Option<Vec<(Vec<StorePath>, String)>>,
}

/// Store paths that are a layer together, and why.
pub(super) struct Group<'a> {
    pub(super) paths: Vec<&'a StorePath>,
    pub(super) reason: String,
}

/// Cuts `members`, paths of the closure, into layers, lowest first; gives the warnings, too.
pub(super) fn groups<'a>(
    request: &CheckedRequest,
    closure: &'a Closure,
    members: &BTreeSet<&'a StorePath>,
    room: Room,
    known: &KnownLayers,
) -> Result<(Vec<Group<'a>>, Vec<String>)> {
    if let Some(decided) = &known.decided {
        return Ok((decided_groups(decided, closure, members), Vec::new()));
    }
    let question = Question::new(request, closure, members, room, known);
    if let Some(pipeline) = &request.pipeline {
        return by_pipeline(pipeline, &question, request, closure, members);
    }
    let layers = strategy::layers(request.strategy, &question.request());
    let mut warnings = question.warnings;
    warnings.extend(lopsided(request, &question.graph, &layers));
    // A closure and its graph have the same order.
    let all: Vec<&StorePath> = closure.iter().map(|(path, _)| path).collect();
    let groups = layers.into_iter().map(|layer| Group {
        paths: layer
            .paths
            .iter()
            .map(|number| all[*number as usize])
            .collect(),
        reason: layer.reason.to_string(),
    });
    Ok((groups.collect(), warnings))
}

/// The layers that a pipeline makes, in which a strategy may be an operation.
fn by_pipeline<'a>(
    pipeline: &Pipeline,
    question: &Question,
    request: &CheckedRequest,
    closure: &'a Closure,
    members: &BTreeSet<&'a StorePath>,
) -> Result<(Vec<Group<'a>>, Vec<String>)> {
    let most = question.room.most;
    let cut = pipeline.cut(closure, members, most, &|strategy, paths, layers| {
        let numbers = |path: &&StorePath| question.graph.find(path.as_str());
        let own: BTreeMap<u32, &StorePath> = paths
            .iter()
            .filter_map(|path| Some((numbers(path)?, *path)))
            .collect();
        let members: Vec<u32> = own.keys().copied().collect();
        let request = strategy::Request {
            members: &members,
            budget: match layers {
                Some(layers) => Budget::AtMost(layers.min(most)),
                None => Budget::Worthwhile(most),
            },
            ..question.request()
        };
        let layers = strategy::layers(strategy, &request).into_iter();
        let paths = |layer: PlannedLayer| {
            layer
                .paths
                .iter()
                .filter_map(|number| own.get(number).copied())
                .collect()
        };
        layers.map(paths).collect()
    })?;
    let mut warnings = cut.warnings;
    if request
        .max_layers
        .is_some_and(|most| most > NonZeroUsize::MIN)
    {
        warnings.push(
            "warning: maxLayers does nothing beside layeringPipeline\n\
             hint: end the pipeline with [ \"limit_layers\" N ]"
                .into(),
        );
    }
    let groups = cut.layers.into_iter().filter(|paths| !paths.is_empty());
    let groups = groups.map(|paths| Group {
        paths,
        reason: "as `layeringPipeline` has it".into(),
    });
    Ok((groups.collect(), warnings))
}

/// What a strategy is asked about a request.
pub(super) struct Question {
    pub(super) graph: Graph,
    members: Vec<u32>,
    roots: Vec<u32>,
    room: Room,
    previous: Vec<Vec<u32>>,
    alongside: Vec<Vec<u32>>,
    hints: Hints,
    warnings: Vec<String>,
}

impl Question {
    pub(super) fn new(
        request: &CheckedRequest,
        closure: &Closure,
        members: &BTreeSet<&StorePath>,
        room: Room,
        known: &KnownLayers,
    ) -> Self {
        let graph = Graph::of_closure(closure);
        let numbers = members.iter().filter_map(|path| graph.find(path.as_str()));
        let (hints, warnings) = hints(request, &graph);
        Self {
            members: numbers.collect(),
            roots: roots_of(request, &graph),
            room,
            previous: numbered(&known.previous, &graph),
            alongside: numbered(&known.alongside, &graph),
            hints,
            warnings,
            graph,
        }
    }

    pub(super) fn request(&self) -> strategy::Request<'_> {
        strategy::Request {
            graph: &self.graph,
            members: &self.members,
            roots: &self.roots,
            budget: self.room.budget,
            previous: &self.previous,
            alongside: &self.alongside,
            hints: &self.hints,
        }
    }
}

/// The layers that a file names, and what it does not name on top.
fn decided_groups<'a>(
    decided: &[(Vec<StorePath>, String)],
    closure: &'a Closure,
    members: &BTreeSet<&StorePath>,
) -> Vec<Group<'a>> {
    let own = closure.iter().map(|(path, _)| path);
    let mut left: BTreeSet<&StorePath> = own.filter(|path| members.contains(path)).collect();
    let groups = decided.iter().map(|(paths, reason)| Group {
        paths: paths.iter().filter_map(|path| left.take(path)).collect(),
        reason: reason.clone(),
    });
    let mut groups: Vec<Group<'_>> = groups.collect();
    groups.push(Group {
        paths: left.into_iter().collect(),
        reason: "what `layersFile` does not name".into(),
    });
    groups.retain(|group| !group.paths.is_empty());
    groups
}

/// How many layers there may be above `base` and `parents`: those of a base count as the user's, parents do only
/// where the user did not say how many.
pub(super) fn room(request: &CheckedRequest, base: usize, parents: usize) -> Room {
    let left = |all: usize, taken: usize| {
        NonZeroUsize::new(all.saturating_sub(taken)).unwrap_or(NonZeroUsize::MIN)
    };
    let most = left(MOST_LAYERS, base + parents);
    let Some(asked) = request.max_layers else {
        let budget = Budget::Worthwhile(left(USUAL_LAYERS, base + parents));
        return Room { budget, most };
    };
    let budget = match base {
        0 => Budget::AtMost(asked),
        base => Budget::AtMost(left(asked.get(), base).min(most)),
    };
    Room { budget, most }
}

/// How many layers there may be.
#[derive(Clone, Copy)]
pub(super) struct Room {
    /// What a strategy is told.
    budget: Budget,
    /// What engines have room for.
    most: NonZeroUsize,
}

/// The most layers that Docker takes (`maxLayerDepth` in `layer/layer_store.go` of moby): overlay
/// mounts have room for no more.
pub const MOST_LAYERS: usize = 125;

/// The most layers of an image where nobody said how many: some engines take no more than 64, and images on top
/// of this one need some, too.
const USUAL_LAYERS: usize = 60;

/// What the user names, as far as the graph tells.
fn roots_of(request: &CheckedRequest, graph: &Graph) -> Vec<u32> {
    let at_root = request.copy_to_root.iter();
    let at_root: Vec<u32> = at_root
        .filter_map(|path| graph.find(path.as_str()))
        .collect();
    roots(graph, &at_root)
}

fn hints(request: &CheckedRequest, graph: &Graph) -> (Hints, Vec<String>) {
    let mut warnings = Vec::new();
    let mut find = |name: &str, paths: &[StorePath]| -> Vec<u32> {
        let number = |path: &StorePath| {
            let found = graph.find(path.as_str());
            if found.is_none() {
                warnings.push(format!(
                    "warning: layerHints.{name}: {path} is not in the image\n\
                     hint: name a package of its closure, in the output that is there, such as `pkgs.openssl.out`"
                ));
            }
            found
        };
        paths.iter().filter_map(number).collect()
    };
    let given = &request.hints;
    let hints = Hints {
        stable: find("stable", &given.stable),
        volatile: find("volatile", &given.volatile),
        together: given
            .together
            .iter()
            .map(|list| find("together", list))
            .collect(),
        alone: find("alone", &given.alone),
    };
    (hints, warnings)
}

/// What is smaller is sent in a few seconds, however it is cut.
const LARGE: u64 = 256 << 20;

/// A warning if one of several layers has most of the bytes.
fn lopsided(request: &CheckedRequest, graph: &Graph, layers: &[PlannedLayer]) -> Option<String> {
    let size =
        |layer: &PlannedLayer| -> u64 { layer.paths.iter().map(|path| graph.size(*path)).sum() };
    let all: u64 = layers.iter().map(size).sum();
    let number = layers.iter().position(|layer| size(layer) > all / 2)?;
    let layer = &layers[number];
    if layers.len() == 1 || all < LARGE {
        return None;
    }
    let percent = u128::from(size(layer)) * 100 / u128::from(all);
    let (is, hint) = match layer.paths.as_slice() {
        [path] => (
            format!("it is {}", graph.name(*path)),
            "each change of it sends all of it; move what changes into a package of its own",
        ),
        _ => (
            layer.reason.to_string(),
            match (request.strategy, request.max_layers) {
                (StrategyName::Auto, None) => {
                    "say in `layerHints` what should be apart from the rest"
                }
                _ => {
                    "each change of one of them sends all of them; leave out `maxLayers` and `strategy`"
                }
            },
        ),
    };
    let number = number + 1;
    Some(format!(
        "warning: layer {number} of {} has {percent} % of the bytes: {is}\nhint: {hint}",
        layers.len()
    ))
}

/// The layers whose paths are all in the graph.
fn numbered(layers: &[Vec<StorePath>], graph: &Graph) -> Vec<Vec<u32>> {
    let number = |path: &StorePath| graph.find(path.as_str());
    let layer = |paths: &Vec<StorePath>| paths.iter().map(number).collect();
    layers.iter().filter_map(layer).collect()
}
