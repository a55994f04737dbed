//! `strata lock IMAGE`, and `strata lock --update FILE`.

use std::io::Write;
use std::path::Path;

use super::Failure;
use super::arguments::LockArguments;
use super::interruption::Interruption;
use super::printer::Printer;
use super::progress::Unseen;
use super::source_arguments::reference;
use strata_copy::write_file;
use strata_error::{Error, small_file};
use strata_registry::pull::{Lock, Source};

/// The largest lock file that is read, in bytes.
const LARGEST_FILE: u64 = 16 << 20;

pub(super) fn run(
    arguments: LockArguments,
    printer: &Printer,
    interruption: &Interruption,
) -> Result<(), Failure> {
    let notes = Printer::new(arguments.quiet);
    let unseen = Unseen(&notes);
    let context = interruption.context(&unseen);
    let options = arguments.source.options();
    if let Some(file) = &arguments.update {
        let document = file.display().to_string();
        let old = read(file)?;
        let platforms = old.platforms(&document)?;
        let source = Source::connect(&old.reference(&document)?, &options, context)?;
        let new = source.lock(&platforms, context)?;
        for line in old.changes(&new) {
            notes.note(&line);
        }
        if old == new {
            notes.note("nothing changed");
            return Ok(());
        }
        let write = |writer: &mut dyn Write| {
            let written = writer.write_all(new.to_text().as_bytes());
            written.map_err(Error::io("write", file))
        };
        return Ok(write_file(file, write)?);
    }
    // One of the two is there.
    let reference = reference(arguments.image.as_deref().unwrap_or_default());
    let source = Source::connect(&reference.map_err(Failure::Usage)?, &options, context)?;
    let lock = source.lock(&arguments.platform, context)?;
    printer.data(&lock.to_text())
}

fn read(file: &Path) -> Result<Lock, Error> {
    let bytes = small_file::read(file, LARGEST_FILE)?;
    Lock::parse(&bytes, &file.display().to_string())
}
