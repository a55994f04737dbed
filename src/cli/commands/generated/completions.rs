//! `strata completions SHELL`.

use clap::builder::PossibleValuesParser;
use clap::{Args, Command};
use clap_complete::Shell;

use crate::cli::failure::Failure;
use crate::cli::printer::Printer;
use strata_destination as destination;

const HELP: &str = "\
For bash: source <(strata completions bash)
Packages of Strata bring the completions of bash, fish and zsh along.";

/// Write what a shell needs to complete these commands to standard output
#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Writes the completions of all commands of `strata`.
pub(crate) fn run(
    arguments: &CompletionsArgs,
    strata: Command,
    printer: &Printer,
) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut offering(strata),
        "strata",
        &mut script,
    );
    printer.data(&String::from_utf8_lossy(&script))
}

/// The commands with how values begin, to be offered where they cannot be listed.
fn offering(strata: Command) -> Command {
    strata.mut_subcommands(|command| {
        command.mut_args(|argument| match argument.get_id().as_str() {
            "destination" => {
                let beginnings = PossibleValuesParser::new(destination::beginnings());
                argument.value_parser(beginnings)
            }
            "compression" => {
                let methods = ["gzip", "zstd", "zstd:chunked", "none"];
                argument.value_parser(PossibleValuesParser::new(methods))
            }
            _ => argument,
        })
    })
}
