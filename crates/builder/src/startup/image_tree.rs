//! Looking for single paths in an image that is planned and not yet made.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use strata_archive::Mode;
use strata_error::{Error, Result};
use strata_nix::Store;
use strata_tree::{
    BaseEntry, BaseTree, CompiledRules, EntryType, FileKind, ImagePath, Recipe, Source,
};

/// An image as its layers make it together.
pub(super) struct ImageTree<'a> {
    pub(super) base: &'a BaseTree,
    /// What layers of tars have above all else.
    pub(super) tars: &'a BaseTree,
    pub(super) recipes: &'a [Recipe],
    pub(super) store: &'a Store,
}

/// What a path means when all symlinks are followed.
#[derive(Debug)]
pub(super) enum Found {
    /// A file of our own: where it is on this machine, and the mode that it has in the image.
    File(PathBuf, Mode),
    /// A file, device or pipe of the base image, where it is.
    BaseFile(ImagePath),
    /// A file, device or pipe of a tar, which nobody looks into.
    TarFile,
    /// A directory, with its path in the image.
    Directory(ImagePath),
    /// Nothing: this is the path where the way ends.
    Nothing(ImagePath),
    /// Symlinks that lead to each other, or a file where a directory must be.
    NoWay(ImagePath),
    /// It depends on what is mounted here.
    Mounted(ImagePath),
}

/// What is at a path that leads through no symlink.
enum Node {
    File(PathBuf, Mode),
    BaseFile,
    TarFile,
    Directory,
    Symlink(Vec<u8>),
    Nothing,
}

/// How many symlinks Linux follows on the way to a file.
const MOST_SYMLINKS: usize = 40;

impl ImageTree<'_> {
    /// Follows `path`; what is at or below one of `mounts` is not known.
    pub(super) fn find(&self, path: &ImagePath, mounts: &[ImagePath]) -> Result<Found> {
        let mut real = ImagePath::default();
        let mut rest: Vec<Vec<u8>> = names(&path.0);
        let mut symlinks = 0;
        while let Some(name) = rest.pop() {
            if name == b".." {
                real = real.split().0;
                continue;
            }
            let next = real.join(&name);
            let node = self.at(&next)?;
            // An engine fills a volume with what the image has there.
            if matches!(node, Node::Nothing) {
                let whole = rest.iter().rev().fold(next, |path, name| path.join(name));
                let is_mounted = mounts.iter().any(|mount| whole.is_below(mount));
                return Ok(if is_mounted {
                    Found::Mounted(whole)
                } else {
                    Found::Nothing(whole)
                });
            }
            match node {
                Node::Directory => real = next,
                Node::File(file, mode) if rest.is_empty() => return Ok(Found::File(file, mode)),
                Node::BaseFile if rest.is_empty() => return Ok(Found::BaseFile(next)),
                Node::TarFile if rest.is_empty() => return Ok(Found::TarFile),
                Node::File(..) | Node::BaseFile | Node::TarFile | Node::Nothing => {
                    return Ok(Found::NoWay(next));
                }
                Node::Symlink(target) => {
                    symlinks += 1;
                    if symlinks > MOST_SYMLINKS {
                        return Ok(Found::NoWay(next));
                    }
                    if target.starts_with(b"/") {
                        real = ImagePath::default();
                    }
                    rest.extend(names(&target));
                }
            }
        }
        Ok(Found::Directory(real))
    }

    /// Whether a path is below a store path that is at the root, and not in the store.
    pub(super) fn is_moved(&self, path: &ImagePath) -> bool {
        let mut sources = self.recipes.iter().flat_map(|recipe| &recipe.sources);
        sources.any(|source| {
            source.to_root && path.is_below(&ImagePath::from(source.store_path.as_str()))
        })
    }

    fn at(&self, path: &ImagePath) -> Result<Node> {
        match self.tars.at(path) {
            BaseEntry::Nothing => {}
            BaseEntry::Directory(_) => return Ok(Node::Directory),
            BaseEntry::Symlink(target) => return Ok(Node::Symlink(target.to_vec())),
            BaseEntry::File => return Ok(Node::TarFile),
        }
        // Files of the uppermost layer hide those below; the merge saw to it that ours do not disagree.
        for recipe in self.recipes.iter().rev() {
            if let Some(node) = self.in_files(recipe, path)? {
                return Ok(node);
            }
            for source in &recipe.sources {
                let node = if source.to_root {
                    self.at_root(recipe, source, path)?
                } else {
                    self.in_store(recipe, source, path)?
                };
                if let Some(node) = node {
                    return Ok(node);
                }
            }
            if recipe
                .directories
                .iter()
                .any(|directory| directory.path == *path)
            {
                return Ok(Node::Directory);
            }
        }
        Ok(match self.base.at(path) {
            BaseEntry::Nothing => Node::Nothing,
            BaseEntry::Directory(_) => Node::Directory,
            BaseEntry::Symlink(target) => Node::Symlink(target.to_vec()),
            BaseEntry::File => Node::BaseFile,
        })
    }

    /// What is described file by file.
    fn in_files(&self, recipe: &Recipe, path: &ImagePath) -> Result<Option<Node>> {
        for file in &recipe.files {
            let place = recipe.place(file.path.clone());
            let is_here = place == *path;
            let content = match &file.kind {
                FileKind::Source { path: content, .. } if path.is_below(&place) => content,
                FileKind::HardLink { target } if is_here => {
                    return self.in_files(recipe, &recipe.place(target.clone()));
                }
                FileKind::Directory if is_here => return Ok(Some(Node::Directory)),
                FileKind::Symlink { target } if is_here => {
                    return Ok(Some(Node::Symlink(target.clone().into_bytes())));
                }
                // As what a base image has, it is not looked into.
                _ if is_here => return Ok(Some(Node::BaseFile)),
                _ => continue,
            };
            let relative = path.0.get(place.0.len() + 1..).unwrap_or_default();
            let found = on_disk(&self.store.locate_below(content), relative)?;
            let Some(node) = found else { continue };
            return Ok(Some(match node {
                // A file of the store that its owner may write.
                Node::File(on_disk, mode) => {
                    let given = file.set.mode.filter(|_| is_here);
                    let usual = mode.with(Mode::from_bits(0o200));
                    Node::File(on_disk, given.unwrap_or(usual))
                }
                node => node,
            }));
        }
        Ok(None)
    }

    fn in_store(&self, recipe: &Recipe, source: &Source, path: &ImagePath) -> Result<Option<Node>> {
        let place = recipe.place(ImagePath::from(source.store_path.as_str()));
        if place.is_below(path) && place != *path {
            return Ok(Some(Node::Directory));
        }
        if !path.is_below(&place) {
            return Ok(None);
        }
        let relative = path.0.get(place.0.len() + 1..).unwrap_or_default();
        self.on_disk(source, relative)
    }

    fn at_root(&self, recipe: &Recipe, source: &Source, path: &ImagePath) -> Result<Option<Node>> {
        let moved = recipe.redirects.iter().filter_map(|redirect| {
            let rest = path.0.strip_prefix(redirect.to.0.as_slice())?;
            let rest = match rest {
                [] => return Some(redirect.path.clone()),
                [b'/', rest @ ..] => rest,
                _ => return None,
            };
            Some(redirect.path.join(rest))
        });
        for candidate in std::iter::once(path.clone()).chain(moved) {
            if recipe.place(candidate.clone()) == *path && !source.without.contains(&candidate) {
                let node = self.on_disk(source, &candidate.0)?;
                if node.is_some() {
                    return Ok(node);
                }
            }
        }
        Ok(None)
    }

    /// What a source has at `relative`, through no symlink, with the mode that rules give it.
    fn on_disk(&self, source: &Source, relative: &[u8]) -> Result<Option<Node>> {
        let root = self.store.locate_below(&source.store_path);
        let found = on_disk(&root, relative)?;
        let Some(Node::File(file, mode)) = found else {
            return Ok(found);
        };
        let Ok(rules) = CompiledRules::new(&source.store_path, &source.rules) else {
            return Ok(Some(Node::File(file, mode)));
        };
        let name = [source.store_path.as_bytes(), b"/", relative].concat();
        let changes = rules.changes(name.strip_suffix(b"/").unwrap_or(&name));
        let mode = changes.apply(mode, EntryType::File).mode;
        Ok(Some(Node::File(file, mode)))
    }
}

/// What is at `relative` below `root` on this machine, through no symlink, with the mode that the store gives it.
fn on_disk(root: &Path, relative: &[u8]) -> Result<Option<Node>> {
    let above = ImagePath(relative.to_vec());
    for directory in above.ancestors() {
        let directory = root.join(OsStr::from_bytes(&directory.0));
        if !kind(&directory)?.is_some_and(|found| found.is_dir()) {
            return Ok(None);
        }
    }
    let file = match relative {
        [] => root.to_path_buf(),
        relative => root.join(OsStr::from_bytes(relative)),
    };
    let Some(found) = kind(&file)? else {
        return Ok(None);
    };
    if found.is_dir() {
        return Ok(Some(Node::Directory));
    }
    if found.is_symlink() {
        let target = std::fs::read_link(&file).map_err(Error::io("read", &file))?;
        return Ok(Some(Node::Symlink(
            target.into_os_string().as_bytes().to_vec(),
        )));
    }
    let mode = Mode::of_file(is_executable(&found));
    Ok(Some(Node::File(file, mode)))
}

/// The names on the way, the last one first.
fn names(path: &[u8]) -> Vec<Vec<u8>> {
    let names = path.split(|byte| *byte == b'/').rev();
    let names = names.filter(|name| !matches!(*name, b"" | b"."));
    names.map(<[u8]>::to_vec).collect()
}

fn is_executable(found: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    found.permissions().mode() & 0o100 != 0
}

fn kind(path: &Path) -> Result<Option<std::fs::Metadata>> {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    match path.symlink_metadata() {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => Ok(None),
        Err(error) => Err(Error::io("read", path)(error)),
    }
}
