//! What the Nix functions ask the builder for: the arguments of `nix/buildImage.nix` and others in typed
//! form, before anything is checked. The comments of the types and their fields are
//! docs/reference/request.md.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use strata_oci::{Format, History};

/// The version of the format that this program reads.
pub(super) const VERSION: u32 = 1;

/// What `buildLayer` and `buildImage` ask for.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Request {
    /// The version of the format: `1`.
    pub version: u32,
    /// The store directory, `builtins.storeDir`.
    pub store_dir: String,
    /// Store paths whose content goes to `/`.
    #[serde(default)]
    pub copy_to_root: Vec<String>,
    /// Store paths that go under the store directory, with their closures; for an image, what `config`
    /// mentions.
    #[serde(default)]
    pub deps: Vec<String>,
    /// Store paths to leave out; what they refer to stays.
    #[serde(default)]
    pub ignore: Vec<String>,
    /// Outputs of `buildLayer` that lie below, lowest first; each brings its own `layers` with it.
    #[serde(default)]
    pub layers: Vec<String>,
    /// Ownership and modes.
    #[serde(default)]
    pub perms: Vec<PermsRule>,
    /// What is put into the image file by file, by absolute paths in the image.
    #[serde(default)]
    pub files: BTreeMap<String, FileRequest>,
    /// How many layers to cut the remaining paths into at most, at least 1; null makes as many as are worth
    /// their requests, in an image of at most 60 layers.
    #[serde(default)]
    pub max_layers: Option<u64>,
    /// How they are cut. `auto`: by what is sent again when something changes; `popularity`: what many paths depend
    /// on is alone in a layer; `dockerTools`, `nixery`: as these tools do it; `biggest`: the biggest are alone.
    #[serde(default)]
    pub strategy: StrategyName,
    /// What the strategy cannot know.
    #[serde(default)]
    pub layer_hints: LayerHints,
    /// Layers that stay if they can: those of an output, or of a file that `strata lock-layers` wrote. A path at
    /// or below a store path.
    #[serde(default)]
    pub previous_layers: Option<String>,
    /// Outputs whose layers are taken as they are where that costs little.
    #[serde(default)]
    pub alongside: Vec<String>,
    /// A file like that of `strata lock-layers`, with layers that are made as they are there, in the place of all
    /// that a strategy would do.
    #[serde(default)]
    pub layers_file: Option<String>,
    /// How they are cut instead, without regard to `maxLayers` and `strategy`: a list of operations, each a list of
    /// its name and its arguments, or a string, the path of a file at or below a store path that has such a list as
    /// JSON.
    #[serde(default)]
    pub layering_pipeline: Option<Value>,
    /// Whether the layers can be made again from the store. If not, their tars are kept in the output.
    #[serde(default = "yes")]
    pub reproducible: bool,
    /// How the layers are compressed where they go to a registry: `none`, `gzip`, `zstd`, `gzip:1` to
    /// `gzip:9`, `zstd:1` to `zstd:19`; for an image, those layers that do not say so themselves.
    #[serde(default)]
    pub compression: Option<String>,
    /// The time of what is in the layers: RFC 3339, `now`, or the path of a file at or below a store path that has
    /// one of them. Null is a second after the start of 1970, as in the store.
    #[serde(default)]
    pub mtime: Option<String>,
    /// Whose the store paths are, the store directory and what is above it. Null is root.
    #[serde(default)]
    pub store_owner: Option<OwnerRequest>,
    /// Whether there are layers of store paths. If not, there is what goes to the root, and what it refers to is
    /// expected to be mounted.
    #[serde(default = "yes")]
    pub include_store_paths: bool,
    /// Whether what goes to the root is in a layer of its own above the store paths. It counts as one of
    /// `maxLayers`, and a strategy or `layeringPipeline` has no say in it.
    #[serde(default)]
    pub root_apart: bool,
    /// Tars that are layers as they are, above all others, lowest first: paths at or below a store path. What they
    /// refer to is in the closure.
    #[serde(default)]
    pub tar_layers: Vec<String>,
    /// Whether the only tar of `tarLayers` is no layer of its own: the uppermost layer of store paths has what is in
    /// it, too.
    #[serde(default)]
    pub join_tar: bool,
    /// The base systems in `copyToRoot`.
    #[serde(default)]
    pub accounts: Vec<AccountsRequest>,
    /// What the history of the image says of the layers; null names the largest store paths of each.
    #[serde(default)]
    pub metadata: Option<History>,
    /// What makes it an image; null makes a layer.
    #[serde(default)]
    pub image: Option<ImageRequest>,
}

/// What `buildImages` asks for before its images are built: which layers they have.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FleetRequest {
    /// The version of the format: `1`.
    pub version: u32,
    /// The store directory, `builtins.storeDir`.
    pub store_dir: String,
    /// What each image asks for, by its name.
    pub images: BTreeMap<String, Request>,
}

/// A user and a group.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnerRequest {
    /// The user's number, below 4294967295.
    #[serde(default)]
    pub uid: u64,
    /// The group's number, below 4294967295.
    #[serde(default)]
    pub gid: u64,
    /// The user's name, without `:`, line breaks and nulls; null is `root` for 0, and else none.
    #[serde(default)]
    pub uname: Option<String>,
    /// The group's name, likewise.
    #[serde(default)]
    pub gname: Option<String>,
}

/// What the user knows of store paths of the image.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerHints {
    /// They change seldom, and share layers with each other only.
    #[serde(default)]
    pub stable: Vec<String>,
    /// They change often, and are on top.
    #[serde(default)]
    pub volatile: Vec<String>,
    /// Each list is in one layer.
    #[serde(default)]
    pub together: Vec<Vec<String>>,
    /// Each has a layer of its own.
    #[serde(default)]
    pub alone: Vec<String>,
}

/// A base system in `copyToRoot`, whose users and groups are merged with those of a base image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccountsRequest {
    /// Its store path.
    pub path: String,
    /// The users in it that nobody asked for, such as `root`: they give way to the base's.
    #[serde(default)]
    pub usual_users: Vec<String>,
    /// The groups in it that nobody asked for.
    #[serde(default)]
    pub usual_groups: Vec<String>,
}

/// What only an image has.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageRequest {
    /// The name, as the user wrote it; the builder lower-cases it.
    pub name: String,
    /// The tag; null means the hash part of the output's path.
    #[serde(default)]
    pub tag: Option<String>,
    /// The architecture, as Go names it (`amd64`); other names, such as `x86_64`, are refused. Required
    /// without `platform`.
    #[serde(default)]
    pub arch: Option<String>,
    /// The operating system, as Go names it; null means `linux`.
    #[serde(default)]
    pub os: Option<String>,
    /// The variant of the architecture (`v7`).
    #[serde(default)]
    pub variant: Option<String>,
    /// All three in one, instead of them: `linux/arm64`.
    #[serde(default)]
    pub platform: Option<String>,
    /// The form of the manifest where it is copied to, if the place can hold it: `oci` or `docker`.
    #[serde(default)]
    pub format: Option<Format>,
    /// RFC 3339, `now`, or the path of a file at or below a store path that has one of them.
    pub created: String,
    /// The OCI config, an object. Known keys may be in any case; unknown keys are kept, but those that
    /// differ from a known one by a letter or two are refused.
    #[serde(default = "empty_object")]
    pub config: Value,
    /// Annotations of the manifest.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// The image below this one.
    #[serde(default, rename = "fromImage")]
    pub from_image: Option<FromImage>,
    /// Which fields of its config are taken over: all, none, or those with these names.
    #[serde(default, rename = "inheritConfig")]
    pub inherit_config: InheritRequest,
    /// Absolute paths of the base image that are hidden.
    #[serde(default)]
    pub remove: Vec<String>,
    /// Whether store paths are not in layers but mounted when a container starts: a layer has the places for them, and
    /// annotations that tell nix-snapshotter which they are.
    #[serde(default, rename = "mountStorePaths")]
    pub mount_store_paths: bool,
    /// Makes a Nix database of the store paths in the layers, and of those of the base that its database or
    /// its recipes name and that are still there.
    #[serde(default, rename = "nixDatabase")]
    pub nix_database: Option<NixDatabase>,
    /// What the image must keep to, or else it is not built.
    #[serde(default)]
    pub limits: Option<LimitsRequest>,
}

/// What an image must keep to.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsRequest {
    /// The most bytes of its layers, before they are compressed: `200M`, `1.5G`, `500 MB`.
    #[serde(default)]
    pub size: Option<String>,
    /// The most layers, those of a base image counted.
    #[serde(default)]
    pub layers: Option<u64>,
    /// Packages that must not be in it, by their names, with or without versions, or by store paths; `*` stands for
    /// anything.
    #[serde(default)]
    pub deny: Vec<String>,
    /// How much it may gain over another image.
    #[serde(default)]
    pub growth: Option<GrowthRequest>,
}

/// How much an image may gain.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrowthRequest {
    /// The image that is the measure: the output of its derivation.
    pub against: String,
    /// How much more, as a share or in bytes: `5 %`, `10M`.
    pub size: String,
}

/// A base image. Where several are there, `name`, `tag`, `digest` and `platform` choose.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FromImage {
    /// Where it is: at or below a store path.
    pub path: String,
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// Its tag.
    #[serde(default)]
    pub tag: Option<String>,
    /// The digest of its manifest, of an index that leads to it, or of its config.
    #[serde(default)]
    pub digest: Option<String>,
    /// What it runs on, as in `linux/arm64`.
    #[serde(default)]
    pub platform: Option<String>,
}

/// Which fields of the config of a base are taken over.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum InheritRequest {
    /// All or none.
    All(bool),
    /// Those with these names.
    Only(Vec<String>),
}

impl Default for InheritRequest {
    fn default() -> Self {
        Self::All(true)
    }
}

/// Who owns the database of Nix in an image, the store directory and what is above it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NixDatabase {
    /// The user's number.
    #[serde(default)]
    pub uid: u64,
    /// The group's number.
    #[serde(default)]
    pub gid: u64,
    /// Whether every store path in the image is theirs, too.
    #[serde(default)]
    pub own_store: bool,
    /// The directory below `gcroots` that has the links which keep the garbage collector from paths.
    #[serde(default = "usual_roots")]
    pub gc_roots: String,
    /// When all paths were registered, in seconds since 1970.
    #[serde(default = "first_second")]
    pub registration_time: u64,
}

/// A rule about the files of one store path, or of a path of the image. The last matching rule wins, field by field; null is absent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PermsRule {
    /// The store path that the rule is about, one of the image; or an absolute path of the image outside of the
    /// store: the rule is about what the sources of `copyToRoot` have at or below it.
    pub path: String,
    /// Searched in the full source path, `/nix/store/..-name/sub/file`, or in the path in the image; null is found
    /// everywhere.
    #[serde(default)]
    pub regex: Option<String>,
    /// The mode in octal, as in `"0755"`.
    #[serde(default)]
    pub mode: Option<String>,
    /// Bits in octal that are added after `mode`; a later `mode` forgets them.
    #[serde(default)]
    pub or_mode: Option<String>,
    /// The mode of directories alone, in octal; a later `mode` forgets it.
    #[serde(default)]
    pub directory_mode: Option<String>,
    /// The owner's number, below 4294967295.
    #[serde(default)]
    pub uid: Option<u64>,
    /// The group's number, below 4294967295.
    #[serde(default)]
    pub gid: Option<u64>,
    /// The owner's name, without `:`, line breaks and nulls.
    #[serde(default)]
    pub uname: Option<String>,
    /// The group's name, likewise.
    #[serde(default)]
    pub gname: Option<String>,
    /// File capabilities, as in `CAP_NET_BIND_SERVICE`, for regular files.
    #[serde(default)]
    pub capabilities: Option<Vec<String>>,
    /// Extended attributes, for files and directories.
    #[serde(default)]
    pub xattrs: Option<BTreeMap<String, String>>,
}

/// Something at a path of the image that is said on its own.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileRequest {
    /// What it is; null tells it from the other fields.
    #[serde(default, rename = "type")]
    pub file_type: Option<FileType>,
    /// The file or the tree of files that it is: a path at or below a store path. Symlinks are followed.
    #[serde(default)]
    pub source: Option<String>,
    /// Where the symlink leads that it is.
    #[serde(default)]
    pub link: Option<String>,
    /// The absolute path of the file that it is another name of: a file of the same `files`.
    #[serde(default)]
    pub hardlink: Option<String>,
    /// The major number of a device.
    #[serde(default)]
    pub major: Option<u32>,
    /// The minor number of a device.
    #[serde(default)]
    pub minor: Option<u32>,
    /// The mode in octal, as in `"4755"`. Of a tree, that of its top.
    #[serde(default)]
    pub mode: Option<String>,
    /// The owner's number, below 4294967295. Of a tree, that of all in it; so are the fields that follow.
    #[serde(default)]
    pub uid: Option<u64>,
    /// The group's number, below 4294967295.
    #[serde(default)]
    pub gid: Option<u64>,
    /// The owner's name, without `:`, line breaks and nulls.
    #[serde(default)]
    pub uname: Option<String>,
    /// The group's name, likewise.
    #[serde(default)]
    pub gname: Option<String>,
    /// File capabilities of a regular file, as in `CAP_NET_RAW` or `cap_net_raw+ep`.
    #[serde(default)]
    pub capabilities: Option<Vec<String>>,
    /// Extended attributes of a regular file or a directory.
    #[serde(default)]
    pub xattrs: Option<BTreeMap<String, String>>,
}

/// What something at a path of the image is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FileType {
    /// What `source` is: a file, or a tree.
    File,
    /// A directory.
    Directory,
    /// A symlink.
    Link,
    /// Another name of a file.
    Hardlink,
    /// A character device.
    Character,
    /// A block device.
    Block,
    /// A named pipe.
    Fifo,
}

impl FileType {
    /// The name as users write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Directory => "directory",
            Self::Link => "link",
            Self::Hardlink => "hardlink",
            Self::Character => "character",
            Self::Block => "block",
            Self::Fifo => "fifo",
        }
    }
}

/// The ways of cutting a closure into layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StrategyName {
    /// What is sent together when something changes (`crates/plan/src/strategy/auto/`).
    #[default]
    Auto,
    /// The biggest are alone (`crates/plan/src/strategy/biggest.rs`).
    Biggest,
    /// What is reached first from the same big paths shares a layer, as dockerTools has it
    /// (`crates/plan/src/strategy/docker_tools.rs`).
    DockerTools,
    /// What only one big or popular path needs is in its layer (`crates/plan/src/strategy/nixery.rs`).
    Nixery,
    /// What many paths depend on is alone in a layer (`crates/plan/src/strategy/popularity.rs`).
    Popularity,
}

impl StrategyName {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Auto,
        Self::Biggest,
        Self::DockerTools,
        Self::Nixery,
        Self::Popularity,
    ];

    /// The name as users write it, and as it is in a request.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Biggest => "biggest",
            Self::DockerTools => "dockerTools",
            Self::Nixery => "nixery",
            Self::Popularity => "popularity",
        }
    }

    /// The strategy that users call so.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|strategy| strategy.name() == name)
    }
}

fn yes() -> bool {
    true
}

fn usual_roots() -> String {
    "strata".to_owned()
}

fn first_second() -> u64 {
    1
}

fn empty_object() -> Value {
    Value::Object(serde_json::Map::new())
}
