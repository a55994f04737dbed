//! A tree of files, with the argument that asked for each.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::argument::{self, error};
use strata_error::{Error, Result};

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TreeEntry {
    /// A directory. Those above other nodes need not be named.
    Directory,
    /// A regular file with this content.
    File(String),
    /// A symlink to this target.
    Link(String),
}

/// Nodes by their paths, which are relative to the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    nodes: BTreeMap<String, Wanted>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    node: TreeEntry,
    attribute: String,
}

impl Tree {
    /// Adds a node that the argument `attribute` wants at the absolute `path`.
    ///
    /// It is an error if the path is none, or if another argument wants something else there.
    pub fn add(&mut self, attribute: &str, path: &str, node: TreeEntry) -> Result<()> {
        let relative = argument::path(attribute, path)?;
        if relative.is_empty() {
            if node == TreeEntry::Directory {
                return Ok(());
            }
            let hint = "name a path below it";
            return Err(error(attribute, "is the root of the image", hint));
        }
        match self.nodes.entry(relative) {
            Entry::Vacant(place) => {
                place.insert(Wanted {
                    node,
                    attribute: attribute.to_owned(),
                });
                Ok(())
            }
            Entry::Occupied(place) if place.get().node == node => Ok(()),
            Entry::Occupied(place) => {
                let other = &place.get().attribute;
                let message = format!("/{} is made by {other} already", place.key());
                let hint = "leave one of the two out, or give it another path";
                Err(error(attribute, message, hint))
            }
        }
    }

    /// Checks that whatever is above a node is a directory. For when all nodes are there.
    pub fn check_parents(&self) -> Result<()> {
        for (path, wanted) in &self.nodes {
            for (end, _) in path.match_indices('/') {
                let parent = &path[..end];
                let other = self.nodes.get(parent);
                if let Some(other) = other.filter(|other| other.node != TreeEntry::Directory) {
                    let message = format!(
                        "/{path} is below /{parent}, which {} makes no directory",
                        other.attribute
                    );
                    let hint = "leave one of the two out, or give it another path";
                    return Err(error(&wanted.attribute, message, hint));
                }
            }
        }
        Ok(())
    }

    /// Paths and nodes, in the order of the paths.
    pub fn nodes(&self) -> impl Iterator<Item = (&str, &TreeEntry)> {
        let nodes = self.nodes.iter();
        nodes.map(|(path, wanted)| (path.as_str(), &wanted.node))
    }

    /// Writes everything into `directory`, which is there and empty.
    pub fn write(&self, directory: &Path) -> Result<()> {
        let create = |path: &Path| std::fs::create_dir_all(path).map_err(Error::io("create", path));
        for (path, node) in self.nodes() {
            let path = directory.join(path);
            if let Some(parent) = path.parent() {
                create(parent)?;
            }
            match node {
                TreeEntry::Directory => create(&path)?,
                TreeEntry::File(text) => {
                    std::fs::write(&path, text).map_err(Error::io("write", &path))?;
                }
                TreeEntry::Link(target) => {
                    symlink(target, &path).map_err(Error::io("create", &path))?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_arguments_may_agree() {
        let mut tree = Tree::default();
        for node in [TreeEntry::Directory, TreeEntry::Directory] {
            tree.add("directories[0]", "/a", node).unwrap();
        }
        tree.add("x", "/", TreeEntry::Directory).unwrap();
        tree.add("x", "/a/b", TreeEntry::Link("c".into())).unwrap();
        tree.add("y", "//a/b/", TreeEntry::Link("c".into()))
            .unwrap();
        tree.check_parents().unwrap();
        let paths: Vec<&str> = tree.nodes().map(|(path, _)| path).collect();
        assert_eq!(paths, ["a", "a/b"]);
    }

    #[test]
    fn clashes_name_both() {
        let mut tree = Tree::default();
        tree.add("users", "/etc/passwd", TreeEntry::File("1".into()))
            .unwrap();
        let other = tree.add("files", "/etc/passwd", TreeEntry::File("2".into()));
        let message = "attribute files: /etc/passwd is made by users already";
        assert_eq!(other.unwrap_err().to_string(), message);
        let root = tree.add("files", "/", TreeEntry::File("2".into()));
        assert!(root.is_err());

        tree.add("links", "/a/b", TreeEntry::Link("/c".into()))
            .unwrap();
        tree.add("files", "/a/b/c/d", TreeEntry::File("1".into()))
            .unwrap();
        let message = "attribute files: /a/b/c/d is below /a/b, which links makes no directory";
        assert_eq!(tree.check_parents().unwrap_err().to_string(), message);
    }
}
