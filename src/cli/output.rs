//! Where the bytes go that a verb was asked for: a file, or standard output.

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;

use super::Failure;
use super::printer::Printer;
use crate::destination::is_stdout;
use strata_error::{Error, Result};

/// What files of other kinds are called.
const OTHER_ARCHIVES: [&str; 12] = [
    "7z", "bz2", "cpio", "lz4", "rar", "tbz2", "tgz", "txz", "tzst", "xz", "zip", "zst",
];

/// Refuses to write an archive under the name of something else.
pub(super) fn check_archive_name(what: &'static str, path: &Path) -> Result<()> {
    let extension = path.extension().and_then(OsStr::to_str);
    match extension.filter(|extension| OTHER_ARCHIVES.contains(extension)) {
        Some(extension) => Err(Error::Name {
            what,
            value: path.display().to_string(),
            message: format!("what is written is not .{extension}"),
            hint: "end it with .tar, or with .tar.gz to compress it".to_owned(),
        }),
        None => Ok(()),
    }
}

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
    check_archive_name("output", output)
}

/// Lets `fill` write to standard output. Whoever reads it may have read enough.
pub(super) fn write_to_stdout(
    printer: &Printer,
    fill: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<(), Failure> {
    let mut writer = printer.output();
    let written = fill(&mut writer);
    let written = written.and_then(|()| writer.flush().map_err(Error::stream("standard output")));
    written.map_err(|error| {
        if error.is_broken_pipe() {
            Failure::OutputClosed
        } else {
            error.into()
        }
    })
}
