//! What `baseSystem` asks the builder for, before anything is checked. The comments of the types and
//! their fields are docs/reference/request.md.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// The priority of packages that say nothing, for `nix-env` and here.
pub const USUAL_PRIORITY: i64 = 5;

/// What `baseSystem` asks for: nothing of a layer.
///
/// The derivation has the outputs `out` (the tree), and, when asked for, `profile` (a user environment) and
/// `channel`. Its `closure` is `[]`. The builder writes plain files; ownership and modes that the store
/// cannot hold are rules (`perms`) which the Nix function computes and the result carries. Users and
/// groups, also the members of a group, are in the order of their numbers; everything else is in the
/// order of its names.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SystemRequest {
    /// The version of the format: `1`.
    pub version: u32,
    /// The store directory, `builtins.storeDir`.
    pub store_dir: String,
    /// What the system consists of.
    pub system: System,
}

/// What a base system consists of.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct System {
    /// Users by name.
    #[serde(default)]
    pub users: BTreeMap<String, UserRequest>,
    /// Groups by name.
    #[serde(default)]
    pub groups: BTreeMap<String, GroupRequest>,
    /// Whether to write `/etc/shadow`.
    #[serde(default = "yes")]
    pub shadow: bool,
    /// Whether to write `/etc/gshadow`.
    #[serde(default)]
    pub gshadow: bool,
    /// Whether to write `/etc/nsswitch.conf`: files, then dns for hosts.
    #[serde(default)]
    pub nsswitch: bool,
    /// The variables of `/etc/os-release`, which are quoted as the shell needs.
    #[serde(default)]
    pub os_release: Option<BTreeMap<String, Value>>,
    /// The settings of `/etc/login.defs`.
    #[serde(default)]
    pub login_defs: Option<BTreeMap<String, Value>>,
    /// The settings of `/etc/nix/nix.conf`: strings, numbers, booleans, lists of them; they are sorted by
    /// key.
    #[serde(default)]
    pub nix_conf: Option<BTreeMap<String, Value>>,
    /// The texts of more files, by path.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// The targets of symlinks by path, as `/bin/sh` to a shell.
    #[serde(default)]
    pub links: BTreeMap<String, String>,
    /// Empty directories, as `/tmp`.
    #[serde(default)]
    pub directories: Vec<String>,
    /// A user environment.
    #[serde(default)]
    pub profile: Option<ProfileRequest>,
    /// A channel.
    #[serde(default)]
    pub channel: Option<ChannelRequest>,
    /// The registry of flakes.
    #[serde(default, rename = "flake-registry")]
    pub flake_registry: Option<FlakeRegistryRequest>,
}

/// A user.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserRequest {
    /// The user's number.
    // Signed, so that the check can say what is wrong with -1.
    pub uid: i64,
    /// The number of the user's group; null is that of the group of the same name, else 65534.
    #[serde(default)]
    pub gid: Option<i64>,
    /// The home directory.
    #[serde(default = "empty_home")]
    pub home: String,
    /// The login shell.
    #[serde(default = "no_shell")]
    pub shell: String,
    /// The full name, the field GECOS.
    #[serde(default)]
    pub description: String,
    /// Names of further groups, which list the user as a member.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Whether the home directory is made; null means if `home` is not `/var/empty`.
    #[serde(default)]
    pub create_home: Option<bool>,
    /// The field of `/etc/shadow`, a string; null is `"!"`.
    // Of any type here, so that no message about its type shows it.
    #[serde(default)]
    pub password: Value,
}

/// A group.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupRequest {
    /// The group's number.
    pub gid: i64,
    /// Names of users, besides those whose `groups` name it.
    #[serde(default)]
    pub members: Vec<String>,
}

/// A user environment and the links to it. The output `profile` holds the packages' files as symlinks, and
/// `manifest.nix`, a link to the output's own `.manifest.nix`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileRequest {
    /// What is installed.
    #[serde(default)]
    pub packages: Vec<PackageRequest>,
    /// The generation links, such as `/nix/var/nix/profiles/default`, by the paths that lead to them. The
    /// builder makes `default-1-link` beside such a link and points it to the output `profile`. A link
    /// whose target is its own path asks for no more.
    #[serde(default)]
    pub links: BTreeMap<String, String>,
}

/// An installed package.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PackageRequest {
    /// The name with the version.
    pub name: String,
    /// For which system it was built.
    #[serde(default)]
    pub system: Option<String>,
    /// Store paths by the names of outputs.
    pub outputs: BTreeMap<String, String>,
    /// The outputs whose files are in the profile.
    #[serde(default = "output_out")]
    pub outputs_to_install: Vec<String>,
    /// Who wins when packages have the same file: the lower number.
    #[serde(default = "usual_priority")]
    pub priority: i64,
}

/// A channel. The fields are called as the arguments of `baseSystem`, which errors name.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChannelRequest {
    /// What the channel has as `nixpkgs`, a store path; null makes an empty channel.
    #[serde(default)]
    pub nixpkgs: Option<String>,
    /// The generation link.
    #[serde(default = "channels_of_root")]
    pub profile: String,
    /// The name in `.nix-channels`.
    pub channel_name: String,
    /// The address in `.nix-channels`.
    #[serde(rename = "channelURL")]
    pub channel_url: String,
    /// The home of whose channel it is: it gets `.nix-channels` and `.nix-defexpr/channels`.
    pub home: String,
}

/// The registry of flakes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlakeRegistryRequest {
    /// A file, or a directory with `flake-registry.json`.
    pub path: String,
    /// The home of whose registry it is: it gets `.cache/nix/flake-registry.json`, and a root for the garbage
    /// collector under `/nix/var/nix/gcroots/auto` whose name is the base-32 SHA-1 of that link's path.
    pub home: String,
}

fn yes() -> bool {
    true
}

fn empty_home() -> String {
    "/var/empty".into()
}

fn no_shell() -> String {
    "/bin/false".into()
}

fn output_out() -> Vec<String> {
    vec!["out".into()]
}

fn usual_priority() -> i64 {
    USUAL_PRIORITY
}

fn channels_of_root() -> String {
    "/nix/var/nix/profiles/per-user/root/channels".into()
}
