//! The global registry of flakes, where Nix keeps the one that it has fetched.

use std::path::Path;

use sha1::{Digest, Sha1};

use super::argument::{self, error};
use super::channel::join;
use super::resolve::{Resolved, resolve};
use super::{Tree, TreeEntry};
use strata_error::Result;
use strata_nix::{FlakeRegistryRequest, Store, base32};

/// The argument of the function.
const ATTRIBUTE: &str = "flake-registry";
/// The file's name in a directory and in the cache.
const FILE: &str = "flake-registry.json";

/// Adds the link to the registry, and a root that keeps it from the garbage collector.
pub(super) fn add(tree: &mut Tree, request: &FlakeRegistryRequest, store: &Store) -> Result<()> {
    let file = find(&request.path, store)?;
    let home = format!("/{}", argument::path(ATTRIBUTE, &request.home)?);
    let link = join(&home, &format!(".cache/nix/{FILE}"));
    tree.add(ATTRIBUTE, &link, TreeEntry::Link(file))?;
    let root = format!(
        "{}/gcroots/auto/{}",
        store.state_directory(),
        root_name(&link)
    );
    tree.add(ATTRIBUTE, &root, TreeEntry::Link(link))
}

/// The registry itself, for a file or a directory that has it.
fn find(path: &str, store: &Store) -> Result<String> {
    argument::store_location(ATTRIBUTE, path, store)?;
    let in_directory = join(path, FILE);
    match resolve(store, Path::new(path)) {
        Resolved::File(_) => Ok(path.to_owned()),
        Resolved::Directory(_)
            if matches!(resolve(store, Path::new(&in_directory)), Resolved::File(_)) =>
        {
            Ok(in_directory)
        }
        Resolved::Directory(_) | Resolved::Elsewhere => Err(error(
            ATTRIBUTE,
            format!("{path} is neither a file nor a directory with {FILE}"),
            "take the source of https://github.com/NixOS/flake-registry",
        )),
    }
}

/// What Nix calls an indirect root: the SHA-1 of the link's path in base 32
/// (`addIndirectRoot` in `src/libstore/gc.cc` of Nix).
fn root_name(link: &str) -> String {
    base32::encode(&Sha1::digest(link.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::root_name;

    #[test]
    fn roots_are_named_as_by_nix() {
        // `printf /root/.cache/nix/flake-registry.json | nix-hash --type sha1 --base32 --flat /dev/stdin`
        assert_eq!(
            root_name("/root/.cache/nix/flake-registry.json"),
            "2m8wm8j83xbdp2b6wmrgd0bgy8qd4r75"
        );
    }
}
