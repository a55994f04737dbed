//! `strata verify IMAGE`.

use super::Failure;
use super::arguments::VerifyArguments;
use super::interruption::Interruption;
use super::printer::Printer;
use super::progress::Reporter;
use crate::image::{Image, verify_layer};
use crate::transport::Progress;
use crate::{Error, Result};

pub(super) fn run(
    arguments: &VerifyArguments,
    printer: &Printer,
    interruption: &Interruption,
) -> Result<(), Failure> {
    let said = Printer::new(arguments.quiet);
    // Opening checks the documents against their digests and each other; what does not open is
    // damaged, and nothing more can be said about it.
    let image = Image::open(&arguments.image)?;
    let reporter = Reporter::for_verification(&image, &said, interruption);
    let findings = verify(&image, &reporter);
    reporter.end();
    let findings = findings?;
    for finding in &findings {
        printer.error(&finding.report());
    }
    if !findings.is_empty() {
        return Err(Failure::Refuted);
    }
    if !said.is_quiet() {
        let digest = image.manifest_descriptor.digest;
        printer.data(&format!("{digest} can be made as it was built\n"))?;
    }
    Ok(())
}

/// Everything that is wrong with the layers.
fn verify(image: &Image, reporter: &Reporter<'_>) -> Result<Vec<Error>> {
    let mut findings = Vec::new();
    for (index, layer) in image.layers.iter().enumerate() {
        let descriptor = layer.descriptor();
        let name = format!("layer {} ({})", index + 1, descriptor.digest);
        reporter.begin(descriptor);
        let found = verify_layer(layer.as_ref(), &name, &|bytes| {
            reporter.advance(descriptor, bytes)
        })?;
        let how = if found.is_empty() {
            "as built"
        } else {
            "differs"
        };
        reporter.done(descriptor, how, true);
        findings.extend(found);
    }
    Ok(findings)
}
