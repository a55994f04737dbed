//! Statements of in-toto (<https://github.com/in-toto/attestation>, Statement v1).

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use strata_oci::{Digest, json as canonical};

/// What says that a statement is one.
const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// The predicate of a plain signature, which says nothing but that somebody signed.
pub const SIGNED: &str = "https://sigstore.dev/cosign/sign/v1";

/// Something that is said about an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The image's name, with its registry; empty if it does not matter where it is.
    pub name: String,
    /// The digest of its manifest.
    pub digest: Digest,
    /// What kind of thing is said, a URI.
    pub predicate_type: String,
    /// What is said.
    pub predicate: Value,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
    predicate_type: String,
    #[serde(default)]
    predicate: Value,
}

#[derive(Serialize, Deserialize)]
struct Subject {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    name: String,
    digest: Sha256,
}

#[derive(Serialize, Deserialize)]
struct Sha256 {
    sha256: String,
}

impl Statement {
    /// That somebody signed the image.
    pub fn signed(name: &str, digest: Digest) -> Self {
        Self {
            name: name.to_owned(),
            digest,
            predicate_type: SIGNED.to_owned(),
            predicate: json!({}),
        }
    }

    /// The statement's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        canonical::to_bytes(&Document {
            kind: STATEMENT.to_owned(),
            subject: vec![Subject {
                name: self.name.clone(),
                digest: Sha256 {
                    sha256: self.digest.hex(),
                },
            }],
            predicate_type: self.predicate_type.clone(),
            predicate: self.predicate.clone(),
        })
    }

    /// Reads a statement about one image; the error says what is wrong with it. Version 0.1 differs in its name only.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let document: Document = serde_json::from_slice(bytes)
            .map_err(|error| format!("not a statement of in-toto: {error}"))?;
        if document.kind != STATEMENT && document.kind != "https://in-toto.io/Statement/v0.1" {
            return Err(format!("not a statement of in-toto: {:?}", document.kind));
        }
        let [subject] = <[Subject; 1]>::try_from(document.subject)
            .map_err(|_| "a statement about none or several things".to_owned())?;
        Ok(Self {
            digest: format!("sha256:{}", subject.digest.sha256).parse()?,
            name: subject.name,
            predicate_type: document.predicate_type,
            predicate: document.predicate,
        })
    }
}
