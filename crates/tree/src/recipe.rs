//! Recipes: all that the bytes of a layer depend on, besides the store (docs/internals/formats.md).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::files::{FileKind, FileRecord};
use super::path::ImagePath;
use super::rules::Rule;
use strata_archive::Metadata;

/// How to make a layer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Recipe {
    /// Directories whose metadata the sources do not tell: ancestors, and directories that several
    /// sources of the image share. Sorted by path.
    pub directories: Vec<DirectoryRecord>,
    /// What goes in, sorted by store path.
    pub sources: Vec<Source>,
    /// What is described file by file. Sorted by path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileRecord>,
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
    /// The time of all entries, in seconds since 1970; null is 1, that of the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtime: Option<u64>,
    /// Whose the store paths are, with the store directory and what is above it; null is root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_owner: Option<Owner>,
    /// A tar in the store whose entries come first; directories of the rest that it has, too, are those of the tar. With
    /// nothing else, it is the layer as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tar: Option<String>,
}

/// A user and a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owner {
    /// The user's number.
    pub uid: u64,
    /// The group's number.
    pub gid: u64,
    /// The user's name, empty if unknown.
    pub uname: String,
    /// The group's name, empty if unknown.
    pub gname: String,
}

impl Owner {
    /// The same metadata, of this owner.
    pub fn of(&self, metadata: Metadata) -> Metadata {
        Metadata {
            uid: self.uid,
            gid: self.gid,
            uname: self.uname.clone(),
            gname: self.gname.clone(),
            ..metadata
        }
    }
}

/// What a layer takes from the store: a store path, or something below one.
#[derive(Clone, Copy, Debug)]
pub struct StoreContent<'a> {
    /// The full path.
    pub path: &'a str,
    /// The hash of its archive, as Nix writes it.
    pub nar_hash: &'a str,
    /// The size of its archive in bytes.
    pub nar_size: u64,
    /// The place that it has in the image, if that is not the one that it has in the store; `/` for the content of
    /// a directory.
    pub place: Option<&'a ImagePath>,
}

/// The place of what goes to the root.
const ROOT: &ImagePath = &ImagePath(Vec::new());

impl Recipe {
    /// Whether there is anything to make of the store besides the tar, if there is one.
    pub fn is_tar_alone(&self) -> bool {
        self.directories.is_empty()
            && self.sources.is_empty()
            && self.files.is_empty()
            && self.whiteouts.is_empty()
    }

    /// All that is taken from the store: sources, then files.
    pub fn store_contents(&self) -> impl Iterator<Item = StoreContent<'_>> {
        let sources = self.sources.iter().map(|source| StoreContent {
            path: &source.store_path,
            nar_hash: &source.nar_hash,
            nar_size: source.nar_size,
            place: source.to_root.then_some(ROOT),
        });
        let files = self.files.iter().filter_map(|file| match &file.kind {
            FileKind::Source {
                path,
                nar_hash,
                nar_size,
            } => Some(StoreContent {
                path,
                nar_hash,
                nar_size: *nar_size,
                place: Some(&file.path),
            }),
            _ => None,
        });
        sources.chain(files)
    }

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
