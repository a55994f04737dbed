//! `strata completions SHELL`.

use clap::builder::PossibleValuesParser;

use super::Failure;
use super::arguments::{CompletionsArguments, commands};
use super::printer::Printer;
use crate::destination::beginnings;

pub(super) fn run(arguments: &CompletionsArguments, printer: &Printer) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut offering(), "strata", &mut script);
    printer.data(&String::from_utf8_lossy(&script))
}

/// The commands with how values begin, to be offered where they cannot be listed.
fn offering() -> clap::Command {
    commands().mut_subcommands(|verb| {
        verb.mut_args(|argument| match argument.get_id().as_str() {
            "destination" => argument.value_parser(PossibleValuesParser::new(beginnings())),
            "compression" => {
                argument.value_parser(PossibleValuesParser::new(["gzip", "zstd", "none"]))
            }
            _ => argument,
        })
    })
}
