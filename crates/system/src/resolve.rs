//! Following symlinks without leaving the store, so that the result is the same on every machine.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

use strata_nix::Store;

/// How many symlinks the kernel follows in one path.
const MOST_LINKS: usize = 40;

/// Where a path of the store leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Resolved {
    /// To a directory, with its full path in the store.
    Directory(PathBuf),
    /// To a regular file, with its full path in the store.
    File(PathBuf),
    /// Out of the store, in circles, or to nothing.
    Elsewhere,
}

/// Follows all symlinks of `path`.
pub(super) fn resolve(store: &Store, path: &Path) -> Resolved {
    follow(store, path).unwrap_or(Resolved::Elsewhere)
}

fn follow(store: &Store, path: &Path) -> Option<Resolved> {
    let store_dir = Path::new(&store.dir);
    let names = |path: &Path| -> VecDeque<OsString> {
        let names = path.components().filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        });
        names.collect()
    };
    let mut todo = names(path.strip_prefix(store_dir).ok()?);
    let mut reached = store_dir.to_path_buf();
    let mut kind = fs::symlink_metadata(&store.location).ok()?.file_type();
    let mut links = 0;
    while let Some(name) = todo.pop_front() {
        if !kind.is_dir() {
            return None;
        }
        if name == ".." {
            reached.pop();
        } else {
            reached.push(name);
        }
        let place = store.location.join(reached.strip_prefix(store_dir).ok()?);
        kind = fs::symlink_metadata(&place).ok()?.file_type();
        if kind.is_symlink() {
            links += 1;
            let target = fs::read_link(&place).ok().filter(|_| links <= MOST_LINKS)?;
            let mut path = if target.is_absolute() {
                reached = store_dir.to_path_buf();
                names(target.strip_prefix(store_dir).ok()?)
            } else {
                reached.pop();
                names(&target)
            };
            path.append(&mut todo);
            todo = path;
            let place = store.location.join(reached.strip_prefix(store_dir).ok()?);
            kind = fs::symlink_metadata(place).ok()?.file_type();
        }
    }
    if kind.is_dir() {
        Some(Resolved::Directory(reached))
    } else {
        kind.is_file().then_some(Resolved::File(reached))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_are_followed_inside_the_store() {
        let place = tempfile::tempdir().unwrap();
        let store = Store {
            dir: "/nix/store".into(),
            location: place.path().to_path_buf(),
        };
        fs::create_dir_all(place.path().join("a/b")).unwrap();
        fs::write(place.path().join("a/b/file"), "").unwrap();
        for (link, target) in [
            ("absolute", "/nix/store/a"),
            ("a/relative", "../absolute/b"),
            ("a/b/up", "../../a/b/file"),
            ("out", "/etc"),
            ("above", "../../etc"),
            ("circle", "circle"),
            ("nothing", "a/x"),
        ] {
            symlink(target, place.path().join(link)).unwrap();
        }
        let directory = |path: &str| Resolved::Directory(path.into());
        let file = |path: &str| Resolved::File(path.into());
        for (path, expected) in [
            ("a", directory("/nix/store/a")),
            ("absolute/b/../b", directory("/nix/store/a/b")),
            ("a/relative", directory("/nix/store/a/b")),
            ("absolute/relative/up", file("/nix/store/a/b/file")),
            ("out", Resolved::Elsewhere),
            ("above", Resolved::Elsewhere),
            ("circle", Resolved::Elsewhere),
            ("nothing", Resolved::Elsewhere),
            ("a/b/file/x", Resolved::Elsewhere),
        ] {
            let found = resolve(&store, &Path::new("/nix/store").join(path));
            assert_eq!(found, expected, "{path}");
        }
        assert_eq!(resolve(&store, Path::new("/etc")), Resolved::Elsewhere);
    }
}
