//! Logging in: where credentials are found, and how requests are authorized with them.

mod auth_file;
pub(crate) mod authorization;
mod challenge;
mod credential_helper;
pub(crate) mod keychain;
mod netrc;

pub use keychain::Credentials;
