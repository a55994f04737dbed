//! `strata attach IMAGE FILE...`.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::flags::SignArgs;
use crate::cli::failure::Failure;
use crate::cli::interruption::Interruption;
use crate::cli::printer::Printer;
use crate::cli::progress::Unseen;
use crate::cli::registry_args::{SourceRegistryArgs, reference};
use strata_attest::Statement;
use strata_error::{Error, Result, small_file};
use strata_referrers::{Attachment, attach};
use strata_registry::Repository;
use strata_vouch::{attach_signed, kind_of, subjects};

/// The most bytes of a file.
const LARGEST: u64 = 64 << 20;

const HELP: &str = "\
What `strata copy --attach` makes itself, this attaches from files. It is known by what is in it: CycloneDX, SPDX, a \
statement of in-toto; --type is for anything else.";

/// Attach documents to an image that is in a registry
#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct AttachArgs {
    /// The image: NAME[:TAG] or NAME@DIGEST; NAME may begin with HOST[:PORT]/
    image: String,

    /// The documents
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// What they are: the media type by which they are found
    #[arg(long = "type", value_name = "MEDIA/TYPE")]
    kind: Option<String>,

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
    arguments: AttachArgs,
    printer: &Printer,
    interruption: &Interruption,
) -> Result<(), Failure> {
    let reference = reference(&arguments.image).map_err(Failure::Usage)?;
    let mut documents = Vec::new();
    for file in &arguments.files {
        let bytes = small_file::read(file, LARGEST)?;
        let known = kind_of(&bytes);
        let kind = match (&arguments.kind, &known) {
            (Some(kind), _) => kind.clone(),
            (None, Some((kind, ..))) => (*kind).to_owned(),
            (None, None) => {
                return Err(Failure::Usage(Error::Name {
                    what: "document",
                    value: file.display().to_string(),
                    message: "nobody knows what it is".to_owned(),
                    hint: "say so: --type=application/vnd.example+json".to_owned(),
                }));
            }
        };
        documents.push((Attachment::new(&kind, bytes), known));
    }
    let signing = arguments.sign.signing(&|name| std::env::var_os(name))?;
    let options = arguments.registry.options().map_err(Failure::Usage)?;
    let printer = printer.silenced(arguments.quiet);
    let unseen = Unseen(&printer);
    let context = interruption.context(&unseen);
    let repository = Repository::to_write(&reference, &options, context)?;
    let found = subjects(&repository, &reference, context)?;
    let Some(subject) = found.first().map(|subject| &subject.descriptor) else {
        return Ok(());
    };
    let mut attached: Vec<Value> = Vec::new();
    for (attachment, known) in documents {
        let referrer = attach(&repository, subject, &attachment, context)?;
        if let (Some(signing), Some((_, predicate_type, predicate))) = (&signing, known) {
            let statement = Statement {
                name: repository.name().to_owned(),
                digest: subject.digest,
                predicate_type,
                predicate,
            };
            let signer = signing.signer.as_ref();
            attach_signed(&repository, subject, &statement, signer, context)?;
        }
        if !arguments.json && !printer.is_quiet() {
            let line = format!("{}@{}\n", repository.name(), referrer.digest);
            printer.data(&line)?;
        }
        attached.push(json!({ "artifactType": referrer.artifact_type, "digest": referrer.digest }));
    }
    if arguments.json {
        let value = json!({ "subject": subject.digest, "attached": attached });
        printer.data(&format!("{value:#}\n"))?;
    }
    Ok(())
}
