//! Layouts, archives and directories of others, and what `strata pull` wrote.

use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use super::facts::Facts;
use super::image::{Layers, SourceImage};
use strata_base::StoredImage;
use strata_error::{Error, Result};
use strata_layer::Layer;
use strata_oci::Reference;

/// The images at a path; only those of this `name` or tag, if there is one. What they lie in goes with `archive`.
pub(super) fn open(
    path: &Path,
    name: Option<&str>,
    archive: Option<&Arc<TempDir>>,
) -> Result<Vec<SourceImage>> {
    if path.symlink_metadata().is_err() {
        return Err(Error::Document {
            document: path.display().to_string(),
            message: "there is no such file or directory".to_owned(),
            hint: "give the output of buildImage: nix build .#image; or docker://NAME".to_owned(),
        });
    }
    let path = path.canonicalize().map_err(Error::io("read", path))?;
    let mut images = strata_base::images(&path, root(&path))?;
    if let Some(name) = name {
        let all: Vec<String> = images
            .iter()
            .flat_map(|image| image.names.clone())
            .collect();
        images.retain(|image| image.names.iter().any(|own| is_name(own, name)));
        if images.is_empty() {
            return Err(Error::Document {
                document: path.display().to_string(),
                message: format!("it has no image {name}"),
                hint: format!("it has {}", all.join(", ")),
            });
        }
    }
    let images = images.into_iter();
    Ok(images.map(|image| of(image, archive.cloned())).collect())
}

/// What symlinks of a directory must not lead out of: the store, if it lies in one, as parts of it may be other store
/// paths.
fn root(path: &Path) -> &Path {
    let mut above = path.ancestors();
    let store = above.find(|directory| directory.ends_with("nix/store"));
    store.unwrap_or(path)
}

/// Whether an image that is called `own` is meant by a name or a tag.
fn is_name(own: &str, name: &str) -> bool {
    let parse = |text: &str| Reference::parse(text).ok();
    let same = match (parse(own), parse(name)) {
        (Some(own), Some(name)) => {
            own.registry == name.registry
                && own.repository == name.repository
                && own.tag_or_latest() == name.tag_or_latest()
        }
        _ => false,
    };
    same || own == name || own.rsplit_once(':').is_some_and(|(_, tag)| tag == name)
}

fn of(image: StoredImage, archive: Option<Arc<TempDir>>) -> SourceImage {
    let name = image.names.iter().find(|name| name.contains(['/', ':']));
    let (name, tag) = match name.and_then(|name| name.rsplit_once(':')) {
        Some((name, tag)) if !tag.contains('/') => (Some(name.to_owned()), Some(tag.to_owned())),
        _ => (
            name.cloned(),
            image.names.first().filter(|_| name.is_none()).cloned(),
        ),
    };
    let layers = image.layers.into_iter();
    let layers = layers.map(|layer| Arc::new(layer) as Arc<dyn Layer>);
    SourceImage {
        facts: Facts {
            name,
            tag,
            digest: image.digest,
            media_type: image.media_type,
            annotations: image.annotations,
            index: None,
        },
        config: image.config,
        named: Vec::new(),
        layers: Layers::Read(layers.collect()),
        is_remote: false,
        _archive: archive,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_tags_mean_images() {
        for (own, name, is_meant) in [
            ("hello:1", "1", true),
            ("hello:1", "hello:1", true),
            ("docker.io/library/hello:1", "hello:1", true),
            ("docker.io/library/hello:latest", "hello", true),
            ("hello:1", "hello", false),
            ("1", "1", true),
            ("localhost:5000/hello:1", "hello:1", false),
        ] {
            assert_eq!(is_name(own, name), is_meant, "{own} {name}");
        }
    }
}
