//! Bundles of Sigstore, version 0.3 (<https://docs.sigstore.dev/about/bundle/>), with a key and no certificate.

use serde::{Deserialize, Serialize};

use crate::envelope::Envelope;
use crate::{PublicKey, Signer, Statement};
use strata_error::Result;
use strata_oci::json;

/// The media type, which is also what referrers are found by.
pub const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// A signed statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bundle {
    media_type: String,
    #[serde(skip_deserializing)]
    verification_material: Material,
    dsse_envelope: Envelope,
}

/// What tells a verifier which key it was. Others put certificates and times here, which nobody needs who has the key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    public_key: Hint,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Hint {
    hint: String,
}

impl Bundle {
    /// The annotation of its referrer that says what kind of bundle it is, and its value.
    pub const CONTENT: (&str, &str) = ("dev.sigstore.bundle.content", "dsse-envelope");
    /// The annotation of its referrer with the predicate type of the statement.
    pub const PREDICATE_TYPE: &str = "dev.sigstore.bundle.predicateType";

    /// Signs a statement.
    pub fn sign(statement: &Statement, signer: &dyn Signer) -> Result<Self> {
        Ok(Self {
            media_type: BUNDLE.to_owned(),
            verification_material: Material {
                public_key: Hint {
                    hint: signer.public_key().hint(),
                },
            },
            dsse_envelope: Envelope::sign(&statement.to_bytes(), signer)?,
        })
    }

    /// The bundle's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        json::to_bytes(self)
    }

    /// Reads a bundle; the error says what is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let bundle: Self = serde_json::from_slice(bytes)
            .map_err(|error| format!("not a bundle of Sigstore: {error}"))?;
        if bundle.media_type == BUNDLE {
            Ok(bundle)
        } else {
            Err(format!("a bundle of another kind: {}", bundle.media_type))
        }
    }

    /// The statement, if this key signed it; the error says what is wrong.
    pub fn verify(&self, key: &PublicKey) -> Result<Statement, String> {
        Statement::parse(&self.dsse_envelope.verify(key)?)
    }

    /// The statement, whoever signed it.
    pub fn statement(&self) -> Result<Statement, String> {
        Statement::parse(&self.dsse_envelope.payload()?)
    }
}
