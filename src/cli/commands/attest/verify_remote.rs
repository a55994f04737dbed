//! `strata verify docker://IMAGE`: who signed an image of a registry, and whether a build comes to it.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::flags::public_key;
use crate::cli::failure::Failure;
use crate::cli::interruption::Interruption;
use crate::cli::printer::Printer;
use crate::cli::progress::Unseen;
use crate::cli::registry_args::{SourceRegistryArgs, reference};
use strata_attest::{Built, PublicKey};
use strata_error::{Error, Result};
use strata_image::{Image, ManifestOrIndex};
use strata_oci::{Digest, Reference};
use strata_progress::Context;
use strata_registry::{Options, Repository};
use strata_vouch::{
    Comparison, Remote, Source, Subject, build, compare, provenance_of, subjects, verify,
};

/// The flags about an image of a registry.
#[derive(Args)]
pub(crate) struct RemoteArgs {
    /// Whether it is signed with this key, which is all that is looked at without --rebuild
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,

    /// Build what its provenance says and compare; the default if there is no key
    #[arg(long)]
    rebuild: bool,

    /// Build this, whatever provenance says: FLAKE#ATTRIBUTE
    #[arg(long, value_name = "INSTALLABLE", conflicts_with = "image_path")]
    flake: Option<String>,

    /// Compare with this output of an image's derivation, and build nothing
    #[arg(long = "image", value_name = "PATH", id = "image_path")]
    image: Option<PathBuf>,

    #[command(flatten)]
    registry: SourceRegistryArgs,
}

impl RemoteArgs {
    /// A flag that was given and means nothing but for an image of a registry.
    pub(in crate::cli) fn given(&self) -> Option<&'static str> {
        let given = [
            (self.key.is_some(), "--key"),
            (self.rebuild, "--rebuild"),
            (self.flake.is_some(), "--flake"),
            (self.image.is_some(), "--image"),
        ];
        given
            .into_iter()
            .find_map(|(is_given, flag)| is_given.then_some(flag))
    }
}

/// What was found out.
struct Verdict {
    digest: Digest,
    /// What the key says of it.
    signed: Vec<String>,
    /// What was built, and what came of it.
    built: Option<(String, Comparison)>,
}

/// Runs the command.
pub(in crate::cli) fn run(
    text: &str,
    arguments: RemoteArgs,
    as_json: bool,
    printer: &Printer,
    interruption: &Interruption,
) -> Result<(), Failure> {
    let reference = reference(text).map_err(Failure::Usage)?;
    let key = arguments.key.as_deref().map(public_key);
    let key = key.transpose()?;
    let is_built = arguments.flake.is_some() || arguments.image.is_some();
    let rebuilds = arguments.rebuild || is_built || key.is_none();
    let options = arguments.registry.options().map_err(Failure::Usage)?;
    let unseen = Unseen(printer);
    let context = interruption.context(&unseen);
    let repository = Repository::to_read(&reference, &options, context)?;
    let found = subjects(&repository, &reference, context)?;
    let Some(top) = found.first() else {
        return Ok(());
    };
    let mut verdict = Verdict {
        digest: top.descriptor.digest,
        signed: Vec::new(),
        built: None,
    };
    if let Some(key) = &key {
        // The digest of an index covers its images.
        let said = verify(&repository, &reference, &verdict.digest, key, context)?;
        verdict.signed = said;
    }
    if rebuilds {
        let rebuild = Rebuild {
            reference: &reference,
            options: &options,
            repository: &repository,
            key: key.as_ref(),
            flake: arguments.flake,
            image: arguments.image,
        };
        verdict.built = Some(rebuild.run(&found, printer, context)?);
    }
    tell(&verdict, &reference, as_json, printer)
}

struct Rebuild<'a> {
    reference: &'a Reference,
    options: &'a Options,
    repository: &'a Repository,
    key: Option<&'a PublicKey>,
    flake: Option<String>,
    image: Option<PathBuf>,
}

impl Rebuild<'_> {
    /// Builds, or takes what is built, and compares each image; gives also what was built.
    fn run(
        &self,
        found: &[Subject],
        printer: &Printer,
        context: Context<'_>,
    ) -> Result<(String, Comparison)> {
        let images: Vec<&Subject> = found.iter().filter(|it| it.config.is_some()).collect();
        let provenance = self.provenance(&images, context);
        let (name, path) = match (&self.image, &self.flake) {
            (Some(path), _) => (path.display().to_string(), path.clone()),
            (None, Some(flake)) => Self::build(&Source::Flake(flake.clone()), printer)?,
            (None, None) => {
                let built = provenance.as_ref().map_err(|problem| Error::Document {
                    document: self.reference.to_string(),
                    message: problem.to_string(),
                    hint: problem.hint().unwrap_or_default(),
                })?;
                let source = Source::of(built).ok_or_else(|| Error::Document {
                    document: self.reference.to_string(),
                    message: "its provenance names no flake, and no derivation that is here".to_owned(),
                    hint: "name what to build with --flake=FLAKE#ATTRIBUTE, or what is built with --image".to_owned(),
                })?;
                Self::build(&source, printer)?
            }
        };
        let built = provenance.unwrap_or_default();
        let mut all = Comparison::default();
        let ours = opened(ManifestOrIndex::open(&path)?);
        if ours.len() != images.len() {
            all.differences.push(format!(
                "the registry has {} images under this name, and {} were built",
                images.len(),
                ours.len()
            ));
            return Ok((name, all));
        }
        let remote = Remote {
            reference: self.reference,
            options: self.options,
            repository: self.repository,
        };
        for (subject, image) in images.iter().zip(&ours) {
            let one = compare(subject, image, &built, &remote, context)?;
            let platform = image.config.platform();
            let said = |text: String| {
                if ours.len() > 1 {
                    format!("{platform}: {text}")
                } else {
                    text
                }
            };
            all.differences
                .extend(one.differences.into_iter().map(&said));
            all.notes.extend(one.notes.into_iter().map(&said));
        }
        Ok((name, all))
    }

    /// What provenance says of the first image that has any.
    fn provenance(&self, images: &[&Subject], context: Context<'_>) -> Result<Built> {
        let mut said = Err(Error::Interrupted);
        for subject in images {
            let digest = &subject.descriptor.digest;
            said = provenance_of(self.repository, self.reference, digest, self.key, context);
            if said.is_ok() {
                break;
            }
        }
        said
    }

    fn build(source: &Source, printer: &Printer) -> Result<(String, PathBuf)> {
        printer.note(&format!("building {}", source.name()));
        Ok((source.name().to_owned(), build(source)?))
    }
}

fn opened(built: ManifestOrIndex) -> Vec<Image> {
    match built {
        ManifestOrIndex::Image(image) => vec![*image],
        ManifestOrIndex::Index(index) => index.images,
    }
}

/// Says what was found out.
fn tell(
    verdict: &Verdict,
    reference: &Reference,
    as_json: bool,
    printer: &Printer,
) -> Result<(), Failure> {
    let differences = verdict.built.as_ref().map(|(_, found)| &found.differences);
    let is_refuted = differences.is_some_and(|differences| !differences.is_empty());
    if as_json {
        let built = verdict.built.as_ref().map(|(name, found)| {
            json!({ "from": name, "differences": found.differences, "notes": found.notes })
        });
        let value = json!({
            "digest": verdict.digest,
            "verified": !is_refuted,
            "signed": verdict.signed,
            "built": built,
        });
        printer.data(&format!("{value:#}\n"))?;
    } else {
        if !verdict.signed.is_empty() {
            let (digest, said) = (verdict.digest, verdict.signed.join(", "));
            printer.data(&format!("{digest} is signed: {said}\n"))?;
        }
        if let Some((name, found)) = &verdict.built {
            for note in &found.notes {
                printer.note(note);
            }
            for difference in &found.differences {
                printer.error(&format!("differs: {difference}"));
            }
            if !is_refuted {
                let digest = verdict.digest;
                printer.data(&format!("{digest} is what {name} builds\n"))?;
            }
        }
    }
    if is_refuted {
        let name = format!("{}/{}", reference.registry, reference.repository);
        if !as_json {
            let digest = verdict.digest;
            printer.error(&format!("{name}@{digest} is not what was built"));
        }
        return Err(Failure::Refuted);
    }
    Ok(())
}
