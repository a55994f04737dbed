//! The tree that goes to the root of an image of `dockerTools`: directories of the store laid over each other, as
//! links to their files or as copies.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::output::Output;
use strata_error::{Error, Result};
use strata_nix::{Store, TreeArguments, TreeForm};

/// Builds what `tree` asks for; gives a warning for each path that two sources have.
pub(super) fn build(tree: &TreeArguments, out: &str, store: &Store) -> Result<Vec<String>> {
    let output = Output::create(store.locate_below(out))?;
    let mut laying = Laying {
        tree,
        root: output.directory().to_path_buf(),
        warnings: Vec::new(),
        on_the_way: Vec::new(),
    };
    for source in &tree.sources {
        let refuse = |message: String| {
            Error::Attribute {
            attribute: attribute(tree.form).to_owned(),
            message,
            hint: "give packages or other directories; a file goes into one with pkgs.runCommand or pkgs.writeTextDir".into(),
        }
        };
        let located = store.locate_inside(source).map_err(refuse)?;
        if !located.is_dir() {
            return Err(refuse(format!("{source} is no directory")));
        }
        laying.directory(&located, Path::new(source), Path::new(""))?;
    }
    let warnings = laying.warnings;
    output.complete();
    Ok(warnings)
}

/// What users call the sources.
fn attribute(form: TreeForm) -> &'static str {
    match form {
        TreeForm::Links => "contents",
        TreeForm::Copies => "copyToRoot",
    }
}

struct Laying<'a> {
    tree: &'a TreeArguments,
    root: PathBuf,
    warnings: Vec<String>,
    /// The directories that are being copied, by device and inode: symlinks may lead back to one.
    on_the_way: Vec<(u64, u64)>,
}

/// What is at a place of the tree.
#[derive(PartialEq, Eq)]
enum There {
    Nothing,
    Directory,
    /// A symlink that leads to a directory.
    LinkToDirectory,
    Other,
}

impl Laying<'_> {
    /// Lays what is in `from`, which is `named` in the store, over the directory `place` of the tree.
    fn directory(&mut self, from: &Path, named: &Path, place: &Path) -> Result<()> {
        let metadata = fs::metadata(from).map_err(Error::io("read", from))?;
        let identity = (metadata.dev(), metadata.ino());
        if self.on_the_way.contains(&identity) {
            return Err(Error::Document {
                document: named.display().to_string(),
                message: "a symlink to a directory that it is in, of which there would be no end of copies".into(),
                hint: "set keepContentsDirlinks = true, or leave the symlink out".into(),
            });
        }
        self.on_the_way.push(identity);
        let entries = fs::read_dir(from).map_err(Error::io("read", from))?;
        let entries = entries.map(|entry| Ok(entry.map_err(Error::io("read", from))?.file_name()));
        let mut entries = entries.collect::<Result<Vec<_>>>()?;
        entries.sort_unstable();
        for name in entries {
            let [from, named, place] = [from, named, place].map(|path| path.join(&name));
            self.entry(&from, &named, &place)?;
        }
        self.on_the_way.pop();
        Ok(())
    }

    fn entry(&mut self, from: &Path, named: &Path, place: &Path) -> Result<()> {
        let found = from.symlink_metadata().map_err(Error::io("read", from))?;
        let copies_directory = || {
            let follows = self.tree.form == TreeForm::Copies && !self.tree.keep_directory_links;
            found.is_symlink() && follows && from.is_dir()
        };
        if found.is_dir() || copies_directory() {
            if self.make_directory(named, place)? {
                self.directory(from, named, place)?;
            }
            return Ok(());
        }
        if !self.make_room(named, place)? {
            return Ok(());
        }
        let to = self.root.join(place);
        if found.is_symlink() {
            let target = fs::read_link(from).map_err(Error::io("read", from))?;
            symlink(target, &to).map_err(Error::io("create", &to))
        } else if self.tree.form == TreeForm::Links {
            symlink(named, &to).map_err(Error::io("create", &to))
        } else {
            copy(from, &to)
        }
    }

    /// Makes the directory `place`; false if another source has something else there, which stays.
    fn make_directory(&mut self, named: &Path, place: &Path) -> Result<bool> {
        let to = self.root.join(place);
        match Self::there(&to)? {
            There::Directory => return Ok(true),
            There::LinkToDirectory if self.tree.keep_directory_links => return Ok(true),
            There::Nothing => {}
            There::LinkToDirectory | There::Other => {
                if !self.replace(named, place)? {
                    return Ok(false);
                }
            }
        }
        fs::create_dir(&to).map_err(Error::io("create", &to))?;
        Ok(true)
    }

    /// Sees to it that nothing is at `place`; false if what another source has there stays.
    fn make_room(&mut self, named: &Path, place: &Path) -> Result<bool> {
        match Self::there(&self.root.join(place))? {
            There::Nothing => Ok(true),
            There::Directory if self.tree.form == TreeForm::Copies => Err(Error::Conflict {
                path: place.display().to_string(),
                first: "an earlier one of them".into(),
                second: named.display().to_string(),
                about: "whether it is a directory".into(),
                hint: "leave one of both out of copyToRoot".into(),
            }),
            _ => self.replace(named, place),
        }
    }

    /// Takes away what is at `place`, if the last source wins; else tells that the first does.
    fn replace(&mut self, named: &Path, place: &Path) -> Result<bool> {
        if self.tree.form == TreeForm::Links {
            self.warnings.push(format!(
                "warning: contents: /{} is there already: {} is left out\n\
                 hint: the first one that has a path wins; change the order if it is the wrong one",
                place.display(),
                named.display()
            ));
            return Ok(false);
        }
        let to = self.root.join(place);
        fs::remove_file(&to).map_err(Error::io("remove", &to))?;
        Ok(true)
    }

    fn there(to: &Path) -> Result<There> {
        match to.symlink_metadata() {
            Ok(found) if found.is_dir() => Ok(There::Directory),
            Ok(_) if to.is_dir() => Ok(There::LinkToDirectory),
            Ok(_) => Ok(There::Other),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(There::Nothing),
            Err(error) => Err(Error::io("read", to)(error)),
        }
    }
}

/// Copies a file, which may be executable and is nobody else's.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).map_err(Error::io("copy", from))?;
    let metadata = fs::metadata(from).map_err(Error::io("read", from))?;
    let executable = metadata.permissions().mode() & 0o111;
    let permissions = fs::Permissions::from_mode(0o644 | executable);
    fs::set_permissions(to, permissions).map_err(Error::io("change", to))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A store with two paths, each with these files and symlinks (`name -> target`).
    fn lay(form: TreeForm, keep: bool, paths: [&[&str]; 2]) -> Result<Laid> {
        let location = tempfile::tempdir().unwrap();
        let store = Store {
            dir: "/nix/store".into(),
            location: location.path().into(),
        };
        let sources = [0, 1].map(|number| {
            let name = format!("{number:032}-n");
            for item in paths[number] {
                let (name_of, target) = item.split_once(" -> ").unwrap_or((item, ""));
                let path = location.path().join(&name).join(name_of);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                if target.is_empty() {
                    fs::write(path, name_of.to_owned() + &number.to_string()).unwrap();
                } else {
                    symlink(target, path).unwrap();
                }
            }
            format!("/nix/store/{name}")
        });
        let tree = TreeArguments {
            sources: sources.to_vec(),
            form,
            keep_directory_links: keep,
        };
        let out = format!("/nix/store/{:032}-out", 9);
        let warnings = build(&tree, &out, &store)?;
        Ok(Laid {
            root: store.locate_below(&out),
            warnings,
            _location: location,
        })
    }

    struct Laid {
        root: PathBuf,
        warnings: Vec<String>,
        _location: tempfile::TempDir,
    }

    impl Laid {
        fn link(&self, path: &str) -> String {
            let target = fs::read_link(self.root.join(path)).unwrap();
            target.to_string_lossy().into_owned()
        }

        fn text(&self, path: &str) -> String {
            fs::read_to_string(self.root.join(path)).unwrap()
        }
    }

    #[test]
    fn links_lead_to_the_first_one_and_symlinks_stay() {
        let paths: [&[&str]; 2] = [&["bin/a", "sbin -> bin"], &["bin/a", "bin/b", "sbin/c"]];
        let laid = lay(TreeForm::Links, false, paths).unwrap();
        let first = format!("/nix/store/{:032}-n", 0);
        assert_eq!(laid.link("bin/a"), format!("{first}/bin/a"));
        // NixOS/nixpkgs#102962
        assert_eq!(laid.link("sbin"), "bin");
        assert!(laid.root.join("bin").symlink_metadata().unwrap().is_dir());
        let told: Vec<&str> = laid.warnings.iter().map(|text| &text[..36]).collect();
        assert_eq!(
            told,
            [
                "warning: contents: /bin/a is there a",
                "warning: contents: /sbin is there al"
            ]
        );
    }

    #[test]
    fn the_last_copy_wins() {
        let paths: [&[&str]; 2] = [&["etc/a", "etc/b", "c -> etc"], &["etc/a", "c/d"]];
        let laid = lay(TreeForm::Copies, false, paths).unwrap();
        assert_eq!(laid.text("etc/a"), "etc/a1");
        assert_eq!(laid.text("etc/b"), "etc/b0");
        // A symlink to a directory is a directory in the copy, unless it is kept.
        assert_eq!(laid.text("c/a"), "etc/a0");
        assert!(!laid.root.join("etc/d").exists());
        let laid = lay(TreeForm::Copies, true, paths).unwrap();
        assert_eq!(laid.link("c"), "etc");
        assert_eq!(laid.text("etc/d"), "c/d1");
    }

    #[test]
    fn what_cannot_be_laid_is_refused() {
        let paths: [&[&str]; 2] = [&["a/b -> ../a"], &[]];
        let error = lay(TreeForm::Copies, false, paths).err().unwrap();
        assert!(error.to_string().contains("no end of copies"), "{error}");
        lay(TreeForm::Copies, true, [&["a/b -> ../a"], &["c"]]).unwrap();
        let error = lay(TreeForm::Copies, false, [&["a/b"], &["a"]]).err();
        assert!(matches!(error, Some(Error::Conflict { .. })), "{error:?}");
        let error = lay(TreeForm::Links, false, [&["a/b"], &[]]).err();
        assert!(error.unwrap().to_string().starts_with("attribute contents"));
    }
}
