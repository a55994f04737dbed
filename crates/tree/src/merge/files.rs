//! What is described file by file, merged with what goes to the root.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::leaf::{self, Content, Leaf};
use super::{Merge, Origin, target};
use crate::files::{FileKind, FileRecord, usual_mode};
use crate::path::ImagePath;
use crate::source::{check_name, locate_file};
use strata_error::Result;
use strata_nix::walk::{self, Kind, Visit};

impl<'a> Merge<'a> {
    /// Adds what is described, and the directories that it needs.
    pub(super) fn add_file(&mut self, number: usize) -> Result<()> {
        let file: &'a FileRecord = self.files[number].file;
        match &file.kind {
            FileKind::Directory => self.add_file_directory(number, &file.path, b""),
            FileKind::Source { path, .. } => {
                let root = locate_file(self.store, path)?;
                walk::walk(&root, &mut |found| {
                    check_name(path, found.relative)?;
                    self.add_of_tree(number, &found)
                })
            }
            FileKind::Symlink { target } => {
                self.add_file_leaf(number, &file.path, b"", Some(target.as_bytes()))
            }
            FileKind::Empty
            | FileKind::HardLink { .. }
            | FileKind::Character { .. }
            | FileKind::Block { .. }
            | FileKind::Fifo => self.add_file_leaf(number, &file.path, b"", None),
        }
    }

    fn add_of_tree(&mut self, number: usize, found: &Visit<'_>) -> Result<()> {
        let file = self.files[number].file;
        let path = match found.relative {
            [] => file.path.clone(),
            relative => file.path.join(relative),
        };
        match &found.kind {
            Kind::Leave => Ok(()),
            Kind::Directory => self.add_file_directory(number, &path, found.relative),
            kind @ (Kind::Symlink { .. } | Kind::File(_)) => {
                self.add_file_leaf(number, &path, found.source_relative(), target(kind))
            }
        }
    }

    /// Adds a directory, which is at `relative` in the tree. It is as others that nobody describes, but for what is
    /// set.
    fn add_file_directory(
        &mut self,
        number: usize,
        path: &ImagePath,
        relative: &[u8],
    ) -> Result<()> {
        let layer = self.files[number].layer;
        let place = self.place(layer, path, &self.files[number].name)?;
        self.need_ancestors(layer, &place);
        self.above.entry(place.clone()).or_default().insert(layer);
        let changes = self.files[number].file.changes(relative);
        self.add_directory(Origin::File(number), place, changes)
    }

    fn add_file_leaf(
        &mut self,
        number: usize,
        path: &ImagePath,
        on_disk: &[u8],
        target: Option<&[u8]>,
    ) -> Result<()> {
        let layer = self.files[number].layer;
        let (directory, name) = path.split();
        let place = self.place(layer, &directory, &self.files[number].name)?;
        let place = place.join(name);
        self.need_ancestors(layer, &place);
        let origin = Origin::File(number);
        self.check_leaf(origin, &place, target)?;
        self.add_leaf(origin, place, on_disk)
    }

    pub(super) fn leaf_of_file(&self, number: usize, on_disk: &[u8]) -> Result<Leaf> {
        let file = self.files[number].file;
        let content = match &file.kind {
            FileKind::Source { path, .. } => {
                let changes = file.changes(&walk::relative(on_disk));
                let root = locate_file(self.store, path)?;
                let place = match on_disk {
                    [] => root,
                    on_disk => root.join(OsStr::from_bytes(on_disk)),
                };
                return leaf::read(&place, &changes, usual_mode);
            }
            FileKind::Symlink { target } => Content::Symlink(target.clone().into_bytes()),
            FileKind::HardLink { target } => Content::HardLink(target.clone()),
            FileKind::Empty => Content::Empty,
            kind => {
                let special = kind.special();
                Content::Special(
                    special.ok_or_else(|| walk::changed(Path::new(&file.attribute())))?,
                )
            }
        };
        let metadata = file.own_metadata();
        Ok(Leaf { metadata, content })
    }
}
