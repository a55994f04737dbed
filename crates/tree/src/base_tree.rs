//! What the layers of a base make together: its directories with their metadata, its symlinks, and
//! where files are.

use std::convert::Infallible;

use super::overlay::{Change, Listing, MOST_ENTRIES, Overlay, OverlayNode};
use super::path::ImagePath;
use strata_archive::{ArchiveEntry, ArchiveEntryKind, Entry, EntryKind, Metadata, Mode};

/// How many entries the layers may still have: all of them, whiteouts and repetitions too.
pub struct EntriesLeft(pub usize);

/// What one layer has.
#[derive(Debug, Default)]
pub struct BaseListing(Listing<Listed>);

/// What a layer has at a path.
#[derive(Debug)]
enum Listed {
    /// Boxed, because files are many more.
    Directory(Box<Metadata>),
    /// Where a symlink points.
    Symlink(Vec<u8>),
    /// Where in the archive the content begins; 0 in a layer that Strata made.
    File(u64),
    /// Another name of what is at this path.
    HardLink(ImagePath),
    /// A device or pipe.
    Special,
}

/// What an image has at a path, if it is no directory.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Leaf {
    /// Where a symlink points.
    Symlink(Vec<u8>),
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
    /// Where it begins in the layer's archive; 0 in a layer that Strata made.
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

/// Why a path leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// There is a file where a directory must be.
    File(ImagePath),
    /// Symlinks that lead to each other.
    Loop(ImagePath),
}

/// How many symlinks Linux follows on the way to a file.
const MOST_SYMLINKS: usize = 40;

/// The tree of a base image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BaseTree(Overlay<Described, Leaf>);

impl Default for Described {
    /// What engines make up for a directory that no layer describes.
    fn default() -> Self {
        Self(Metadata::root(Mode::ANCESTOR))
    }
}

impl EntriesLeft {
    /// Counts an entry of a layer that is there `times` times; the error is that there are too many.
    pub fn take(&mut self, times: usize) -> Result<(), String> {
        let left = self.0.checked_sub(times);
        self.0 =
            left.ok_or_else(|| format!("more than {MOST_ENTRIES} entries with those before"))?;
        Ok(())
    }
}

impl BaseListing {
    /// Adds an entry of an archive.
    pub fn add(&mut self, mut entry: ArchiveEntry) {
        let path = ImagePath(std::mem::take(&mut entry.path));
        let listed = match entry.kind {
            ArchiveEntryKind::Directory => Listed::Directory(Box::new(entry.metadata())),
            ArchiveEntryKind::Symlink(target) => Listed::Symlink(target),
            ArchiveEntryKind::File => Listed::File(entry.offset),
            ArchiveEntryKind::HardLink(target) => Listed::HardLink(ImagePath(target)),
            ArchiveEntryKind::Special(_) => Listed::Special,
        };
        self.0.add(path, listed);
    }

    /// Adds an entry of a layer that Strata made.
    pub fn add_own(&mut self, entry: &Entry<'_>) {
        let listed = match &entry.kind {
            EntryKind::Directory => Listed::Directory(Box::new(entry.metadata.clone())),
            EntryKind::Symlink { target } => Listed::Symlink(target.to_vec()),
            // The name of a whiteout says that it is one.
            EntryKind::File(_) | EntryKind::Whiteout => Listed::File(0),
        };
        self.0.add(ImagePath(entry.path.to_vec()), listed);
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
        let real = self.follow(path, true).ok()?;
        match self.0.get(&real)? {
            OverlayNode::Leaf(Leaf::File(stored)) => Some((real, *stored)),
            _ => None,
        }
    }

    /// Where the directory `path` is when all symlinks are followed; what is not there yet may be
    /// made there.
    pub fn directory(&self, path: &ImagePath) -> Result<ImagePath, Obstacle> {
        self.follow(path, false)
    }

    fn follow(&self, path: &ImagePath, may_be_file: bool) -> Result<ImagePath, Obstacle> {
        let mut real = ImagePath::default();
        let mut rest: Vec<Vec<u8>> = path.components().map(<[u8]>::to_vec).collect();
        rest.reverse();
        let mut symlinks = 0;
        while let Some(name) = rest.pop() {
            if name == b".." {
                real = real.split().0;
                continue;
            }
            let next = real.join(&name);
            match self.at(&next) {
                BaseEntry::Nothing | BaseEntry::Directory(_) => real = next,
                BaseEntry::File if may_be_file && rest.is_empty() => return Ok(next),
                BaseEntry::File => return Err(Obstacle::File(next)),
                BaseEntry::Symlink(target) => {
                    symlinks += 1;
                    if symlinks > MOST_SYMLINKS {
                        return Err(Obstacle::Loop(next));
                    }
                    if target.starts_with(b"/") {
                        real = ImagePath::default();
                    }
                    let names = target.split(|byte| *byte == b'/').rev();
                    let names = names.filter(|name| !matches!(*name, b"" | b"."));
                    rest.extend(names.map(<[u8]>::to_vec));
                }
            }
        }
        Ok(real)
    }

    /// Takes out what is at `path`, which leads through no symlink.
    pub fn remove(&mut self, path: &ImagePath) {
        self.0.remove(path);
    }

    /// Lays the layer with this number over those before it.
    pub fn apply(&mut self, number: usize, layer: &BaseListing) {
        let link = |_: &ImagePath, _: &ImagePath, leaf: Option<&Leaf>| match leaf {
            Some(Leaf::File(stored)) => Ok::<_, Infallible>(Leaf::File(*stored)),
            _ => Ok(Leaf::Special),
        };
        let Ok(()) = self.0.apply(
            &layer.0,
            |listed| match listed {
                Listed::Directory(metadata) => {
                    Change::Directory(Described(Metadata::clone(metadata)))
                }
                Listed::Symlink(target) => Change::Leaf(Leaf::Symlink(target.clone())),
                Listed::File(offset) => Change::Leaf(Leaf::File(Stored {
                    layer: number,
                    offset: *offset,
                })),
                Listed::HardLink(target) => Change::HardLink(target),
                Listed::Special => Change::Leaf(Leaf::Special),
            },
            link,
        );
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
                listing.add(entry(text));
            }
            tree.apply(number, &listing);
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
            // Somebody's directory hides a symlink, as in an engine.
            ("s", "directory 0755"),
            ("s/under", "file"),
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
