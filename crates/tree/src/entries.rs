//! The entries of a layer, in order, from its recipe.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::files::{FileKind, usual_mode};
use super::path::ImagePath;
use super::recipe::{Recipe, Source};
use super::rules::{CompiledRules, EntryType, Rule};
use super::source::{
    check_name, check_place, check_size, compile, invalid_recipe, locate, locate_file, source_path,
};
use strata_archive::{Entry, EntryKind, Metadata, Mode, WHITEOUT_PREFIX};
use strata_error::Result;
use strata_nix::walk::{Kind, Visit};
use strata_nix::{Store, nar, walk};

/// A recipe joined with the store: what goes to the root is merged in memory, store paths are
/// walked when their turn comes.
pub struct LayerTree<'a> {
    recipe: &'a Recipe,
    store: &'a Store,
    rules: Vec<CompiledRules>,
    root: Directory,
    /// Hard links, with the numbers of the files that they are other names of. They come last, when those are there.
    links: Vec<(ImagePath, usize)>,
    /// Where each of the files lies on this machine that come from the store.
    located: BTreeMap<usize, PathBuf>,
}

#[derive(Default)]
struct Directory {
    children: BTreeMap<Vec<u8>, LayerNode>,
    metadata: Option<Metadata>,
}

enum LayerNode {
    /// Boxed, because files are many more.
    Directory(Box<Directory>),
    /// A file or symlink of the source with this number, with its path in it.
    Leaf(usize, Vec<u8>),
    /// The whole store path of the source with this number.
    StorePath(usize),
    /// A file or symlink of the tree that the file with this number is, with its path in it.
    FileLeaf(usize, Vec<u8>),
    /// The symlink, device, pipe or empty file with this number among the files.
    File(usize),
    /// A sign that something is hidden.
    Whiteout,
}

impl<'a> LayerTree<'a> {
    /// Compiles the rules and lists what goes to the root.
    pub fn new(recipe: &'a Recipe, store: &'a Store) -> Result<Self> {
        let rules = recipe.sources.iter().map(compile).collect::<Result<_>>()?;
        let mut tree = Self {
            recipe,
            store,
            rules,
            root: Directory::default(),
            links: Vec::new(),
            located: BTreeMap::new(),
        };
        for number in 0..recipe.files.len() {
            tree.add_file(number)?;
        }
        for (number, source) in recipe.sources.iter().enumerate() {
            check_place(store, source)?;
            if source.to_root {
                tree.add_to_root(number)?;
            } else {
                let path = store.parse(&source.store_path).map_err(invalid_recipe)?;
                let node = LayerNode::StorePath(number);
                let place = recipe.place(ImagePath::from(path.destination()));
                insert(&mut tree.root, &place.0, node).map_err(invalid_recipe)?;
            }
        }
        for path in &recipe.whiteouts {
            let (parent, name) = path.split();
            let path = parent.join(&[WHITEOUT_PREFIX, name].concat());
            insert(&mut tree.root, &path.0, LayerNode::Whiteout).map_err(invalid_recipe)?;
        }
        for record in &recipe.directories {
            let directory = tree
                .root
                .make(record.path.components())
                .map_err(invalid_recipe)?;
            directory.metadata = Some(record.metadata.clone());
        }
        Ok(tree)
    }

    /// Shows `visit` all entries: sorted by component, directories before what is in them.
    pub fn visit(&self, visit: &mut dyn FnMut(Entry<'_>) -> Result<()>) -> Result<()> {
        self.directory(&self.root, &ImagePath::default(), visit)?;
        for (path, number) in &self.links {
            self.hard_link(*number, path, visit)?;
        }
        Ok(())
    }

    /// The sources whose rules have not matched anything, after a visit.
    pub fn unmatched(&self) -> impl Iterator<Item = (&'a Source, &Rule)> {
        let sources = self.recipe.sources.iter().zip(&self.rules);
        sources.flat_map(|(source, rules)| rules.unmatched().map(move |rule| (source, rule)))
    }

    /// What is described wins over what sources have there, which the merge saw to be the same.
    fn add_file(&mut self, number: usize) -> Result<()> {
        let recipe = self.recipe;
        let file = &recipe.files[number];
        let root = &mut self.root;
        let place = recipe.place(file.path.clone());
        match &file.kind {
            FileKind::Directory => root.make(place.components()).map(|_| ()),
            FileKind::Empty
            | FileKind::Symlink { .. }
            | FileKind::Character { .. }
            | FileKind::Block { .. }
            | FileKind::Fifo => insert(root, &place.0, LayerNode::File(number)),
            FileKind::HardLink { target } => {
                let found = recipe.files.binary_search_by(|file| file.path.cmp(target));
                let target = found.map_err(|_| invalid_recipe(format!("/{target} is no file")))?;
                self.links.push((place, target));
                Ok(())
            }
            FileKind::Source { path, .. } => {
                let on_disk = locate_file(self.store, path)?;
                let on_disk = self.located.entry(number).or_insert(on_disk);
                return walk::walk(on_disk, &mut |found| {
                    check_name(path, found.relative)?;
                    if found.relative.is_empty() {
                        let is_tree = matches!(found.kind, Kind::Directory | Kind::Leave);
                        let added = if is_tree {
                            root.make(place.components()).map(|_| ())
                        } else {
                            insert(root, &place.0, LayerNode::FileLeaf(number, Vec::new()))
                        };
                        return added.map_err(invalid_recipe);
                    }
                    let path = recipe.place(file.path.join(found.relative));
                    let added = match found.kind {
                        Kind::Leave => Ok(()),
                        Kind::Directory => root.make(path.components()).map(|_| ()),
                        Kind::Symlink { .. } | Kind::File(_) => {
                            let on_disk = found.source_relative().to_vec();
                            insert(root, &path.0, LayerNode::FileLeaf(number, on_disk))
                        }
                    };
                    added.map_err(invalid_recipe)
                });
            }
        }
        .map_err(invalid_recipe)
    }

    fn add_to_root(&mut self, number: usize) -> Result<()> {
        let recipe = self.recipe;
        let source = &recipe.sources[number];
        let root = &mut self.root;
        let rules = &self.rules[number];
        walk::walk(&locate(self.store, source), &mut |found| {
            check_name(&source.store_path, found.relative)?;
            let path = recipe.place(ImagePath(found.relative.to_vec()));
            match found.kind {
                Kind::Leave => {}
                Kind::Directory => {
                    let directory = root.make(path.components()).map_err(invalid_recipe)?;
                    if directory.metadata.is_none() {
                        let changes = rules.changes(&source_path(source, found.relative));
                        let metadata = changes.apply(Mode::DIRECTORY, EntryType::Directory);
                        directory.metadata = Some(metadata);
                    }
                }
                Kind::Symlink { .. } | Kind::File(_) => {
                    let is_left_out = || {
                        let without = &mut source.without.iter();
                        without.any(|path| path.0 == found.relative)
                    };
                    if recipe.omit.binary_search(&path).is_err() && !is_left_out() {
                        let node = LayerNode::Leaf(number, found.source_relative().to_vec());
                        insert(root, &path.0, node).map_err(invalid_recipe)?;
                    }
                }
            }
            Ok(())
        })
    }

    fn directory(
        &self,
        directory: &Directory,
        path: &ImagePath,
        visit: &mut dyn FnMut(Entry<'_>) -> Result<()>,
    ) -> Result<()> {
        for (name, node) in &directory.children {
            let path = path.join(name);
            match node {
                LayerNode::Directory(directory) => {
                    let ancestor = Metadata::root(Mode::ANCESTOR);
                    let metadata = directory.metadata.as_ref().unwrap_or(&ancestor);
                    let source = || PathBuf::from(OsStr::from_bytes(&path.0));
                    let kind = EntryKind::Directory;
                    visit(Entry {
                        path: &path.0,
                        metadata,
                        kind,
                        source: &source,
                    })?;
                    self.directory(directory, &path, visit)?;
                }
                LayerNode::Leaf(number, on_disk) => {
                    let source = &self.recipe.sources[*number];
                    let file = locate(self.store, source).join(OsStr::from_bytes(on_disk));
                    let relative = walk::relative(on_disk);
                    walk::walk(&file, &mut |found| {
                        let size = &mut nar::SizeCounter::default();
                        self.entry(*number, &path.0, &relative, &found, size, visit)
                    })?;
                }
                LayerNode::Whiteout => {
                    let source = || PathBuf::from(OsStr::from_bytes(&path.0));
                    visit(Entry {
                        path: &path.0,
                        metadata: &Metadata::root(Mode::of_file(false)),
                        kind: EntryKind::Empty,
                        source: &source,
                    })?;
                }
                LayerNode::StorePath(number) => self.store_path(*number, path, visit)?,
                LayerNode::FileLeaf(number, on_disk) => {
                    self.file_leaf(*number, on_disk, &path, visit)?;
                }
                LayerNode::File(number) => self.file(*number, &path, visit)?,
            }
        }
        Ok(())
    }

    /// Shows a symlink, device, pipe or empty file that is described as such.
    fn file(
        &self,
        number: usize,
        path: &ImagePath,
        visit: &mut dyn FnMut(Entry<'_>) -> Result<()>,
    ) -> Result<()> {
        let file = &self.recipe.files[number];
        let kind = match (&file.kind, file.kind.special()) {
            (_, Some(special)) => EntryKind::Special(special),
            (FileKind::Empty, None) => EntryKind::Empty,
            (FileKind::Symlink { target }, None) => EntryKind::Symlink {
                target: target.as_bytes(),
            },
            _ => return Ok(()),
        };
        visit(Entry {
            path: &path.0,
            metadata: &file.own_metadata(),
            kind,
            source: &|| PathBuf::from(OsStr::from_bytes(&path.0)),
        })
    }

    /// Shows what is at `on_disk` in the tree that a file is; it is the tree itself where that is a file.
    fn file_leaf(
        &self,
        number: usize,
        on_disk: &[u8],
        path: &ImagePath,
        visit: &mut dyn FnMut(Entry<'_>) -> Result<()>,
    ) -> Result<()> {
        let file = &self.recipe.files[number];
        let relative = walk::relative(on_disk);
        walk::walk(&self.on_disk(number, on_disk)?, &mut |found| {
            let (metadata, kind) = match &found.kind {
                Kind::Directory | Kind::Leave => return Ok(()),
                Kind::Symlink { target } => {
                    let changes = file.changes(&relative);
                    let metadata = changes.apply(Mode::SYMLINK, EntryType::Symlink);
                    (metadata, EntryKind::Symlink { target })
                }
                Kind::File(regular) => {
                    let opened = regular.open()?;
                    let mode = usual_mode(opened.executable);
                    let metadata = file.changes(&relative).apply(mode, EntryType::File);
                    (metadata, EntryKind::File(opened))
                }
            };
            visit(Entry {
                path: &path.0,
                metadata: &metadata,
                kind,
                source: &|| found.path(),
            })
        })
    }

    /// Shows another name of the file with this number, whose mode and owner engines set again.
    fn hard_link(
        &self,
        number: usize,
        path: &ImagePath,
        visit: &mut dyn FnMut(Entry<'_>) -> Result<()>,
    ) -> Result<()> {
        let recipe = self.recipe;
        let target = recipe.place(recipe.files[number].path.clone());
        self.file_leaf(number, b"", &target, &mut |entry| {
            visit(Entry {
                path: &path.0,
                metadata: entry.metadata,
                kind: EntryKind::HardLink { target: &target.0 },
                source: entry.source,
            })
        })
    }

    /// Where something in the tree that the file with this number is lies on this machine.
    fn on_disk(&self, number: usize, relative: &[u8]) -> Result<PathBuf> {
        let root = self.located.get(&number);
        let path = &self.recipe.files[number].path;
        let root = root.ok_or_else(|| invalid_recipe(format!("/{path} is no file")))?;
        Ok(match relative {
            [] => root.clone(),
            relative => root.join(OsStr::from_bytes(relative)),
        })
    }

    fn store_path(
        &self,
        number: usize,
        mut path: ImagePath,
        visit: &mut dyn FnMut(Entry<'_>) -> Result<()>,
    ) -> Result<()> {
        let source = &self.recipe.sources[number];
        let root_length = path.0.len();
        let mut size = nar::SizeCounter::default();
        walk::walk(&locate(self.store, source), &mut |found| {
            check_name(&source.store_path, found.relative)?;
            path.0.truncate(root_length);
            if !found.relative.is_empty() {
                path.0.push(b'/');
                path.0.extend_from_slice(found.relative);
            }
            self.entry(number, &path.0, found.relative, &found, &mut size, visit)
        })?;
        check_size(source, size.total())
    }

    /// Shows one step of a walk as an entry; `relative` is its path in the source.
    fn entry(
        &self,
        number: usize,
        path: &[u8],
        relative: &[u8],
        found: &Visit<'_>,
        size: &mut nar::SizeCounter,
        visit: &mut dyn FnMut(Entry<'_>) -> Result<()>,
    ) -> Result<()> {
        let source = &self.recipe.sources[number];
        let metadata = |mode, entry_type| {
            let rules = &self.rules[number];
            let metadata = match &self.recipe.store_owner {
                Some(owner) if !source.to_root => owner.of(Metadata::root(mode)),
                _ => Metadata::root(mode),
            };
            if rules.is_empty() {
                return metadata;
            }
            rules
                .changes(&source_path(source, relative))
                .apply_to(metadata, entry_type)
        };
        let (kind, metadata) = match &found.kind {
            Kind::File(file) => {
                let file = file.open()?;
                size.count(found, file.size, file.executable);
                let metadata = metadata(Mode::of_file(file.executable), EntryType::File);
                (EntryKind::File(file), metadata)
            }
            kind => {
                size.count(found, 0, false);
                match kind {
                    Kind::Symlink { target } => (
                        EntryKind::Symlink { target },
                        metadata(Mode::SYMLINK, EntryType::Symlink),
                    ),
                    Kind::Directory => (
                        EntryKind::Directory,
                        metadata(Mode::DIRECTORY, EntryType::Directory),
                    ),
                    Kind::Leave | Kind::File(_) => return Ok(()),
                }
            }
        };
        visit(Entry {
            path,
            metadata: &metadata,
            kind,
            source: &|| found.path(),
        })
    }
}

impl Directory {
    /// The directory at a path, made where it is missing; the error is that something else is
    /// in the way.
    fn make<'n>(&mut self, names: impl Iterator<Item = &'n [u8]>) -> Result<&mut Self, String> {
        let mut directory = self;
        for name in names {
            let node = directory
                .children
                .entry(name.to_vec())
                .or_insert_with(|| LayerNode::Directory(Box::default()));
            let LayerNode::Directory(child) = node else {
                return Err(format!(
                    "{} is not a directory",
                    String::from_utf8_lossy(name)
                ));
            };
            directory = child;
        }
        Ok(directory)
    }
}

/// Puts a leaf or store path at `path`. What is there stays: the plan saw to it that it is the same.
fn insert(root: &mut Directory, path: &[u8], node: LayerNode) -> Result<(), String> {
    let (parent, name) = match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (&path[..0], path),
    };
    let parent = root.make(
        parent
            .split(|byte| *byte == b'/')
            .filter(|name| !name.is_empty()),
    )?;
    parent.children.entry(name.to_vec()).or_insert(node);
    Ok(())
}
