//! `strata verify IMAGE`: of an image that was built here, whether its layers can still be made; of one in a registry,
//! who signed it and whether a build comes to it (`attest/verify_remote.rs`).

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::attest::verify_remote::{self, RemoteArgs};
use crate::cli::failure::Failure;
use crate::cli::interruption::Interruption;
use crate::cli::printer::Printer;
use crate::cli::progress::Reporter;
use strata_error::{Error, Result};
use strata_image::{ManifestOrIndex, ManifestOrIndexRef, Verification};
use strata_progress::{Outcome, Progress};

const HELP: &str = "\
Of docker://IMAGE, its signatures are verified with --key, and what its provenance says is built and compared: a build \
that comes to the same digest proves it, whoever pushed the image. Nix builds in its sandbox.";

/// Make every layer again and compare it with what was promised; or verify an image in a registry
#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct VerifyArgs {
    /// The image: the output of its derivation, or a link to it such as `result`; or `docker://NAME[:TAG]`
    image: PathBuf,

    #[command(flatten)]
    remote: RemoteArgs,

    /// Answer in JSON; docs/cli.md describes it
    #[arg(long)]
    json: bool,

    /// Say nothing but what is wrong
    #[arg(long, short)]
    quiet: bool,
}

/// Runs the command.
pub(crate) fn run(
    arguments: VerifyArgs,
    printer: &Printer,
    interruption: &Interruption,
) -> Result<(), Failure> {
    let said = printer.silenced(arguments.quiet);
    let text = arguments.image.to_str().unwrap_or_default();
    if text.starts_with("docker://") {
        return verify_remote::run(text, arguments.remote, arguments.json, &said, interruption);
    }
    if let Some(flag) = arguments.remote.given() {
        return Err(Failure::Usage(Error::Name {
            what: "image",
            value: arguments.image.display().to_string(),
            message: format!("{flag} is about an image in a registry"),
            hint: "write docker://NAME[:TAG], or leave the flag out".to_owned(),
        }));
    }
    // Opening checks the documents against their digests and each other; what does not open is
    // damaged, and nothing more can be said about it.
    let built = ManifestOrIndex::open(&arguments.image)?;
    let root = built.borrowed();
    let mut reporter = Reporter::for_verification(&root.images(), &said);
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
    for image in root.images() {
        let of = match root {
            ManifestOrIndexRef::Image(_) => String::new(),
            ManifestOrIndexRef::Index(_) => format!("{}: ", image.config.platform()),
        };
        let mut verification = Verification::default();
        for (number, layer) in image.layers.iter().enumerate() {
            let descriptor = layer.descriptor();
            let name = format!("{of}layer {} ({})", number + 1, descriptor.digest);
            // Only an image of several knows its layer by now; a layer may be in one image twice.
            if matches!(root, ManifestOrIndexRef::Index(_)) && !seen.insert(descriptor.digest) {
                match verification.lay(layer.as_ref(), &name, &|_| context.check()) {
                    Ok(()) => {}
                    Err(error @ Error::Interrupted) => return Err(error),
                    Err(error) => findings.push(error),
                }
                continue;
            }
            reporter.begin(descriptor);
            let found = verification.verify(layer.as_ref(), &name, &|bytes| {
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
        if let Some(message) = verification.unchecked() {
            reporter.warn(&format!(
                "{of}layers were not laid over each other: {message}"
            ));
        }
    }
    Ok(findings)
}
