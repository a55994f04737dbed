//! `strata sign IMAGE`.

use clap::Args;
use serde_json::json;

use super::flags::SignArgs;
use crate::cli::failure::Failure;
use crate::cli::interruption::Interruption;
use crate::cli::printer::Printer;
use crate::cli::progress::Unseen;
use crate::cli::registry_args::{SourceRegistryArgs, reference};
use strata_error::{Error, Result};
use strata_oci::Digest;
use strata_registry::Repository;
use strata_vouch::{sign, subjects};

const HELP: &str = "\
An index is signed with all of its images. What the key signed before is not signed again.
Example: COSIGN_PASSWORD=.. strata sign ghcr.io/me/app:1 --sign-by-key=cosign.key";

/// Sign an image that is in a registry
#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct SignCommandArgs {
    /// The image: NAME[:TAG] or NAME@DIGEST; NAME may begin with HOST[:PORT]/
    image: String,

    #[command(flatten)]
    sign: SignArgs,

    #[command(flatten)]
    registry: SourceRegistryArgs,

    /// Answer in JSON; docs/cli.md describes it
    #[arg(long)]
    json: bool,

    /// Say nothing but errors
    #[arg(long, short)]
    quiet: bool,
}

/// Runs the command.
pub(crate) fn run(
    arguments: SignCommandArgs,
    printer: &Printer,
    interruption: &Interruption,
) -> Result<(), Failure> {
    let reference = reference(&arguments.image).map_err(Failure::Usage)?;
    let signing = arguments.sign.signing(&|name| std::env::var_os(name))?;
    let Some(signing) = signing else {
        return Err(Failure::Usage(Error::Name {
            what: "image",
            value: arguments.image,
            message: "there is no key to sign it with".to_owned(),
            hint: "name one with --sign-by-key, or a command with --sign-by-command".to_owned(),
        }));
    };
    let options = arguments.registry.options().map_err(Failure::Usage)?;
    let printer = printer.silenced(arguments.quiet);
    let unseen = Unseen(&printer);
    let context = interruption.context(&unseen);
    let repository = Repository::to_write(&reference, &options, context)?;
    let mut digests: Vec<Digest> = Vec::new();
    for subject in subjects(&repository, &reference, context)? {
        let (signer, forms) = (signing.signer.as_ref(), signing.forms);
        let descriptor = &subject.descriptor;
        sign(&repository, &reference, descriptor, signer, forms, context)?;
        digests.push(descriptor.digest);
    }
    if arguments.json {
        let value = json!({ "name": repository.name(), "signed": digests });
        return printer.data(&format!("{value:#}\n"));
    }
    if printer.is_quiet() {
        return Ok(());
    }
    for digest in digests {
        printer.data(&format!("{}@{digest}\n", repository.name()))?;
    }
    Ok(())
}
