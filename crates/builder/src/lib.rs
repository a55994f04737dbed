//! What `strata-builder` does, which Nix runs as the builder of a derivation: from the derivation's
//! attributes to its output.
//!
//! Read, plan, merge, digest, write: the effects are here and in the crates that it calls to read; what
//! is decided is decided in `strata_plan` and `strata_tree`, which are pure or nearly so. Nothing here
//! or below asks a network, the clock (but for `created = "now"`) or the environment of anything that
//! would change the bytes of an output.
//!
//! - `run`: which kind of request it is
//! - `layers`: a layer or an image, from the request to its records
//! - `inputs`: what a request names: a base image, layers of other outputs, tars, files, times
//! - `files`: what is put into an image file by file
//! - `accounts`, `database`: files that follow from what is below
//! - `mounts`: store paths that are mounted instead of being in layers
//! - `named`: which argument names what
//! - `limits`: what an image must keep to
//! - `startup`: whether a container of the image can start
//! - `index`, `system`, `root_tree`: the other kinds
//! - `output`: what is written, and removed again after an error

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod accounts;
mod database;
mod files;
mod fleet;
mod index;
mod inputs;
mod layers;
mod limits;
mod mounts;
mod named;
mod output;
mod root_tree;
mod run;
mod startup;
mod system;

pub use run::{Settings, attrs_file, run};
