//! From `.attrs.json` to what it asks for.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use super::{fleet, index, layers, root_tree, system};
use strata_error::{Error, Result};
use strata_nix::{Attrs, Requested, Store};

/// Where the builder works and with how many threads.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `.attrs.json`.
    pub attrs_file: PathBuf,
    /// How many layers are digested at once.
    pub threads: NonZeroUsize,
    /// Where the store is, if not where its paths say.
    pub store_location: Option<PathBuf>,
}

/// Builds what `.attrs.json` asks for; gives warnings for the build log.
pub fn run(settings: &Settings) -> Result<Vec<String>> {
    let Attrs {
        out,
        outputs,
        request,
    } = read(&settings.attrs_file)?;
    let mut store = match &request {
        Requested::Layers { request, .. } => Store::new(request.store_dir.clone()),
        Requested::Fleet { request, .. } => Store::new(request.store_dir.clone()),
        Requested::System(request) => Store::new(request.store_dir.clone()),
        Requested::Index(request) => Store::new(request.store_dir.clone()),
        Requested::Tree(request) => Store::new(request.store_dir.clone()),
    };
    if let Some(location) = &settings.store_location {
        store.location.clone_from(location);
    }
    match request {
        Requested::Layers { request, closure } => {
            layers::build(*request, closure, &store, &out, settings.threads)
        }
        Requested::Fleet { request, closure } => {
            fleet::build(request.images, closure, &store, &out)?;
            Ok(Vec::new())
        }
        Requested::System(request) => {
            system::build(&request.system, &out, &outputs, &store)?;
            Ok(Vec::new())
        }
        Requested::Index(request) => {
            index::build(*request, &store, &out)?;
            Ok(Vec::new())
        }
        Requested::Tree(request) => root_tree::build(&request.tree, &out, &store),
    }
}

/// The attributes. The file's bytes, of a large closure many, are needed no longer than this takes.
fn read(file: &Path) -> Result<Attrs> {
    let bytes = std::fs::read(file).map_err(|error| Error::io("read", file)(error))?;
    Attrs::parse(&bytes)
}

/// The file that Nix wrote the attributes to.
pub fn attrs_file(argument: Option<&Path>) -> PathBuf {
    argument.map_or_else(strata_nix::find_attrs_file, Path::to_path_buf)
}
