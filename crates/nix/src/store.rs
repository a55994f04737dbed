//! Store paths and where they are.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::base32;

/// The number of characters of the hash part of a store path.
const HASH_LENGTH: usize = 32;
/// The bit of a mode that lets everybody write.
const WRITABLE_FOR_ALL: u32 = 0o002;

/// A store path: `<store directory>/<hash>-<name>`, without anything below it.
///
/// Shaped like `nix-compat`'s type, so that it can be swapped in once that crate is published.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorePath {
    full: String,
    base: usize,
}

impl StorePath {
    /// Parses a full store path of the store directory `store_dir`. The error says what is wrong.
    pub fn parse(store_dir: &str, full: &str) -> Result<Self, String> {
        let base = below(store_dir, full)
            .ok_or_else(|| format!("{full:?} is not in the store directory {store_dir}"))?;
        if base.contains('/') {
            return Err(format!(
                "{full:?} is a path below a store path, not a store path"
            ));
        }
        let (hash, name) = base
            .split_at_checked(HASH_LENGTH)
            .and_then(|(hash, rest)| Some((hash, rest.strip_prefix('-')?)))
            .filter(|(hash, _)| hash.bytes().all(base32::is_digit))
            .ok_or_else(|| format!("{full:?} has no hash of {HASH_LENGTH} characters"))?;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._?=".contains(&byte);
        if hash.is_empty() || name.is_empty() || name.len() > 211 || !name.bytes().all(fits) {
            return Err(format!("{full:?} has no valid name"));
        }
        Ok(Self {
            full: full.to_owned(),
            base: full.len() - base.len(),
        })
    }

    /// The whole path.
    pub fn as_str(&self) -> &str {
        &self.full
    }

    /// `<hash>-<name>`.
    pub fn base_name(&self) -> &str {
        &self.full[self.base..]
    }

    /// The path in an image, without the leading slash.
    pub fn destination(&self) -> &str {
        self.full.trim_start_matches('/')
    }
}

impl fmt::Display for StorePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.full)
    }
}

impl fmt::Debug for StorePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.full)
    }
}

/// A store: the directory that its paths name, and the directory where they are.
///
/// The two differ for a store below another root, such as `local?root=/mnt`.
#[derive(Clone, Debug)]
pub struct Store {
    /// The directory that store paths begin with, `/nix/store`.
    pub dir: String,
    /// Where that directory is found.
    pub location: PathBuf,
}

/// The store directory of a Nix that nobody compiled for another one.
const USUAL: &str = "/nix/store";
/// The variables that say what store directory is meant: whoever runs a program of Nix sets the first, Nix the
/// second for builders.
const VARIABLES: [&str; 2] = ["NIX_STORE_DIR", "NIX_STORE"];

impl Store {
    /// The store `dir` that the document of an image at `output` names, and a stranger may have written; the
    /// error is that neither the machine nor the user says that there is one. The usual store is believed, one
    /// that the environment names, and the one that the image itself lies in, if not everybody may put
    /// something there.
    pub fn of_output(
        dir: String,
        output: &Path,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let is_said = || {
            VARIABLES
                .iter()
                .any(|name| environment(name).as_ref() == Some(&dir))
        };
        if dir == USUAL || is_said() || Self::is_around(Path::new(&dir), output) {
            return Ok(Self::new(dir));
        }
        Err(format!(
            "it names {dir:?} as the store, and is not in it itself"
        ))
    }

    /// Whether `output` is a store path of the store directory `dir`.
    fn is_around(dir: &Path, output: &Path) -> bool {
        let Ok(real) = output.canonicalize() else {
            return false;
        };
        let is_output = |full: &str| StorePath::parse(&dir.to_string_lossy(), full).is_ok();
        let name = real.file_name().map(|name| dir.join(name));
        let is_shared = dir
            .metadata()
            .map_or(true, |about| about.mode() & WRITABLE_FOR_ALL != 0);
        dir.is_absolute()
            && name.is_some_and(|name| is_output(&name.to_string_lossy()))
            && dir.canonicalize().ok().as_deref() == real.parent()
            && !is_shared
    }

    /// A store that is where its paths say.
    pub fn new(dir: impl Into<String>) -> Self {
        let dir = dir.into();
        Self {
            location: PathBuf::from(&dir),
            dir,
        }
    }

    /// Where Nix keeps what changes, as it is compiled (`localstatedir`): `var` beside the store
    /// directory, so `/nix/var` for `/nix/store`.
    pub fn var_directory(&self) -> String {
        let parent = Path::new(&self.dir).parent().unwrap_or(Path::new("/"));
        parent.join("var").to_string_lossy().into_owned()
    }

    /// Where Nix keeps its database, profiles and roots (`NIX_STATE_DIR`): `/nix/var/nix` for
    /// `/nix/store`.
    pub fn state_directory(&self) -> String {
        format!("{}/nix", self.var_directory())
    }

    /// Where the files of `path` are.
    pub fn locate(&self, path: &StorePath) -> PathBuf {
        self.location.join(path.base_name())
    }

    /// Parses a full store path of this store.
    pub fn parse(&self, full: &str) -> Result<StorePath, String> {
        StorePath::parse(&self.dir, full)
    }

    /// Parses a path at or below a store path: the store path, and what follows it after a slash.
    pub fn parse_below<'a>(&self, full: &'a str) -> Result<(StorePath, &'a str), String> {
        let rest = below(&self.dir, full).and_then(|base| Some(base.split_once('/')?.1));
        match rest {
            Some(rest) => Ok((self.parse(&full[..full.len() - rest.len() - 1])?, rest)),
            None => Ok((self.parse(full)?, "")),
        }
    }

    /// Where the file is that `full`, a path at or below a store path, names, for a path that a stranger may
    /// have written; the error is that it is none, or leads out of the store. Symlinks may lead to other
    /// store paths.
    pub fn locate_inside(&self, full: &str) -> Result<PathBuf, String> {
        let (_, below) = self.parse_below(full)?;
        if below.split('/').any(|name| matches!(name, "." | "..")) {
            return Err(format!("{full:?} leads out of its store path"));
        }
        let located = self.locate_below(full);
        // What is not there is told by whoever reads it.
        if let (Ok(real), Ok(store)) = (located.canonicalize(), self.location.canonicalize())
            && !real.starts_with(&store)
        {
            return Err(format!("{full:?} leads out of the store"));
        }
        Ok(located)
    }

    /// Where the file is that `full`, a path at or below a store path, names.
    pub fn locate_below(&self, full: &str) -> PathBuf {
        match below(&self.dir, full) {
            Some(rest) => self
                .location
                .join(Path::new(OsStr::from_bytes(rest.as_bytes()))),
            None => PathBuf::from(full),
        }
    }
}

/// The path in the store directory `store_dir` that a full path names.
fn below<'a>(store_dir: &str, full: &'a str) -> Option<&'a str> {
    full.strip_prefix(store_dir)?.strip_prefix('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "0123456789abcdfghijklmnpqrsvwxyz";

    #[test]
    fn parts() {
        let path = StorePath::parse("/nix/store", &format!("/nix/store/{HASH}-a-1.0")).unwrap();
        assert_eq!(path.base_name(), format!("{HASH}-a-1.0"));
        assert_eq!(path.destination(), format!("nix/store/{HASH}-a-1.0"));
    }

    #[test]
    fn paths_below_store_paths() {
        let store = Store::new("/nix/store");
        let own = format!("/nix/store/{HASH}-a");
        for (end, rest) in [("", ""), ("/b/c", "b/c"), ("/", ""), ("/../b", "../b")] {
            let full = format!("{own}{end}");
            let (path, found) = store.parse_below(&full).unwrap();
            assert_eq!((path.as_str(), found), (own.as_str(), rest));
        }
        for text in ["", "/nix/store", "/nix/store/", "/nix/store/a/b", "/etc/b"] {
            assert!(store.parse_below(text).is_err(), "{text}");
        }
    }

    /// Row 19 of "Reliability and security".
    #[test]
    fn strangers_name_nothing_outside_of_the_store() {
        let directory = tempfile::tempdir().unwrap();
        let location = directory.path().join("store");
        let at = |name: &str| location.join(format!("{HASH}-{name}"));
        std::fs::create_dir_all(at("a").join("b")).unwrap();
        std::fs::write(directory.path().join("secret"), "x").unwrap();
        std::os::unix::fs::symlink("../secret", at("out")).unwrap();
        std::os::unix::fs::symlink("../..", at("a").join("up")).unwrap();
        std::os::unix::fs::symlink(format!("{HASH}-a"), at("inside")).unwrap();
        let dir = "/nix/store".to_owned();
        let store = Store { dir, location };
        for (end, is_inside) in [
            ("-a", true),
            ("-a/b", true),
            ("-a/nothing", true),
            ("-inside/b", true),
            ("-a/../x", false),
            ("-out", false),
            ("-a/up/secret", false),
        ] {
            let found = store.locate_inside(&format!("/nix/store/{HASH}{end}"));
            assert_eq!(found.is_ok(), is_inside, "{end}: {found:?}");
        }
        for full in ["/etc/passwd", "/nix/store", "/nix/store/x", "etc", ""] {
            assert!(store.locate_inside(full).is_err(), "{full}");
        }
    }

    /// Row 19 of "Reliability and security": what a document says of the store is not believed as it is.
    #[test]
    fn row_19_the_store_is_the_machines_or_the_users() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let image = |store: &str| {
            let path = root.join(store).join(format!("{HASH}-image"));
            std::fs::create_dir_all(&path).unwrap();
            path
        };
        let (own, shared, other) = (image("own"), image("shared"), root.join("other/image"));
        std::fs::create_dir_all(&other).unwrap();
        symlink(&own, root.join("result")).unwrap();
        symlink(root.join("own"), root.join("alias")).unwrap();
        let mode = std::fs::Permissions::from_mode(0o1777);
        std::fs::set_permissions(root.join("shared"), mode).unwrap();
        let in_root = |name: &str| root.join(name).to_string_lossy().into_owned();
        for (dir, output, said, is_believed) in [
            ("/nix/store".to_owned(), &other, "", true),
            (in_root("own"), &own, "", true),
            (in_root("own"), &root.join("result"), "", true),
            (in_root("alias"), &own, "", true),
            (in_root("own"), &other, &*in_root("own"), true),
            (in_root("own"), &other, "", false),
            (in_root("own"), &other, &*in_root("other"), false),
            (in_root("other"), &other, "", false),
            (in_root("shared"), &shared, "", false),
            (in_root(""), &root.join("own"), "", false),
            ("/".to_owned(), &own, "", false),
            ("own".to_owned(), &own, "", false),
            (String::new(), &own, "", false),
        ] {
            for variable in VARIABLES {
                let environment =
                    |name: &str| (name == variable && !said.is_empty()).then(|| said.to_owned());
                let store = Store::of_output(dir.clone(), output, &environment);
                assert_eq!(store.is_ok(), is_believed, "{dir} {output:?} {said}");
            }
        }
    }

    #[test]
    fn state_is_beside_the_store() {
        for (store, state) in [
            ("/nix/store", "/nix/var/nix"),
            ("/home/user/nix/store", "/home/user/nix/var/nix"),
            ("/opt/nix/objects", "/opt/nix/var/nix"),
            ("/store", "/var/nix"),
        ] {
            assert_eq!(Store::new(store).state_directory(), state);
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "/nix/store",
            "/nix/store/",
            "/nix/store/short-name",
            &format!("/gnu/store/{HASH}-a"),
            &format!("/nix/store/{HASH}"),
            &format!("/nix/store/{HASH}-"),
            &format!("/nix/store/{HASH}-a/b"),
            &format!("/nix/store/{}-a", HASH.replace('0', "e")),
            &format!("/nix/store/{HASH}-a b"),
            &format!("/nix/store/{}é-a", &HASH[2..]),
        ] {
            assert!(StorePath::parse("/nix/store", text).is_err(), "{text}");
        }
    }
}
