//! The flags of the verbs that read from a registry: how it is reached, and what to log in with. Each
//! also has the name that skopeo's `copy` gives it (`--src-creds`).

use std::path::PathBuf;

use clap::Args;

use super::arguments::go_bool;
use super::settings::credentials;
use strata_error::Result;
use strata_oci::Reference;
use strata_registry::{Credentials, Options};

/// The flags.
#[derive(Args)]
pub(super) struct SourceArguments {
    /// Log in to the registry as USER; without PASSWORD it is empty
    #[arg(long, alias = "src-creds", value_name = "USER[:PASSWORD]")]
    #[arg(conflicts_with = "no_creds")]
    creds: Option<String>,

    /// Log in to the registry with this user name
    #[arg(
        long,
        alias = "src-username",
        value_name = "USER",
        requires = "password"
    )]
    #[arg(conflicts_with_all = ["creds", "no_creds"])]
    username: Option<String>,

    /// Log in to the registry with this password
    #[arg(
        long,
        alias = "src-password",
        value_name = "PASSWORD",
        requires = "username"
    )]
    password: Option<String>,

    /// Show the registry this bearer token
    #[arg(long, alias = "src-registry-token", value_name = "TOKEN")]
    #[arg(conflicts_with_all = ["creds", "username", "no_creds"])]
    registry_token: Option<String>,

    /// Do not log in, whatever the files of `docker login` and `podman login` say
    #[arg(long, alias = "src-no-creds")]
    no_creds: bool,

    /// Look for credentials in this file instead of where `docker login` and `podman login` put them
    #[arg(long, alias = "src-authfile", value_name = "FILE")]
    authfile: Option<PathBuf>,

    /// Look for credentials in this file first, if it is there
    #[arg(long, value_name = "FILE")]
    default_authfile: Option<PathBuf>,

    /// Also trust the authorities in the *.crt files of this directory; *.cert and *.key of the same
    /// name are client certificates
    #[arg(long, alias = "src-cert-dir", value_name = "DIRECTORY")]
    cert_dir: Option<PathBuf>,

    /// Whether to insist on HTTPS with a good certificate
    #[arg(long, alias = "src-tls-verify", value_name = "BOOL", num_args = 0..=1)]
    #[arg(require_equals = true, default_missing_value = "true", value_parser = go_bool)]
    tls_verify: Option<bool>,

    /// Try again so many times when the registry fails or cannot be reached
    #[arg(long, value_name = "N")]
    retry_times: Option<u16>,
}

impl SourceArguments {
    /// What the flags mean.
    pub(super) fn options(self) -> Options {
        let mut options = Options {
            tls_verify: self.tls_verify,
            anonymous: self.no_creds,
            credentials: credentials(self.creds, self.username, self.password)
                .or(self.registry_token.map(Credentials::RegistryToken)),
            auth_file: self.authfile,
            default_auth_file: self.default_authfile,
            certificate_directory: self.cert_dir,
            ..Options::default()
        };
        if let Some(times) = self.retry_times {
            options.retry.tries = u32::from(times) + 1;
            options.retry.awaits_start = true;
        }
        options
    }
}

/// A name in a registry, with or without skopeo's `docker://`.
pub(super) fn reference(text: &str) -> Result<Reference> {
    Reference::parse_in_registry(text.strip_prefix("docker://").unwrap_or(text))
}
