//! `strata export IMAGE [OUTPUT]`.

use super::Failure;
use super::arguments::ExportArguments;
use super::interruption::Interruption;
use super::output::{check_archive, write_to_stdout};
use super::platform::of_this_machine;
use super::printer::Printer;
use crate::destination::is_stdout;
use strata_copy::archive;
use strata_image::{ManifestOrIndex, flatten};
use strata_progress::Cancel;

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
    check_archive(output, printer).map_err(Failure::Usage)?;
    let image = match (ManifestOrIndex::open(image)?, platform) {
        (ManifestOrIndex::Image(image), None) => *image,
        (built, Some(platform)) => built.into_image(platform)?,
        (built, None) => built.into_image(&of_this_machine())?,
    };
    let advance = |_| interruption.check();
    if is_stdout(output) {
        return write_to_stdout(printer, |writer| flatten(&image, writer, &advance));
    }
    archive::to_file(output, |writer| flatten(&image, writer, &advance))?;
    let line = format!(
        "{}: the files of {}",
        output.display(),
        image.manifest_descriptor.digest
    );
    printer.note(&line);
    Ok(())
}
