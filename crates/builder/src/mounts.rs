//! Store paths that are not in the image: nix-snapshotter mounts those of the node when a container starts, and fetches
//! from a binary cache what the node does not have.
//!
//! For each there is an empty directory or file in a layer, whose annotations say which they are (`pkg/nix2container` of
//! nix-snapshotter, which has one such layer in an image, too). What goes to the root stays what it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use strata_archive::Mode;
use strata_error::{Error, Result};
use strata_nix::Store;
use strata_oci::{NIX_LAYER, NIX_STORE_PATH};
use strata_plan::{CheckedRequest, LayerSpec, history_of_mounts};
use strata_tree::{FileKind, FileRecord, ImagePath, Recipe, Rule, Source};

/// Takes the store paths out of the layers and puts one with the places of all in the place of the first that had any.
/// What `copyToRoot` names has one in any case, as nix-snapshotter has it. Gives a warning where rules lose what they
/// were about.
pub(super) fn replace(
    planned: &mut Vec<(LayerSpec, Recipe)>,
    request: &CheckedRequest,
    store: &Store,
) -> Result<Option<String>> {
    let store_directory = ImagePath::from(store.dir.as_str());
    let at_root = request.copy_to_root.iter();
    let at_root = at_root.filter(|path| !request.ignore.contains(*path));
    let mut paths: BTreeSet<String> = at_root.map(|path| path.as_str().to_owned()).collect();
    let mut with_rules = 0_usize;
    let mut first = None;
    let mut layer = Recipe {
        mtime: request.mtime,
        ..Recipe::default()
    };
    for (number, (_, recipe)) in planned.iter_mut().enumerate() {
        let is_in_store = |source: &mut Source| !source.to_root;
        let taken: Vec<Source> = recipe.sources.extract_if(.., is_in_store).collect();
        if taken.is_empty() {
            continue;
        }
        if first.is_none() {
            first = Some(number);
            layer.redirects.clone_from(&recipe.redirects);
            let store_directory = recipe.place(store_directory.clone());
            let above = recipe.directories.iter();
            let above = above.filter(|above| store_directory.is_below(&above.path));
            layer.directories = above.cloned().collect();
        }
        with_rules += taken.iter().filter(|it| !it.rules.is_empty()).count();
        paths.extend(taken.into_iter().map(|source| source.store_path));
    }
    if paths.is_empty() {
        return Ok(None);
    }
    layer.files = paths
        .iter()
        .map(|path| place_of(path, store))
        .collect::<Result<_>>()?;
    layer.files.sort_by(|one, other| one.path.cmp(&other.path));
    let history = request.history.clone();
    let history = history.unwrap_or_else(|| history_of_mounts(paths.len()));
    let spec = LayerSpec {
        reason: Some("places where the node's store paths are mounted".to_owned()),
        annotations: annotations(&paths),
        ..LayerSpec::new(history, request.compression)
    };
    planned.insert(first.unwrap_or_default(), (spec, layer));
    planned.retain(|(_, recipe)| !is_empty(recipe));
    Ok((with_rules > 0).then(|| {
        format!(
            "warning: perms have no effect on {with_rules} store paths, which are mounted as they are\n\
             hint: copyToRoot and files have owners and modes"
        )
    }))
}

/// What tells nix-snapshotter which store paths to mount, in their order.
fn annotations(paths: &BTreeSet<String>) -> BTreeMap<String, String> {
    let numbered = paths.iter().enumerate();
    let named = numbered.map(|(number, path)| (format!("{NIX_STORE_PATH}{number}"), path.clone()));
    [(NIX_LAYER.to_owned(), "true".to_owned())]
        .into_iter()
        .chain(named)
        .collect()
}

/// The place of a store path: a directory, or an empty file.
fn place_of(path: &str, store: &Store) -> Result<FileRecord> {
    let on_disk = store.locate_below(path);
    let found = fs::metadata(&on_disk).map_err(Error::io("read", &on_disk))?;
    let (kind, mode) = if found.is_dir() {
        (FileKind::Directory, None)
    } else {
        (FileKind::Empty, Some(Mode::of_file(true)))
    };
    Ok(FileRecord {
        path: ImagePath::from(path),
        kind,
        set: Rule {
            mode,
            ..Rule::default()
        },
    })
}

/// Whether nothing is left of a layer but directories above what was taken.
fn is_empty(recipe: &Recipe) -> bool {
    recipe.sources.is_empty()
        && recipe.files.is_empty()
        && recipe.whiteouts.is_empty()
        && recipe.tar.is_none()
}
