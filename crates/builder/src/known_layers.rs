//! Reading layers of other images: those before this one, and those that lie beside it.

use strata_error::{Error, Result, small_file};
use strata_layer::{ImagesFile, LAYERS_FILE, LayersFile, LayersLock};
use strata_nix::{Store, StorePath};
use strata_plan::{CheckedRequest, KnownLayers};

/// The largest lock file that is read, in bytes.
const LARGEST_LOCK: u64 = 64 << 20;

/// What the request says of other images.
pub(super) fn read(request: &CheckedRequest, store: &Store) -> Result<KnownLayers> {
    let mut known = KnownLayers::default();
    if let Some(path) = &request.previous_layers {
        known.previous = layers_of("previousLayers", path, store)?;
    }
    for (number, path) in request.alongside.iter().enumerate() {
        let attribute = format!("alongside[{number}]");
        known.alongside.extend(layers_of(&attribute, path, store)?);
    }
    Ok(known)
}

/// The store paths of each layer: of an image, of each image of an index, or of a lock file.
fn layers_of(attribute: &str, path: &str, store: &Store) -> Result<Vec<Vec<StorePath>>> {
    let error = |message: String| Error::Attribute {
        attribute: attribute.to_owned(),
        message,
        hint: "give an image of buildImage, or what `nix run .#image.lockLayers` wrote".into(),
    };
    let located = store.locate_inside(path).map_err(error)?;
    let locks = if ImagesFile::is_in(&located) {
        let images = ImagesFile::read(&located)?.images;
        let lock = |image: &String| {
            let located = store.locate_inside(image).map_err(error)?;
            Ok(LayersLock::of(&LayersFile::read(&located)?))
        };
        images.iter().map(lock).collect::<Result<_>>()?
    } else if located.join(LAYERS_FILE).exists() {
        vec![LayersLock::of(&LayersFile::read(&located)?)]
    } else if located.is_dir() {
        return Err(error(format!("{path} is no image")));
    } else {
        vec![LayersLock::parse(
            &small_file::read(&located, LARGEST_LOCK)?,
            path,
        )?]
    };
    let parse = |path: &String| store.parse(path).map_err(error);
    let layer = |paths: &Vec<String>| paths.iter().map(parse).collect();
    locks
        .iter()
        .flat_map(|lock| &lock.layers)
        .map(layer)
        .collect()
}
