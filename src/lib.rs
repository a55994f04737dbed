//! The command line of Strata, which turns Nix store closures into OCI images. The crates below `crates/`
//! do the work; `ARCHITECTURE.md` shows them.
//!
//! ```text
//!  main ──> cli ──> destination ──> strata-copy, strata-engine, strata-registry
//!           what    where copies
//!           is typed    go
//! ```
//!
//! [`cli`] has a file for each command, [`destination`] one for each kind of place that `strata copy`
//! writes to, `attest` what vouches for images, [`platform`] what this machine runs, `remote` images of a registry as things to copy. Building is not here: a derivation runs
//! `strata-builder` (`crates/builder`), and what it wrote is what these commands read.

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod attest;
pub mod cli;
pub mod destination;
pub mod platform;
mod remote;
