//! Logging in: where credentials are found ([`keychain`]), and how requests are authorized with them
//! ([`authorization`]).

mod auth_file;
mod authorization;
mod credential_helper;
mod credentials;
mod keychain;
mod netrc;
mod token;

use strata_error::Result;
use strata_oci::Reference;

pub(crate) use authorization::{Authorizer, Purpose};
pub use credentials::Credentials;
pub(crate) use keychain::Keychain;

/// What the bytes of an `auth.json` or `config.json` have for a registry, without asking any helper that they name; the
/// error names the file `name` and quotes nothing of it.
pub fn credentials_of_file(
    name: &str,
    bytes: &[u8],
    reference: &Reference,
) -> Result<Option<Credentials>> {
    auth_file::AuthFile::parse(name, bytes)?.credentials(reference)
}

/// What the text of a `.netrc` has for a host.
pub fn credentials_of_netrc(text: &str, host: &str) -> Option<Credentials> {
    netrc::find(text, &[host])
}
