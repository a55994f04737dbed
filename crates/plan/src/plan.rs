//! Which store path goes into which layer.

use std::collections::{BTreeMap, BTreeSet};

use strata_error::{Error, Result};
use strata_layer::{LayerRecord, LayersFile, PathRule};
use strata_nix::{Closure, ClosureEntry, StorePath};
use strata_oci::{Compression, History};
use strata_tree::{FileRecord, ImagePath, Owner, Rule, Source};

use super::check::CheckedRequest;
use super::history;
use super::layering::{self, KnownLayers, MOST_LAYERS, Question, Room};
use super::strategy;

/// A layer before its recipe is settled.
#[derive(Debug)]
pub struct LayerSpec {
    /// What goes in, sorted by store path; rules are those of the whole image.
    pub sources: Vec<Source>,
    /// What is in it file by file. Sorted by path.
    pub files: Vec<FileRecord>,
    /// What it hides of a base image. Sorted.
    pub whiteouts: Vec<ImagePath>,
    /// The layer's entry in the history.
    pub history: History,
    /// Why it is a layer of its own, where a strategy said so.
    pub reason: Option<String>,
    /// Whether its tar is kept.
    pub keep_tar: bool,
    /// How it is compressed where it goes to a registry, if anybody said so.
    pub compression: Option<Compression>,
    /// A tar that is the layer instead: at or below a store path.
    pub tar: Option<String>,
    /// Whether that tar is only a part of it.
    pub is_joined: bool,
    /// The time of what is in it, if it has one of its own.
    pub mtime: Option<u64>,
    /// Whose its store paths are, if they are somebody's of their own.
    pub store_owner: Option<Owner>,
    /// What the manifest says of the layer besides.
    pub annotations: BTreeMap<String, String>,
}

impl LayerSpec {
    /// A layer of nothing.
    pub fn new(history: History, compression: Option<Compression>) -> Self {
        Self {
            sources: Vec::new(),
            files: Vec::new(),
            whiteouts: Vec::new(),
            history,
            reason: None,
            keep_tar: false,
            compression,
            tar: None,
            is_joined: false,
            mtime: None,
            store_owner: None,
            annotations: BTreeMap::new(),
        }
    }
}

/// The layers of an image, or of a layer with its parent layers.
#[derive(Debug)]
pub struct Plan {
    /// The layers, lowest first.
    pub layers: Vec<LayerSpec>,
    /// How many of them come from `parents`.
    pub parents: usize,
    /// The rules that the request itself gives.
    pub perms: Vec<PathRule>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

impl Plan {
    /// The uppermost layer that is the image's own, made with this `history` if there is none. It is below tars that are
    /// layers, whose scripts may have given what is in it to somebody.
    pub fn top(&mut self, history: History, compression: Option<Compression>) -> &mut LayerSpec {
        let is_own = |layer: &LayerSpec| layer.tar.is_none() || layer.is_joined;
        let end = self.layers.iter().rposition(is_own);
        let end = end.map_or(0, |number| number + 1);
        if end > self.parents {
            return &mut self.layers[end - 1];
        }
        self.layers
            .insert(end, LayerSpec::new(history, compression));
        &mut self.layers[end]
    }
}

/// The layers of a base image, as far as the plan depends on them.
#[derive(Clone, Copy, Default)]
pub struct BaseLayers<'a> {
    /// How many they are.
    pub count: usize,
    /// Those that Strata made, which stay as they are.
    pub own: &'a [LayerRecord],
}

/// Plans a request on top of `base`. `parents` holds the layers that it names and their parents,
/// lowest first.
pub fn plan(
    request: &CheckedRequest,
    closure: &Closure,
    parents: &[LayersFile],
    base: BaseLayers<'_>,
    known: &KnownLayers,
) -> Result<Plan> {
    let rules = Rules::new(parents, &request.perms);
    let Below {
        mut placed,
        mut layers,
    } = Below::new(request, parents, base)?;
    let parent_count = layers.len();

    let room = room(request, base.count, layers.len())?;
    let mut members = members(request, closure, &mut placed)?;
    let apart = if request.root_apart {
        take_root(&mut members)
    } else {
        Vec::new()
    };
    if !members.is_empty() {
        check_room(request, base.count)?;
    }
    let paths: BTreeSet<&StorePath> = members.keys().copied().collect();
    let (groups, warnings) = layering::groups(request, closure, &paths, room, known)?;
    let add = |(mut sources, reason): (Vec<Source>, String)| {
        sources.sort_by(|one, other| {
            (&one.store_path, one.to_root).cmp(&(&other.store_path, other.to_root))
        });
        let history = request.history.clone();
        let history = history.unwrap_or_else(|| history::of_sources(&sources));
        LayerSpec {
            sources,
            reason: Some(reason),
            keep_tar: !request.reproducible,
            ..LayerSpec::new(history, request.compression)
        }
    };
    let groups = groups.into_iter().map(|group| {
        let sources = group.paths.iter().filter_map(|path| members.remove(path));
        (sources.flatten().collect(), group.reason)
    });
    let apart = Some((apart, "what goes to the root".to_owned()));
    let apart = apart.filter(|(sources, _)| !sources.is_empty());
    layers.extend(groups.chain(apart).map(add));
    add_tars(&mut layers, parent_count, request);
    apply_rules(&mut layers, &rules, request)?;
    Ok(Plan {
        layers,
        parents: parent_count,
        perms: request.perms.clone(),
        warnings,
    })
}

/// Adds the tars of a request above its own layers, or into the uppermost of them.
fn add_tars(layers: &mut Vec<LayerSpec>, parents: usize, request: &CheckedRequest) {
    let is_joined = request.join_tar;
    for tar in &request.tar_layers {
        let below = (is_joined && layers.len() > parents).then(|| layers.pop());
        let below = below.flatten();
        let sources = below.as_ref().map_or(&[][..], |layer| &layer.sources);
        let history = request.history.clone();
        let history = history.unwrap_or_else(|| history::of_scripts(sources));
        let layer = match below {
            Some(layer) => LayerSpec { history, ..layer },
            None => LayerSpec::new(history, request.compression),
        };
        layers.push(LayerSpec {
            tar: Some(tar.clone()),
            is_joined,
            ..layer
        });
    }
}

/// An image of several that are planned together.
pub struct FleetMember<'a> {
    /// What is asked for.
    pub request: &'a CheckedRequest,
    /// The closure of its roots.
    pub closure: &'a Closure,
    /// The layers that it names and their parents.
    pub parents: &'a [LayersFile],
    /// Its base image.
    pub base: BaseLayers<'a>,
}

/// The own layers of one of them, lowest first: store paths, and why they are a layer.
pub type FleetLayers = Vec<(Vec<String>, String)>;

/// The own layers of each image, lowest first, so that what several have lies in layers that several have.
pub fn plan_fleet(images: &[FleetMember<'_>]) -> Result<Vec<FleetLayers>> {
    let mut questions = Vec::new();
    for image in images {
        let Below { mut placed, layers } = Below::new(image.request, image.parents, image.base)?;
        let room = room(image.request, image.base.count, layers.len())?;
        let members = members(image.request, image.closure, &mut placed)?;
        let paths = members.keys().copied().collect();
        let known = KnownLayers::default();
        questions.push(Question::new(
            image.request,
            image.closure,
            &paths,
            room,
            &known,
        ));
    }
    let requests: Vec<_> = questions.iter().map(Question::request).collect();
    let plans = strategy::fleet(&requests).into_iter().zip(&questions);
    let plans = plans.map(|(layers, question)| {
        let layers = layers.into_iter().map(|layer| {
            let path = |number: &u32| question.graph.path(*number).to_owned();
            let paths = layer.paths.iter().map(path).collect();
            (paths, layer.reason.to_string())
        });
        layers.collect()
    });
    Ok(plans.collect())
}

/// What lies below the own layers of a request.
struct Below {
    placed: Placed,
    /// Those of its parents.
    layers: Vec<LayerSpec>,
}

impl Below {
    fn new(request: &CheckedRequest, parents: &[LayersFile], base: BaseLayers<'_>) -> Result<Self> {
        let mut placed = Placed::default();
        for source in base.own.iter().flat_map(|layer| &layer.recipe.sources) {
            placed.add(source);
        }
        check_rules(request, &placed)?;
        let mut layers = Vec::new();
        for record in parents.iter().flat_map(|file| &file.layers) {
            let sources = record
                .recipe
                .sources
                .iter()
                .filter(|source| placed.add(source));
            let sources: Vec<Source> = sources.cloned().collect();
            layers.push(LayerSpec {
                sources,
                files: record.recipe.files.clone(),
                mtime: record.recipe.mtime,
                store_owner: record.recipe.store_owner.clone(),
                reason: record.reason.clone(),
                keep_tar: record.tar.is_some(),
                ..LayerSpec::new(
                    record.history.clone(),
                    record.compression.or(request.compression),
                )
            });
        }
        layers.retain(|layer| !layer.sources.is_empty() || !layer.files.is_empty());
        Ok(Self { placed, layers })
    }
}

/// How many layers the files may have: what `maxLayers` leaves over a base, and what engines leave,
/// but at least one. Tars that are layers and what is apart count as if they were the base's.
fn room(request: &CheckedRequest, base: usize, parents: usize) -> Result<Room> {
    let root = usize::from(request.root_apart && !request.copy_to_root.is_empty());
    let base = base + tars(request) + root;
    if base > 0 && base + parents >= MOST_LAYERS {
        return Err(Error::Attribute {
            attribute: "fromImage".into(),
            message: format!(
                "has {base} layers, and `layers` {parents}: one more for the files is too many, Docker takes {MOST_LAYERS}"
            ),
            hint: "build on an image with fewer layers, or flatten it".into(),
        });
    }
    Ok(layering::room(request, base, parents))
}

/// How many layers are tars alone.
fn tars(request: &CheckedRequest) -> usize {
    if request.join_tar {
        0
    } else {
        request.tar_layers.len()
    }
}

/// Refuses fewer layers than the base, the root and the store paths need, where these are not together.
fn check_room(request: &CheckedRequest, base: usize) -> Result<()> {
    let used = base + tars(request).max(1);
    match request.max_layers {
        Some(most) if request.root_apart && request.pipeline.is_none() && most.get() <= used => {
            Err(Error::Attribute {
                attribute: "maxLayers".into(),
                message: format!(
                    "is {most}, but the base image and what goes to the root take {used} layers, and the store paths one more"
                ),
                hint: format!("set maxLayers to {} or more", used + 1),
            })
        }
        _ => Ok(()),
    }
}

/// Takes what goes to the root.
fn take_root(members: &mut BTreeMap<&StorePath, Vec<Source>>) -> Vec<Source> {
    let mut taken = Vec::new();
    for sources in members.values_mut() {
        taken.extend(sources.extract_if(.., |source| source.to_root));
    }
    members.retain(|_, sources| !sources.is_empty());
    taken
}

/// The store paths that are in a layer already, those at the root apart from those in the store.
#[derive(Default)]
struct Placed {
    in_store: BTreeSet<String>,
    at_root: BTreeSet<String>,
}

impl Placed {
    /// Adds a source; false if it was there.
    fn add(&mut self, source: &Source) -> bool {
        let set = if source.to_root {
            &mut self.at_root
        } else {
            &mut self.in_store
        };
        set.insert(source.store_path.clone())
    }
}

/// What of the request's closure is not in a parent layer: in its place, at the root, or both.
fn members<'a>(
    request: &'a CheckedRequest,
    closure: &'a Closure,
    placed: &mut Placed,
) -> Result<BTreeMap<&'a StorePath, Vec<Source>>> {
    let sources = request.files.iter().filter_map(|file| file.source());
    let sources: BTreeSet<StorePath> = sources.map(|source| source.store_path.clone()).collect();
    for (attribute, paths) in [
        ("copyToRoot", &request.copy_to_root),
        ("deps", &request.deps),
        ("files", &sources),
    ] {
        if let Some(path) = paths.iter().find(|path| closure.get(path).is_none()) {
            return Err(Error::Attribute {
                attribute: attribute.into(),
                message: format!("{path} is not in the closure graph"),
                hint: "give the package itself, or a string made from it with \"${package}\""
                    .into(),
            });
        }
    }
    let mut members: BTreeMap<&StorePath, Vec<Source>> = BTreeMap::new();
    for path in &request.copy_to_root {
        if let Some(entry) = closure.get(path) {
            add(&mut members, placed, path, source(entry, true));
        }
    }
    for (path, entry) in closure.iter() {
        if request.include_store_paths && !is_moved_away(path, request, closure) {
            add(&mut members, placed, path, source(entry, false));
        }
    }
    members.retain(|path, _| !request.ignore.contains(*path));
    Ok(members)
}

fn add<'a>(
    members: &mut BTreeMap<&'a StorePath, Vec<Source>>,
    placed: &mut Placed,
    path: &'a StorePath,
    source: Source,
) {
    if placed.add(&source) {
        members.entry(path).or_default().push(source);
    }
}

/// Whether a path is only at the root: as in nix2container, `copyToRoot` moves it there, and so does `files` with what
/// is a file of its own. It stays in the store as well if somebody asks for it there: `deps`, `config`, or another path of the
/// closure, which would be broken without it.
fn is_moved_away(path: &StorePath, request: &CheckedRequest, closure: &Closure) -> bool {
    let is_referenced = || {
        closure.iter().any(|(other, entry)| {
            other != path
                && !request.ignore.contains(other)
                && entry
                    .references
                    .iter()
                    .any(|reference| **reference == *path.as_str())
        })
    };
    let is_file = || {
        let mut sources = request.files.iter().filter_map(|file| file.source());
        sources.any(|source| source.is_whole() && source.store_path == *path)
    };
    (request.copy_to_root.contains(path) || is_file())
        && !request.deps.contains(path)
        && !is_referenced()
}

fn source(entry: &ClosureEntry, to_root: bool) -> Source {
    let mut references = entry.references.clone();
    references.sort_unstable();
    references.dedup();
    Source {
        store_path: entry.path.clone(),
        nar_hash: entry.nar_hash.clone(),
        nar_size: entry.nar_size,
        references,
        to_root,
        without: Vec::new(),
        rules: Vec::new(),
    }
}

/// All rules of the image, in order: parent layers' first, so that the image's own win.
#[derive(Default)]
struct Rules<'a> {
    /// Those about one store path, with their places in the order.
    by_path: BTreeMap<&'a str, Vec<(usize, &'a Rule)>>,
    /// Those about paths of the image, likewise.
    of_image: Vec<(usize, &'a Rule)>,
}

impl<'a> Rules<'a> {
    fn new(parents: &'a [LayersFile], own: &'a [PathRule]) -> Self {
        let mut rules = Self::default();
        let all = parents.iter().flat_map(|file| &file.perms).chain(own);
        for (place, PathRule { path, rule }) in all.enumerate() {
            let list = match rule.within {
                Some(_) => &mut rules.of_image,
                None => rules.by_path.entry(path).or_default(),
            };
            list.push((place, rule));
        }
        rules
    }

    /// Those about a source; `is_owner` says whether rules about its store path are about it.
    fn about(&self, source: &Source, is_owner: bool) -> Vec<Rule> {
        let own = self.by_path.get(source.store_path.as_str());
        let own = own.into_iter().flatten().filter(|_| is_owner);
        let of_image = self.of_image.iter().filter(|_| source.to_root);
        let mut rules: Vec<_> = own.chain(of_image).collect();
        rules.sort_by_key(|(place, _)| *place);
        rules.into_iter().map(|(_, rule)| (*rule).clone()).collect()
    }
}

/// Refuses rules about what a base image holds already.
fn check_rules(request: &CheckedRequest, placed: &Placed) -> Result<()> {
    let is_placed = |path: &String| placed.in_store.contains(path) || placed.at_root.contains(path);
    let rule = request.perms.iter().position(|rule| is_placed(&rule.path));
    match rule {
        None => Ok(()),
        Some(number) => Err(Error::Attribute {
            attribute: format!("perms[{number}].path"),
            message: format!("{} is in a layer of fromImage", request.perms[number].path),
            hint: "give the rule to the base image; its layers stay as they are".into(),
        }),
    }
}

/// Gives each source the rules about it; where a path is both at the root and in the store, they
/// are about the root.
fn apply_rules(
    layers: &mut [LayerSpec],
    rules: &Rules<'_>,
    request: &CheckedRequest,
) -> Result<()> {
    let sources = || layers.iter().flat_map(|layer| &layer.sources);
    let at_root: BTreeSet<String> = sources()
        .filter(|source| source.to_root)
        .map(|source| source.store_path.clone())
        .collect();
    let present: BTreeSet<&str> = sources().map(|source| source.store_path.as_str()).collect();
    for (number, rule) in request.perms.iter().enumerate() {
        if rule.rule.within.is_none() && !present.contains(rule.path.as_str()) {
            return Err(Error::Attribute {
                attribute: format!("perms[{number}].path"),
                message: format!("{} is not in the image", rule.path),
                hint: "name a store path of copyToRoot, deps, config or layers, which a file comes from, or an absolute path of the image, such as \"/tmp\"".into(),
            });
        }
    }
    for source in layers.iter_mut().flat_map(|layer| &mut layer.sources) {
        let is_owner = source.to_root || !at_root.contains(&source.store_path);
        source.rules = rules.about(source, is_owner);
    }
    Ok(())
}
