//! The flags about signatures, and what they mean.

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use strata_attest::{PublicKey, SecretKey, Signer};
use strata_error::{Error, Result, small_file};
use strata_vouch::{CommandSigner, Forms};

/// The most bytes of a key or a password.
const LARGEST_KEY: u64 = 64 << 10;
/// The variable with the password of a key, which is cosign's.
const PASSWORD: &str = "COSIGN_PASSWORD";

/// The flags of whoever signs.
#[derive(Args)]
pub(crate) struct SignArgs {
    /// Sign with this private key, as `cosign generate-key-pair` writes it; its password is in the variable
    /// COSIGN_PASSWORD
    #[arg(long, value_name = "FILE", alias = "sign-by-sigstore-private-key")]
    sign_by_key: Option<PathBuf>,

    /// Sign with what this command of the shell writes, which gets the message on standard input
    #[arg(long, value_name = "COMMAND", conflicts_with = "sign_by_key")]
    #[arg(requires = "public_key")]
    sign_by_command: Option<String>,

    /// The public key of --sign-by-command
    #[arg(long, value_name = "FILE", requires = "sign_by_command")]
    public_key: Option<PathBuf>,

    /// Read the password of --sign-by-key from this file; - is standard input
    #[arg(long, value_name = "FILE", requires = "sign_by_key")]
    sign_passphrase_file: Option<PathBuf>,

    /// Which forms signatures have: bundle for cosign 3, tag for cosign 2 and the policies of podman, skopeo and
    /// CRI-O, or both
    #[arg(long, value_name = "FORM", default_value = "both")]
    signature_form: SignatureForm,
}

/// The forms of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SignatureForm {
    Both,
    Bundle,
    Tag,
}

/// Whoever signs, and in which forms.
pub(in crate::cli) struct Signing {
    /// Whoever signs.
    pub(in crate::cli) signer: Box<dyn Signer>,
    /// The forms.
    pub(in crate::cli) forms: Forms,
}

impl SignArgs {
    /// Whether anything is to be signed.
    pub(in crate::cli) fn is_given(&self) -> bool {
        self.sign_by_key.is_some() || self.sign_by_command.is_some()
    }

    /// What the flags mean; none if nothing is to be signed. `environment` is asked for the password.
    pub(in crate::cli) fn signing(
        &self,
        environment: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Option<Signing>> {
        let forms = match self.signature_form {
            SignatureForm::Both => Forms::Both,
            SignatureForm::Bundle => Forms::Bundle,
            SignatureForm::Tag => Forms::Tag,
        };
        let signer: Box<dyn Signer> = match (&self.sign_by_key, &self.sign_by_command) {
            (Some(file), _) => Box::new(self.key(file, environment)?),
            (None, Some(command)) => {
                let public = self.public_key.as_deref().unwrap_or(Path::new(""));
                Box::new(CommandSigner {
                    command: command.clone(),
                    public: public_key(public)?,
                })
            }
            (None, None) => return Ok(None),
        };
        Ok(Some(Signing { signer, forms }))
    }

    fn key(
        &self,
        file: &Path,
        environment: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<SecretKey> {
        let bytes = small_file::read(file, LARGEST_KEY)?;
        let password = if SecretKey::is_locked(&bytes) {
            self.password(file, environment)?
        } else {
            Vec::new()
        };
        SecretKey::parse(&bytes, &password, &file.display().to_string())
    }

    /// The password of a key: from the file that is named, else from the environment.
    fn password(
        &self,
        key: &Path,
        environment: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Vec<u8>> {
        use std::os::unix::ffi::OsStringExt;
        let Some(file) = &self.sign_passphrase_file else {
            let password = environment(PASSWORD).map(OsString::into_vec);
            return password.ok_or_else(|| Error::Document {
                document: key.display().to_string(),
                message: "the private key has a password, and none is given".to_owned(),
                hint: format!("set {PASSWORD}, or name a file with --sign-passphrase-file"),
            });
        };
        let mut bytes = if file.as_os_str() == "-" {
            let mut bytes = Vec::new();
            let input = std::io::stdin().lock();
            let read = input.take(LARGEST_KEY).read_to_end(&mut bytes);
            read.map_err(Error::stream("standard input"))?;
            bytes
        } else {
            small_file::read(file, LARGEST_KEY)?
        };
        // As editors and `echo` write it.
        while bytes.last().is_some_and(|byte| b"\r\n".contains(byte)) {
            bytes.pop();
        }
        Ok(bytes)
    }
}

/// The public key in a file.
pub(in crate::cli) fn public_key(file: &Path) -> Result<PublicKey> {
    let bytes = small_file::read(file, LARGEST_KEY)?;
    PublicKey::parse(&bytes, &file.display().to_string())
}
