//! Signatures and provenance of images, as cosign and the policies of engines read them.
//!
//! Nothing here asks a registry, a clock or a network: keys and documents come in as bytes and go out as bytes. No key
//! and no password is in any message.
//!
//! - `public_key`, `secret_key`, `pem`: ECDSA keys on P-256 as cosign writes them
//! - `statement`, `envelope`, `bundle`: in-toto statements, signed with DSSE, in Sigstore's bundle
//! - `simple_signing`: the form before that, which engines' policies read
//! - `provenance`: how an image was built, in the words of SLSA
//!
//! ECDSA is ring's, which TLS brings along; what unlocks keys is RustCrypto's.

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod bundle;
mod envelope;
mod pem;
mod provenance;
mod public_key;
mod secret_key;
mod simple_signing;
mod statement;

pub use bundle::{BUNDLE, Bundle};
pub use envelope::IN_TOTO;
pub use pem::{from_base64, to_base64};
pub use provenance::{Build, Built, FlakeSource, SLSA_PROVENANCE, provenance};
pub use public_key::PublicKey;
pub use secret_key::SecretKey;
pub use simple_signing::{SIGNATURE_ANNOTATION, SIMPLE_SIGNING, check_payload, payload};
pub use statement::{SIGNED, Statement};

/// Whoever makes signatures.
pub trait Signer {
    /// The signature of `message`: ECDSA over its SHA-256 in ASN.1 (DER).
    fn sign(&self, message: &[u8]) -> strata_error::Result<Vec<u8>>;

    /// What its signatures are verified with.
    fn public_key(&self) -> &PublicKey;
}
