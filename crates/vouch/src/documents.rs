//! Documents about an image.

use serde_json::Value;

use super::system_files;
use strata_attest::{Build, Built, IN_TOTO, SLSA_PROVENANCE, Statement, provenance};
use strata_error::Result;
use strata_image::Image;
use strata_oci::{Compression, Digest, Reference};
use strata_referrers::Attachment;
use strata_sbom::{Bill, Format, KnownPackages, System};

/// What can be made and attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A bill of materials.
    Bill(Format),
    /// How the image was built.
    Provenance,
}

/// What documents are made of, besides an image.
#[derive(Default)]
pub struct Maker {
    /// What Nix knew of packages.
    pub known: KnownPackages,
    /// What Nix knew of the build.
    pub build: Option<Build>,
    /// Whoever built, a URI.
    pub builder: Option<String>,
    /// How layers are compressed where they do not say so themselves.
    pub compression: Option<Compression>,
    /// The output of the image's derivation.
    pub output: Option<String>,
}

/// Something that is said of an image.
pub struct Said {
    /// The document as it is attached.
    pub attachment: Attachment,
    /// What a signed statement calls it.
    pub predicate_type: String,
    /// What a signed statement says.
    pub predicate: Value,
}

/// The bill of an image whose manifest has this digest where it is, and what could not be read of its base.
pub fn bill(image: &Image, digest: Digest, known: &KnownPackages) -> Result<(Bill, Vec<String>)> {
    let system = System::of(&system_files::read(image)?);
    let warnings = system.warnings().to_vec();
    Ok((Bill::of(image, digest, known, &system), warnings))
}

impl Maker {
    /// Documents about `image`, which is at `reference` under the digest, in the order of `kinds`, and warnings.
    pub fn make(
        &self,
        kinds: &[Kind],
        image: &Image,
        reference: &Reference,
        digest: Digest,
    ) -> Result<(Vec<Said>, Vec<String>)> {
        // Layers of a base are read once.
        let (bill, warnings) = if kinds.iter().any(|kind| matches!(kind, Kind::Bill(_))) {
            let (bill, warnings) = bill(image, digest, &self.known)?;
            (Some(bill.at(reference)), warnings)
        } else {
            (None, Vec::new())
        };
        let said = kinds.iter().filter_map(|kind| match kind {
            Kind::Bill(format) => {
                let document = bill.as_ref()?.document(*format);
                let bytes = strata_oci::json::to_bytes(&document);
                Some(Said {
                    attachment: Attachment::new(format.media_type(), bytes),
                    predicate_type: format.predicate_type().to_owned(),
                    predicate: document,
                })
            }
            Kind::Provenance => Some(self.provenance(image, reference, digest)),
        });
        Ok((said.collect(), warnings))
    }

    /// How the image was built.
    fn provenance(&self, image: &Image, reference: &Reference, digest: Digest) -> Said {
        let built = Built {
            output: self.output.clone(),
            image: Some(image.manifest_descriptor.digest),
            compression: self.compression,
            ..Built::default()
        };
        let predicate = provenance(&built, self.build.as_ref(), self.builder.as_deref());
        let statement = Statement {
            name: name_of(reference),
            digest,
            predicate_type: SLSA_PROVENANCE.to_owned(),
            predicate: predicate.clone(),
        };
        Said {
            attachment: Attachment::new(IN_TOTO, statement.to_bytes()),
            predicate_type: SLSA_PROVENANCE.to_owned(),
            predicate,
        }
    }
}

/// The repository without a tag, as signatures name it.
pub(crate) fn name_of(reference: &Reference) -> String {
    format!("{}/{}", reference.registry, reference.repository)
}

/// What a document is by what is in it: its media type, and what a statement calls it. `None` if nobody knows.
pub fn kind_of(bytes: &[u8]) -> Option<(&'static str, String, Value)> {
    let value: Value = serde_json::from_slice(bytes).ok()?;
    let has = |field: &str| value.get(field).is_some();
    let bill = |format: Format| {
        (
            format.media_type(),
            format.predicate_type().to_owned(),
            value.clone(),
        )
    };
    if has("bomFormat") {
        Some(bill(Format::CycloneDx))
    } else if has("spdxVersion") {
        Some(bill(Format::Spdx))
    } else if has("_type") && has("predicateType") {
        let statement = Statement::parse(bytes).ok()?;
        Some((IN_TOTO, statement.predicate_type, statement.predicate))
    } else {
        None
    }
}
