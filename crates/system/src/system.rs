//! The tree of a base system, from the arguments of `baseSystem`.

use std::path::Path;

use super::accounts::Accounts;
use super::resolve::{Resolved, resolve};
use super::tree::{Tree, TreeEntry};
use super::{account_files, argument, channel, configuration, flake_registry, profile};
use strata_error::Result;
use strata_nix::{Store, System};

/// The full store paths of the outputs to which the tree has links.
#[derive(Clone, Copy, Debug)]
pub struct OutputPaths<'a> {
    /// The user environment.
    pub profile: &'a str,
    /// The channel.
    pub channel: &'a str,
}

/// The tree of a base system.
///
/// Looks into the store for the flake registry and for what must be files. An error names the argument, or the two that
/// want the same path.
pub fn system_tree(system: &System, outputs: OutputPaths<'_>, store: &Store) -> Result<Tree> {
    let mut tree = Tree::default();
    add_accounts(&mut tree, system)?;
    add_configuration(&mut tree, system)?;
    for (path, text) in &system.files {
        let attribute = argument::field("files", path);
        tree.add(&attribute, path, TreeEntry::File(text.clone()))?;
    }
    for (path, target) in &system.links {
        let attribute = argument::field("links", path);
        argument::target(&attribute, target)?;
        check_file(path, target, store)?;
        tree.add(&attribute, path, TreeEntry::Link(target.clone()))?;
    }
    for (number, path) in system.directories.iter().enumerate() {
        tree.add(
            &format!("directories[{number}]"),
            path,
            TreeEntry::Directory,
        )?;
    }
    if let Some(profile) = &system.profile {
        profile::add_links(&mut tree, profile, outputs.profile)?;
    }
    if let Some(channel) = &system.channel {
        channel::add_links(&mut tree, channel, outputs.channel)?;
    }
    if let Some(registry) = &system.flake_registry {
        flake_registry::add(&mut tree, registry, store)?;
    }
    tree.check_parents()?;
    Ok(tree)
}

/// Symlinks that are of use only if they lead to a file, the arguments that make them, and what these look like.
const FILES: [(&str, &str, &str); 4] = [
    ("/bin/sh", "binSh", "${pkgs.bash}/bin/bash"),
    ("/usr/bin/env", "usrBinEnv", "${pkgs.coreutils}/bin/env"),
    (
        "/etc/ssl/certs/ca-bundle.crt",
        "certificates",
        "${pkgs.cacert}/etc/ssl/certs/ca-bundle.crt",
    ),
    (
        "/etc/ssl/certs/ca-certificates.crt",
        "certificates",
        "${pkgs.cacert}/etc/ssl/certs/ca-bundle.crt",
    ),
];

/// Refuses a package in the place of its program or file, where that is certain: in the store.
fn check_file(path: &str, target: &str, store: &Store) -> Result<()> {
    let Some((_, argument, example)) = FILES.iter().find(|(file, ..)| *file == path) else {
        return Ok(());
    };
    let target = Path::new(target);
    let message = match resolve(store, target) {
        Resolved::Directory(_) => "is a directory",
        Resolved::Elsewhere if is_missing(target, store) => "does not exist",
        Resolved::File(_) | Resolved::Elsewhere => return Ok(()),
    };
    Err(argument::error(
        argument,
        format!("{}, where {path} leads, {message}", target.display()),
        &format!("name the file in the package: \"{example}\""),
    ))
}

/// Whether there is nothing, not even a symlink, in a directory of a store path.
fn is_missing(target: &Path, store: &Store) -> bool {
    let (Some(directory), Some(name)) = (target.parent(), target.file_name()) else {
        return false;
    };
    match resolve(store, directory) {
        // The store directory itself has only what the build may see.
        Resolved::Directory(real) if real != Path::new(&store.dir) => {
            let file = store.locate_below(&real.join(name).to_string_lossy());
            let found = file.symlink_metadata();
            found.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
        }
        _ => false,
    }
}

fn add_accounts(tree: &mut Tree, system: &System) -> Result<()> {
    let accounts = Accounts::check(system)?;
    let Accounts { users, groups } = &accounts;
    for user in users {
        if user.create_home {
            let attribute = format!("{}.home", argument::field("users", &user.name));
            tree.add(&attribute, &user.home, TreeEntry::Directory)?;
        }
    }
    if users.is_empty() && groups.is_empty() {
        return Ok(());
    }
    let mut add =
        |attribute: &str, path: &str, text| tree.add(attribute, path, TreeEntry::File(text));
    add("users", "/etc/passwd", account_files::passwd(users))?;
    add("groups", "/etc/group", account_files::group(groups))?;
    if system.shadow {
        add("shadow", "/etc/shadow", account_files::shadow(users))?;
    }
    if system.gshadow {
        add("gshadow", "/etc/gshadow", account_files::gshadow(groups))?;
    }
    Ok(())
}

fn add_configuration(tree: &mut Tree, system: &System) -> Result<()> {
    let mut add =
        |attribute: &str, path: &str, text| tree.add(attribute, path, TreeEntry::File(text));
    if system.nsswitch {
        let text = configuration::NSSWITCH.to_owned();
        add("nsswitch", "/etc/nsswitch.conf", text)?;
    }
    if let Some(variables) = &system.os_release {
        let text = configuration::os_release(variables)?;
        add("osRelease", "/etc/os-release", text)?;
    }
    if let Some(settings) = &system.login_defs {
        let text = configuration::login_defs(settings)?;
        add("loginDefs", "/etc/login.defs", text)?;
    }
    if let Some(settings) = &system.nix_conf {
        let text = configuration::nix_conf(settings)?;
        add("nixConf", "/etc/nix/nix.conf", text)?;
    }
    Ok(())
}
