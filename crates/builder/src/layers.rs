//! Building a layer or an image: read, plan, merge, digest, write.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use super::inputs::base_image::{self, BaseImage};
use super::inputs::{known_layers, parent_layers, pipeline_file, tar_layers, times};
use super::limits::{self, CheckedLimits};
use super::named::{Place, named};
use super::output::Output;
use super::{accounts, database, files, mounts, startup};
use strata_base::{Base, inherit};
use strata_error::{Error, Result};
use strata_layer::{
    Digested, ImageName, LayerRecord, LayersFile, NamedPath, PathRule, digest_recipes,
};
use strata_nix::{Closure, ClosureEntry, Request, Store};
use strata_oci::{Config, json};
use strata_plan::{BaseLayers, CheckedRequest, LayerSpec, MOST_LAYERS, Plan, check, plan};
use strata_tree::{
    BaseTree, ImagePath, Recipe, Redirect, RootFile, RootSource, Surroundings, merge,
};

/// Builds a layer or an image; gives the warnings.
pub(super) fn build(
    mut request: Request,
    closure: Vec<ClosureEntry>,
    store: &Store,
    out: &str,
    threads: NonZeroUsize,
) -> Result<Vec<String>> {
    times::settle(&mut request, store)?;
    request.layering_pipeline = pipeline_file::read(request.layering_pipeline, store)?;
    let request = check(request, store, out)?;
    let closure = parse_closure(closure, store)?;
    let BaseImage { base, hidden } = match &request.image {
        Some(image) => base_image::read(image, store)?,
        None => BaseImage::default(),
    };
    let parents = parent_layers::read(&request.layers, store)?;
    let base_layers = BaseLayers {
        count: base.count() + usize::from(!hidden.is_empty()),
        own: &base.layers,
    };
    let known = known_layers::read(&request, store)?;
    let limits = request.image.as_ref().and_then(|it| it.limits.as_ref());
    let limits = limits
        .map(|limits| limits::read(limits, store))
        .transpose()?;
    let mut plan = plan(&request, &closure, &parents, base_layers, &known)?;
    if !hidden.is_empty() {
        // Below everything else of the image, which may use the same paths.
        plan.layers.insert(0, base_image::hiding(hidden, &request));
        plan.parents += 1;
    }
    let output = Output::create(store.locate_below(out))?;
    files::add(&mut plan, &request, store)?;
    if request.image.is_some() {
        let inherited = parents.iter().flat_map(|file| &file.accounts);
        let accounts: Vec<_> = inherited.chain(&request.accounts).collect();
        accounts::merge(&mut plan.layers, &accounts, &base, store, out)?;
    }
    let image = request.image.as_ref();
    if let Some(settings) = image.and_then(|image| image.nix_database.as_ref()) {
        database::add(&mut plan, &base, request.compression, settings, store, out)?;
    }

    let mut warnings = std::mem::take(&mut plan.warnings);
    let tars = tar_layers::read(&plan.layers, &base, store)?;
    files::check_beside_tars(&request.files, &tars.tree)?;
    let (recipes, unmatched) = settle(&plan, &request, &base.tree, tars.recipes, store)?;
    let mut unmatched = unmatched_anywhere(&unmatched, &plan);
    let config = config(&request, &base);
    let startup_warnings = startup::check(&request, &config, &recipes, &tars.tree, &base, store)?;
    let own_from = if request.image.is_some() {
        0
    } else {
        plan.parents
    };
    let known = known_digests(&parents);
    let mut planned: Vec<_> = plan
        .layers
        .into_iter()
        .zip(recipes)
        .skip(own_from)
        .collect();
    if image.is_some_and(|image| image.mount_store_paths) {
        warnings.extend(mounts::replace(&mut planned, &request, store)?);
    }
    let (records, digested_unmatched) =
        make_records(&planned, &known, &output, out, store, threads)?;
    unmatched.extend(digested_unmatched);

    unmatched.dedup();
    warnings.extend(unmatched.iter().map(warning));
    let count = records.len() + base.count();
    if request.image.is_some() && count > MOST_LAYERS {
        warnings.push(too_many_layers(count));
    }
    warnings.extend(base_image::warnings(&base));
    let of_config = request.image.iter().flat_map(|image| &image.warnings);
    warnings.extend(of_config.cloned());
    warnings.extend(startup_warnings);
    let place = Place {
        store_dir: &store.dir,
        out,
    };
    let named = named(&request, &closure, &parents, &base, &records, place);
    let said = Said {
        perms: plan.perms,
        named,
        limits: limits.unwrap_or_default(),
    };
    write_output(output, request, config, store, said, base, records)?;
    Ok(warnings)
}

/// The closure graph with its paths parsed.
pub(super) fn parse_closure(entries: Vec<ClosureEntry>, store: &Store) -> Result<Closure> {
    let parse = |entry: ClosureEntry| match store.parse(&entry.path) {
        Ok(path) => Ok((path, entry)),
        Err(message) => Err(Error::Attribute {
            attribute: "closure".into(),
            message,
            hint: "build images with Strata's Nix functions; they set it".into(),
        }),
    };
    Ok(Closure::new(
        entries.into_iter().map(parse).collect::<Result<Vec<_>>>()?,
    ))
}

/// Merges what goes to the root and completes the recipes; gives the rules that match no file.
fn settle(
    plan: &Plan,
    request: &CheckedRequest,
    base: &BaseTree,
    mut tars: BTreeMap<usize, Recipe>,
    store: &Store,
) -> Result<(Vec<Recipe>, Vec<PathRule>)> {
    let layers = &plan.layers;
    let mut root = Vec::new();
    let mut files = Vec::new();
    let mut in_store = BTreeMap::new();
    let mut whiteouts = BTreeMap::new();
    for (layer, planned) in layers.iter().enumerate() {
        if !planned.whiteouts.is_empty() {
            whiteouts.insert(layer, planned.whiteouts.clone());
        }
        files.extend(planned.files.iter().map(|file| RootFile {
            layer,
            file,
            name: if layer < plan.parents {
                format!("{} of a layer in `layers`", file.attribute())
            } else {
                file.attribute()
            },
        }));
        for source in &planned.sources {
            if source.to_root {
                root.push(RootSource { layer, source });
            } else {
                in_store.insert(ImagePath::from(source.store_path.as_str()), layer);
            }
        }
    }
    let store_directory = ImagePath::from(store.dir.as_str());
    let owner = request.store_owner.as_ref();
    let surroundings = Surroundings {
        store_owner: owner.map(|owner| (&store_directory, owner)),
        in_store: &in_store,
        whiteouts: &whiteouts,
        base,
    };
    let mut merged = merge(&root, &files, &surroundings, store)?;
    let redirect = |(path, to)| Redirect { path, to };
    let recipes = layers.iter().enumerate().map(|(number, layer)| {
        let tar = match tars.remove(&number) {
            Some(tar) if layer.sources.is_empty() && layer.files.is_empty() => return tar,
            tar => tar.unwrap_or_default(),
        };
        let omit = merged.omit.remove(&number).unwrap_or_default();
        let redirects = merged.redirects.remove(&number).unwrap_or_default();
        Recipe {
            directories: merged.directories.remove(&number).unwrap_or_default(),
            sources: layer.sources.clone(),
            files: layer.files.clone(),
            omit: omit.into_iter().collect(),
            redirects: union(redirects.into_iter().map(redirect), tar.redirects),
            whiteouts: layer.whiteouts.clone(),
            mtime: layer.mtime.or(request.mtime),
            store_owner: (layer.store_owner.as_ref())
                .or(request.store_owner.as_ref())
                .cloned(),
            tar: tar.tar,
        }
    });
    let recipes = recipes.collect();
    let rule = |(path, rule)| PathRule { path, rule };
    Ok((recipes, merged.unmatched.into_iter().map(rule).collect()))
}

/// All redirects, each once, in their order.
fn union(one: impl Iterator<Item = Redirect>, other: Vec<Redirect>) -> Vec<Redirect> {
    let all = one
        .chain(other)
        .map(|redirect| (redirect.path, redirect.to));
    let all: BTreeMap<_, _> = all.collect();
    all.into_iter()
        .map(|(path, to)| Redirect { path, to })
        .collect()
}

/// The rules that match nothing: those about paths of the image may match in one of its sources only. `unmatched` has
/// them once for each source in which they do not.
fn unmatched_anywhere(unmatched: &[PathRule], plan: &Plan) -> Vec<PathRule> {
    let is_of_image = |rule: &&PathRule| rule.rule.within.is_some();
    let sources = plan.layers.iter().flat_map(|layer| &layer.sources);
    let at_root = sources.filter(|source| source.to_root).count();
    let matches_nothing = |own: &&PathRule| {
        let same = unmatched.iter().filter(|other| other.rule == own.rule);
        let sources: BTreeSet<&str> = same.map(|rule| rule.path.as_str()).collect();
        sources.len() == at_root
    };
    // A rule about everything matches nothing where there is nothing: no mistake.
    let is_about_all = |rule: &&PathRule| {
        let everywhere = rule
            .rule
            .within
            .as_ref()
            .is_some_and(|path| path.0.is_empty());
        everywhere && rule.rule.regex.is_empty()
    };
    let of_image = plan.perms.iter().filter(is_of_image);
    let of_image = of_image.filter(|rule| !is_about_all(rule));
    let of_image: Vec<PathRule> = of_image.filter(matches_nothing).cloned().collect();
    let of_sources = unmatched.iter().filter(|rule| !is_of_image(rule)).cloned();
    of_sources.chain(of_image).collect()
}

/// The layers that `buildLayer` has digested, by their recipes.
fn known_digests(parents: &[LayersFile]) -> BTreeMap<Vec<u8>, &LayerRecord> {
    let records = parents.iter().flat_map(|file| &file.layers);
    records
        .map(|record| (json::to_bytes(&record.recipe), record))
        .collect()
}

/// What is known of the tar of a layer, and where it is kept.
type Made = (Digested, Option<String>);

/// Digests what is not known, keeps the tars that are to be kept.
fn make_records(
    planned: &[(LayerSpec, Recipe)],
    known: &BTreeMap<Vec<u8>, &LayerRecord>,
    output: &Output,
    out: &str,
    store: &Store,
    threads: NonZeroUsize,
) -> Result<(Vec<LayerRecord>, Vec<PathRule>)> {
    let mut made = Vec::new();
    for (layer, recipe) in planned {
        made.push(match made_before(layer, recipe, known) {
            None if layer.keep_tar => {
                let digested = output.keep_tar(recipe, store)?;
                let tar = format!("{out}/{}.tar", digested.digest.hex());
                Some((digested, Some(tar)))
            }
            before => before,
        });
    }
    let missing = made.iter_mut().zip(planned);
    let missing = missing.filter(|(made, _)| made.is_none());
    let (missing, recipes): (Vec<_>, Vec<_>) =
        missing.map(|(made, (_, recipe))| (made, recipe)).unzip();
    let digested = digest_recipes(&recipes, store, threads)?;
    for (made, digested) in missing.into_iter().zip(digested) {
        *made = Some((digested, None));
    }
    let mut unmatched = Vec::new();
    let mut records = Vec::new();
    for ((layer, recipe), (digested, tar)) in planned.iter().zip(made.into_iter().flatten()) {
        unmatched.extend(digested.unmatched);
        records.push(LayerRecord {
            digest: digested.digest,
            size: digested.size,
            compression: layer.compression,
            compressed: None,
            tar,
            annotations: layer.annotations.clone(),
            reason: layer.reason.clone(),
            history: layer.history.clone(),
            recipe: recipe.clone(),
        });
    }
    Ok((records, unmatched))
}

/// What `buildLayer` made of the same recipe.
fn made_before(
    layer: &LayerSpec,
    recipe: &Recipe,
    known: &BTreeMap<Vec<u8>, &LayerRecord>,
) -> Option<Made> {
    // Spelling out hundreds of recipes takes milliseconds.
    if known.is_empty() {
        return None;
    }
    let record = known.get(&json::to_bytes(recipe))?;
    let digested = Digested {
        digest: record.digest,
        size: record.size,
        unmatched: Vec::new(),
    };
    (record.tar.is_some() == layer.keep_tar).then(|| (digested, record.tar.clone()))
}

/// The config of the image, with what it inherits; of layers an empty one.
fn config(request: &CheckedRequest, base: &Base) -> Config {
    let Some(image) = &request.image else {
        return Config::new();
    };
    match (&base.config, &image.base) {
        (Some(base), Some(checked)) => {
            inherit(&base.config, image.config.clone(), &checked.inheritance)
        }
        _ => image.config.clone(),
    }
}

/// What the output says besides its layers.
struct Said {
    perms: Vec<PathRule>,
    named: Vec<NamedPath>,
    /// What the image must keep to.
    limits: CheckedLimits,
}

fn write_output(
    output: Output,
    request: CheckedRequest,
    config: Config,
    store: &Store,
    said: Said,
    mut base: Base,
    mut records: Vec<LayerRecord>,
) -> Result<()> {
    if let Some(image) = request.image {
        let name = ImageName {
            name: image.name.clone(),
            tag: image.tag.clone(),
        };
        base_image::compress(&mut base, request.compression);
        records.splice(0..0, base.layers);
        let mut layers = LayersFile::new(store.dir.clone(), Some(name), records);
        layers.named = said.named;
        layers.base = base.blobs;
        layers.format = image.format;
        said.limits.check(&layers)?;
        return output.write_image(&layers, image, config, base.config);
    }
    let mut layers = LayersFile::new(store.dir.clone(), None, records);
    layers.nested = request.layers.iter().map(ToString::to_string).collect();
    layers.perms = said.perms;
    layers.named = said.named;
    layers.accounts = request.accounts;
    output.write_layers(&layers)
}

fn warning(PathRule { path, rule }: &PathRule) -> String {
    if rule.within.is_some() {
        return format!(
            "warning: perms: the regex {:?} matches nothing at or below {path} of the image\n\
             hint: it is searched in paths of the image, such as {path}, of what copyToRoot brings",
            rule.regex
        );
    }
    format!(
        "warning: perms: the regex {:?} matches no file of {path}\n\
         hint: it is searched in full source paths, such as {path}/etc/passwd",
        rule.regex
    )
}

fn too_many_layers(count: usize) -> String {
    format!(
        "warning: the image has {count} layers, and Docker takes at most {MOST_LAYERS}\n\
         hint: lower maxLayers; those in `layers` and `fromImage` count as well"
    )
}
