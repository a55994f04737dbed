//! Recipes: all that the bytes of a layer depend on, besides the store (docs/internals/formats.md).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::path::ImagePath;
use super::rules::Rule;
use strata_archive::Metadata;

/// How to make a layer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Directories whose metadata the sources do not tell: ancestors, and directories that several
    /// sources of the image share. Sorted by path.
    pub directories: Vec<DirectoryRecord>,
    /// What goes in, sorted by store path.
    pub sources: Vec<Source>,
    /// Files that a layer under it holds already. Sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub omit: Vec<ImagePath>,
    /// Directories that are symlinks in the base image, so that what is in them goes elsewhere.
    /// Sorted by path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redirects: Vec<Redirect>,
    /// What the base image has and this layer hides. Sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub whiteouts: Vec<ImagePath>,
}

impl Recipe {
    /// Where something goes that sources have at `path`.
    pub fn place(&self, path: ImagePath) -> ImagePath {
        if self.redirects.is_empty() {
            return path;
        }
        follow(&path, |directory| {
            let found = self
                .redirects
                .binary_search_by(|redirect| redirect.path.cmp(directory));
            found.ok().map(|number| &self.redirects[number].to)
        })
    }
}

/// Where `path` leads when the longest directory is replaced that `find` knows another one for.
pub(super) fn follow<'a>(
    path: &ImagePath,
    find: impl Fn(&ImagePath) -> Option<&'a ImagePath>,
) -> ImagePath {
    let mut directory = path.clone();
    loop {
        if let Some(to) = find(&directory) {
            let rest = path.0.get(directory.0.len() + 1..).unwrap_or_default();
            return if rest.is_empty() {
                to.clone()
            } else {
                to.join(rest)
            };
        }
        if directory.0.is_empty() {
            return path.clone();
        }
        directory = directory.split().0;
    }
}

/// A directory that is a symlink in the base image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redirect {
    /// The symlink.
    pub path: ImagePath,
    /// The directory that it leads to.
    pub to: ImagePath,
}

/// A directory with the metadata that it has in the final image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryRecord {
    /// Where it is.
    pub path: ImagePath,
    /// What it has.
    #[serde(flatten)]
    pub metadata: Metadata,
}

/// A store path in a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Source {
    /// The full store path. The Nix database of an image is a directory below the image's own.
    pub store_path: String,
    /// The hash that Nix records of it.
    pub nar_hash: String,
    /// The size that Nix records of it, in bytes.
    pub nar_size: u64,
    /// What Nix says it refers to.
    pub references: Vec<Arc<str>>,
    /// Whether its content goes to `/` instead of under the store directory.
    pub to_root: bool,
    /// Files of it that are left out, because what they say is in another source. Sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<ImagePath>,
    /// The rules about it, in order; later ones win.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
}
