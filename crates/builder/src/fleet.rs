//! The layers of images that live together, planned at once.

use std::collections::{BTreeMap, BTreeSet};

use super::inputs::{base_image, parent_layers};
use super::layers;
use super::output::Output;
use strata_base::Base;
use strata_error::{Error, Result};
use strata_layer::{LayersFile, LayersLock};
use strata_nix::{Closure, ClosureEntry, Request, Store, StorePath};
use strata_plan::{BaseLayers, CheckedRequest, FleetMember, check, plan_fleet};

/// An image, with what lies below it.
struct Member {
    request: CheckedRequest,
    closure: Closure,
    parents: Vec<LayersFile>,
    base: Base,
    /// Whether a layer hides something of the base.
    hides: bool,
}

/// Writes a file for each image: `NAME.json`, which is a `layersFile`. `closure` is that of all images.
pub(super) fn build(
    requests: BTreeMap<String, Request>,
    closure: Vec<ClosureEntry>,
    store: &Store,
    out: &str,
) -> Result<()> {
    let closure = layers::parse_closure(closure, store)?;
    let mut names = Vec::new();
    let mut members = Vec::new();
    for (name, request) in requests {
        members.push(read(request, &closure, store, out).map_err(|error| within(&name, error))?);
        names.push(name);
    }
    let images: Vec<FleetMember<'_>> = members.iter().map(Member::borrowed).collect();
    let plans = plan_fleet(&images)?;
    let output = Output::create(store.locate_below(out))?;
    for (name, plan) in names.iter().zip(plans) {
        let text = LayersLock::with_reasons(plan).to_text();
        output.write(&format!("{name}.json"), text.as_bytes())?;
    }
    output.complete();
    Ok(())
}

fn read(request: Request, all: &Closure, store: &Store, out: &str) -> Result<Member> {
    let request = check(request, store, out)?;
    let (base, hidden) = match &request.image {
        Some(image) => {
            let read = base_image::read(image, store)?;
            (read.base, read.hidden)
        }
        None => (Base::default(), Vec::new()),
    };
    Ok(Member {
        closure: reached(&request, all, store),
        parents: parent_layers::read(&request.layers, store)?,
        request,
        base,
        hides: !hidden.is_empty(),
    })
}

impl Member {
    fn borrowed(&self) -> FleetMember<'_> {
        FleetMember {
            request: &self.request,
            closure: &self.closure,
            parents: &self.parents,
            base: BaseLayers {
                count: self.base.count() + usize::from(self.hides),
                own: &self.base.layers,
            },
        }
    }
}

/// The closure of what a request names.
fn reached(request: &CheckedRequest, all: &Closure, store: &Store) -> Closure {
    let mut seen: BTreeSet<StorePath> = BTreeSet::new();
    let mut todo: Vec<StorePath> = Vec::new();
    todo.extend(request.copy_to_root.iter().chain(&request.deps).cloned());
    let mut entries = Vec::new();
    while let Some(path) = todo.pop() {
        if let Some(entry) = all.get(&path)
            && seen.insert(path.clone())
        {
            let references = entry
                .references
                .iter()
                .filter_map(|path| store.parse(path).ok());
            todo.extend(references);
            entries.push((path, entry.clone()));
        }
    }
    Closure::new(entries)
}

/// An error that says which image it is about.
fn within(name: &str, error: Error) -> Error {
    match error {
        Error::Attribute {
            attribute,
            message,
            hint,
        } => Error::Attribute {
            attribute: format!("{name}.{attribute}"),
            message,
            hint,
        },
        other => other,
    }
}
