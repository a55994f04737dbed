//! Checks that many arguments have in common, and how arguments are named in messages.

use strata_error::{Error, Result};
use strata_nix::Store;

/// The most bytes that file systems allow in a name.
const NAME_MAX: usize = 255;

/// The field `key` of the argument `parent`, as one writes it in Nix.
pub(super) fn field(parent: &str, key: &str) -> String {
    let starts_well = key.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "_-'".contains(letter);
    if starts_well && key.chars().all(fits) {
        format!("{parent}.{key}")
    } else {
        format!("{parent}.{key:?}")
    }
}

/// An [`Error::Attribute`].
pub(super) fn error(attribute: &str, message: impl Into<String>, hint: &str) -> Error {
    Error::Attribute {
        attribute: attribute.to_owned(),
        message: message.into(),
        hint: hint.to_owned(),
    }
}

/// The path without slashes at its ends, if it is absolute and names one place in the image.
pub(super) fn path(attribute: &str, path: &str) -> Result<String> {
    let wrong = |message: &str| {
        let hint = "write an absolute path of the image, as in /etc/motd";
        Err(error(attribute, format!("{path:?} {message}"), hint))
    };
    let Some(relative) = path.strip_prefix('/') else {
        return wrong("is not an absolute path");
    };
    if path.contains('\0') {
        return wrong("has a null character in it");
    }
    let names = relative.split('/').filter(|name| !name.is_empty());
    let names: Vec<&str> = names.collect();
    if names.iter().any(|name| *name == "." || *name == "..") {
        return wrong("has . or .. in it");
    }
    if names.iter().any(|name| name.len() > NAME_MAX) {
        return wrong("has a name of more than 255 bytes in it");
    }
    Ok(names.join("/"))
}

/// What a symlink may hold: anything but nothing and null characters.
pub(super) fn target(attribute: &str, target: &str) -> Result<()> {
    if target.is_empty() || target.contains('\0') {
        let hint = "write where the symlink leads, as in \"${pkgs.bash}/bin/bash\"";
        return Err(error(attribute, format!("{target:?} is no target"), hint));
    }
    Ok(())
}

/// A path at or below a store path.
pub(super) fn store_location(attribute: &str, location: &str, store: &Store) -> Result<()> {
    path(attribute, location)?;
    match store.parse_below(location) {
        Ok(_) => Ok(()),
        Err(_) => Err(error(
            attribute,
            format!("{location:?} is not in the store"),
            "give a path that Nix has copied to the store, as in \"${./nixpkgs}\"",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_named_as_in_nix() {
        assert_eq!(field("users", "app-1"), "users.app-1");
        assert_eq!(field("files", "/etc/x"), "files.\"/etc/x\"");
        assert_eq!(field("users", "1"), "users.\"1\"");
        assert_eq!(field("users", ""), "users.\"\"");
    }

    #[test]
    fn paths_name_one_place() {
        for (good, relative) in [("/", ""), ("/a", "a"), ("//a//b/", "a/b"), ("/...", "...")] {
            assert_eq!(path("x", good).unwrap(), relative);
        }
        let long = format!("/{}", "a".repeat(256));
        for bad in ["", "a", "./a", "/..", "/a/../b", "/a/.", "/a\0", &long] {
            assert!(path("x", bad).is_err(), "{bad}");
        }
        path("x", &long[..256]).unwrap();
    }

    #[test]
    fn locations_are_in_the_store() {
        let store = Store::new("/nix/store");
        let own = "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-a";
        store_location("x", own, &store).unwrap();
        store_location("x", &format!("{own}/b/c"), &store).unwrap();
        for bad in [
            "/nix/store",
            "/nix/store/x",
            "/etc",
            "x",
            &format!("{own}/../b"),
        ] {
            assert!(store_location("x", bad, &store).is_err(), "{bad}");
        }
    }
}
