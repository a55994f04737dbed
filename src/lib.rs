//! The command line of Strata, which turns Nix store closures into OCI images. The crates below `crates/`
//! do the work; `ARCHITECTURE.md` shows them.

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

pub mod cli;
pub mod destination;
