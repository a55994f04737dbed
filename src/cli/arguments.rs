//! Arguments as they are typed. The flags of `copy` are those of `skopeo copy`, because scripts pass
//! them on; what skopeo has and Strata has not is refused with a reason, never ignored in silence
//! where ignoring it would matter.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use super::pull::Part;
use super::push_arguments::PushArguments;
use super::source_arguments::SourceArguments;
use super::usage;
use strata_oci::{Compression, Platform};

/// What was typed.
pub(super) enum Parsed {
    /// A command.
    Command(Command),
    /// A question: the help or the version.
    Help(String),
    /// Something else, and what to say about it.
    Wrong(String),
}

/// Copies, inspects and verifies OCI images that Nix built
#[derive(Parser)]
#[command(
    name = "strata",
    version,
    max_term_width = 100,
    disable_help_subcommand = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// The verbs.
#[derive(Subcommand)]
pub(super) enum Command {
    /// Copy an image to a registry, an engine, an archive or a directory
    #[command(after_help = COPY_HELP)]
    Copy(Box<CopyArguments>),
    /// Show what an image consists of
    Inspect(InspectArguments),
    /// Make every layer again and compare it with what was promised
    Verify(VerifyArguments),
    /// Be a read-only registry with these images, until interrupted
    #[command(after_help = SERVE_HELP)]
    Serve(ServeArguments),
    /// Write several images into one archive
    #[command(after_help = MERGE_HELP)]
    Merge(MergeArguments),
    /// Write the root file system of an image as one archive, without layers
    Export(ExportArguments),
    /// Write the same image with the digests of its compressed layers, but no layers
    Compress(CompressArguments),
    /// Fetch an image, or a part of one, from a registry as it is there
    #[command(after_help = PULL_HELP)]
    Pull(Box<PullArguments>),
    /// Write down what a name in a registry means now: digests of manifests, configs and layers
    #[command(after_help = LOCK_HELP)]
    Lock(Box<LockArguments>),
    /// Write what a shell needs to complete these commands to standard output
    #[command(after_help = COMPLETIONS_HELP)]
    Completions(CompletionsArguments),
    /// Write these explanations as manual pages
    Man(ManArguments),
}

const COPY_HELP: &str = "\
Destinations:
  docker://NAME[:TAG]               a registry; NAME may begin with HOST[:PORT]/
  docker-daemon:[NAME[:TAG]]        a Docker engine
  podman:[NAME[:TAG]]               podman; also containers-storage:
  containerd:[NAME[:TAG]]           containerd; also k3s:, kind:, minikube:
  docker-archive:PATH[:NAME[:TAG]]  a file for `docker load` and others; - is standard output
  oci-archive:PATH[:TAG]            the same file, to be named by a tag
  oci:PATH[:TAG]                    a directory, an OCI image layout; keeps its other images
  dir:PATH                          a directory of blobs, in skopeo's form

A PATH ends at its first colon. An archive that exists is replaced.
On success the destination and the image's digest are printed.";

const SERVE_HELP: &str = "\
Standard output has the registry's address, and a line for each image: ADDRESS:PORT/NAME:TAG@DIGEST.
It speaks plain HTTP and asks for no password.";

const PULL_HELP: &str = "\
OUTPUT is the directory that `skopeo copy docker://IMAGE dir:OUTPUT` would write, with the same bytes.
With --only it is a file; - is standard output.";

const LOCK_HELP: &str = "\
Example: strata lock alpine:3.20 > image.lock.json
Then, in Nix: pullImage { lock = ./image.lock.json; }";

const MERGE_HELP: &str = "\
The archive is that of `strata copy IMAGE docker-archive:OUTPUT`, with every image under its own name.";

const COMPLETIONS_HELP: &str = "\
For bash: source <(strata completions bash)
Packages of Strata bring the completions of bash, fish and zsh along.";

/// The arguments of `copy`.
#[derive(Args)]
pub(super) struct CopyArguments {
    /// The image: the output of its derivation, or a link to it such as `result`
    pub(super) image: PathBuf,

    /// Where to copy it
    #[arg(value_name = "DESTINATION")]
    pub(super) destination: String,

    /// The image for this platform, of an index; without it all of them where that is possible, and else
    /// the one for the engine
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", conflicts_with = "multi_arch")]
    pub(super) platform: Option<Platform>,

    /// skopeo's way to ask for the image of this machine
    #[arg(long, hide = true, value_parser = PossibleValuesParser::new(["all", "system"]))]
    pub(super) multi_arch: Option<String>,

    /// Log in to the registry as USER; without PASSWORD it is empty
    #[arg(long, alias = "dcreds", value_name = "USER[:PASSWORD]")]
    #[arg(conflicts_with = "dest_no_creds")]
    pub(super) dest_creds: Option<String>,

    /// Log in to the registry with this user name
    #[arg(long, value_name = "USER", requires = "dest_password")]
    #[arg(conflicts_with_all = ["dest_creds", "dest_no_creds"])]
    pub(super) dest_username: Option<String>,

    /// Log in to the registry with this password
    #[arg(long, value_name = "PASSWORD", requires = "dest_username")]
    pub(super) dest_password: Option<String>,

    /// Show the registry this bearer token
    #[arg(long, value_name = "TOKEN")]
    #[arg(conflicts_with_all = ["dest_creds", "dest_username", "dest_no_creds"])]
    pub(super) dest_registry_token: Option<String>,

    /// Do not log in, whatever the files of `docker login` and `podman login` say
    #[arg(long)]
    pub(super) dest_no_creds: bool,

    /// Look for credentials in this file instead of where `docker login` and `podman login` put them
    #[arg(long, value_name = "FILE")]
    pub(super) authfile: Option<PathBuf>,

    /// The same as --authfile, and stronger
    #[arg(long, value_name = "FILE")]
    pub(super) dest_authfile: Option<PathBuf>,

    /// Also trust the authorities in the *.crt files of this directory; *.cert and *.key of the same
    /// name are client certificates
    #[arg(long, value_name = "DIRECTORY")]
    pub(super) dest_cert_dir: Option<PathBuf>,

    /// Whether to insist on HTTPS with a good certificate
    #[arg(long, alias = "tls-verify", value_name = "BOOL", num_args = 0..=1)]
    #[arg(require_equals = true, default_missing_value = "true", value_parser = go_bool)]
    pub(super) dest_tls_verify: Option<bool>,

    /// Try again so many times when the registry fails or cannot be reached
    #[arg(long, value_name = "N")]
    pub(super) retry_times: Option<u16>,

    #[command(flatten)]
    pub(super) push: PushArguments,

    /// The address of the Docker engine, with unix://, tcp:// or ssh://
    #[arg(long, value_name = "HOST")]
    pub(super) dest_daemon_host: Option<String>,

    /// The socket of containerd
    #[arg(long, value_name = "PATH")]
    pub(super) containerd_address: Option<PathBuf>,

    /// The namespace of containerd
    #[arg(long, value_name = "NAMESPACE")]
    pub(super) containerd_namespace: Option<String>,

    /// The cluster of kind or minikube
    #[arg(long, value_name = "CLUSTER")]
    pub(super) cluster: Option<String>,

    /// Write the image's digest to this file
    #[arg(long, value_name = "FILE")]
    pub(super) digestfile: Option<PathBuf>,

    /// The manifest's format; only oci
    #[arg(long, short, value_name = "FORMAT", value_parser = manifest_format)]
    pub(super) format: Option<String>,

    /// Say nothing but errors, also not what was copied
    #[arg(long, short)]
    pub(super) quiet: bool,
}

/// The arguments of `inspect`.
#[derive(Args)]
pub(super) struct InspectArguments {
    /// The image: the output of its derivation, or a link to it such as `result`
    pub(super) image: PathBuf,

    /// Answer in JSON; docs/cli.md describes it
    #[arg(long)]
    pub(super) json: bool,
}

/// The arguments of `verify`.
#[derive(Args)]
pub(super) struct VerifyArguments {
    /// The image: the output of its derivation, or a link to it such as `result`
    pub(super) image: PathBuf,

    /// Say nothing but what is wrong
    #[arg(long, short)]
    pub(super) quiet: bool,
}

/// The arguments of `serve`.
#[derive(Args)]
pub(super) struct ServeArguments {
    /// The images: outputs of their derivations, or links to them such as `result`
    #[arg(required = true, value_name = "IMAGE")]
    pub(super) images: Vec<PathBuf>,

    /// Where to listen; port 0 is any that is free
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:5000")]
    pub(super) listen: String,

    /// Serve layers like this: none, gzip or zstd, or gzip:LEVEL, zstd:LEVEL
    #[arg(long, value_name = "COMPRESSION", default_value = "none")]
    pub(super) compression: Compression,

    /// Say nothing but errors and the addresses
    #[arg(long, short)]
    pub(super) quiet: bool,
}

/// The arguments of `compress`.
#[derive(Args)]
pub(super) struct CompressArguments {
    /// The image: the output of its derivation, or a link to it such as `result`
    pub(super) image: PathBuf,

    /// The directory to write; it must not exist
    pub(super) output: PathBuf,

    /// How to compress all layers: none, gzip[:LEVEL] or zstd[:LEVEL]; without it as the image says,
    /// else with gzip
    #[arg(long, value_name = "METHOD")]
    pub(super) compression: Option<Compression>,

    /// Say nothing but errors
    #[arg(long, short)]
    pub(super) quiet: bool,
}

/// The arguments of `pull`.
#[derive(Args)]
pub(super) struct PullArguments {
    /// The image: NAME[:TAG] or NAME@DIGEST; NAME may begin with HOST[:PORT]/
    pub(super) image: String,

    /// Where to write it
    pub(super) output: PathBuf,

    /// Which of several images, as in linux/arm64; without it, for Linux on this processor
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(super) platform: Option<Platform>,

    /// Fetch one part as a file: manifest, config, or the digest of a blob
    #[arg(long, value_name = "PART")]
    pub(super) only: Option<Part>,

    #[command(flatten)]
    pub(super) source: SourceArguments,

    /// Say nothing but errors
    #[arg(long, short)]
    pub(super) quiet: bool,
}

/// The arguments of `lock`.
#[derive(Args)]
pub(super) struct LockArguments {
    /// The image: NAME[:TAG] or NAME@DIGEST; NAME may begin with HOST[:PORT]/
    #[arg(required_unless_present = "update", conflicts_with = "update")]
    pub(super) image: Option<String>,

    /// A platform to lock, as in linux/arm64; may be given several times; without it, all that there are
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", conflicts_with = "update")]
    pub(super) platform: Vec<Platform>,

    /// Ask again for the name and the platforms of this file, and rewrite it
    #[arg(long, value_name = "FILE")]
    pub(super) update: Option<PathBuf>,

    #[command(flatten)]
    pub(super) source: SourceArguments,

    /// Say nothing but errors
    #[arg(long, short)]
    pub(super) quiet: bool,
}

/// The arguments of `export`.
#[derive(Args)]
pub(super) struct ExportArguments {
    /// The image: the output of its derivation, or a link to it such as `result`
    pub(super) image: PathBuf,

    /// The file to write, compressed if it ends in .gz; - is standard output
    #[arg(default_value = "-")]
    pub(super) output: PathBuf,

    /// The image for this platform, of an index; without it the one for this machine
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(super) platform: Option<Platform>,
}

/// The arguments of `merge`.
#[derive(Args)]
pub(super) struct MergeArguments {
    /// The images: outputs of their derivations, or links to them such as `result`
    #[arg(required = true, value_name = "IMAGE")]
    pub(super) images: Vec<PathBuf>,

    /// The file to write, compressed if it ends in .gz; - is standard output
    pub(super) output: PathBuf,

    /// Say nothing but errors, also not what was written
    #[arg(long, short)]
    pub(super) quiet: bool,
}

/// The arguments of `completions`.
#[derive(Args)]
pub(super) struct CompletionsArguments {
    /// The shell
    pub(super) shell: clap_complete::Shell,
}

/// The arguments of `man`.
#[derive(Args)]
pub(super) struct ManArguments {
    /// The directory that the pages go to, such as share/man/man1
    pub(super) directory: PathBuf,
}

/// Flags of skopeo that ask for what a copy of Strata does anyway, or for what cannot matter: the
/// image comes from the Nix store, has no signatures, and keeps its digest; an index is copied whole.
const WITHOUT_EFFECT: [&str; 7] = [
    "debug",
    "dest-decompress",
    "dest-oci-accept-uncompressed-layers",
    "dest-precompute-digests",
    "insecure-policy",
    "remove-signatures",
    "src-no-creds",
];

/// All commands with their flags and explanations, without those that are there for skopeo's sake.
pub fn commands() -> clap::Command {
    Arguments::command()
}

/// Parses a command line, the program's name first. `usage` is that of the script that calls it.
pub(super) fn parse(arguments: impl IntoIterator<Item = OsString>, usage: Option<&str>) -> Parsed {
    let mut commands = commands().mut_subcommand("copy", |copy| copy.args(without_effect()));
    if let Some(usage) = usage {
        commands = usage::called_by_script(commands, usage);
    }
    let parsed = commands
        .try_get_matches_from(arguments)
        .and_then(|matches| Arguments::from_arg_matches(&matches));
    match parsed {
        Ok(arguments) => Parsed::Command(arguments.command),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Parsed::Help(error.to_string()),
            _ => Parsed::Wrong(usage::explain(&error)),
        },
    }
}

fn without_effect() -> Vec<Arg> {
    let flags = WITHOUT_EFFECT.into_iter().map(|name| {
        Arg::new(name)
            .long(name)
            .hide(true)
            .action(ArgAction::SetTrue)
    });
    let all = Arg::new("all")
        .long("all")
        .short('a')
        .hide(true)
        .action(ArgAction::SetTrue);
    flags.chain([all]).collect()
}

/// The words that Go's `strconv.ParseBool`, and so skopeo, takes.
pub(super) fn go_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("write true or false".to_owned()),
    }
}

fn manifest_format(text: &str) -> Result<String, String> {
    match text {
        "oci" => Ok(text.to_owned()),
        "v2s1" | "v2s2" => Err("images are copied as they are, with an OCI manifest; \
             convert the copy with `skopeo copy --format`"
            .to_owned()),
        _ => Err("the only format is oci".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_consistent() {
        let command =
            Arguments::command().mut_subcommand("copy", |copy| copy.args(without_effect()));
        command.debug_assert();
    }
}
