//! Logging in: where credentials are found ([`keychain`]), and how requests are authorized with them
//! ([`authorization`]).

mod auth_file;
mod authorization;
mod credential_helper;
mod credentials;
mod keychain;
mod netrc;
mod token;

pub(crate) use authorization::{Authorizer, Purpose};
pub use credentials::Credentials;
pub(crate) use keychain::Keychain;
