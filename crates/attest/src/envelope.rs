//! Envelopes of DSSE (<https://github.com/secure-systems-lab/dsse>).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::{PublicKey, Signer};
use strata_error::Result;

/// The type of a statement of in-toto.
pub const IN_TOTO: &str = "application/vnd.in-toto+json";

/// Something signed, and its signatures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<Signature>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Signature {
    sig: String,
}

/// What is signed: type and payload with their lengths ("pre-authentication encoding").
fn encoded(kind: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

impl Envelope {
    /// Signs a statement of in-toto.
    pub(crate) fn sign(payload: &[u8], signer: &dyn Signer) -> Result<Self> {
        let signature = signer.sign(&encoded(IN_TOTO, payload))?;
        Ok(Self {
            payload: STANDARD.encode(payload),
            payload_type: IN_TOTO.to_owned(),
            signatures: vec![Signature {
                sig: STANDARD.encode(signature),
            }],
        })
    }

    /// The payload, if one of the signatures is of this key; the error says what is wrong.
    pub(crate) fn verify(&self, key: &PublicKey) -> Result<Vec<u8>, String> {
        let payload = self.payload()?;
        let signed = encoded(&self.payload_type, &payload);
        let mut signatures = self.signatures.iter();
        let is_signed = signatures.any(|signature| {
            let signature = STANDARD.decode(&signature.sig);
            signature.is_ok_and(|signature| key.verifies(&signed, &signature))
        });
        if is_signed {
            Ok(payload)
        } else {
            Err("no signature of it is of this key".to_owned())
        }
    }

    /// The payload, whoever signed it.
    pub(crate) fn payload(&self) -> Result<Vec<u8>, String> {
        if self.payload_type != IN_TOTO {
            return Err(format!("{} is signed, and no statement", self.payload_type));
        }
        let payload = STANDARD.decode(&self.payload);
        payload.map_err(|_| "what is signed is not in base 64".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_has_its_length_with_it() {
        // The example of the specification.
        let text = encoded("http://example.com/HelloWorld", b"hello world");
        assert_eq!(
            text,
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }
}
