//! A user environment: the files of many packages in one directory, as symlinks.
//!
//! It is what `buildEnv` of nixpkgs and `nix-env` make. A directory that one package has is one
//! symlink; one that several have is a directory with the files of all. Of two packages with the
//! same file the one with the lower priority number wins; with the same number the files must be the
//! same. What is known only on the machine that builds does not count: a symlink out of the store
//! is like a file, wherever it leads.

use std::cmp::Ordering;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::Package;
use super::manifest::manifest;
use super::resolve::{Resolved, resolve};
use strata_error::{Error, Result};
use strata_nix::Store;

/// The file of a package that names the store paths to install with it.
const PROPAGATED: &str = "nix-support/propagated-user-env-packages";
/// The priority of the first package that another one brings along; the next ones count upwards,
/// so that they never disagree with equal right.
const PROPAGATED_PRIORITY: i64 = 1000;
/// The file of the manifest, to which `manifest.nix` is a link.
const MANIFEST: &str = ".manifest.nix";
/// What no user wants from the root of a package. The environment has a manifest of its own.
const LEFT_OUT: [&str; 6] = [
    MANIFEST,
    "log",
    "manifest.json",
    "manifest.nix",
    "nix-support",
    "propagated-build-inputs",
];

/// The merged files of packages.
#[derive(Debug)]
pub struct Environment {
    root: Directory,
    manifest: String,
}

type Directory = BTreeMap<OsString, ProfileEntry>;

#[derive(Debug)]
enum ProfileEntry {
    /// To a file or a whole directory of one package.
    Link { target: PathBuf, priority: i64 },
    /// Of several packages, the first of which has this priority.
    Directory { children: Directory, priority: i64 },
}

impl Environment {
    /// Merges the outputs of `packages`, whose files are in `store`, and what they bring along.
    pub fn merge(packages: &[Package], store: &Store) -> Result<Self> {
        let mut paths: Vec<(i64, &str)> = Vec::new();
        for package in packages {
            let outputs = package.outputs.iter();
            paths.extend(outputs.map(|(_, path)| (package.priority, path.as_str())));
        }
        // The order of the arguments decides which of two equal files is linked.
        paths.sort_by_key(|(priority, _)| *priority);
        let mut root = Directory::new();
        let mut done = BTreeSet::new();
        let mut propagated = BTreeSet::new();
        for (priority, path) in paths {
            if done.insert(path.to_owned()) {
                propagated.extend(add_package(&mut root, path, priority, store)?);
            }
        }
        let mut priority = PROPAGATED_PRIORITY;
        while !propagated.is_empty() {
            for path in std::mem::take(&mut propagated) {
                if done.insert(path.clone()) {
                    propagated.extend(add_package(&mut root, &path, priority, store)?);
                    priority += 1;
                }
            }
        }
        Ok(Self {
            root,
            manifest: manifest(packages),
        })
    }

    /// Writes everything into `directory`, which is there and empty, and which is the store path
    /// `output` later.
    pub fn write(&self, directory: &Path, output: &str) -> Result<()> {
        write(&self.root, directory)?;
        let file = directory.join(MANIFEST);
        fs::write(&file, &self.manifest).map_err(Error::io("write", &file))?;
        // `nix profile` takes none but a link that leads into the store.
        let link = directory.join("manifest.nix");
        symlink(format!("{output}/{MANIFEST}"), &link).map_err(Error::io("create", &link))
    }
}

fn write(nodes: &Directory, directory: &Path) -> Result<()> {
    for (name, node) in nodes {
        let path = directory.join(name);
        match node {
            ProfileEntry::Link { target, .. } => {
                symlink(target, &path).map_err(Error::io("create", &path))?;
            }
            ProfileEntry::Directory { children, .. } => {
                fs::create_dir(&path).map_err(Error::io("create", &path))?;
                write(children, &path)?;
            }
        }
    }
    Ok(())
}

/// Adds the files of a store path; gives the store paths that it brings along.
fn add_package(
    root: &mut Directory,
    path: &str,
    priority: i64,
    store: &Store,
) -> Result<Vec<String>> {
    let source = Path::new(path);
    let Resolved::Directory(_) = resolve(store, source) else {
        return Err(Error::Attribute {
            attribute: "packages".into(),
            message: format!("{path} is not a directory"),
            hint: "a profile has files of packages; put the file into a directory, as in `bin`"
                .into(),
        });
    };
    Merge { store }.add(root, Path::new(""), source, priority)?;
    propagated(source, store)
}

fn propagated(source: &Path, store: &Store) -> Result<Vec<String>> {
    let Resolved::File(file) = resolve(store, &source.join(PROPAGATED)) else {
        return Ok(Vec::new());
    };
    let file = locate(store, &file);
    let text = fs::read_to_string(&file).map_err(Error::io("read", &file))?;
    let path = |path: &str| match store.parse(path) {
        Ok(path) => Ok(path.to_string()),
        Err(message) => Err(Error::Document {
            document: source.join(PROPAGATED).display().to_string(),
            message,
            hint: "the package is broken; leave it out of the profile".into(),
        }),
    };
    text.split_ascii_whitespace().map(path).collect()
}

struct Merge<'a> {
    store: &'a Store,
}

impl Merge<'_> {
    /// Adds what is in the directory `source` to `nodes`, which are at `relative`.
    fn add(
        &self,
        nodes: &mut Directory,
        relative: &Path,
        source: &Path,
        priority: i64,
    ) -> Result<()> {
        for name in self.names(source)? {
            let relative = relative.join(&name);
            if is_left_out(&relative) {
                continue;
            }
            let target = source.join(&name);
            match nodes.entry(name) {
                Entry::Vacant(place) => {
                    place.insert(ProfileEntry::Link { target, priority });
                }
                Entry::Occupied(mut place) => {
                    self.settle(place.get_mut(), &relative, target, priority)?;
                }
            }
        }
        Ok(())
    }

    /// Joins directories, else chooses one of two.
    fn settle(
        &self,
        old: &mut ProfileEntry,
        relative: &Path,
        target: PathBuf,
        priority: i64,
    ) -> Result<()> {
        let new_kind = resolve(self.store, &target);
        let is_directory = matches!(new_kind, Resolved::Directory(_));
        let (old_target, old_priority) = match old {
            ProfileEntry::Directory { children, .. } if is_directory => {
                return self.add(children, relative, &target, priority);
            }
            ProfileEntry::Directory { priority, .. } => (None, *priority),
            ProfileEntry::Link { target, priority } => (Some(target.clone()), *priority),
        };
        let old_kind = old_target
            .as_ref()
            .map(|target| resolve(self.store, target));
        if let (Some(old_target), Some(old_kind)) = (&old_target, &old_kind) {
            if *old_kind == new_kind && new_kind != Resolved::Elsewhere {
                // The way through fewer links is kept.
                if self.is_link(old_target) && !self.is_link(&target) {
                    *old = ProfileEntry::Link {
                        target,
                        priority: old_priority,
                    };
                }
                return Ok(());
            }
            if is_directory && matches!(old_kind, Resolved::Directory(_)) {
                let mut children = Directory::new();
                self.add(&mut children, relative, old_target, old_priority)?;
                self.add(&mut children, relative, &target, priority)?;
                *old = ProfileEntry::Directory {
                    children,
                    priority: old_priority,
                };
                return Ok(());
            }
        }
        match priority.cmp(&old_priority) {
            Ordering::Greater => {}
            Ordering::Less => *old = ProfileEntry::Link { target, priority },
            Ordering::Equal => {
                let (Some(old_target), Some(old_kind)) = (old_target, old_kind) else {
                    let first = any_target(old).unwrap_or_default();
                    return Err(collision(
                        relative,
                        &first,
                        &target,
                        "whether it is a directory",
                    ));
                };
                self.check_same(relative, (&old_target, &old_kind), (&target, &new_kind))?;
            }
        }
        Ok(())
    }

    /// Two files of equal right must be the same.
    fn check_same(
        &self,
        relative: &Path,
        (old, old_kind): (&Path, &Resolved),
        (new, new_kind): (&Path, &Resolved),
    ) -> Result<()> {
        let is_same = match (old_kind, new_kind) {
            (Resolved::File(old), Resolved::File(new)) => self.is_same_file(old, new)?,
            (Resolved::Elsewhere, Resolved::Elsewhere) => {
                let read = |path: &Path| fs::read_link(self.follow_parent(path)).ok();
                read(old).is_some() && read(old) == read(new)
            }
            (Resolved::Directory(_), _) | (_, Resolved::Directory(_)) => {
                return Err(collision(relative, old, new, "whether it is a directory"));
            }
            _ => false,
        };
        if is_same {
            return Ok(());
        }
        Err(collision(relative, old, new, "its content"))
    }

    fn is_same_file(&self, one: &Path, other: &Path) -> Result<bool> {
        let (one, other) = (locate(self.store, one), locate(self.store, other));
        let stat = |path: &Path| {
            let metadata = fs::metadata(path).map_err(Error::io("read", path))?;
            let is_executable = metadata.permissions().mode() & 0o100 != 0;
            Ok::<_, Error>((metadata.len(), is_executable))
        };
        if stat(&one)? != stat(&other)? {
            return Ok(false);
        }
        let read = |path: &Path| fs::read(path).map_err(Error::io("read", path));
        Ok(read(&one)? == read(&other)?)
    }

    fn is_link(&self, path: &Path) -> bool {
        self.follow_parent(path).is_symlink()
    }

    /// Where `path` is, which may be a symlink itself.
    fn follow_parent(&self, path: &Path) -> PathBuf {
        match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => match resolve(self.store, parent) {
                Resolved::Directory(parent) => locate(self.store, &parent).join(name),
                _ => locate(self.store, path),
            },
            _ => locate(self.store, path),
        }
    }

    /// The names in a directory of the store, in order.
    fn names(&self, source: &Path) -> Result<BTreeSet<OsString>> {
        let place = match resolve(self.store, source) {
            Resolved::Directory(directory) => locate(self.store, &directory),
            Resolved::File(_) | Resolved::Elsewhere => locate(self.store, source),
        };
        let names = fs::read_dir(&place).and_then(|entries| {
            let names = entries.map(|entry| entry.map(|entry| entry.file_name()));
            names.collect()
        });
        names.map_err(Error::io("read", &place))
    }
}

/// Where the file of a full path in the store is.
fn locate(store: &Store, path: &Path) -> PathBuf {
    match path.strip_prefix(&store.dir) {
        Ok(relative) => store.location.join(relative),
        Err(_) => path.to_path_buf(),
    }
}

/// Files that every package of a kind has, and that are made anew for all when they are needed.
fn is_left_out(relative: &Path) -> bool {
    let is_one_name = relative.parent() == Some(Path::new(""));
    (is_one_name && LEFT_OUT.iter().any(|name| relative == Path::new(name)))
        || relative.ends_with("perllocal.pod")
        || relative.ends_with("info/dir")
        || (relative.starts_with("share/mime")
            && relative != Path::new("share/mime")
            && !relative.starts_with("share/mime/packages"))
}

/// Some file of a merged directory.
fn any_target(node: &ProfileEntry) -> Option<PathBuf> {
    match node {
        ProfileEntry::Link { target, .. } => Some(target.clone()),
        ProfileEntry::Directory { children, .. } => children.values().find_map(any_target),
    }
}

fn collision(relative: &Path, first: &Path, second: &Path, about: &str) -> Error {
    Error::Conflict {
        path: format!("{} of the profile", relative.display()),
        first: first.display().to_string(),
        second: second.display().to_string(),
        about: about.to_owned(),
        hint: "give one of the packages a lower meta.priority, as lib.hiPrio does, or leave one out of the profile"
            .to_owned(),
    }
}
