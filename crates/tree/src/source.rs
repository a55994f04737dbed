//! What a recipe says of a source, joined with the store.

use std::path::PathBuf;

use super::recipe::Source;
use super::rules::CompiledRules;
use strata_archive::WHITEOUT_PREFIX;
use strata_error::{Error, Result};
use strata_nix::Store;

/// The rules about a source, ready to be applied.
pub(super) fn compile(source: &Source) -> Result<CompiledRules> {
    CompiledRules::new(&source.store_path, &source.rules)
        .map_err(|error| invalid_recipe(error.to_string()))
}

/// Where a source is: a store path, or what an image derivation made below its own.
pub(super) fn locate(store: &Store, source: &Source) -> PathBuf {
    store.locate_below(&source.store_path)
}

/// Refuses a source that is not in the store, as only a stranger's recipe has one.
pub(super) fn check_place(store: &Store, source: &Source) -> Result<()> {
    let located = store.locate_inside(&source.store_path);
    located.map(|_| ()).map_err(invalid_recipe)
}

/// The full path in the store that rules are matched with.
pub(super) fn source_path(source: &Source, relative: &[u8]) -> Vec<u8> {
    let mut path = source.store_path.clone().into_bytes();
    if !relative.is_empty() {
        path.push(b'/');
        path.extend_from_slice(relative);
    }
    path
}

/// Where the file or tree at `path`, at or below a store path, is; one that is not in the store is refused, as only a
/// stranger's recipe has one.
pub(super) fn locate_file(store: &Store, path: &str) -> Result<PathBuf> {
    store.locate_inside(path).map_err(invalid_recipe)
}

/// Refuses a store path that does not have the size that Nix recorded: it was damaged, or shows
/// other kinds of files than it holds (NixOS/nix#10456), and its digest would match nowhere else.
pub(super) fn check_size(source: &Source, size: u64) -> Result<()> {
    if size == source.nar_size {
        return Ok(());
    }
    Err(Error::Mismatch {
        what: format!("store path {}", source.store_path),
        expected: format!("an archive of {} bytes, as Nix recorded", source.nar_size),
        found: format!("one of {size} bytes"),
        hint: format!("repair it: nix-store --repair-path {}", source.store_path),
    })
}

/// Refuses a name that means something else in a layer: there, `.wh.x` hides the `x` of the layers below
/// (OCI layer.md, "Whiteouts"), and is in no container. `relative` is the path in the store path.
pub(super) fn check_name(store_path: &str, relative: &[u8]) -> Result<()> {
    let name = relative.rsplit(|byte| *byte == b'/').next();
    if !name.is_some_and(|name| name.starts_with(WHITEOUT_PREFIX)) {
        return Ok(());
    }
    Err(Error::Document {
        document: format!("store path {store_path}"),
        message: format!(
            "{}: no image can have a file whose name begins with .wh.",
            String::from_utf8_lossy(relative)
        ),
        hint:
            "in a layer such a name hides another file; rename it, or leave it out of the package"
                .to_owned(),
    })
}

/// The error for a recipe that this program would not write.
pub(super) fn invalid_recipe(message: impl Into<String>) -> Error {
    Error::Document {
        document: "layers.json".into(),
        message: message.into(),
        hint: "rebuild the image with this version of Strata".into(),
    }
}
