//! A program that signs, where a key is in hardware or with a service.

use std::io::Write;
use std::process::{Command, Stdio};

use strata_attest::{PublicKey, Signer};
use strata_error::{Error, Result};

/// What to do about a program that does not sign.
const HINT: &str = "the command gets the message on standard input, and writes the signature of its SHA-256 (ECDSA on P-256, DER, as it is or in base 64) to standard output, as in: openssl dgst -sha256 -sign key.pem";

/// Signs by a command of the shell.
pub struct CommandSigner {
    /// The command.
    pub command: String,
    /// The key that it signs with.
    pub public: PublicKey,
}

impl CommandSigner {
    fn error(&self, message: impl Into<String>) -> Error {
        Error::Command {
            command: self.command.clone(),
            message: message.into(),
            hint: HINT.to_owned(),
        }
    }
}

impl Signer for CommandSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let failed = |error: std::io::Error| self.error(error.to_string());
        let mut child = Command::new("/bin/sh")
            .args(["-c", &self.command])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        if let Some(mut input) = child.stdin.take() {
            // Whoever reads no more says below what is wrong.
            let _ = input.write_all(message);
        }
        let output = child.wait_with_output().map_err(failed)?;
        if !output.status.success() {
            return Err(self.error(output.status.to_string()));
        }
        let signature = decoded(&output.stdout);
        if self.public.verifies(message, &signature) {
            Ok(signature)
        } else {
            Err(self.error("what it wrote is no signature of this public key"))
        }
    }

    fn public_key(&self) -> &PublicKey {
        &self.public
    }
}

/// A signature that is written as it is, which begins with the tag of a sequence, or in base 64.
fn decoded(bytes: &[u8]) -> Vec<u8> {
    if bytes.first() == Some(&0x30) {
        return bytes.to_vec();
    }
    let text: String = String::from_utf8_lossy(bytes).split_whitespace().collect();
    strata_attest::from_base64(&text).unwrap_or_default()
}
