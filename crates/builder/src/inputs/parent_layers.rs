//! Reading the parent layers: outputs of `buildLayer`, which name the ones below them.

use std::collections::{BTreeMap, BTreeSet};

use strata_error::{Error, Result};
use strata_layer::{LAYERS_FILE, LayersFile};
use strata_nix::{Store, StorePath};

/// All layers files that `layers` lead to, each once, what lies below first.
pub(crate) fn read(layers: &[StorePath], store: &Store) -> Result<Vec<LayersFile>> {
    let mut reading = Reading {
        store,
        files: BTreeMap::new(),
        order: Vec::new(),
        on_the_way: BTreeSet::new(),
    };
    // The stack holds paths to enter and, behind the layers below them, to leave again: chains of
    // layers may be longer than the call stack allows.
    let mut stack: Vec<Step> = layers.iter().rev().cloned().map(Step::Enter).collect();
    while let Some(step) = stack.pop() {
        match step {
            Step::Enter(path) => reading.enter(path, &mut stack)?,
            Step::Leave(path) => {
                reading.on_the_way.remove(&path);
                reading.order.push(path);
            }
        }
    }
    let Reading {
        mut files, order, ..
    } = reading;
    Ok(order.iter().filter_map(|path| files.remove(path)).collect())
}

enum Step {
    Enter(StorePath),
    Leave(StorePath),
}

struct Reading<'a> {
    store: &'a Store,
    files: BTreeMap<StorePath, LayersFile>,
    order: Vec<StorePath>,
    on_the_way: BTreeSet<StorePath>,
}

impl Reading<'_> {
    fn enter(&mut self, path: StorePath, stack: &mut Vec<Step>) -> Result<()> {
        if self.on_the_way.contains(&path) {
            return Err(not_a_layer(&path, "contains itself"));
        }
        if self.files.contains_key(&path) {
            return Ok(());
        }
        let output = self.store.locate(&path);
        if !output.join(LAYERS_FILE).exists() {
            return Err(not_a_layer(&path, "was not made by buildLayer"));
        }
        let layers = LayersFile::read(&output)?;
        if layers.image.is_some() {
            return Err(not_a_layer(&path, "is an image"));
        }
        let nested = layers.nested.iter().map(|nested| self.store.parse(nested));
        let nested: Vec<StorePath> = nested
            .collect::<Result<_, _>>()
            .map_err(|message| not_a_layer(&path, &message))?;
        self.files.insert(path.clone(), layers);
        self.on_the_way.insert(path.clone());
        stack.push(Step::Leave(path));
        stack.extend(nested.into_iter().rev().map(Step::Enter));
        Ok(())
    }
}

fn not_a_layer(path: &StorePath, message: &str) -> Error {
    Error::Attribute {
        attribute: "layers".into(),
        message: format!("{path} {message}"),
        hint: "layers takes the results of buildLayer; packages go to deps, images to fromImage"
            .into(),
    }
}
