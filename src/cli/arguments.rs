//! The command line as a whole: which commands there are. What they take is in the files of
//! [`commands`].

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use super::commands::attest::{attach, referrers, sbom, sign};
use super::commands::contents::{browse, check, diff, inspect, why};
use super::commands::generated::{completions, man};
use super::commands::{
    compress, copy, explain, export, index, layers, lock, lock_layers, merge, pull, registry,
    serve, tarsum, verify,
};
use super::usage;
use strata_progress::Detail;

/// What was typed.
pub(super) enum Parsed {
    /// A command, and which details to tell of it.
    Command(Command, Option<Detail>),
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
    disable_help_subcommand = true,
    after_help = "`strata help COMMAND` explains a command, `strata version` is `strata --version`."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,

    /// Say what is decided and why: which layers are sent, mounted or reused
    #[arg(long, short, global = true)]
    verbose: bool,

    /// Say this and every request to registries and engines
    #[arg(long, global = true)]
    debug: bool,
}

/// The commands, in the order of the help.
#[derive(Subcommand)]
pub(super) enum Command {
    Copy(Box<copy::CopyArgs>),
    Inspect(Box<inspect::InspectArgs>),
    Why(Box<why::WhyArgs>),
    Diff(Box<diff::DiffArgs>),
    Check(Box<check::CheckArgs>),
    Browse(Box<browse::BrowseArgs>),
    Explain(explain::ExplainArgs),
    Layers(layers::LayersArgs),
    Verify(Box<verify::VerifyArgs>),
    Sbom(sbom::SbomArgs),
    Attach(Box<attach::AttachArgs>),
    Referrers(Box<referrers::ReferrersArgs>),
    Sign(Box<sign::SignCommandArgs>),
    Serve(serve::ServeArgs),
    Registry(registry::RegistryArgs),
    Index(index::IndexArgs),
    Merge(merge::MergeArgs),
    Export(export::ExportArgs),
    Compress(compress::CompressArgs),
    Pull(Box<pull::PullArgs>),
    Lock(Box<lock::LockArgs>),
    LockLayers(lock_layers::LockLayersArgs),
    Tarsum(tarsum::TarsumArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

/// All commands with their flags and explanations, without those that are there for skopeo's sake:
/// what manual pages, completions and references are made from.
pub fn command() -> clap::Command {
    Arguments::command()
}

/// The same with those, too.
fn all_flags() -> clap::Command {
    command().mut_subcommand("copy", |it| it.args(copy::accepted_flags()))
}

/// Parses a command line, the program's name first. `usage` is that of the script that calls it.
pub(super) fn parse(arguments: impl IntoIterator<Item = OsString>, usage: Option<&str>) -> Parsed {
    let mut command = all_flags();
    if let Some(usage) = usage {
        command = usage::called_by_script(command, usage);
    }
    let all = self::command();
    let shown = all.get_subcommands().filter(|it| !it.is_hide_set());
    let names = shown.map(clap::Command::get_name);
    let names: Vec<String> = names.map(str::to_owned).collect();
    let parsed = command
        .try_get_matches_from(as_flags(arguments.into_iter().collect()))
        .and_then(|matches| Arguments::from_arg_matches(&matches));
    match parsed {
        Ok(arguments) => {
            let Arguments {
                command,
                verbose,
                debug,
            } = arguments;
            let detail = match (debug, verbose) {
                (true, _) => Some(Detail::Request),
                (false, true) => Some(Detail::Decision),
                (false, false) => None,
            };
            Parsed::Command(command, detail)
        }
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Parsed::Help(error.to_string()),
            _ => Parsed::Wrong(usage::explain(&error, &names)),
        },
    }
}

/// `help COMMAND` as `COMMAND --help`, `version` as `--version`.
fn as_flags(mut arguments: Vec<OsString>) -> Vec<OsString> {
    match arguments.get(1).and_then(|word| word.to_str()) {
        Some("help") => {
            arguments.remove(1);
            arguments.push("--help".into());
        }
        Some("version") if arguments.len() == 2 => arguments[1] = "--version".into(),
        _ => {}
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_consistent() {
        all_flags().debug_assert();
    }
}
