//! What the layers of a base make together: its directories with their metadata, its symlinks, and
//! where files are.

use super::budget::{Budget, allocation};
use super::overlay::{Change, Kept, Listing, Obstacle, Overlay, OverlayNode, SymlinksBelow};
use super::path::ImagePath;
use strata_archive::{ArchiveEntry, ArchiveEntryKind, Entry, EntryKind, Metadata, Mode};

/// What one layer has.
#[derive(Debug, Default)]
pub struct BaseListing(Listing<Listed>);

/// What a layer has at a path.
#[derive(Debug)]
enum Listed {
    /// Boxed, because files are many more.
    Directory(Box<Metadata>),
    /// Where a symlink points.
    Symlink(Box<[u8]>),
    /// Where in the archive the content begins; 0 in a layer that Strata made.
    File(u64),
    /// Another name of what is at this path.
    HardLink(Box<ImagePath>),
    /// A device or pipe.
    Special,
}

/// What an image has at a path, if it is no directory.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Leaf {
    /// Where a symlink points.
    Symlink(Box<[u8]>),
    /// A regular file.
    File(Stored),
    /// A device or pipe, or a link to what is not there.
    Special,
}

/// What is known of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Described(Metadata);

/// Where the content of a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stored {
    /// The number of the layer.
    pub layer: usize,
    /// Where it begins in the layer's archive, or in the tar of a layer that Strata made; 0 in the rest of that.
    pub offset: u64,
}

/// What the base image has where something of ours goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BaseEntry<'a> {
    /// Nothing.
    Nothing,
    /// A directory.
    Directory(&'a Metadata),
    /// A symlink, and where it points.
    Symlink(&'a [u8]),
    /// A file, device or pipe.
    File,
}

/// The tree of a base image.
#[derive(Clone, Debug, Default)]
pub struct BaseTree(Overlay<Described, Leaf>);

impl Default for Described {
    /// What engines make up for a directory that no layer describes.
    fn default() -> Self {
        Self(Metadata::root(Mode::ANCESTOR))
    }
}

impl Kept for Described {
    fn elsewhere(&self) -> usize {
        metadata_size(&self.0)
    }
}

impl Kept for Leaf {
    fn symlink(&self) -> Option<&[u8]> {
        match self {
            Self::Symlink(target) => Some(target),
            Self::File(_) | Self::Special => None,
        }
    }

    fn elsewhere(&self) -> usize {
        self.symlink().map_or(0, |target| allocation(target.len()))
    }
}

impl Kept for Listed {
    fn elsewhere(&self) -> usize {
        match self {
            Self::Directory(metadata) => {
                allocation(size_of::<Metadata>()) + metadata_size(metadata)
            }
            Self::Symlink(target) => allocation(target.len()),
            Self::HardLink(target) => {
                allocation(size_of::<ImagePath>()) + allocation(target.0.len())
            }
            Self::File(_) | Self::Special => 0,
        }
    }
}

/// How many bytes metadata has elsewhere in memory.
fn metadata_size(metadata: &Metadata) -> usize {
    /// What a map takes that is not empty, and a part of one for each more.
    const NODE: usize = 640;
    let xattrs = metadata.xattrs.iter();
    let xattrs = xattrs.map(|(name, value)| allocation(name.len()) + allocation(value.len()));
    let nodes = metadata.xattrs.len().div_ceil(5) * NODE;
    allocation(metadata.uname.len())
        + allocation(metadata.gname.len())
        + nodes
        + xattrs.sum::<usize>()
}

impl BaseListing {
    /// Adds an entry of an archive; the error is that this is too much.
    pub fn add(&mut self, mut entry: ArchiveEntry, budget: &mut Budget) -> Result<(), String> {
        let path = ImagePath(std::mem::take(&mut entry.path));
        let listed = match entry.kind {
            ArchiveEntryKind::Directory => Listed::Directory(Box::new(entry.metadata())),
            ArchiveEntryKind::Symlink(target) => Listed::Symlink(target.into()),
            ArchiveEntryKind::File => Listed::File(entry.offset),
            ArchiveEntryKind::HardLink(target) => Listed::HardLink(Box::new(ImagePath(target))),
            ArchiveEntryKind::Special(_) => Listed::Special,
        };
        self.0.add(&path, listed, budget)
    }

    /// Adds an entry of a layer that Strata made; the error is that this is too much.
    pub fn add_own(&mut self, entry: &Entry<'_>, budget: &mut Budget) -> Result<(), String> {
        let listed = match &entry.kind {
            EntryKind::Directory => Listed::Directory(Box::new(entry.metadata.clone())),
            EntryKind::Symlink { target } => Listed::Symlink((*target).into()),
            // The name of a whiteout says that it is one.
            EntryKind::File(_) | EntryKind::Empty => Listed::File(0),
            EntryKind::HardLink { target } => {
                Listed::HardLink(Box::new(ImagePath(target.to_vec())))
            }
            EntryKind::Special(_) => Listed::Special,
        };
        self.0.add(&ImagePath(entry.path.to_vec()), listed, budget)
    }

    /// Forgets it all.
    pub fn release(self, budget: &mut Budget) {
        self.0.release(budget);
    }
}

impl BaseTree {
    /// What is at `path`, which leads through no symlink.
    pub fn at(&self, path: &ImagePath) -> BaseEntry<'_> {
        match self.0.get(path) {
            Some(OverlayNode::Directory(Described(metadata))) => BaseEntry::Directory(metadata),
            Some(OverlayNode::Leaf(Leaf::Symlink(target))) => BaseEntry::Symlink(target),
            Some(OverlayNode::Leaf(Leaf::File(_) | Leaf::Special)) => BaseEntry::File,
            None => BaseEntry::Nothing,
        }
    }

    /// The regular file that `path` means when all symlinks are followed: where it is in the image,
    /// and where its content is.
    pub fn file(&self, path: &ImagePath) -> Option<(ImagePath, Stored)> {
        let way = self.0.resolve(path).ok()?;
        match way.leaf? {
            Leaf::File(stored) => Some((way.real, *stored)),
            _ => None,
        }
    }

    /// Where the directory `path` is when all symlinks are followed; what is not there yet may be
    /// made there.
    pub fn directory(&self, path: &ImagePath) -> Result<ImagePath, Obstacle> {
        let way = self.0.resolve(path)?;
        match way.leaf {
            Some(_) => Err(Obstacle::File(way.real)),
            None => Ok(way.real),
        }
    }

    /// Takes out what is at `path`, which leads through no symlink.
    pub fn remove(&mut self, path: &ImagePath) {
        self.0.remove(path);
    }

    /// Lays the layer with this number over those before it; the error says what is wrong with it.
    pub fn apply(
        &mut self,
        number: usize,
        layer: &BaseListing,
        budget: &mut Budget,
    ) -> Result<(), String> {
        // What a link leads to may have been left out of the base, which is nobody's loss until it is used.
        let link = |leaf: Option<&Leaf>| Some(leaf.cloned().unwrap_or(Leaf::Special));
        let change = |listed| change(number, listed);
        let below = SymlinksBelow::Followed;
        let result = self.0.apply(&layer.0, below, budget, change, link);
        result.map_err(|unlayable| unlayable.to_string())
    }
}

/// What an entry of the layer with this number is in the tree.
fn change(number: usize, listed: &Listed) -> Change<'_, Described, Leaf> {
    match listed {
        Listed::Directory(metadata) => Change::Directory(Described(Metadata::clone(metadata))),
        Listed::Symlink(target) => Change::Leaf(Leaf::Symlink(target.clone())),
        Listed::File(offset) => Change::Leaf(Leaf::File(Stored {
            layer: number,
            offset: *offset,
        })),
        Listed::HardLink(target) => Change::HardLink(target),
        Listed::Special => Change::Leaf(Leaf::Special),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// An entry as `d PATH`, `l PATH TARGET`, `h PATH TARGET` or `f PATH [OFFSET]`.
    fn entry(text: &str) -> ArchiveEntry {
        let parts: Vec<&str> = text.split(' ').collect();
        let kind = match parts[0] {
            "d" => ArchiveEntryKind::Directory,
            "l" => ArchiveEntryKind::Symlink(parts[2].as_bytes().to_vec()),
            "h" => ArchiveEntryKind::HardLink(parts[2].as_bytes().to_vec()),
            _ => ArchiveEntryKind::File,
        };
        ArchiveEntry {
            path: parts[1].as_bytes().to_vec(),
            kind,
            mode: 0o1777,
            uid: 7,
            gid: 8,
            uname: "app".to_owned(),
            gname: String::new(),
            xattrs: BTreeMap::new(),
            modified: 0,
            is_sparse: false,
            size: 0,
            offset: parts.get(2).and_then(|text| text.parse().ok()).unwrap_or(0),
        }
    }

    fn tree(layers: &[&[&str]]) -> BaseTree {
        let mut tree = BaseTree::default();
        for (number, entries) in layers.iter().enumerate() {
            let mut listing = BaseListing::default();
            for text in *entries {
                listing.add(entry(text), &mut Budget::default()).unwrap();
            }
            let result = tree.apply(number, &listing, &mut Budget::default());
            assert_eq!(result, Ok(()));
        }
        tree
    }

    fn at(tree: &BaseTree, path: &str) -> String {
        match tree.at(&ImagePath::from(path)) {
            BaseEntry::Nothing => "nothing".to_owned(),
            BaseEntry::Directory(metadata) => format!("directory {}", metadata.mode),
            BaseEntry::Symlink(target) => format!("symlink {}", String::from_utf8_lossy(target)),
            BaseEntry::File => "file".to_owned(),
        }
    }

    #[test]
    fn later_layers_win() {
        let tree = tree(&[
            &["f a/file", "d b", "f b/c", "l s x", "d e", "f e/f", "d g"],
            &["d a", "f b", "f s/under", "l g z"],
        ]);
        for (path, expected) in [
            ("", "directory 0755"),
            ("a", "directory 1777"),
            ("a/file", "file"),
            ("b", "file"),
            ("b/c", "nothing"),
            ("s", "symlink x"),
            ("x", "directory 0755"),
            ("x/under", "file"),
            ("e/f", "file"),
            ("g", "symlink z"),
            ("nothing/at/all", "nothing"),
        ] {
            assert_eq!(at(&tree, path), expected, "{path}");
        }
    }

    #[test]
    fn whiteouts_hide_what_is_lower_and_nothing_else() {
        let tree = tree(&[
            &["d a", "f a/1", "f a/2", "d b", "f b/1", "f c"],
            &[
                "f a/new",
                "f a/.wh.1",
                "f b/new",
                "f b/.wh..wh..opq",
                "f .wh.c",
                "f c",
                "d .wh..wh.plnk",
                "f .wh.never",
            ],
        ]);
        for (path, expected) in [
            ("a/1", "nothing"),
            ("a/2", "file"),
            ("a/new", "file"),
            ("b/1", "nothing"),
            ("b/new", "file"),
            ("c", "file"),
            (".wh.c", "nothing"),
            (".wh..wh.plnk", "nothing"),
        ] {
            assert_eq!(at(&tree, path), expected, "{path}");
        }
    }

    /// Row 1 of "Wrong images": boxlite 187, openshift-preflight 1377, libarchive 1044.
    #[test]
    fn a_layer_is_a_file_system() {
        let tree = tree(&[
            &[
                "d usr/bin",
                "l bin usr/bin",
                "f bin/busybox 512",
                "f bin/gone",
                "h bin/again bin/busybox",
                "h sbin bin",
                "f sbin/tool",
                "l up/x ../../../usr",
                "f up/x/lib/one",
                "l abs /usr/share",
                "f abs/two",
                "f opaque/old/file",
                "l to-opaque opaque",
                "l file-or-not elsewhere",
                "f becomes-directory",
            ],
            &[
                "f bin/.wh.gone",
                "f bin/later 1024",
                "f to-opaque/new",
                "f to-opaque/.wh..wh..opq",
                "d file-or-not",
                "f becomes-directory/file",
                "f .wh..wh.plnk/1.2",
                // Before the whiteout or after it: it is about the layers below.
                "f own/new",
                "f .wh.own",
            ],
        ]);
        for (path, expected) in [
            ("bin", "symlink usr/bin"),
            ("sbin", "symlink usr/bin"),
            ("usr/bin/busybox", "file"),
            ("usr/bin/again", "file"),
            ("usr/bin/tool", "file"),
            ("usr/bin/gone", "nothing"),
            ("usr/bin/later", "file"),
            ("usr/lib/one", "file"),
            ("usr/share/two", "file"),
            ("opaque/old", "nothing"),
            ("opaque/new", "file"),
            ("file-or-not", "directory 1777"),
            ("becomes-directory/file", "file"),
            (".wh..wh.plnk", "nothing"),
            ("own/new", "file"),
        ] {
            assert_eq!(at(&tree, path), expected, "{path}");
        }
        let found = tree.file(&ImagePath::from("sbin/again"));
        let stored = Stored {
            layer: 0,
            offset: 512,
        };
        assert_eq!(found, Some((ImagePath::from("usr/bin/again"), stored)));
    }

    #[test]
    fn what_no_engine_lays_is_an_error() {
        let long = "l a ".to_owned() + &"b/".repeat(2000);
        let below = "f a/".to_owned() + &"c/".repeat(1000) + "d";
        for (entries, message) in [
            (
                &["f a", "f a/b"][..],
                "a/b: a is a file of the same layer, not a directory",
            ),
            (
                &["l a b", "l b a", "f a/x"],
                "a/x: the symlink a leads to itself",
            ),
            (&["f a", "h a a"], "a: a link to itself"),
            (&["l s d", "f d/a", "h d/a s/a"], "d/a: a link to itself"),
            (&["d d", "h l d"], "l: a link to d, which is a directory"),
            (&["f d/.wh."], "d/.wh.: a whiteout of no file"),
            (&["f d/.wh..."], "d/.wh...: a whiteout of no file"),
            (
                &["d .wh.d", "f .wh.d/x"],
                ".wh.d/x: it lies in a directory whose name begins",
            ),
            (
                &[&*long, &*below],
                ": symlinks lead to a longer path than there may be: a/c/c",
            ),
        ] {
            let mut listing = BaseListing::default();
            for text in entries {
                listing.add(entry(text), &mut Budget::default()).unwrap();
            }
            let result = BaseTree::default().apply(0, &listing, &mut Budget::default());
            let error = result.unwrap_err();
            assert!(error.contains(message), "{error}");
        }
    }

    /// Rows 8 and 13: what is kept is counted and given back, and 100,000 entries take no time.
    #[test]
    fn what_is_kept_is_counted_and_given_back() {
        let listing = |entries: &mut dyn Iterator<Item = String>, budget: &mut Budget| {
            let mut listing = BaseListing::default();
            for text in entries {
                listing.add(entry(&text), budget)?;
            }
            Ok::<_, String>(listing)
        };
        let whole = Budget::new(32 * 1024 * 1024, 10);
        let mut budget = whole.clone();
        let mut entries = (0..100_000).rev().map(|number| format!("f d/{number}"));
        let files = listing(&mut entries, &mut budget).unwrap();
        let mut tree = BaseTree::default();
        tree.apply(0, &files, &mut budget).unwrap();
        let hides = listing(&mut ["f .wh.d".to_owned()].into_iter(), &mut budget).unwrap();
        tree.apply(1, &hides, &mut budget).unwrap();
        files.release(&mut budget);
        hides.release(&mut budget);
        // The number of a directory is not used again.
        assert_eq!(budget.keep(32 * 1024 * 1024 - 16), Ok(()));

        let deep = |number| format!("f {number}/{}x", "d/".repeat(2000));
        let mut entries = (0..200).map(deep);
        let mut budget = whole.clone();
        let deep = listing(&mut entries, &mut budget).unwrap();
        let error = BaseTree::default().apply(0, &deep, &mut budget);
        assert!(error.unwrap_err().contains("bytes of memory"));
        let mut long = ["l a ".to_owned() + &"x".repeat(32 * 1024 * 1024)].into_iter();
        assert!(listing(&mut long, &mut whole.clone()).is_err());
    }

    #[test]
    fn directories_are_found_through_symlinks() {
        let tree = tree(&[&[
            "l bin usr/bin",
            "d usr/bin",
            "l usr/sbin ../usr/./bin",
            "l abs /bin",
            "l run/lock ../var/lock",
            "l out ../../../usr",
            "l loop1 loop2",
            "l loop2 loop1",
            "f file",
            "l to-file file",
        ]]);
        let file = |path: &str| Err(Obstacle::File(ImagePath::from(path)));
        for (path, expected) in [
            ("", Ok("")),
            ("bin", Ok("usr/bin")),
            ("bin/deep/er", Ok("usr/bin/deep/er")),
            ("usr/sbin", Ok("usr/bin")),
            ("abs/x", Ok("usr/bin/x")),
            ("run/lock/x", Ok("var/lock/x")),
            ("out/share", Ok("usr/share")),
            ("new/one", Ok("new/one")),
            ("file/x", file("file")),
            ("to-file", file("file")),
        ] {
            let found = tree.directory(&ImagePath::from(path));
            assert_eq!(found, expected.map(ImagePath::from), "{path}");
        }
        assert!(matches!(
            tree.directory(&ImagePath::from("loop1/x")),
            Err(Obstacle::Loop(_))
        ));
    }

    #[test]
    fn files_are_found_where_they_are() {
        let tree = tree(&[
            &[
                "f etc/a 512",
                "l link etc/a",
                "h etc/hard etc/a",
                "h etc/lost etc/nothing",
            ],
            &[
                "l etc/up ../link",
                "h again etc/hard",
                "f etc/b 1024",
                "l self self",
            ],
        ]);
        for (path, expected) in [
            ("etc/a", Some(("etc/a", 0, 512))),
            ("link", Some(("etc/a", 0, 512))),
            ("etc/up", Some(("etc/a", 0, 512))),
            ("etc/hard", Some(("etc/hard", 0, 512))),
            ("again", Some(("again", 0, 512))),
            ("etc/b", Some(("etc/b", 1, 1024))),
            ("etc/lost", None),
            ("etc", None),
            ("", None),
            ("self", None),
            ("etc/a/b", None),
        ] {
            let found = tree.file(&ImagePath::from(path));
            let expected = expected
                .map(|(place, layer, offset)| (ImagePath::from(place), Stored { layer, offset }));
            assert_eq!(found, expected, "{path}");
        }
    }

    #[test]
    fn what_is_removed_is_gone() {
        let mut tree = tree(&[&["d a", "f a/b", "f a/c"]]);
        tree.remove(&ImagePath::from("a/b"));
        tree.remove(&ImagePath::from("x/y"));
        assert_eq!(
            (at(&tree, "a/b"), at(&tree, "a/c")),
            ("nothing".into(), "file".into())
        );
    }
}
