//! The tree of a base system, from the arguments of `baseSystem`.

use super::accounts::Accounts;
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
/// Looks into the store for the flake registry alone. An error names the argument, or the two that
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
