//! Private keys, which lie in files under a password.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use poly1305::Poly1305;
use poly1305::universal_hash::KeyInit as _;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use salsa20::XSalsa20;
use salsa20::cipher::{KeyIvInit as _, StreamCipher as _};
use scrypt::Params;
use serde::Deserialize;

use crate::{PublicKey, Signer, pem};
use strata_error::{Error, Result};

/// What cosign calls its files, now and before.
const ENCRYPTED: [&str; 2] = [
    "ENCRYPTED SIGSTORE PRIVATE KEY",
    "ENCRYPTED COSIGN PRIVATE KEY",
];
/// A file without a password (RFC 5958).
const PLAIN: &str = "PRIVATE KEY";
/// The most memory that unlocking may take, in bytes: cosign asks for 64 MiB.
const MOST_MEMORY: u64 = 256 << 20;

/// A private key for ECDSA on P-256.
pub struct SecretKey {
    pair: EcdsaKeyPair,
    public: PublicKey,
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "SecretKey({:?})", self.public)
    }
}

/// The content of an encrypted file.
#[derive(Deserialize)]
struct Locked {
    kdf: Kdf,
    cipher: Cipher,
    ciphertext: String,
}

#[derive(Deserialize)]
struct Kdf {
    name: String,
    params: KdfParams,
    salt: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct KdfParams {
    n: u64,
    #[serde(rename = "r")]
    r: u32,
    #[serde(rename = "p")]
    p: u32,
}

#[derive(Deserialize)]
struct Cipher {
    name: String,
    nonce: String,
}

impl SecretKey {
    /// Whether a file needs a password to be read.
    pub fn is_locked(bytes: &[u8]) -> bool {
        let text = String::from_utf8_lossy(bytes);
        ENCRYPTED.iter().any(|label| text.contains(label))
    }

    /// Reads a key as `cosign generate-key-pair` writes it, or one without a password (PKCS #8, in PEM); `document` is
    /// its path, for the error.
    pub fn parse(bytes: &[u8], password: &[u8], document: &str) -> Result<Self> {
        let error = |message: &str, hint: &str| Error::Document {
            document: document.to_owned(),
            message: message.to_owned(),
            hint: hint.to_owned(),
        };
        let text = String::from_utf8_lossy(bytes);
        let found = pem::decode(&text, &[ENCRYPTED[0], ENCRYPTED[1], PLAIN]);
        let Some((label, body)) = found else {
            return Err(error(
                "not a private key in PEM",
                "give the file cosign.key, as `cosign generate-key-pair` writes it",
            ));
        };
        let der = if label == PLAIN {
            body
        } else {
            unlock(&body, password).map_err(|message| {
                error(
                    message,
                    "the password is that of COSIGN_PASSWORD, or of --sign-passphrase-file",
                )
            })?
        };
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &der, &random);
        let pair = pair.map_err(|_| {
            error(
                "not a key for ECDSA on P-256",
                "keys of `cosign generate-key-pair` are; others are not read",
            )
        })?;
        let public = PublicKey::of(pair.public_key().as_ref());
        Ok(Self { pair, public })
    }
}

impl Signer for SecretKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let signature = self.pair.sign(&SystemRandom::new(), message);
        let signature = signature.map_err(|_| Error::Command {
            command: "signing".to_owned(),
            message: "the system has no random numbers".to_owned(),
            hint: String::new(),
        })?;
        Ok(signature.as_ref().to_vec())
    }

    fn public_key(&self) -> &PublicKey {
        &self.public
    }
}

/// What an encrypted file holds: scrypt makes a key of the password, and NaCl's `secretbox` keeps the rest.
fn unlock(body: &[u8], password: &[u8]) -> Result<Vec<u8>, &'static str> {
    const DAMAGED: &str = "a damaged private key";
    let locked: Locked = serde_json::from_slice(body).map_err(|_| DAMAGED)?;
    if locked.kdf.name != "scrypt" || locked.cipher.name != "nacl/secretbox" {
        return Err("a private key that is locked in another way than cosign's");
    }
    let decode = |text: &str| STANDARD.decode(text).map_err(|_| DAMAGED);
    let KdfParams { n, r, p } = locked.kdf.params;
    let memory = n.saturating_mul(u64::from(r)).saturating_mul(128);
    if !n.is_power_of_two() || memory > MOST_MEMORY || p > 16 {
        return Err("a private key that takes more memory to unlock than it may");
    }
    let log_n = u8::try_from(n.trailing_zeros()).map_err(|_| DAMAGED)?;
    let params = Params::new(log_n, r, p).map_err(|_| DAMAGED)?;
    let mut key = [0; 32];
    let salt = decode(&locked.kdf.salt)?;
    scrypt::scrypt(password, &salt, &params, &mut key).map_err(|_| DAMAGED)?;
    let nonce: [u8; 24] = decode(&locked.cipher.nonce)?
        .try_into()
        .map_err(|_| DAMAGED)?;
    open_box(&decode(&locked.ciphertext)?, &key, &nonce).ok_or("the password is wrong")
}

/// Opens a `secretbox`: a tag of 16 bytes, then what is encrypted. The first 32 bytes of the key stream are the key of
/// the tag. `None` if the tag is another one.
fn open_box(sealed: &[u8], key: &[u8; 32], nonce: &[u8; 24]) -> Option<Vec<u8>> {
    let (tag, encrypted) = sealed.split_at_checked(16)?;
    let mut stream = XSalsa20::new(key.into(), nonce.into());
    let mut tag_key = [0; 32];
    stream.apply_keystream(&mut tag_key);
    let expected = Poly1305::new((&tag_key).into()).compute_unpadded(encrypted);
    // Whoever has the file can try passwords for as long as they like; times tell nothing more.
    if expected.as_slice() != tag {
        return None;
    }
    let mut plain = encrypted.to_vec();
    stream.apply_keystream(&mut plain);
    Some(plain)
}
