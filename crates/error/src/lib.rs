//! What can go wrong, with the place where it did, and the way out as a separate hint; and what every
//! crate needs to say so: texts for people, and files that are small unless something is wrong.
//!
//! Messages start in lower case and name the attribute, layer, store path or file. The hint is for
//! the printer to show on a line of its own. This crate knows nothing of Nix, OCI or any protocol, and
//! prints nothing.
//!
//! - [`Error`] and [`Result`]: one variant for each thing that a user would fix in a different place
//! - [`small_file`]: reading documents within a bound
//! - [`printable`], [`visible`] and [`visible_line`]: texts from outside, for people and their terminals

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod error;
pub mod small_file;
mod text;

pub use error::{Error, Result};
pub use text::{LONGEST_TEXT, printable, visible, visible_line};
