//! The base system of an image: users and groups, configuration, links, a profile and a channel of
//! Nix, from what `baseSystem` asks for.
//!
//! Texts and the tree are made and checked without touching a file. Only [`Environment`] and the
//! flake registry look into the store, and only [`Tree::write`] and [`Environment::write`] write.
//! Every list is in an order that does not depend on the machine.

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod account_files;
mod accounts;
mod argument;
mod base_accounts;
mod channel;
mod configuration;
mod environment;
mod flake_registry;
mod manifest;
mod profile;
mod resolve;
mod system;
mod tree;

pub use accounts::{Accounts, Group, User};
pub use base_accounts::{AccountFiles, Usual, merge_accounts};
pub use channel::channel_tree;
pub use environment::Environment;
pub use manifest::manifest;
pub use profile::{Package, check_packages};
pub use system::{OutputPaths, system_tree};
pub use tree::{Tree, TreeEntry};
