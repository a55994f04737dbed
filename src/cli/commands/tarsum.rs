//! `strata tarsum`.

use std::io;

use clap::Args;

use crate::cli::failure::Failure;
use crate::cli::printer::Printer;
use strata_archive::tarsum;
use strata_error::Error;

/// Print Docker's sum of the tar on standard input, version 1
#[derive(Args)]
#[command(hide = true)]
pub(crate) struct TarsumArgs {}

/// Runs the command.
pub(crate) fn run(printer: &Printer) -> Result<(), Failure> {
    let sum = tarsum(io::stdin().lock()).map_err(Error::io("read", "/dev/stdin"))?;
    printer.data(&format!("{sum}\n"))
}
