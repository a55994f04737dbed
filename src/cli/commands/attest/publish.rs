//! What `strata copy` does for an image that is in a registry then: documents about it are attached, and it is signed.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::flags::{SignArgs, Signing};
use super::sbom::{evaluation, known_packages};
use crate::cli::printer::Printer;
use strata_attest::{Build, Statement};
use strata_destination::Destination;
use strata_error::{Error, Result};
use strata_image::ManifestOrIndexRef;
use strata_oci::{Compression, Digest, Reference};
use strata_progress::Context;
use strata_referrers::attach;
use strata_registry::{Options, Repository};
use strata_sbom::Format;
use strata_vouch::{Kind, Maker, attach_signed, sign, subjects};

/// The flags.
#[derive(Args)]
pub(in crate::cli) struct PublishArgs {
    /// Attach these to the image: sbom (cyclonedx and spdx), provenance
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    attach: Vec<What>,

    /// What Nix knew of packages and the build: the attribute `evaluation` of the image
    #[arg(long, value_name = "FILE")]
    evaluation: Option<PathBuf>,

    /// Whoever builds, a URI that provenance names
    #[arg(long, value_name = "URI")]
    builder_id: Option<String>,

    #[command(flatten)]
    sign: SignArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    Sbom,
    Cyclonedx,
    Spdx,
    Provenance,
}

impl What {
    fn kinds(self) -> &'static [Kind] {
        const BILLS: [Kind; 2] = [Kind::Bill(Format::CycloneDx), Kind::Bill(Format::Spdx)];
        match self {
            Self::Sbom => &BILLS,
            Self::Cyclonedx => &BILLS[..1],
            Self::Spdx => &BILLS[1..],
            Self::Provenance => &[Kind::Provenance],
        }
    }
}

/// What the flags mean.
pub(in crate::cli) struct Publishing {
    kinds: Vec<Kind>,
    maker: Maker,
    signing: Option<Signing>,
}

impl PublishArgs {
    /// Refuses the flags for a copy to a `destination` where they mean nothing.
    pub(in crate::cli) fn check(&self, destination: &dyn Destination) -> Result<()> {
        let given = [
            (!self.attach.is_empty(), "--attach"),
            (self.sign.is_given(), "--sign-by-key"),
        ];
        let given = given.into_iter().find(|(is_given, _)| *is_given);
        match given.filter(|_| destination.reference().is_none()) {
            None => Ok(()),
            Some((_, flag)) => Err(Error::Name {
                what: "destination",
                value: destination.to_string(),
                message: format!("{flag} is about copies to a registry only"),
                hint: format!("leave {flag} out"),
            }),
        }
    }

    /// What the flags mean for the image at a path whose layers are compressed so. `environment` is asked for the
    /// password of a key.
    pub(in crate::cli) fn publishing(
        &self,
        image: &Path,
        compression: Option<Compression>,
        environment: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Publishing> {
        let mut kinds: Vec<Kind> = Vec::new();
        for kind in self.attach.iter().flat_map(|what| what.kinds()) {
            if !kinds.contains(kind) {
                kinds.push(*kind);
            }
        }
        let file = self.evaluation.as_deref();
        let build = match evaluation(file)? {
            Some((bytes, name)) if kinds.contains(&Kind::Provenance) => {
                Some(Build::parse(&bytes, &name)?)
            }
            _ => None,
        };
        let output = image.canonicalize().ok();
        Ok(Publishing {
            maker: Maker {
                known: known_packages(file)?,
                build,
                builder: self.builder_id.clone(),
                compression,
                output: output.map(|path| path.display().to_string()),
            },
            kinds,
            signing: self.sign.signing(environment)?,
        })
    }
}

impl Publishing {
    /// Attaches and signs, after `image` was copied to `reference`, where its digest is `digest`. Gives what was
    /// attached, for programs.
    pub(in crate::cli) fn publish(
        &self,
        image: ManifestOrIndexRef<'_>,
        reference: &Reference,
        digest: Digest,
        options: &Options,
        printer: &Printer,
        context: Context<'_>,
    ) -> Result<Vec<Value>> {
        if self.kinds.is_empty() && self.signing.is_none() {
            return Ok(Vec::new());
        }
        let reference = Reference {
            digest: Some(digest),
            ..reference.clone()
        };
        let repository = Repository::to_write(&reference, options, context)?;
        let found = subjects(&repository, &reference, context)?;
        let signer = self.signing.as_ref();
        let images = image.images();
        let own = found.iter().filter(|subject| subject.config.is_some());
        let mut attached = Vec::new();
        for (subject, image) in own.zip(images) {
            let descriptor = &subject.descriptor;
            let made = self
                .maker
                .make(&self.kinds, image, &reference, descriptor.digest)?;
            let (documents, warnings) = made;
            for warning in warnings {
                printer.note(&format!("warning: {warning}"));
            }
            for said in documents {
                let referrer = attach(&repository, descriptor, &said.attachment, context)?;
                printer.note(&format!(
                    "attached {} to {}",
                    referrer.artifact_type, descriptor.digest
                ));
                attached.push(json!({
                    "subject": descriptor.digest,
                    "artifactType": referrer.artifact_type,
                    "digest": referrer.digest,
                }));
                if let Some(signing) = signer {
                    let statement = Statement {
                        name: repository.name().to_owned(),
                        digest: descriptor.digest,
                        predicate_type: said.predicate_type,
                        predicate: said.predicate,
                    };
                    let signer = signing.signer.as_ref();
                    attach_signed(&repository, descriptor, &statement, signer, context)?;
                }
            }
        }
        if let Some(signing) = signer {
            for subject in &found {
                let (signer, forms) = (signing.signer.as_ref(), signing.forms);
                sign(
                    &repository,
                    &reference,
                    &subject.descriptor,
                    signer,
                    forms,
                    context,
                )?;
                printer.note(&format!("signed {}", subject.descriptor.digest));
            }
        }
        Ok(attached)
    }
}
