//! What `baseSystem` asks the builder for (docs/formats.md), before anything is checked.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// The priority of packages that say nothing, for `nix-env` and here.
pub const USUAL_PRIORITY: i64 = 5;

/// The request of a base system.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SystemRequest {
    /// The version of the format.
    pub version: u32,
    /// The store directory.
    pub store_dir: String,
    /// What the system consists of.
    pub system: System,
}

/// The arguments of `baseSystem`.
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
    /// Whether to write `/etc/nsswitch.conf`.
    #[serde(default)]
    pub nsswitch: bool,
    /// The variables of `/etc/os-release`.
    #[serde(default)]
    pub os_release: Option<BTreeMap<String, Value>>,
    /// The settings of `/etc/login.defs`.
    #[serde(default)]
    pub login_defs: Option<BTreeMap<String, Value>>,
    /// The settings of `/etc/nix/nix.conf`.
    #[serde(default)]
    pub nix_conf: Option<BTreeMap<String, Value>>,
    /// Texts by path.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// Targets of symlinks by path.
    #[serde(default)]
    pub links: BTreeMap<String, String>,
    /// Directories.
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
    /// The user's number; signed, so that the check can say what is wrong with -1.
    pub uid: i64,
    /// The number of the user's group.
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
    /// Names of further groups.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Whether the home directory is made.
    #[serde(default)]
    pub create_home: Option<bool>,
    /// The field of `shadow`. Of any type here, so that no message about its type shows it.
    #[serde(default)]
    pub password: Value,
}

/// A group.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupRequest {
    /// The group's number.
    pub gid: i64,
    /// Names of users.
    #[serde(default)]
    pub members: Vec<String>,
}

/// A user environment and the links to it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileRequest {
    /// What is installed.
    #[serde(default)]
    pub packages: Vec<PackageRequest>,
    /// The generation links by the paths that lead to them.
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
    /// What the channel has as `nixpkgs`.
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
    /// Whose channel it is.
    pub home: String,
}

/// The registry of flakes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlakeRegistryRequest {
    /// A file, or a directory with `flake-registry.json`.
    pub path: String,
    /// Whose registry it is.
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

/// What `nix-env` takes for packages that say nothing.
fn usual_priority() -> i64 {
    USUAL_PRIORITY
}

fn channels_of_root() -> String {
    "/nix/var/nix/profiles/per-user/root/channels".into()
}
