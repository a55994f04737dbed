//! The layers of an image that are tars: what they have, and where it goes over a base image.

use std::collections::BTreeMap;

use strata_archive::ArchiveEntryKind;
use strata_base::Base;
use strata_error::{Error, Result};
use strata_layer::read_tar;
use strata_nix::Store;
use strata_plan::LayerSpec;
use strata_tree::{BaseEntry, BaseListing, BaseTree, Budget, ImagePath, Recipe, Redirect};

/// What is known of tars.
#[derive(Default)]
pub(crate) struct TarLayers {
    /// What they make together.
    pub(crate) tree: BaseTree,
    /// The recipe of each, by the number of its layer.
    pub(crate) recipes: BTreeMap<usize, Recipe>,
}

/// Reads the tars among `layers`, which lie over `base`.
pub(crate) fn read(layers: &[LayerSpec], base: &Base, store: &Store) -> Result<TarLayers> {
    let mut found = TarLayers::default();
    let mut budget = Budget::default();
    let tars = layers.iter().enumerate();
    let tars = tars.filter_map(|(number, layer)| Some((number, layer.tar.as_ref()?)));
    for (number, tar) in tars {
        let error = |message: String| Error::Document {
            document: tar.clone(),
            message,
            hint: "put less into the layer, or make files in derivations for `copyToRoot`".into(),
        };
        let mut recipe = Recipe {
            tar: Some(tar.clone()),
            ..Recipe::default()
        };
        let mut listing = BaseListing::default();
        let mut redirects: Vec<Redirect> = Vec::new();
        read_tar(&recipe, tar, store, &mut |entry, _| {
            if entry.kind == ArchiveEntryKind::Directory {
                redirects.extend(redirect(base, &entry.path));
            }
            let counted = budget.entries(1);
            let added = counted.and_then(|()| listing.add(entry, &mut budget));
            added.map_err(error)
        })?;
        let laid = found.tree.apply(number, &listing, &mut budget);
        laid.map_err(error)?;
        listing.release(&mut budget);
        redirects.sort_by(|one, other| one.path.cmp(&other.path));
        redirects.dedup_by(|one, other| one.path == other.path);
        recipe.redirects = redirects;
        found.recipes.insert(number, recipe);
    }
    Ok(found)
}

/// Where the directory `path` of a tar is, if it is a symlink to a directory in the base.
fn redirect(base: &Base, path: &[u8]) -> Option<Redirect> {
    let path = ImagePath(path.to_vec());
    let BaseEntry::Symlink(_) = base.tree.at(&path) else {
        return None;
    };
    let to = base.tree.directory(&path).ok()?;
    let is_directory = matches!(base.tree.at(&to), BaseEntry::Directory(_));
    is_directory.then_some(Redirect { path, to })
}
