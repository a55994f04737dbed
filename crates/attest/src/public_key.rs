//! Public keys.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};

use crate::pem;
use strata_error::{Error, Result};
use strata_oci::Digest;

/// How a `SubjectPublicKeyInfo` of a point on P-256 begins (RFC 5480, section 2): what follows is the point,
/// uncompressed.
const P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// The bytes of a point.
const POINT: usize = 65;

/// A public key for ECDSA on P-256.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    point: Vec<u8>,
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "PublicKey({})", self.hint())
    }
}

impl PublicKey {
    /// Reads a key in PEM (`PUBLIC KEY`); `document` is its path, for the error.
    pub fn parse(bytes: &[u8], document: &str) -> Result<Self> {
        let error = |message: &str, hint: &str| Error::Document {
            document: document.to_owned(),
            message: message.to_owned(),
            hint: hint.to_owned(),
        };
        let text = String::from_utf8_lossy(bytes);
        let Some((_, der)) = pem::decode(&text, &["PUBLIC KEY"]) else {
            let hint = if text.contains("PRIVATE KEY") {
                "this is the private key; whoever verifies needs the other file, cosign.pub"
            } else {
                "give the file cosign.pub, as `cosign generate-key-pair` writes it"
            };
            return Err(error("not a public key in PEM", hint));
        };
        match der.strip_prefix(&P256) {
            Some(point) if point.len() == POINT => Ok(Self {
                point: point.to_vec(),
            }),
            _ => Err(error(
                "not a key for ECDSA on P-256",
                "keys of cosign are; others are not read",
            )),
        }
    }

    /// A key by its point.
    pub(crate) fn of(point: &[u8]) -> Self {
        Self {
            point: point.to_vec(),
        }
    }

    /// What Sigstore's bundles name a key by: the SHA-256 of its `SubjectPublicKeyInfo`, in base 64.
    pub fn hint(&self) -> String {
        let der = [&P256[..], &self.point].concat();
        STANDARD.encode(Digest::of(&der).as_bytes())
    }

    /// Whether `signature`, in ASN.1, is this key's of the SHA-256 of `message`.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.point);
        key.verify(message, signature).is_ok()
    }
}
