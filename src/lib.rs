//! The command line of Strata, which turns Nix store closures into OCI images. The crates below `crates/`
//! do the work; `ARCHITECTURE.md` shows them.
//!
//! [`cli`] has a file for each command, `remote` images of a registry as things to copy, `source` images as things to
//! look at. Building is not here: a derivation runs `strata-builder` (`crates/builder`), and what it wrote is what
//! these commands read.

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

pub mod cli;
mod remote;
