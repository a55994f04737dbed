//! `strata verify IMAGE`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::cli::failure::Failure;
use crate::cli::interruption::Interruption;
use crate::cli::printer::Printer;
use crate::cli::progress::Reporter;
use strata_error::{Error, Result};
use strata_image::{ManifestOrIndex, ManifestOrIndexRef, verify_layer};
use strata_progress::{Outcome, Progress};

/// Make every layer again and compare it with what was promised
#[derive(Args)]
pub(crate) struct VerifyArgs {
    /// The image: the output of its derivation, or a link to it such as `result`
    image: PathBuf,

    /// Answer in JSON; docs/cli.md describes it
    #[arg(long)]
    json: bool,

    /// Say nothing but what is wrong
    #[arg(long, short)]
    quiet: bool,
}

/// Runs the command.
pub(crate) fn run(
    arguments: &VerifyArgs,
    printer: &Printer,
    interruption: &Interruption,
) -> Result<(), Failure> {
    let said = Printer::new(arguments.quiet);
    // Opening checks the documents against their digests and each other; what does not open is
    // damaged, and nothing more can be said about it.
    let built = ManifestOrIndex::open(&arguments.image)?;
    let root = built.borrowed();
    let reporter = Reporter::for_verification(&root.images(), &said);
    let findings = verify(root, &reporter, interruption);
    reporter.end();
    let findings = findings?;
    for finding in &findings {
        printer.error(&finding.report());
    }
    if arguments.json {
        let finding = |error: &Error| json!({ "message": error.to_string(), "hint": error.hint() });
        let value = json!({
            "digest": root.digest(),
            "verified": findings.is_empty(),
            "findings": findings.iter().map(finding).collect::<Vec<_>>(),
        });
        printer.data(&format!("{value:#}\n"))?;
    }
    if !findings.is_empty() {
        return Err(Failure::Refuted);
    }
    if !said.is_quiet() && !arguments.json {
        let digest = root.digest();
        printer.data(&format!("{digest} can be made as it was built\n"))?;
    }
    Ok(())
}

/// Everything that is wrong with the layers. What several images have is looked at once.
fn verify(
    root: ManifestOrIndexRef<'_>,
    reporter: &Reporter<'_>,
    interruption: &Interruption,
) -> Result<Vec<Error>> {
    let context = interruption.context(reporter);
    let mut findings = Vec::new();
    let mut seen = BTreeSet::new();
    let layers = root.images().into_iter().flat_map(|image| {
        let of = match root {
            ManifestOrIndexRef::Image(_) => String::new(),
            ManifestOrIndexRef::Index(_) => format!("{}: ", image.config.platform()),
        };
        let layers = image.layers.iter().enumerate();
        layers.map(move |(index, layer)| (format!("{of}layer {}", index + 1), layer))
    });
    for (name, layer) in layers {
        let descriptor = layer.descriptor();
        if matches!(root, ManifestOrIndexRef::Index(_)) && !seen.insert(descriptor.digest) {
            continue;
        }
        let name = format!("{name} ({})", descriptor.digest);
        reporter.begin(descriptor);
        let found = verify_layer(layer.as_ref(), &name, &|bytes| {
            context.advance(descriptor, bytes)
        })?;
        let how = if found.is_empty() {
            "as built"
        } else {
            "differs"
        };
        reporter.done(descriptor, how, Outcome::Copied);
        findings.extend(found);
    }
    Ok(findings)
}
