//! Layers that are tars in the store, which scripts made, and those that have such a tar in them.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use strata_archive::{
    ArchiveEntry, ArchiveEntryKind, ArchiveReader, ArchiveWriter, Entry, EntryKind, write_error,
};
use strata_error::{Error, Result};
use strata_nix::Store;
use strata_nix::walk::open_regular;
use strata_tree::{ImagePath, LayerTree, Recipe};

const DAMAGED: &str = "give a tar that is not compressed, as GNU tar and Strata write it";

/// The directories that a tar has, which are described there.
#[derive(Default)]
pub struct Described(BTreeSet<Vec<u8>>);

impl Described {
    /// Remembers an entry of the tar if it is a directory.
    pub fn add(&mut self, entry: &ArchiveEntry) {
        if entry.kind == ArchiveEntryKind::Directory {
            self.0.insert(entry.path.clone());
        }
    }

    /// Whether an entry of the rest of the layer is one of them.
    pub fn has(&self, entry: &Entry<'_>) -> bool {
        matches!(entry.kind, EntryKind::Directory) && self.0.contains(entry.path)
    }
}

/// Shows `visit` what the tree of a recipe has besides its tar.
pub fn visit_beside(
    tree: &LayerTree<'_>,
    described: &Described,
    visit: &mut dyn FnMut(Entry<'_>) -> Result<()>,
) -> Result<()> {
    tree.visit(&mut |entry| {
        if described.has(&entry) {
            return Ok(());
        }
        visit(entry)
    })
}

/// Shows `visit` the entries of the tar in a recipe, where they are in the image, and what is in them.
pub fn read_tar(
    recipe: &Recipe,
    tar: &str,
    store: &Store,
    visit: &mut dyn FnMut(ArchiveEntry, &mut dyn Read) -> Result<()>,
) -> Result<()> {
    let path = locate(tar, store)?;
    let file = io::BufReader::with_capacity(128 * 1024, open_regular(&path)?.file);
    let mut archive = ArchiveReader::new(file, tar, DAMAGED);
    while let Some(mut entry) = archive.next_entry()? {
        let place = recipe.place(ImagePath(std::mem::take(&mut entry.path)));
        // A directory that is a symlink in the base is described there.
        let is_redirect = entry.kind == ArchiveEntryKind::Directory
            && recipe.redirects.iter().any(|redirect| redirect.to == place);
        entry.path = place.0;
        if let ArchiveEntryKind::HardLink(target) = &mut entry.kind {
            *target = recipe.place(ImagePath(std::mem::take(target))).0;
        }
        if !is_redirect {
            visit(entry, &mut archive)?;
        }
    }
    Ok(())
}

/// Writes a tar as it lies there.
pub(super) fn write_whole(tar: &str, store: &Store, writer: &mut dyn Write) -> Result<()> {
    let path = locate(tar, store)?;
    let mut file = open_regular(&path)?.file;
    io::copy(&mut file, writer).map_err(write_error("a layer"))?;
    Ok(())
}

/// Writes the entries of the tar in a recipe, each where it is in the image.
pub(super) fn write_entries<W: Write>(
    recipe: &Recipe,
    tar: &str,
    store: &Store,
    archive: &mut ArchiveWriter<W>,
) -> Result<Described> {
    let mut described = Described::default();
    read_tar(recipe, tar, store, &mut |entry, content| {
        if entry.is_sparse {
            return Err(Error::Document {
                document: tar.to_owned(),
                message: format!(
                    "{}: a sparse file, which cannot be copied into another tar",
                    String::from_utf8_lossy(&entry.path)
                ),
                hint: "write the tar without --sparse".into(),
            });
        }
        described.add(&entry);
        // The root is called so.
        let path = if entry.path.is_empty() {
            b"."
        } else {
            entry.path.as_slice()
        };
        archive.copy(path, &entry, content)
    })?;
    Ok(described)
}

fn locate(tar: &str, store: &Store) -> Result<PathBuf> {
    store.locate_inside(tar).map_err(|message| Error::Document {
        document: "layers.json".into(),
        message: format!("a layer that is a tar: {message}"),
        hint: "rebuild the image; its files name only what is in the store".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use strata_archive::{Metadata, Mode};
    use strata_tree::Redirect;

    /// A store with one path, which has `layer.tar` with these files, and the recipe that names it.
    fn store(files: &[&str]) -> (tempfile::TempDir, Store, Recipe) {
        let location = tempfile::tempdir().unwrap();
        let name = format!("{:032}-layer", 0);
        let mut archive = ArchiveWriter::new(Vec::new(), "layer");
        let metadata = Metadata::root(Mode::ANCESTOR);
        archive.directory("bin", &metadata).unwrap();
        for file in files {
            archive.file(file, &metadata, file.as_bytes()).unwrap();
        }
        std::fs::create_dir(location.path().join(&name)).unwrap();
        let tar = archive.finish().unwrap();
        std::fs::write(location.path().join(&name).join("layer.tar"), tar).unwrap();
        let store = Store {
            dir: "/nix/store".into(),
            location: location.path().into(),
        };
        let recipe = Recipe {
            tar: Some(format!("/nix/store/{name}/layer.tar")),
            ..Recipe::default()
        };
        (location, store, recipe)
    }

    fn names(bytes: &[u8]) -> Vec<String> {
        let mut archive = ArchiveReader::new(bytes, "written", "");
        let mut names = Vec::new();
        while let Some(entry) = archive.next_entry().unwrap() {
            names.push(String::from_utf8(entry.path).unwrap());
        }
        names
    }

    #[test]
    fn a_tar_is_the_layer_as_it_lies_there() {
        let (location, store, recipe) = store(&["bin/sh"]);
        let mut written = Vec::new();
        crate::write_layer(&recipe, &store, &mut written).unwrap();
        let name = format!("{:032}-layer/layer.tar", 0);
        assert_eq!(written, std::fs::read(location.path().join(name)).unwrap());
    }

    #[test]
    fn what_goes_to_a_symlink_of_the_base_goes_where_that_leads() {
        let (_location, store, mut recipe) = store(&["bin/sh", "etc/x"]);
        recipe.redirects = vec![Redirect {
            path: ImagePath::from("bin"),
            to: ImagePath::from("usr/bin"),
        }];
        let mut written = Vec::new();
        crate::write_layer(&recipe, &store, &mut written).unwrap();
        assert_eq!(names(&written), ["usr/bin/sh", "etc/x"]);
    }
}
