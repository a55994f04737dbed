//! What to log in to a registry with: the files of `docker login` and `podman login`, the programs that
//! those name, and netrc. And whom to trust there, and which certificates to show.
//!
//! It reads files and runs credential helpers, and knows nothing of connections, tokens or registries but
//! their names. What it is told and finds is in no message.

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod auth_file;
mod certificates;
mod credential_helper;
mod credentials;
mod keychain;
mod netrc;
#[cfg(test)]
mod script;

pub use certificates::Trust;
pub use credentials::Credentials;
pub use keychain::{COMMAND_LINE, Environment, Keychain};
