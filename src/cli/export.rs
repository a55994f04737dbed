//! `strata export IMAGE [OUTPUT]`.

use std::path::Path;

use super::Failure;
use super::arguments::ExportArguments;
use super::copy::output_failure;
use super::interruption::Interruption;
use super::platform::of_this_machine;
use super::printer::Printer;
use crate::image::{Built, flatten};
use crate::transport::archive;
use crate::{Error, Result};

pub(super) fn run(
    arguments: &ExportArguments,
    printer: &Printer,
    interruption: &Interruption,
) -> Result<(), Failure> {
    let ExportArguments {
        image,
        output,
        platform,
    } = arguments;
    check_output(output, printer).map_err(Failure::Usage)?;
    let image = match (Built::open(image)?, platform) {
        (Built::Image(image), None) => *image,
        (built, Some(platform)) => built.into_image(platform)?,
        (built, None) => built.into_image(&of_this_machine())?,
    };
    let advance = |_| interruption.check();
    if is_stdout(output) {
        return flatten(&image, &mut printer.output(), &advance).map_err(output_failure);
    }
    archive::to_file(output, |writer| flatten(&image, writer, &advance))?;
    Ok(())
}

/// Whether an archive goes to standard output.
pub(super) fn is_stdout(output: &Path) -> bool {
    [Path::new("-"), Path::new("/dev/stdout")].contains(&output)
}

/// Refuses to write an archive to a terminal.
pub(super) fn check_output(output: &Path, printer: &Printer) -> Result<()> {
    if is_stdout(output) && printer.output_is_terminal() {
        return Err(Error::Name {
            what: "output",
            value: output.display().to_string(),
            message: "an archive is not written to a terminal".to_owned(),
            hint: "name a file, or pipe it to a program".to_owned(),
        });
    }
    Ok(())
}
