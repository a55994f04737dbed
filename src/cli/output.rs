//! Where the bytes go that a command was asked for: a file, or standard output.

use std::io::Write;
use std::path::Path;

use super::failure::Failure;
use super::printer::Printer;
use strata_copy::write_file;
use strata_destination::{check_archive_name, check_directory, is_stdout};
use strata_error::{Error, Result};
use strata_progress::Context;

/// Refuses to write an archive to a terminal, or under the name of something else.
pub(super) fn check_archive(output: &Path, printer: &Printer) -> Result<()> {
    if is_stdout(output) && printer.output_is_terminal() {
        return Err(Error::Name {
            what: "output",
            value: output.display().to_string(),
            message: "an archive is not written to a terminal".to_owned(),
            hint: "name a file, or pipe it to a program".to_owned(),
        });
    }
    check_archive_name("output", output)?;
    check_directory("output", output)
}

/// The error of `--json` where standard output is an archive.
pub(super) fn two_answers() -> Error {
    Error::Name {
        what: "output",
        value: "-".to_owned(),
        message: "standard output cannot be the archive and the answer of --json".to_owned(),
        hint: "write the archive to a file, or leave --json out".to_owned(),
    }
}

/// Writes a small file, which is there whole or not at all, into a directory that is there.
pub(super) fn write_text(file: &Path, text: &str, context: Context<'_>) -> Result<()> {
    check_directory("output", file)?;
    write_file(file, context, |writer| {
        let written = writer.write_all(text.as_bytes());
        written.map_err(Error::io("write", file))
    })
}

/// Lets `fill` write to standard output. While nobody reads that, `context` is asked whether to go on.
pub(super) fn write_to_stdout(
    context: Context<'_>,
    fill: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<(), Failure> {
    let mut writer = Printer::stdout(context);
    let written = fill(&mut writer);
    let written = written.and_then(|()| writer.flush().map_err(Error::stream("standard output")));
    written.map_err(Failure::of_stdout)
}
