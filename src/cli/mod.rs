//! The command line: a command is parsed and run, and only the printer prints.
//!
//! ```text
//!  arguments ──> commands/copy, inspect, ... ──> printer       the only place that prints
//!  which there   flags, help and `run`           progress      bars and lines, through the printer
//!  are           of each                         output        archives to files or standard output
//!                                                interruption  signals
//!                                                failure       exit codes
//! ```
//!
//! `registry_args` has the flags that commands about registries share, `address` where servers listen; `usage` says what
//! is wrong with a command line.
//!
//! The walk of `strata copy`: [`run`] parses (`arguments`), calls `run` of `commands/copy.rs`, which makes
//! settings of its flags ([`destination::parse`](strata_destination::parse), `registry_args`, `push_args`),
//! opens the image, chooses one of an index by what the destination runs, and has the
//! [`Destination`](strata_destination::Destination) copy it; then it prints where the copy is.

mod address;
mod arguments;
mod commands;
mod failure;
mod format;
mod interruption;
mod output;
mod printer;
mod progress;
mod push_args;
mod registry_args;
mod usage;

use std::ffi::OsString;
use std::process::ExitCode;

use arguments::{Command, Parsed};
use commands::attest::{attach, referrers, sbom, sign};
use commands::contents::{browse, check, diff, inspect, why};
use commands::generated::{completions, man};
use commands::{
    compress, copy, explain, export, index, layers, lock, lock_layers, merge, pull, registry,
    serve, tarsum, verify,
};
use failure::Failure;
use interruption::Interruption;
use printer::Printer;
use strata_error::Error;

pub use arguments::command;

/// Runs the command that `arguments` spell, the program's name first.
///
/// The exit code is 0 for success, 1 for failure, 2 for wrong usage and 130 after an interruption.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let printer = Printer::new(None);
    let usage = std::env::var(usage::VARIABLE).ok();
    let (command, printer) = match arguments::parse(arguments, usage.as_deref()) {
        Parsed::Command(command, detail) => (command, Printer::new(detail)),
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
        Command::Inspect(arguments) => inspect::run(*arguments, &printer, &interruption),
        Command::Why(arguments) => why::run(*arguments, &printer, &interruption),
        Command::Diff(arguments) => diff::run(*arguments, &printer, &interruption),
        Command::Check(arguments) => check::run(*arguments, &printer, &interruption),
        Command::Browse(arguments) => browse::run(*arguments, &printer, &interruption),
        Command::Explain(arguments) => explain::run(&arguments, &printer),
        Command::Layers(arguments) => layers::run(&arguments, &printer),
        Command::Verify(arguments) => verify::run(*arguments, &printer, &interruption),
        Command::Sbom(arguments) => sbom::run(&arguments, &printer, &interruption),
        Command::Attach(arguments) => attach::run(*arguments, &printer, &interruption),
        Command::Referrers(arguments) => referrers::run(*arguments, &printer, &interruption),
        Command::Sign(arguments) => sign::run(*arguments, &printer, &interruption),
        Command::Compress(arguments) => compress::run(&arguments, &printer, &interruption),
        Command::Serve(arguments) => serve::run(&arguments, &printer, &interruption),
        Command::Registry(arguments) => registry::run(&arguments, &printer, &interruption),
        Command::Pull(arguments) => pull::run(*arguments, &printer, &interruption),
        Command::Lock(arguments) => lock::run(*arguments, &printer, &interruption),
        Command::LockLayers(arguments) => lock_layers::run(&arguments, &printer, &interruption),
        Command::Export(arguments) => export::run(&arguments, &printer, &interruption),
        Command::Index(arguments) => index::run(arguments, &printer, &interruption),
        Command::Merge(arguments) => merge::run(&arguments, &printer, &interruption),
        Command::Tarsum(_) => tarsum::run(&printer),
        Command::Completions(arguments) => {
            completions::run(&arguments, arguments::command(), &printer)
        }
        Command::Man(arguments) => man::run(&arguments, arguments::command(), &interruption),
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
