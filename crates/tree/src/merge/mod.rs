//! Merging what goes to the root of the image, over all layers, before any layer is written.
//!
//! Directories that several sources have are one directory. Files that several sources have must be
//! the same, and are kept in the lowest layer. What a directory has in the final image is settled
//! here, so that every layer that names it says the same.
//!
//! What a request describes file by file (`files`) is merged with it, under the same rules.
//!
//! Over a base image, directories keep what the base says of them, what goes to a directory that is
//! a symlink there goes where it leads, and files replace files, but no directories.

mod conflict;
mod files;
mod leaf;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use self::conflict::{
    between, hides_directory, hits_base, is_in_the_way, not_a_directory, only_matches_root,
    with_file, with_store,
};
use self::leaf::{Leaf, difference};
use crate::base_tree::{BaseEntry, BaseTree};
use crate::files::FileRecord;
use crate::path::ImagePath;
use crate::recipe::{DirectoryRecord, Owner, Source, follow};
use crate::rules::{Changes, CompiledRules, EntryType, Rule};
use crate::source::{check_size, compile, locate, source_path};
use strata_archive::{Metadata, Mode};
use strata_error::{Error, Result};
use strata_nix::walk::{Kind, Visit};
use strata_nix::{Store, nar, walk};

/// A source whose content goes to the root, in the order of the layers.
pub struct RootSource<'a> {
    /// The number of the layer that it is in.
    pub layer: usize,
    /// The store path and its rules.
    pub source: &'a Source,
}

/// What is described file by file, in the order of the layers.
pub struct RootFile<'a> {
    /// The number of the layer that it is in.
    pub layer: usize,
    /// What and where it is.
    pub file: &'a FileRecord,
    /// What errors call it.
    pub name: String,
}

/// What the merge settled.
#[derive(Default)]
pub struct MergedRoot {
    /// For each layer, directories that its sources alone would get wrong. Sorted by path.
    pub directories: BTreeMap<usize, Vec<DirectoryRecord>>,
    /// For each layer, files that a layer under it holds. Sorted.
    pub omit: BTreeMap<usize, BTreeSet<ImagePath>>,
    /// For each layer, directories that are symlinks in the base image. Sorted by path.
    pub redirects: BTreeMap<usize, BTreeMap<ImagePath, ImagePath>>,
    /// Rules that match no file, with their store path.
    pub unmatched: Vec<(String, Rule)>,
}

/// What is merged besides what goes to the root.
pub struct Surroundings<'a> {
    /// The store paths of the image that stay in the store, and the layers they are in.
    pub in_store: &'a BTreeMap<ImagePath, usize>,
    /// What each layer hides of the base image.
    pub whiteouts: &'a BTreeMap<usize, Vec<ImagePath>>,
    /// What the base image has, without what is hidden.
    pub base: &'a BaseTree,
    /// The store directory and its owner, if somebody gave it one.
    pub store_owner: Option<(&'a ImagePath, &'a Owner)>,
}

/// Merges sources and files.
pub fn merge(
    sources: &[RootSource<'_>],
    files: &[RootFile<'_>],
    surroundings: &Surroundings<'_>,
    store: &Store,
) -> Result<MergedRoot> {
    let mut merge = Merge {
        sources,
        files,
        store,
        base: surroundings.base,
        store_owner: surroundings.store_owner,
        in_store: BTreeMap::new(),
        above: BTreeMap::new(),
        rules: Vec::new(),
        nodes: BTreeMap::new(),
        merged: MergedRoot::default(),
    };
    merge.add_store_paths(surroundings.in_store)?;
    for (layer, paths) in surroundings.whiteouts {
        for path in paths {
            merge.need_ancestors(*layer, path);
        }
    }
    for number in 0..sources.len() {
        merge.add(number)?;
    }
    for number in 0..files.len() {
        merge.add_file(number)?;
    }
    merge.settle_directories()?;
    Ok(merge.merged)
}

/// What has something at a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// The source with this number.
    Source(usize),
    /// The file, or tree, with this number.
    File(usize),
}

enum MergedNode {
    /// What has the directory, and what is set for it there.
    Directory(Vec<(Origin, Changes)>),
    /// What has the file or symlink first, and its path there. Trees may have very many
    /// files: more is kept of none, and read again where another has one, too.
    Leaf(Origin, Vec<u8>),
}

struct Merge<'a> {
    sources: &'a [RootSource<'a>],
    files: &'a [RootFile<'a>],
    store: &'a Store,
    base: &'a BaseTree,
    store_owner: Option<(&'a ImagePath, &'a Owner)>,
    /// The store paths, where they really are, and the layers they are in.
    in_store: BTreeMap<ImagePath, usize>,
    /// Directories that layers must name and no source of theirs need have.
    above: BTreeMap<ImagePath, BTreeSet<usize>>,
    rules: Vec<CompiledRules>,
    nodes: BTreeMap<ImagePath, MergedNode>,
    merged: MergedRoot,
}

impl Merge<'_> {
    fn add_store_paths(&mut self, in_store: &BTreeMap<ImagePath, usize>) -> Result<()> {
        for (path, layer) in in_store {
            let (directory, name) = path.split();
            let place = self.place(*layer, &directory, &format!("/{path}"))?;
            let place = place.join(name);
            self.need_ancestors(*layer, &place);
            self.in_store.insert(place, *layer);
        }
        Ok(())
    }

    fn need_ancestors(&mut self, layer: usize, path: &ImagePath) {
        for directory in path.ancestors() {
            self.above.entry(directory).or_default().insert(layer);
        }
    }

    /// Where the directory `path` of a layer is. `source` is who has it, for errors.
    fn place(&mut self, layer: usize, path: &ImagePath, source: &str) -> Result<ImagePath> {
        if path.0.is_empty() {
            return Ok(path.clone());
        }
        let base = self.base;
        let real = base
            .directory(path)
            .map_err(|obstacle| hits_base(path, &obstacle, source))?;
        if real != *path {
            let redirects = self.merged.redirects.entry(layer).or_default();
            // One for the topmost directory is enough.
            if follow(path, |directory| redirects.get(directory)) != real {
                redirects.insert(path.clone(), real.clone());
            }
            self.need_ancestors(layer, &real);
        }
        Ok(real)
    }

    fn add(&mut self, number: usize) -> Result<()> {
        let source = self.sources[number].source;
        let root = locate(self.store, source);
        self.rules.push(compile(source)?);
        let mut size = nar::SizeCounter::default();
        walk::walk(&root, &mut |found| self.node(number, &found, &mut size))?;
        check_size(source, size.total())?;
        let rules = &self.rules[number];
        check_root_rules(source, rules)?;
        let unmatched = rules
            .unmatched()
            .map(|rule| (source.store_path.clone(), rule.clone()));
        self.merged.unmatched.extend(unmatched);
        Ok(())
    }

    fn node(
        &mut self,
        number: usize,
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
                _ => Err(not_a_directory(&source.store_path)),
            };
        }
        let relative = ImagePath(found.relative.to_vec());
        let layer = self.sources[number].layer;
        // The rules must know that they match, whatever they set.
        let changes = match &found.kind {
            Kind::Leave => return Ok(()),
            _ => self.changes(number, &relative),
        };
        if let Kind::Directory = &found.kind {
            let place = self.place(layer, &relative, &source.store_path)?;
            return self.add_directory(Origin::Source(number), place, changes);
        }
        if source.without.contains(&relative) {
            return Ok(());
        }
        let (directory, name) = relative.split();
        let place = self
            .place(layer, &directory, &source.store_path)?
            .join(name);
        let origin = Origin::Source(number);
        self.check_leaf(origin, &place, target(&found.kind))?;
        self.add_leaf(origin, place, found.source_relative())
    }

    /// Refuses a file or symlink that would hide a directory of the base image. `target` is where a symlink leads.
    fn check_leaf(&self, origin: Origin, path: &ImagePath, target: Option<&[u8]>) -> Result<()> {
        let hides = match (self.base.at(path), target) {
            (BaseEntry::Directory(_), _) => true,
            (BaseEntry::Symlink(old), Some(target)) if old == target => false,
            (BaseEntry::Symlink(_), _) => self
                .base
                .directory(path)
                .is_ok_and(|real| matches!(self.base.at(&real), BaseEntry::Directory(_))),
            _ => false,
        };
        if !hides {
            return Ok(());
        }
        Err(hides_directory(path, self.name(origin)))
    }

    /// What the rules about a source set for what it has at `path`.
    fn changes(&self, number: usize, path: &ImagePath) -> Changes {
        let rules = &self.rules[number];
        if rules.is_empty() {
            return Changes::default();
        }
        rules.changes(&source_path(self.sources[number].source, &path.0))
    }

    /// What is at `on_disk` in a source, or in a tree.
    fn leaf(&self, origin: Origin, on_disk: &[u8]) -> Result<Leaf> {
        match origin {
            Origin::Source(number) => self.leaf_of_source(number, on_disk),
            Origin::File(number) => self.leaf_of_file(number, on_disk),
        }
    }

    fn leaf_of_source(&self, number: usize, on_disk: &[u8]) -> Result<Leaf> {
        let changes = self.changes(number, &ImagePath(walk::relative(on_disk)));
        let root = locate(self.store, self.sources[number].source);
        let file = root.join(OsStr::from_bytes(on_disk));
        let modes = |executable| Mode::of_file(executable);
        leaf::read(&file, &changes, modes)
    }

    fn add_directory(&mut self, origin: Origin, path: ImagePath, changes: Changes) -> Result<()> {
        if self.in_store.contains_key(&path) {
            return Err(with_store(&path, self.name(origin)));
        }
        match self.nodes.get_mut(&path) {
            None => {
                self.nodes
                    .insert(path, MergedNode::Directory(vec![(origin, changes)]));
                Ok(())
            }
            Some(MergedNode::Directory(sources)) => {
                sources.push((origin, changes));
                Ok(())
            }
            Some(MergedNode::Leaf(first, _)) => {
                let first = *first;
                Err(self.conflict(&path, first, origin, "whether it is a directory"))
            }
        }
    }

    fn add_leaf(&mut self, origin: Origin, path: ImagePath, on_disk: &[u8]) -> Result<()> {
        if self.in_store.contains_key(&path) {
            return Err(with_store(&path, self.name(origin)));
        }
        match self.nodes.get(&path) {
            None => {
                self.nodes
                    .insert(path, MergedNode::Leaf(origin, on_disk.to_vec()));
                Ok(())
            }
            Some(MergedNode::Directory(sources)) => {
                let first = sources.first().map_or(origin, |(first, _)| *first);
                Err(self.conflict(&path, first, origin, "whether it is a directory"))
            }
            Some(MergedNode::Leaf(first, first_on_disk)) => {
                let first_leaf = self.leaf(*first, first_on_disk)?;
                let leaf = self.leaf(origin, on_disk)?;
                if let Some(about) = difference(&first_leaf, &leaf)? {
                    return Err(self.conflict(&path, *first, origin, about));
                }
                let layer = self.layer(origin);
                // Files stay in their layers, since others may be links to them.
                if matches!(origin, Origin::Source(_)) && self.layer(*first) != layer {
                    self.merged.omit.entry(layer).or_default().insert(path);
                }
                Ok(())
            }
        }
    }

    /// Gives each directory one metadata, and each layer the records that make it say so.
    fn settle_directories(&mut self) -> Result<()> {
        let mut ancestors = std::mem::take(&mut self.above);
        // `/` is in no layer.
        ancestors.remove(&ImagePath::default());
        self.check_ancestors(&ancestors)?;
        let directories = self.nodes.iter().filter_map(|(path, node)| match node {
            MergedNode::Directory(sources) => Some((path, sources.as_slice())),
            MergedNode::Leaf(..) => None,
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
            for (origin, changes) in sources {
                all.merge(changes).map_err(|about| {
                    let first = sources
                        .iter()
                        .find(|(_, other)| other.clone().merge(changes).is_err())
                        .map_or(*origin, |(first, _)| *first);
                    self.conflict(path, first, *origin, about)
                })?;
            }
            let metadata = match self.base.at(path) {
                BaseEntry::Directory(metadata) => metadata.clone(),
                _ => Metadata::root(mode),
            };
            let metadata = match self.store_owner {
                Some((store, owner)) if above_store.is_some() && store.is_below(path) => {
                    owner.of(metadata)
                }
                _ => metadata,
            };
            let metadata = all.apply_to(metadata, EntryType::Directory);
            let in_layers: BTreeSet<usize> = sources
                .iter()
                .map(|(origin, _)| self.layer(*origin))
                .chain(above_store.into_iter().flatten().copied())
                .collect();
            for layer in in_layers {
                let own = sources
                    .iter()
                    .find(|(origin, _)| {
                        matches!(origin, Origin::Source(_)) && self.layer(*origin) == layer
                    })
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
        self.merged.directories = records;
        Ok(())
    }

    /// Refuses a file or symlink where what is above the store, or above a file, must be a directory: in
    /// another layer it would hide that, or be replaced by it.
    fn check_ancestors(&self, ancestors: &BTreeMap<ImagePath, BTreeSet<usize>>) -> Result<()> {
        let in_the_way = ancestors
            .keys()
            .find_map(|path| match self.nodes.get(path) {
                Some(MergedNode::Leaf(origin, _)) => Some((path, *origin)),
                _ => None,
            });
        let Some((path, origin)) = in_the_way else {
            return Ok(());
        };
        let prefix = [path.0.as_slice(), b"/"].concat();
        let store_path = self
            .in_store
            .keys()
            .find(|path| path.0.starts_with(&prefix));
        let file = self.files.iter().position(|file| {
            let place = &file.file.path;
            place.is_below(path) && place != path
        });
        if let (None, Some(file)) = (store_path, file) {
            let about = "whether it is a directory";
            return Err(self.conflict(path, origin, Origin::File(file), about));
        }
        let above = store_path.unwrap_or(path);
        Err(is_in_the_way(path, above, self.name(origin)))
    }

    fn conflict(&self, path: &ImagePath, first: Origin, second: Origin, about: &str) -> Error {
        let is_file = |origin| matches!(origin, Origin::File(_));
        let between = if is_file(first) || is_file(second) {
            with_file
        } else {
            between
        };
        between(path, self.name(first), self.name(second), about)
    }

    fn layer(&self, origin: Origin) -> usize {
        match origin {
            Origin::Source(number) => self.sources[number].layer,
            Origin::File(number) => self.files[number].layer,
        }
    }

    /// What errors call it.
    fn name(&self, origin: Origin) -> &str {
        match origin {
            Origin::Source(number) => &self.sources[number].source.store_path,
            Origin::File(number) => &self.files[number].name,
        }
    }
}

/// Where a symlink leads.
fn target<'a>(kind: &Kind<'a>) -> Option<&'a [u8]> {
    match kind {
        Kind::Symlink { target } => Some(target),
        _ => None,
    }
}

/// `/` itself is in no layer, so a rule that matches nothing else has no effect in any engine.
fn check_root_rules(source: &Source, rules: &CompiledRules) -> Result<()> {
    let path = source.store_path.as_bytes();
    let unmatched: Vec<&Rule> = rules.unmatched().collect();
    match rules.find(path).find(|rule| unmatched.contains(rule)) {
        None => Ok(()),
        Some(rule) => Err(only_matches_root(&rule.regex, &source.store_path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// Merges two store paths, each in a layer of its own, that have a file `f` with this content,
    /// mode and rules. Gives what the upper layer omits, or about what they disagree.
    fn merge_files(files: [(&str, u32, &[Rule]); 2]) -> Result<Vec<String>, String> {
        let location = tempfile::tempdir().unwrap();
        let store = Store {
            dir: "/nix/store".into(),
            location: location.path().into(),
        };
        let sources = [0, 1].map(|number| {
            let (content, mode, rules) = files[number];
            let name = format!("{number:032}-n");
            let directory = location.path().join(&name);
            std::fs::create_dir(&directory).unwrap();
            std::fs::write(directory.join("f"), content).unwrap();
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(directory.join("f"), permissions).unwrap();
            let info = nar::hash(&directory).unwrap();
            Source {
                store_path: format!("/nix/store/{name}"),
                nar_hash: info.hash,
                nar_size: info.size,
                references: Vec::new(),
                to_root: true,
                without: Vec::new(),
                rules: rules.to_vec(),
            }
        });
        let roots = [0, 1].map(|layer| RootSource {
            layer,
            source: &sources[layer],
        });
        let surroundings = Surroundings {
            in_store: &BTreeMap::new(),
            whiteouts: &BTreeMap::new(),
            base: &BaseTree::default(),
            store_owner: None,
        };
        match merge(&roots, &[], &surroundings, &store) {
            Ok(merged) => Ok(merged
                .omit
                .values()
                .flatten()
                .map(ToString::to_string)
                .collect()),
            Err(Error::Conflict { about, .. }) => Err(about),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn two_files_at_one_path_are_the_same_or_a_conflict() {
        let owned = [Rule {
            uid: Some(7),
            ..Rule::default()
        }];
        let same = Ok(vec!["f".to_owned()]);
        assert_eq!(merge_files([("a", 0o644, &[]), ("a", 0o444, &[])]), same);
        assert_eq!(
            merge_files([("a", 0o644, &owned), ("a", 0o644, &owned)]),
            same
        );
        for (about, second) in [
            ("its content", ("b", 0o644, &[] as &[Rule])),
            ("its content", ("aa", 0o644, &[])),
            ("its mode or owner", ("a", 0o755, &[])),
            ("its content", ("b", 0o755, &[])),
            ("its mode or owner", ("a", 0o644, &owned)),
        ] {
            assert_eq!(
                merge_files([("a", 0o644, &[]), second]),
                Err(about.to_owned())
            );
        }
    }
}
