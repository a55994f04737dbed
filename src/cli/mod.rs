//! The command line: arguments become settings, a verb does the work, the printer speaks.
//!
//! ```text
//!  arguments ──> settings ──> copy, inspect, … ──> printer
//!  as typed      checked      one file for each verb    the only place that prints
//! ```

mod arguments;
mod completions;
mod compress;
mod copy;
mod dry_run;
mod export;
mod inspect;
mod interruption;
mod lock;
mod man;
mod merge;
mod output;
mod platform;
mod printer;
mod progress;
mod pull;
mod push_arguments;
mod serve;
mod settings;
mod source_arguments;
mod usage;
mod verify;

use std::ffi::OsString;
use std::process::ExitCode;

pub use arguments::commands;

use arguments::{Command, Parsed};
use interruption::Interruption;
use printer::Printer;
use strata_error::Error;

/// Why a command did not do what was asked.
#[derive(Debug)]
enum Failure {
    /// The command itself is wrong.
    Usage(Error),
    /// It went wrong on the way.
    Failed(Error),
    /// It worked, and the answer is no; the findings are printed already.
    Refuted,
    /// Whoever read our output has read enough.
    OutputClosed,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Runs the command that `arguments` spell, the program's name first.
///
/// The exit code is 0 for success, 1 for failure, 2 for wrong usage and 130 after an interruption.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let printer = Printer::new(false);
    let usage = std::env::var(usage::VARIABLE).ok();
    let command = match arguments::parse(arguments, usage.as_deref()) {
        Parsed::Command(command) => command,
        Parsed::Help(text) => return exit_code(printer.data(&text), &printer),
        Parsed::Wrong(text) => {
            printer.error(&text);
            return ExitCode::from(2);
        }
    };
    let interruption = match Interruption::watch() {
        Ok(interruption) => interruption,
        Err(error) => return exit_code(Err(error.into()), &printer),
    };
    let result = match command {
        Command::Copy(arguments) => copy::run(*arguments, &printer, &interruption),
        Command::Inspect(arguments) => inspect::run(&arguments, &printer),
        Command::Verify(arguments) => verify::run(&arguments, &printer, &interruption),
        Command::Compress(arguments) => compress::run(&arguments, &printer, &interruption),
        Command::Serve(arguments) => serve::run(&arguments, &printer, &interruption),
        Command::Pull(arguments) => pull::run(*arguments, &printer, &interruption),
        Command::Lock(arguments) => lock::run(*arguments, &printer, &interruption),
        Command::Export(arguments) => export::run(&arguments, &printer, &interruption),
        Command::Merge(arguments) => merge::run(&arguments, &printer, &interruption),
        Command::Completions(arguments) => completions::run(&arguments, &printer),
        Command::Man(arguments) => man::run(&arguments),
    };
    match result {
        // Whatever failed, failed because of the signal: the other end of a pipe got it too.
        Err(Failure::Failed(_) | Failure::OutputClosed) if interruption.happened() => {
            exit_code(Err(Error::Interrupted.into()), &printer)
        }
        result => exit_code(result, &printer),
    }
}

fn exit_code(result: Result<(), Failure>, printer: &Printer) -> ExitCode {
    match result {
        Ok(()) | Err(Failure::OutputClosed) => ExitCode::SUCCESS,
        Err(Failure::Refuted) => ExitCode::FAILURE,
        Err(Failure::Failed(error)) => {
            printer.error(&error.report());
            match error {
                Error::Interrupted => ExitCode::from(interruption::EXIT_CODE),
                _ => ExitCode::FAILURE,
            }
        }
        Err(Failure::Usage(error)) => {
            printer.error(&error.report());
            ExitCode::from(2)
        }
    }
}
