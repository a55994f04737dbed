//! `strata referrers IMAGE`.

use std::fmt::Write;

use clap::Args;
use serde_json::{Value, json};

use crate::cli::failure::Failure;
use crate::cli::interruption::Interruption;
use crate::cli::printer::Printer;
use crate::cli::progress::Unseen;
use crate::cli::registry_args::{SourceRegistryArgs, reference};
use strata_error::{Error, Result, visible_line};
use strata_oci::{Artifact, Referrer};
use strata_progress::Context;
use strata_referrers::list;
use strata_registry::Repository;
use strata_vouch::subjects;

/// List what is attached to an image in a registry
#[derive(Args)]
pub(crate) struct ReferrersArgs {
    /// The image: NAME[:TAG] or NAME@DIGEST; NAME may begin with HOST[:PORT]/
    image: String,

    /// Only what is of this type
    #[arg(long = "type", value_name = "MEDIA/TYPE")]
    kind: Option<String>,

    /// Write the document itself to standard output, of which there is one of that type
    #[arg(long, requires = "kind", conflicts_with = "json")]
    read: bool,

    #[command(flatten)]
    registry: SourceRegistryArgs,

    /// Answer in JSON; docs/cli.md describes it
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(
    arguments: ReferrersArgs,
    printer: &Printer,
    interruption: &Interruption,
) -> Result<(), Failure> {
    let reference = reference(&arguments.image).map_err(Failure::Usage)?;
    let options = arguments.registry.options().map_err(Failure::Usage)?;
    let unseen = Unseen(printer);
    let context = interruption.context(&unseen);
    let repository = Repository::to_read(&reference, &options, context)?;
    let mut found = Vec::new();
    for subject in subjects(&repository, &reference, context)? {
        let digest = subject.descriptor.digest;
        let kind = arguments.kind.as_deref();
        let referrers = list(&repository, &digest, kind, context)?;
        found.extend(referrers.into_iter().map(|referrer| (digest, referrer)));
    }
    if arguments.read {
        let referrers: Vec<&Referrer> = found.iter().map(|(_, referrer)| referrer).collect();
        return read(&repository, &referrers, printer, context);
    }
    if arguments.json {
        let entries: Vec<Value> = found
            .iter()
            .map(|(subject, referrer)| {
                json!({
                    "subject": subject,
                    "artifactType": referrer.artifact_type,
                    "digest": referrer.digest,
                    "size": referrer.size,
                    "annotations": referrer.annotations,
                })
            })
            .collect();
        let value = json!({ "name": repository.name(), "referrers": entries });
        return printer.data(&format!("{value:#}\n"));
    }
    let mut lines = String::new();
    for (subject, referrer) in &found {
        let about = referrer
            .annotations
            .get("dev.sigstore.bundle.predicateType");
        let about = about.map_or_else(String::new, |about| format!("  {about}"));
        let kind = visible_line(&referrer.artifact_type);
        // Writing to a String cannot fail.
        let _ = writeln!(
            lines,
            "{subject} <- {}  {kind}{}",
            referrer.digest,
            visible_line(&about)
        );
    }
    if found.is_empty() {
        printer.note("nothing is attached to it");
    }
    printer.data(&lines)
}

/// Writes the only document.
fn read(
    repository: &Repository,
    found: &[&Referrer],
    printer: &Printer,
    context: Context<'_>,
) -> Result<(), Failure> {
    let error = |message: &str| {
        Failure::Failed(Error::Registry {
            operation: format!("cannot read what is attached in {}", repository.name()),
            message: message.to_owned(),
            codes: Vec::new(),
            hint: "strata referrers without --read lists what there is; of an index, name one image by its digest".to_owned(),
        })
    };
    let [referrer] = found else {
        return Err(error(&format!(
            "{} documents are of that type",
            found.len()
        )));
    };
    let document = repository.document(&referrer.digest.to_string(), context)?;
    let artifact = document.and_then(|it| serde_json::from_slice::<Artifact>(&it.bytes).ok());
    let artifact = artifact.ok_or_else(|| error("it is listed and not there"))?;
    let [layer] = artifact.layers.as_slice() else {
        return Err(error("it has several parts"));
    };
    let bytes = repository.blob(layer, context)?;
    printer.data(&String::from_utf8_lossy(&bytes))
}
