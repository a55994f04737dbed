//! A channel, as `nix-channel --update` leaves it.

use super::argument::{self, error};
use super::profile::add_generation;
use super::{Tree, TreeEntry};
use strata_error::Result;
use strata_nix::{ChannelRequest, Store};

/// What is in the channel itself: nixpkgs, or nothing.
pub fn channel_tree(request: &ChannelRequest, store: &Store) -> Result<Tree> {
    let mut tree = Tree::default();
    if let Some(nixpkgs) = &request.nixpkgs {
        let attribute = "nixpkgs";
        argument::store_location(attribute, nixpkgs, store)?;
        tree.add(attribute, "/nixpkgs", TreeEntry::Link(nixpkgs.clone()))?;
        // Without it `nix-env` takes the directory for a tree of expressions.
        tree.add(attribute, "/manifest.nix", TreeEntry::File("[]\n".into()))?;
    }
    Ok(tree)
}

/// The files that lead to the channel at `output`.
pub(super) fn add_links(tree: &mut Tree, request: &ChannelRequest, output: &str) -> Result<()> {
    check_name(&request.channel_name)?;
    check_url(&request.channel_url)?;
    let ChannelRequest {
        profile,
        channel_name: name,
        channel_url: url,
        home,
        ..
    } = request;
    add_generation(tree, "channelURL", profile, output)?;
    let subscribed = TreeEntry::File(format!("{url} {name}\n"));
    tree.add("channelURL", &join(home, ".nix-channels"), subscribed)?;
    let channels = join(home, ".nix-defexpr/channels");
    tree.add("channelURL", &channels, TreeEntry::Link(profile.clone()))
}

/// The path of `name` in the directory `home`.
pub(super) fn join(home: &str, name: &str) -> String {
    format!("{}/{name}", home.trim_end_matches('/'))
}

/// `nix-channel` takes no others (`src/nix-channel/nix-channel.cc` of Nix).
fn check_name(name: &str) -> Result<()> {
    let begins = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let continues = |byte: u8| begins(&byte) || byte == b'.' || byte == b'-';
    if name.as_bytes().first().is_some_and(begins) && name.bytes().all(continues) {
        return Ok(());
    }
    let hint = "names of channels have letters, digits, _, . and -, as in nixos-24.05";
    Err(error(
        "channelName",
        format!("{name:?} is not a name"),
        hint,
    ))
}

fn check_url(url: &str) -> Result<()> {
    let schemes = ["https://", "http://", "file://"];
    let has_scheme = schemes
        .iter()
        .any(|scheme| url.starts_with(scheme) && url != *scheme);
    if has_scheme && !url.contains(|letter: char| letter.is_whitespace() || letter.is_control()) {
        return Ok(());
    }
    let hint = "write it as in https://nixos.org/channels/nixpkgs-unstable";
    Err(error(
        "channelURL",
        format!("{url:?} is not an address"),
        hint,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses() {
        for name in ["nixpkgs", "nixos-24.05", "_x", "1"] {
            check_name(name).unwrap();
        }
        for name in ["", "-a", ".a", "a b", "a/b", "a\n", "é"] {
            assert!(check_name(name).is_err(), "{name}");
        }
        for url in ["https://a", "http://a/b?c", "file:///x"] {
            check_url(url).unwrap();
        }
        for url in [
            "",
            "https://",
            "a",
            "ftp://a",
            "https://a b",
            "https://a\n",
            "https://a\0",
        ] {
            assert!(check_url(url).is_err(), "{url}");
        }
    }
}
