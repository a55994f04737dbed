//! Reading layers of other images: those before this one, and those that lie beside it.

use std::iter::repeat;

use strata_error::{Error, Result, small_file};
use strata_layer::{ImagesFile, LAYERS_FILE, LayersFile, LayersLock};
use strata_nix::{Store, StorePath};
use strata_plan::{CheckedRequest, KnownLayers};

/// The largest lock file that is read, in bytes.
const LARGEST_LOCK: u64 = 64 << 20;

/// What the request says of other images.
pub(crate) fn read(request: &CheckedRequest, store: &Store) -> Result<KnownLayers> {
    let mut known = KnownLayers::default();
    if let Some(path) = &request.previous_layers {
        known.previous = layers_of("previousLayers", path, store)?;
    }
    for (number, path) in request.alongside.iter().enumerate() {
        let attribute = format!("alongside[{number}]");
        known.alongside.extend(layers_of(&attribute, path, store)?);
    }
    if let Some(path) = &request.layers_file {
        let mut decided = Vec::new();
        for lock in locks_of("layersFile", path, store)? {
            let layers = parse("layersFile", &lock, store)?;
            let reasons = lock.reasons.into_iter().map(Some).chain(repeat(None));
            let reason =
                |reason: Option<String>| reason.unwrap_or_else(|| "as `layersFile` has it".into());
            decided.extend(layers.into_iter().zip(reasons.map(reason)));
        }
        known.decided = Some(decided);
    }
    Ok(known)
}

/// The store paths of each layer.
fn layers_of(attribute: &str, path: &str, store: &Store) -> Result<Vec<Vec<StorePath>>> {
    let mut layers = Vec::new();
    for lock in locks_of(attribute, path, store)? {
        layers.extend(parse(attribute, &lock, store)?);
    }
    Ok(layers)
}

/// What an image, each image of an index, or a lock file says of layers.
fn locks_of(attribute: &str, path: &str, store: &Store) -> Result<Vec<LayersLock>> {
    let error = |message| wrong(attribute, message);
    let located = store.locate_inside(path).map_err(error)?;
    if ImagesFile::is_in(&located) {
        let images = ImagesFile::read(&located)?.images;
        let lock = |image: &String| {
            let located = store.locate_inside(image).map_err(error)?;
            Ok(LayersLock::of(&LayersFile::read(&located)?))
        };
        return images.iter().map(lock).collect();
    }
    if located.join(LAYERS_FILE).exists() {
        return Ok(vec![LayersLock::of(&LayersFile::read(&located)?)]);
    }
    if located.is_dir() {
        return Err(error(format!("{path} is no image")));
    }
    Ok(vec![LayersLock::parse(
        &small_file::read(&located, LARGEST_LOCK)?,
        path,
    )?])
}

fn parse(attribute: &str, lock: &LayersLock, store: &Store) -> Result<Vec<Vec<StorePath>>> {
    let parse = |path: &String| {
        store
            .parse(path)
            .map_err(|message| wrong(attribute, message))
    };
    let layer = |paths: &Vec<String>| paths.iter().map(parse).collect();
    lock.layers.iter().map(layer).collect()
}

fn wrong(attribute: &str, message: String) -> Error {
    Error::Attribute {
        attribute: attribute.to_owned(),
        message,
        hint: "give an image of buildImage, or what `nix run .#image.lockLayers` wrote".into(),
    }
}
