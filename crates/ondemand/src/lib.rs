//! A registry whose images Nix builds when they are pulled: `docker run HOST/shell/git`.
//!
//! ```text
//!  registry ──> name, config, login       what is asked for, what there is, and who may ask
//!     │    └──> pages, journal            for people and for who watches
//!  builder ──> nix ──> child              Nix of this machine, as programs with limits
//!     │ flights, queue, failure           one build for all who wait for it, some builds at a time
//!  publish                                from what is built to documents and blobs
//!     ├──> memory                         what images and layers were called, over restarts
//!     └──> blobs                          compressed layers in a bounded directory
//! ```
//!
//! Requests and responses are those of `strata-serve`. Names are hostile: [`ImageName`] takes them apart and bounds
//! them before anything runs, and Nix gets them as data and never as a part of its language or of its options.
//! Whatever is remembered can be lost at any time and is made anew then.

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod blobs;
mod builder;
mod child;
mod config;
mod failure;
mod flights;
mod journal;
mod login;
mod memory;
mod name;
mod nix;
mod pages;
mod publish;
mod queue;
mod registry;

pub use config::{Config, Limits, Source, SourceType, Tls};
pub use journal::Log;
pub use name::{ImageName, InvalidName, NameRules};
pub use registry::Registry;
