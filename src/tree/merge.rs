//! Merging what goes to the root of the image, over all layers, before any layer is written.
//!
//! Directories that several sources have are one directory. Files that several sources have must be
//! the same, and are kept in the lowest layer. What a directory has in the final image is settled
//! here, so that every layer that names it says the same.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::entries::{check_size, locate, source_path};
use super::rules::EntryType;
use super::walk::{self, Kind, Visit};
use super::{Changes, CompiledRules, DirectoryRecord, ImagePath, Metadata, Mode, Rule, Source};
use crate::nix::{Store, nar};
use crate::{Error, Result};

/// A source whose content goes to the root, in the order of the layers.
pub struct RootSource<'a> {
    /// The number of the layer that it is in.
    pub layer: usize,
    /// The store path and its rules.
    pub source: &'a Source,
}

/// What the merge settled.
#[derive(Default)]
pub struct Layout {
    /// For each layer, directories that its sources alone would get wrong. Sorted by path.
    pub directories: BTreeMap<usize, Vec<DirectoryRecord>>,
    /// For each layer, files that a lower layer holds. Sorted.
    pub omit: BTreeMap<usize, BTreeSet<ImagePath>>,
    /// Rules that match no file, with their store path.
    pub unmatched: Vec<(String, Rule)>,
}

/// Merges sources; `in_store` maps the store paths of the image that stay in the store to the
/// layers they are in.
pub fn merge(
    sources: &[RootSource<'_>],
    in_store: &BTreeMap<ImagePath, usize>,
    store: &Store,
) -> Result<Layout> {
    let mut merge = Merge {
        sources,
        store,
        in_store,
        nodes: BTreeMap::new(),
        layout: Layout::default(),
    };
    for number in 0..sources.len() {
        merge.add(number)?;
    }
    merge.settle_directories()?;
    Ok(merge.layout)
}

enum Node {
    /// The sources that have the directory, and what their rules set for it.
    Directory(Vec<(usize, Changes)>),
    Leaf(Leaf),
}

#[derive(Clone)]
struct Leaf {
    number: usize,
    metadata: Metadata,
    content: Content,
}

#[derive(Clone, PartialEq)]
enum Content {
    Symlink(Vec<u8>),
    File {
        size: u64,
        executable: bool,
        path: PathBuf,
    },
}

struct Merge<'a> {
    sources: &'a [RootSource<'a>],
    store: &'a Store,
    in_store: &'a BTreeMap<ImagePath, usize>,
    nodes: BTreeMap<ImagePath, Node>,
    layout: Layout,
}

impl Merge<'_> {
    fn add(&mut self, number: usize) -> Result<()> {
        let source = self.sources[number].source;
        let root = locate(self.store, source);
        let rules = super::entries::compile(source)?;
        let mut size = nar::SizeCounter::default();
        walk::walk(&root, &mut |found| {
            self.node(number, &rules, &found, &mut size)
        })?;
        check_size(source, size.total())?;
        check_root_rules(source, &rules)?;
        let unmatched = rules
            .unmatched()
            .map(|rule| (source.store_path.clone(), rule.clone()));
        self.layout.unmatched.extend(unmatched);
        Ok(())
    }

    fn node(
        &mut self,
        number: usize,
        rules: &CompiledRules,
        found: &Visit<'_>,
        size: &mut nar::SizeCounter,
    ) -> Result<()> {
        let source = self.sources[number].source;
        let (file_size, executable) = match &found.kind {
            Kind::File(file) => file.stat()?,
            _ => (0, false),
        };
        size.count(found, file_size, executable);
        if found.relative.is_empty() {
            return match found.kind {
                Kind::Directory | Kind::Leave => Ok(()),
                _ => Err(not_a_directory(source)),
            };
        }
        let path = ImagePath(found.relative.to_vec());
        let changes = || {
            if rules.is_empty() {
                return Changes::default();
            }
            rules.changes(&source_path(source, found.relative))
        };
        match &found.kind {
            Kind::Leave => Ok(()),
            Kind::Directory => self.add_directory(number, path, changes()),
            Kind::Symlink { target } => {
                let metadata = changes().apply(Mode::SYMLINK, EntryType::Symlink);
                let content = Content::Symlink(target.to_vec());
                self.add_leaf(
                    path,
                    Leaf {
                        number,
                        metadata,
                        content,
                    },
                )
            }
            Kind::File(_) => {
                let metadata = changes().apply(Mode::of_file(executable), EntryType::File);
                let content = Content::File {
                    size: file_size,
                    executable,
                    path: found.path(),
                };
                self.add_leaf(
                    path,
                    Leaf {
                        number,
                        metadata,
                        content,
                    },
                )
            }
        }
    }

    fn add_directory(&mut self, number: usize, path: ImagePath, changes: Changes) -> Result<()> {
        if self.in_store.contains_key(&path) {
            return Err(self.conflict_with_store(number, &path));
        }
        match self.nodes.get_mut(&path) {
            None => {
                self.nodes
                    .insert(path, Node::Directory(vec![(number, changes)]));
                Ok(())
            }
            Some(Node::Directory(sources)) => {
                sources.push((number, changes));
                Ok(())
            }
            Some(Node::Leaf(leaf)) => {
                let first = leaf.number;
                Err(self.conflict(&path, first, number, "whether it is a directory"))
            }
        }
    }

    fn add_leaf(&mut self, path: ImagePath, leaf: Leaf) -> Result<()> {
        if self.in_store.contains_key(&path) {
            return Err(self.conflict_with_store(leaf.number, &path));
        }
        match self.nodes.get(&path) {
            None => {
                self.nodes.insert(path, Node::Leaf(leaf));
                Ok(())
            }
            Some(Node::Directory(sources)) => {
                let first = sources.first().map_or(leaf.number, |(number, _)| *number);
                Err(self.conflict(&path, first, leaf.number, "whether it is a directory"))
            }
            Some(Node::Leaf(first)) => {
                if let Some(about) = difference(first, &leaf)? {
                    return Err(self.conflict(&path, first.number, leaf.number, about));
                }
                let layer = self.sources[leaf.number].layer;
                if self.sources[first.number].layer != layer {
                    self.layout.omit.entry(layer).or_default().insert(path);
                }
                Ok(())
            }
        }
    }

    /// Gives each directory one metadata, and each layer the records that make it say so.
    fn settle_directories(&mut self) -> Result<()> {
        // The ancestors of the store paths in each layer, which no source need have.
        let mut ancestors: BTreeMap<ImagePath, BTreeSet<usize>> = BTreeMap::new();
        for (path, layer) in self.in_store {
            for (slash, _) in path.0.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
                ancestors
                    .entry(ImagePath(path.0[..slash].to_vec()))
                    .or_default()
                    .insert(*layer);
            }
        }
        let directories = self.nodes.iter().filter_map(|(path, node)| match node {
            Node::Directory(sources) => Some((path, sources.as_slice())),
            Node::Leaf(_) => None,
        });
        let bare = ancestors
            .keys()
            .filter(|path| !self.nodes.contains_key(path))
            .map(|path| (path, [].as_slice()));
        let mut records: BTreeMap<usize, Vec<DirectoryRecord>> = BTreeMap::new();
        for (path, sources) in directories.chain(bare) {
            let above_store = ancestors.get(path);
            let mode = if above_store.is_some() {
                Mode::ANCESTOR
            } else {
                Mode::DIRECTORY
            };
            let mut all = Changes::default();
            for (number, changes) in sources {
                all.merge(changes).map_err(|about| {
                    let first = sources
                        .iter()
                        .find(|(_, other)| other.clone().merge(changes).is_err())
                        .map_or(*number, |(first, _)| *first);
                    self.conflict(path, first, *number, about)
                })?;
            }
            let metadata = all.apply(mode, EntryType::Directory);
            let in_layers: BTreeSet<usize> = sources
                .iter()
                .map(|(number, _)| self.sources[*number].layer)
                .chain(above_store.into_iter().flatten().copied())
                .collect();
            for layer in in_layers {
                let own = sources
                    .iter()
                    .find(|(number, _)| self.sources[*number].layer == layer)
                    .map(|(_, changes)| changes.apply(Mode::DIRECTORY, EntryType::Directory));
                if own.as_ref() != Some(&metadata) {
                    let record = DirectoryRecord {
                        path: path.clone(),
                        metadata: metadata.clone(),
                    };
                    records.entry(layer).or_default().push(record);
                }
            }
        }
        for list in records.values_mut() {
            list.sort_by(|one, other| one.path.cmp(&other.path));
        }
        self.layout.directories = records;
        Ok(())
    }

    fn conflict(&self, path: &ImagePath, first: usize, second: usize, about: &str) -> Error {
        let name = |number: usize| self.sources[number].source.store_path.clone();
        let hint = match about {
            "whether it is a directory" | "its content" => format!(
                "take /{path} out of one of them, or join them with pkgs.buildEnv or pkgs.symlinkJoin before copyToRoot"
            ),
            _ => format!("give both the same perms for /{path}, or only one of them a rule"),
        };
        Error::Conflict {
            path: path.to_string(),
            first: name(first),
            second: name(second),
            about: about.to_owned(),
            hint,
        }
    }

    fn conflict_with_store(&self, number: usize, path: &ImagePath) -> Error {
        Error::Conflict {
            path: path.to_string(),
            first: format!("/{path}"),
            second: self.sources[number].source.store_path.clone(),
            about: "its content".into(),
            hint:
                "leave store paths out of copyToRoot; they come into the image by being mentioned"
                    .into(),
        }
    }
}

fn not_a_directory(source: &Source) -> Error {
    Error::Attribute {
        attribute: "copyToRoot".into(),
        message: format!("{} is not a directory", source.store_path),
        hint: "what is in a directory goes to /; make one, for example with pkgs.writeTextDir"
            .into(),
    }
}

/// `/` itself is in no layer, so a rule that matches nothing else has no effect in any engine.
fn check_root_rules(source: &Source, rules: &CompiledRules) -> Result<()> {
    let path = source.store_path.as_bytes();
    let unmatched: Vec<&Rule> = rules.unmatched().collect();
    match rules.find(path).find(|rule| unmatched.contains(rule)) {
        None => Ok(()),
        Some(rule) => Err(Error::Attribute {
            attribute: "perms".into(),
            message: format!(
                "the regex {:?} for {} matches only the root of the image",
                rule.regex, source.store_path
            ),
            hint: "container engines set up / themselves and ignore what an image says of it"
                .into(),
        }),
    }
}

/// In what two leaves at one path differ.
fn difference(first: &Leaf, second: &Leaf) -> Result<Option<&'static str>> {
    let same = match (&first.content, &second.content) {
        (
            Content::File {
                size,
                executable,
                path,
            },
            Content::File {
                size: other_size,
                executable: other_executable,
                path: other_path,
            },
        ) => {
            if executable != other_executable {
                return Ok(Some("its mode"));
            }
            size == other_size && same_bytes(path, other_path)?
        }
        (one, other) => one == other,
    };
    if !same {
        return Ok(Some("its content"));
    }
    Ok((first.metadata != second.metadata).then_some("its mode or owner"))
}

fn same_bytes(one: &Path, other: &Path) -> Result<bool> {
    let open = |path: &Path| std::fs::File::open(path).map_err(Error::io("open", path));
    let mut one_file = io::BufReader::with_capacity(64 * 1024, open(one)?);
    let mut other_file = io::BufReader::with_capacity(64 * 1024, open(other)?);
    let mut buffers = [[0_u8; 8192], [0_u8; 8192]];
    let [left, right] = &mut buffers;
    loop {
        let count = one_file.read(left).map_err(Error::io("read", one))?;
        if count == 0 {
            return Ok(other_file.read(right).map_err(Error::io("read", other))? == 0);
        }
        match other_file.read_exact(&mut right[..count]) {
            Ok(()) if left[..count] == right[..count] => {}
            Ok(()) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(Error::io("read", other)(error)),
        }
    }
}
