//! `strata completions SHELL`.

use super::Failure;
use super::arguments::{CompletionsArguments, commands};
use super::printer::Printer;

pub(super) fn run(arguments: &CompletionsArguments, printer: &Printer) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut commands(), "strata", &mut script);
    printer.data(&String::from_utf8_lossy(&script))
}
